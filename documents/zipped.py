"""A bag as one ZIP file, made while it is sent: nothing of it lies on a disk, and memory does not grow with it.

Files are stored as they are, not compressed. Each is digested on its way and compared with what was stated; when one differs,
the stream breaks off before its directory, and what arrived is no ZIP file: half a package cannot look whole.

Source: RFC 8493 section 4 (serialisation); APPNOTE.TXT 6.3 (ZIP, ZIP64).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from documents.bagit import BagFile
from documents.values import local_time
from evidence.errors import DigestMismatchError

_CHUNK_BYTES: Final = 1 << 20


class _Pipe(io.RawIOBase):
    """What the ZIP writer writes into; taken out piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: object, /) -> int:
        """Keep the bytes until they are taken."""
        view = memoryview(data)  # type: ignore[arg-type]  # the ZIP writer gives bytes
        self._held += view
        return view.nbytes

    def take(self) -> bytes:
        """Everything written since the last time."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def zip_chunks(folder: str, files: Sequence[BagFile], *, at: datetime) -> Iterator[bytes]:
    """The ZIP file with all ``files`` below ``folder``, piece by piece.

    Args:
        folder: The one folder everything lies in.
        files: What is in it; every file has its digest stated.
        at: The time every file bears.

    Raises:
        DigestMismatchError: A file's bytes are not the stated ones; the stream is broken off.
        StoreError: A store does not give them.
    """
    pipe = _Pipe()
    moment = local_time(at)
    stamp = (max(1980, moment.year), moment.month, moment.day, moment.hour, moment.minute, moment.second)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as target:
        for file in files:
            info = zipfile.ZipInfo(f"{folder}/{file.path}", stamp)
            info.external_attr = 0o100640 << 16
            hasher, done = hashlib.sha256(), 0
            with contextlib.closing(file.open()) as source, target.open(info, "w", force_zip64=True) as entry:
                while chunk := source.read(_CHUNK_BYTES):
                    hasher.update(chunk)
                    done += len(chunk)
                    entry.write(chunk)
                    yield pipe.take()
                if done != file.size_bytes or hasher.hexdigest() != file.sha256:
                    raise DigestMismatchError(
                        f"{file.path} is not what was stated", kept="What was sent is no whole package.",
                        todo="Run `liuhen verify`, then try again.",
                    )  # fmt: skip
            yield pipe.take()
    yield pipe.take()
