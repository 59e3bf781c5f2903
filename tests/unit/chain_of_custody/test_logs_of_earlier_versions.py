"""A log that an earlier version wrote reads as it did then: event types gain fields, entries that exist never change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain_of_custody import parse_entry
from chain_of_custody.disclosures import open_all
from chain_of_custody.fsck import verify_published
from chain_of_custody.tiles import decode_bundle
from evidence.errors import EntryInvalidError
from evidence.events import AccessAllowed
from support.golden_log import resign

BEFORE = Path(__file__).parents[2] / "golden/log_before_rules"


def _envelopes() -> list[bytes]:
    [bundle] = [path for path in (BEFORE / "public/tile/entries").rglob("*") if path.is_file()]
    return list(decode_bundle(bundle.read_bytes(), width=int(bundle.name)))


def test_every_entry_of_the_version_before_the_rules_still_reads() -> None:
    texts = json.loads((BEFORE / "disclosures.json").read_text())
    events = []
    for envelope in _envelopes():
        entry = parse_entry(envelope)
        events.append(entry.event(open_all(entry.sd, [text for text in texts if _is_of(entry, text)])))
    [looked] = [event for event in events if isinstance(event, AccessAllowed)]
    assert (looked.matter, looked.use, looked.on_behalf_of) == ("", 0, "")
    report = verify_published(BEFORE / "public", (BEFORE / "vkey").read_text().strip())
    assert report.sound, report.findings


def test_a_later_field_stands_in_a_leaf_only_when_it_says_something() -> None:
    plain = AccessAllowed(action="recording.view", via="web", at="x")
    assert not {"matter", "use", "on_behalf_of"} & set(plain.public())
    assert AccessAllowed(action="recording.view", via="web", at="x", matter="m", use=1).public()["use"] == 1
    [old] = [one for one in _envelopes() if parse_entry(one).event_type == "access.allowed"]
    with pytest.raises(EntryInvalidError, match="says nothing"):  # one spelling for each entry
        parse_entry(resign(old, lambda statement: statement["predicate"]["data"].update(use=0)))
    with pytest.raises(EntryInvalidError, match="unknown members"):
        parse_entry(resign(old, lambda statement: statement["predicate"]["data"].update(strange="")))
    with pytest.raises(EntryInvalidError, match="unknown members"):
        parse_entry(resign(old, lambda statement: statement["predicate"]["data"].pop("via")))


def _is_of(entry, text: str) -> bool:
    from chain_of_custody.disclosures import digest_of

    return digest_of(text) in entry.sd
