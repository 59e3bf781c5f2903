"""The golden log: fixed keys, fixed clock, one entry of every event type, and named bad artefacts made from it.

Run ``python -m support.golden_log`` with ``.`` and ``tests`` on the path to write the files again; the golden test proves
that this leaves no difference.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from chain_of_custody import entry
from chain_of_custody.keys import SigningKey
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from chain_of_custody.tiles import decode_bundle
from evidence import canonical
from evidence.events import EVENT_TYPES, Event, KeyAdded, LogOpened
from support.custody import CustodyLog, fixed_key

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = GOLDEN / "log"
BAD = GOLDEN / "bad_entries"
_SAMPLES: dict[str, Any] = {
    "str": "text 文字", "int": 7, "bool": True, "str | None": "值", "list[str] | None": ["提示 one", "two"],
    "dict[str, Json]": {"fps": "25/1", "gps": [], "nested": {"n": 1}}, "dict[str, Json] | None": {"title": "标题", "n": 1},
    "list[dict[str, str]]": [
        {"store": "primary", "domain": "disk:a", "key": "objects/sha256/ab", "version": "", "read_back_at": ""}
    ],
}  # fmt: skip


def sample(event_type: type[Event], recording: str) -> Event:
    """One event with every field filled."""
    values = {
        f.name: _SAMPLES[str(f.type)]
        for f in dataclasses.fields(event_type)
        if f.name not in {"actor", "recording", "sha256"}
    }
    digest = "ab" * 32 if event_type.TYPE.startswith("recording.") else ""
    return event_type(actor="", recording=recording, sha256=digest, **values)


def write_log(target: Path) -> None:
    """Make the golden log below ``target``: published directory, verifier key, disclosures, one proof."""
    with tempfile.TemporaryDirectory() as scratch:
        log = CustodyLog(Path(scratch), replicas=0)
        sealer = log.sealer()
        sealer.open_log(log.recorder)
        with contextlib.closing(sealer):
            for name in sorted(EVENT_TYPES):
                if EVENT_TYPES[name] in (LogOpened, KeyAdded):
                    continue
                log.record(sample(EVENT_TYPES[name], log.counter.recording_id(log.clock.unix_ms)))
            sealer.seal_once()
            verifier = sealer.verifier
        for path in sorted(log.primary.rglob("*")):
            # Only what the last checkpoint needs: the partial tiles of the opening are of no interest here.
            if path.is_file() and (path.name == "checkpoint" or path.name == str(log.transactions.state.head.size)):
                copy = target / "public" / path.relative_to(log.primary)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        (target / "vkey").write_text(verifier.text() + "\n")
        texts = sorted(d.text for d in log.transactions.state.disclosures.values())
        (target / "disclosures.json").write_text(json.dumps(texts, indent=1) + "\n")
        (target / "entry-5.tlog-proof").write_bytes(proof_for(LogReader(log.primary, verifier=verifier), 5))


def resign(envelope: bytes, change, *, key: SigningKey | None = None, raw=None) -> bytes:
    """The envelope with a changed statement, properly signed again (so that only the change is wrong)."""
    statement = json.loads(entry.parse(envelope).payload)
    change(statement)
    payload = raw(statement) if raw else canonical.dumps(statement)
    key = key or fixed_key("station")
    signature = {"keyid": key.key_id, "sig": base64.b64encode(key.sign(entry.pae(payload))).decode()}
    return canonical.dumps(
        {"payload": base64.b64encode(payload).decode(), "payloadType": entry.PAYLOAD_TYPE, "signatures": [signature]}
    )


def bad_entries(good: bytes) -> dict[str, tuple[bytes, str]]:
    """Name of the artefact -> its bytes and a part of the one refusal it must meet."""

    def put(path: str, value: object):
        def change(statement: dict[str, Any]) -> None:
            *way, last = path.split("/")
            for step in way:
                statement = statement[int(step) if isinstance(statement, list) else step]
            statement[last] = value

        return change

    def plain(extra: bytes):
        return lambda statement: canonical.dumps(statement).replace(b'"schema":1', extra)

    def nothing(statement: dict[str, Any]) -> None:
        return None

    stray = good.replace(b'=="}]}', b'=="}]} ', 1)
    loose = good[:-7] + bytes([good[-7] + 1]) + good[-6:]  # bits behind the signature's last byte
    return {
        "signature-too-long": (resign(good, nothing).replace(b'"sig":"', b'"sig":"A', 1)[:-5] + b'=="}]}', "canonical"),
        "unknown-field": (resign(good, put("predicate/extra", 1)), "unknown members"),
        "unknown-data-field": (resign(good, put("predicate/data/extra", 1)), "unknown members"),
        "unknown-event": (resign(good, put("predicate/event", "recording.lost")), "unknown event type"),
        "unknown-schema": (resign(good, put("predicate/schema", 2)), "schema"),
        "schema-is-true": (resign(good, put("predicate/schema", True)), "schema"),
        "sm3-in-subject": (resign(good, put("subject/0/digest/sm3", "ab" * 32)), "subject"),
        "subject-of-another": (resign(good, put("subject/0/digest/sha256", "cd" * 32)), "subject digest"),
        "subject-renamed": (resign(good, put("subject/0/name", "recording:x")), "subject names"),
        "wrong-type": (resign(good, put("predicate/data/offload", 7)), "wrong type"),
        "negative-seq": (resign(good, put("predicate/seq", -1)), "seq"),
        "prev-malformed": (resign(good, put("predicate/prev", "AB" * 32)), "prev"),
        "time-malformed": (resign(good, put("predicate/time", "2026-11-22T13:05:41Z")), "not a time"),
        "entry-id-malformed": (resign(good, put("predicate/entry", "ent_1")), "identity"),
        "sd-unsorted": (resign(good, put("predicate/_sd", ["B" * 42 + "A", "A" * 42 + "A"])), "not sorted"),
        "sd-repeated": (resign(good, put("predicate/_sd", ["A" * 43, "A" * 43])), "not unique"),
        "signer-differs": (resign(good, put("predicate/signer", "0" * 16)), "keyid and signer"),
        "duplicate-member": (resign(good, nothing, raw=plain(b'"schema":1,"schema":1')), "canonical"),
        "float": (resign(good, nothing, raw=plain(b'"schema":1.0')), "not an integer"),
        "white-space": (resign(good, nothing, raw=plain(b'"schema": 1')), "canonical"),
        "not-json": (resign(good, nothing, raw=lambda _statement: b"{"), "not JSON"),
        "envelope-white-space": (stray, "canonical"),
        "envelope-two-signatures": (good.replace(b"}]}", b"},{}]}"), "canonical"),
        "base64-not-canonical": (loose, "base64"),
        "oversize": (resign(good, put("predicate/station", "x" * 50_000)), "over 65535"),
        "empty": (b"", "canonical"),
    }


def write_bad(target: Path, good: bytes) -> None:
    """Write the bad artefacts and the table of their refusals."""
    target.mkdir(parents=True, exist_ok=True)
    cases = bad_entries(good)
    for name, (data, _) in cases.items():
        (target / f"{name}.dsse").write_bytes(data)
    table = {name: refusal for name, (_, refusal) in sorted(cases.items())}
    (target / "refusals.json").write_text(json.dumps(table, indent=1) + "\n")


def good_entry(directory: Path = FILES) -> bytes:
    """A good entry of the golden log with a recording as its subject."""
    [bundle] = [path for path in (directory / "public/tile/entries").rglob("*") if path.is_file()]
    for envelope in decode_bundle(bundle.read_bytes(), width=int(bundle.name)):
        if entry.parse(envelope).event_type == "recording.acquired":
            return envelope
    raise AssertionError("the golden log lost its recording")


if __name__ == "__main__":
    write_log(FILES)
    write_bad(BAD, good_entry())
    sys.stdout.write("golden files written\n")
