"""The walk over a published log: sound logs pass, each kind of damage meets its own finding, and nothing raises."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from chain_of_custody import entry, merkle
from chain_of_custody.checkpoint import Checkpoint, sign
from chain_of_custody.fsck import FINDINGS_MAX, Signatures, verify_published
from chain_of_custody.keys import SigningKey
from chain_of_custody.proof import ProofBundle, proof_for, verify_proof
from chain_of_custody.publish import PublishedDirectory
from chain_of_custody.reader import LogReader
from chain_of_custody.recorder import EntryRecorder
from chain_of_custody.tiles import GrowingTree, decode_bundle, encode_bundle, path_of
from chain_of_custody.verify import EntryAudit, FindingKind, verify_entry
from evidence.errors import (
    DigestMismatchError,
    EntryInvalidError,
    InvalidInputError,
    NotFoundError,
    ProofInvalidError,
    SignatureInvalidError,
    StoreUnavailableError,
)
from evidence.events import RecordingStored
from evidence.ids import EntryId
from evidence.ports import LogHead, OutboxRow, SignerTurn
from support.custody import ORIGIN, CustodyLog, fixed_key


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> CustodyLog:
    log = CustodyLog(tmp_path_factory.mktemp("log"), replicas=0)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    for count in (1, 252, 1, 300):
        log.record_many(count)
        sealer.seal_once()
    sealer.close()
    return log


@pytest.fixture
def published(original: CustodyLog, tmp_path: Path) -> Path:
    shutil.copytree(original.primary, tmp_path / "public")
    return tmp_path / "public"


def kinds(directory: Path, log: CustodyLog) -> list[str]:
    return [str(finding.kind) for finding in verify_published(directory, log.vkey).findings]


def envelopes_of(log: CustodyLog) -> list[bytes]:
    return [row.envelope for row in log.transactions.state.twin().rows.values()]


def forge(target: Path, envelopes: list[bytes], key: SigningKey | None = None) -> Path:
    """Publish these envelopes as an operator who holds the log key could."""
    key = key or fixed_key("log")
    rows = [
        OutboxRow(EntryId.new(n), "", "", envelope, merkle.leaf_hash(envelope), n)
        for n, envelope in enumerate(envelopes)
    ]
    tree = GrowingTree()
    tree.append([row.leaf_sha256 for row in rows])
    note = sign(Checkpoint(ORIGIN, tree.size, tree.root()), key)
    target.mkdir()
    log = CustodyLog(target.parent)
    directory = PublishedDirectory(target, verifier=log.sealer().verifier)
    directory.bring_to(LogHead(tree.size, tree.root(), note, 0), lambda start, end: rows[start:end])
    return target


def resigned(envelope: bytes, key: SigningKey, **changes: object) -> bytes:
    statement = json.loads(entry.parse(envelope).payload)
    statement["predicate"].update(changes, signer=key.key_id)
    statement["subject"][0]["digest"]["sha256"] = statement["predicate"]["prev"] or entry.EMPTY_SHA256
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signature = base64.b64encode(key.sign(entry.pae(payload)))
    return entry._ENVELOPE_FORM % (base64.b64encode(payload), key.key_id.encode(), signature)


# --- sound ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("signatures", "least", "most"), [("all", 557, 557), ("sample", 30, 60), ("none", 3, 3)])
def test_a_sound_log_has_no_findings(original, published, signatures: str, least: int, most: int) -> None:
    seen, told = [], []
    report = verify_published(
        published, original.vkey, signatures=Signatures(signatures),
        on_entry=lambda index, _: seen.append(index), progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert report.sound
    assert report.findings == []
    assert report.entries == 557
    assert least <= report.signatures <= most
    assert seen == list(range(557))
    assert told[-1] == (557, 557)


def test_reading_needs_no_partial_tile_once_the_full_one_is_there(original, published) -> None:
    assert not (published / "tile/0/000.p").exists()
    assert not (published / "tile/entries/000.p").exists()
    assert not list(published.rglob(".*"))


# --- damage to files --------------------------------------------------------------------------------------------------
def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("position", [40, 100_000])
def test_a_flipped_bit_in_an_entry_is_found(original, published, position: int) -> None:
    flip(published / path_of("entries", 0), position)
    found = kinds(published, original)
    assert "tile-mismatch" in found
    assert "root-mismatch" in found


@pytest.mark.parametrize(("level", "index", "width"), [(0, 0, 256), (0, 2, 45), (1, 0, 2)])
def test_a_flipped_bit_in_a_tile_is_found(original, published, level: int, index: int, width: int) -> None:
    flip(published / path_of(level, index, width=width), 5)
    assert kinds(published, original) == ["tile-mismatch"]


def test_an_older_version_of_a_partial_file_is_checked_as_well(original, published) -> None:
    """Checkpoints that somebody keeps lead to it, and the stand-alone verifier reads it too."""
    older = published / path_of("entries", 2, width=9)
    older.write_bytes(encode_bundle(envelopes_of(original)[512:521]))
    (published / path_of(0, 2, width=9)).write_bytes((published / path_of(0, 2, width=45)).read_bytes()[: 9 * 32])
    assert kinds(published, original) == []
    flip(older, 100)
    flip(published / path_of(0, 2, width=9), 5)
    flip(published / path_of(1, 0, width=1), 5)
    report = verify_published(published, original.vkey)
    assert sorted((str(finding.kind), finding.index) for finding in report.findings) == [
        ("bundle-invalid", 512), ("tile-mismatch", 0), ("tile-mismatch", 512)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("checkpoint", "checkpoint-missing"),
        (path_of(0, 0), "tile-missing"),
        (path_of(1, 0, width=2), "tile-missing"),
    ],
)
def test_a_missing_file_is_found(original, published, path: str, kind: str) -> None:
    (published / path).unlink()
    assert kinds(published, original) == [kind]


def test_a_missing_bundle_is_found_and_the_rest_is_still_checked(original, published) -> None:
    (published / path_of("entries", 1)).unlink()
    report = verify_published(published, original.vkey)
    assert [str(finding.kind) for finding in report.findings] == ["bundle-missing", "sequence-gap"]
    assert [finding.index for finding in report.findings] == [256, 512]
    assert report.entries == 557 - 256


@pytest.mark.parametrize("cut", [1, 700])
def test_a_truncated_bundle_is_found(original, published, cut: int) -> None:
    bundle = published / path_of("entries", 0)
    bundle.write_bytes(bundle.read_bytes()[:-cut])
    assert kinds(published, original)[0] == "bundle-invalid"


def test_a_truncated_tile_is_found(original, published) -> None:
    tile = published / path_of(0, 0)
    tile.write_bytes(tile.read_bytes()[:-1])
    assert kinds(published, original) == ["tile-mismatch"]


def test_lost_bundle_and_lost_tile_leave_the_rest_readable(original, published) -> None:
    (published / path_of("entries", 0)).unlink()
    (published / path_of(0, 0)).unlink()
    report = verify_published(published, original.vkey)
    assert report.entries == 301
    assert {"bundle-missing", "opening-invalid"} <= {str(finding.kind) for finding in report.findings}
    assert report.finding_count >= len(report.findings)
    assert len(report.findings) <= FINDINGS_MAX


def test_a_file_larger_than_possible_is_not_read(original, published) -> None:
    with (published / "checkpoint").open("ab") as file:
        file.truncate(2 << 20)
    assert kinds(published, original) == ["checkpoint-invalid"]


def test_a_checkpoint_of_another_key_is_found(original, published) -> None:
    other = sign(Checkpoint(ORIGIN, 557, bytes(32)), fixed_key("other"))
    (published / "checkpoint").write_bytes(other)
    assert kinds(published, original) == ["checkpoint-invalid"]


def test_a_directory_that_is_not_there_is_told(original, tmp_path: Path) -> None:
    assert kinds(tmp_path / "nothing", original) == ["checkpoint-missing"]


def test_a_tile_that_is_a_directory_is_told(original, published) -> None:
    (published / path_of(0, 0)).unlink()
    (published / path_of(0, 0)).mkdir()
    assert kinds(published, original) == ["unreadable"]


# --- entries that an operator with the log key slipped in or left out -------------------------------------------------
def test_a_dropped_entry_shows_as_a_gap(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    del envelopes[9]
    assert kinds(forge(tmp_path / "forged", envelopes), original) == ["sequence-gap"]


def test_two_swapped_entries_show(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    envelopes[8], envelopes[9] = envelopes[9], envelopes[8]
    assert set(kinds(forge(tmp_path / "forged", envelopes), original)) == {"sequence-gap"}


def test_a_repeated_entry_shows(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    assert "sequence-gap" in kinds(forge(tmp_path / "forged", [*envelopes, envelopes[-1]]), original)


def test_an_entry_with_a_wrong_predecessor_shows(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    envelopes[-1] = resigned(envelopes[-1], original.station_key, prev="cd" * 32)
    assert kinds(forge(tmp_path / "forged", envelopes), original) == ["previous-mismatch"]


def test_an_entry_of_an_unknown_signer_shows(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    envelopes[-1] = resigned(envelopes[-1], fixed_key("stranger"), seq=0, prev="")
    assert kinds(forge(tmp_path / "forged", envelopes), original) == ["signer-unknown"]


def test_an_entry_signed_with_the_log_key_shows(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    envelopes[-1] = resigned(envelopes[-1], original.log_key, seq=0, prev="")
    assert kinds(forge(tmp_path / "forged", envelopes), original) == ["signer-unknown"]


def test_an_altered_entry_with_its_old_signature_shows(original, tmp_path: Path) -> None:
    envelopes = envelopes_of(original)
    good = entry.parse(envelopes[-1])
    payload = good.payload.replace(b'"station":"station-1"', b'"station":"station-2"')
    envelopes[-1] = entry._ENVELOPE_FORM % (
        base64.b64encode(payload), good.signer.encode(), base64.b64encode(good.signature)
    )  # fmt: skip
    assert kinds(forge(tmp_path / "forged", envelopes), original) == ["signature-invalid"]


def test_a_leaf_that_is_no_entry_shows(original, tmp_path: Path) -> None:
    assert kinds(forge(tmp_path / "forged", [*envelopes_of(original), b"{}"]), original) == ["entry-invalid"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_log_without_its_opening_shows(original, tmp_path: Path, count: int) -> None:
    assert "opening-invalid" in kinds(forge(tmp_path / "forged", envelopes_of(original)[:count]), original)


def test_an_opening_that_introduces_another_log_key_shows(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path / "a")
    log.log_key = fixed_key("first")
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    sealer.close()
    forged = forge(tmp_path / "forged", envelopes_of(log))
    assert kinds(forged, CustodyLog(tmp_path)) == ["opening-invalid"]


def test_a_key_introduced_by_a_known_signer_may_sign_and_an_earlier_use_may_not(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    second = EntryRecorder(fixed_key("second"), station="station-1")
    log.record(second.key_added())
    log.recorder, first = second, log.recorder
    log.record_many(3)
    log.recorder = first
    log.record_many(1)
    sealer.seal_once()
    sealer.close()
    assert kinds(log.primary, log) == []
    envelopes = envelopes_of(log)
    early = [*envelopes[:3], envelopes[4], envelopes[3], *envelopes[5:]]
    assert kinds(forge(tmp_path / "forged", early), log)[0] == "signer-unknown"


def test_a_key_whose_identity_is_not_its_own_shows(original) -> None:
    audit = EntryAudit(log_key=original.log_key.public_key, origin=ORIGIN)
    for index, envelope in enumerate(envelopes_of(original)[:4]):
        assert audit.feed(index, envelope) == []
    assert set(audit.station_keys) == {original.station_key.key_id}
    last = entry.parse(envelopes_of(original)[3])
    event = dataclasses.replace(fixed_key("new").key_added("station"), key_id="0" * 16)
    log = CustodyLog(Path())
    turn = SignerTurn(4, hashlib.sha256(envelopes_of(original)[3]).hexdigest())
    envelope = entry.seal(
        event, entry=last.id, at=log.clock.now(), station="station-1", turn=turn, sd=[], key=original.station_key
    )
    assert [finding.kind for finding in audit.feed(4, envelope)] == [FindingKind.KEY_INVALID]


# --- reader and proofs ------------------------------------------------------------------------------------------------
@pytest.fixture
def reader(original, published) -> LogReader:
    return LogReader(published, verifier=original.sealer().verifier)


def test_entries_are_read_one_by_one_and_as_a_stream(original, reader: LogReader) -> None:
    expected = envelopes_of(original)
    assert [reader.entry(index) for index in (0, 255, 256, 511, 512, 556)] == [
        expected[index] for index in (0, 255, 256, 511, 512, 556)
    ]
    assert list(reader.envelopes()) == list(enumerate(expected))
    assert list(reader.envelopes(250, 260)) == list(enumerate(expected))[250:260]
    for index in (-1, 557):
        with pytest.raises(NotFoundError):
            reader.entry(index)


def test_an_entry_that_is_not_its_tiles_is_not_handed_out(reader: LogReader) -> None:
    bundle = reader.directory / path_of("entries", 0)
    entries = decode_bundle(bundle.read_bytes(), width=256)
    entries[3], entries[4] = entries[4], entries[3]
    bundle.write_bytes(encode_bundle(entries))
    with pytest.raises(DigestMismatchError):
        reader.entry(3)


def test_consistency_proofs_join_any_two_sizes(reader: LogReader) -> None:
    new = reader.checkpoint()
    for old in (0, 1, 3, 255, 256, 257, 512, 556, 557):
        merkle.verify_consistency(
            old=old, old_root=reader.root_at(old), new=557, new_root=new.root, proof=reader.consistency_proof(old, 557)
        )
    with pytest.raises(NotFoundError):
        reader.consistency_proof(1, 558)
    with pytest.raises(InvalidInputError):
        reader.inclusion_proof(9, size=9)


def test_a_proof_file_alone_proves_its_entry(original, reader: LogReader) -> None:
    keys = {original.station_key.key_id: original.station_key.verifying_key()}
    for index in (0, 255, 256, 556):
        verdict = verify_proof(proof_for(reader, index), reader.verifier)
        assert (verdict.index, verdict.checkpoint.size) == (index, 557)
        assert verify_entry(envelopes_of(original)[index], keys).id == verdict.entry.id
    with pytest.raises(NotFoundError):
        proof_for(reader, 557)


def test_a_proof_is_bound_to_the_bytes_of_its_recording(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    recording = log.counter.recording_id(1)
    log.record(
        RecordingStored(
            recording=recording,
            sha256="ab" * 32,
            size_bytes=1,
            manifest_sha256="",
            copies=[],
            manifest_copies=[],
            at="",
        )
    )
    sealer.seal_once()
    sealer.close()
    bundle = proof_for(LogReader(log.primary, verifier=sealer.verifier), 3)
    verdict = verify_proof(bundle, sealer.verifier, sha256="ab" * 32)
    assert verdict.entry.subject_name == f"recording:{recording}"
    with pytest.raises(DigestMismatchError):
        verify_proof(bundle, sealer.verifier, sha256="cd" * 32)


def test_a_spoiled_proof_is_refused(original, reader: LogReader) -> None:
    good = ProofBundle.parse(proof_for(reader, 300))
    other = reader.entry(301)
    spoiled = [
        ProofBundle(good.index, good.hashes, good.note, other),
        ProofBundle(good.index + 1, good.hashes, good.note, good.envelope),
        ProofBundle(good.index, good.hashes[:-1], good.note, good.envelope),
        ProofBundle(good.index, (*good.hashes, good.hashes[0]), good.note, good.envelope),
    ]
    for bundle in spoiled:
        with pytest.raises(ProofInvalidError):
            verify_proof(bundle.encode(), reader.verifier)
    foreign = sign(Checkpoint(ORIGIN, 557, reader.checkpoint().root), fixed_key("other"))
    with pytest.raises(SignatureInvalidError):
        verify_proof(ProofBundle(good.index, good.hashes, foreign, good.envelope).encode(), reader.verifier)


@pytest.mark.parametrize(
    "untrusted",
    [b"", b"\n\n", b"c2sp.org/tlog-proof@v1\nindex 1\n\nnote", b"c2sp.org/tlog-proof@v2\nextra e30=\nindex 1\n\nnote",
     b"c2sp.org/tlog-proof@v1\nextra e30=\nindex 01\n\nnote", b"c2sp.org/tlog-proof@v1\nextra e30\nindex 1\n\nnote",
     b"c2sp.org/tlog-proof@v1\nextra e30=\nindex 1\nAAAA\n\nnote", b"\xff\n\nnote",
     b"c2sp.org/tlog-proof@v1\nextra e30=\nindex 1\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 63 + b"\nnote"],
)  # fmt: skip
def test_what_is_no_proof_is_refused(untrusted: bytes) -> None:
    with pytest.raises(ProofInvalidError):
        ProofBundle.parse(untrusted)


def test_entries_of_unknown_stations_are_refused(original) -> None:
    with pytest.raises(SignatureInvalidError):
        verify_entry(envelopes_of(original)[5], {})


def test_a_reader_of_nothing_says_so(original, tmp_path: Path) -> None:
    reader = LogReader(tmp_path, verifier=original.sealer().verifier)
    with pytest.raises(NotFoundError):
        reader.checkpoint()
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(StoreUnavailableError):
        reader.note()
    with pytest.raises(EntryInvalidError):
        verify_published(tmp_path, "not a key")
