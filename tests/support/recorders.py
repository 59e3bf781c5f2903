"""Recorders for tests: a card's directory tree, and a real MTP responder over loopback TCP with a cable one can cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DEVICE_CODE = "7654321"
OFFICER_CODE = "900123"


def make_gb_tree(root: Path, media: Mapping[str, bytes | Path], *, mtime_s: int = 1_790_000_000) -> Path:
    """Lay out a recorder's card: relative path -> content (bytes, or a file whose bytes are copied).

    Every file gets its own stable time stamp (``mtime_s`` plus its position in seconds), so that identities are stable.
    """
    import os

    for position, (name, content) in enumerate(sorted(media.items())):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.read_bytes() if isinstance(content, Path) else content)
        os.utime(target, (mtime_s + position, mtime_s + position))
    return root


def gb_name(
    *, counter: int = 1, stamp: str = "20261122093000", mark: str = "", extension: str = "mp4",
    officer: str = OFFICER_CODE, device: str = DEVICE_CODE,
) -> str:  # fmt: skip
    """A file name as the common firmware writes it (pattern B)."""
    return f"{officer}_{device}_{stamp}_{counter:04d}{mark}.{extension}"
