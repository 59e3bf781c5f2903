"""The control socket's file mode: certain at every moment, whatever the process's umask and other threads do."""

import os
import socket
import stat

import pytest

from app import control_server
from app.control_server import ControlServer


def mode_of(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """Sets the process's umask for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_the_socket_is_never_open_to_others_not_even_between_bind_and_listen(tmp_path, monkeypatch, umask, mask):
    path, seen = tmp_path / "control.sock", []

    class Watched(socket.socket):
        def bind(self, address):
            super().bind(address)
            seen.append(mode_of(path))

        def listen(self, backlog):
            seen.append(mode_of(path))
            super().listen(backlog)

    monkeypatch.setattr(control_server.socket, "socket", Watched)
    umask(mask)
    server = ControlServer(None, path)
    server.start()
    try:
        assert len(seen) == 2
        assert all(mode & ~0o660 == 0 for mode in seen)
        assert seen[1] == 0o660  # nobody can connect before listen(); who may, can from the first moment on
        assert mode_of(path) == 0o660
    finally:
        server.stop()
    assert not path.exists()


def test_starting_never_touches_the_umask_that_other_threads_create_files_with(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda _mask: pytest.fail("the umask belongs to the whole process"))
    server = ControlServer(None, tmp_path / "control.sock")
    server.start()
    server.stop()
