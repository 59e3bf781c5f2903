"""The register of use (调用登记): every request, every use of archived footage under it, and every refused one, line by line.

A line is one *use* (a viewing opened, a copy, a recording exported), or a request, paper or supervised viewing of the period that
nobody has used, or a refusal. Uses come from the entries that name their grant and are numbered there without gaps, so the
register cannot leave one out: archived footage is used in no other way (:mod:`access.gate`).

Source: RULES R17, R19; docs/use-of-footage.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from cases import access_paper, access_request, access_supervised
from cases.access_parts import FOOTAGE
from catalogue import Catalogue, UnitOfWork
from catalogue.matters import LinkRow, MatterFilter, MatterRow
from catalogue.records import RecordingRow, TimelineRow
from evidence.clock import from_text
from evidence.errors import InvalidInputError, LimitExceededError, NotFoundError
from evidence.events import AccessAllowed
from evidence.ids import AgentId, MatterId, RecordingId, UnitId
from evidence.model import Action, Actor, Visibility
from evidence.ports import Authoriser
from matters import use_grants
from matters.form import APPROVER, PROPOSER

#: More lines are asked for in parts.
LINES_MAX: Final = 100_000
SOURCES: Final = (access_request.KIND, access_paper.KIND, access_supervised.KIND)
_REQUESTER: Final = {
    access_request.KIND: PROPOSER, access_paper.KIND: access_paper.REQUESTER,
    access_supervised.KIND: access_supervised.SUPERVISOR,
}  # fmt: skip
_CONSENTED: Final = {access_paper.KIND: access_paper.SIGNATORY}
_CODES: Final = {action.value: code for code, action in use_grants.ACTIONS.items()}
_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLine:
    """One line; what is not known or does not apply is empty.

    Attributes:
        at: When it was used or refused, else when it was asked for.
        number: Of the request, the paper or the supervised viewing.
        kind: Its kind.
        state: Its state.
        entered_afterwards: It was entered from a paper.
        requester: Who may use it, or was refused.
        unit: Of the matter, of a refusal the recording's.
        asked_at: When it was asked for.
        purpose: Code.
        subject: What it is about.
        authority: Number of the document it rests on.
        recording: What was used; None while nothing was.
        footage: What may be used.
        rights: Kinds of use that were asked for or granted.
        ends: Until when.
        handler: Who checked it.
        leader: Who consented.
        opinion: In the leader's words.
        decided_at: When.
        grant: Number of the grant.
        use: The how-manieth use of the grant; 0 for none.
        used: Code of the kind of use.
        refused: Reason code of a refusal.
        party: To whom it was shown.
        medium: Medium and its number.
        copies: How many.
        remark: Of what was written on paper.
    """

    at: datetime
    number: str = ""
    kind: str = ""
    state: str = ""
    entered_afterwards: bool = False
    requester: AgentId | None = None
    unit: UnitId | None = None
    asked_at: datetime | None = None
    purpose: str = ""
    subject: str = ""
    authority: str = ""
    recording: RecordingRow | None = None
    footage: Sequence[RecordingId] = ()
    rights: Sequence[str] = ()
    ends: datetime | None = None
    handler: AgentId | None = None
    leader: AgentId | None = None
    opinion: str = ""
    decided_at: datetime | None = None
    grant: str = ""
    use: int = 0
    used: str = ""
    refused: str = ""
    party: str = ""
    medium: str = ""
    copies: int = 0
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    since: datetime
    until: datetime
    unit: UnitId | None
    seen: Visibility
    me: AgentId
    rows: dict[str, RecordingRow | None] = field(default_factory=dict)

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment < self.until

    def recording(self, uow: UnitOfWork, identity: str) -> RecordingRow | None:
        if identity not in self.rows:
            try:
                self.rows[identity] = uow.recordings.get(RecordingId(identity))
            except (NotFoundError, InvalidInputError):
                self.rows[identity] = None
        return self.rows[identity]


class UseRegister:
    """Tells who used archived footage, for whoever may see the register.

    Args:
        catalogue: Where it stands.
        authoriser: Asked at every call; a reader of one department sees that department's lines.
    """

    def __init__(self, catalogue: Catalogue, *, authoriser: Authoriser) -> None:
        self._catalogue = catalogue
        self._authoriser = authoriser

    def lines(self, actor: Actor, *, since: datetime, until: datetime, unit: UnitId | None = None) -> list[UseLine]:
        """The lines of a period, the earliest first, true at one moment.

        Args:
            actor: Who reads.
            since: From.
            until: Before.
            unit: Only of this department.

        Raises:
            AccessDeniedError: Not theirs to see (entered).
            InvalidInputError: The period ends before it begins.
            LimitExceededError: More than a register holds.
        """
        self._authoriser.require(actor, Action.REGISTER_SEE, detail="register of use")
        if until <= since:
            raise InvalidInputError("the period ends before it begins")
        seen = self._authoriser.visibility(actor, Action.REGISTER_SEE)
        span = _Span(since=since, until=until, unit=unit, seen=seen, me=actor.agent)
        found: list[UseLine] = []
        with self._catalogue.read() as uow:
            for part in (_of_matters(uow, span), _of_refusals(uow, span)):
                for line in part:
                    found.append(line)
                    if len(found) > LINES_MAX:
                        raise LimitExceededError(
                            f"a register holds at most {LINES_MAX} lines", todo="Ask for a shorter period."
                        )
        return sorted(found, key=lambda line: (line.at, line.number, line.use))


def _each(uow: UnitOfWork, wanted: MatterFilter, span: _Span) -> Iterator[MatterRow]:
    after: MatterId | None = None
    while True:
        rows = uow.matters.find(wanted, span.seen, me=span.me, after=after, limit=_PAGE)
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1].id


def _of_matters(uow: UnitOfWork, span: _Span) -> Iterator[UseLine]:
    for row in _each(uow, MatterFilter(kinds=SOURCES, opened_to=span.until, unit=span.unit), span):
        grants = uow.matters.linked_to(row.id, kinds=(use_grants.KIND,))
        over = bool(grants) and all(
            max(from_text(one.facts[use_grants.ENDS]), one.changed_at) < span.since for one in grants
        )  # fmt: skip
        if not span.holds(row.opened_at) and (over or not grants):
            continue
        used = [(grant, entry) for grant in grants for entry in _uses(uow, grant)]
        inside = [(grant, entry) for grant, entry in used if span.holds(entry.at)]
        if not inside and not (span.holds(row.opened_at) and not used):
            continue
        line = _line(uow, row, grants)
        if not inside:
            yield line
        for grant, entry in inside:
            yield replace(
                line, at=entry.at, grant=grant.number, use=int(entry.public.get("use", 0)),
                used=_CODES.get(str(entry.public["action"]), ""), rights=tuple(grant.facts[use_grants.RIGHTS]),
                requester=AgentId(entry.actor) if entry.actor else line.requester,
                ends=from_text(grant.facts[use_grants.ENDS]), recording=span.recording(uow, entry.public["recording"]),
            )  # fmt: skip


def _uses(uow: UnitOfWork, grant: MatterRow) -> list[TimelineRow]:
    return [
        one for one in uow.matter_timeline(grant.id)
        if one.event_type == AccessAllowed.TYPE and int(one.public.get("use", 0)) > 0
    ]  # fmt: skip


def _line(uow: UnitOfWork, row: MatterRow, grants: Sequence[MatterRow]) -> UseLine:
    persons: dict[str, AgentId] = {one.role: one.agent for one in uow.matters.persons(row.id)}
    footage: list[LinkRow] = uow.matters.links(row.id, role=FOOTAGE)
    facts: Mapping[str, Any] = row.facts
    words: Mapping[str, Any] = row.words
    terms = access_request.terms_of(row) if row.kind == access_request.KIND else facts
    approved = row.kind == access_request.KIND and row.state == access_request.APPROVED
    leader = persons.get(_CONSENTED.get(row.kind, APPROVER)) or persons.get("refuser")
    return UseLine(
        at=row.opened_at, number=row.number, kind=row.kind, state=row.state, unit=row.unit, asked_at=row.opened_at,
        entered_afterwards=row.kind == access_paper.KIND, requester=persons.get(_REQUESTER[row.kind]),
        purpose=str(facts.get("purpose", "")), subject=str(words.get("subject", "")),
        authority=str(words.get("authority", words.get("paper_number", ""))),
        footage=[RecordingId(one.target) for one in footage],
        rights=tuple(terms.get(use_grants.RIGHTS) or (("view",) if row.kind == access_supervised.KIND else ())),
        ends=from_text(terms[use_grants.ENDS]), handler=persons.get("handler") or _enterer(row, persons), leader=leader,
        opinion=str(words.get("opinion", words.get("refusal", ""))),
        decided_at=grants[0].opened_at if grants else row.closed_at if approved or persons.get("refuser") else None,
        grant=", ".join(one.number for one in grants), party=str(words.get("party", "")),
        medium=str(words.get("medium", "")), copies=int(facts.get("copies", 0)), remark=str(words.get("used", "")),
    )  # fmt: skip


def _enterer(row: MatterRow, persons: Mapping[str, AgentId]) -> AgentId | None:
    """Who compared a paper that was entered afterwards."""
    return persons.get(APPROVER) if row.kind == access_paper.KIND else None


def _of_refusals(uow: UnitOfWork, span: _Span) -> Iterator[UseLine]:
    for entry in uow.refusals(span.since, span.until):
        used = _CODES.get(str(entry.public.get("action", "")))
        if used is None:
            continue
        row = span.recording(uow, str(entry.public.get("recording", "")))
        if row is None or not _sees(span, row) or (span.unit is not None and row.unit != span.unit):
            continue
        yield UseLine(
            at=entry.at, requester=AgentId(entry.actor) if entry.actor else None, unit=row.unit, recording=row,
            used=used, refused=str(entry.public.get("reason", "")),
        )  # fmt: skip


def _sees(span: _Span, row: RecordingRow) -> bool:
    return span.seen.everything or row.unit in span.seen.units
