"""The keys of a home: written to a sealed bundle outside of it, compared with one, and put back from one.

A bundle counts only after it was read back from its medium, opened, and found to hold what was to be written. Restoring never
replaces a key that is there: another key in its place is told, and nothing is written.

Source: docs/formats/key-bundle.md; docs/runbooks/key-escrow.md, lost-key.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.encryption import NEXT, DeferredMaster, in_home, read_secret, write_secret
from app.home import Home
from app.settings import Settings, parse_text
from app.wiring import House, build_stores, digest_suite
from assurance.key_bundle import Bundle, BundleFile, Passphrase, PublicKey, open_with_passphrase, seal
from assurance.keys_state import months_made, note_backed_up
from catalogue.backups import GOOD, KEYS, BackupRow
from chain_of_custody import create_published_directory
from evidence.clock import SystemClock, from_text, to_text
from evidence.data_keys import KeyRecord
from evidence.digest import Digest
from evidence.durable import failure_domain, make_dirs, publish, publish_new, read_from_medium
from evidence.errors import (
    ConfigError,
    EvidenceError,
    InvalidInputError,
    KeyUnavailableError,
    StoreError,
)
from evidence.events_of_keeping import KeysBackedUp
from evidence.model import Actor
from storage import master_keys
from storage.key_places import place_beside
from storage.keyring import KeyRing
from storage.s3 import S3Store

HOME: Final = "home"
SETTINGS: Final = "settings"
MASTER: Final = "master"
EPOCH: Final = "epoch"
_KEY_FILE_BYTES_MAX: Final = 16_384
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def home_keys(home: Home) -> dict[str, Path]:
    """Key files of every home, by the name they have in a bundle."""
    return {path.name: path for path in (home.station_key, home.log_key, home.disclosure_key)}


# --- writing ----------------------------------------------------------------------------------------------------------
def collect(house: House) -> Bundle:
    """Everything that nobody could make again.

    Raises:
        KeyUnavailableError: A key cannot be read: a backup without it would be believed to hold it.
    """
    made_at = to_text(house.clock.now().wall)
    files = [BundleFile(kind=HOME, name=name, data=_read(path)) for name, path in home_keys(house.home).items()]
    files.append(BundleFile(kind=SETTINGS, name="config.toml", data=house.home.config.read_bytes()))
    notes: list[str] = []
    if house.encryption is not None:
        master = house.encryption.master.open()
        secret = master.export()
        if secret is None:
            notes.append(
                f"The master key {master.id} lies in a token that does not let it out: back the token up by its own means. "
                "The keys of the months are in this bundle: what they encrypted can be read without the token."
            )
        else:
            files.append(BundleFile(kind=MASTER, name=master.id, data=secret))
        ring = house.encryption.ring
        months = sorted({one.epoch for one in ring.epochs()})
        with house.catalogue.read() as uow:
            lacking = sorted(months_made(uow) - set(months))
        if lacking:
            notes.append(
                f"Not in this bundle: the keys of {', '.join(lacking)}, because no store that answers has them. "
                "Mount every store, then make another backup."
            )
        files += [BundleFile(kind=EPOCH, name=epoch, data=ring.open_epoch(epoch)) for epoch in months]
    return Bundle(
        origin=house.settings.station.origin, vkey=house.vkey, station=house.settings.station.name, made_at=made_at,
        notes=tuple(notes), files=tuple(files),
    )  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {path.name}: {os.strerror(error.errno or 0)}") from error
    if not data or len(data) > _KEY_FILE_BYTES_MAX:
        raise KeyUnavailableError(f"{path.name} is not the file of a key")
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A bundle that was written and read back."""

    path: Path
    sha256: str
    keys: int
    size_bytes: int
    made_at: str
    same_disk: bool
    opened: bool
    notes: tuple[str, ...]


