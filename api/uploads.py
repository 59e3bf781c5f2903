"""Uploads: a form with one file, read as it comes, handed on as a stream; never whole in memory, never on a disk of ours here.

Fields stand before the file (a browser sends them in the order of the page). Whoever takes the file reads it on a thread of its
own, a few pieces behind the network; a request that breaks off ends the reading with an error, so that nothing half is filed.
The size is bounded here too, whatever the request says of itself.

Source: RFC 7578; docs/invariants.md 8.
"""

from __future__ import annotations

import asyncio
import io
import queue
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeVar, cast

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from documents.intake import DOCUMENT_BYTES_MAX
from evidence.errors import InvalidInputError, LimitExceededError

T = TypeVar("T")
#: The file, and room for the fields and the lines between the parts.
UPLOAD_BYTES_MAX: Final = DOCUMENT_BYTES_MAX + (64 << 10)
_FIELD_BYTES_MAX: Final = 16 << 10
_FIELDS_MAX: Final = 16
_PIECES: Final = 16
_FILE: Final = "file"
#: Who sends nothing for so long, or is not done after so long, holds a place that others wait for: the upload breaks off.
_SILENCE_S: Final = 60.0
_WHOLE_S: Final = 2 * 3600.0
#: Uploads are read by threads of their own: slow ones never take those of the pages.
_READERS: Final = ThreadPoolExecutor(max_workers=16, thread_name_prefix="upload")

#: Takes the fields, the file's name and its bytes.
Taker = Callable[[Mapping[str, str], str, BinaryIO], T]


class _Stream(io.RawIOBase):
    """What the network brings, as a file to read once. The writer's side never waits for a reader that has gone."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | None] = queue.Queue(maxsize=_PIECES)
        self.broken = False
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end; InvalidInputError when the sender broke off."""
        if not self._left and not self._ended:
            piece = self.pieces.get()
            if self.broken:
                raise InvalidInputError("the upload broke off", kept="Nothing was filed.", todo="Send it again.")
            self._ended = piece is None
            self._left = piece or b""
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


@dataclass(slots=True)
class _Form:
    """The parts of a form as they come."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None
    file_ended: bool = False
    pieces: list[bytes] = field(default_factory=list)
    _name: str = ""
    _is_file: bool = False
    _held: bytearray = field(default_factory=bytearray)
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin, "on_header_field": self._on_header, "on_header_value": self._on_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_end, "on_part_data": self._data,
            "on_part_end": self._end,
        }  # fmt: skip

    def _begin(self) -> None:
        self._disposition = b""
        self._held.clear()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_end(self) -> None:
        _kind, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if self._is_file and (self.file_name is not None or self._name != _FILE):
            raise InvalidInputError("one file is sent at a time, in the field 'file'", kept="Nothing was filed.")
        if self._is_file:
            self.file_name = options[b"filename"].decode("utf-8", "replace")
        elif len(self.fields) >= _FIELDS_MAX:
            raise InvalidInputError("the form has too many fields", kept="Nothing was filed.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.pieces.append(data[start:end])
            return
        self._held += data[start:end]
        if len(self._held) > _FIELD_BYTES_MAX:
            raise LimitExceededError("a field of the form is too long", kept="Nothing was filed.")

    def _end(self) -> None:
        if self._is_file:
            self.file_ended = True
        else:
            self.fields[self._name] = self._held.decode("utf-8", "replace")


async def take_upload(request: Request, take: Taker[T]) -> T:
    """Read a form with one file.

    Args:
        request: Whose body was not read yet.
        take: Called once, on a thread, with the fields before the file, the file's name and a stream that it must read to its
            end; its answer is returned, its error raised.

    Raises:
        InvalidInputError: No form with a file, or it broke off. LimitExceededError: Larger than any document may be.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInputError("an upload is a form with a file", kept="Nothing was filed.")
    form = _Form()
    parser = MultipartParser(boundary, cast("Any", form.callbacks()))
    left = UPLOAD_BYTES_MAX
    stream: _Stream | None = None
    taking: asyncio.Future[T] | None = None
    try:
        async for chunk in _pieces(request):
            left -= len(chunk)
            if left < 0:
                raise LimitExceededError(
                    f"an upload holds at most {DOCUMENT_BYTES_MAX} bytes", kept="Nothing was filed.", todo="Split it."
                )
            parser.write(chunk)
            if form.file_name is not None and taking is None:
                stream = _Stream()
                told = dict(form.fields)
                taking = asyncio.get_running_loop().run_in_executor(
                    _READERS, take, told, form.file_name, cast("BinaryIO", io.BufferedReader(stream))
                )
            for piece in form.pieces:
                await _hand_on(stream, taking, piece)
            form.pieces.clear()
        parser.finalize()
        if taking is None or stream is None or not form.file_ended:
            raise InvalidInputError("the form holds no whole file", kept="Nothing was filed.")
        await _hand_on(stream, taking, None)
        return await taking
    except (FormParserError, ClientDisconnect) as error:
        raise InvalidInputError("the upload broke off", kept="Nothing was filed.", todo="Send it again.") from error
    finally:
        await _given_up(stream, taking)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; InvalidInputError when its sender falls silent or takes for ever."""
    body, until = request.stream(), time.monotonic() + _WHOLE_S
    while True:
        try:
            yield await asyncio.wait_for(anext(body), min(_SILENCE_S, until - time.monotonic()))
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise InvalidInputError("the upload broke off", kept="Nothing was filed.", todo="Send it again.") from error


async def _hand_on(stream: _Stream | None, taking: asyncio.Future[T] | None, piece: bytes | None) -> None:
    """Hand a piece to the reader; when it has ended (refused), the rest of the body is read and dropped.

    Without that a browser would see a broken connection instead of the reason.
    """
    while stream is not None and taking is not None and not taking.done():
        try:
            stream.pieces.put_nowait(piece)
        except queue.Full:
            await asyncio.sleep(0.002)
        else:
            return


async def _given_up(stream: _Stream | None, taking: asyncio.Future[T] | None) -> None:
    if stream is None or taking is None or taking.done():
        return
    stream.broken = True
    while not taking.done():
        await _hand_on(stream, taking, None)
        await asyncio.wait([taking], timeout=0.05)
    taking.exception()
