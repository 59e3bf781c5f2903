"""Whatever is installed is pinned by digest, and the locks are those of this pyproject.toml."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from support.repository import ROOT, project

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^ ;]+)( *;[^\\]*)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def statements(text: str) -> list[str]:
    """Logical lines without comments."""
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pins(name: str) -> dict[str, Version]:
    found = {}
    for statement in statements((ROOT / "requirements" / name).read_text("utf-8")):
        pin = PIN.match(statement)
        assert pin is not None, statement
        found[canonicalize_name(pin["name"])] = Version(pin["version"])
    return found


def unmet(required: list[str], locked: dict[str, Version]) -> list[str]:
    wanted = [Requirement(text) for text in required]
    return [
        str(one)
        for one in wanted
        if (one.marker is None or one.marker.evaluate())
        and not (canonicalize_name(one.name) in locked and one.specifier.contains(locked[canonicalize_name(one.name)]))
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_a_digest_and_no_address(lock):
    text = lock.read_text("utf-8")
    assert "://" not in text
    found = statements(text)
    assert found
    for statement in found:
        assert PIN.match(statement), statement
        assert HASH.search(statement), f"no digest: {statement[:80]}"


def test_the_locks_satisfy_what_pyproject_asks_for():
    run, dev, interop = pins("run.txt"), pins("dev.txt"), pins("interop.txt")
    groups = project()["dependency-groups"]
    assert unmet(project()["project"]["dependencies"], run) == []
    assert unmet(groups["dev"], {**run, **dev}) == []
    assert unmet(groups["interop"], interop) == []
    assert unmet(project()["build-system"]["requires"], {**run, **pins("build.txt")}) == []


def test_what_two_locks_have_in_common_has_one_version():
    run = pins("run.txt")
    for lock in ("dev.txt", "demo.txt", "build.txt"):
        other = pins(lock)
        assert {name: other[name] for name in other.keys() & run.keys()} == {
            name: run[name] for name in other.keys() & run.keys()
        }


def test_a_pin_without_a_digest_would_be_noticed():
    (statement,) = statements("something==1.0\n")
    assert PIN.match(statement)
    assert not HASH.search(statement)
