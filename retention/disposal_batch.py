"""What the acts of a clearing batch check and do; the form that declares them is :mod:`retention.disposal_forms`.

Guards raise to refuse, and add what was computed to the act before it is entered; nothing here commits.

Source: RULES R10; docs/disposal.md.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from catalogue import UnitOfWork
from catalogue.matters import MatterRow
from evidence.calendar import after_days
from evidence.clock import to_text
from evidence.ids import MatterId, RecordingId
from matters.form import PROPOSER
from matters.turn import NewLink, Turn
from matters.values import MISSING, NOT_FOUND, FormError
from retention.disposal_checks import Judge, determinations, named_in, not_now
from retention.disposal_list import (
    ITEM,
    ITEMS_MAX,
    LEFT,
    ListRow,
    as_links,
    digest_of,
    group_of,
    groups_of,
    row_of,
    rows_of_links,
    totals,
)
from retention.schedule import DisposalMode

#: Part of who looked through the list.
REVIEWER: Final = "reviewer"
#: Part of who watched the clearing.
SUPERVISOR: Final = "supervisor"
#: A batch that is cleared by force of a determination names it here (a public fact).
BY_DETERMINATION: Final = "determination"


def list_group(
    judge: Judge, group: Collection[RecordingId], *, batch: MatterRow | None = None, named: frozenset[str] | None = None
) -> tuple[list[ListRow], tuple[RecordingId, str] | None]:
    """The lines of a group, or the first of it that stands against, and why."""
    rows = []
    for recording in group:
        row = judge.uow.recordings.get(recording)
        if why := judge.obstacle(row, batch=batch, named=named):
            return [], (recording, why)
        rows.append(row_of(row, judge.decision(row)))
    return rows, None


def categories_of(judge: Judge, determination: str) -> frozenset[str] | None:
    """What a determination that holds now names; nothing when it does not hold. None where persons decide."""
    if not determination:
        return None
    found = next((row for row in determinations(judge.uow, judge.now) if row.id == determination), None)
    return named_in(found) if found is not None else frozenset()


# --- proposing --------------------------------------------------------------------------------------------------------
def freeze(turn: Turn) -> None:
    """Make the list of what was named, each recording looked at with its row locked.

    A person is told which recording may not be listed, and why; the service passes over what became unfit meanwhile. Duplicates
    that share bytes are listed together or not at all.
    """
    wanted = [RecordingId(one.target) for one in turn.asked.links if one.role == ITEM]
    judge = Judge.of(turn.uow, turn.now)
    if not judge.now.believed:
        turn.refuse("the clock contradicts what this home has seen: nothing is due by it")
    groups = groups_of(turn.uow, wanted)
    for recording in sorted({one for group in groups for one in group}):
        turn.uow.rules.lock(recording)
    determination = str(turn.asked.facts.get(BY_DETERMINATION, ""))
    named = categories_of(judge, determination)
    rows: list[ListRow] = []
    for group in groups:
        listed, against = list_group(judge, group, named=named)
        if against is not None and turn.actor is not None:
            turn.refuse(
                "{recording} cannot be listed: {why}",
                todo="Look at its page, or leave it out.",
                recording=against[0],
                why=against[1],
            )
        rows += listed
    if not rows:
        turn.refuse("nothing that was named may be listed")
    if len(rows) > ITEMS_MAX:
        turn.refuse("a batch has at most {most} recordings", todo="Propose several batches.", most=ITEMS_MAX)
    turn.asked.links[:] = as_links(rows)
    turn.asked.facts.update(totals(rows))
    turn.asked.facts["mode"] = (DisposalMode.AUTOMATIC if determination else DisposalMode.REVIEW).value
    turn.asked.facts["schedule"] = judge.schedules.current.number


def require_own_unit(turn: Turn) -> None:
    """A batch of a department lists footage of that department only: who approves it answers for no other.

    Raises:
        PolicyUnmetError: It does not; the whole act is undone.
    """
    unit = turn.row.unit
    if unit is None:
        return
    for one in turn.links(ITEM):
        if turn.uow.recordings.get(RecordingId(one.target)).unit != unit:
            turn.refuse(
                "{recording} belongs to another department",
                todo="Propose it in a batch of its own.",
                recording=one.target,
            )


# --- taking out -------------------------------------------------------------------------------------------------------
def take_out(turn: Turn) -> None:
    """Take what is named out of the list, with everything that shares its bytes; what is past the point of no return stays."""
    if turn.asked.links:
        raise FormError({ITEM: NOT_FOUND})  # nothing is ever added to a frozen list
    wanted = {RecordingId(one.target) for one in turn.asked.unlinks}
    named = turn.asked.facts.pop("recording", None)
    if named:
        wanted.add(RecordingId(named))
    if not wanted:
        raise FormError({"recording": MISSING})
    leave_out(turn, dict.fromkeys(wanted, str(turn.asked.facts.get("ground", "other"))))


def take_out_each(turn: Turn) -> None:
    """The service's way of taking out: every item comes with its own reason."""
    leave_out(turn, {RecordingId(one.target): one.facts.get("why", "not-known") for one in turn.asked.unlinks})


def keep_rest(turn: Turn) -> None:
    """Take out everything that is not past the point of no return."""
    ground = str(turn.asked.facts.get("ground", "other"))
    left = {
        RecordingId(one.target): ground
        for one in turn.links(ITEM)
        if turn.uow.rules.of(RecordingId(one.target)).disposing_at is None
    }
    if not left:
        turn.refuse("everything in it is being cleared already")
    leave_out(turn, left)


