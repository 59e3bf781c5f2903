"""An upload that falls silent or drips for ever ends: nobody holds the places that others wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO, cast

import pytest
from fastapi import Request

from api import uploads
from evidence.errors import InvalidInputError

BEGIN = (
    b'--x\r\nContent-Disposition: form-data; name="role"\r\n\r\nletter\r\n--x\r\n'
    b'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF'
)
END = b"\r\n--x--\r\n"


class Sender:
    """A request whose body comes as told: bytes, or a pause in seconds."""

    headers: Mapping[str, str] = {"content-type": "multipart/form-data; boundary=x"}

    def __init__(self, *pieces: bytes | float) -> None:
        self.pieces = pieces

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece


def sent(*pieces: bytes | float) -> tuple[str, bytes]:
    def take(fields: Mapping[str, str], _name: str, stream: BinaryIO) -> tuple[str, bytes]:
        return fields["role"], stream.read()

    return asyncio.run(uploads.take_upload(cast("Request", cast("Any", Sender(*pieces))), take))


def test_a_whole_upload_arrives() -> None:
    assert sent(BEGIN, b" one", 0.01, b" two", END) == ("letter", b"%PDF one two")


@pytest.mark.parametrize("setting", ["_SILENCE_S", "_WHOLE_S"])
def test_an_upload_that_falls_silent_breaks_off(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(uploads, setting, 0.2)
    with pytest.raises(InvalidInputError, match="broke off"):
        sent(BEGIN, *([b"a", 0.05] * 3), 5.0, END)


def test_an_upload_that_drips_for_ever_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_WHOLE_S", 0.2)
    with pytest.raises(InvalidInputError, match="broke off"):
        sent(BEGIN, *([b"a", 0.05] * 40), END)
