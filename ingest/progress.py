"""What the dock wall sees of a running offload: at most two rows a second, true when written."""

from __future__ import annotations

import logging
from collections.abc import Callable

from catalogue.records import ProgressRow
from evidence.clock import TimeReading
from evidence.errors import EvidenceError
from evidence.ids import OffloadId, RecordingId
from ingest.parts import Parts

_log = logging.getLogger(__name__)
_INTERVAL_NS = 500_000_000
OnProgress = Callable[[ProgressRow], None]


class Progress:
    """Counts bytes and files of one offload.

    Args:
        parts: The parts of intake.
        offload: The docking.
        on_progress: Also called with every row that is written (the command line's bar).
    """

    def __init__(self, parts: Parts, offload: OffloadId, on_progress: OnProgress | None) -> None:
        self._parts = parts
        self._offload = offload
        self._on_progress = on_progress
        self._recording: RecordingId | None = None
        self._stage = "discover"
        self._done_before = self._bytes_total = self._files_done = self._files_total = 0
        self._read_before = self._here_before = self._moved = 0
        self._started_ns: int | None = None
        self._written_ns = 0

    def plan(self, *, files: int, total_bytes: int) -> None:
        """Tell how much there is to read."""
        self._files_total, self._bytes_total = files, total_bytes
        self._write(self._parts.clock.now(), 0)

    def begin(self, recording: RecordingId) -> None:
        """A recording is being read from now on."""
        self._recording, self._stage = recording, "acquire"
        self._here_before = self._moved = 0

    def resume(self, bytes_of_recording: int) -> None:
        """So many bytes of the current recording were here before: they count as done, and never as fast reading."""
        self._here_before = self._moved = bytes_of_recording

    def move(self, bytes_of_recording: int) -> None:
        """So many bytes of the current recording are here (the callback of the transfer)."""
        self._moved = bytes_of_recording
        now = self._parts.clock.now()
        if now.monotonic_ns - self._written_ns >= _INTERVAL_NS:
            self._write(now, bytes_of_recording)

    def end(self, bytes_of_recording: int) -> None:
        """The current recording is done with, whole or not."""
        self._done_before += bytes_of_recording
        self._read_before += self._moved - self._here_before
        self._here_before = self._moved = 0
        self._files_done += 1
        self._recording = None
        self.move(0)

    def clear(self) -> None:
        """The docking is over."""
        with self._parts.catalogue.begin() as uow:
            uow.progress.clear(self._offload)

    def _rate(self, now: TimeReading) -> int:
        if self._started_ns is None:
            self._started_ns = now.monotonic_ns
        elapsed_ns = now.monotonic_ns - self._started_ns
        read = self._read_before + self._moved - self._here_before
        return read * 1_000_000_000 // elapsed_ns if elapsed_ns > 0 else 0

    def _write(self, now: TimeReading, bytes_of_recording: int) -> None:
        done = self._done_before + bytes_of_recording
        self._written_ns = now.monotonic_ns
        row = ProgressRow(
            offload=self._offload,
            recording=self._recording,
            stage=self._stage,
            bytes_done=done,
            bytes_total=self._bytes_total,
            files_done=self._files_done,
            files_total=self._files_total,
            rate_bytes_s=self._rate(now),
            updated_at=now.wall,
        )
        try:
            with self._parts.catalogue.begin() as uow:
                uow.progress.put(row)
        except EvidenceError as error:  # a missing progress row must never stop footage from coming in
            _log.warning("progress was not written: %s", error.what)
        self._tell(row)

    def _tell(self, row: ProgressRow) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(row)
        except Exception:  # whoever watches (a terminal that was closed, say): footage comes in all the same
            _log.warning("the onlooker of %s is told no more", self._offload, exc_info=True)
            self._on_progress = None
