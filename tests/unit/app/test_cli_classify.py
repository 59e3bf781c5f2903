"""``liuhen recordings classify | flag | unclassified | items`` and ``liuhen hold``, as a bureau uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence.clock import SystemClock
from support import footage
from support.program import Program
from support.recorders import gb_name, make_gb_tree

PASSWORD = "a long evidence password"
ENV = {"LIUHEN_PASSWORD": PASSWORD}
ROWS = json.dumps([
    {"category": "street", "title": "街面巡查", "keeps": "6个月"}, {"category": "penalty", "title": "行政处罚", "keeps": "2年"},
])  # fmt: skip
LIST = "执法类别,执法事项,记录要求,存储类别,存储期限\n行政处罚,占道经营,全程录音录像,行政处罚,2年\n巡查,公园,视情,street,\n"


@pytest.fixture
def person(station: Program) -> Callable[..., None]:
    """Makes a person with roles for the whole bureau who can log in."""

    def make(login: str, role: str) -> None:
        made = station.json("user", "create", login, "--login", login, "--role", role)
        change = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": PASSWORD}
        station.run("user", "passwd", login, env=change)

    return make


def test_r11_r27_footage_is_classified_flagged_and_held_from_the_command_line(
    station: Program, person: Callable[..., None], tmp_path: Path
) -> None:  # fmt: skip
    media = {gb_name(): footage.voice_mp3(), gb_name(counter=2): footage.photo_jpg()}
    station.run("ingest", make_gb_tree(tmp_path / "card", media), "--register")
    person("manager", "retention_manager")
    person("leader", "unit_leader")

    def ask(login: str, *arguments: Any, status: int = 0) -> Any:
        return station.json(*arguments, "--as", login, env=ENV, status=status)

    rows = ask("manager", "recordings", "list", "--unclassified")
    assert [row["unclassified"] for row in rows] == [True, True]
    one, two = sorted(row["id"] for row in rows)
    refused = station.error("recordings", "classify", one, "--category", "street", "--as", "manager", env=ENV, status=2)
    assert "has no category" in refused["what"]
    row = ask(
        "manager", "matter", "open", "schedule", "--set", "title=办法", "--set", "authority=局发1号", "--set", f"rows={ROWS}",
        "--set", "in_force_from=2020-01-01",
    )  # fmt: skip
    ask("manager", "retention", "dry-run", row["number"], "--enter")
    ask("leader", "matter", "act", row["id"], "approve", "--seen", ask("leader", "matter", "show", row["id"])["seen"])
    plan = ask("manager", "recordings", "classify", one, two, "--category", "street")
    assert (plan["changes"], [row["left"] for row in plan["rows"]]) == (2, ["", ""])
    done = ask("manager", "recordings", "classify", one, two, "--category", "street", "--seen", plan["sha256"])
    assert sorted(done["done"]) == [one, two]
    ask("manager", "recordings", "classify", two, "--retract", "--words", "误分类")
    assert [row["id"] for row in ask("manager", "recordings", "list", "--unclassified")] == [two]
    ask("leader", "recordings", "flag", two, "--flag", "complaint", "--ground", "objection", "--words", "扬言投诉")
    [flagged] = ask("manager", "recordings", "list", "--flag", "complaint")
    assert (flagged["id"], flagged["flags"]) == (two, ["complaint", "long-term"])
    assert "未分类" in station.run("recordings", "list", "--as", "manager", env=ENV | {"LIUHEN_LANG": "zh-CN"}).stdout

    file = tmp_path / "清单.csv"
    file.write_text(LIST.replace("2年", "9年"))
    assert [one["code"] for one in ask("manager", "recordings", "items", "preview", file, status=3)["unreadable"]]
    file.write_text(LIST)
    assert len(ask("manager", "recordings", "items", "preview", file)["new"]) == 2
    listed = ask("manager", "recordings", "items", "propose", file, "--title", "清单", "--from", "2020-01-01")
    seen = ask("leader", "matter", "show", listed["number"])["seen"]
    ask("leader", "matter", "act", listed["number"], "approve", "--seen", seen)
    choices = ask("manager", "recordings", "items", "show")
    assert [item["matter"] for item in choices["items"]] == ["占道经营", "公园"]
    assert ask("manager", "recordings", "classify", two, "--item", choices["items"][0]["code"])["done"] == [two]
    assert [row["id"] for row in ask("manager", "recordings", "list", "--category", "penalty")] == [two]
    assert ask("manager", "recordings", "unclassified")["total"] == 0

    assert ask("leader", "hold", "try-out", "--since", "2020-01-01T00:00")["count"] == 2
    hold = ask(
        "leader", "matter", "open", "hold", "--set", "type=litigation", "--set", "title=行政诉讼", "--set", "why=法院来函",
        "--set", f"review_on={SystemClock().now().wall.date() + timedelta(days=60)}", "--set", "since=2020-01-01T00:00",
    )  # fmt: skip
    assert {row["id"] for row in ask("manager", "recordings", "list", "--held")} == {one, two}
    kept = ask("leader", "hold", "keeps", hold["number"])
    assert (kept["linked"], kept["to_link"], kept["overdue"]) == (2, 0, False)
    assert station.run("hold", "keeps", hold["number"], "--as", "leader", env=ENV).stdout
    assert station.json("verify")["verdict"] == "good"
