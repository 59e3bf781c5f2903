"""A home is laid out once, built as its settings say, and names what it lacks."""

import os

import pytest

from app.control import short_address
from app.home import Home
from app.settings import parse
from app.setup import set_up
from app.wiring import SERVICE_AGENT, build, build_drivers, opened
from evidence.durable import exclusive_lock, failure_domain
from evidence.errors import ConfigError, EvidenceError, HomeLockedError, NotDurableError, StoreUnavailableError
from evidence.model import Action

CONFIG = """
[station]
name = "unit"
origin = "liuhen.test/unit"
[storage]
protect = "mode-only"
free_floor_bytes = 0
[docks]
usb = false
"""


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    set_up(made, config=CONFIG, login="admin", os_uid=os.getuid())
    return made


def unsealed(home: Home) -> int:
    house = build(home, home.require())
    try:
        with house.catalogue.read() as uow:
            return len(uow.outbox.unsequenced(100))
    finally:
        house.close()


def act_and_fail(home: Home, error: EvidenceError) -> None:
    with opened(home) as house:
        house.gate.allowed(house.identity.cli_actor(os.getuid()), Action.DEVICE_LIST)
        raise error


def test_a_new_home_is_whole_sealed_and_its_keys_are_its_own(home):
    assert unsealed(home) == 0
    for key in (home.station_key, home.log_key, home.disclosure_key):
        assert key.stat().st_mode & 0o077 == 0
    assert home.config.stat().st_mode & 0o007 == 0
    with opened(home) as house:
        assert house.service_actor().via == "service"
        assert {store.properties.name for store in house.stores.all} == {"primary", "second"}
        assert len(house.stores.all_domains()) == len({failure_domain(store.root) for store in house.stores.local})


