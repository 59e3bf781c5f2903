"""The stores of one home: a primary on whose disk recordings are acquired, and others that get copies.

Failure domains are asked of the stores as they are now, not as they were when a copy was made: two stores moved to one disk
are one domain from then on (promise 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from evidence.digest import Digest
from evidence.errors import ConfigError, NotFoundError
from evidence.model import Copy, PutReceipt
from evidence.ports import BlobStore, PartialStore
from storage.local import LocalStore
from storage.reading import ReadBack


class PrimaryStore(BlobStore, PartialStore, Protocol):
    """A store on whose disk recordings are acquired: a local one, or one that encrypts on its way there."""

    def reading_back(self, sha256: Digest, expected: Digest) -> ReadBack:
        """What ``verify`` reads from the medium, as a stream of plain bytes."""
        ...


def inner_of(store: BlobStore) -> BlobStore:
    """The store that keeps the bytes: what an encrypting one wraps, else the store itself."""
    inner: BlobStore = getattr(store, "inner", store)
    return inner


class StoreSet:
    """All stores of a home, by name.

    Whoever reads, writes or checks blobs uses ``all``, ``primary``, ``others`` and ``named``: they speak of plain bytes, however
    these lie there. Who needs the folder or the bucket itself uses ``raw``.

    Args:
        primary: Where recordings are acquired.
        others: Where copies go, in the order of preference.

    Raises:
        ConfigError: Two stores have one name.
    """

    def __init__(self, primary: PrimaryStore, others: Sequence[BlobStore] = ()) -> None:
        self.primary = primary
        self.others: tuple[BlobStore, ...] = tuple(others)
        self.all: tuple[BlobStore, ...] = (primary, *self.others)
        self.raw: tuple[BlobStore, ...] = tuple(inner_of(store) for store in self.all)
        self._by_name = {store.properties.name: store for store in self.all}
        if len(self._by_name) != len(self.all):
            raise ConfigError("two stores have the same name", todo="Give every store its own name.")

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
        """Failure domains of all stores: fewer than two means that no recorder can ever be cleared."""
        return {store.properties.domain for store in self.all}

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
