"""The stores of one home: a primary on whose disk recordings are acquired, and others that get copies.

Failure domains are asked of the stores as they are now, not as they were when a copy was made: two stores moved to one disk
are one domain from then on (promise 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from evidence.digest import Digest
from evidence.errors import BlobNotFoundError, ConfigError, NotFoundError
from evidence.model import Copy, PutReceipt
from evidence.ports import BlobStore, PartialStore
from storage.local import LocalStore
from storage.reading import ReadBack


class PrimaryStore(BlobStore, PartialStore, Protocol):
    """A store on whose disk recordings are acquired: a local one, or one that encrypts on its way there."""

    def reading_back(self, sha256: Digest, expected: Digest) -> ReadBack:
        """What ``verify`` reads from the medium, as a stream of plain bytes."""
        ...


class DestroysKeys(Protocol):
    """The keys of encrypted blobs, as far as a set of stores needs them (``storage.keyring.KeyRing``)."""

    def destroy(self, sha256: Digest) -> str:
        """Destroy a blob's key for good; the digest of the wrapped key. BlobNotFoundError when it never had one."""
        ...


def inner_of(store: BlobStore) -> BlobStore:
    """The store that keeps the bytes: what an encrypting one wraps, else the store itself."""
    inner: BlobStore = getattr(store, "inner", store)
    return inner


def ensure_key(store: BlobStore, sha256: Digest) -> None:
    """Have the key of an encrypted object durable beside this very store; nothing to do for plain bytes.

    Raises:
        StoreError: The place for keys does not take it. IntegrityError: another key stands there. KeyUnavailableError.
    """
    keep = getattr(store, "ensure_key", None)
    if keep is not None:
        keep(sha256)


class StoreSet:
    """All stores of a home, by name.

    Whoever reads, writes or checks blobs uses ``all``, ``primary``, ``others`` and ``named``: they speak of plain bytes, however
    these lie there. Who needs the folder or the bucket itself uses ``raw``.

    Args:
        primary: Where recordings are acquired.
        others: Where copies go, in the order of preference.

        ring: The keys of encrypted blobs; None where nothing is encrypted.

    Raises:
        ConfigError: Two stores have one name.
    """

    def __init__(
        self, primary: PrimaryStore, others: Sequence[BlobStore] = (), *, ring: DestroysKeys | None = None
    ) -> None:
        self.ring = ring
        self.primary = primary
        self.all: tuple[BlobStore, ...] = (primary, *others)
        self.raw: tuple[BlobStore, ...] = tuple(inner_of(store) for store in self.all)
        self._by_name = {store.properties.name: store for store in self.all}
        if len(self._by_name) != len(self.all):
            raise ConfigError("two stores have the same name", todo="Give every store its own name.")

        self._old: frozenset[str] = frozenset()
        self._cold = ""

    @property
    def old(self) -> frozenset[str]:
        """Stores that were moved away from: read and checked like the others, never written to, counted for no policy."""
        return self._old

    def retire(self, names: Iterable[str]) -> None:
        """Say which stores are old ones. Names of stores that this home no longer has are left out.

        Raises:
            ConfigError: The primary is one of them: nothing new may go there.
        """
        old = frozenset(names) & self._by_name.keys()
        if self.primary.properties.name in old:
            raise ConfigError(
                f"the first store, {self.primary.properties.name}, was moved away from",
                todo="Put the store that took its place first in config.toml, or stop the move.",
            )
        self._old = old

    @property
    def taking(self) -> tuple[BlobStore, ...]:
        """Stores that get new copies, the primary first: all but the old ones and the cold one."""
        aside = {*self._old, self._cold}
        return tuple(store for store in self.all if store.properties.name not in aside)

    @property
    def cold(self) -> str:
        """The store that gets copies of long-term footage only (``assurance.cold``); empty where there is none."""
        return self._cold

    def lay_aside(self, cold: str) -> None:
        """Say which store is the cold one.

        Raises:
            ConfigError: There is none of that name, or it is the primary.
        """
        if cold and (cold not in self._by_name or cold == self.primary.properties.name):
            raise ConfigError(
                f"{cold!r} cannot be the cold store", todo="Name a store other than the first in storage.cold."
            )
        self._cold = cold

    @property
    def others(self) -> tuple[BlobStore, ...]:
        """Stores that get copies of what the primary took in."""
        return self.taking[1:]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order, the primary first."""
        return tuple(self._by_name)

    @property
    def local(self) -> tuple[LocalStore, ...]:
        """The stores that are folders on this machine (each carries the public log)."""
        return tuple(store for store in self.raw if isinstance(store, LocalStore))

    def __iter__(self) -> Iterator[BlobStore]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def named(self, name: str) -> BlobStore:
        """The store of that name; NotFoundError when the home has none."""
        try:
            return self._by_name[name]
        except KeyError as error:
            raise NotFoundError(f"no store is called {name[:64]!r}") from error

    def domain_of(self, name: str) -> str:
        """Failure domain a store lies in now."""
        return self.named(name).properties.domain

    def domains(self, copies: Iterable[Copy]) -> set[str]:
        """Failure domains over which these copies spread today; copies in stores this home no longer has do not count.

        Whether a copy was read back is the caller's question (``Copy.read_back_at``): filter before.
        """
        return {self.domain_of(copy.store) for copy in copies if copy.store in self}

    def all_domains(self) -> set[str]:
        """Failure domains of the stores that get copies: fewer than two means that no recorder can ever be cleared."""
        return {store.properties.domain for store in self.taking}

    def destroy_key(self, sha256: Digest) -> str:
        """Destroy the key of an encrypted blob for good, beside every store: nobody can read it any more, in any copy or backup.

        Open no write transaction around it: the ring has its own. May be called again until every place is clean.

        Returns:
            Digest (hex) of the wrapped key that is gone; empty for a blob that is not encrypted.

        Raises:
            StoreUnavailableError: The key is destroyed, but a place that is away still has its record: call again.
        """
        if self.ring is None:
            return ""
        try:
            return self.ring.destroy(sha256)
        except BlobNotFoundError:
            return ""

    def copy(self, store: BlobStore, receipt: PutReceipt, *, read_back_at: datetime | None = None) -> Copy:
        """The catalogue's word for a receipt."""
        properties = store.properties
        return Copy(
            store=properties.name,
            domain=properties.domain,
            key=receipt.key,
            version=receipt.version,
            read_back_at=read_back_at,
        )
