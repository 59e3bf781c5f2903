"""Reading one object: in ranges where the device offers it, else as one stream.

Source: MTP 1.1 GetPartialObject; Android GetPartialObject64; public notes on recorders that hang at the end of an object.
"""

from __future__ import annotations

from devices.mtp import protocol
from devices.mtp.link import Chunks, MtpLink
from devices.mtp.protocol import Op, ResponseError
from evidence.errors import DeviceProtocolError, MediumError, SourceChangedError
from evidence.limits import DEVICE_READ_BYTES


class RangedReader:
    """Reads in ranges of 1 MiB; some firmware crashes on more."""

    def __init__(self, link: MtpLink, handle: int, size: int, offset: int, *, wide: bool) -> None:
        self._link = link
        self._handle = handle
        self._size = size
        self._offset = offset
        self._wide = wide

    def readinto(self, buffer: memoryview, /) -> int:
        """At most 1 MiB; 0 at the listed end."""
        left = self._size - self._offset
        want = min(len(buffer), left, DEVICE_READ_BYTES)
        if want == 0:
            return 0
        # Some recorders hang when the read that reaches the end also fills its last USB packet (512 divides every larger
        # bulk packet size): the last byte is then read by itself.
        if want == left and want > 1 and (want + protocol.HEADER_BYTES) % 512 == 0:
            want -= 1
        count = self._read(buffer[:want])
        self._offset += count
        return count

    def _read(self, target: memoryview) -> int:
        try:
            if self._wide:
                low, high = self._offset & 0xFFFFFFFF, self._offset >> 32
                count = self._link.read_into(
                    Op.GET_PARTIAL_OBJECT_64, self._handle, low, high, len(target), target=target
                )
            else:
                count = self._link.read_into(
                    Op.GET_PARTIAL_OBJECT, self._handle, self._offset, len(target), target=target
                )
        except ResponseError as error:
            raise protocol.error_of(error) from error
        if count == 0:
            raise MediumError(f"the recorder gives no bytes from byte {self._offset} on")
        return count


class StreamReader:
    """Reads a whole object in one transaction, for devices without partial reads. Leaving early cancels it."""

    def __init__(self, link: MtpLink, handle: int, size: int) -> None:
        self._chunks: Chunks = link.start(Op.GET_OBJECT, handle, expected=DEVICE_READ_BYTES)
        self._left = size
        self._piece = memoryview(b"")

    def _next(self) -> bool:
        """Fetch the next piece; False when the transaction has ended well and with every byte."""
        try:
            self._piece = next(self._chunks)
        except StopIteration:
            if self._left:
                raise DeviceProtocolError(f"the recorder's stream ended {self._left} bytes early") from None
            return False
        except ResponseError as error:
            raise protocol.error_of(error) from error
        if len(self._piece) > self._left:
            raise SourceChangedError("the recorder sent more bytes than it listed")
        self._left -= len(self._piece)
        return True

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        while count:
            if not self._piece and not self._next():
                return
            step = min(count, len(self._piece))
            self._piece = self._piece[step:]
            count -= step

    def readinto(self, buffer: memoryview, /) -> int:
        """The next bytes; 0 after the response has confirmed the transfer."""
        if not self._piece and not self._next():
            return 0
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def close(self) -> None:
        """Cancel what was not read."""
        self._chunks.close()