def leave_out(turn: Turn, why: dict[RecordingId, str]) -> None:
    """Move items to those left out, each with its reason, and enter the new digest of the list."""
    turn.asked.unlinks[:] = []
    items = {one.target: one for one in turn.links(ITEM)}
    if not set(why) <= set(items):
        raise FormError({"recording": NOT_FOUND})
    going = {one: reason for recording, reason in why.items() for one in group_of(turn.uow, recording)}
    for one in sorted(going):
        if turn.uow.rules.lock(one).disposing_at is not None:
            turn.refuse("{recording} is past the point of no return", recording=one)
        if (link := items.pop(one, None)) is not None:
            turn.asked.unlinks.append(NewLink(role=ITEM, target=one))
            facts = {"why": going[one], "sha256": link.facts.get("sha256", "")}
            turn.asked.links.append(NewLink(role=LEFT, target=one, facts=facts))
    turn.asked.facts.update(totals(rows_of_links(items.values())))


# --- review and approval ----------------------------------------------------------------------------------------------
def look_again(turn: Turn) -> None:
    """At the end of a review: leave out what may not be cleared any more, and refuse an empty list."""
    judge = Judge.of(turn.uow, turn.now)
    batch = turn.row
    against: dict[RecordingId, str] = {}
    for group in groups_of(turn.uow, [RecordingId(one.target) for one in turn.links(ITEM)]):
        _rows, found = list_group(judge, group, batch=batch)
        if found is not None:
            against |= dict.fromkeys(group, found[1])
    if against:
        leave_out(turn, {one: why for one, why in against.items() if one in {link.target for link in turn.links(ITEM)}})
    if turn.asked.facts.get("items", turn.row.facts.get("items")) == 0 or not turn.links(ITEM):
        turn.refuse("nothing is left in the list that may be cleared", todo="Withdraw the batch.")
    if turn.actor is not None:  # who states that it has no value stands for the proposal
        turn.asked.persons.append((PROPOSER, turn.actor.agent))
    turn.asked.facts["mode"] = DisposalMode.REVIEW.value
    if turn.row.facts.get(BY_DETERMINATION):
        turn.asked.facts[BY_DETERMINATION] = None


def begin_notice(turn: Turn) -> None:
    """From the approval on the notice runs: whole days, to the end of the last one, by a clock that is believed."""
    judge = Judge.of(turn.uow, turn.now)
    if not judge.now.believed:
        turn.refuse("the clock contradicts what this home has seen: no notice begins by it")
    require_list(turn)
    days = judge.schedules.current.notice_days
    turn.asked.facts["notice_days"] = days
    turn.asked.facts["notice_until"] = to_text(after_days(turn.now.wall, days))


def require_list(turn: Turn) -> None:
    """The list is the one whose digest was entered last, and it is not empty."""
    rows = rows_of_links(turn.links(ITEM))
    if not rows:
        turn.refuse("nothing is left in the list", todo="Withdraw the batch.")
    if digest_of(rows).hex != turn.row.facts.get("list_sha256"):
        turn.refuse("the list is not the one that was entered", todo="Run liuhen verify.")


def by_determination(turn: Turn) -> None:
    """The determination stands in for the approval: it holds, and names what is listed."""
    judge = Judge.of(turn.uow, turn.now)
    named = categories_of(judge, str(turn.row.facts.get(BY_DETERMINATION, "")))
    if not named:
        turn.refuse("no determination that holds names what is listed")
    for link in turn.links(ITEM):
        row = turn.uow.recordings.get(RecordingId(link.target))
        if why := judge.obstacle(row, batch=turn.row, named=named):
            turn.refuse("{recording} cannot be listed: {why}", recording=row.id, why=why)


def has_lapsed(uow: UnitOfWork, batch: MatterRow) -> bool:
    """Whether an automatic batch rests on a determination that was ended, renewed or ran out: it can never go on."""
    identity = str(batch.facts.get(BY_DETERMINATION, ""))
    return bool(identity) and uow.matters.get(MatterId(identity)).closed_at is not None


def require_lapsed(turn: Turn) -> None:
    """What it rested on is over: what is due is listed anew by one that holds, with a notice of its own."""
    if not has_lapsed(turn.uow, turn.row):
        turn.refuse("its determination still stands")


def require_over(turn: Turn) -> None:
    """The notice is over and nothing stops the batch."""
    found = not_now(Judge.of(turn.uow, turn.now), turn.row)
    if found:
        turn.refuse("not now: {why}", why=", ".join(f"{one.code} {one.detail}".strip() for one in found))
    require_list(turn)


def require_untouched(turn: Turn) -> None:
    """Nothing of the batch is past the point of no return, so all of it can come back."""
    for one in turn.links(ITEM):
        if turn.uow.rules.lock(RecordingId(one.target)).disposing_at is not None:
            turn.refuse(
                "{recording} is past the point of no return", todo="Keep the rest instead.", recording=one.target
            )


# --- the end ----------------------------------------------------------------------------------------------------------
def count_up(turn: Turn) -> None:
    """Every item has its tombstone; how much was cleared and left out is entered.

    Raises:
        PolicyUnmetError: Something is still on its way.
    """
    cleared, size_bytes = 0, 0
    for one in rows_of_links(turn.links(ITEM)):
        rules = turn.uow.rules.of(RecordingId(one.recording))
        if rules.disposed_at is None or rules.disposal != turn.matter:
            turn.refuse("{recording} is not cleared yet", recording=one.recording)
        cleared, size_bytes = cleared + 1, size_bytes + one.size_bytes
    turn.asked.facts["cleared"] = cleared
    turn.asked.facts["cleared_bytes"] = size_bytes
    turn.asked.facts["left_out"] = len(turn.links(LEFT))
