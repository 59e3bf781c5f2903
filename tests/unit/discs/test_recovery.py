"""Error correction: only where it leaves a valid disc that fits; mended to the same bytes.

The code fills at least a CD and mending one takes minutes, so the last test runs only by hand (``pytest -m slow``).
"""

import hashlib
import os

import pytest

from discs.check import check_by_itself
from discs.drive import Drive
from discs.image import image_path, make_image
from discs.media import SECTOR_BYTES, medium_kind
from discs.readback import read_back
from discs.recovery import fits, mend
from evidence.errors import DiscDamagedError, DiscMediumError
from support.discs import content, make_set

CD = medium_kind("cd-r").sectors
DVD = medium_kind("dvd+r").sectors


@pytest.mark.parametrize(
    ("sectors", "medium", "fit"),
    [
        (1000, CD, True),
        (290_000, CD, True),
        (300_000, CD, False),
        (300_000, DVD, True),
        (1_900_000, DVD, True),
        (1_950_000, DVD, False),
        (1000, 2000, False),
    ],
)
def test_error_correction_only_where_there_is_room(sectors, medium, fit):
    assert fits(sectors * SECTOR_BYTES, medium_sectors=medium) is fit


def test_no_room_is_said_and_nothing_is_left(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", [50_000])
    with pytest.raises(DiscMediumError, match="error correction"):
        make_image(tmp_path / "out", content(manifest, paths), sectors_max=5000, error_correction=True)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("said", "mended"), [(0, False), (1, False), (1, True)])
def test_whether_a_copy_is_mended_tell_its_bytes_and_no_exit_status(tmp_path, monkeypatch, said, mended):
    copy = tmp_path / "copy.iso"
    copy.write_bytes(b"scratched")

    def repair(_arguments, *, cwd, timeout_s):
        if mended:
            (cwd / "copy.iso").write_bytes(b"whole")
        return said, "Good! All sectors are repaired."

    monkeypatch.setattr("discs.recovery._run", repair)
    wanted = hashlib.sha256(b"whole").hexdigest()
    if mended:
        mend(copy, sha256=wanted)
    else:
        with pytest.raises(DiscDamagedError):
            mend(copy, sha256=wanted)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_scratched_copy_is_mended_from_itself(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", [3_000_000, 100])
    image = make_image(tmp_path / "out", content(manifest, paths), sectors_max=CD, error_correction=True)
    path = image_path(tmp_path / "out", 1)
    assert image.sectors <= CD
    assert check_by_itself(Drive(f"stdio:{path}")).good
    copy = tmp_path / "copy.iso"
    copy.write_bytes(path.read_bytes())
    with copy.open("r+b") as stream:
        stream.seek(300 * SECTOR_BYTES)
        stream.write(os.urandom(50 * SECTOR_BYTES))
    mend(copy, sha256=image.sha256)
    found = read_back(copy, sectors=image.sectors, files=image.files, expected=image.digests)
    assert found.sha256 == image.sha256
