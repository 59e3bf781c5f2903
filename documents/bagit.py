"""Writes BagIt 1.0 bags: a folder whose files are listed with their SHA-256, readable by any archive's tools.

A bag is written beside its target under a name that begins with a dot, file by file (temporary name, fsync, read back from
the medium, rename), its ``bagit.txt`` last, and only then gets its name. So nothing half done ever looks whole, and a call that
was cut off goes on where it was: what is already there is read and compared, never believed. Files are streamed; memory does
not grow with them.

Crash: the unfinished folder stays, has no ``bagit.txt``, and the next call with the same target continues in it.

Source: RFC 8493 (BagIt 1.0).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from evidence.durable import (
    NO_SPACE,
    exclusive_lock,
    free_bytes,
    fsync_dir,
    fsync_file,
    give_name,
    make_dirs,
    publish,
    read_from_medium,
    start_write_back,
    write_all,
)
from evidence.errors import (
    BlobConflictError,
    DigestMismatchError,
    HomeLockedError,
    InvalidInputError,
    ManifestInvalidError,
    StoreError,
    StoreFullError,
)

PAYLOAD: Final = "data"
DECLARATION: Final = "bagit.txt"
INFO: Final = "bag-info.txt"
MANIFEST: Final = "manifest-sha256.txt"
TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
_OWN: Final = frozenset({DECLARATION, INFO, MANIFEST, TAG_MANIFEST})
_DECLARED: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_CHUNK_BYTES: Final = 4 << 20
#: Room beside the files themselves: lists, directories, what a file system takes for its own.
_MARGIN_BYTES: Final = 64 << 20
_PART: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,120}")
_BYTES_MAX: Final = 240
_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_HEX: Final = re.compile(r"[0-9a-f]{64}")

#: Told as it goes: what is being written, bytes done, bytes of the whole bag.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BagFile:
    """One file of a bag.

    Attributes:
        path: Where, ``/`` between folders; payload is under ``data/``, everything else is a tag file.
        size_bytes: Its length.
        open: Opens the bytes, again at each call.
        sha256: What they must be (hexadecimal); empty when only the bag will say it.
    """

    path: str
    size_bytes: int
    open: Callable[[], BinaryIO]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Bag:
    """What is to be written.

    Attributes:
        files: Payload and tag files; no two paths alike in any letter case.
        info: Lines of ``bag-info.txt`` in order. ``Payload-Oxum`` and ``Bag-Size`` are added.
    """

    files: Sequence[BagFile]
    info: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class BagReceipt:
    """What was written: the folder, digest of its payload manifest, files and bytes of payload, digests by path."""

    folder: Path
    manifest_sha256: str
    payload_files: int
    payload_bytes: int
    digests: Mapping[str, str] = field(default_factory=dict)


def encoded(path: str) -> str:
    """A path as manifests write it: line ends and the percent sign by their codes (RFC 8493 section 2.1.3)."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def decoded(text: str) -> str:
    """Undo :func:`encoded`."""
    return re.sub(r"%(25|0[AaDd])", lambda code: chr(int(code[1], 16)), text)


def _check(bag: Bag) -> None:
    seen: set[str] = set()
    for file in bag.files:
        parts = file.path.split("/")
        if file.path in _OWN or any(
            not _PART.fullmatch(part) or part in {".", ".."} or part[-1] in ". " or len(part.encode()) > _BYTES_MAX
            for part in parts
        ):
            raise InvalidInputError(f"{file.path!r} cannot be a file of a package")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]).casefold() + "\0" in seen:
                raise InvalidInputError(f"{file.path!r} lies below a file of the same package")
        key = file.path.casefold()
        if key in seen:
            raise InvalidInputError(f"two files of a package are called {file.path!r}")
        seen |= {key, key + "\0"}
        if file.sha256 and not _HEX.fullmatch(file.sha256):
            raise InvalidInputError(f"{file.path!r} has no SHA-256 of 64 digits")
    for label, _ in bag.info:
        if not _LABEL.fullmatch(label):
            raise InvalidInputError(f"{label!r} cannot be a label of bag-info.txt")


