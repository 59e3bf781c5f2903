"""What procedures are made of: parts, fields, acts, guards. Which procedure has which is a table (:mod:`cases.procedures`).

Everybody who works on a procedure is somebody it does not concern: not a person it is about, not who recorded or handled
what it looks at, not who was recused. This is asked at every act, so a link that is added later counts as well.

Source: RULES R22 to R27; docs/procedures.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from cases import clocks
from cases.clock_rules import rules_in_force
from cases.clocks import ClockRule
from evidence.calendar import local_date
from evidence.errors import NotFoundError
from evidence.ids import AgentId, MatterId, RecordingId
from evidence.model import Action
from matters.form import Act, Choice, Field, FieldKind, Guard, LinkRole
from matters.turn import Turn
from matters.working_calendar import working_days

REGISTRAR, HANDLER, INVESTIGATOR, RESPONDENT, RECUSED, DECIDER = (
    "registrar", "handler", "investigator", "respondent", "recused", "decider",
)  # fmt: skip
PARTS: Final = {
    REGISTRAR: "Received by",
    HANDLER: "Handled by",
    INVESTIGATOR: "Investigated by",
    RESPONDENT: "Concerns",
    RECUSED: "Recused",
    DECIDER: "Decided by",
}
#: What is filed with a procedure.
DOCUMENTS: Final = {
    "complaint": "Complaint or application",
    "statement": "Statement",
    "report": "Report of the investigation",
    "decision": "Decision",
    "delivery": "Proof of delivery",
    "appraisal": "Appraisal",
    "other": "Other",
}
#: Who may know who complained: those who work on it, and nobody else, leaders included (R23).
KNOWS_COMPLAINANT: Final = (REGISTRAR, HANDLER, INVESTIGATOR)
#: Papers on which the complainant's name and address stand are read by the same persons.
PAPERS_OF_COMPLAINANT: Final = {"complaint": KNOWS_COMPLAINANT, "delivery": KNOWS_COMPLAINANT}
RECEIVED, ACCEPTED, DECIDED, TOLD, CORRECTING, REVIEWED, CLOSED, DECLINED, WITHDRAWN = (
    "received", "accepted", "decided", "told", "correcting", "under-review", "closed", "declined", "withdrawn",
)  # fmt: skip
#: Parts whose holders do not decide.
_NOT_DECIDING: Final = (RESPONDENT, RECUSED, INVESTIGATOR)


def words(name: str, word: str, *, required: bool = True, seen_by: Sequence[str] = ()) -> Field:
    """A field for what people write."""
    return Field(name=name, word=word, kind=FieldKind.WORDS, personal=True, required=required, seen_by=seen_by)


def line(name: str, word: str, *, required: bool = False, seen_by: Sequence[str] = ()) -> Field:
    """A field for a line of text."""
    return Field(name=name, word=word, personal=True, required=required, seen_by=seen_by)


def choices(name: str, word: str, *given: tuple[str, str], required: bool = True) -> Field:
    """A field with a few answers."""
    return Field(
        name=name, word=word, kind=FieldKind.CHOICE, required=required,
        choices=tuple(Choice(code=code, word=told) for code, told in given),
    )  # fmt: skip


#: What a procedure looks at is kept until it ends: nobody who works on it lets it go before.
LINKS: Final = (
    LinkRole(role="footage", word="Footage", targets=("rec",), stays=True),
    LinkRole(role="case", word="Case", targets=("mat",), kinds=("case", "working-material"), stays=True),
)
COMPLAINANT: Final = (
    choices("named", "Complainant", ("named", "Gave a name"), ("anonymous", "Anonymous"), ("none", "No complainant")),
    line("complainant", "Name of the complainant", seen_by=KNOWS_COMPLAINANT),
    line("contact", "How to reach them", seen_by=KNOWS_COMPLAINANT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The clocks of a procedure, as guards use them.

    Attributes:
        kind: The procedure.
        rules: Its clocks with the numbers that came with the program.
    """

    kind: str
    rules: Sequence[ClockRule]

    def tick(self, turn: Turn) -> None:
        """Guard of every act: start and meet clocks, by the numbers and the calendar in force."""
        clocks.ticked(turn, rules_in_force(turn.uow, self.kind, self.rules), working_days(turn.uow))

    def extend(self, turn: Turn) -> None:
        """Guard of an extension."""
        clocks.extended(turn, rules_in_force(turn.uow, self.kind, self.rules), working_days(turn.uow))

    def resume(self, turn: Turn) -> None:
        """Guard of the end of an appraisal."""
        clocks.resumed(turn, rules_in_force(turn.uow, self.kind, self.rules))

    def recount(self, turn: Turn) -> None:
        """Guard of the service's own act when a year was brought in."""
        turn.asked.facts.update(clocks.recounted(clocks.facts_after(turn), working_days(turn.uow)))

    def met(self, *codes: str) -> Guard:
        """A guard: none of these clocks may still run."""
        return lambda turn: clocks.require_met(turn, codes)


