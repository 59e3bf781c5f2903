"""Key records beside every store against the index: a key that only the database still has is lost with the database.

Copies are read with the index's record, so a record that is gone or damaged beside a store shows in no reading. Here each is
read and compared, in every place that answers; nothing is repaired (the hourly look at keys does that).

Source: docs/formats/store.md section "Encrypted objects"; docs/runbooks/lost-key.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from assurance.copy_checks import recording_of
from assurance.key_checks import KEY_MISSING
from assurance.report import Finding, VerifyProgress
from catalogue import Catalogue
from catalogue.records import BlobRow
from evidence.data_keys import KeyIndex, KeyRecord
from evidence.digest import Digest
from evidence.errors import (
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    MasterKeyUnavailableError,
    StoreUnavailableError,
)
from evidence.ports import BlobStore
from storage import key_records as records
from storage.chunked import KEY_BYTES
from storage.master_keys import MasterKey


class Place(Protocol):
    """Small files beside a store (``storage.key_places.KeyPlace``)."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None when there is none."""
        ...

    def paths(self, under: str) -> Iterator[str]:
        """Paths of all files below a folder."""
        ...


class Ring(Protocol):
    """The keys of one home (``storage.keyring.KeyRing``)."""

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the stores beside which keys lie."""
        ...

    @property
    def index(self) -> KeyIndex:
        """Where records are looked up."""
        ...

    @property
    def master(self) -> MasterKey:
        """The master key."""
        ...

    def place(self, name: str) -> Place:
        """The place beside a store."""
        ...

    def key_of(self, record: KeyRecord) -> bytes:
        """An object's data key; raises where the record does not open or is not proved."""
        ...

    def open_epoch(self, epoch: str) -> bytes:
        """A month's key; KeyUnavailableError when it does not open."""
        ...


def _silent(step: str, done: int, total: int) -> None:
    del step, done, total


def check_key_records(
    catalogue: Catalogue, *, stores: Mapping[str, BlobStore], progress: VerifyProgress = _silent,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Finding]:  # fmt: skip
    """Read every key record of the index, and every month's key, beside every store; one read a record and place.

    Memory does not grow with the number of objects. A place that does not answer is told once and is no damage.

    Args:
        catalogue: The home's database.
        stores: Its stores by name; nothing is looked at where they do not encrypt.
        progress: Told of every record.
        stop: Asked before every record: whether to leave off.
    """
    ring: Ring | None = next(filter(None, (getattr(store, "ring", None) for store in stores.values())), None)
    if ring is None:  # no store encrypts
        return
    with catalogue.read() as uow:
        given_up, total = uow.moves.old(), uow.blob_keys.count()
    look = _Look(catalogue, ring, [name for name in ring.places if name in stores and name not in given_up])
    done = 0
    for record in ring.index.all():
        if stop():
            return
        if not record.destroyed:
            done += 1
            yield from look.at(record)
            progress("catalogue", done, total)
    yield from look.at_months()
    yield from look.told_away()


