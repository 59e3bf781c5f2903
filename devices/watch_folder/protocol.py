"""When a dropped file is complete. No I/O: observations in, judgement out.

A file is complete when its name is not one of a transfer in progress and its size and time stamp were the same in two
observations at least the settling time apart. Events of the file system are hints only; they never complete a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from devices.file_names import parse

#: Names that programs give a file while they write it: rsync, FTP servers, browsers, office programs, our own.
_TEMPORARY = re.compile(
    r"^\.|^~|~$|\.(?:tmp|temp|part|partial|filepart|crdownload|download|swp|lock|in\.?progress|uploading)$",
    re.IGNORECASE,
)
SETTLE_S = 5.0


def is_temporary(name: str) -> bool:
    """Whether the name says that the file is still being written."""
    return _TEMPORARY.search(name) is not None or parse(name).being_written


@dataclass(frozen=True, slots=True)
class Observation:
    """How one file looked at one moment.

    Attributes:
        path: Printable path below the folder.
        size_bytes: Its size.
        mtime_raw: Its time stamp.
    """

    path: str
    size_bytes: int
    mtime_raw: str


class Settling:
    """Remembers since when each file has looked the same. One session of a folder at a time (devices.session.Leases).

    Args:
        settle_s: Seconds a file must have looked the same.
    """

    def __init__(self, settle_s: float) -> None:
        self.settle_s = settle_s
        self._since: dict[Observation, float] = {}

    def observe(self, seen: Iterable[Observation], *, monotonic_s: float) -> None:
        """Take in a complete look at the folder; files that are gone or look different start anew."""
        self._since = {observation: self._since.get(observation, monotonic_s) for observation in seen}

    def is_settled(self, observation: Observation, *, monotonic_s: float) -> bool:
        """Whether this very look of the file is old enough."""
        since = self._since.get(observation)
        return since is not None and monotonic_s - since >= self.settle_s
