"""How the keys of a home are: whether they open, lie everywhere they must, and could be brought back if the home burned down.

One look for the health page, ``doctor`` and ``liuhen keys status``. Nothing is repaired here.

Source: docs/runbooks/encryption.md, key-escrow.md; docs/adr/0009-encryption.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from catalogue import Catalogue, UnitOfWork
from catalogue.backups import KEYS
from chain_of_custody.entry import parse
from evidence.clock import Clock, to_text, unix_ms, utc_from_ms
from evidence.disks import open_swap, why_readable
from evidence.durable import failure_domain
from evidence.errors import EvidenceError

#: So long a key may be in no backup before it is an alarm.
BACKUP_WITHIN: Final = timedelta(days=7)
_MADE: Final = "keys.made"
_BACKED_UP: Final = "keys.backed-up"
_DAMAGED: Final = "keys.damaged"


def keys_made(uow: UnitOfWork) -> dict[str, datetime]:
    """Keys of this home besides those of ``init``, and since when they exist."""
    try:
        found = json.loads(uow.settings.get(_MADE) or "{}")
        return {str(name): utc_from_ms(int(at)) for name, at in found.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        return {}


def note_key_made(uow: UnitOfWork, name: str, at: datetime) -> None:
    """Remember since when a key exists."""
    known = {one: unix_ms(since) for one, since in keys_made(uow).items()}
    uow.settings.put(_MADE, json.dumps(known | {name: unix_ms(at)}, sort_keys=True))


def epoch_name(epoch: str, master: str) -> str:
    """Under which name the key of a month is remembered."""
    return f"epoch:{epoch}:{master}"


def months_made(uow: UnitOfWork) -> set[str]:
    """Every month of which this home remembers that it made a key."""
    return {name.split(":")[1] for name in keys_made(uow) if name.startswith("epoch:")}


def note_backed_up(uow: UnitOfWork, months: Collection[str]) -> None:
    """Remember of which months the newest backup holds the keys: the clock may have been wrong, or a store with a key away."""
    uow.settings.put(_BACKED_UP, json.dumps(sorted(months)))


def forget_backed_up(uow: UnitOfWork) -> None:
    """The log tells of backups, not of what is in them: times must do until the next."""
    uow.settings.put(_BACKED_UP, "null")


def _backed_up(uow: UnitOfWork) -> set[str] | None:
    try:
        return {str(name) for name in json.loads(uow.settings.get(_BACKED_UP) or "null")}
    except (ValueError, TypeError):
        return None


def damaged_places(uow: UnitOfWork) -> dict[str, int]:
    """Stores beside which the newest look found keys that it could not mend, and how many (a hundred are enough to know)."""
    try:
        return {
            str(name): int(many) for name, many in json.loads(uow.settings.get(_DAMAGED) or "{}").items() if int(many)
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def note_damaged(uow: UnitOfWork, store: str, many: int) -> None:
    """Remember how many keys beside a store could not be mended; 0 when all are good."""
    known = damaged_places(uow)
    if known.get(store, 0) != many:
        uow.settings.put(_DAMAGED, json.dumps(known | {store: many}, sort_keys=True))


class MonthKey(Protocol):
    """A month's key as it is kept (``storage.epoch_keys.EpochKey``)."""

    @property
    def epoch(self) -> str:
        """The month."""
        ...

    @property
    def master(self) -> str:
        """Who wraps it."""
        ...

    @property
    def made_at(self) -> datetime:
        """When it was made."""
        ...

    @property
    def places(self) -> tuple[str, ...]:
        """Stores beside which it lies."""
        ...


class Ring(Protocol):
    """The keys of encrypted footage (``storage.keyring.KeyRing``)."""

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the stores beside which keys lie."""
        ...

    def epochs(self) -> Sequence[MonthKey]:
        """Every month's key; StoreUnavailableError when no place answers."""
        ...


