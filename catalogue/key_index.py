"""The catalogue as the index in which encrypted stores find their keys: every call is a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator

from catalogue.catalogue import Catalogue
from evidence.data_keys import KeyRecord
from evidence.digest import Digest


class CatalogueKeyIndex:
    """Implements ``evidence.data_keys.KeyIndex``. Must not be called inside of a write transaction of the same thread.

    Args:
        catalogue: The home's catalogue.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def find(self, sha256: Digest) -> KeyRecord | None:
        """The record of a plain object, also one whose key was destroyed."""
        with self._catalogue.read() as uow:
            return uow.blob_keys.find(sha256)

    def add(self, record: KeyRecord) -> None:
        """Take a record in; durable on return. IntegrityError when another live key is known for these bytes."""
        with self._catalogue.begin() as uow:
            uow.blob_keys.add(record)

    def all(self) -> Iterator[KeyRecord]:
        """Every record, ascending by the plain digest, a page a transaction."""
        after: Digest | None = None
        while True:
            with self._catalogue.read() as uow:
                page = uow.blob_keys.page(after)
            if not page:
                return
            yield from page
            after = page[-1].sha256
