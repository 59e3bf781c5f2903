"""The service's end of the control socket.

The kernel tells who is at the other end (SO_PEERCRED): the command acts as the agent bound to that account, or as the person
whose password came with the request. The socket is for the service's account and group only. A command that goes away ends
nothing: the offload it asked for goes on.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from api.schemas.docks import device_answer
from app.control import parsed, short_address
from app.foreground import docked_where, ingest_beside, progress_json
from app.offload_report import clear_json, survey_json
from app.serving import Running
from evidence.errors import ConfigError, EvidenceError, InvalidInputError
from evidence.ids import AgentId, UnitId
from evidence.model import Action, Actor

_log = logging.getLogger(__name__)
_REQUEST_BYTES_MAX: Final = 65_536
_REQUEST_WAIT_S: Final = 30.0
#: A command that is stopped (not dead) for so long with a full pipe counts as gone: an offload waits for nobody.
_ANSWER_WAIT_S: Final = 10.0
_MODE: Final = 0o660
_PEER: Final = struct.Struct("3i")


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
        """Listen on a thread of its own.

        Raises:
            ConfigError: The socket file cannot be made.
        """
        try:
            self._path.unlink(missing_ok=True)
            # bind() makes the file with the mode of the socket itself, less the umask: never more than this, at no moment and
            # whatever the umask is, which belongs to every thread of the process and is left alone.
            os.fchmod(self._socket.fileno(), _MODE)
            with short_address(self._path) as address:
                self._socket.bind(address)
                Path(address).chmod(_MODE)  # what the umask took from the group; nobody can connect before listen()
            self._socket.listen(8)
        except OSError as error:
            raise ConfigError(f"cannot listen on {self._path}: {error.strerror}") from error
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and remove the socket file."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the waiting accept
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
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
            line = _Line(stream)
            try:
                _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
                connection.settimeout(_REQUEST_WAIT_S)
                request = parsed(stream.readline(_REQUEST_BYTES_MAX))
                connection.settimeout(_ANSWER_WAIT_S)
                line.send({"result": self._answer(request, uid, line.send)})
            except EvidenceError as error:
                line.send({"error": _error_json(error)})
                self._running.fatal(error)
            except OSError:
                _log.info("a command went away before it had asked")
            except Exception:
                _log.exception("a command broke")
                line.send({"error": _error_json(EvidenceError("the service broke while it did this"))})

    def _answer(self, request: dict[str, Any], uid: int, send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        actor = self._actor(request, uid)
        if request.get("command") == "ingest":
            running = self._running
            return ingest_beside(
                running.house, running.offloads, Path(_text(request, "path")), actor,
                register=request.get("register") is True, on_progress=lambda row: send({"progress": progress_json(row)}),
                jobs=running.engine, stop=running.stop,
            )  # fmt: skip
        if request.get("command") == "register":
            return self._register(request, actor)
        if request.get("command") == "scan":
            self._running.house.gate.require(actor, Action.OFFLOAD_LIST)
            return survey_json(self._running.house.registry.survey())
        if request.get("command") == "clear":
            docked = docked_where(self._running.house.registry, _text(request, "where"))
            return clear_json(self._running.house, self._running.offloads.clear_recorder(docked, actor))
        raise InvalidInputError("the service knows no such command")

    def _register(self, request: dict[str, Any], actor: Actor) -> dict[str, Any]:
        running = self._running
        where, unit, officer = (_text(request, name) for name in ("where", "unit", "officer"))
        row = running.offloads.register_device(
            docked_where(running.house.registry, where), actor, label=_text(request, "label"),
            unit=UnitId(unit) if unit else None, officer=AgentId(officer) if officer else None,
        )  # fmt: skip
        running.autodock.hint()  # it waits in its dock: read it now, not after the pause for unknown recorders
        answer: dict[str, Any] = device_answer(row).model_dump(mode="json")
        return answer

    def _actor(self, request: dict[str, Any], uid: int) -> Actor:
        return self._running.house.identity.cli_actor(
            uid, login=_text(request, "login"), password=_text(request, "password"),
            terminal=_text(request, "terminal")[:64],
        )  # fmt: skip


class _Line:
    """What is told to the command, as long as it listens: its end must never end the work."""

    def __init__(self, stream: io.BufferedRWPair) -> None:
        self._stream = stream
        self._gone = False

    def send(self, message: dict[str, Any]) -> None:
        if self._gone:
            return
        try:
            self._stream.write(json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n")
            self._stream.flush()
        except OSError:
            self._gone = True
            _log.info("a command went away; its work goes on")


def _text(request: dict[str, Any], name: str) -> str:
    value = request.get(name, "")
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInputError(f"{name} is no text")
    return value


def _error_json(error: EvidenceError) -> dict[str, Any]:
    return {
        "code": error.code, "exit_code": error.exit_code, "what": error.what, "kept": error.kept, "todo": error.todo,
    }  # fmt: skip
