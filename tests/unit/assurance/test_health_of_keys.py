"""What is said of keys: red only when a key could be lost for good, or footage cannot be read; never green without looking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assurance import keys_state as module
from assurance.asking import ask_now
from assurance.health_facts import Level
from assurance.health_of_keys import look
from assurance.keys_state import (
    KeyParts,
    epoch_name,
    keys_made,
    keys_state,
    note_backed_up,
    note_damaged,
    note_key_made,
)
from catalogue import Catalogue
from catalogue.backups import GOOD, KEYS, BackupRow
from evidence.errors import MasterKeyUnavailableError, StoreUnavailableError

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)


class Clock:
    def now(self):
        return type("Reading", (), {"wall": NOW})()


@dataclass
class Month:
    epoch: str
    made_at: datetime
    places: tuple[str, ...]
    master: str = "0123456789abcdef"


@dataclass
class Ring:
    months: list[Month]
    places: tuple[str, ...] = ("primary", "second")
    away: bool = False

    def epochs(self):
        if self.away:
            raise StoreUnavailableError("no place for keys answers")
        return self.months


@dataclass
class Master:
    trouble: str = ""
    kind: str = "file"

    @property
    def id(self) -> str:
        if self.trouble:
            raise MasterKeyUnavailableError(self.trouble)
        return "0123456789abcdef"


@pytest.fixture
def catalogue(tmp_path: Path):
    made = Catalogue.open(f"sqlite:///{tmp_path}/app.db", migrate=True)
    yield made
    made.close()


def parts_of(*, age_days: float = 0, places: tuple[str, ...] = ("primary", "second"), **more) -> KeyParts:
    month = Month("2026-11", NOW - timedelta(days=age_days), places)
    values = {"ring": Ring([month]), "master": Master(), "scratch": Path("/dev/shm"), **more}
    return KeyParts(enabled=True, **values)


def checks(catalogue: Catalogue, parts: KeyParts | None) -> dict[str, tuple[Level, str]]:
    health = type(
        "Parts", (), {"catalogue": catalogue, "clock": Clock(), "keys": parts, "ask": staticmethod(ask_now)}
    )()
    return {f"{one.name} {one.subject}".strip(): (one.level, one.reason) for one in look(health)}


def backed_up(catalogue: Catalogue, days_ago: float) -> None:
    at = NOW - timedelta(days=days_ago)
    with catalogue.begin() as uow:
        uow.backups.add(BackupRow(id=f"b{days_ago}", kind=KEYS, place="safe", started_at=at, ended_at=at, outcome=GOOD))


@pytest.mark.parametrize(
    ("age_days", "backup_days_ago", "expected"),
    [
        (0.0, None, (Level.WARN, "not-backed-up")),
        (6.9, None, (Level.WARN, "not-backed-up")),
        (7.1, None, (Level.BAD, "backup-overdue")),
        (7.1, 8.0, (Level.BAD, "backup-overdue")),
        (7.1, 7.0, (Level.OK, "backed-up")),
        (40.0, 39.0, (Level.OK, "backed-up")),
        (1.0, 30.0, (Level.WARN, "not-backed-up")),
    ],
)
def test_a_key_must_be_in_a_backup_within_a_week(
    catalogue: Catalogue, age_days: float, backup_days_ago: float | None, expected: tuple[Level, str]
) -> None:
    if backup_days_ago is not None:
        backed_up(catalogue, backup_days_ago)
    assert checks(catalogue, parts_of(age_days=age_days))["keys"] == expected


def test_a_master_key_that_was_made_before_encryption_was_turned_on_counts(catalogue: Catalogue) -> None:
    made = {"master:0123456789abcdef": NOW - timedelta(days=9)}
    state = keys_state(catalogue, KeyParts(enabled=False, made=lambda: made), clock=Clock())
    assert state.backup_due
    assert state.wrong


@pytest.mark.parametrize(
    ("parts", "name", "expected"),
    [
        (parts_of(master=Master("this is not the passphrase")), "master-key", (Level.BAD, "does-not-open")),
        (parts_of(places=("primary",)), "epoch-keys second", (Level.BAD, "missing-there")),
        (parts_of(ring=Ring([], away=True)), "epoch-keys", (Level.BAD, "unreadable")),
        (parts_of(scratch=Path("/proc")), "plain-scratch", (Level.BAD, "readable")),
        (parts_of(), "plain-scratch", (Level.OK, "kept-from-disks")),
        (parts_of(), "epoch-keys", (Level.OK, "everywhere")),
        (parts_of(), "encryption", (Level.OK, "everything")),
    ],
)
def test_each_trouble_with_keys_is_a_fact_of_its_own(
    catalogue: Catalogue, parts: KeyParts, name: str, expected: tuple[Level, str]
) -> None:
    assert checks(catalogue, parts)[name] == expected


def test_memory_that_can_be_swapped_out_is_said(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_swap", lambda: ["/dev/sda2"])
    assert checks(catalogue, parts_of())["plain-scratch"] == (Level.WARN, "swap-open")


def test_key_and_passphrase_on_the_disk_of_the_footage_are_said(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "master.key").touch()
    parts = parts_of(secrets=(tmp_path / "master.key",), stores={"primary": tmp_path})
    assert checks(catalogue, parts)["master-key primary"] == (Level.WARN, "beside-the-footage")


def test_nothing_is_said_where_nothing_was_given_and_little_where_nothing_is_encrypted(catalogue: Catalogue) -> None:
    assert checks(catalogue, None) == {}
    assert set(checks(catalogue, KeyParts(enabled=False))) == {"keys"}


def test_since_when_keys_exist_survives_rows_that_say_nothing(catalogue: Catalogue) -> None:
    name = epoch_name("2026-11", "0123456789abcdef")
    for nonsense in ("", "[]", '{"a": "b"}', "{"):
        with catalogue.begin() as uow:
            uow.settings.put("keys.made", nonsense)
            assert keys_made(uow) == {}
            note_key_made(uow, name, NOW)
            assert keys_made(uow) == {name: NOW}


def test_a_month_that_was_not_in_the_newest_backup_counts_whatever_the_clocks_said(catalogue: Catalogue) -> None:
    """A backup made while the clock was ahead, or while the only store with a key was away, holds no later or other keys."""
    backed_up(catalogue, -30)
    assert checks(catalogue, parts_of(age_days=9))["keys"] == (Level.OK, "backed-up")
    with catalogue.begin() as uow:
        note_backed_up(uow, ["2026-10"])
    assert checks(catalogue, parts_of(age_days=9))["keys"] == (Level.BAD, "backup-overdue")
    assert checks(catalogue, parts_of(age_days=2))["keys"] == (Level.WARN, "not-backed-up")
    with catalogue.begin() as uow:
        note_backed_up(uow, ["2026-10", "2026-11"])
    assert checks(catalogue, parts_of(age_days=9))["keys"] == (Level.OK, "backed-up")
    for nonsense in ("", "null", "{", "7", "[1]"):
        with catalogue.begin() as uow:
            uow.settings.put("keys.backed-up", nonsense)
        assert checks(catalogue, parts_of(age_days=9))["keys"][1] in {"backed-up", "backup-overdue"}


def test_damaged_keys_beside_a_store_are_red_until_a_look_finds_none(catalogue: Catalogue) -> None:
    for many, level in ((2, Level.BAD), (0, None)):
        with catalogue.begin() as uow:
            note_damaged(uow, "second", many)
        state = keys_state(catalogue, parts_of(), clock=Clock())
        assert (state.damaged, state.wrong) == (("second",) if many else (), bool(many))
        told = checks(catalogue, parts_of()).get("encryption second")
        assert told == ((level, "damage") if level else None)
