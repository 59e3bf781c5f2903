"""Real images by the real xorriso: made, burnt to a file, read back; damage is named and placed; 7z reads the same."""

import hashlib
import json
import os
import subprocess

import pytest

from discs.burn import burn
from discs.check import check_by_itself, check_disc
from discs.drive import Drive, Medium, list_drives, look, parse_medium, require_blank
from discs.image import check_image, forget_image, image_path, made_image, make_image, record_path
from discs.laid import LaidFile, parse_layout
from discs.manifest import MANIFEST_PATH
from discs.media import SECTOR_BYTES
from discs.pages import README_PATH, VERIFY_PATH
from discs.readback import Outcome, read_back
from evidence.errors import (
    DigestMismatchError,
    DiscDamagedError,
    DiscDriveError,
    DiscError,
    DiscMediumError,
    DiscPlanError,
    StoreFullError,
    UsageError,
)
from support.discs import NAMES, content, make_set

SIZES = [3_000_000, 100, 0, 2_500_000, 2048, 4097, 10, 20]


@pytest.fixture
def made(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", SIZES)
    folder = tmp_path / "out"
    return folder, make_image(folder, content(manifest, paths), sectors_max=400_000), manifest, paths


def spoil(path, offset, data=b"\xff" * 16):
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def test_an_image_holds_every_file_and_a_second_reader_agrees(made, tmp_path):
    folder, _image, manifest, _paths = made
    out = tmp_path / "7z"
    subprocess.run(["7z", "x", f"-o{out}", str(image_path(folder, 1))], check=True, capture_output=True)
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    for one in manifest.files:
        assert hashlib.sha256(found[one.path].read_bytes()).hexdigest() == one.sha256
    assert found[MANIFEST_PATH].read_bytes() == manifest.to_bytes()
    assert {README_PATH, VERIFY_PATH} <= set(found)
    assert {one.name for one in manifest.files} >= set(NAMES[:8])  # exact original names
    checked = subprocess.run(
        ["sha256sum", "-c", "--quiet", "清单/manifest-sha256.txt"], cwd=out, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    page = found[README_PATH].read_text("utf-8")
    assert "张三占道经营案 &lt;b&gt;&amp;amp;" in page
    assert "2026-08-31 09:30 (UTC+8)" in page
    assert manifest.digest().hex in page


def test_the_same_set_gives_the_same_bytes(made, tmp_path):
    _, image, manifest, paths = made
    again = make_image(tmp_path / "again", content(manifest, paths), sectors_max=400_000)
    assert again.sha256 == image.sha256
    assert again.to_bytes() == image.to_bytes()


def test_an_image_that_is_there_is_not_made_again(made):
    folder, image, manifest, paths = made
    before = image_path(folder, 1).stat()
    assert make_image(folder, content(manifest, paths), sectors_max=400_000) == image
    assert image_path(folder, 1).stat().st_ino == before.st_ino
    assert check_image(folder, image).damaged == ()


def test_burn_and_read_back(made, tmp_path):
    folder, image, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    seen = []
    burn(folder, image, drive, told=lambda *step: seen.append(step))
    assert drive.path.read_bytes() == image_path(folder, 1).read_bytes()
    assert seen[0] == ("burning", 0, image.sectors)
    assert seen[-1] == ("burning", image.sectors, image.sectors)
    checked = check_disc(drive, image)
    assert checked.good
    assert all(one.outcome is Outcome.GOOD for one in checked.read.files)
    alone = check_by_itself(drive)
    assert alone.good
    assert (alone.disc, alone.manifest_sha256) == (1, image.manifest_sha256)


def test_an_occupied_or_too_small_medium_is_refused_before_writing(made, tmp_path):
    folder, image, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    drive.path.write_bytes(b"something")
    with pytest.raises(DiscMediumError, match="not blank"):
        burn(folder, image, drive)
    assert drive.path.read_bytes() == b"something"
    other = Drive(f"stdio:{tmp_path}/B.iso")
    with pytest.raises(DiscMediumError, match="sectors"):
        burn(folder, image, other, capacity_sectors=image.sectors - 1)
    assert not other.path.exists()


def test_a_damaged_sector_names_the_file_and_the_place(made, tmp_path):
    folder, image, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    burn(folder, image, drive)
    victim = next(one for one in image.files if one.size_bytes == 3_000_000)
    spoil(drive.path, victim.extents[0][0] * SECTOR_BYTES + 2_000_000)
    checked = check_disc(drive, image)
    assert not checked.good
    (damaged,) = checked.damaged
    assert (damaged.path, damaged.outcome) == (victim.path, Outcome.CHANGED)
    ((low, high),) = damaged.places
    assert low <= 2_000_000 < high
    assert high - low <= 1 << 20
    alone = check_by_itself(drive)
    assert not alone.good
    assert [one.path for one in alone.read.damaged] == [victim.path]


def test_sectors_that_the_drive_gives_up_on_are_exact(made):
    folder, image, *_ = made
    victim = next(one for one in image.files if one.size_bytes == 2_500_000)
    bad = victim.extents[0][0] + 7

    def scratched(fd, length, offset):
        if offset <= bad * SECTOR_BYTES < offset + length:
            raise OSError(5, "Input/output error")
        return os.pread(fd, length, offset)

    found = read_back(
        image_path(folder, 1), sectors=image.sectors, files=image.files, expected=image.digests, blocks=image.blocks,
        read_at=scratched,
    )  # fmt: skip
    assert found.unreadable == ((bad, 1),)
    (damaged,) = found.damaged
    assert (damaged.path, damaged.outcome) == (victim.path, Outcome.UNREADABLE)
    assert damaged.places == ((7 * SECTOR_BYTES, 8 * SECTOR_BYTES),)


def test_a_disc_that_ends_early_is_unreadable_from_there(made, tmp_path):
    folder, image, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    drive.path.write_bytes(image_path(folder, 1).read_bytes()[: -700 * SECTOR_BYTES])
    checked = check_disc(drive, image)
    assert not checked.good
    assert checked.read.unreadable == ((image.sectors - 700, 700),)
    assert checked.damaged


def test_damage_outside_of_files_is_damage_too(made, tmp_path):
    folder, image, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    drive.path.write_bytes(image_path(folder, 1).read_bytes())
    spoil(drive.path, 0)
    checked = check_disc(drive, image)
    assert not checked.good
    assert checked.damaged == ()
    assert checked.read.wrong[0][0] == 0


@pytest.mark.parametrize("where", ["descriptor", "directory"])
def test_a_disc_whose_directory_is_gone_says_so(made, tmp_path, where):
    folder, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    drive.path.write_bytes(image_path(folder, 1).read_bytes())
    spoil(drive.path, 16 * SECTOR_BYTES + (0 if where == "descriptor" else 158), b"\xff" * 8)
    with pytest.raises(DiscDamagedError):
        check_by_itself(drive)


def test_a_changed_list_on_a_disc_is_found(made, tmp_path):
    folder, _image, *_ = made
    drive = Drive(f"stdio:{tmp_path}/A.iso")
    data = image_path(folder, 1).read_bytes()
    drive.path.write_bytes(data.replace("李四".encode(), "王五".encode()))
    with pytest.raises(DiscDamagedError, match="not the one"):
        check_by_itself(drive)


def test_a_source_that_is_not_what_the_list_says_leaves_no_image(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", [5000])
    victim = next(path for path in paths.values() if path.stat().st_size == 5000)
    spoil(victim, 100)
    with pytest.raises(DigestMismatchError):
        make_image(tmp_path / "out", content(manifest, paths), sectors_max=400_000)
    assert list((tmp_path / "out").iterdir()) == []
    assert made_image(tmp_path / "out", 1) is None


def test_files_and_list_must_agree(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", [5000])
    whole = content(manifest, paths)
    with pytest.raises(DiscPlanError):
        make_image(tmp_path / "out", type(whole)(manifest=manifest, disc=1, files={}), sectors_max=400_000)


def test_an_image_larger_than_the_disc_is_refused_before_writing(tmp_path):
    _, manifest, paths = make_set(tmp_path / "in", [500_000])
    with pytest.raises(DiscMediumError):
        make_image(tmp_path / "out", content(manifest, paths), sectors_max=100)
    assert list((tmp_path / "out").iterdir()) == []


def test_no_space_is_said_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr("discs.image.free_bytes", lambda _path: 1000)
    _, manifest, paths = make_set(tmp_path / "in", [500_000])
    with pytest.raises(StoreFullError):
        make_image(tmp_path / "out", content(manifest, paths), sectors_max=400_000)
    assert list((tmp_path / "out").iterdir()) == []


def test_every_disc_of_a_set_carries_the_whole_list(tmp_path):
    plan, manifest, paths = make_set(tmp_path / "in", [6_000_000, 6_000_000, 6_000_000], sectors=7000)
    assert plan.discs == 3
    for disc in (1, 2, 3):
        image = make_image(tmp_path / "out", content(manifest, paths, disc), sectors_max=7000)
        assert image.sectors <= 7000
        alone = check_by_itself(Drive(f"stdio:{image_path(tmp_path / 'out', disc)}"))
        assert alone.good
        assert (alone.disc, alone.manifest) == (disc, manifest)
    assert made_image(tmp_path / "out", 2).disc == 2
    forget_image(tmp_path / "out", 2)
    assert made_image(tmp_path / "out", 2) is None


def test_a_damaged_record_is_no_image(made):
    folder, *_ = made
    record = record_path(folder, 1)
    record.chmod(0o640)
    body = json.loads(record.read_bytes())
    body["sha256"] = "x"
    record.write_text(json.dumps(body))
    with pytest.raises(DiscError):
        made_image(folder, 1)


def test_copying_while_reading(made, tmp_path):
    folder, image, *_ = made
    drive = Drive(f"stdio:{image_path(folder, 1)}")
    out = bytearray()
    assert check_disc(drive, image, sink=out.extend).good
    assert hashlib.sha256(out).hexdigest() == image.sha256


def test_a_drive_is_a_burner_or_an_ordinary_file(tmp_path):
    for wrong in ("/dev/sda", "/etc/passwd", "stdio:rel.iso", "stdio:/a/../b", "/dev/sr0;x", "stdio:/a\nb"):
        with pytest.raises(UsageError):
            Drive(wrong)
    for address in (f"stdio:{tmp_path}", "stdio:/dev/null", f"stdio:{tmp_path}/no/such.iso"):
        with pytest.raises(DiscDriveError):
            look(Drive(address))
    (tmp_path / "link").symlink_to("/dev/null")
    with pytest.raises(DiscDriveError):
        look(Drive(f"stdio:{tmp_path}/link"))
    with pytest.raises(DiscDriveError):
        check_by_itself(Drive(f"stdio:{tmp_path}/none.iso"))
    assert isinstance(list_drives(), tuple)


def test_a_burner_that_is_not_there_is_said():
    with pytest.raises(DiscDriveError):
        look(Drive("/dev/sr99"))


REAL = (
    "Drive current: -outdev '/dev/sr0'", "Drive type   : vendor 'HL-DT-ST' product 'DVDRAM GP60' revision 'RF01'",
    "Media current: DVD+R", "Media product: RICOHJPN/R00/0 , Ricoh Company, Limited", "Media status : is blank",
    "Media blocks : 0 readable , 2295104 writable , 2295104 overall",
)  # fmt: skip


def test_what_a_burner_tells_of_its_medium():
    medium = parse_medium(REAL)
    assert medium == Medium(
        "DVD+R", blank=True, free_sectors=2_295_104, product="RICOHJPN/R00/0 , Ricoh Company, Limited",
        drive="vendor 'HL-DT-ST' product 'DVDRAM GP60' revision 'RF01'",
    )  # fmt: skip
    require_blank(medium, sectors=2_295_104)
    with pytest.raises(DiscMediumError):
        require_blank(medium, sectors=2_295_105)
    closed = parse_medium((*REAL[:4], "Media status : is written , is closed", *REAL[5:]))
    with pytest.raises(DiscMediumError):
        require_blank(closed, sectors=1)
    with pytest.raises(DiscDriveError):
        parse_medium(("Media current: is not present",))


@pytest.mark.parametrize(
    "lines",
    [
        ["File data lba:  0 ,   90 ,   20 ,   100 , '/a'"],
        ["File data lba:  0 ,   10 ,   1 ,   5000 , '/a'"],
    ],
)
def test_a_directory_that_lies_is_refused(lines):
    with pytest.raises(DiscDamagedError):
        parse_layout(lines, sectors=100)


def test_parts_of_a_large_file_are_one_file(tmp_path):
    lines = [
        "File data lba:  1 ,   12 ,   1 ,   3000 , '/a'\"'\"'b'",
        "File data lba:  0 ,   10 ,   1 ,   3000 , '/a'\"'\"'b'",
    ]
    (one,) = parse_layout(lines, sectors=100)
    assert one == LaidFile("a'b", 3000, ((10, 1), (12, 1)))
    data = bytes(range(256)) * 8 * 20
    (tmp_path / "x").write_bytes(data)
    back = LaidFile("z", 3000, ((12, 1), (10, 1)))
    found = read_back(tmp_path / "x", sectors=20, files=[one, back], expected={})
    want = hashlib.sha256((data[2048 * 10 : 2048 * 12])[:3000]).hexdigest()
    assert found.files[0].sha256 == want
    assert found.files[1].sha256 == want  # both sectors hold the same pattern
    assert found.files[0].outcome is Outcome.UNLISTED
