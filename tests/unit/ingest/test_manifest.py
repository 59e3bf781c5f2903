"""The manifest's one byte form, and every way in which a document is not one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from evidence import canonical
from evidence.errors import ManifestInvalidError
from evidence.ids import DeviceId, EntryId, OffloadId, RecordingId
from evidence.manifest import Manifest, ManifestEntry, parse

GOOD = Manifest(
    recording=RecordingId.new(1), device=DeviceId.new(2), offload=OffloadId.new(3), kind="video", pattern="B", counter=7,
    important=True, attached_to="", size_bytes=5, sha256="a" * 64, sm3="b" * 64, blake3="c" * 64,
    discovered_at="2026-11-22T04:00:00.001Z", acquired_at="2026-11-22T04:00:01.001Z", started_at="", started_source="",
    deadline_at="2026-11-23T04:00:00.001Z",
    entries=(ManifestEntry(entry=EntryId.new(4), event="recording.discovered", leaf_sha256="d" * 64),),
    sd=("A" * 43,),
)  # fmt: skip


def changed(**changes: Any) -> bytes:
    body = canonical.loads(GOOD.to_bytes())
    body.update(changes)
    return canonical.dumps({name: value for name, value in body.items() if value is not ...})


def test_a_manifest_has_one_form_and_comes_back_as_it_was() -> None:
    assert parse(GOOD.to_bytes()) == GOOD
    assert parse(GOOD.to_bytes()).to_bytes() == GOOD.to_bytes()


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b"x" * 70_000, GOOD.to_bytes() + b"\n", GOOD.to_bytes()[:-1],
        changed(manifest="urn:liuhen:manifest:2"), changed(extra=1), changed(sha256="A" * 64), changed(sha256=...),
        changed(sm3="b"), changed(size_bytes=-1), changed(size_bytes=True), changed(size_bytes="5"), changed(counter=-2),
        changed(important=1), changed(kind="film"), changed(recording="off_x"), changed(attached_to="x"),
        changed(discovered_at=""), changed(acquired_at="2026-11-22"), changed(entries={}), changed(entries=[{}]),
        changed(entries=[7]), changed(entries=None), changed(_sd=["short"]), changed(_sd=[1]), changed(_sd=None),
        changed(_sd_alg="md5"),
        changed(entries=[{"entry": EntryId.new(4), "event": "no.such", "leaf_sha256": "d" * 64}]),
        changed(entries=[{"entry": EntryId.new(4), "event": "recording.discovered", "leaf_sha256": "D" * 64}]),
        changed(entries=[{"entry": EntryId.new(4), "event": [], "leaf_sha256": 7}]),
        changed(entries=[{"entry": 7, "event": "recording.discovered", "leaf_sha256": "d" * 64}]),
    ],
)  # fmt: skip
def test_anything_else_is_refused_as_an_invalid_manifest(bad: bytes) -> None:
    with pytest.raises(ManifestInvalidError):
        parse(bad)


def test_the_document_names_every_field() -> None:
    text = (Path(__file__).parents[3] / "docs/formats/manifest.md").read_text()
    for field in dataclasses.fields(Manifest):
        assert f"`{'_sd' if field.name == 'sd' else field.name}`" in text
