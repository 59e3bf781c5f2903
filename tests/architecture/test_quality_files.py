"""A driver's sheet speaks of every capability and every limit in words, and its proofs are tests that run."""

import ast
import tomllib

import pytest

from evidence.model import Cap
from support.repository import ROOT

SHEETS = sorted((ROOT / "devices").glob("*/quality.toml"))


@pytest.fixture(params=SHEETS, ids=lambda sheet: sheet.parent.name)
def sheet(request):
    return request.param


def test_a_sheet_leaves_no_capability_unsaid(sheet):
    said = tomllib.loads(sheet.read_text("utf-8"))["capabilities"]
    assert set(said) == {cap.value for cap in Cap}
    for capability, value in said.items():
        assert isinstance(value, bool) or (isinstance(value, str) and value.strip()), capability


def test_a_sheet_explains_itself_and_its_limits_in_words(sheet):
    text = sheet.read_text("utf-8")
    assert text.startswith("# ")
    quality = tomllib.loads(text)
    assert quality["sources"]
    assert quality["interface"]
    assert quality["limits"]
    assert all(isinstance(limit, str) and len(limit) > 20 for limit in quality["limits"].values())


def test_the_proofs_hold_tests(sheet):
    proofs = tomllib.loads(sheet.read_text("utf-8"))["proved-by"]
    assert "contract" in proofs
    for proof in proofs.values():
        tree = ast.parse((ROOT / proof).read_text("utf-8"))
        tests = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"]
        assert tests, proof
