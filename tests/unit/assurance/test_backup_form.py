"""The form of a backup: names, pieces, manifests, encryption. Changed bytes are always noticed, and names tell nothing."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from assurance.backup import (
    PIECE_BYTES_MAX,
    BackedUpFile,
    BackupManifest,
    Piece,
    StoreNote,
    checked_id,
    cut_file,
    cut_lines,
    lines_of,
    new_id,
    parse_manifest,
)
from assurance.backup_places import FolderPlace
from assurance.backup_repository import BackupRepository, TargetMarker, read_marker, write_marker
from assurance.backup_seal import (
    Seal,
    new_key,
    recipient_id,
    unwrap_by_identity,
    unwrap_by_passphrase,
    wrap_by_passphrase,
    wrap_for_recipient,
)
from evidence.errors import (
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    InvalidInputError,
    KeyUnavailableError,
    ManifestInvalidError,
    StoreUnavailableError,
)

AT = datetime(2026, 11, 26, 22, 45, 0, tzinfo=UTC)
KEY = bytes(range(32))


def test_the_newest_is_the_one_with_the_longest_log_whatever_the_clock_said(repository) -> None:
    ahead = new_id(AT.replace(year=2030))
    repository.finish(manifest(ahead, log_size=3))
    now = new_id(AT)
    repository.finish(manifest(now, log_size=4))
    assert [one.id for one in repository.listed()] == [now, ahead]
    assert repository.prune(keep=1, good=now).backups == [ahead]


def manifest(backup: str, pieces: tuple[Piece, ...] = (), **changes) -> BackupManifest:
    values = {
        "id": backup, "made_at": AT, "station": "站点一", "origin": "log.test/x", "vkey": "log.test/x+00+a", "program": "0",
        "engine": "sqlite", "revision": "0002", "rows": {"agents": 1}, "log_size": 3, "log_root": "00" * 32, "dump": pieces,
        "dump_sha256": "00" * 32, "files": (BackedUpFile(path="keys/a", mode=0o600, size_bytes=0, sha256="", pieces=()),),
        "stores": (StoreNote(name="primary", kind="local", where="/disk"),), "left_out": ("footage",),
    }  # fmt: skip
    return BackupManifest(**{**values, **changes})


# --- names and manifests ----------------------------------------------------------------------------------------------
def test_names_of_backups_sort_by_time_and_nothing_else_is_one() -> None:
    name = new_id(AT)
    assert checked_id(name) == name
    assert name.startswith("20261126T224500000Z-")
    for bad in ("", "../x", name.lower(), f"{name}/", f"{name}\n"):
        with pytest.raises(InvalidInputError):
            checked_id(bad)


def test_a_manifest_is_read_as_it_was_written() -> None:
    made = manifest(new_id(AT), (Piece("ab" * 32, 5),))
    assert parse_manifest(made.encode()) == made


@pytest.mark.parametrize(
    "change",
    [
        {"files": (BackedUpFile(path="../outside", mode=0o600, size_bytes=0, sha256="", pieces=()),)},
        {"files": (BackedUpFile(path="/etc/passwd", mode=0o600, size_bytes=0, sha256="", pieces=()),)},
        {"files": (BackedUpFile(path="a/../../b", mode=0o600, size_bytes=0, sha256="", pieces=()),)},
        {"files": (BackedUpFile(path="keys/a", mode=0o4755, size_bytes=0, sha256="", pieces=()),)},
        {"dump": (Piece("../../etc/passwd", 1),)},
        {"dump": (Piece("ab" * 32, PIECE_BYTES_MAX + 1),)},
        {"id": "../x"},
    ],
)
def test_a_manifest_that_would_lead_out_of_the_home_is_none(change) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(manifest(new_id(AT), **change).encode())


@given(st.binary(max_size=300))
def test_no_bytes_are_read_as_a_manifest_or_break_the_reader(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_manifest(data)


# --- pieces -----------------------------------------------------------------------------------------------------------
def test_a_row_that_is_added_changes_a_piece_or_two_and_lines_come_back_whole() -> None:
    lines = [hashlib.sha256(str(number).encode()).hexdigest().encode() * 8 + b"\n" for number in range(20_000)]
    before = list(cut_lines([b'{"table":"a"}\n', *lines]))
    after = list(cut_lines([b'{"table":"a"}\n', *lines[:10_000], b"a new row\n", *lines[10_000:]]))
    assert len(before) > 5
    assert len(set(after) - set(before)) <= 2
    assert list(lines_of(before))[1:] == lines
    assert all(len(piece) <= PIECE_BYTES_MAX for piece in before)


def test_every_table_begins_a_piece_so_that_tables_do_not_move_each_other() -> None:
    pieces = list(cut_lines([b'{"table":"a"}\n', b"[1]\n", b'{"table":"b"}\n', b"[2]\n"]))
    assert pieces == [b'{"table":"a"}\n[1]\n', b'{"table":"b"}\n[2]\n']


def test_a_large_file_is_cut_and_put_together() -> None:
    data = bytes(PIECE_BYTES_MAX + 5)
    assert [len(part) for part in cut_file(data)] == [PIECE_BYTES_MAX, 5]
    assert list(cut_file(b"")) == []


# --- seal -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", [None, KEY])
@given(data=st.binary(max_size=2000))
def test_what_was_closed_opens_again(key, data: bytes) -> None:
    seal = Seal(key)
    name = seal.name_of(data)
    assert seal.open_piece(seal.close(data, bound=name), name, limit_bytes=5000) == data


@pytest.mark.parametrize("key", [None, KEY])
def test_no_changed_bit_gives_other_bytes(key) -> None:
    seal, data = Seal(key), b"evidence " * 5 + bytes(range(40))
    name = seal.name_of(data)
    closed = seal.close(data, bound=name)
    for at, bit in itertools.product(range(len(closed)), range(8)):
        changed = bytearray(closed)
        changed[at] ^= 1 << bit
        try:
            assert (
                seal.open_piece(bytes(changed), name, limit_bytes=5000) == data
            )  # a bit of zlib's header that means nothing
            assert key is None
        except EvidenceError:
            pass
    for end in range(len(closed)):
        with pytest.raises(EvidenceError):
            seal.open_piece(closed[:end], name, limit_bytes=5000)


def test_names_of_an_encrypted_target_tell_nothing_about_known_bytes() -> None:
    data = b"known"
    assert Seal(KEY).name_of(data) != hashlib.sha256(data).hexdigest()
    assert Seal(KEY).name_of(data) != Seal(new_key()).name_of(data)
    assert data not in Seal(KEY).close(data, bound="x")


def test_a_piece_in_anothers_place_does_not_open() -> None:
    seal = Seal(KEY)
    with pytest.raises(DigestMismatchError):
        seal.open_piece(seal.close(b"a", bound=seal.name_of(b"a")), seal.name_of(b"b"), limit_bytes=10)


def test_a_bomb_is_not_unpacked() -> None:
    seal = Seal(None)
    with pytest.raises(EvidenceError):
        seal.open(seal.close(bytes(50_000_000), bound="x"), bound="x", limit_bytes=1000)


def test_a_passphrase_opens_what_it_closed_and_no_other_does() -> None:
    told = wrap_by_passphrase(KEY, "口令".encode(), cost=1 << 10)
    assert unwrap_by_passphrase(told, "口令".encode()) == KEY
    for changed in (told, {**told, "cost": 1 << 30}, {**told, "wrapped": ""}, {"kind": "passphrase"}):
        with pytest.raises(KeyUnavailableError):
            unwrap_by_passphrase(changed, b"another")
    with pytest.raises(KeyUnavailableError):
        wrap_by_passphrase(KEY, b"")


@pytest.mark.parametrize("make", [x25519.X25519PrivateKey.generate, lambda: rsa.generate_private_key(65537, 3072)])
def test_a_recipient_opens_what_was_closed_for_them_and_nobody_else(make) -> None:
    private, other = make(), make()
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    told = wrap_for_recipient(KEY, pem)
    assert told["recipient"] == recipient_id(pem)

    def text(key, protection) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)

    assert unwrap_by_identity(told, text(private, serialization.NoEncryption())) == KEY
    locked = text(private, serialization.BestAvailableEncryption(b"pw"))
    assert unwrap_by_identity(told, locked, passphrase=b"pw") == KEY
    for wrong in (text(other, serialization.NoEncryption()), locked, b"no key at all"):
        with pytest.raises(KeyUnavailableError):
            unwrap_by_identity(told, wrong)


def test_a_weak_or_strange_recipient_is_refused() -> None:
    small = rsa.generate_private_key(65537, 2048).public_key()
    pem = small.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for bad in (pem, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(KeyUnavailableError):
            wrap_for_recipient(KEY, bad)


# --- a target ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def repository(tmp_path) -> BackupRepository:
    place = FolderPlace(tmp_path)
    write_marker(place, TargetMarker(id="ab", origin="log.test/x", key=None))
    return BackupRepository(place, Seal(KEY))


def made(repository: BackupRepository, second: int, *contents: bytes) -> str:
    writer = repository.writer()
    pieces = tuple(writer.put(content) for content in contents)
    writer.close()
    name = new_id(AT.replace(second=second))
    repository.finish(manifest(name, pieces))
    return name


def pieces_in(tmp_path) -> int:
    return sum(path.is_file() for path in (tmp_path / "pieces").rglob("*"))


def test_old_backups_go_and_what_newer_ones_share_with_them_stays(repository, tmp_path) -> None:
    names = [made(repository, second, b"shared", str(second).encode()) for second in range(4)]
    done = repository.prune(keep=2, good=names[-1])
    assert done.backups == [names[1], names[0]]
    assert pieces_in(tmp_path) == 3
    for name in names[2:]:
        assert repository.examine(repository.manifest(name)).good


def test_the_good_one_never_goes_whatever_is_asked(repository) -> None:
    names = [made(repository, second, b"a") for second in range(3)]
    repository.prune(keep=0, good=names[0])
    assert repository.ids() == [names[2], names[0]]
    assert repository.examine(repository.manifest(names[0])).good


def test_while_a_newer_manifest_cannot_be_read_no_piece_goes(repository, tmp_path) -> None:
    names = [made(repository, second, str(second).encode()) for second in range(4)]
    path = tmp_path / "backups" / names[2]
    path.write_bytes(path.read_bytes()[:-1])
    done = repository.prune(keep=2, good=names[3])
    assert done.kept_because
    assert pieces_in(tmp_path) == 4
    assert names[2] in repository.ids()
    names += [made(repository, second, str(second).encode()) for second in (4, 5)]
    done = repository.prune(keep=2, good=names[-1])  # older than what stays: it goes like any other
    assert names[2] in done.backups
    assert pieces_in(tmp_path) == 2


def test_pieces_that_are_missing_or_changed_are_named(repository, tmp_path) -> None:
    name = made(repository, 1, b"one", b"two", b"three")
    one, two, _ = sorted(path for path in (tmp_path / "pieces").rglob("*") if path.is_file())
    one.unlink()
    two.write_bytes(b"nonsense")
    found = repository.examine(repository.manifest(name))
    assert (found.missing, found.damaged, found.good) == ([one.name], [two.name], False)


def test_a_medium_that_gives_back_other_bytes_fails_the_backup(repository, monkeypatch) -> None:
    def lying(self, files) -> None:
        for path, data in files:
            target = self._root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data[:-1] + b"?")

    monkeypatch.setattr(FolderPlace, "write", lying)
    writer = repository.writer()
    writer.put(b"evidence")
    with pytest.raises(DigestMismatchError):
        writer.close()


def test_a_folder_that_is_not_there_is_not_made(tmp_path) -> None:
    place = FolderPlace(tmp_path / "mnt")
    with pytest.raises(StoreUnavailableError):
        read_marker(place)
    with pytest.raises(StoreUnavailableError):
        write_marker(place, TargetMarker(id="ab", origin="x", key=None))
    assert not (tmp_path / "mnt").exists()


def test_backups_without_their_marker_are_never_begun_anew(repository, tmp_path) -> None:
    made(repository, 1, b"one")
    (tmp_path / "liuhen-backup.json").unlink()
    with pytest.raises(ConfigError):
        write_marker(repository.place, TargetMarker(id="cd", origin="x", key=None))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"format":"liuhen_backup_1","id":"a","origin":"b","key":7}', b"\xff"]
)
def test_a_changed_marker_is_told(repository, tmp_path, text) -> None:
    (tmp_path / "liuhen-backup.json").write_bytes(text)
    with pytest.raises(ManifestInvalidError):
        read_marker(repository.place)


def test_a_backup_whose_pieces_somebody_else_let_go_does_not_count(repository, tmp_path) -> None:
    """Two homes, or a home and its clone, at one bucket: what one has not yet named, the other takes for nobody's."""
    before = made(repository, 1, b"one")
    now = made(repository, 2, b"one", b"two")
    found = repository.manifest(now)
    repository.require_pieces(found)
    repository.place.remove(f"pieces/{found.dump[1].name[:2]}/{found.dump[1].name}")
    with pytest.raises(IntegrityError, match="vanished"):
        repository.require_pieces(found)
    assert repository.ids() == [before]
