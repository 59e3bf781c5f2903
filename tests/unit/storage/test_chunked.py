"""The form of encrypted objects: every range is a slice of the plaintext, and nothing that was changed opens."""

from __future__ import annotations

import hashlib
import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.errors import DigestMismatchError, InvalidInputError, KeyUnavailableError, StoreError
from storage.chunked import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, ChunkCipher, Header
from storage.sealing import OpenedRange, Pieces, open_chunks, seal_chunks

SMALL = 4096
KEY = bytes(range(32))
HEADER = Header(SMALL, bytes(16), b"prefix!")


def seal(plain: bytes, key=KEY, header=HEADER) -> bytes:
    return b"".join(
        bytes(part) for part in seal_chunks(ChunkCipher(key, header), iter([plain]), plain_bytes=len(plain))
    )


def opened(sealed: bytes, size: int, key=KEY, header=HEADER) -> bytes:
    pairs = open_chunks(ChunkCipher(key, header), Pieces(iter([sealed])), plain_bytes=size)
    return b"".join(bytes(plain) for _, plain in pairs)


def data(size: int) -> bytes:
    return hashlib.shake_256(size.to_bytes(8, "big")).digest(size)


around_edges = st.builds(
    lambda chunks, off: max(0, chunks * SMALL + off), st.integers(0, 4), st.integers(-2, 2)
) | st.integers(0, 3 * SMALL)


@given(size=around_edges)
@settings(max_examples=60, deadline=None)
def test_any_size_opens_to_what_was_sealed_and_its_length_is_told_both_ways(size):
    plain = data(size)
    sealed = seal(plain)
    assert len(sealed) == HEADER.cipher_bytes(size)
    assert HEADER.plain_bytes(len(sealed)) == size
    assert opened(sealed, size) == plain
    assert seal(plain) == sealed


@given(size=around_edges, data_=st.data())
@settings(max_examples=120, deadline=None)
def test_any_range_is_a_slice_of_the_plaintext(size, data_):
    plain = data(size)
    sealed = seal(plain)
    offset = data_.draw(st.integers(0, size))
    length = data_.draw(st.integers(0, size - offset))
    asked = []

    def fetch(begin, count):
        asked.append((begin, count))
        assert begin + count <= len(sealed)
        return io.BytesIO(sealed[begin : begin + count])

    stream = OpenedRange(fetch, ChunkCipher(KEY, HEADER), plain_bytes=size, offset=offset, length=length)
    assert stream.readall() == plain[offset : offset + length]
    back = data_.draw(st.integers(0, length))
    stream.seek(back)
    assert stream.readall() == plain[offset + back : offset + length]
    # No more is fetched than the chunks of the range, and the header with the first of them.
    assert asked[0][1] <= (length // SMALL + 2) * (SMALL + TAG_BYTES) + HEADER_BYTES


@given(size=st.integers(0, 3 * SMALL), bit=st.data())
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_is_refused(size, bit):
    sealed = bytearray(seal(data(size)))
    position = bit.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[position // 8] ^= 1 << position % 8
    with pytest.raises(DigestMismatchError):
        opened(bytes(sealed), size)


def test_every_cut_off_end_is_refused_whatever_length_is_claimed():
    size = 2 * SMALL + 100
    sealed = seal(data(size))
    for cut in (1, TAG_BYTES, 100, 100 + TAG_BYTES, SMALL, SMALL + TAG_BYTES, len(sealed) - HEADER_BYTES, len(sealed)):
        rest = sealed[: len(sealed) - cut]
        with pytest.raises(DigestMismatchError):
            opened(rest, size)
        with pytest.raises(DigestMismatchError):
            opened(rest, HEADER.plain_bytes(len(rest)))


def test_whole_chunks_at_the_end_cannot_be_taken_off():
    size = 3 * SMALL
    shorter = seal(data(size))[: HEADER.cipher_bytes(2 * SMALL)]
    with pytest.raises(DigestMismatchError):
        opened(shorter, 2 * SMALL)


def test_bytes_behind_the_end_are_refused():
    with pytest.raises(DigestMismatchError):
        opened(seal(data(SMALL)) + b"x", SMALL)


def test_reordered_and_repeated_chunks_are_refused():
    sealed = seal(data(3 * SMALL))
    step = SMALL + TAG_BYTES
    parts = [sealed[HEADER_BYTES + i * step : HEADER_BYTES + (i + 1) * step] for i in range(3)]
    for order in ([1, 0, 2], [0, 0, 2], [0, 2, 1], [2, 1, 0]):
        with pytest.raises(DigestMismatchError):
            opened(sealed[:HEADER_BYTES] + b"".join(parts[i] for i in order), 3 * SMALL)


def test_a_chunk_of_another_object_under_the_same_key_is_refused():
    other = Header(SMALL, os.urandom(16), HEADER.nonce_prefix)
    mine, theirs = seal(data(SMALL)), seal(data(SMALL), header=other)
    with pytest.raises(DigestMismatchError):
        opened(mine[:HEADER_BYTES] + theirs[HEADER_BYTES:], SMALL)
    with pytest.raises(DigestMismatchError):
        opened(theirs, SMALL)


def test_another_key_opens_nothing():
    with pytest.raises(DigestMismatchError):
        opened(seal(data(10)), 10, key=os.urandom(32))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        HEADER.to_bytes()[:-1],
        HEADER.to_bytes() + b"\0",
        b"X" + HEADER.to_bytes()[1:],
        HEADER.to_bytes()[:-1] + b"\1",
        Header(0, bytes(16), bytes(7)).to_bytes(),
        Header(5000, bytes(16), bytes(7)).to_bytes(),
        Header(1 << 30, bytes(16), bytes(7)).to_bytes(),
    ],
)
def test_a_malformed_header_is_refused(raw):
    with pytest.raises(DigestMismatchError):
        Header.parse(raw)


def test_a_header_is_what_it_was():
    assert Header.parse(HEADER.to_bytes()) == HEADER
    assert Header.new().chunk_bytes == CHUNK_BYTES
    assert Header.new() != Header.new()


@pytest.mark.parametrize("length", [0, 63, 64, 79, 64 + SMALL + 17, 64 + SMALL + 31])
def test_lengths_that_no_ciphertext_has_are_refused(length):
    with pytest.raises(DigestMismatchError):
        HEADER.plain_bytes(length)


def test_an_object_with_more_chunks_than_numbers_is_refused():
    with pytest.raises(InvalidInputError):
        HEADER.cipher_bytes(SMALL << 32)


def test_plaintext_that_ends_early_is_an_error_not_a_short_object():
    with pytest.raises(StoreError):
        list(seal_chunks(ChunkCipher(KEY, HEADER), iter([b"abc"]), plain_bytes=4))


def test_the_buffer_form_opens_the_same_and_refuses_what_is_too_short():
    cipher = ChunkCipher(KEY, HEADER)
    sealed, buffer = cipher.seal(3, b"evidence", last=True), bytearray(8)
    assert cipher.open_into(3, sealed, memoryview(buffer), last=True) == 8
    assert bytes(buffer) == b"evidence" == cipher.open(3, sealed, last=True)
    for index, text, last in ((2, sealed, True), (3, sealed, False), (3, sealed[:5], True), (3, b"", True)):
        with pytest.raises(DigestMismatchError):
            cipher.open_into(index, text, memoryview(buffer), last=last)
        with pytest.raises(DigestMismatchError):
            cipher.open(index, text, last=last)


def test_a_key_of_another_length_is_an_error_of_ours():
    with pytest.raises(KeyUnavailableError):
        ChunkCipher(b"short", HEADER)
