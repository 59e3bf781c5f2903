"""Writes a copy of footage into a file of a person: whole and as it was sealed, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

from evidence.digest import Digest
from evidence.durable import give_name
from evidence.errors import BlobConflictError, DigestMismatchError, StoreError
from evidence.ports import BlobStore

_CHUNK_BYTES: Final = 1 << 20


def require_free(target: Path) -> None:
    """Refuse a name that is taken, before anything is entered.

    Raises:
        BlobConflictError: There is something of this name.
    """
    if target.exists() or target.is_symlink():
        raise BlobConflictError(f"{target} is there already", kept="Nothing was copied.", todo="Name another file.")


def write_out(blobs: BlobStore, sha256: Digest, *, size_bytes: int, target: Path) -> None:
    """Write a blob under a new name. Durable on return; a crash leaves a part file beside the name, never a wrong file under it.

    Args:
        blobs: Where it is read.
        sha256: Which; what is read is compared with it.
        size_bytes: How much.
        target: The new file, in a directory that exists.

    Raises:
        BlobConflictError: Somebody else took the name meanwhile.
        DigestMismatchError: What was read is not what was sealed.
        StoreError: It could not be written.
    """
    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        with part.open("xb") as file, blobs.open(sha256, offset=0, length=size_bytes) as source:
            digest = hashlib.sha256()
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256.hex:
            raise DigestMismatchError(
                f"what was read is not what was sealed as {sha256.hex[:16]}", kept="No file was written.",
                todo="Run `liuhen verify`.",
            )  # fmt: skip
        give_name(part, target)
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written: {error.strerror or error}", kept="No file was written."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
