"""Small file systems of their own for tests (needs root): another failure domain, a disk that fills, a disk that loses power."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def tmpfs(directory: Path, *, size: str = "64m") -> Iterator[Path]:
    """A memory file system at ``directory`` for as long as the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextmanager
def loop_ext4(directory: Path, image: Path, *, size_mib: int = 96) -> Iterator[Path]:
    """An ext4 on ``image`` (made when absent), mounted at ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(size_mib << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextmanager
def mounted_over(directory: Path, by: Path) -> Iterator[Path]:
    """Another folder in the place of ``directory`` for as long as the block runs."""
    subprocess.run(["mount", "--bind", str(by), str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
