"""The register of use: what is answered, and what asks for a copy."""

from __future__ import annotations

from typing import Literal

from api.schemas.common import Answer, Moment, Request
from cases.access_register import UseLine


class CopyRequest(Request):
    """Which bytes are to be copied out."""

    kind: Literal["original", "viewing", "poster", "sheet"] = "original"


class UseLineAnswer(Answer):
    """One line of the register; ``use`` is the how-manieth use of the grant, 0 where nothing was used."""

    at: Moment
    number: str
    kind: str
    state: str
    entered_afterwards: bool
    requester: str | None
    unit: str | None
    asked_at: Moment | None
    purpose: str
    subject: str
    authority: str
    recording: str | None
    footage: list[str]
    rights: list[str]
    ends: Moment | None
    handler: str | None
    leader: str | None
    opinion: str
    decided_at: Moment | None
    grant: str
    use: int
    used: str
    refused: str
    party: str
    medium: str
    copies: int
    remark: str


def line_answer(line: UseLine) -> UseLineAnswer:
    """A line as it is answered."""
    return UseLineAnswer(
        at=line.at, number=line.number, kind=line.kind, state=line.state, entered_afterwards=line.entered_afterwards,
        requester=line.requester, unit=line.unit, asked_at=line.asked_at, purpose=line.purpose, subject=line.subject,
        authority=line.authority, recording=line.recording.id if line.recording is not None else None,
        footage=list(line.footage), rights=list(line.rights), ends=line.ends, handler=line.handler, leader=line.leader,
        opinion=line.opinion, decided_at=line.decided_at, grant=line.grant, use=line.use, used=line.used,
        refused=line.refused, party=line.party, medium=line.medium, copies=line.copies, remark=line.remark,
    )  # fmt: skip
