"""The certificate of clearing (清除证明): what was cleared, on whose word, and that it was looked for in vain.

Two documents of the batch: signed JSON, and a PDF that carries it. Everything in them is read from the log's entries; only who
acted is named, and only supervising persons who were entered as present (R10). It is made when a published checkpoint covers
every tombstone, so that each line can be proved by itself.

The signature is Ed25519 by the station's key, which the log introduces, over ``liuhen signed document v1`` + line feed + the
canonical JSON of ``payload``.

Crash: the PDF is filed last; without it both are made anew.

Source: RULES R10; docs/disposal.md; docs/formats/clearing-certificate.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterRow
from catalogue.records import TimelineRow
from documents import (
    Attachment,
    Block,
    Checkpoint,
    Digest,
    Fields,
    Heading,
    Paragraph,
    Printable,
    Signature,
    Signatures,
    Table,
    print_document,
)
from evidence.canonical import dumps
from evidence.clock import BUREAU_ZONE, Clock, from_text, to_text
from evidence.digest import sha256_of
from evidence.errors import PolicyUnmetError
from evidence.events import MatterActed, RecordingDisposed, RecordingDisposing
from evidence.ids import AgentId, MatterId, RecordingId
from matters.form import APPROVER, PROPOSER
from retention.disposal_batch import BY_DETERMINATION, REVIEWER, SUPERVISOR
from retention.disposal_forms import CERTIFICATE, CERTIFICATE_JSON
from retention.disposal_list import LEFT, ListRow, rows_of_links
from retention.disposal_ports import Filer
from retention.disposal_words import words_of
from retention.schedule import DisposalMode

FORMAT: Final = "liuhen-clearing-certificate/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is true of this home when a certificate is made.

    Attributes:
        encrypted: Footage is encrypted, and data keys were destroyed with it.
        backup_keys_until: When the last backup that may hold a copy of a destroyed key will have been replaced; None when there
            are no backups, or nothing is known of them.
        backups: The service makes backups by itself.
    """

    encrypted: bool = False
    backup_keys_until: datetime | None = None
    backups: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifierParts:
    """What certificates are made with.

    Attributes:
        catalogue: What happened.
        clock: Injected time.
        filer: Files them.
        sign: Signs bytes: the key's identity and the signature in base64.
        checkpoint: The published checkpoint and its signed note; None while there is none.
        surroundings: What is true of this home now.
        unit: Who issues certificates: name of the bureau or station.
    """

    catalogue: Catalogue
    clock: Clock
    filer: Filer
    sign: Callable[[bytes], tuple[str, str]]
    checkpoint: Callable[[], tuple[Checkpoint, bytes] | None]
    surroundings: Callable[[], Surroundings]
    unit: str = ""


