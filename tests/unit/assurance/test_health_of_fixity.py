"""The tiles about scrub, inventories and brake: green only when it is true, red when a person must act, never a guess."""

from __future__ import annotations

from datetime import timedelta

from assurance.brake import BY_PERSON, Brake
from assurance.copies import KeepingParts
from assurance.fixity import FixityPolicy, Scrub
from assurance.fixity_status import status
from assurance.health_facts import HealthParts, Level
from assurance.health_of_fixity import brake, fixity, inventories
from assurance.inventory import Inventory
from assurance.verify import CopyPolicy
from chain_of_custody.checkpoint import NoteVerifier
from evidence.digest import SHA256, Digest
from evidence.ids import AgentId
from storage.layout import blob_key
from support.assured_home import AssuredHome
from support.recorders import gb_name


def parts(home: AssuredHome) -> HealthParts:
    return HealthParts(
        catalogue=home.catalogue, stores=list(home.stores), published=home.published,
        verifier=NoteVerifier.parse(home.vkey), clock=home.clock, policy=CopyPolicy(copies=2, domains=1),
    )  # fmt: skip


def keeping(home: AssuredHome) -> KeepingParts:
    return KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=list(home.stores)
    )  # fmt: skip


def scrub(home: AssuredHome) -> Scrub:
    return Scrub(keeping(home), FixityPolicy(), load=lambda: 0.0)


def later(home: AssuredHome, **span: float) -> None:
    home.clock.unix_ms += int(timedelta(**span) / timedelta(milliseconds=1))


def told(home: AssuredHome) -> tuple[Level, str]:
    (check,) = fixity(parts(home))
    return check.level, check.reason


def test_fixity_is_green_while_every_copy_is_looked_at_in_time(home: AssuredHome) -> None:
    assert told(home) == (Level.OK, "nothing-kept")
    home.ingest({f"DCIM/{gb_name(counter=1)}": b"x" * 1000})
    assert told(home) == (Level.UNKNOWN, "no-round")
    scrub(home).tick()
    assert told(home) == (Level.OK, "in-time")
    later(home, hours=2)
    assert told(home) == (Level.WARN, "not-looking")


def test_fixity_is_red_when_a_look_lies_back_more_than_one_and_a_half_periods(home: AssuredHome) -> None:
    home.ingest({f"DCIM/{gb_name(counter=1)}": b"x" * 1000})
    one = scrub(home)
    one.current()
    root, aside = home.root / "stores/second", home.root / "stores/away"
    root.rename(aside)
    later(home, days=29)
    one.tick()
    assert told(home) == (Level.WARN, "store-away")
    later(home, days=17)
    one.tick()
    assert told(home) == (Level.BAD, "too-long-ago")
    found = status(home.catalogue, FixityPolicy(), now=home.clock.now().wall, configured=["primary", "second"])
    assert (found.away, found.running) == (("second",), True)
    aside.rename(root)
    assert one.run().bad == {}
    one.tick()
    assert told(home) == (Level.OK, "in-time")


def test_fixity_is_red_while_a_copy_is_bad_and_green_when_it_was_made_again(home: AssuredHome) -> None:
    (row,) = home.ingest({f"DCIM/{gb_name(counter=1)}": b"x" * 1000})
    files = [home.root / "stores" / store / blob_key(row.sha256) for store in ("primary", "second")]
    for file in files:
        file.chmod(0o640)
        file.write_bytes(b"y" * 1000)
    one = scrub(home)
    one.run()
    one.tick()
    assert told(home) == (Level.BAD, "bad-copies")
    found = status(home.catalogue, FixityPolicy(), now=home.clock.now().wall, configured=["primary", "second"])
    assert [(bad.store, bad.part, bad.recording) for bad in found.bad] == [
        ("primary", "recording", row.id), ("second", "recording", row.id),
    ]  # fmt: skip
    files[0].write_bytes(b"x" * 1000)  # from a disk that was taken out
    one.run()
    one.tick()
    assert told(home) == (Level.OK, "in-time")


def test_a_round_that_will_end_too_late_is_a_warning(home: AssuredHome) -> None:
    home.ingest({f"DCIM/{gb_name(counter=n)}": b"%d" % n * 1000 for n in range(1, 5)})
    slow = Scrub(keeping(home), FixityPolicy(), load=lambda: 0.0)
    slow.current()
    later(home, days=12)
    slow.run(stores=["primary"], limit_bytes=1)
    slow.run(stores=["second"], limit_bytes=1)
    slow._tell(slow._lane(slow.current()).outcomes.done)
    found = status(home.catalogue, FixityPolicy(), now=home.clock.now().wall, configured=["primary", "second"])
    assert found.forecast is not None
    assert found.forecast.in_time is False
    assert told(home) == (Level.WARN, "round-late")


def test_every_store_has_a_tile_of_its_inventory(home: AssuredHome) -> None:
    (row,) = home.ingest({f"DCIM/{gb_name(counter=1)}": b"x" * 1000})
    assert {(one.subject, one.level, one.reason) for one in inventories(parts(home))} == {
        ("primary", Level.UNKNOWN, "never-counted"), ("second", Level.UNKNOWN, "never-counted"),
    }  # fmt: skip
    counting = Inventory(keeping(home), brake=Brake(home.catalogue, recorder=home.recorder, clock=home.clock))
    counting.tick()
    assert {one.reason for one in inventories(parts(home))} == {"counted"}
    later(home, days=2)
    assert {(one.level, one.reason) for one in inventories(parts(home))} == {(Level.WARN, "count-old")}
    later(home, days=3)
    assert {(one.level, one.reason) for one in inventories(parts(home))} == {(Level.BAD, "count-old")}
    (home.root / "stores/second" / blob_key(Digest(SHA256, row.sha256.hex))).unlink()
    counting.tick()
    assert {one.subject: one.reason for one in inventories(parts(home))} == {
        "primary": "counted", "second": "lacks-copies",
    }  # fmt: skip


def test_a_pulled_brake_is_red_and_says_why(home: AssuredHome) -> None:
    one = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
    (check,) = brake(parts(home))
    assert (check.level, check.reason) == (Level.OK, "removals-allowed")
    one.pull(cause=BY_PERSON, agent=AgentId(home.administrator.agent), detail="strange")
    (check,) = brake(parts(home))
    assert (check.level, check.reason) == (Level.BAD, "stopped-by-person")
