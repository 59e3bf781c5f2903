"""Where a copy of the published log lies: a folder of this machine or a bucket. Sealer, readers and release know only this.

Paths are the ones of C2SP tlog-tiles, relative and with ``/``. Nothing in the log is personal, so a place may be public.

Source: C2SP tlog-tiles; docs/formats/log.md; docs/invariants.md 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol


class LogPlace(Protocol):
    """One copy of the published log. Every method raises StoreUnavailableError when the place does not answer."""

    @property
    def domain(self) -> str:
        """Failure domain it lies in now; StoreUnavailableError when that cannot be told."""
        ...

    @property
    def remote(self) -> bool:
        """Whether every look is a request to a server: then nobody looks again only to see that nothing changed."""
        ...

    def create(self) -> None:
        """Make it, empty, durable on return; does nothing when it is there."""
        ...

    def identity(self) -> Hashable:
        """Changes when another medium stands in for this one (a disk that was unmounted)."""
        ...

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """The bytes of one file; one byte more than the limit when it is larger.

        Raises:
            NotFoundError: It is not there.
        """
        ...

    def publish(self, path: str, data: bytes) -> None:
        """Replace one file; readers see the old or the new bytes. Durable on return."""
        ...

    def publish_many(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Like :meth:`publish` for several files in no order; all durable on return."""
        ...

    def remove_partials(self, folder: str) -> None:
        """Remove a folder of partial tiles whose full one is published. Best effort: a left-over is only untidy."""
        ...

    def remove_temporary(self, folders: Sequence[str]) -> None:
        """Remove what a crash inside :meth:`publish` can leave in these folders."""
        ...