# --- guards -----------------------------------------------------------------------------------------------------------
def unconcerned(turn: Turn) -> None:
    """Whoever works on it must be somebody it does not concern."""
    working = {INVESTIGATOR, HANDLER}
    given = [agent for role, agent in turn.asked.persons if role in working]
    if turn.act.role in working and turn.agent is not None:
        given.append(turn.agent)
    present = [agent for role in working for agent in turn.holders(role)]
    concerned = {*turn.holders(RESPONDENT), *turn.holders(RECUSED), *_recorders(turn), *_case_people(turn)}
    concerned |= {agent for role, agent in turn.asked.persons if role == RESPONDENT}
    leaving = {agent for _role, agent in turn.asked.no_longer}
    if concerned & ({*given, *present} - leaving):
        turn.refuse(
            "somebody who works on this is concerned by it: it is about them, or they recorded or handled what it looks at",
            todo="Name somebody else, or recuse them first.",
        )


def _recorders(turn: Turn) -> set[AgentId]:
    found = set()
    for link in turn.links("footage"):
        officer = turn.uow.recordings.get(RecordingId(link.target)).officer
        found |= {officer} if officer is not None else set()
    return found


def _case_people(turn: Turn) -> set[AgentId]:
    found: set[AgentId] = set()
    for link in turn.links("case"):
        try:
            found |= {
                one.agent for one in turn.uow.matters.persons(MatterId(link.target)) if one.role in {"officer", HANDLER}
            }
        except NotFoundError:
            continue
    return found


def named_complainant(turn: Turn) -> None:
    """A complainant who gave a name has one."""
    if turn.value("named") == "named" and not turn.value("complainant"):
        turn.refuse("the complainant gave a name, but it is not entered", todo="Enter it, or mark them as anonymous.")


def at_least(role: str, number: int) -> Guard:
    """A guard: so many people have this part."""

    def guard(turn: Turn) -> None:
        held = {*turn.holders(role), *(agent for of, agent in turn.asked.persons if of == role)}
        if len(held) < number:
            turn.refuse("{n} investigators are needed, {m} are named", todo="Name them first.", n=number, m=len(held))

    return guard


def statement_heard(turn: Turn) -> None:
    """Nobody is judged unheard: their statement is on file, or why there is none."""
    if not (turn.value("statement") or turn.value("no_statement")):
        turn.refuse("the statement of the person concerned is not entered", todo="Hear them, or enter why not.")


def nothing_appraised(turn: Turn) -> None:
    """While an appraisal runs nothing is decided."""
    if clocks.facts_after(turn).get(clocks.PAUSED):
        turn.refuse("an appraisal runs", todo="Enter its end first.")


def corrected(turn: Turn) -> None:
    """What was to be corrected was looked at again."""
    if turn.value("correct_by") and turn.value("recheck") != "corrected":
        turn.refuse("what was to be corrected has not been found corrected", todo="Look at it again first.")


def still_future(name: str) -> Guard:
    """A guard: a date that lies before today is a mistake."""

    def guard(turn: Turn) -> None:
        given = turn.asked.facts.get(name)
        if given is not None and given < local_date(turn.now.wall).isoformat():
            turn.refuse("{day} has passed", todo="Give a day to come.", day=given)

    return guard


def recuse(turn: Turn) -> None:
    """Take the person's part away, and remember it."""
    agent = AgentId(turn.asked.facts["person"])
    held = [role for role in (INVESTIGATOR, HANDLER) if agent in turn.holders(role)]
    if not held:
        turn.refuse("this person has no part in it")
    turn.asked.no_longer += [(role, agent) for role in held]
    turn.asked.persons.append((RECUSED, agent))


# --- acts that procedures share -----------------------------------------------------------------------------------------
def assign(before: Sequence[str]) -> Act:
    """Name an investigator."""
    return Act(
        name="assign", word="Name an investigator", before=before, action=Action.PROCEDURE_HANDLE, never=(RESPONDENT, RECUSED),
        fields=(
            Field(name="investigator", word="Investigator", kind=FieldKind.AGENT, required=True, part=INVESTIGATOR),
        ),
        guards=(unconcerned,),
    )  # fmt: skip


def name_concerned(before: Sequence[str]) -> Act:
    """Name somebody it concerns."""
    return Act(
        name="concern", word="Name a person concerned", before=before, action=Action.PROCEDURE_HANDLE,
        never=(RESPONDENT, RECUSED),
        fields=(Field(name="respondent", word="Person concerned", kind=FieldKind.AGENT, required=True, part=RESPONDENT),),
        guards=(unconcerned,),
    )  # fmt: skip


