"""The published checkpoint of the custody log, as documents and registers print it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

from chain_of_custody.checkpoint import NoteVerifier, open_checkpoint
from documents import Checkpoint
from evidence.errors import EvidenceError


def newest(directory: Path, vkey: str) -> Checkpoint | None:
    """The checkpoint that is published now, its signature checked.

    Args:
        directory: The log's published directory.
        vkey: The log's verifier key.

    Returns:
        None when nothing is published yet, it cannot be read, or it is not signed by this log: a document then says that it
        was printed under none. ``time`` is when it was published.
    """
    file = directory / "checkpoint"
    try:
        note, published_at = file.read_bytes(), file.stat().st_mtime
        point = open_checkpoint(note, NoteVerifier.parse(vkey))
    except (OSError, EvidenceError):
        return None
    return Checkpoint(
        origin=point.origin, size=point.size, root=base64.b64encode(point.root).decode("ascii"),
        time=datetime.fromtimestamp(published_at, tz=UTC),
    )  # fmt: skip
