"""Encryption at rest, put together from the settings: master key, key ring, stores that encrypt, the place for plain files.

A home has a ring when encryption is on, or when anything of it is encrypted: what was encrypted once stays readable after the
setting was turned off. The master key is opened when it is first needed; the service opens it at its start.

Source: docs/adr/0009-encryption.md; docs/runbooks/encryption.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import resource
import secrets
import shutil
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from app.home import Home
from app.settings import EncryptionSettings, Settings
from assurance.keys_state import KeyParts, epoch_name, keys_made, note_key_made
from catalogue import Catalogue
from catalogue.key_index import CatalogueKeyIndex
from chain_of_custody import EntryRecorder
from evidence.clock import Clock, to_text
from evidence.digest import DigestSuite
from evidence.disks import why_readable
from evidence.durable import publish
from evidence.errors import (
    ConfigError,
    KeyUnavailableError,
    MasterKeyUnavailableError,
    StoreError,
    StoreUnavailableError,
)
from evidence.events_of_keeping import EpochKeyMade
from storage.encrypted import EncryptedStore
from storage.encrypted_primary import EncryptedPrimary
from storage.epoch_keys import EpochKey
from storage.key_places import KeyPlace, place_beside
from storage.key_report import SyncReport
from storage.keyring import KeyRing
from storage.local import LocalStore
from storage.master_keys import CredentialMaster, FileMaster, MasterKey, save
from storage.stores import StoreSet

_log = logging.getLogger(__name__)
_SECRET_BYTES_MAX: Final = 4096
#: Signs that nobody takes for one another on paper.
_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: A passphrase on its way: durable before the key file is written under it.
NEXT: Final = ".next"


# --- the master key ---------------------------------------------------------------------------------------------------
def in_home(home: Home, path: Path) -> Path:
    """A path of the settings; a relative one lies in the home."""
    return path if path.is_absolute() else home.root / path


def read_secret(path: Path) -> bytes:
    """First line of a file that only its owner reads (a passphrase, a PIN).

    Raises:
        KeyUnavailableError: Missing, readable by others, or empty.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if os.fstat(fd).st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_credential(path):
                raise KeyUnavailableError(f"{path.name} can be read by others", todo=f"chmod 600 {path}")
            text = os.read(fd, _SECRET_BYTES_MAX).split(b"\n", 1)[0].rstrip(b"\r")
        finally:
            os.close(fd)
    except OSError as error:
        raise KeyUnavailableError(
            f"cannot read {path.name}: {os.strerror(error.errno or 0)}",
            todo="Bring the file back (docs/runbooks/lost-passphrase.md), or name the right one in config.toml.",
        ) from error
    if not text:
        raise KeyUnavailableError(f"{path.name} is empty")
    return text


def write_secret(path: Path, words: bytes) -> None:
    """Write a passphrase to a file that only its owner reads, in the place of an older one. Durable on return.

    Raises:
        StoreError: The folder is not there (a medium that is not mounted), or cannot be written to.
    """
    if not path.parent.is_dir():
        raise StoreError(
            f"there is no folder {path.parent} for the passphrase", todo="Mount its medium, or make the folder."
        )
    publish(path, words + b"\n", mode=0o600)


def new_passphrase() -> str:
    """A passphrase that nobody guesses (200 bits), in groups that a person can copy from paper."""
    text = "".join(secrets.choice(_LETTERS) for _ in range(40))
    return "-".join(text[start : start + 5] for start in range(0, len(text), 5))


