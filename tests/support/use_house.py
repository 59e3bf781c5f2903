"""A bureau in which archived footage is asked for: departments inside of another, leaders of each level, one recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from catalogue.matters import MatterRow
from evidence.clock import to_text
from evidence.ids import UnitId
from evidence.model import Actor
from matters.desk import MatterDesk
from matters.turn import NewLink
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class House:
    """A bureau with a department inside of another, their leaders, an officer and one archived recording of theirs."""

    home: AssuredHome
    units: dict[str, UnitId] = field(default_factory=dict)
    people: dict[str, Actor] = field(default_factory=dict)
    recording: str = ""

    @property
    def desk(self) -> MatterDesk:
        return self.home.desk()

    def moment(self, **delta: float) -> str:
        return to_text(self.home.clock.now().wall + timedelta(**delta))

    def ask(
        self, who: str = "officer", *, rights=("view",), days: float = 2, links=None, unit=None, **more
    ) -> MatterRow:
        values = {
            "subject": "王某案调看", "purpose": "documents", "reason": "制作笔录", "rights": list(rights),
            "ends": self.moment(days=days), **more,
        }  # fmt: skip
        wanted = links if links is not None else [NewLink(role="footage", target=self.recording)]
        return self.desk.open(self.people[who], "access-request", values, links=wanted, unit=unit)

    def approve(self, row: MatterRow, who: str = "leader", **values) -> MatterRow:
        seen = self.desk.view(self.people[who], row.id).seen
        return self.desk.act(self.people[who], row.id, "approve", values, seen=seen)

    def grant(self, row: MatterRow) -> MatterRow:
        with self.home.catalogue.read() as uow:
            [found] = uow.matters.linked_to(row.id, kinds=("access-grant",))
        return found

    def granted(self, who: str = "officer", by: str = "leader", **asked) -> MatterRow:
        row = self.ask(who, **asked)
        self.approve(row, by)
        return self.grant(row)

    def uses(self) -> list[tuple[str, str, int]]:
        return [
            (one["action"], one["matter"], one.get("use", 0))
            for one in self.home.entries("access.allowed")
            if one.get("matter")
        ]

    def denials(self) -> list[tuple[str, str]]:
        return [(one["action"], one["reason"]) for one in self.home.entries("access.denied")]


def make_house(home: AssuredHome) -> House:
    """The bureau in a home; its recording was archived an hour ago."""
    made = House(home)
    admin = home.administration
    bureau = admin.create_unit(home.administrator, name="执法局").id
    made.units = {
        "bureau": bureau,
        "first": admin.create_unit(home.administrator, name="执法一科", parent=bureau).id,
        "second": admin.create_unit(home.administrator, name="执法二科", parent=bureau).id,
    }
    first, second = made.units["first"], made.units["second"]
    made.people = {
        "officer": home.agent("执法员", "officer", home_unit=first, code="900123"),
        "colleague": home.agent("同事", "officer", home_unit=first, code="900124"),
        "leader": home.agent("科长", "unit_leader", unit=first),
        "deputy": home.agent("副科长", "unit_leader", unit=first),
        "other leader": home.agent("二科科长", "unit_leader", unit=second),
        "chief": home.agent("局长", "unit_leader", unit=bureau),
        "director": home.agent("主任", "unit_leader", home_unit=bureau),
        "second director": home.agent("副主任", "unit_leader", home_unit=bureau),
        "security": home.agent("安全员", "security_administrator"),
        "clerk": home.agent("采集员", "station_operator"),
        "auditor": home.agent("审计员", "auditor"),
    }
    [row] = home.ingest({gb_name(officer="900123", extension="mp3"): footage.voice_mp3()}, describe=True)
    assert (row.unit, row.officer) == (first, made.people["officer"].agent)
    made.recording = row.id
    home.clock.unix_ms += 25 * HOUR_MS
    return made