class Master(Protocol):
    """A master key (``storage.master_keys.MasterKey``)."""

    @property
    def id(self) -> str:
        """Who it is; KeyUnavailableError when it does not open."""
        ...

    @property
    def kind(self) -> str:
        """Where it is kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParts:
    """What is looked at.

    Attributes:
        enabled: Whether new bytes are encrypted.
        ring: The keys of encrypted footage; None where nothing is encrypted.
        master: The master key; None with the ring.
        scratch: Where plain files lie for a moment; None with the ring.
        secrets: Files that open the master key (key file, passphrase file), where it lies in files.
        stores: Folders of the stores on this machine, by name.
        made: Keys made here besides those of the set-up and the months, by name, and since when.
    """

    enabled: bool
    ring: Ring | None = None
    master: Master | None = None
    scratch: Path | None = None
    secrets: tuple[Path, ...] = ()
    stores: Mapping[str, Path] | None = None
    made: Callable[[], Mapping[str, datetime]] = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterState:
    """The master key: ``trouble`` says why it does not open, empty when it does; ``id`` is empty then."""

    kind: str
    id: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochState:
    """A month's key: ``missing`` are the stores beside which it does not lie."""

    epoch: str
    master: str
    made_at: datetime
    places: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysState:
    """Everything that was found.

    Attributes:
        enabled: Whether new bytes are encrypted.
        master: None where nothing is encrypted.
        epochs: Months' keys.
        epochs_trouble: Why they cannot be listed.
        encrypted: Objects with a key.
        plain: Objects without one, and ``plain_bytes`` of them.
        destroyed: Keys that were destroyed.
        scratch: Path for plain files.
        scratch_trouble: Why plain files may not lie there, empty when they may.
        swap: Swap areas from which memory could be read.
        beside: Stores on whose disk everything lies that opens the master key.
        newest_key_at: When the newest key was made.
        backup_at: Every key made before is in the newest backup; None when there is none.
        backup_place: Where that is.
        backup_due: A key older than seven days is in no backup.
        covered: Every key is in the newest backup.
        damaged: Stores beside which keys are damaged and could not be mended, as the newest regular look found.
    """

    enabled: bool
    master: MasterState | None = None
    epochs: tuple[EpochState, ...] = ()
    epochs_trouble: str = ""
    encrypted: int = 0
    plain: int = 0
    plain_bytes: int = 0
    destroyed: int = 0
    scratch: str = ""
    scratch_trouble: str = ""
    swap: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    newest_key_at: datetime | None = None
    backup_at: datetime | None = None
    backup_place: str = ""
    backup_due: bool = False
    covered: bool = False
    damaged: tuple[str, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether something must be done now."""
        unlike = any(epoch.missing for epoch in self.epochs)
        trouble = self.master is not None and bool(self.master.trouble)
        return trouble or unlike or bool(self.epochs_trouble or self.scratch_trouble or self.damaged) or self.backup_due

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        master = self.master
        return {
            "enabled": self.enabled,
            "master": {"kind": master.kind, "id": master.id, "trouble": master.trouble} if master else None,
            "epochs": [
                {
                    "epoch": one.epoch, "master": one.master, "made_at": to_text(one.made_at),
                    "places": list(one.places), "missing": list(one.missing),
                }
                for one in self.epochs
            ],
            "epochs_trouble": self.epochs_trouble,
            "damaged_beside": list(self.damaged),
            "objects": {
                "encrypted": self.encrypted, "plain": self.plain, "plain_bytes": self.plain_bytes,
                "destroyed": self.destroyed,
            },
            "scratch": {"path": self.scratch, "trouble": self.scratch_trouble, "swap": list(self.swap)},
            "master_beside_stores": list(self.beside),
            "newest_key_at": _text(self.newest_key_at),
            "backup": {"made_at": _text(self.backup_at), "place": self.backup_place, "due": self.backup_due},
        }  # fmt: skip


def _text(at: datetime | None) -> str:
    return to_text(at) if at is not None else ""


def keys_state(catalogue: Catalogue, parts: KeyParts, *, clock: Clock) -> KeysState:
    """Look at everything now."""
    epochs, trouble = _epochs(parts)
    made = [epoch.made_at for epoch in epochs]
    with catalogue.read() as uow:
        held = _backed_up(uow)
        first = next(iter(uow.outbox.rows(0, 1)), None)
        backup = uow.backups.newest(KEYS)
        encrypted, destroyed = uow.blob_keys.count(), uow.blob_keys.count(destroyed=True)
        plain, plain_bytes = uow.blob_keys.plain()
        damaged = damaged_places(uow)
    if first is not None:
        made.append(parse(first.envelope).at)
    made += parts.made().values()
    backup_at = backup.started_at if backup is not None else None
    waiting = [at for at in made if backup_at is None or at > backup_at]
    if held is not None:
        waiting += [epoch.made_at for epoch in epochs if epoch.epoch not in held]
    now = clock.now().wall
    return KeysState(
        enabled=parts.enabled, master=_master(parts), epochs=tuple(epochs), epochs_trouble=trouble,
        encrypted=encrypted, plain=plain, plain_bytes=plain_bytes, destroyed=destroyed,
        scratch=str(parts.scratch) if parts.scratch is not None else "", scratch_trouble=_scratch(parts),
        swap=tuple(open_swap()) if parts.ring is not None else (), beside=_beside(parts),
        newest_key_at=max(made, default=None), backup_at=backup_at,
        backup_place=backup.place if backup is not None else "",
        backup_due=any(now - at > BACKUP_WITHIN for at in waiting), covered=not waiting,
        damaged=tuple(name for name in parts.ring.places if name in damaged) if parts.ring is not None else (),
    )  # fmt: skip


def _master(parts: KeyParts) -> MasterState | None:
    if parts.master is None:
        return None
    try:
        return MasterState(kind=parts.master.kind, id=parts.master.id)
    except EvidenceError as error:
        return MasterState(kind=parts.master.kind, trouble=error.diagnostics())


def _epochs(parts: KeyParts) -> tuple[list[EpochState], str]:
    if parts.ring is None:
        return [], ""
    try:
        return [
            EpochState(
                epoch=one.epoch, master=one.master, made_at=one.made_at, places=one.places,
                missing=tuple(name for name in parts.ring.places if name not in one.places),
            )
            for one in parts.ring.epochs()
        ], ""  # fmt: skip
    except EvidenceError as error:
        return [], error.diagnostics()


def _scratch(parts: KeyParts) -> str:
    if parts.scratch is None:
        return ""
    place = parts.scratch if parts.scratch.exists() else parts.scratch.parent
    try:
        return why_readable(place)
    except OSError as error:
        return f"{place} cannot be looked at: {error.strerror}"


def _beside(parts: KeyParts) -> tuple[str, ...]:
    """Stores whose disk alone would give footage and key to whoever carries it away."""
    if not parts.secrets or parts.ring is None:
        return ()
    try:
        needed = [failure_domain(path) for path in parts.secrets if why_readable(path)]
        if len(needed) < len(parts.secrets):
            return ()  # one of them lies where a thief of disks cannot read it
        found = [
            name
            for name, root in (parts.stores or {}).items()
            if why_readable(root) and all(domain == failure_domain(root) for domain in needed)
        ]
    except OSError:
        return ()
    return tuple(found)