class Certificates:
    """Makes and files certificates.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: CertifierParts) -> None:
        self._parts = parts

    def certify(self, matter: MatterId) -> None:
        """Make and file the certificate of a batch; one that is on file is left as it is. Durable on return.

        Raises:
            PolicyUnmetError: No published checkpoint covers all tombstones yet.
            StoreError: No store took it.
        """
        with self._parts.catalogue.read() as uow:
            if uow.matters.documents(matter, role=CERTIFICATE):
                return
            found = self._parts.checkpoint()
            if found is None:
                raise PolicyUnmetError("no checkpoint is published yet", todo="It is tried again.")
            checkpoint, note = found
            now = self._parts.clock.now().wall
            payload = payload_of(
                uow, uow.matters.get(matter), now=now, checkpoint=checkpoint, note=note,
                surroundings=self._parts.surroundings(), issuer=self._parts.unit,
            )  # fmt: skip
        signed = signed_certificate(payload, self._parts.sign)
        number = str(payload["batch"]["number"])
        self._parts.filer.file_made(
            None, matter, role=CERTIFICATE_JSON, name=f"清除证明-{number}.json", media_type="application/json", data=signed
        )  # fmt: skip
        pdf = print_document(printable(payload, signed, checkpoint=checkpoint, at=now))
        self._parts.filer.file_made(
            None, matter, role=CERTIFICATE, name=f"清除证明-{number}.pdf", media_type="application/pdf", data=pdf
        )  # fmt: skip


def signed_certificate(payload: Mapping[str, Any], sign: Callable[[bytes], tuple[str, str]]) -> bytes:
    """The signed JSON: canonical, so that the same payload gives the same bytes."""
    key_id, signature = sign(dumps(payload))
    return dumps({
        "format": FORMAT, "payload": payload,
        "signature": {"algorithm": "ed25519", "key_id": key_id, "signature": signature},
    })  # fmt: skip


# --- what it says -----------------------------------------------------------------------------------------------------
def payload_of(
    uow: UnitOfWork, batch: MatterRow, *, now: datetime, checkpoint: Checkpoint, note: bytes, surroundings: Surroundings,
    issuer: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Everything the certificate says.

    Raises:
        PolicyUnmetError: A tombstone is missing, or not covered by the checkpoint.
    """
    links = uow.matters.links(batch.id)
    items = [_item(uow, batch, one, size=checkpoint.size) for one in rows_of_links(links)]
    left = [
        {"recording": one.target, "why": one.facts.get("why", ""), "at": to_text(one.since)}
        for one in sorted(links, key=lambda one: one.target)
        if one.role == LEFT
    ]
    return {
        "issuer": issuer,
        "made_at": to_text(now),
        "checkpoint": {
            "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root,
            "note": note.decode("utf-8", "replace"),
        },
        "batch": {
            "id": batch.id, "number": batch.number, "mode": str(batch.facts.get("mode", "")),
            "list_sha256": str(batch.facts.get("list_sha256", "")), "schedule": str(batch.facts.get("schedule", "")),
            "notice_days": int(batch.facts.get("notice_days") or 0), "notice_until": str(batch.facts.get("notice_until", "")),
            "proposed_at": to_text(batch.opened_at),
        },
        "persons": _persons(uow, batch),
        "acts": [_act(one) for one in uow.matter_timeline(batch.id) if one.event_type == MatterActed.TYPE],
        "statement": str(batch.words.get("statement", "")),
        "determination": _determination(uow, batch),
        "items": items,
        "left_out": left,
        "keys": {
            "encrypted": surroundings.encrypted,
            "destroyed": sum(1 for one in items for found in one["objects"] if found.get("key_sha256")),
            "backups": surroundings.backups,
            "backup_keys_until": to_text(surroundings.backup_keys_until) if surroundings.backup_keys_until else "",
        },
    }  # fmt: skip


def _item(uow: UnitOfWork, batch: MatterRow, listed: ListRow, *, size: int) -> dict[str, Any]:
    recording = RecordingId(listed.recording)
    timeline = uow.timeline(recording)
    disposing = _last(timeline, RecordingDisposing.TYPE, batch.id)
    disposed = _last(timeline, RecordingDisposed.TYPE, batch.id)
    if disposed.index is None or disposed.index >= size:
        raise PolicyUnmetError("no published checkpoint covers every tombstone yet", todo="It is tried again.")
    facts = disposed.public.get("facts", {})
    return {
        "recording": listed.recording, "sha256": listed.sha256, "size_bytes": int(facts.get("size_bytes", 0)),
        "due": listed.due, "why": listed.why,
        "disposing": {"entry": disposing.entry, "index": disposing.index, "at": str(disposing.public.get("at", ""))},
        "disposed": {"entry": disposed.entry, "index": disposed.index, "at": str(disposed.public.get("at", ""))},
        "facts": {name: value for name, value in facts.items() if name != "objects"},
        "objects": facts.get("objects", []),
    }  # fmt: skip


def _last(timeline: Sequence[TimelineRow], event_type: str, matter: MatterId) -> TimelineRow:
    found = [one for one in timeline if one.event_type == event_type and one.public.get("matter") == matter]
    if not found:
        raise PolicyUnmetError("a recording of the batch has no tombstone yet", todo="It is tried again.")
    return found[-1]