def back_up(
    house: House, actor: Actor, folder: Path, recipients: Sequence[Passphrase | PublicKey], *, told: str
) -> Written:
    """Write a bundle into a folder outside of the home; durable, read back, entered on return.

    Args:
        house: The home.
        actor: Who asked (authorised by the caller).
        folder: An existing folder, best on a medium that is taken away.
        recipients: Who can open it; every passphrase is tried.
        told: What stands in the log of the place.

    Raises:
        StoreError: The medium refused it, or gave other bytes back; nothing counts as backed up.
        KeyUnavailableError: A key of the home cannot be read.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder", todo="Mount the medium first; folders are not made.")
    bundle = collect(house)
    data = seal(bundle, recipients)
    digest = hashlib.sha256(data).hexdigest()
    stamp = re.sub(r"[^0-9TZ]", "", bundle.made_at)
    station = re.sub(r"[^A-Za-z0-9_-]", "-", bundle.station)[:32]
    path = folder / f"liuhen-keys-{station}-{stamp}.json"
    if path.exists():
        raise StoreError(f"{path.name} is there already", kept="It was not touched.", todo="Try again in a second.")
    publish(path, data, mode=0o600)
    opened = _read_back(path, digest, bundle, recipients)
    _enter(house, actor, bundle, digest=digest, size_bytes=len(data), place=told)
    return Written(
        path=path, sha256=digest, keys=_count(bundle), size_bytes=len(data), made_at=bundle.made_at,
        same_disk=_same_disk(house.home.root, folder), opened=opened, notes=bundle.notes,
    )  # fmt: skip


def _count(bundle: Bundle) -> int:
    return sum(one.kind != SETTINGS for one in bundle.files)


def _read_back(path: Path, digest: str, bundle: Bundle, recipients: Sequence[Passphrase | PublicKey]) -> bool:
    """Whether the bundle was opened too; where only public keys were given, nobody here can."""
    found = b"".join(bytes(chunk) for chunk in read_from_medium(path))
    if hashlib.sha256(found).hexdigest() != digest:
        raise StoreError(
            f"{path.name} does not read back as it was written", kept="The keys of the home are as they were.",
            todo="Use another medium.",
        )  # fmt: skip
    opened = False
    for one in recipients:
        if isinstance(one, Passphrase):  # each: the second is for the day on which the first is lost
            if open_with_passphrase(found, one.text) != bundle:
                raise StoreError(f"{path.name} does not hold what was to be written")
            opened = True
    return opened


def _same_disk(home: Path, folder: Path) -> bool:
    try:
        return failure_domain(home) == failure_domain(folder)
    except OSError:
        return False


def _enter(house: House, actor: Actor, bundle: Bundle, *, digest: str, size_bytes: int, place: str) -> None:
    now = house.clock.now()
    row = BackupRow(
        id=f"keys-{digest[:16]}", kind=KEYS, place=place, started_at=from_text(bundle.made_at), ended_at=now.wall,
        outcome=GOOD, size_bytes=size_bytes, encrypted=True,
    )  # fmt: skip
    event = KeysBackedUp(actor=actor.agent, keys=_count(bundle), bundle_sha256=digest, at=bundle.made_at, place=place)
    with house.catalogue.begin() as uow:
        uow.backups.add(row)
        note_backed_up(uow, [one.name for one in bundle.files if one.kind == EPOCH])
        house.recorder.record(uow.outbox, event, at=now)


# --- comparing --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a bundle lacks of a home, and what it has otherwise; names as in the bundle."""

    missing: tuple[str, ...]
    differing: tuple[str, ...]


def compare(house: House, bundle: Bundle) -> Compared:
    """Compare a bundle with the keys this home works with now.

    Raises:
        ConfigError: The bundle is another home's.
    """
    if (bundle.origin, bundle.vkey) != (house.settings.station.origin, house.vkey):
        raise ConfigError(f"this bundle belongs to the home of {bundle.origin}", todo="Compare it with that home.")
    held = {(one.kind, one.name): one.data for one in bundle.files if one.kind != SETTINGS}
    here = {(one.kind, one.name): one.data for one in collect(house).files if one.kind != SETTINGS}
    return Compared(
        missing=tuple(f"{kind} {name}" for kind, name in here if (kind, name) not in held),
        differing=tuple(
            f"{kind} {name}" for (kind, name), data in here.items() if held.get((kind, name), data) != data
        ),
    )