def recusal(before: Sequence[str]) -> Act:
    """Somebody leaves because it concerns them."""
    return Act(
        name="recuse", word="Recuse", before=before, action=Action.PROCEDURE_HANDLE,
        fields=(
            Field(name="person", word="Who is recused", kind=FieldKind.AGENT, required=True),
            words("recusal", "Why"),
        ),
        guards=(recuse,),
    )  # fmt: skip


def add(before: Sequence[str], timed: Timed) -> Act:
    """Link further footage and cases; what is linked is kept until the procedure ends."""
    return Act(
        name="add", word="Add footage or cases", before=before, action=Action.PROCEDURE_HANDLE, never=(RESPONDENT, RECUSED),
        links=LINKS, fields=(words("remark", "Remark", required=False),), guards=(unconcerned, timed.tick),
    )  # fmt: skip


def extend(before: Sequence[str], timed: Timed) -> Act:
    """Give a deadline more time."""
    return Act(
        name="extend", word="Extend a deadline", before=before, action=Action.PROCEDURE_DECIDE,
        never=(HANDLER, *_NOT_DECIDING),
        fields=(
            choices("clock", "Deadline", *((rule.code, rule.word) for rule in timed.rules)),
            Field(name="more", word="By how much", kind=FieldKind.NUMBER, required=True, least=1, most=3660),
            words("extension", "Why"),
        ),
        guards=(timed.extend,),
    )  # fmt: skip


def appraise(before: Sequence[str]) -> Act:
    """An appraisal begins."""
    return Act(
        name="appraise", word="Begin an appraisal", before=before, action=Action.PROCEDURE_HANDLE, never=(RESPONDENT, RECUSED),
        fields=(line("appraiser", "Who appraises", required=True), words("appraisal", "What is appraised")),
        guards=(clocks.paused,),
    )  # fmt: skip


def appraised(before: Sequence[str], timed: Timed) -> Act:
    """An appraisal ended."""
    return Act(
        name="appraised", word="End the appraisal", before=before, action=Action.PROCEDURE_HANDLE,
        never=(RESPONDENT, RECUSED), fields=(words("appraisal_result", "Its result"),), guards=(timed.resume,),
    )  # fmt: skip


def recount(before: Sequence[str], timed: Timed) -> Act:
    """Deadlines are counted again after a year was brought in: the service does it."""
    return Act(
        name="recount", word="Count deadlines again", before=before, action=Action.PROCEDURE_HANDLE, hidden=True,
        guards=(timed.recount,),
    )  # fmt: skip


def decide(before: Sequence[str], timed: Timed, *outcomes: tuple[str, str], guards: Sequence[Guard] = ()) -> Act:
    """The decision."""
    return Act(
        name="decide", word="Decide", before=before, after=DECIDED, action=Action.PROCEDURE_DECIDE, role=DECIDER,
        never=_NOT_DECIDING, frozen=True,
        fields=(
            choices("outcome", "Decision", *outcomes), words("decision", "Reasons of the decision"),
            line("decision_number", "Number of the decision"),
        ),
        guards=(nothing_appraised, *guards, timed.tick),
    )  # fmt: skip


def hear() -> tuple[Field, ...]:
    """What a hearing enters."""
    return (
        words("statement", "Statement of the person concerned", required=False),
        words("no_statement", "Why there is no statement", required=False),
    )


# --- legal review and remedies ------------------------------------------------------------------------------------------
#: What is on the list of evidence; what each item proves is said with the link.
EVIDENCE: Final = LinkRole(role="evidence", word="Evidence, and what it proves", targets=("rec", "mat"), stays=True)


def extend_by(before: Sequence[str], timed: Timed, *, never: Sequence[str]) -> Act:
    """As :func:`extend`, for others than the usual parts."""
    return replace(extend(before, timed), never=tuple(never))


def reviewer_unconcerned(turn: Turn) -> None:
    """Who reviews handles no enforcement in the matter: neither its footage nor its case (R22)."""
    reviewers = {*turn.holders("reviewer")} | ({turn.agent} if turn.act.role == "reviewer" and turn.agent else set())
    if reviewers & {*_recorders(turn), *_case_people(turn), *turn.holders(RECUSED)}:
        turn.refuse(
            "who reviews this recorded or handled what is reviewed, or was recused", todo="Let somebody else review it."
        )


def reviewer_leaves(turn: Turn) -> None:
    """The reviewer recuses themselves; somebody else takes it over."""
    for agent in turn.holders("reviewer"):
        turn.asked.no_longer.append(("reviewer", agent))
        turn.asked.persons.append((RECUSED, agent))


def answer_again(turn: Turn) -> None:
    """An appeal is to be answered anew."""
    turn.asked.facts["responded_on"] = None
