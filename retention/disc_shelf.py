"""Where images and the small files of disc sets lie while discs are made, and how they come back from the stores.

An image holds footage in clear: the folder is this account's alone, and in a home that encrypts it must lie in a protected place
(the composition root refuses another). Images go when the set is registered; the bundle and the records are filed with the set
as well, so that this folder may be lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from catalogue import Catalogue
from discs.image import DiscImage, forget_image, parse_record
from evidence.digest import SHA256, Digest, sha256_of
from evidence.durable import exclusive_lock, make_dirs, publish_new
from evidence.errors import DiscError, EvidenceError
from evidence.ids import MatterId
from evidence.model import Actor
from retention.disc_bundle import DiscBundle, parse_bundle
from storage.stores import StoreSet


class Filer(Protocol):
    """Files a document with a matter, write-once (the engine's)."""

    def file_made(
        self, actor: Actor | None, matter: MatterId, *, role: str, name: str, media_type: str, data: bytes
    ) -> Any:
        """File it; durable on return."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscShelf:
    """The folder of images.

    Attributes:
        folder: Below it one folder per set.
        stores: Where filed documents and recordings are.
        catalogue: What was filed.
        filer: Files bundle and records with the set.
        ready: Refuses while the folder is in no protected place.
    """

    folder: Path
    stores: StoreSet
    catalogue: Catalogue
    filer: Filer
    ready: Callable[[], None]

    def of(self, number: str) -> Path:
        """The folder of a set."""
        return self.folder / number

    @contextlib.contextmanager
    def held(self, number: str) -> Iterator[Path]:
        """The folder of a set for one process at a time.

        Raises:
            HomeLockedError: Another process works on this set. StoreError: no protected place.
        """
        self.ready()
        folder = self.of(number)
        make_dirs(folder, 0o700)
        with exclusive_lock(folder / "work.lock"):
            yield folder

    def keep(self, actor: Actor, matter: MatterId, number: str, *, role: str, data: bytes) -> str:
        """Keep a small file of a set here and among its documents; its digest. The same bytes again change nothing."""
        digest = sha256_of(data)
        publish_new(self.of(number) / "kept" / f"{digest.hex}.json", data)
        if not self._filed(matter, digest):
            name = f"{number}-{role}.json"
            self.filer.file_made(actor, matter, role=role, name=name, media_type="application/json", data=data)
        return digest.hex

    def _filed(self, matter: MatterId, digest: Digest) -> bool:
        with self.catalogue.read() as uow:
            return any(one.sha256 == digest for one in uow.matters.documents(matter))

    def kept(self, number: str, sha256: str) -> bytes:
        """A small file that was kept, from here or from any store, whichever still has the right bytes.

        Raises:
            DiscError: Nobody has it any more.
        """
        wanted = Digest(SHA256, sha256)
        with contextlib.suppress(OSError):
            data = (self.of(number) / "kept" / f"{sha256}.json").read_bytes()
            if sha256_of(data) == wanted:
                return data
        for store in self.stores.all:
            with contextlib.suppress(EvidenceError, OSError), store.open(wanted) as stream:
                data = stream.read()
                if sha256_of(data) == wanted:
                    return data
        raise DiscError(
            f"the list or record {sha256[:12]} of {number} is not kept any more", todo="Check the disc by itself."
        )

    def bundle(self, number: str, sha256: str) -> DiscBundle:
        """The list of a set and its small files; DiscError as :meth:`kept`."""
        return parse_bundle(self.kept(number, sha256))

    def record(self, number: str, sha256: str) -> DiscImage:
        """The record of an image; DiscError as :meth:`kept`."""
        return parse_record(self.kept(number, sha256))

    def clear(self, number: str, discs: int) -> None:
        """Remove the images of a set; what was kept small stays."""
        for disc in range(1, discs + 1):
            forget_image(self.of(number), disc)