def _is_credential(path: Path) -> bool:
    """Systemd gives its credentials modes of its own, in a folder that only the service can enter."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.is_relative_to(folder)


def open_master(home: Home, wanted: EncryptionSettings) -> MasterKey:
    """Open the master key that the settings name.

    Raises:
        KeyUnavailableError: It is not there, or the passphrase does not open it; nothing was changed.
        ConfigError: The token's library is not installed.
    """
    if wanted.master == "systemd":
        return CredentialMaster(wanted.credential)
    if wanted.master == "pkcs11":
        return _token(home, wanted)
    path = in_home(home, wanted.master_file)
    if wanted.passphrase_file is None:
        return FileMaster(path)
    words = in_home(home, wanted.passphrase_file)
    try:
        return FileMaster(path, passphrase=read_secret(words))
    except KeyUnavailableError:
        # If a change of the passphrase was cut short between key file and passphrase file, the new one lies beside the old.
        following = words.with_name(words.name + NEXT)
        if not following.exists():
            raise
        return FileMaster(path, passphrase=read_secret(following))


def make_master(home: Home, wanted: EncryptionSettings, *, passphrase: str) -> MasterKey:
    """Make the master key that the settings name; durable, and opened again, on return. One that is there is never replaced.

    Args:
        home: The home.
        wanted: Where it shall be.
        passphrase: For a key file, where the settings name a passphrase file that is not there yet.

    Raises:
        KeyUnavailableError: There is one already, or none can be made there. ConfigError: a credential of systemd.
    """
    if wanted.master == "systemd":
        raise ConfigError(
            "the master key is to be a credential of systemd, which this program cannot make",
            todo="Make it with systemd-creds (docs/runbooks/encryption.md); it is found at the next start.",
        )
    if wanted.master == "pkcs11":
        if wanted.pkcs11_module is None or wanted.pin_file is None:
            raise ConfigError("the token of storage.encryption is not described")
        from storage.master_pkcs11 import Pkcs11Master

        pin = read_secret(in_home(home, wanted.pin_file)).decode("utf-8", "replace")
        return Pkcs11Master.create(
            str(wanted.pkcs11_module), token=wanted.pkcs11_token, label=wanted.pkcs11_label, pin=pin
        )  # fmt: skip
    path = in_home(home, wanted.master_file)
    if path.exists():
        raise KeyUnavailableError(f"there is a master key already: {path}", kept="It was not touched.")
    words = in_home(home, wanted.passphrase_file) if wanted.passphrase_file is not None else None
    if words is not None and not words.exists():
        write_secret(words, passphrase.encode("utf-8"))
    FileMaster.create(path, passphrase=read_secret(words) if words is not None else None)
    return open_master(home, wanted)


def change_passphrase(home: Home, wanted: EncryptionSettings, passphrase: str) -> bool:
    """Put the master key's file under another passphrase. The key itself, and everything it encrypts, stays the same.

    Crash: whichever of the two files was written last, the key opens (see :func:`open_master`).

    Returns:
        Whether the passphrase file was written too; False where the passphrase comes as a credential: give the new one there.

    Raises:
        ConfigError: The master key lies in no file under a passphrase. KeyUnavailableError: it does not open now.
    """
    if wanted.master != "file" or wanted.passphrase_file is None:
        raise ConfigError(
            "the master key of this home lies under no passphrase", todo="See storage.encryption in docs/settings.md."
        )
    path, words = in_home(home, wanted.master_file), in_home(home, wanted.passphrase_file)
    master = open_master(home, wanted)
    secret = master.export()
    if secret is None:
        raise KeyUnavailableError("the master key cannot be taken out of its place")
    following, fresh = words.with_name(words.name + NEXT), path.with_name(path.name + NEXT)
    ours = not _is_credential(words)
    if ours:
        _end_change(path, words, following)
        write_secret(following, passphrase.encode("utf-8"))
    fresh.unlink(missing_ok=True)
    save(fresh, secret, passphrase=passphrase.encode("utf-8"))
    if FileMaster(fresh, passphrase=passphrase.encode("utf-8")).id != master.id:
        raise StoreError(f"{fresh.name} does not read back as it was written", kept="The passphrase is the old one.")
    publish(path, fresh.read_bytes(), mode=0o600)
    fresh.unlink()
    if ours:
        write_secret(words, passphrase.encode("utf-8"))
        following.unlink()
    return ours


def _end_change(path: Path, words: Path, following: Path) -> None:
    """Finish a change that was cut short: its passphrase may be the only one that opens the key, and the next takes its place."""
    if not following.exists():
        return
    try:
        FileMaster(path, passphrase=read_secret(words))
    except KeyUnavailableError:
        write_secret(words, read_secret(following))


def _token(home: Home, wanted: EncryptionSettings) -> MasterKey:
    if wanted.pkcs11_module is None or wanted.pin_file is None:  # app.settings refuses this before
        raise ConfigError("the token of storage.encryption is not described")
    from storage.master_pkcs11 import Pkcs11Master  # the library of tokens is an extra

    return Pkcs11Master(
        str(wanted.pkcs11_module), token=wanted.pkcs11_token, label=wanted.pkcs11_label,
        pin=read_secret(in_home(home, wanted.pin_file)).decode("utf-8", "replace"),
    )  # fmt: skip


class DeferredMaster:
    """A master key that is opened when it is first needed: commands that read no footage do without it.

    Args:
        home: The home.
        wanted: Where its master key is.
    """

    def __init__(self, home: Home, wanted: EncryptionSettings) -> None:
        self._home = home
        self._wanted = wanted
        self._lock = threading.Lock()
        self._master: MasterKey | None = None

    def open(self) -> MasterKey:
        """The master key itself; KeyUnavailableError when it cannot be opened."""
        with self._lock:
            if self._master is None:
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not lay keys and footage on a disk
                try:
                    self._master = open_master(self._home, self._wanted)
                except KeyUnavailableError as error:
                    raise MasterKeyUnavailableError(error.what, kept=error.kept, todo=error.todo) from error
            return self._master

    @property
    def id(self) -> str:
        """Who it is."""
        return self.open().id

    @property
    def kind(self) -> str:
        """Where it is kept; known without opening it."""
        return self._wanted.master

    def wrap(self, key: bytes) -> bytes:
        """40 bytes that only this master opens."""
        return self.open().wrap(key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key; KeyUnavailableError when another master wrapped it, or it was changed."""
        return self.open().unwrap(wrapped)

    def export(self) -> bytes | None:
        """The master key itself, for a sealed backup; None where it cannot be taken out."""
        return self.open().export()