def test_a_folder_that_holds_something_becomes_no_home(home, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("x")
    for folder in (home.root, tmp_path / "full"):
        before = sorted(path for path in folder.rglob("*"))
        with pytest.raises(ConfigError):
            set_up(Home(folder), config=CONFIG, login="admin", os_uid=os.getuid())
        assert sorted(path for path in folder.rglob("*")) == before


@pytest.mark.parametrize(
    "step", ["app.setup.generate_key", "app.setup.build", "access.Administration.first_administrator"]
)
def test_a_set_up_that_was_cut_short_is_no_home_and_the_next_one_says_what_it_found(tmp_path, monkeypatch, step):
    home = Home(tmp_path / "home")
    with monkeypatch.context() as patched:
        patched.setattr(step, lambda *_, **__: pytest.fail("the machine lost its power"))
        with pytest.raises(BaseException, match="lost its power"):
            set_up(home, config=CONFIG, login="admin", os_uid=os.getuid())
    with pytest.raises(ConfigError, match="no Liuhen home"):
        home.require()
    left = sorted(path for path in home.root.rglob("*"))
    with pytest.raises(ConfigError, match="did not come to its end") as caught:
        set_up(home, config=CONFIG, login="admin", os_uid=os.getuid())
    assert "remove" in caught.value.todo.lower()
    assert sorted(path for path in home.root.rglob("*")) == left


def test_a_new_disk_of_its_own_becomes_a_home(tmp_path):
    """mkfs.ext4 leaves a folder in it."""
    (tmp_path / "home/lost+found").mkdir(parents=True)
    set_up(Home(tmp_path / "home"), config=CONFIG, login="admin", os_uid=os.getuid())
    assert not list((tmp_path / "home").glob("*unfinished*"))


@pytest.mark.parametrize("key", ["station_key", "log_key", "disclosure_key"])
def test_a_missing_key_is_named_with_the_way_out(home, key):
    path = getattr(home, key)
    path.rename(path.with_suffix(".aside"))
    with pytest.raises(ConfigError, match=path.name) as caught:
        home.require()
    assert "escrow" in caught.value.todo


def test_a_primary_store_whose_disk_is_away_is_named_and_never_made_anew(home):
    marker = home.root / "stores/primary/0=liuhen_store_1"
    marker.unlink()
    with pytest.raises(StoreUnavailableError, match="primary"), opened(home):
        pass
    assert not marker.exists()


def test_another_store_whose_disk_is_away_stops_nothing_is_never_made_anew_and_comes_back_by_itself(home):
    root = home.root / "stores/second"
    root.rename(home.root / "away")
    root.mkdir()  # the empty mount point
    with opened(home) as house:
        second = house.stores.named("second")
        assert second.properties.domain == "absent:second"
        house.seal_pending()
        with pytest.raises(StoreUnavailableError):
            house.archive.sync(house.catalogue)
        assert list(root.iterdir()) == []
        root.rmdir()
        (home.root / "away").rename(root)
        assert list(second.list()) == []
        assert not second.properties.domain.startswith("absent:")


def test_what_a_command_entered_is_sealed_when_it_ends_also_after_an_error(home):
    with opened(home) as house:
        house.gate.allowed(house.identity.cli_actor(os.getuid()), Action.DEVICE_LIST)
    assert unsealed(home) == 0
    with pytest.raises(ConfigError):
        act_and_fail(home, ConfigError("x"))
    assert unsealed(home) == 0


def test_after_a_fatal_error_nothing_more_is_written(home):
    with pytest.raises(NotDurableError):
        act_and_fail(home, NotDurableError("fsync failed"))
    assert unsealed(home) == 1


def test_an_account_nobody_is_bound_to_is_nobody_and_that_is_entered(home):
    with pytest.raises(EvidenceError) as caught, opened(home) as house:
        house.identity.cli_actor(54321)
    assert caught.value.code == "authentication"
    assert unsealed(home) == 0


def test_a_home_without_its_service_agent_says_so(home):
    with opened(home) as house:
        with house.catalogue.begin() as uow:
            uow.settings.put(SERVICE_AGENT, "")
        with pytest.raises(EvidenceError):
            house.service_actor()


def test_one_process_at_a_time_holds_the_lock(home):
    with exclusive_lock(home.lock), pytest.raises(HomeLockedError), exclusive_lock(home.lock):
        pass


def test_the_drivers_are_those_of_the_settings(tmp_path):
    docks = {
        "usb": False,
        "folders": [str(tmp_path)],
        "watch_folders": [str(tmp_path / "w")],
        "usb_over_ip": ["127.0.0.1:1"],
    }
    names = {driver.name for driver in build_drivers(parse({"docks": docks})).drivers}
    assert names == {"mass_storage", "mtp_over_ip", "watch_folder"}
    for wrong in ("nowhere", "host:", ":1", "host:port"):
        with pytest.raises(ConfigError, match="host:port"):
            build_drivers(parse({"docks": {"usb_over_ip": [wrong]}}))


def test_addresses_of_databases_follow_the_settings(tmp_path):
    home = Home(tmp_path)
    default, postgres = parse({}), parse({"database": {"url": "postgresql://x/y"}})
    assert home.database_url(default) == f"sqlite:///{tmp_path}/app.db"
    assert home.jobs_url(default) == f"sqlite:///{tmp_path}/flow.db"
    assert home.database_url(postgres) == home.jobs_url(postgres) == "postgresql://x/y"


def test_the_address_of_a_socket_in_a_deep_home_fits_the_kernel(tmp_path):
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    with short_address(deep / "control.sock") as address:
        assert len(address) < 107


BUCKET = """
[[storage.stores]]
kind = "local"
name = "primary"
path = "stores/primary"
[[storage.stores]]
kind = "local"
name = "second"
path = "stores/second"
[[storage.stores]]
kind = "s3"
name = "far"
endpoint = "https://s3.example"
bucket = "b"
access_key_file = "{folder}/key"
secret_key_file = "{folder}/key"
domain = "far"
"""


def test_only_who_tells_of_protection_probes_the_buckets(home, tmp_path, monkeypatch):
    """A probe is a dozen requests and two locked objects: no price for listing recordings."""
    probes = []
    monkeypatch.setattr("app.wiring.S3Store.probe", lambda store: probes.append(store.properties.name))
    (tmp_path / "key").write_text("k")
    home.config.write_text(CONFIG + BUCKET.format(folder=tmp_path))
    house = build(home, home.require())
    try:
        assert probes == []
        house.probe_stores()
        assert probes == ["far"]
    finally:
        house.close()
