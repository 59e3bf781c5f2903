"""Use and consent at the same moment, on SQLite and PostgreSQL: one number a use, never one too many, none after a revocation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from access import DeniedError
from evidence.errors import EvidenceError, StateConflictError
from support.assured_home import make_home
from support.use_house import House, make_house


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    home = make_home(tmp_path / "home", database=database_url)
    yield make_house(home)
    home.close()


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each act gave or raised, begun together."""
    barrier = threading.Barrier(len(acts))
    outcomes: list[object] = [None] * len(acts)

    def run(place: int) -> None:
        barrier.wait()
        try:
            outcomes[place] = acts[place]()
        except EvidenceError as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_r17_uses_at_the_same_moment_are_numbered_one_by_one_and_never_more_than_granted(house: House) -> None:
    officer, reading = house.people["officer"], house.home.reading
    grant = house.granted(uses_most=3)
    outcomes = at_once(*[lambda: reading.open_viewing(officer, house.recording)] * 6)
    refused = [one for one in outcomes if isinstance(one, DeniedError)]
    assert [one.reason for one in refused] == ["used-up"] * 3
    uses = [
        one["use"] for one in house.home.entries("access.allowed") if one.get("matter") == grant.id and one.get("use")
    ]
    assert sorted(uses) == [1, 2, 3]
    assert house.home.verify().verdict == "good"


def test_r17_a_revocation_and_a_use_at_the_same_moment_are_one_after_the_other(house: House) -> None:
    officer, leader, reading = house.people["officer"], house.people["leader"], house.home.reading
    grant = house.granted()
    at_once(
        lambda: house.desk.act(leader, grant.id, "revoke", {"revoked_because": "案件移交"}),
        *[lambda: reading.open_viewing(officer, house.recording)] * 3,
    )  # fmt: skip
    with pytest.raises(DeniedError, match="needs-grant"):
        reading.open_viewing(officer, house.recording)
    house.home.seal()
    with house.home.catalogue.read() as uow:
        told = [
            one.public.get("act") or one.public.get("use") for one in uow.matter_timeline(grant.id)
            if one.public.get("act") or one.public.get("use")
        ]  # fmt: skip
    assert told[0] == "open"
    assert told[-1] == "revoke"  # no use stands behind it in the log
    assert house.home.verify().verdict == "good"


def test_r17_two_leaders_at_the_same_moment_open_one_grant(house: House) -> None:
    row = house.ask()
    seen = {who: house.desk.view(house.people[who], row.id).seen for who in ("leader", "deputy", "chief")}
    outcomes = at_once(
        *[lambda who=who: house.desk.act(house.people[who], row.id, "approve", seen=seen[who]) for who in seen]
    )  # fmt: skip
    assert len([one for one in outcomes if isinstance(one, StateConflictError)]) == 2
    house.grant(row)  # exactly one
    assert house.home.verify().verdict == "good"
