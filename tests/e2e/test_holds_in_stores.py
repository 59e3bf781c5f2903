"""A hold reaches a folder and a real bucket, the bucket also after it was away, and is taken away in both when it is released."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.care import HELD_COPIES_JOB, HOLDS_JOB, duties
from app.wiring import House
from catalogue.holds import HELD
from evidence.calendar import local_date
from evidence.clock import SystemClock
from evidence.errors import BlobLockedError
from evidence.ids import RecordingId
from evidence.model import Actor
from matters.turn import NewLink
from support import footage, seaweed, whole_home
from support.recorders import Cable, gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Cable, dict[str, object]]]:
    """The way to the other building, and the settings of the store there."""
    server = seaweed.shared()
    target = urlsplit(server.http)
    cable = Cable((str(target.hostname), int(target.port or 0)))
    yield cable, whole_home.bucket(server, tmp_path / "keys", endpoint=f"http://127.0.0.1:{cable.address[1]}")
    cable.close()


def person(house: House, name: str, role: str) -> Actor:
    admin = whole_home.administrator(house)
    made = house.administration.create_agent(admin, name=name).agent
    house.administration.grant_role(admin, agent=made.id, role=role)
    return Actor(made.id, made.name, "cli", "tty")


def run_duties(house: House, service) -> None:
    for duty in duties(house, service.parts):
        if duty.job in (HOLDS_JOB, HELD_COPIES_JOB):
            duty.run()


def kept(house: House, actor: Actor, hold) -> tuple[int, int]:
    found = house.holds.keeps(actor, hold.id)
    return found.kept_in, len(found.stores)


def test_r10_r27_a_hold_stands_in_two_of_two_stores(tmp_path: Path, far: tuple[Cable, dict[str, object]]) -> None:
    cable, store = far
    card = make_gb_tree(tmp_path / "card", {gb_name(): footage.voice_mp3()})
    text = whole_home.config(
        stores=[whole_home.local("primary", "stores/primary"), store], docks={"folders": [str(card)]}
    )
    home = whole_home.make(tmp_path / "home", text)
    with whole_home.at_rest(home) as (house, service):
        result = service.offload(whole_home.only_docked(house), whole_home.administrator(house), register=True)
        [recording] = result.acquired
        service.secure(RecordingId(recording))
        whole_home.seal(house)
        reviewer, leader = person(house, "法制员", "legal_reviewer"), person(house, "负责人", "unit_leader")
        today = local_date(SystemClock().now().wall)
        values = {
            "type": "litigation",
            "title": "诉讼",
            "why": "法院来函",
            "review_on": (today + timedelta(days=200)).isoformat(),
        }
        cable.cut()
        hold = house.matters.open(reviewer, "hold", values, links=[NewLink(role=HELD, target=recording)])
        run_duties(house, service)
        assert kept(house, reviewer, hold) == (1, 2), "the bucket is away"
        cable.plug()
        run_duties(house, service)
        assert kept(house, reviewer, hold) == (2, 2)
        with house.catalogue.read() as uow:
            sha256 = uow.recordings.get(RecordingId(recording)).sha256
        assert [one.stat(sha256).hold for one in house.stores.all] == [True, True]
        with pytest.raises(BlobLockedError):
            house.stores.named("bucket").delete(sha256, now=SystemClock().now().wall)
        house.matters.act(reviewer, hold.id, "ask-release", {"release_why": "判决已生效"})
        house.matters.act(leader, hold.id, "approve", seen=house.matters.view(leader, hold.id).seen)
        run_duties(house, service)
        assert [one.stat(sha256).hold for one in house.stores.all] == [False, False]
        whole_home.seal(house)
        assert whole_home.verify(house).verdict == "good"