# --- ring and stores --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Encryption:
    """What a home with encrypted footage has besides its stores.

    Attributes:
        ring: Its keys.
        master: Its master key, opened when it is needed.
        scratch: Where plain files may lie for a moment.
        on: Whether new bytes are encrypted.
    """

    ring: KeyRing
    master: DeferredMaster
    scratch: Path
    on: bool
    book: EpochBook

    def start_up(self) -> None:
        """What a process does before it takes anything in, under the home's lock.

        The master key is opened, the months' keys are found to be its own, what a crash kept from being entered is entered, and
        plain files that a dead process left are removed.

        Raises:
            KeyUnavailableError: The master key does not open, or is another home's; nothing was changed.
        """
        self.master.open()
        if self.on:
            self.ring.current_epoch()
        with contextlib.suppress(StoreUnavailableError):  # told by the health page; intake says so itself
            self.book.catch_up(self.ring)
        try:
            if left := sweep_scratch(self.scratch):
                _log.warning("plain files of %s interrupted jobs were removed from memory", left)
            make_scratch(self.scratch)
        except StoreError as error:
            _log.error("recordings are kept and sealed, but not examined: %s", error.diagnostics())

    def care(
        self, *, stop: Callable[[], bool] = lambda: False, told: Callable[[SyncReport], None] = lambda _report: None
    ) -> None:
        """Bring the keys beside every store up to date; a place that is away is passed over until it is back.

        Args:
            stop: Whether to leave off.
            told: Told of what was found and done in each place.
        """
        for name in self.ring.places:
            try:
                report = self.ring.sync(name, stop=stop)
            except StoreUnavailableError as error:
                _log.info("keys beside %s wait: %s", name, error.what)
                continue
            for problem in report.problems:
                _log.error("keys beside %s: %s", name, problem)
            if report.copied or report.removed or report.mended:
                _log.warning(
                    "keys beside %s: %s files brought back, %s damaged ones written anew, %s destroyed keys removed",
                    name,
                    report.copied,
                    len(report.mended),
                    report.removed,
                )
            told(report)
        self.book.catch_up(self.ring)


def encrypting(
    raw: StoreSet, *, home: Home, settings: Settings, catalogue: Catalogue, recorder: EntryRecorder, clock: Clock,
    suite: DigestSuite,
) -> tuple[StoreSet, Encryption | None]:  # fmt: skip
    """The home's stores as everybody above uses them, and its encryption.

    Args:
        raw: The stores themselves.
        home: The home.
        settings: Its settings.
        catalogue: Where data keys are looked up.
        recorder: Signs the entries about epoch keys.
        clock: Injected time.
        suite: Digest algorithms.

    Returns:
        The very same stores and None where nothing is encrypted and nothing shall be.
    """
    wanted = settings.storage.encryption
    places = [place_beside(store, clock=clock) for store in raw.raw]
    if not wanted.enabled and not _was_on(catalogue, places):
        return raw, None
    master = DeferredMaster(home, wanted)
    book = EpochBook(catalogue, recorder=recorder, clock=clock)
    ring = KeyRing(
        master, places, index=CatalogueKeyIndex(catalogue), clock=clock, epoch_made=book.enter
    )  # fmt: skip
    scratch = scratch_below(wanted.plain_scratch, home)
    primary = raw.primary
    if not isinstance(primary, LocalStore):
        raise ConfigError("the first store must be local")
    new = wanted.enabled
    stores = StoreSet(
        EncryptedPrimary(primary, ring, suite=suite, plain_scratch=scratch, encrypt_new=new),
        [
            EncryptedStore(store, ring, suite=suite, scratch=primary.root / "staging", encrypt_new=new)
            for store in raw.others
        ],
        ring=ring,
    )
    return stores, Encryption(ring=ring, master=master, scratch=scratch, on=wanted.enabled, book=book)


