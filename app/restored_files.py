"""The folder of a home that is being restored: what may lie there before, what is written there, how its settings are adjusted.

A file ``restore.unfinished`` is written first and removed last. A folder that has it, and no ``config.toml``, is a restore that
did not come to its end: the next one removes what that wrote, by name, and begins again. Anything else in the folder stops it.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.home import Home
from app.settings import LocalStoreSettings, Settings, parse_text
from assurance.backup import BackedUpFile, BackupManifest
from assurance.backup_repository import BackupRepository
from catalogue import Catalogue
from evidence.durable import fsync_dir, make_dirs, publish, publish_many, publish_new
from evidence.errors import (
    BlobConflictError,
    ConfigError,
    DigestMismatchError,
    IntegrityError,
    ManifestInvalidError,
    StoreError,
)
from storage.master_keys import is_key_file

MARKER: Final = "restore.unfinished"
_CONFIG: Final = "config.toml"
#: What a restore writes into a home; an unfinished one is removed by these names only.
_FOLDERS: Final = ("keys", "log", "cache")
_FILES: Final = ("app.db", "restore.db", "config.toml.unfinished")
_WRITE_AT_ONCE: Final = 64
_OUTSIDE: Final = re.compile(r"(?!.*/\.{1,2}(?:/|$))/[^\x00]{1,1000}")
_ALWAYS: Final = frozenset({"lost+found", MARKER})


def require_restorable(home: Home, settings: Settings) -> None:
    """Return when a home may be restored into this folder; nothing is changed.

    The disks of stores that lie in the home may be mounted there already.

    Raises:
        ConfigError: The folder is a home, or holds something that no restore wrote.
    """
    root = home.root
    if home.config.exists():
        raise ConfigError(
            f"{root} is already a home", kept="Nothing was changed.",
            todo="A restore never overwrites a home: choose an empty folder.",
        )  # fmt: skip
    if not root.exists() or (root / MARKER).exists():
        return
    stores = [home.store_path(one.path) for one in settings.storage.stores if isinstance(one, LocalStoreSettings)]
    inside = {path.relative_to(root).parts[0] for path in stores if path.is_relative_to(root)}
    strange = {entry.name for entry in root.iterdir()} - _ALWAYS - inside
    if strange == {home.lock.parent.name} and {one.name for one in home.lock.parent.iterdir()} <= {home.lock.name}:
        return  # a restore that died before its first word
    if strange:
        raise ConfigError(
            f"{root} is not empty: {min(strange)}", kept="Nothing was changed.", todo="Choose an empty folder."
        )


def remove_unfinished(home: Home) -> None:
    """Remove what a restore wrote before it came to its end; its marker stays, for the database it may have begun to fill.

    Nothing without the marker, and only under the home's lock.
    """
    if not (home.root / MARKER).exists() or home.config.exists():
        return
    for name in _FOLDERS:
        shutil.rmtree(home.root / name, ignore_errors=True)
    for name in _FILES:
        for path in home.root.glob(f"{name}*"):
            path.unlink(missing_ok=True)
    fsync_dir(home.root)


def begin(home: Home, backup: str) -> str:
    """Write the marker. Returns a token that also goes into a database outside of the home, so that a retry knows it again."""
    token = unfinished_token(home) or secrets.token_hex(16)
    make_dirs(home.root, 0o750)
    publish(home.root / MARKER, json.dumps({"backup": backup, "token": token}).encode("utf-8"), mode=0o600)
    return token


def unfinished_token(home: Home) -> str:
    """Token of a restore that did not come to its end; empty where there is none."""
    try:
        told = json.loads((home.root / MARKER).read_bytes())
        return str(told["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


# --- files ------------------------------------------------------------------------------------------------------------
def config_of(repository: BackupRepository, manifest: BackupManifest) -> str:
    """Text of the settings in a backup; ManifestInvalidError when it has none."""
    for file in manifest.files:
        if file.path == _CONFIG:
            return _bytes(repository, file).decode("utf-8")
    raise ManifestInvalidError("the backup holds no settings", todo="Use another backup.")


def _bytes(repository: BackupRepository, file: BackedUpFile) -> bytes:
    data = b"".join(repository.read(file.pieces))
    if hashlib.sha256(data).hexdigest() != file.sha256 or len(data) != file.size_bytes:
        raise DigestMismatchError(f"{file.path} in the backup was changed")
    return data


def write_files(home: Home, repository: BackupRepository, manifest: BackupManifest) -> list[str]:
    """Write keys and log. Durable on return. Returns where files outside of the home were put.

    Raises:
        IntegrityError: A file was changed in the backup, or is none that a backup of ours holds: whoever can write to an open
            target must not say what is written where. Nothing was written then.
        StoreError: It cannot be written; a file outside of the home exists with other bytes.
    """
    outside = []
    waiting: list[tuple[Path, bytes]] = []
    for file in manifest.files:
        _require_known(file)
    for file in manifest.files:
        if file.path.startswith("log/"):
            waiting.append((home.root / file.path, _bytes(repository, file)))
            if len(waiting) >= _WRITE_AT_ONCE:
                publish_many(waiting)
                waiting = []
        elif file.path != _CONFIG:
            outside += _write_key(home, file, _bytes(repository, file))
    publish_many(waiting)
    for folder in (home.scratch, home.public_log.parent):
        make_dirs(folder, 0o750)
    return outside


def _require_known(file: BackedUpFile) -> None:
    known = file.path == _CONFIG or file.path.startswith(("keys/", "log/public/"))
    if not known or (file.outside and not (file.path.startswith("keys/") and _OUTSIDE.fullmatch(file.outside))):
        raise ManifestInvalidError("the backup holds a file that is none of a home's", todo="Use another backup.")


def _write_key(home: Home, file: BackedUpFile, data: bytes) -> list[str]:
    if file.outside and not is_key_file(data):
        raise ManifestInvalidError("the backup names a place outside of the home for what is no master key")
    target = Path(file.outside) if file.outside else home.root / file.path
    make_dirs(target.parent, 0o700)
    try:
        publish_new(target, data, mode=file.mode & 0o600)
    except BlobConflictError as error:
        raise StoreError(
            f"{target} exists with other bytes", kept="It was not overwritten.", todo="Move it aside, then restore."
        ) from error
    return [file.outside] if file.outside else []


def write_config(home: Home, text: str) -> None:
    """Write the settings under the name that does not count yet (``app.home.complete``)."""
    publish(home.unfinished, text.encode("utf-8"), mode=0o640)


def dump_lines(repository: BackupRepository, manifest: BackupManifest) -> Iterator[bytes]:
    """The pieces of the database's dump, compared as a whole at the end.

    Raises:
        DigestMismatchError: Together they are not the dump that the manifest states.
    """
    whole = hashlib.sha256()
    for part in repository.read(manifest.dump):
        whole.update(part)
        yield part
    if whole.hexdigest() != manifest.dump_sha256:
        raise DigestMismatchError("the database in the backup is not the one its manifest states")


def remove_asked_database(home: Home) -> None:
    """Remove the backup's database, which served to be asked: it must not stay with what was erased since. Durable on return."""
    for path in home.root.glob("restore.db*"):
        path.unlink(missing_ok=True)
    fsync_dir(home.root)


