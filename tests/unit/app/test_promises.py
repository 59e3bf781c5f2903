"""Settings that weaken a promise are told by doctor and verify, refused when they contradict, and entered when they change."""

import json

import pytest

from app.home import Home
from app.promises import changed, enter_settings, promised, weakened
from app.settings import parse
from app.wiring import opened
from evidence.errors import ConfigError
from evidence.model import Action
from support.program import Program
from support.recorders import gb_name, make_gb_tree

LESS = "copies = 1\ndomains = 1\nsingle_domain = true\nprotect"


def weaken(station: Program, *, name: str = "test-station") -> None:
    config = station.home / "config.toml"
    text = config.read_text().replace("protect", LESS, 1).replace("test-station", name)
    config.write_text(text.replace("[docks]\n", '[docks]\nclearing = "automatic"\n'))


def applied(station: Program) -> list[dict]:
    with opened(Home(station.home)) as house, house.catalogue.read() as uow:
        envelopes = [row.envelope for row in uow.outbox.rows(0, uow.outbox.head().size)]
    from chain_of_custody.entry import parse as parse_entry

    entries = [parse_entry(envelope) for envelope in envelopes]
    return [entry.data["settings"] for entry in entries if entry.event_type == "settings.applied"]


def card(tmp_path):
    return make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": b"x" * 100})


def test_what_is_weaker_than_the_default_is_named_and_the_default_is_not():
    assert weakened(parse({})) == []
    data = {"storage": {"copies": 1, "domains": 1, "single_domain": True}, "docks": {"clearing": "manual"}}
    assert weakened(parse(data)) == [
        "storage.copies = 1", "storage.domains = 1", "storage.single_domain = true", 'docks.clearing = "manual"',
    ]  # fmt: skip


def test_nothing_secret_and_no_place_is_entered():
    bucket = {
        "kind": "s3", "name": "far", "endpoint": "https://s3.example", "bucket": "b", "access_key_file": "/keys/a",
        "secret_key_file": "/keys/s",
    }  # fmt: skip
    local = {"kind": "local", "name": "near", "path": "/disk/near"}
    text = json.dumps(promised(parse({"storage": {"stores": [local, bucket]}})))
    assert '"s3:far"' in text
    assert "/" not in text


@pytest.mark.parametrize(
    "command",
    [("verify",), ("recordings", "list"), ("ingest", "."), ("serve", "--port", "0"), ("user", "list"), ("log", "vkey")],
)
def test_one_domain_without_consent_is_refused_by_every_command_the_same(station, command):
    config = station.home / "config.toml"
    config.write_text(config.read_text().replace("protect", "copies = 1\ndomains = 1\nprotect", 1))
    error = station.error(*command, status=2)
    assert error["code"] == "config"
    assert "storage.domains" in error["what"]
    assert "storage.single_domain" in error["what"]


def test_every_weakening_is_told_by_doctor_and_in_the_notes_of_verify(station):
    weaken(station)
    keys = {"storage.copies", "storage.domains", "storage.single_domain", "docks.clearing"}
    lines = [row for row in station.json("doctor", status=None) if row["what"] == "promise"]
    assert keys <= {row["detail"].split(": ")[1].split(" ")[0] for row in lines}
    assert {row["level"] for row in lines} == {"warn"}
    report = station.verified()
    assert keys <= {one["detail"].split(" ")[0] for one in report["notes"] if one["kind"] == "weakened-setting"}
    assert "storage.copies = 1" in station.run("verify").stdout


def test_settings_are_entered_when_they_changed_and_only_then(station, tmp_path):
    station.json("ingest", card(tmp_path), "--register")
    station.json("ingest", card(tmp_path))
    assert [one["docks.clearing"] for one in applied(station)] == ["never"]
    weaken(station, name="another")
    notes = station.json("verify")["notes"]
    assert any(one["kind"] == "setting-not-entered" and "station.name" in one["detail"] for one in notes)
    assert any(row["what"] == "settings" for row in station.json("doctor", status=None))
    station.json("ingest", card(tmp_path))
    assert [(one["storage.copies"], one["station.name"]) for one in applied(station)] == [
        (2, "test-station"),
        (1, "another"),
    ]
    assert not any(one["kind"] == "setting-not-entered" for one in station.json("verify")["notes"])
    assert station.json("rebuild", "--check")["same"] is True


def test_a_kept_row_that_cannot_be_read_hides_no_change(station):
    with opened(Home(station.home)) as house:
        actor = house.service_actor().agent
        with house.catalogue.begin() as uow:
            uow.settings.put("settings.entered", "[1")
        assert changed(house.catalogue, house.settings) == []
        enter_settings(house.catalogue, house.settings, recorder=house.recorder, clock=house.clock, actor=actor)
        house.gate.allowed(house.service_actor(), Action.OFFLOAD_LIST)
    assert len(applied(station)) == 1


def test_consent_to_one_domain_is_taken():
    assert parse({"storage": {"domains": 1, "single_domain": True}}).storage.single_domain
    with pytest.raises(ConfigError):
        parse({"storage": {"domains": 1}})
