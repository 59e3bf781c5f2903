"""What bringing a place for keys up to date found and did, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from evidence.digest import Digest

_NAMED_MAX: Final = 1_000


@dataclass(slots=True)
class SyncReport:
    """What bringing a place up to date did.

    Attributes:
        place: Its name.
        copied: Files that it lacked and has now (read back).
        found: Records that only it had, taken into the index.
        removed: Records whose key had been destroyed while it was away.
        given: Objects whose record the place lacked and has now.
        mended: Objects whose record was damaged there and was written anew; the damaged bytes lie aside.
        damaged: Objects whose record is damaged there, or contradicts the index, and could not be mended.
        problems: What a person must look at: malformed or contradicting files. Nothing of these was changed.
        whole: Whether everything was looked at (False: stopped before its end).
    """

    place: str
    copied: int = 0
    found: int = 0
    removed: int = 0
    given: list[Digest] = field(default_factory=list)
    mended: list[Digest] = field(default_factory=list)
    damaged: list[Digest] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    whole: bool = False

    def problem(self, what: str) -> None:
        """Note one; a hundred are enough to know."""
        if len(self.problems) < 100:
            self.problems.append(what)

    def name(self, objects: list[Digest], sha256: Digest) -> None:
        """Name an object in one of the lists; so many are named, the next look names the others."""
        if len(objects) < _NAMED_MAX:
            objects.append(sha256)

    def damage(self, sha256: Digest, what: str) -> None:
        """Note a record that could not be mended."""
        self.name(self.damaged, sha256)
        self.problem(what)