# --- putting back -----------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Restored:
    """What came of each file of a bundle, by name."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    path: Path
    data: bytes


def restore_files(home: Home, bundle: Bundle) -> Restored:
    """Put the keys of a home, and its settings where it has none, in their places. Nothing that is there is replaced.

    Durable on return; cut short, it can be repeated.

    Raises:
        KeyUnavailableError: Another key lies in the place of one; nothing was written.
        ConfigError: The settings that are there name another log.
        InvalidInputError: The bundle holds what no bundle of ours does.
    """
    done = Restored(notes=list(bundle.notes))
    if home.config.exists():
        there = home.config.read_text("utf-8", "replace")
        if parse_text(there).station.origin != bundle.origin:
            raise ConfigError(
                f"the settings of {home.root} name another log than the bundle ({bundle.origin})",
                kept="Nothing was written.", todo="Restore into the right home, or into an empty folder.",
            )  # fmt: skip
    steps = list(_steps(home, bundle))
    for step in steps:
        if step.path.exists() and step.path != home.config and step.path.read_bytes() != step.data:
            raise KeyUnavailableError(
                f"another key lies in the place of {step.name}", kept="Nothing was written.",
                todo=f"Move {step.path} away if the bundle's key is the right one.",
            )  # fmt: skip
    for step in steps:
        if step.path.exists():
            done.kept.append(step.name)
            continue
        make_dirs(step.path.parent, 0o700 if step.path != home.config else 0o750)
        publish_new(step.path, step.data, mode=0o600 if step.path != home.config else 0o640)
        done.written.append(step.name)
    for folder in (home.lock.parent, home.scratch):
        make_dirs(folder, 0o750)
    if home.config.name in done.written:
        # A new home: the service fills its copy of the log from those beside the stores.
        make_dirs(home.public_log.parent)
        create_published_directory(home.public_log)
    return done


def _steps(home: Home, bundle: Bundle) -> Sequence[_Step]:
    known = home_keys(home)
    steps, settings = [], []
    for one in bundle.files:
        if not _PLAIN_NAME.fullmatch(one.name):
            raise InvalidInputError(f"the bundle holds a file with an odd name: {one.name[:80]!r}")
        if one.kind == HOME and one.name in known:
            steps.append(_Step(one.name, known[one.name], one.data))
        elif one.kind == SETTINGS and one.name == home.config.name:
            settings.append(_Step(one.name, home.config, one.data))
    if {step.name for step in steps} != set(known):
        raise InvalidInputError("the bundle does not hold the keys of a home")
    return [*steps, *settings]  # the settings last: they make the folder a home


def restore_master(
    home: Home, settings: Settings, bundle: Bundle, *, passphrase: Callable[[], str], replace: bool, stamp: int
) -> Restored:
    """Put the master key of a bundle in its file, under the passphrase of the settings' file, or a new one.

    Args:
        home: The home.
        settings: Its settings, which say where its master key is.
        bundle: Opened.
        passphrase: Asked for a new passphrase when the settings name a passphrase file that is not there (or ``replace``).
        replace: Move a key file that does not open aside.
        stamp: For the name of what is moved aside.

    Raises:
        KeyUnavailableError: A key file is there that does not open, and ``replace`` was not said; or one that opens and is
            another key, which may be the only one that opens newer footage: it is never moved aside.
    """
    done = Restored()
    wanted = settings.storage.encryption
    held = [one for one in bundle.files if one.kind == MASTER]
    if not held:
        return done
    secret = held[0].data
    if wanted.master != "file":
        target = home.root / "keys" / "master.key.restored"
        if not target.exists():
            master_keys.save(target, secret)
        done.written.append(target.name)
        done.notes.append(
            f"The settings take the master key from {wanted.master}: give it there again from keys/{target.name}, then remove "
            "that file (docs/runbooks/lost-key.md)."
        )
        return done
    target = in_home(home, wanted.master_file)
    secret_file = in_home(home, wanted.passphrase_file) if wanted.passphrase_file is not None else None
    if target.exists():
        there = _master_there(target, secret_file)
        if there == held[0].name:
            done.kept.append(MASTER)
            return done
        if there:
            raise KeyUnavailableError(
                f"{target.name} opens and is another master key ({there}) than the bundle's ({held[0].name})",
                kept="Nothing of it was changed.",
                todo="It may open newer footage: back it up first (liuhen keys backup), and move it away by hand if it must go.",
            )  # fmt: skip
        if not replace:
            raise KeyUnavailableError(
                f"{target.name} is there and does not open as the bundle's master key", kept="Nothing of it was changed.",
                todo="With --replace-master it is moved aside and written again under a new passphrase.",
            )  # fmt: skip
    _write_master(target, secret_file, secret, passphrase=passphrase, replace=replace, stamp=stamp, done=done)
    return done


def _write_master(
    target: Path, secret_file: Path | None, secret: bytes, *, passphrase: Callable[[], str], replace: bool, stamp: int,
    done: Restored,
) -> None:  # fmt: skip
    words: bytes | None = None
    if secret_file is not None:
        if secret_file.exists() and not replace:
            words = read_secret(secret_file)
        else:
            words = passphrase().encode("utf-8")
            if secret_file.exists():  # it may be that of another key, or of a copy of this one
                before = secret_file.with_name(f"{secret_file.name}.before-{stamp}")
                publish_new(before, secret_file.read_bytes(), mode=0o600)
                done.aside.append(before.name)
            write_secret(secret_file, words)
            done.written.append(secret_file.name)
    if target.exists():
        aside = target.with_name(f"{target.name}.before-{stamp}")
        publish_new(aside, target.read_bytes(), mode=0o600)
        done.aside.append(aside.name)
        fresh = target.with_name(f"{target.name}.next")
        fresh.unlink(missing_ok=True)
        master_keys.save(fresh, secret, passphrase=words)
        publish(target, fresh.read_bytes(), mode=0o600)
        fresh.unlink()
    else:
        master_keys.save(target, secret, passphrase=words)
    done.written.append(MASTER)


def restore_epochs(home: Home, settings: Settings, bundle: Bundle) -> Restored:
    """Bring months' keys back that no place beside a store gives any more, or that this master does not open.

    Raises:
        IntegrityError: Another key of a month is in use here. KeyUnavailableError: the master key does not open.
        StoreUnavailableError: No store is there.
    """
    done = Restored()
    held = [one for one in bundle.files if one.kind == EPOCH]
    if not held:
        return done
    clock = SystemClock()
    stores = build_stores(home, settings, suite=digest_suite(), clock=clock, absent_ok=True)
    try:
        ring = KeyRing(
            DeferredMaster(home, settings.storage.encryption), [place_beside(one, clock=clock) for one in stores.raw],
            index=NoIndex(), clock=clock,
        )  # fmt: skip
        for one in held:
            try:
                there = ring.open_epoch(one.name) == one.data
            except KeyUnavailableError:
                there = False
            ring.adopt_epoch(one.name, one.data)
            (done.kept if there else done.written).append(f"{EPOCH} {one.name}")
    finally:
        for store in stores.raw:
            if isinstance(store, S3Store):
                store.close()
    return done


class NoIndex:
    """An index of data keys that knows none: months' keys are put back before there is a catalogue."""

    def find(self, sha256: Digest) -> KeyRecord | None:
        """None."""
        del sha256
        return None

    def add(self, record: KeyRecord) -> None:
        """Nothing."""

    def all(self) -> Iterator[KeyRecord]:
        """None at all."""
        return iter(())


def _master_there(target: Path, secret_file: Path | None) -> str:
    """Who the master key in a file is; empty when it does not open, also not by the passphrase of a change that was cut short."""
    for words in (secret_file, secret_file.with_name(secret_file.name + NEXT)) if secret_file is not None else (None,):
        with contextlib.suppress(EvidenceError):
            passphrase = read_secret(words) if words is not None else None
            return master_keys.FileMaster(target, passphrase=passphrase).id
    return ""


def newest_good(house: House) -> BackupRow | None:
    """The newest key backup that counts."""
    with house.catalogue.read() as uow:
        return uow.backups.newest(KEYS)
