"""Events about keeping: copies made and removed, rounds, inventories, locks, the brake, backups, moves between stores.

Read :mod:`evidence.events` first; these are event types like those there.
"""

from __future__ import annotations

from dataclasses import dataclass

from evidence.event import Event, personal


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMade(Event):
    """Bytes that were stored before got copies that were read back and matched; ``copies`` as in ``recording.stored``.

    ``reason``: ``catch-up`` (a store had been away), ``repair`` (the copy there was bad), ``migration``, ``restore``,
    ``cold`` (a further copy of long-term footage).
    """

    TYPE = "copy.made"
    blob_sha256: str
    copies: list[dict[str, str]]
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRemoved(Event):
    """One copy was removed on purpose, its absence was looked at; the others stay (a store was given up)."""

    TYPE = "copy.removed"
    blob_sha256: str
    store: str
    key: str
    version: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesReleased(Event):
    """A holder needs these bytes no more. ``removed`` tells whether it was the last one, so that they went everywhere.

    ``copies`` are those removed and looked for in vain afterwards; ``key_sha256`` is the digest of the wrapped data key that was
    destroyed with them, empty where the bytes were not encrypted.
    """

    TYPE = "bytes.released"
    blob_sha256: str
    holder: str
    removed: bool
    copies: list[dict[str, str]]
    key_sha256: str = ""
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKeyMade(Event):
    """From now on data keys are wrapped by this epoch key; ``wrapped_sha256`` is its digest as kept, wrapped by ``master``."""

    TYPE = "key.epoch-made"
    epoch: str
    master: str
    wrapped_sha256: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysBackedUp(Event):
    """The keys of this home were written to a place outside of it and read back; ``keys`` is how many."""

    TYPE = "keys.backed-up"
    keys: int
    bundle_sha256: str
    at: str
    place: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityRound(Event):
    """A round through all copies began (``state`` ``started``) or ended; ``size_bytes`` is a decimal text."""

    TYPE = "fixity.round"
    round: int
    state: str
    copies: int
    good: int
    bad: int
    size_bytes: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryTaken(Event):
    """What a store holds was counted and compared with the catalogue and with the count before.

    ``digest`` is the SHA-256 over the ascending list of all digests (hexadecimal, one a line); ``size_bytes`` a decimal text.
    """

    TYPE = "inventory.taken"
    store: str
    objects: int
    size_bytes: str
    digest: str
    missing: int
    unknown: int
    outcome: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocksRenewed(Event):
    """The removal dates of a store's copies were moved later where they would have lapsed; ``failed`` could not be."""

    TYPE = "locks.renewed"
    store: str
    renewed: int
    failed: int
    soonest: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeChanged(Event):
    """Removal of bytes is stopped (``pulled``) or allowed again.

    ``reason``: ``volume``, ``inventory-drop`` (the service itself), ``person``, ``released``.
    """

    TYPE = "brake.changed"
    pulled: bool
    reason: str
    at: str
    detail: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupMade(Event):
    """A consistent backup of this home was written and read back; ``log_size`` is the tree size it holds."""

    TYPE = "backup.made"
    backup: str
    log_size: int
    size_bytes: str
    encrypted: bool
    manifest_sha256: str
    at: str
    place: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRestored(Event):
    """This home was restored from a backup; the ``replayed`` entries after it came from the published log."""

    TYPE = "backup.restored"
    backup: str
    log_size: int
    replayed: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMoved(Event):
    """Copies move from one store to another: ``begun``, ``switched``, ``ended`` (the old store was given up), ``stopped``."""

    TYPE = "store.moved"
    source: str
    target: str
    state: str
    copies: int
    size_bytes: str
    at: str
