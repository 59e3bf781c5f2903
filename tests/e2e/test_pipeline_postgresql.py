"""The whole main job on PostgreSQL: catalogue and jobs in one database, proved by a rebuild into either kind."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from app.home import Home
from app.settings import load
from app.wiring import opened
from assurance.facts import evidence_facts
from assurance.rebuild import rebuild
from catalogue import Catalogue
from catalogue.records import RecordingFilter
from devices.mass_storage.driver import MassStorageDriver
from evidence.model import RecordingKind
from support import whole_home
from support.databases import PostgresServer
from support.footage import talking_mp4
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


def tables(url: str, schema: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", [schema]).fetchone()
    assert found is not None
    return int(found[0])


def found(house, actor, text: str) -> set[str]:
    page = house.reading.list_recordings(actor, wanted=RecordingFilter(text=text))
    return {item.row.name for item in page.items}


def test_offload_seal_describe_search_verify_and_rebuild_on_postgresql(
    tmp_path: Path, postgres_url: str, postgres_server: PostgresServer
) -> None:
    home = whole_home.make(tmp_path / "home", whole_home.config(database=postgres_url))
    same = os.urandom(3000)
    media = {
        f"DCIM/{gb_name(counter=1)}": talking_mp4(),
        f"DCIM/{gb_name(counter=2)}": same,
        f"DCIM/{gb_name(counter=2, mark='_IMP')}": same,
        f"DCIM/{gb_name(counter=3, extension='txt')}": b"$GPRMC",
        "DCIM/入户检查.mp4": b"not footage at all",
    }
    docked = MassStorageDriver.docked_at(make_gb_tree(tmp_path / "card", media))
    with whole_home.at_work(home) as run:
        house = run.house
        admin = whole_home.administrator(house)
        unit = house.administration.create_unit(admin, name="交警执法一科", code="01")
        officer = house.administration.create_agent(admin, name="执法人员甲", officer_code="900123", unit=unit.id).agent
        result = run.offloads.offload(docked, admin, register=True)
        assert result.error is None
        whole_home.until(whole_home.all_done(house, len(media)))
        by_name = {row.name: row for row in whole_home.rows(house)}
        clip = by_name[gb_name(counter=1)]
        assert (clip.officer, clip.kind, bool(clip.facts)) == (officer.id, RecordingKind.VIDEO, True)
        assert sum(row.duplicate_of is not None for row in by_name.values()) == 1
        assert found(house, admin, "执法人员") >= {clip.name}
        assert found(house, admin, "入户") == {"入户检查.mp4"}
        assert found(house, admin, "检") == {"入户检查.mp4"}
        assert found(house, admin, "没有的词") == set()
        assert run.offloads.offload(docked, admin).acquired == []
        whole_home.until(whole_home.all_done(house, len(media)))
        assert tables(postgres_url, "dbos") > 0
        assert not list((tmp_path / "home").glob("*.db")), "SQLite was used beside PostgreSQL"
        report = whole_home.verify(house)
        assert (report.verdict, report.recordings) == ("good", len(media))
    with opened(home) as house:  # the service has ended: nothing is entered while the log is read
        house.archive.sync(house.catalogue)
        before = evidence_facts(house.catalogue)
        for url in (f"sqlite:///{tmp_path}/again.db", postgres_server.fresh_url()):
            again = Catalogue.open(url, migrate=True)
            try:
                rebuild(
                    again, published=house.home.public_log, vkey=house.vkey, stores=house.stores.all,
                    disclosures=house.archive.read_all(house.stores.local[1].root),
                )  # fmt: skip
                assert evidence_facts(again) == before
            finally:
                again.close()
    assert whole_home.liuhen("verify", "--home", home.root)["verdict"] == "good"


def test_the_commands_alone_make_and_use_a_home_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    root = tmp_path / "home"
    made = whole_home.liuhen("init", "--home", root, "--station", "站点二", "--database", postgres_url)
    assert made["domains"] == 1
    assert load(root).database.url == postgres_url
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": os.urandom(9000)})
    answer = whole_home.liuhen("ingest", card, "--home", root, "--register")
    (recording,) = answer["recordings"]
    assert (recording["state"], recording["sealed"]) == ("stored", True)
    (listed,) = whole_home.liuhen("recordings", "list", "--home", root)
    assert listed["id"] == recording["id"]
    report = whole_home.liuhen("verify", "--home", root)
    assert (report["verdict"], report["recordings"]) == ("good", 1)
    assert not list(root.glob("*.db"))


def test_init_refuses_a_database_that_is_in_use(tmp_path: Path, postgres_url: str) -> None:
    """Two homes in one database would be two logs in one outbox."""
    whole_home.make(tmp_path / "home", whole_home.config(database=postgres_url))
    answer = whole_home.liuhen("init", "--home", tmp_path / "other", "--database", postgres_url, expect=2)
    assert answer["error"]["code"] == "config"
    assert Home(tmp_path / "other").config.exists() is False
