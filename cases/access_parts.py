"""What the forms about use of footage have in common: purposes, rights, periods, what is asked for, and who may consent.

Source: RULES R17, R18, R19; docs/use-of-footage.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from catalogue.matters import LinkRow
from evidence.clock import from_text
from evidence.errors import NotFoundError
from evidence.ids import AgentId, MatterId, RecordingId, UnitId
from evidence.model import Action
from matters import delegations, use_grants
from matters.form import PROPOSER, Choice, Field, FieldKind, LinkRole
from matters.turn import NewLink, Turn
from matters.values import OUT_OF_RANGE, FormError
from people.units import UnitTree, unit_at

#: Links of a request.
FOOTAGE: Final = use_grants.FOOTAGE
CASE: Final = "case"
#: A period of use is at most so long; longer use is asked for again.
PERIOD_MAX: Final = timedelta(days=366)

PURPOSES: Final = (
    Choice(code="case-work", word="Handling a case"),
    Choice(code="documents", word="Writing documents"),
    Choice(code="legal-review", word="Legal review"),
    Choice(code="reconsideration", word="Administrative reconsideration"),
    Choice(code="litigation", word="Litigation"),
    Choice(code="complaint", word="Complaint or petition"),
    Choice(code="supervision", word="Supervision or inspection"),
    Choice(code="publicity", word="Publicity"),
    Choice(code="other", word="Other"),
)
RIGHTS: Final = (
    Choice(code="view", word="Watch"),
    Choice(code="copy", word="Make a copy"),
    Choice(code="export", word="Export in a package"),
)


def purpose_field() -> Field:
    """What the footage is for."""
    return Field(name="purpose", word="Purpose", kind=FieldKind.CHOICE, required=True, choices=PURPOSES)


def rights_field(name: str = use_grants.RIGHTS, *, word: str = "Kind of use", required: bool = True) -> Field:
    """Watching, copying, exporting: each by itself."""
    return Field(name=name, word=word, kind=FieldKind.CHOICES, required=required, choices=RIGHTS)


def period_fields() -> tuple[Field, Field]:
    """From when until when."""
    return (
        Field(name=use_grants.BEGINS, word="Use from", kind=FieldKind.MOMENT, hint="Empty: from the approval on."),
        Field(name=use_grants.ENDS, word="Use until", kind=FieldKind.MOMENT, required=True),
    )


def footage_links(*, least: int = 0) -> tuple[LinkRole, LinkRole]:
    """Recordings one by one, or all of a case."""
    return (
        LinkRole(role=FOOTAGE, word="Footage", targets=("rec",), needs=Action.RECORDING_LIST, least=least),
        LinkRole(role=CASE, word="All footage of the case", targets=("mat",), kinds=("case", "working-material")),
    )


# --- guards -----------------------------------------------------------------------------------------------------------
def period_is_sound(turn: Turn) -> None:
    """The period ends after it begins, in the future, and is not longer than :data:`PERIOD_MAX`."""
    ends = from_text(turn.value(use_grants.ENDS))
    begins = turn.value(use_grants.BEGINS)
    start = max(turn.now.wall, from_text(begins)) if begins else turn.now.wall
    if not start < ends <= start + PERIOD_MAX:
        raise FormError({use_grants.ENDS: OUT_OF_RANGE})


def footage_is_listed(turn: Turn) -> None:
    """Fill in exactly what is asked for: the recordings of a linked case, and of a duplicate the one that keeps its bytes.

    The recordings of a case are only added by who has a part in that case or may see cases of everybody (the check, by an act of
    another person); what the approver signs is the list, never "the case".

    Raises:
        FormError: Nothing is asked for. NotFoundError: The linked matter is no case.
    """
    wanted = {link.target for link in turn.links(FOOTAGE)}
    for link in list(turn.asked.links):
        if link.role == CASE:
            for recording in _of_case(turn, MatterId(link.target)):
                if recording not in wanted:
                    wanted.add(recording)
                    turn.asked.links.append(NewLink(role=FOOTAGE, target=recording, facts={"case": link.target}))
    for recording in sorted(wanted):
        kept = turn.uow.recordings.get(RecordingId(recording)).duplicate_of
        if kept is not None and kept not in wanted:
            wanted.add(kept)
            turn.asked.links.append(NewLink(role=FOOTAGE, target=kept, facts={"duplicate": recording}))
    if not wanted and not turn.links(CASE):
        raise FormError({FOOTAGE: "missing"})


def _of_case(turn: Turn, case: MatterId) -> list[str]:
    row = turn.uow.matters.get(case)
    if row.kind not in ("case", "working-material"):
        raise NotFoundError(f"{row.number} is no case")
    parts = {one.agent for one in turn.uow.matters.persons(case)} | {row.opened_by}
    asking = turn.before is None or turn.agent in turn.holders(PROPOSER)
    if asking and turn.agent not in parts:  # whoever checks the request adds them
        return []
    return sorted({link.target for link in turn.uow.matters.links(case) if link.target.startswith("rec_")})


def footage_is_known(turn: Turn) -> None:
    """There is a list to decide on: a request for "the case" whose list nobody has made yet is not approved."""
    if not turn.links(FOOTAGE):
        turn.refuse("no footage is listed yet", todo="Have the request checked: who checks it lists the footage.")


# --- who may consent --------------------------------------------------------------------------------------------------
def require_competent(
    turn: Turn, approver: AgentId, requester: AgentId, footage: Collection[RecordingId]
) -> AgentId | None:
    """The leader in charge (R17): over every recording asked for, never the requester, and above a requester who leads.

    Whoever holds the approving right for some department is a leader; their own request is decided by somebody who holds it for a
    department above it, or everywhere. A stand-in counts as the one they stand in for.

    Returns:
        For whom the approver stood in; None when they act by their own roles.

    Raises:
        PolicyUnmetError: Not this person.
    """
    if approver == requester:
        turn.refuse("nobody consents to their own request", todo="Let the leader in charge decide.")
    uow, at = turn.uow, use_grants.latest(turn.uow, turn.now.wall)
    units = UnitTree(uow.people.units())
    held = [
        (of, grant.unit)
        for of, grant in delegations.holders_of(uow, approver, Action.ACCESS_APPROVE, at, units=units) if of != requester
    ]  # fmt: skip
    led = delegations.holders_of(uow, requester, Action.ACCESS_APPROVE, at, units=units)
    if led:
        level = {grant.unit for _of, grant in led}
        post = unit_at(uow.people.posts(requester), at)
        if post is not None:
            level.add(post)
        held = [(of, unit) for of, unit in held if _above(unit, level, units, at)]
        if not held:
            turn.refuse(
                "a leader's own request is decided at a higher level",
                todo="Let a leader of a department above, or of the whole bureau, decide.",
            )
    for recording in sorted(footage):
        if not any(_reaches(unit, turn.uow.recordings.get(recording).unit, units, at) for _of, unit in held):
            turn.refuse(
                "{recording} belongs to a department this leader does not answer for",
                todo="Let the leader of that department, or one above both, decide.",
                recording=recording,
            )
    own = any(of == approver for of, _unit in held)
    return None if own or not held else held[0][0]


def _above(unit: UnitId | None, level: Collection[UnitId | None], units: UnitTree, at: datetime) -> bool:
    """Whether a right for ``unit`` stands above every one of ``level``; beside one for everywhere there is only another such."""
    if unit is None:
        return True
    within = units.within(unit, at=at)
    return all(one is not None and one != unit and one in within for one in level)


def _reaches(unit: UnitId | None, concerned: UnitId | None, units: UnitTree, at: datetime) -> bool:
    return unit is None or (concerned is not None and concerned in units.within(unit, at=at))


def recordings_of(links: Sequence[LinkRow]) -> list[RecordingId]:
    """The recordings behind links, each once, in order."""
    return sorted({RecordingId(link.target) for link in links})
