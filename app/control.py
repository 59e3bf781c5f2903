"""Work handed from the command line to a running service, over a socket file in the home.

One request, then JSON lines: ``{"progress": ...}`` while it runs, at last ``{"result": ...}`` or ``{"error": ...}``.
The kernel tells who is at the other end (SO_PEERCRED): the command acts as the agent bound to that account, or as the person
whose password came with the request. The socket is for the service's account and group only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from app.foreground import ingest_beside
from app.serving import Running
from catalogue.records import ProgressRow
from evidence.errors import ConfigError, EvidenceError, InvalidInputError, StoreError
from evidence.model import Actor

_log = logging.getLogger(__name__)
_REQUEST_BYTES_MAX: Final = 65_536
_PEER: Final = struct.Struct("3i")
Send = Callable[[dict[str, Any]], None]


class RemoteError(EvidenceError):
    """The service refused or failed; code and exit status are those of its error."""

    code = "service"

    def __init__(self, untrusted: dict[str, Any]) -> None:
        super().__init__(
            str(untrusted.get("what", "")), kept=str(untrusted.get("kept", "")), todo=str(untrusted.get("todo", ""))
        )
        self.remote_code = str(untrusted.get("code", ""))
        self.remote_exit_code = int(untrusted.get("exit_code", 70))


def progress_json(row: ProgressRow) -> dict[str, Any]:
    """What a progress bar needs."""
    return {
        "stage": row.stage, "bytes_done": row.bytes_done, "bytes_total": row.bytes_total, "files_done": row.files_done,
        "files_total": row.files_total, "rate_bytes_s": row.rate_bytes_s,
    }  # fmt: skip


class ControlServer:
    """Takes requests for a running home.

    Args:
        running: The home at work.
        path: Socket file; an old one is replaced (the home's lock says that nobody else serves).
    """

    def __init__(self, running: Running, path: Path) -> None:
        self._running = running
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def start(self) -> None:
        """Listen on a thread of its own."""
        self._path.unlink(missing_ok=True)
        try:
            old = os.umask(0o117)
            try:
                self._socket.bind(str(self._path))
            finally:
                os.umask(old)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self._path}: {error.strerror}", todo="Use a home with a shorter path (107 bytes)."
            ) from error
        self._socket.listen(8)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and remove the socket file."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed by stop()
                return
            threading.Thread(target=self._serve, args=(connection,), name="control", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:

            def send(message: dict[str, Any]) -> None:
                stream.write(json.dumps(message, ensure_ascii=False).encode("utf-8") + b"\n")
                stream.flush()

            try:
                _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
                send({"result": self._answer(_parsed(stream.readline(_REQUEST_BYTES_MAX)), uid, send)})
            except EvidenceError as error:
                with contextlib.suppress(OSError):
                    send({"error": _error_json(error)})
            except OSError:  # the command was interrupted; what was read is kept
                _log.info("a command went away")

    def _answer(self, request: dict[str, Any], uid: int, send: Send) -> dict[str, Any]:
        actor = self._actor(request, uid)
        if request.get("command") != "ingest":
            raise InvalidInputError("the service knows no such command")
        running = self._running
        return ingest_beside(
            running.house, running.offloads, Path(str(request.get("path", ""))), actor,
            register=request.get("register") is True, on_progress=lambda row: send({"progress": progress_json(row)}),
        )  # fmt: skip

    def _actor(self, request: dict[str, Any], uid: int) -> Actor:
        return self._running.house.identity.cli_actor(
            uid, login=str(request.get("login", "")), password=str(request.get("password", "")),
            terminal=str(request.get("terminal", ""))[:64],
        )  # fmt: skip


def _error_json(error: EvidenceError) -> dict[str, Any]:
    return {
        "code": error.code,
        "exit_code": error.exit_code,
        "what": error.what,
        "kept": error.kept,
        "todo": error.todo,
    }


def _parsed(untrusted: bytes) -> dict[str, Any]:
    try:
        request = json.loads(untrusted)
    except ValueError as error:
        raise InvalidInputError("not a request") from error
    if not isinstance(request, dict):
        raise InvalidInputError("not a request")
    return request


@contextlib.contextmanager
def connection_to(path: Path) -> Iterator[socket.socket | None]:
    """A connection to the service of a home; None when none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            yield None
            return
        except OSError as error:
            raise StoreError(f"cannot reach the service of this home: {error.strerror}") from error
        yield client


def ask(
    client: socket.socket, request: dict[str, Any], *, on_progress: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Send a request and wait for its result.

    Raises:
        RemoteError: The service said no. StoreError: it went away; what was read is kept.
    """
    with client.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode("utf-8") + b"\n")
        stream.flush()
        for line in stream:
            message = _parsed(line)
            if "progress" in message:
                on_progress(message["progress"])
            elif "error" in message:
                raise RemoteError(message["error"])
            else:
                result: dict[str, Any] = message["result"]
                return result
    raise StoreError("the service went away", kept="What was read is kept.", todo="Start it and run the command again.")
