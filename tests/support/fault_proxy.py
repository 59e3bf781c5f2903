"""A way to an S3 server that can go wrong in every manner that networks and servers do. Loopback, threads of this process.

The proxy understands HTTP as far as it must: it takes a request, asks the first fault that fits what to do with it, and else
passes it on unchanged (the signature covers the Host header, which stays). ``with proxy.fault(...)`` lasts as long as its block;
a fault made with ``times`` wears out.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

_BLOCK = 64 << 10
_PASSED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})


class HungUpError(Exception):
    """The client or the server hung up, or we do."""


@dataclass
class Asked:
    """One request: its head, and its body still on the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: Iterator[bytes]
    length: int

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def key(self) -> str:
        """Bucket and key."""
        return unquote(urlsplit(self.target).path).lstrip("/")

    @property
    def query(self) -> dict[str, str]:
        pairs = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}

    @property
    def operation(self) -> str:
        """The S3 name of what is asked, for those that move bytes; else method and query."""
        query, method = self.query, self.method
        if "uploadId" in query:
            return {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "GET": "ListParts"}.get(method, "Abort")
        if "uploads" in query:
            return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
        special = sorted(set(query) - {"versionId", "x-id"})
        if special:
            return f"{method} {' '.join(special)}"
        return {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(
            method, method
        )


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


Act = Callable[["Exchange"], None]


@dataclass
class Fault:
    """What goes wrong, for which operations (empty: all), under which keys, how often (None: as long as it stands)."""

    act: Act
    operations: frozenset[str] = frozenset()
    key_part: str = ""
    times: int | None = None
    met: int = 0

    def fits(self, asked: Asked) -> bool:
        if self.times is not None and self.met >= self.times:
            return False
        return (not self.operations or asked.operation in self.operations) and self.key_part in asked.key


class Exchange:
    """One request on its way, with the means to spoil it."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, asked: Asked) -> None:
        self.proxy = proxy
        self.client = client
        self.asked = asked

    # --- the honest way and its turns -------------------------------------------------------------------------------
    def pass_on(
        self,
        *,
        cut_request_at: int | None = None,
        cut_response_at: int | None = None,
        politely: bool = False,
        bytes_per_s: float = 0,
        date_shift: timedelta | None = None,
    ) -> None:
        """Forward; cut the connection after so many bytes of a body (with a reset, or ``politely`` with an end)."""
        server = http.client.HTTPConnection(*self.proxy.server, timeout=60)
        try:
            self._send_request(server, cut_request_at, bytes_per_s)
            answer = server.getresponse()
            self._relay(answer, cut_response_at, politely=politely, bytes_per_s=bytes_per_s, date_shift=date_shift)
        except (OSError, http.client.HTTPException) as error:
            raise HungUpError from error
        finally:
            server.close()

    def _send_request(self, server: http.client.HTTPConnection, cut_at: int | None, bytes_per_s: float) -> None:
        server.putrequest(self.asked.method, self.asked.target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.asked.headers:
            if name.lower() not in _PASSED_ON:
                server.putheader(name, value)
        server.endheaders()
        sent = 0
        for block in self.asked.body:
            if cut_at is not None and sent + len(block) > cut_at:
                server.send(block[: cut_at - sent])
                self.reset()
            server.send(block)
            sent += len(block)
            self._pace(len(block), bytes_per_s)

    def _relay(
        self, answer: http.client.HTTPResponse, cut_at: int | None, *, politely: bool, bytes_per_s: float,
        date_shift: timedelta | None,
    ) -> None:  # fmt: skip
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _PASSED_ON]
        body = b""
        if answer.getheader("Content-Length") is None:
            body = answer.read()
            headers.append(("Content-Length", str(len(body))))
        if date_shift is not None:
            headers = [(n, _shifted(v, date_shift) if n.lower() == "date" else v) for n, v in headers]
        self._head(answer.status, headers)
        sent = 0
        while block := body or answer.read(_BLOCK):
            body = b""
            if cut_at is not None and sent + len(block) > cut_at:
                self.client.sendall(block[: cut_at - sent])
                if politely:
                    raise HungUpError
                time.sleep(0.05)  # a reset overtakes what was sent before it
                self.reset()
            self.client.sendall(block)
            sent += len(block)
            self._pace(len(block), bytes_per_s)

    def _pace(self, count: int, bytes_per_s: float) -> None:
        if bytes_per_s:
            time.sleep(count / bytes_per_s)

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Status')}", *(f"{n}: {v}" for n, v in headers)]
        self.client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    # --- what a fault may do ----------------------------------------------------------------------------------------
    def read(self) -> bytes:
        """The request's body, to its end."""
        return b"".join(self.asked.body)

    def answer(self, answer: Answer) -> None:
        """Say something of our own."""
        date = email.utils.formatdate(usegmt=True)
        self._head(answer.status, [("Date", date), *answer.headers, ("Content-Length", str(len(answer.body)))])
        if self.asked.method != "HEAD":
            self.client.sendall(answer.body)

    def reset(self) -> None:
        """Hang up with a reset."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise HungUpError

    def wait_for_ever(self) -> None:
        """Take everything and say nothing, until the fault ends or the client gives up."""
        self.read()
        while not self.proxy.closed and self.proxy.stands_in_the_way(self.asked):
            if select.select([self.client], [], [], 0.05)[0]:
                break
        raise HungUpError


def _shifted(date: str, by: timedelta) -> str:
    return email.utils.format_datetime(email.utils.parsedate_to_datetime(date) + by, usegmt=True)


# --- faults by name -----------------------------------------------------------------------------------------------------
def refuse(status: int, code: str) -> Act:
    """The server answers an error, with a reason wherever a body is allowed."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>' if code else ""

    def act(exchange: Exchange) -> None:
        exchange.read()
        exchange.answer(Answer(status, [("Content-Type", "application/xml")], body.encode()))

    return act


def hang_up(exchange: Exchange) -> None:
    """A reset before the server hears of anything."""
    exchange.read()
    exchange.reset()


def reset_request(after_bytes: int) -> Act:
    return lambda exchange: exchange.pass_on(cut_request_at=after_bytes)


def reset_response(after_bytes: int) -> Act:
    return lambda exchange: exchange.pass_on(cut_response_at=after_bytes)


def truncate_response(after_bytes: int) -> Act:
    return lambda exchange: exchange.pass_on(cut_response_at=after_bytes, politely=True)


def lose_the_answer(exchange: Exchange) -> None:
    """The server does it; the client never hears of it."""
    server = http.client.HTTPConnection(*exchange.proxy.server, timeout=60)
    try:
        exchange._send_request(server, None, 0)
        server.getresponse().read()
    finally:
        server.close()
    exchange.reset()


def slow(bytes_per_s: float) -> Act:
    return lambda exchange: exchange.pass_on(bytes_per_s=bytes_per_s)


def other_time(shift: timedelta) -> Act:
    return lambda exchange: exchange.pass_on(date_shift=shift)


def black_hole(exchange: Exchange) -> None:
    exchange.wait_for_ever()


def lie(*, version: str = "") -> Act:
    """Answer 200 to a write, and keep nothing."""

    def act(exchange: Exchange) -> None:
        exchange.read()
        headers = [("ETag", f'"{"0" * 32}"')] + ([("x-amz-version-id", version)] if version else [])
        body = b""
        if exchange.asked.operation == "CompleteMultipartUpload":
            body = b"<CompleteMultipartUploadResult><ETag>&quot;0&quot;</ETag></CompleteMultipartUploadResult>"
        exchange.answer(Answer(200, headers, body))

    return act


class FaultProxy:
    """Listens on a loopback port in front of ``server`` (host and port of plain HTTP) until it is closed."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.closed = False
        self.seen: list[Asked] = []
        self._faults: list[Fault] = []
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="fault-proxy", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self.closed = True
        self._listener.close()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def fault(self, act: Act, *operations: str, key_part: str = "", times: int | None = None) -> Iterator[Fault]:
        """Let requests go wrong while the block lasts."""
        fault = Fault(act, frozenset(operations), key_part, times)
        with self._guard:
            self._faults.append(fault)
        try:
            yield fault
        finally:
            with self._guard:
                self._faults.remove(fault)

    def stands_in_the_way(self, asked: Asked) -> bool:
        with self._guard:
            return any(
                (not fault.operations or asked.operation in fault.operations) and fault.key_part in asked.key
                for fault in self._faults
            )

    def count(self, operation: str) -> int:
        """How many requests of a kind have come."""
        return sum(asked.operation == operation for asked in self.seen)

    def _accept(self) -> None:
        while not self.closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), name="fault-proxy-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with contextlib.suppress(HungUpError, OSError), client.makefile("rb", buffering=_BLOCK) as stream:
                while (asked := _request(stream, client)) is not None:
                    self.seen.append(asked)
                    exchange = Exchange(self, client, asked)
                    self._act_for(asked)(exchange)
                    for _ in asked.body:  # what nobody read stands in the way of the next request
                        pass
        finally:
            self._clients.discard(client)
            with contextlib.suppress(OSError):
                client.close()

    def _act_for(self, asked: Asked) -> Act:
        with self._guard:
            for fault in self._faults:
                if fault.fits(asked):
                    fault.met += 1
                    return fault.act
        return Exchange.pass_on


def _request(stream, client: socket.socket) -> Asked | None:
    first = stream.readline(_BLOCK).decode("latin-1").split()
    if len(first) != 3:
        return None
    parsed = http.client.parse_headers(stream)
    headers = list(parsed.items())
    length = int(parsed.get("Content-Length") or 0)

    def body() -> Iterator[bytes]:
        left = length
        if left and parsed.get("Expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while left:
            block = stream.read1(min(left, _BLOCK))
            if not block:
                raise HungUpError
            left -= len(block)
            yield block

    return Asked(first[0], first[1], headers, body(), length)