def _size_text(size_bytes: int) -> str:
    value, unit = float(size_bytes), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if unit != "B" else f"{size_bytes} B"


class _Writing:
    """One bag on its way into its folder."""

    def __init__(self, folder: Path, bag: Bag, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._total = sum(file.size_bytes for file in bag.files)
        self._done = 0
        self.digests: dict[str, str] = {}

    def _told(self, path: str, count: int) -> None:
        self._done += count
        self._progress(path, min(self._done, self._total), self._total)

    def file(self, file: BagFile) -> None:
        target = self._folder / file.path
        found = self._kept(target, file)
        if not found:
            target.unlink(missing_ok=True)
            found = self._copied(target, file)
        self.digests[file.path] = found
        self._told(file.path, file.size_bytes)

    def _kept(self, target: Path, file: BagFile) -> str:
        """The digest of what an earlier call finished; empty when it has to be written (again)."""
        try:
            if (
                target.is_symlink()
                or not target.is_file()
                or target.stat().st_size != file.size_bytes
                or not file.sha256
            ):
                return ""
        except OSError:
            return ""
        found = _digest_of(target)
        return found if found == file.sha256 else ""

    def _copied(self, target: Path, file: BagFile) -> str:
        make_dirs(target.parent)
        temporary = target.with_name(f".{hashlib.sha256(target.name.encode()).hexdigest()[:24]}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            written = self._streamed(temporary, file)
            read_back = _digest_of(temporary)
            if read_back != written:
                raise DigestMismatchError(
                    f"the target did not keep {file.path}: what was read back differs", found=read_back,
                    kept="Originals are untouched; the package is unfinished.", todo="Use another disk.",
                )  # fmt: skip
            give_name(temporary, target)
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, StoreError) and getattr(error.__cause__, "errno", 0) == errno.EFBIG:
                raise StoreError(
                    f"the target's file system holds no file of {_size_text(file.size_bytes)}",
                    kept="Originals are untouched; the package is unfinished.",
                    todo="Use a disk with exFAT, NTFS or ext4 (FAT32 ends at 4 GB a file).",
                ) from error
            raise
        return written

    def _streamed(self, temporary: Path, file: BagFile) -> str:
        hasher = hashlib.sha256()
        done = 0
        with contextlib.closing(file.open()) as source:
            fd = _create(temporary)
            try:
                while chunk := source.read(_CHUNK_BYTES):
                    hasher.update(chunk)
                    write_all(fd, chunk)
                    start_write_back(fd, done, len(chunk))
                    done += len(chunk)
                    self._progress(file.path, min(self._done + done, self._total), self._total)
                    if done > file.size_bytes:
                        break
                fsync_file(fd)
            finally:
                os.close(fd)
        found = hasher.hexdigest()
        if done != file.size_bytes or (file.sha256 and found != file.sha256):
            raise DigestMismatchError(
                f"{file.path} is not what was stated: {done} bytes with SHA-256 {found}", found=found,
                kept="The package is unfinished; nothing looks whole.", todo="Run `liuhen verify`, then try again.",
            )  # fmt: skip
        return found


def _create(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFullError("no space left at the target", todo="Free space or choose another disk.") from error
        if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
            raise InvalidInputError(f"the target cannot hold a file of the name {path.parent.name}") from error
        raise StoreError(f"cannot create a file at the target: {os.strerror(error.errno or 0)}") from error


def _digest_of(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        for chunk in read_from_medium(path):
            hasher.update(chunk)
    except OSError as error:
        raise StoreError(f"cannot read {path.name} back: {os.strerror(error.errno or 0)}") from error
    return hasher.hexdigest()


def _require_room(target: Path, folder: Path, bag: Bag) -> None:
    there = 0
    if folder.is_dir():
        there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    wanted = max(0, sum(file.size_bytes for file in bag.files) - there) + _MARGIN_BYTES
    free = free_bytes(target.parent)
    if free < wanted:
        raise StoreFullError(
            f"the package needs {_size_text(wanted)} more and the target has {_size_text(free)}",
            kept="Nothing was written.", todo="Free space or choose another disk.",
        )  # fmt: skip


def _sweep(folder: Path, bag: Bag) -> None:
    """Take away what does not belong to this bag: rests of a call that was cut off, or of another content."""
    wanted = {folder / file.path for file in bag.files}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_symlink() or path.is_file():
            if path not in wanted:
                path.unlink()
        elif path.is_dir() and not any(path in each.parents for each in wanted):
            with contextlib.suppress(OSError):
                path.rmdir()


def unfinished(target: Path) -> Path:
    """The folder in which a bag is being written until it is whole."""
    return target.with_name(f".{target.name}.unfinished")


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(target.with_name(f".{target.name}.lock")))
        except HomeLockedError as error:
            raise HomeLockedError(
                f"another process writes {target.name}", kept="Its work goes on.", todo="Wait until it has ended."
            ) from error
        yield


def write_bag(target: Path, bag: Bag, *, progress: Progress | None = None) -> BagReceipt:
    """Write a bag; durable, read back and whole on return. Called again after it was cut off, it goes on.

    Args:
        target: The folder to be; its parent exists, it does not.
        bag: Content. Files with a stated digest are taken over from an unfinished call when they still have it.
        progress: Told as it goes.

    Raises:
        InvalidInputError: A path that no disk can carry, or two alike.
        BlobConflictError: The target exists; it was not touched.
        StoreFullError: No room (found before anything is written where possible).
        StoreUnavailableError, StoreError: The target's disk refuses. NotDurableError: it could not make the bytes durable.
        DigestMismatchError: A source's bytes are not the stated ones, or the target did not keep them.
        HomeLockedError: Another process writes the same bag.
    """
    _check(bag)
    if os.path.lexists(target):
        raise BlobConflictError(f"{target.name} exists already; nothing was overwritten", todo="Choose another name.")
    if not target.parent.is_dir():
        raise StoreError(
            f"there is no folder {target.parent.name} to write to", todo="Mount the disk or make the folder."
        )
    folder = unfinished(target)
    with _lock(target):
        try:
            _require_room(target, folder, bag)
            make_dirs(folder)
            _sweep(folder, bag)
            receipt = _write(folder, target, bag, progress or (lambda _path, _done, _total: None))
        except OSError as error:
            raise StoreError(f"the target's disk refuses: {os.strerror(error.errno or 0)}") from error
    with contextlib.suppress(OSError):
        target.with_name(f".{target.name}.lock").unlink()
    return receipt


def _write(folder: Path, target: Path, bag: Bag, progress: Progress) -> BagReceipt:
    writing = _Writing(folder, bag, progress)
    for file in bag.files:
        writing.file(file)
    sizes = {file.path: file.size_bytes for file in bag.files}
    lists, receipt = _lists(target, bag.info, writing.digests, sizes)
    make_dirs(folder / PAYLOAD)
    for name, content in lists:  # the declaration is the last of them
        publish(folder / name, content)
    for directory, _, _ in os.walk(folder):
        fsync_dir(Path(directory))
    give_name(folder, target)
    return receipt


def _lists(
    folder: Path, info: Sequence[tuple[str, str]], digests: Mapping[str, str], sizes: Mapping[str, int]
) -> tuple[list[tuple[str, bytes]], BagReceipt]:
    """The four files that make a folder a bag, in the order in which they are written."""
    payload = {path: digest for path, digest in digests.items() if path.startswith(f"{PAYLOAD}/")}
    payload_bytes = sum(sizes[path] for path in payload)
    lines = [*info, ("Bag-Size", _size_text(payload_bytes)), ("Payload-Oxum", f"{payload_bytes}.{len(payload)}")]
    manifest = _manifest(payload)
    written = [
        (INFO, "".join(f"{label}: {_one_line(value)}\n" for label, value in lines).encode("utf-8")), (MANIFEST, manifest),
    ]  # fmt: skip
    tags = {path: digest for path, digest in digests.items() if path not in payload}
    tags |= {name: hashlib.sha256(content).hexdigest() for name, content in (*written, (DECLARATION, _DECLARED))}
    written += [(TAG_MANIFEST, _manifest(tags)), (DECLARATION, _DECLARED)]
    receipt = BagReceipt(folder, hashlib.sha256(manifest).hexdigest(), len(payload), payload_bytes, dict(digests))
    return written, receipt


def whole_bag(bag: Bag) -> tuple[list[BagFile], BagReceipt]:
    """Every file of a bag with its lists, to be sent rather than written (:mod:`documents.zipped`).

    Raises:
        InvalidInputError: As :func:`write_bag`; also for a file without a stated digest, which could not be listed unread.
    """
    _check(bag)
    unknown = next((file.path for file in bag.files if not file.sha256), None)
    if unknown is not None:
        raise InvalidInputError(f"{unknown!r} has no stated digest")
    digests = {file.path: file.sha256 for file in bag.files}
    lists, receipt = _lists(Path(), bag.info, digests, {file.path: file.size_bytes for file in bag.files})
    return [*bag.files, *(_in_memory(name, content) for name, content in lists)], receipt


def _in_memory(path: str, content: bytes) -> BagFile:
    return BagFile(path, len(content), lambda: io.BytesIO(content), hashlib.sha256(content).hexdigest())


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _manifest(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digests[path]}  {encoded(path)}\n" for path in sorted(digests)).encode("utf-8")


def receipt_of(folder: Path) -> BagReceipt:
    """What :func:`write_bag` returned for a bag that stands, after every file of it was read and compared.

    Raises:
        ManifestInvalidError: It is no bag of ours. DigestMismatchError: a file of it is missing, changed or not listed.
    """
    for path, what in check_bag(folder):
        raise DigestMismatchError(f"{path} of the package is {what}", todo="Remove the package and make it again.")
    digests = {**_listed(folder, MANIFEST), **_listed(folder, TAG_MANIFEST)}
    payload = [path for path in digests if path.startswith(f"{PAYLOAD}/")]
    size = sum((folder / path).stat().st_size for path in payload)
    tags = (DECLARATION, INFO, MANIFEST)
    kept = {path: digest for path, digest in digests.items() if path not in tags}
    return BagReceipt(folder, digests[MANIFEST], len(payload), size, kept)


def bag_info(folder: Path) -> dict[str, str]:
    """The lines of ``bag-info.txt``, the last of each label. ManifestInvalidError where there is none."""
    try:
        lines = (folder / INFO).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalidError(f"the package has no readable {INFO}") from error
    return {label: value for label, mark, value in (line.partition(": ") for line in lines) if mark}


def discard_unfinished(target: Path) -> bool:
    """Remove what a call that will not be continued left; True when there was something."""
    folder = unfinished(target)
    if not folder.is_dir() or folder.is_symlink():
        return False
    with _lock(target):
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise StoreError(f"cannot remove the unfinished package: {os.strerror(error.errno or 0)}") from error
        fsync_dir(target.parent)
    target.with_name(f".{target.name}.lock").unlink(missing_ok=True)
    return True


def _listed(folder: Path, name: str) -> dict[str, str]:
    try:
        text = (folder / name).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalidError(f"the package has no readable {name}") from error
    out: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})[ \t]+(.+)", line)
        path = decoded(match[2]) if match else ""
        if match is None or path in out or not path or path.startswith("/") or ".." in path.split("/"):
            raise ManifestInvalidError(f"{name} of the package is malformed")
        out[path] = match[1]
    return out


def check_bag(folder: Path) -> Iterator[tuple[str, str]]:
    """Compare every file of a bag with its lists; yields ``(path, what is wrong)``, nothing for a good bag.

    Raises:
        ManifestInvalidError: It is no bag of ours: a list is missing or malformed.
    """
    try:
        declared = (folder / DECLARATION).read_bytes()
    except OSError:
        declared = b""
    if declared != _DECLARED:
        raise ManifestInvalidError(
            "not a BagIt 1.0 package", todo="An unfinished one is continued by the same command."
        )
    listed = {**_listed(folder, MANIFEST), **_listed(folder, TAG_MANIFEST)}
    for path, digest in listed.items():
        file = folder / path
        if file.is_symlink() or not file.is_file():
            yield path, "missing"
        elif _digest_of(file) != digest:
            yield path, "changed"
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if file.is_file() and path not in listed and path != TAG_MANIFEST:
            yield path, "not listed"