def _persons(uow: UnitOfWork, batch: MatterRow) -> dict[str, list[dict[str, str]]]:
    """Who had which part, by name; only persons who acted, or were entered as present."""
    told: dict[str, list[dict[str, str]]] = {PROPOSER: [], REVIEWER: [], APPROVER: [], SUPERVISOR: []}
    for one in uow.matters.persons(batch.id):
        if one.role in told:
            told[one.role].append({"agent": one.agent, "name": uow.people.agent(one.agent).name})
    return told


def _act(row: TimelineRow) -> dict[str, Any]:
    told = {"act": str(row.public.get("act", "")), "at": str(row.public.get("at", "")), "entry": row.entry}
    return {**told, "actor": row.actor} if row.actor else told


def _determination(uow: UnitOfWork, batch: MatterRow) -> dict[str, Any] | None:
    identity = batch.facts.get(BY_DETERMINATION)
    if not identity:
        return None
    row = uow.matters.get(MatterId(str(identity)))
    scans = uow.matters.documents(row.id)
    return {
        "id": row.id, "number": row.number, "document_number": str(row.words.get("document_number", "")),
        "signatory": str(row.words.get("signatory", "")), "grounds": str(row.words.get("grounds", "")),
        "valid_from": str(row.facts.get("valid_from", "")), "valid_until": str(row.facts.get("valid_until", "")),
        "confirmed_by": _name(uow, row.approved_by), "scans_sha256": [one.sha256.hex for one in scans],
    }  # fmt: skip


def _name(uow: UnitOfWork, agent: AgentId | None) -> str:
    return uow.people.agent(agent).name if agent is not None else ""


# --- on paper ---------------------------------------------------------------------------------------------------------
def printable(
    payload: Mapping[str, Any], signed: bytes, *, checkpoint: Checkpoint, at: datetime, lang: str = "zh-CN"
) -> Printable:
    """The certificate as a document; the signed JSON rides in it."""
    words = words_of(lang)
    batch, items = payload["batch"], payload["items"]
    automatic = batch["mode"] == DisposalMode.AUTOMATIC.value
    blocks: list[Block] = [
        Paragraph(_opening(batch, items, words)),
        Fields(
            rows=[
                (words["mode"], words["automatic" if automatic else "review"]),
                (words["proposed_at"], from_text(batch["proposed_at"])),
                (words["notice"], _notice(batch, words)),
                (words["items"], len(items)),
                (words["bytes"], sum(one["size_bytes"] for one in items if "duplicate_of" not in one["facts"])),
                (words["left_out"], len(payload["left_out"])),
                *((words[role], _names(payload["persons"][role], words)) for role in (REVIEWER, APPROVER)),
            ],
            columns=2,
        ),
        Digest(label=words["list_sha256"], value=batch["list_sha256"]),
        *_grounds(payload, words),
        Heading(words["supervision"]),
        Paragraph(_supervision(payload, words), style="plain"),
        Heading(words["cleared"]),
        _table(items, words),
        Paragraph(words["looked"], style="note"),
        *_left(payload, words),
        Heading(words["keys"]),
        Paragraph(_keys(payload["keys"], words), style="plain"),
        Digest(label=words["json_sha256"], value=sha256_of(signed).hex),
        Signatures(lines=[Signature(role=words["manager"]), Signature(role=words["head"])], title=words["signed"]),
    ]
    return Printable(
        title=words["title"], unit=str(payload["issuer"]), number=batch["number"], printed_at=at, checkpoint=checkpoint,
        blocks=blocks, lang="en" if lang == "en" else "zh-CN", data={"certificate_sha256": sha256_of(signed).hex},
        attachments=(Attachment("certificate.json", signed, "application/json", words["attached"]),),
    )  # fmt: skip


