"""Bags: sound by an independent validator, whole or not there, continued after a cut, refused where a disk cannot carry them."""

import errno
import hashlib
import io
import os
import subprocess
import sys

import bagit
import pytest

from documents import bagit as ours
from documents.bagit import Bag, BagFile, check_bag, decoded, discard_unfinished, encoded, unfinished, write_bag
from evidence.errors import (
    BlobConflictError,
    DigestMismatchError,
    EvidenceError,
    HomeLockedError,
    InvalidInputError,
    ManifestInvalidError,
    StoreError,
    StoreFullError,
)


def file(path, content, *, stated=True):
    sha256 = hashlib.sha256(content).hexdigest() if stated else ""
    return BagFile(path, len(content), lambda: io.BytesIO(content), sha256)


def bag(*more):
    files = [
        file("data/音像/0001_第01段.mp4", b"a" * 100_000),
        file("data/音像/0002_100% 合格.mp4", os.urandom(5000)),
        file("data/文书/0001_询问笔录.pdf", b""),
        file("请先读我.html", b"<p>", stated=False),
        *more,
    ]
    return Bag(
        files,
        [("Source-Organization", "示例局\n执法一大队"), ("Bag-Group-Identifier", "2026-12"), ("Bag-Count", "1 of 1")],
    )


def test_r27_a_bag_is_valid_for_an_independent_validator(tmp_path):
    told = []
    receipt = write_bag(tmp_path / "案件", bag(), progress=lambda path, done, total: told.append((done, total)))
    read = bagit.Bag(str(receipt.folder))
    assert read.version_info == (1, 0)
    # the validator of 2022 does not undo %25; all else it judges
    assert read.info["Payload-Oxum"] == "105000.3"
    assert read.info["Source-Organization"] == "示例局 执法一大队"
    assert receipt.payload_files == 3
    assert told[-1][0] == told[-1][1] == 105_003
    assert list(check_bag(receipt.folder)) == []
    assert not unfinished(receipt.folder).exists()
    assert names(tmp_path) == ["案件"]
    plain = Bag([each for each in bag().files if "%" not in each.path], bag().info)
    write_bag(tmp_path / "plain", plain)
    assert bagit.Bag(str(tmp_path / "plain")).validate()
    assert (
        subprocess.run(
            [sys.executable, "-m", "bagit", "--validate", "plain"], cwd=tmp_path, capture_output=True, check=False
        ).returncode
        == 0
    )


@pytest.mark.parametrize("path", ["data/音像/0001_第01段.mp4", "请先读我.html", "bag-info.txt", "manifest-sha256.txt"])
def test_a_changed_or_missing_file_is_named(tmp_path, path):
    folder = write_bag(tmp_path / "bag", bag()).folder
    content = (folder / path).read_bytes()
    if path != "manifest-sha256.txt":
        (folder / path).write_bytes(content[:-1] + b"\x00" if content else b"x")
        assert list(check_bag(folder)) == [(path, "changed")]
    (folder / path).unlink()
    if path == "manifest-sha256.txt":
        with pytest.raises(ManifestInvalidError):
            list(check_bag(folder))
    else:
        assert list(check_bag(folder)) == [(path, "missing")]
    (folder / "extra.txt").write_text("x")
    if path != "manifest-sha256.txt":
        assert ("extra.txt", "not listed") in list(check_bag(folder))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class CutError(Exception):
    """The power goes."""


def test_a_cut_bag_does_not_look_whole_and_goes_on(tmp_path):
    opened = []
    first, second = os.urandom(9_000_000), os.urandom(9_000_000)

    def counted(name, content, cut):
        def open_():
            opened.append(name)
            if cut:
                raise CutError
            return io.BytesIO(content)

        return BagFile(f"data/{name}", len(content), open_, hashlib.sha256(content).hexdigest())

    target = tmp_path / "bag"
    with pytest.raises(CutError):
        write_bag(target, Bag([counted("a", first, False), counted("b", second, True)]))
    assert not target.exists()
    assert not (unfinished(target) / "bagit.txt").exists()
    (unfinished(target) / "data" / ".rest.tmp").write_bytes(b"x")
    (unfinished(target) / "data" / "foreign").write_bytes(b"x")
    write_bag(target, Bag([counted("a", first, False), counted("b", second, False)]))
    assert opened == ["a", "b", "b"]  # the first was read back, not copied again
    assert bagit.Bag(str(target)).validate()


