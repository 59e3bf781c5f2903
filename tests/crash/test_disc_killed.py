"""Killed at every step of making and burning a disc: what is left is either a whole image or none, and the next run ends well."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

import discs.image
from discs.burn import burn
from discs.check import check_disc
from discs.drive import Drive
from discs.image import image_path, made_image, make_image, record_path
from evidence.errors import DiscMediumError
from support.discs import content, make_set

pytestmark = [pytest.mark.crash]

SIZES = [3_000_000, 100, 0, 2_500_000]
FORK = multiprocessing.get_context("fork")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _make(folder: Path, what, at: int, patched: str) -> None:
    count = 0

    def told(*_step: object) -> None:
        nonlocal count
        count += 1
        if count == at:
            _die()

    if patched:
        real = getattr(discs.image, patched)

        def around(*arguments, **named):
            if at == -1:
                _die()
            made = real(*arguments, **named)
            _die()
            return made

        setattr(discs.image, patched, around)
    make_image(folder, what, sectors_max=400_000, told=told)
    os._exit(0)


def run_until_killed(folder: Path, what, at: int, patched: str = "") -> bool:
    process = FORK.Process(target=_make, args=(folder, what, at, patched))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.fixture
def what(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", SIZES)
    return content(manifest, paths)


def check(folder: Path, what, good: str) -> None:
    """After a death: an image with a record is whole, anything else counts for nothing; the next run makes the same image."""
    left = made_image(folder, 1)
    if left is not None:
        assert left.sha256 == good
    image = make_image(folder, what, sectors_max=400_000)
    assert image.sha256 == good
    assert sorted(path.name for path in folder.iterdir()) == [image_path(folder, 1).name, record_path(folder, 1).name]
    assert check_disc(Drive(f"stdio:{image_path(folder, 1)}"), image).good


def test_killed_at_every_step_of_making_an_image(tmp_path, what):
    good = make_image(tmp_path / "good", what, sectors_max=400_000).sha256
    died, at = 0, 1
    while run_until_killed(tmp_path / f"at{at}", what, at):
        check(tmp_path / f"at{at}", what, good)
        died, at = died + 1, at + 1
    assert died >= 7  # writing, reading block by block, naming


@pytest.mark.parametrize("patched", ["_lay_out", "_durable", "image_sectors", "link_new", "publish_new"])
@pytest.mark.parametrize("at", [-1, 0])
def test_killed_before_and_after_a_step(tmp_path, what, patched, at):
    good = make_image(tmp_path / "good", what, sectors_max=400_000).sha256
    assert run_until_killed(tmp_path / "out", what, at, patched)
    check(tmp_path / "out", what, good)


def _burn(folder: Path, address: str) -> None:
    image = made_image(folder, 1)
    drive = Drive(address)

    def told(_phase: str, done: int, _whole: int) -> None:
        if done:
            _die()

    drive.path.write_bytes(b"")
    burn(folder, image, drive, told=told)
    os._exit(0)


def test_a_disc_whose_burning_was_killed_is_never_taken_for_burnt(tmp_path, what):
    image = make_image(tmp_path / "out", what, sectors_max=400_000)
    half = Drive(f"stdio:{tmp_path}/half.iso")
    half.path.write_bytes(image_path(tmp_path / "out", 1).read_bytes()[: 1 << 20])
    with pytest.raises(DiscMediumError):  # what is not blank is not burnt again: a new disc is taken
        burn(tmp_path / "out", image, half)
    checked = check_disc(half, image)
    assert not checked.good
    assert checked.damaged
    process = FORK.Process(target=_burn, args=(tmp_path / "out", f"stdio:{tmp_path}/B.iso"))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    # Killed after the last byte and before anybody was told: reading it back decides.
    assert check_disc(Drive(f"stdio:{tmp_path}/B.iso"), image).good