def finish(home: Home) -> None:
    """Remove the marker: the folder is a home. Durable on return."""
    (home.root / MARKER).unlink(missing_ok=True)
    fsync_dir(home.root)


def forget(home: Home, catalogue: Catalogue) -> None:
    """A home that works is no unfinished restore, although one may have died between its last two steps.

    With its marker left, and ``config.toml`` mislaid one day, the next restore would remove what it takes for its own beginnings.
    """
    if (home.root / MARKER).exists():
        finish(home)
        with catalogue.begin() as uow:
            uow.settings.drop(MARKER)


# --- settings ---------------------------------------------------------------------------------------------------------
_SECTION = re.compile(r"^\s*\[database\]\s*(?:#.*)?$", re.MULTILINE)
_NEXT = re.compile(r"^\s*\[", re.MULTILINE)
_URL = re.compile(r"^[ \t]*url[ \t]*=.*$", re.MULTILINE)


def with_database(text: str, url: str) -> str:
    """The settings with another database; everything else keeps its place, comments too. ConfigError when that fails."""
    line = f"url = {json.dumps(url)}"
    section = _SECTION.search(text)
    if section is None:
        changed = f"{text.rstrip()}\n\n[database]\n{line}\n"
    else:
        end = _NEXT.search(text, section.end())
        stop = end.start() if end is not None else len(text)
        body = text[section.end() : stop]
        body = _URL.sub(lambda _: line, body, count=1) if _URL.search(body) else f"\n{line}{body}"
        changed = text[: section.end()] + body + text[stop:]
    if parse_text(changed).database.url != url:
        raise ConfigError("the database could not be changed in config.toml", todo="Restore without --database.")
    return changed


def offer_before(repository: BackupRepository, backup: str, error: IntegrityError) -> IntegrityError:
    """The same error, with the backup that can be restored instead."""
    listed = repository.listed()
    place = next((at for at, one in enumerate(listed) if one.id == backup), -1)
    older = [one.id for one in listed[place + 1 :] if one.manifest is not None]
    todo = f"Restore the one before: liuhen restore {repository.place.text} {older[0]}" if older else ""
    told = type(error)(
        f"backup {backup} is damaged: {error.what}", kept="Nothing was restored; the backup was not touched.",
        todo=todo or "No older backup lies there; look for another target.",
    )  # fmt: skip
    told.__cause__ = error
    return told