class _Look:
    """One look through all places."""

    def __init__(self, catalogue: Catalogue, ring: Ring, names: list[str]) -> None:
        self._catalogue = catalogue
        self._ring = ring
        self._names = names
        self._away: dict[str, str] = {}
        self._proving = True
        #: Months that records beside a store need, by store.
        self._used: defaultdict[str, set[str]] = defaultdict(set)

    def at(self, record: KeyRecord) -> Iterator[Finding]:
        """One object's record in every place."""
        blob = self._blob(record.sha256)
        if blob is None:
            return  # a record without an object is harmless
        if not self._believed(record):
            detail = f"{record.sha256}: the key record of the catalogue is not proved by its key"
            yield Finding(kind="catalogue-differs", recording=self._recording(blob), detail=detail)
            return
        for name in self._names:
            trouble, missing = self._trouble(name, record)
            if not missing and not trouble:
                if any(copy.store == name for copy in blob.copies):
                    self._used[name].add(record.epoch)
                continue
            now = self._blob(record.sha256)  # it may have been disposed of, or its store given up, meanwhile
            if now is None or self._ring.index.find(record.sha256) != record:
                return
            if missing and not any(copy.store == name for copy in now.copies):
                continue
            detail = f"{record.sha256}: its key record beside this store {trouble}"
            yield Finding(kind=KEY_MISSING, recording=self._recording(now), store=name, detail=detail)

    def _trouble(self, name: str, record: KeyRecord) -> tuple[str, bool]:
        """What is wrong with a record in a place (empty: nothing, or the place is away), and whether it is missing."""
        if name in self._away:
            return "", False
        try:
            text = self._ring.place(name).read(records.record_path(record.sha256))
        except StoreUnavailableError as error:
            self._away[name] = error.what
            return "", False
        except EvidenceError as error:
            if error.fatal:
                raise
            return f"cannot be read: {error.what}", False
        if text is None:
            return "is missing", True
        return _against(text, record), False

    def _believed(self, record: KeyRecord) -> bool:
        """Whether the index's own record is proved, or cannot be examined."""
        if not self._proving:
            return True
        try:
            self._ring.key_of(record)
        except MasterKeyUnavailableError:
            self._proving = False
        except (KeyUnavailableError, IntegrityError):
            try:
                self._ring.open_epoch(record.epoch)
            except EvidenceError:
                return True  # its month is the trouble, which is told of
            return False
        return True

    # --- months' keys -----------------------------------------------------------------------------------------------
    def at_months(self) -> Iterator[Finding]:
        """Every month's key in every place."""
        paths: set[str] = set()
        for name in self._names:
            try:
                paths.update(self._ring.place(name).paths("epochs") if name not in self._away else ())
            except StoreUnavailableError as error:
                self._away[name] = error.what
        master = ""
        try:
            self._ring.master.unwrap(self._ring.master.wrap(bytes(KEY_BYTES)))  # a token that fails makes no key bad
            master = self._ring.master.id
            paths |= {records.epoch_path(month, master) for months in self._used.values() for month in months}
        except KeyUnavailableError:
            pass  # which of them is the good one cannot be said; that they are the same can
        for path in sorted(paths):
            yield from self._at_month(path, ours=bool(master) and path.endswith(f"/{master}.json"))

    def _at_month(self, path: str, *, ours: bool) -> Iterator[Finding]:
        month, good = path.split("/")[1], dict[str, bytes]()
        for name in self._names:
            if name in self._away:
                continue
            try:
                text = self._ring.place(name).read(path)
                if text is not None:
                    good[name] = records.EpochFile.parse(text, path).wrapped
                    if ours:
                        self._ring.master.unwrap(good[name])
                elif month in self._used[name]:
                    yield self._month(name, month, "is missing")
            except StoreUnavailableError as error:
                self._away[name] = error.what
            except MasterKeyUnavailableError:
                ours = False
            except EvidenceError as error:
                if error.fatal:
                    raise
                good.pop(name, None)
                yield self._month(name, month, "is damaged")
        if len(set(good.values())) > 1:
            for name in good:
                yield self._month(name, month, "is another one than beside another store")

    def told_away(self) -> Iterator[Finding]:
        """Places that did not answer."""
        for name, why in self._away.items():
            yield Finding(kind="store-unavailable", store=name, detail=f"the keys beside it were not looked at: {why}")

    @staticmethod
    def _month(name: str, month: str, what: str) -> Finding:
        return Finding(kind=KEY_MISSING, store=name, detail=f"the key of {month} beside this store {what}")

    # --- inside -----------------------------------------------------------------------------------------------------
    def _blob(self, sha256: Digest) -> BlobRow | None:
        with self._catalogue.read() as uow:
            return uow.blobs.get(sha256)

    def _recording(self, blob: BlobRow) -> str:
        return recording_of(self._catalogue, blob.holders)


def _against(text: bytes, record: KeyRecord) -> str:
    """What is wrong with what stands in a record's place; empty when nothing is."""
    if text == records.record_text(record):
        return ""
    try:
        records.parse_record(text)
    except IntegrityError:
        return "is damaged"
    return "is not the one of the catalogue"
