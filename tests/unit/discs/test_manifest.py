"""The list of a set: one byte form, parsed strictly, never a path outside of the disc."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from discs.manifest import parse
from evidence import canonical
from evidence.errors import ManifestInvalidError
from support.discs import make_set


@pytest.fixture
def manifest(tmp_path):
    return make_set(tmp_path / "in", [1000, 2000, 0], sectors=10_000)[1]


def test_what_was_written_comes_back(manifest):
    assert parse(manifest.to_bytes()) == manifest
    assert "张三占道经营案" in manifest.to_bytes().decode()
    assert manifest.sums().decode().count("  音像/") == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["files"][0].update(path="../etc/passwd"),
        lambda body: body["files"][0].update(path="/音像/x"),
        lambda body: body["files"][0].update(path="a/../b"),
        lambda body: body["files"][0].update(disc=9),
        lambda body: body["files"][0].update(disc=True),
        lambda body: body["files"][0].update(size_bytes=-1),
        lambda body: body["files"][0].update(sha256="xyz"),
        lambda body: body["files"][0].update(facts={"a": 1}),
        lambda body: body["files"][0].update(more="x"),
        lambda body: body["files"].append(body["files"][0]),
        lambda body: body["set"].update(title=3),
        lambda body: body["set"].pop("unit"),
        lambda body: body.update(discs=0),
        lambda body: body.update(manifest="urn:other"),
        lambda body: body.update(more=1),
    ],
)
def test_a_changed_list_is_refused(manifest, change):
    body = json.loads(manifest.to_bytes())
    change(body)
    with pytest.raises(ManifestInvalidError):
        parse(canonical.dumps(body))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_our_error(untrusted):
    with pytest.raises(ManifestInvalidError):
        parse(untrusted)
