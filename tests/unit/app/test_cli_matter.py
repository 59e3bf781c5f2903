"""``liuhen matter``: a kind it never heard of is filled in, decided by two persons, filed, printed and registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from app.matter_forms import all_forms
from matters.form import Forms
from support.demo_matters import DEMO, SECRET
from support.program import Program

PASSWORD = "a long evidence password"
ENV = {"LIUHEN_PASSWORD": PASSWORD}
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture
def person(station: Program) -> Callable[[str], str]:
    """Makes a unit leader who can log in; returns the agent's identity."""
    unit = station.json("user", "create-unit", "执法一科")["id"]

    def make(login: str) -> str:
        made = station.json(
            "user", "create", login, "--login", login, "--role", "unit_leader", "--unit", unit
        )  # fmt: skip
        change = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": PASSWORD}
        station.run("user", "passwd", login, env=change)
        return str(made["id"])

    return make


def test_r17_a_kind_is_used_from_its_form_alone(station: Program, person: Callable[[str], str], tmp_path: Path) -> None:
    paper = tmp_path / "来函.pdf"
    paper.write_bytes(PDF)
    with mock.patch("app.wiring.all_forms", return_value=Forms([*all_forms(), DEMO])):
        asker, other = person("asker"), person("other")
        assert other.startswith("agt_")

        def as_(login: str, *arguments: Any, status: int = 0) -> Any:
            return station.json("matter", *arguments, "--as", login, env=ENV, status=status)

        def refused(login: str, *arguments: Any, status: int) -> dict[str, Any]:
            return dict(station.error("matter", *arguments, "--as", login, env=ENV, status=status))

        assert "demo" in [one["kind"] for one in as_("asker", "kinds")]
        assert as_("asker", "kinds", "demo")["opening"]["fields"][0]["name"] == "title"
        wrong = refused("asker", "open", "demo", "--set", "count=99", status=2)
        assert (wrong["code"], wrong["fields"]) == ("invalid-input", {"title": "missing", "count": "out-of-range"})
        guarded = refused("asker", "open", "demo", "--set", "title=a", "--set", "day=friday", status=3)
        assert guarded["what"] == "Not on Friday."
        row = as_(
            "asker", "open", "demo", "--set", "title=调看", "--set", "rights=copy,view", "--set", f"keeper={asker}",
            "--set", f"secret={SECRET}", "--set", 'list=[{"what": "甲", "why": "乙"}]', "--set", "until=2026-12-01T09:30",
        )  # fmt: skip
        assert (row["state"], row["facts"]["rights"], row["facts"]["list"]) == (
            "asked", ["view", "copy"], [{"what": "甲", "why": "乙"}],
        )  # fmt: skip
        number = row["number"]
        assert [one["number"] for one in as_("other", "list", "--kind", "demo", "--open")] == [number]
        assert as_("other", "list", "--text", SECRET) == []
        shown = as_("other", "show", number)
        assert SECRET not in str(shown)
        assert SECRET not in station.run("matter", "show", number, "--as", "other", env=ENV).stdout
        assert SECRET not in station.run("matter", "history", number, "--as", "other", env=ENV).stdout
        assert SECRET in station.run("matter", "show", number, "--as", "asker", env=ENV).stdout
        document = as_("other", "attach", number, "letter", paper)
        assert document["media_type"] == "application/pdf"
        own = refused("asker", "act", number, "agree", "--seen", shown["seen"], status=10)
        assert own["reason"] == "same-person"
        assert refused("other", "act", number, "agree", "--seen", shown["seen"], status=50)["code"] == "state-conflict"
        seen = as_("other", "show", number)["seen"]
        assert as_("other", "act", number, "agree", "--seen", seen)["state"] == "agreed"
        types = [one["type"] for one in as_("asker", "history", number) if not one["type"].startswith("access.")]
        assert types == ["matter.acted", "document.filed", "matter.acted"]
        register = tmp_path / "a.csv"
        as_("other", "register", "demo", "-o", register)
        told = register.read_text(encoding="utf-8-sig")
        assert number in told
        assert "来函.pdf" in told
        assert SECRET not in told
        assert refused("other", "register", "demo", "-o", register, status=2)["code"] == "usage"
        printed = tmp_path / "a.pdf"
        as_("asker", "print", number, "-o", printed)
        assert printed.read_bytes().startswith(b"%PDF")
    assert station.verified()["verdict"] == "good"


def test_what_is_not_known_is_told_as_such(station: Program) -> None:
    assert station.error("matter", "show", "YS2026-0001", status=2)["code"] == "not-found"
    assert station.error("matter", "open", "nosuch", status=2)["code"] == "invalid-input"
    assert station.error("matter", "list", "--from", "yesterday", status=2)["code"] == "usage"
    assert station.error("matter", "open", "exception", "--set", "nothing", status=2)["code"] == "usage"