def _opening(batch: Mapping[str, Any], items: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """What is certified, and not more: bytes that something else needs were found, and stay."""
    automatic = batch["mode"] == DisposalMode.AUTOMATIC.value
    shared = any(found.get("shared_in") for one in items for found in one["objects"])
    return words["opening_automatic" if automatic else "opening"].format(
        number=batch["number"], items=len(items), result=words["result_shared" if shared else "result"]
    )


def _notice(batch: Mapping[str, Any], words: Mapping[str, str]) -> str:
    until = from_text(batch["notice_until"])
    return words["notice_text"].format(
        days=batch["notice_days"], until=f"{until.astimezone(BUREAU_ZONE):%Y-%m-%d %H:%M}"
    )


def _names(persons: Sequence[Mapping[str, str]], words: Mapping[str, str]) -> str:
    return "、".join(one["name"] for one in persons) or words["none"]


def _grounds(payload: Mapping[str, Any], words: Mapping[str, str]) -> list[Block]:
    found = payload["determination"]
    if found is None:
        return [Heading(words["statement"]), Paragraph(str(payload["statement"]) or words["none"], style="plain")]
    text = words["determination_text"].format(**{name: found[name] for name in _OF_DETERMINATION})
    blocks: list[Block] = [Heading(words["determination"]), Paragraph(text, style="plain")]
    blocks.append(Paragraph(str(found["grounds"]), style="plain"))
    blocks += [Digest(label=words["scan_sha256"], value=one) for one in found["scans_sha256"]]
    return blocks


_OF_DETERMINATION: Final = ("number", "document_number", "signatory", "valid_from", "valid_until", "confirmed_by")


def _supervision(payload: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Only who was entered as present is named; nobody is said plainly."""
    present = payload["persons"][SUPERVISOR]
    if present:
        return words["supervised"].format(names=_names(present, words))
    automatic = payload["batch"]["mode"] == DisposalMode.AUTOMATIC.value
    return words["unsupervised_automatic" if automatic else "unsupervised"]


def _table(items: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> Table:
    rows = []
    for one in items:
        facts = one["facts"]
        start = facts.get("started_at", "")
        rows.append([
            one["recording"], one["sha256"], one["size_bytes"], from_text(start) if start else None,
            str(facts.get("category", "")), _kept(facts), from_text(one["disposed"]["at"]), one["disposed"]["index"],
            _found(one, words),
        ])  # fmt: skip
    head = [
        words[name] for name in ("recording", "sha256", "size", "recorded", "category", "kept", "at", "entry", "found")
    ]
    return Table(head=head, rows=rows, widths=(3, 3.4, 1.2, 2, 1.3, 2.1, 2, 1, 2), numbered=words["no"])


def _kept(facts: Mapping[str, Any]) -> str:
    return str(facts.get("schedule", ""))


def _found(item: Mapping[str, Any], words: Mapping[str, str]) -> str:
    if "duplicate_of" in item["facts"]:
        return words["duplicate"]
    stores = sorted({store for one in item["objects"] for store in one.get("absent_in", [])})
    shared = sum(1 for one in item["objects"] if one.get("shared_in"))
    told = words["absent"].format(objects=len(item["objects"]) - shared, stores="、".join(stores))
    original = any(one.get("shared_in") and one["what"] == "recording" for one in item["objects"])
    told += words["shared"].format(objects=shared) if shared else ""
    return told + (words["shared_original"] if original else "")


def _left(payload: Mapping[str, Any], words: Mapping[str, str]) -> list[Block]:
    if not payload["left_out"]:
        return []
    rows = [
        [one["recording"], words.get(f"why-{one['why']}", one["why"]), from_text(one["at"])]
        for one in payload["left_out"]
    ]
    head = [words["recording"], words["why"], words["since"]]
    return [Heading(words["not_cleared"]), Table(head=head, rows=rows, widths=(3, 3, 2), numbered=words["no"])]


def _keys(keys: Mapping[str, Any], words: Mapping[str, str]) -> str:
    if not keys["encrypted"]:
        return words["keys_none"]
    told = words["keys_destroyed"].format(count=keys["destroyed"])
    if keys["backup_keys_until"]:
        until = from_text(keys["backup_keys_until"]).astimezone(BUREAU_ZONE)
        return told + words["keys_backups"].format(until=f"{until:%Y-%m-%d}")
    return told + words["keys_backups_unknown"]
