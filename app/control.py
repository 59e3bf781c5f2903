"""Work handed from the command line to a running service: the protocol and the command's end (``app.control_server`` answers).

One request, then JSON lines: ``{"progress": ...}`` while it runs, at last ``{"result": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evidence.errors import EvidenceError, InvalidInputError, JobError


class RemoteError(EvidenceError):
    """The service refused or failed; code and exit status are those of its error."""

    code = "service"

    def __init__(self, untrusted: dict[str, Any]) -> None:
        super().__init__(
            str(untrusted.get("what", "")), kept=str(untrusted.get("kept", "")), todo=str(untrusted.get("todo", ""))
        )
        self.remote_code = str(untrusted.get("code", ""))
        status = untrusted.get("exit_code")
        self.remote_exit_code = status if isinstance(status, int) and 0 < status < 256 else EvidenceError.exit_code


def parsed(untrusted: bytes) -> dict[str, Any]:
    """One line of the protocol; InvalidInputError for anything but a JSON object."""
    try:
        message = json.loads(untrusted)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("not a line of the control protocol") from error
    if not isinstance(message, dict):
        raise InvalidInputError("not a line of the control protocol")
    return message


@contextlib.contextmanager
def short_address(path: Path) -> Iterator[str]:
    """A socket file's address that fits the kernel's 107 bytes however deep the home lies: through its open folder.

    Source: unix(7), "sun_path".
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def connection_to(path: Path) -> Iterator[socket.socket | None]:
    """A connection to the service of a home; None when none runs.

    Raises:
        JobError: Something is there that cannot be reached.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            with short_address(path) as address:
                client.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            yield None
            return
        except OSError as error:
            raise JobError(f"cannot reach the service of this home: {error.strerror}") from error
        yield client


def ask(
    client: socket.socket, request: dict[str, Any], *, on_progress: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Send a request and wait for its result.

    Raises:
        RemoteError: The service said no. JobError: it went away; what was read is kept.
    """
    with contextlib.suppress(ConnectionError), client.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode("utf-8") + b"\n")
        stream.flush()
        for line in stream:
            message = parsed(line)
            if "progress" in message:
                on_progress(message["progress"])
            elif "error" in message:
                raise RemoteError(message["error"])
            else:
                result: dict[str, Any] = message["result"]
                return result
    raise JobError("the service went away", kept="What was read is kept.", todo="Start it and run the command again.")
