"""The demonstration waits for its own sources: not for other recorders, and not against the service's own docks."""

import contextlib
import socket
import threading
from types import SimpleNamespace

import pytest

from app.demo import run as demo
from evidence.errors import DeviceBusyError
from evidence.model import RecordingState
from evidence.ports import DockedDevice

CARD = DockedDevice("mass_storage", "/card", "/card")
FOLDER = DockedDevice("watch_folder", "/drop", "/drop")


def recording(device, state=RecordingState.STORED, *, sealed=True):
    return SimpleNamespace(device=device, state=state, sealed=sealed, described=sealed)


def home_at_work(*, outcomes=None, rows=(), devices=(), register=None):
    uow = SimpleNamespace(
        recordings=SimpleNamespace(all_ids=lambda: range(len(rows)), get=lambda one: rows[one]),
        devices=SimpleNamespace(all=lambda: devices),
        people=SimpleNamespace(by_officer_code=lambda _code: None, units=list),
    )
    return SimpleNamespace(
        house=SimpleNamespace(
            catalogue=SimpleNamespace(read=lambda: contextlib.nullcontext(uow)),
            registry=SimpleNamespace(scan=lambda: [CARD, FOLDER]),
        ),
        offloads=SimpleNamespace(outcome=(outcomes or {}).get, register_device=register),
        autodock=SimpleNamespace(hint=lambda: None),
        stop=threading.Event(),
    )


def read(device):
    return SimpleNamespace(device=device, error="")


def waited(at_work) -> bool:
    return demo.wait_until_sealed(at_work, [CARD, FOLDER], patience_s=0.2, tell=lambda _text: None)


def test_a_further_recorder_and_its_unread_files_are_not_waited_for():
    rows = [recording("a"), recording("b"), recording("b", RecordingState.DUPLICATE, sealed=False)]
    further = [recording("c"), recording("c", RecordingState.INTERRUPTED, sealed=False)]
    assert waited(home_at_work(outcomes={CARD: read("a"), FOLDER: read("b")}, rows=[*rows, *further]))


@pytest.mark.parametrize(
    ("outcomes", "rows"),
    [
        ({CARD: read("a")}, [recording("a")]),
        ({CARD: read("a"), FOLDER: SimpleNamespace(device=None, error="device-busy")}, [recording("a")]),
        ({CARD: read("a"), FOLDER: read("b")}, [recording("a"), recording("b", sealed=False)]),
        ({CARD: read("a"), FOLDER: read("b")}, [recording("a", RecordingState.ACQUIRING, sealed=False)]),
    ],
)
def test_what_is_not_read_or_not_sealed_is_waited_for(outcomes, rows):
    assert not waited(home_at_work(outcomes=outcomes, rows=rows))


def test_a_recorder_that_the_service_is_reading_is_waited_for(monkeypatch):
    monkeypatch.setattr(demo, "_TICK_S", 0.01)
    tries = []

    def register(docked, _actor, **_facts):
        tries.append(docked)
        if len(tries) < 4:
            raise DeviceBusyError("this slot is already being read")

    assert demo.register_all(home_at_work(register=register), None) == [CARD, FOLDER]
    assert tries == [CARD] * 4 + [FOLDER]


def test_a_recorder_that_never_gets_free_is_an_error(monkeypatch):
    monkeypatch.setattr(demo, "_TICK_S", 0.01)

    def busy(*_arguments, **_facts):
        raise DeviceBusyError("this slot is already being read")

    with pytest.raises(DeviceBusyError):
        demo.register_all(home_at_work(register=busy), None, patience_s=0.05)


def test_a_taken_port_gives_a_free_one_that_is_held_from_then_on():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with demo._listen(taken) as pages:
            number = pages.getsockname()[1]
            assert number != taken
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", number))
