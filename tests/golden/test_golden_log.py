"""The formats are final: the golden log is written again byte for byte, read by today's code, and bad entries are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain_of_custody import disclosures, entry
from chain_of_custody.checkpoint import NoteVerifier
from chain_of_custody.fsck import verify_published
from chain_of_custody.proof import verify_proof
from chain_of_custody.reader import LogReader
from evidence.errors import EntryInvalidError
from evidence.events import EVENT_TYPES
from support.golden_log import BAD, FILES, good_entry, write_bad, write_log

REFUSALS = json.loads((BAD / "refusals.json").read_text())


def _tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_golden_log_is_written_again_without_a_difference(tmp_path: Path) -> None:
    write_log(tmp_path)
    assert _tree(tmp_path) == _tree(FILES)


def test_the_bad_entries_are_written_again_without_a_difference(tmp_path: Path) -> None:
    write_bad(tmp_path, good_entry())
    assert _tree(tmp_path) == _tree(BAD)


def test_the_golden_log_is_sound_and_holds_every_event_type() -> None:
    vkey = (FILES / "vkey").read_text()
    types = []
    report = verify_published(FILES / "public", vkey, on_entry=lambda _, env: types.append(entry.parse(env).event_type))
    assert report.findings == []
    assert set(types) == set(EVENT_TYPES), "add the new event type to the golden log: regenerate it"


def test_r13_no_personal_value_stands_in_the_golden_log_in_clear() -> None:
    texts = json.loads((FILES / "disclosures.json").read_text())
    values = {text: disclosures.open_text(text) for text in texts}
    assert values
    reader = LogReader(FILES / "public", verifier=NoteVerifier.parse((FILES / "vkey").read_text()))
    left = set(texts)
    for _, envelope in reader.envelopes():
        parsed = entry.parse(envelope)
        mine = [text for text in texts if disclosures.digest_of(text) in parsed.sd]
        assert "值".encode() not in parsed.payload
        assert len(mine) == len(parsed.sd)
        event = parsed.event(disclosures.open_all(parsed.sd, mine))
        assert event.personal_values().keys() == {values[text][0] for text in mine}
        left -= set(mine)
    assert not left


def test_the_golden_proof_verifies() -> None:
    verifier = NoteVerifier.parse((FILES / "vkey").read_text())
    assert verify_proof((FILES / "entry-5.tlog-proof").read_bytes(), verifier).index == 5


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_a_bad_entry_meets_its_one_refusal(name: str) -> None:
    with pytest.raises(EntryInvalidError, match=REFUSALS[name]):
        entry.parse((BAD / f"{name}.dsse").read_bytes())