def test_what_an_unfinished_bag_holds_is_never_believed(tmp_path):
    target = tmp_path / "bag"
    (unfinished(target) / "data").mkdir(parents=True)
    (unfinished(target) / "data" / "a").write_bytes(b"wrong")
    write_bag(target, Bag([file("data/a", b"right")]))
    assert (target / "data" / "a").read_bytes() == b"right"


def test_other_bytes_than_stated_are_refused(tmp_path):
    wrong = BagFile("data/a", 3, lambda: io.BytesIO(b"abc"), "0" * 64)
    long = BagFile("data/a", 2, lambda: io.BytesIO(b"abc"))
    for each in (wrong, long):
        with pytest.raises(DigestMismatchError):
            write_bag(tmp_path / "bag", Bag([each]))
        assert not (tmp_path / "bag").exists()


def test_a_target_that_did_not_keep_the_bytes_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "read_from_medium", lambda path: iter([b"something else"]))
    with pytest.raises(DigestMismatchError, match="did not keep"):
        write_bag(tmp_path / "bag", Bag([file("data/a", b"abc")]))


def test_a_disk_that_holds_no_file_so_large_is_named(tmp_path, monkeypatch):
    def too_large(fd, data):
        raise StoreError("write failed: File too large") from OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(ours, "write_all", too_large)
    with pytest.raises(StoreError, match="holds no file of 3 B") as caught:
        write_bag(tmp_path / "bag", Bag([file("data/a", b"abc")]))
    assert "exFAT" in caught.value.diagnostics()


def test_nothing_is_overwritten_and_two_writers_do_not_meet(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(BlobConflictError):
        write_bag(tmp_path / "bag", bag())
    with pytest.raises(StoreError):
        write_bag(tmp_path / "none" / "bag", bag())

    def again():
        with pytest.raises(HomeLockedError):
            write_bag(tmp_path / "b", bag())
        return io.BytesIO(b"abc")

    write_bag(tmp_path / "b", Bag([BagFile("data/a", 3, again)]))


def test_room_is_looked_for_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "free_bytes", lambda path: 1 << 20)
    with pytest.raises(StoreFullError):
        write_bag(tmp_path / "bag", bag())
    assert names(tmp_path) in ([], [".bag.lock"])


@pytest.mark.parametrize(
    "path",
    [
        "data/../x",
        "/data/a",
        "data//a",
        "data/a.",
        "data/a ",
        "data/a\nb",
        "data/" + "长" * 100,
        "bagit.txt",
        "data/a\\b",
        "",
        "data/.",
    ],
)
def test_paths_no_disk_carries_are_refused(tmp_path, path):
    with pytest.raises(InvalidInputError):
        write_bag(tmp_path / "bag", Bag([file(path, b"x")]))


def test_paths_alike_are_refused(tmp_path):
    for pair in (("data/A", "data/a"), ("data/a", "data/a/b")):
        with pytest.raises(InvalidInputError):
            write_bag(tmp_path / "bag", Bag([file(path, b"x") for path in pair]))
    with pytest.raises(InvalidInputError):
        write_bag(tmp_path / "bag", Bag([file("data/a", b"x")], [("a: b", "c")]))


def test_the_percent_sign_and_line_ends_are_coded():
    for path in ("a%0Ab", "a\nb\r", "100%", "%25"):
        assert decoded(encoded(path)) == path
    assert encoded("100%\n") == "100%25%0A"


def test_an_unfinished_bag_can_be_given_up(tmp_path):
    assert not discard_unfinished(tmp_path / "bag")
    (unfinished(tmp_path / "bag") / "data").mkdir(parents=True)
    assert discard_unfinished(tmp_path / "bag")
    assert names(tmp_path) == []
    with pytest.raises(EvidenceError):
        list(check_bag(tmp_path))