def _was_on(catalogue: Catalogue, places: list[KeyPlace]) -> bool:
    """Whether anything of this home was ever encrypted: the catalogue says so, or a folder of keys beside a store."""
    with catalogue.read() as uow:
        if uow.blob_keys.count() or uow.blob_keys.count(destroyed=True):
            return True
    for place in places:
        with contextlib.suppress(StoreError):
            if next(iter(place.paths("epochs")), None) is not None:
                return True
    return False


# --- what is said of epoch keys ---------------------------------------------------------------------------------------
class EpochBook:
    """Enters each new epoch key once, and remembers since when the home's keys exist (alarms rest on it).

    Args:
        catalogue: Where entries and settings are committed together.
        recorder: Signs.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, recorder: EntryRecorder, clock: Clock) -> None:
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock

    def enter(self, epoch: EpochKey) -> None:
        """Enter the making of an epoch key unless it was; a transaction of its own, durable on return."""
        at = self._clock.now()
        with self._catalogue.begin() as uow:
            made = keys_made(uow)
            name = epoch_name(epoch.epoch, epoch.master)
            if name in made:
                return
            event = EpochKeyMade(
                epoch=epoch.epoch, master=epoch.master, wrapped_sha256=epoch.wrapped_sha256, at=to_text(at.wall)
            )
            self._recorder.record(uow.outbox, event, at=at)
            note_key_made(uow, name, epoch.made_at)

    def catch_up(self, ring: KeyRing) -> None:
        """Enter what a crash kept from being entered."""
        for epoch in ring.epochs():
            self.enter(epoch)


# --- the place for plain files ----------------------------------------------------------------------------------------
def scratch_below(place: Path, home: Home) -> Path:
    """This home's own folder below a shared place: two homes, or two accounts, never meet there."""
    own = hashlib.sha256(f"{os.getuid()}:{home.root.resolve()}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return place / f"liuhen-{own}"


def sweep_scratch(folder: Path) -> int:
    """Remove what a dead process left in a folder for plain files; returns how many things that were.

    Only while no other process works on this home (at the start, under its lock).

    Raises:
        StoreError: They cannot be removed, or the folder is not one of this account's: its name can be known, and in a place for
            everybody somebody may have laid a link there that leads to what must stay. Nothing was removed then.
    """
    removed = 0
    try:
        _own(folder)
        for left in list(folder.iterdir()):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
            removed += 1
    except FileNotFoundError:
        return removed
    except OSError as error:
        raise StoreError(
            f"plain files that a dead process left in {folder} could not be removed: {os.strerror(error.errno or 0)}"
        ) from error
    return removed


def make_scratch(folder: Path) -> None:
    """Make a folder for plain files, for this account alone, in a place that a thief of disks cannot read.

    Raises:
        StoreError: It cannot be made, is somebody else's, or lies on a disk in the open.
    """
    try:
        trouble = why_readable(folder if folder.exists() else folder.parent)
    except OSError as error:
        trouble = os.strerror(error.errno or 0)
    if trouble:
        raise StoreError(
            f"no protected scratch: plain files may not lie in {folder.parent}, because {trouble}",
            kept="Recordings are kept and sealed; they are not examined meanwhile.",
            todo="Name a tmpfs or an encrypted volume: storage.encryption.plain_scratch.",
        )
    try:
        folder.mkdir(0o700, exist_ok=True)
        mode = _own(folder).st_mode
    except OSError as error:
        raise StoreError(f"no folder for plain files can be made: {error}") from error
    if mode & 0o077:
        raise _not_ours(folder)


def _own(folder: Path) -> os.stat_result:
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise _not_ours(folder)
    return state


def _not_ours(folder: Path) -> StoreError:
    return StoreError(f"{folder} is not a folder of this account alone", todo="Remove it, or name another place.")


# --- what is told of keys ---------------------------------------------------------------------------------------------
def key_parts(
    home: Home, settings: Settings, catalogue: Catalogue, stores: StoreSet, encryption: Encryption | None
) -> KeyParts:
    """What health, ``doctor`` and ``liuhen keys status`` look at."""
    wanted = settings.storage.encryption

    def made() -> dict[str, datetime]:
        with catalogue.read() as uow:
            return keys_made(uow)

    if encryption is None:
        return KeyParts(enabled=wanted.enabled, made=made)
    secrets_ = [in_home(home, wanted.master_file)] if wanted.master == "file" else []
    if wanted.master == "file" and wanted.passphrase_file is not None:
        secrets_.append(in_home(home, wanted.passphrase_file))
    return KeyParts(
        enabled=wanted.enabled, ring=encryption.ring, master=encryption.master, scratch=encryption.scratch,
        secrets=tuple(secrets_), stores={store.properties.name: store.root for store in stores.local}, made=made,
    )  # fmt: skip
