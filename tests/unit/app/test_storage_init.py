"""`liuhen storage init` and a store that had footage: no empty store takes an unmounted disk's place unless a person says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.home import Home
from assurance.repair import COPY_MISSING
from devices.mass_storage.driver import MassStorageDriver
from support import seaweed, whole_home
from support.recorders import gb_name, make_gb_tree
from support.whole_home import at_rest, config


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one recording, whose second store's disk is not there."""
    home = whole_home.make(tmp_path / "home", config())
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=1)}": b"footage" * 4_000})
    with at_rest(home) as (house, service):
        (recording,) = service.offload(MassStorageDriver.docked_at(card), house.service_actor(), register=True).acquired
        service.secure(recording)
        whole_home.seal(house)
    (home.root / "stores/second").rename(tmp_path / "unmounted")
    return home


def test_an_unmounted_store_with_footage_is_not_made_anew_in_its_mount_point(home: Home) -> None:
    refused = whole_home.liuhen("storage", "init", "--home", home.root, expect=30)
    assert refused["error"]["code"] == "store-unavailable"
    assert "second" in refused["error"]["what"]
    assert not (home.root / "stores/second").exists()


def test_a_store_that_is_lost_for_good_is_made_empty_and_its_copies_count_as_missing_at_once(home: Home) -> None:
    told = whole_home.liuhen("storage", "init", "--empty", "second", "--home", home.root)
    assert {row["store"] for row in told} == {"primary", "second"}
    with at_rest(home) as (house, _), house.catalogue.read() as uow:
        bad = uow.store_states.bad_copies()
        counted = uow.inventories.newest("second")
        findings = uow.findings.open()
    assert {store for _, store in bad} == {"second"}
    assert counted is not None
    assert (counted.objects, counted.missing) == (0, len(bad))
    assert COPY_MISSING in {row.kind for row in findings}


def test_a_store_that_is_there_is_never_emptied(home: Home, tmp_path: Path) -> None:
    (tmp_path / "unmounted").rename(home.root / "stores/second")
    refused = whole_home.liuhen("storage", "init", "--empty", "second", "--home", home.root, expect=2)
    assert refused["error"]["code"] == "invalid-input"
    unknown = whole_home.liuhen("storage", "init", "--empty", "nobody", "--home", home.root, expect=2)
    assert unknown["error"]["code"] == "invalid-input"


def test_a_bucket_that_is_gone_is_not_made_anew_unless_a_person_says_so(tmp_path: Path) -> None:
    stores = [whole_home.local("primary", "stores/primary"), whole_home.bucket(seaweed.shared(), tmp_path / "secrets")]
    home = whole_home.make(tmp_path / "home", config(stores=stores))
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=1)}": b"footage" * 4_000})
    with at_rest(home) as (house, service):
        (recording,) = service.offload(MassStorageDriver.docked_at(card), house.service_actor(), register=True).acquired
        service.secure(recording)
        whole_home.seal(house)
    name = str(stores[1]["bucket"])
    home.config.write_text(home.config.read_text().replace(name, f"{name}-gone"))
    refused = whole_home.liuhen("storage", "init", "--home", home.root, expect=30)
    assert f"{name}-gone" in refused["error"]["what"]
    told = whole_home.liuhen("storage", "init", "--empty", "bucket", "--home", home.root)
    assert {row["store"]: row["protection"] for row in told}["bucket"] == "object-lock"
    with at_rest(home) as (house, _), house.catalogue.read() as uow:
        assert {store for _, store in uow.store_states.bad_copies()} == {"bucket"}
