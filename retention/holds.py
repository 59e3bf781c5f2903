"""Holds (暂停清除): nothing that stands under one is cleared, whoever placed it and whatever else is true.

A hold names recordings, or describes footage (a time, a place, a person, a department, a recorder), or both. What it describes is
held at once, together with whatever comes in later and fits while it stands: the links to recordings follow
(:mod:`retention.hold_keeping`), but :func:`held` asks the description itself, so there is never a gap. Holds stack: each stands
for itself. None ends by itself; a review date that has passed is told, not obeyed. A hold, or one recording of it, is released
when somebody asks for it and somebody else approves.

Placing and clearing lock the same rows (``uow.rules.lock``), so of the two that meet one comes first: a hold on what is past the
point of no return is refused with words, and a clearing sees every hold that was placed before.

Source: RULES R10, R22 to R27; docs/invariants.md 5; docs/holds.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from catalogue import UnitOfWork
from catalogue.holds import HELD, HOLD, RELEASED, TO_RELEASE, HoldLink
from catalogue.matching import Described
from catalogue.matters import MatterFilter, MatterRow
from catalogue.rules import RulesRow
from evidence.calendar import end_of, local_date
from evidence.clock import from_text
from evidence.errors import InvalidInputError
from evidence.ids import AgentId, DeviceId, MatterId, RecordingId, UnitId
from evidence.model import Action, Visibility
from matters.form import APPROVER, PROPOSER
from matters.turn import NewLink, Turn
from matters.values import FormError
from people import policy
from people.units import UnitTree
from retention.decide import Order

STANDING, RELEASE_ASKED, PART_ASKED, OVER = "standing", "release-asked", "part-asked", "released"
#: Hidden act: the service links what a description means.
TAKE_IN: Final = "take-in"
#: Fields that describe footage.
DESCRIPTION: Final = ("since", "until", "place", "officer", "within_unit", "device")
#: So many recordings are linked within the act; the service links the rest within minutes. All are held at once.
LINKED_AT_ONCE: Final = 1000
#: Bytes whose holds are written within the act; the rest follows.
_BYTES_AT_ONCE: Final = 200
_MATTERS_MAX: Final = 1000
_REVIEW_DAYS_MAX: Final = 1096
_ALL: Final = "all"


# --- what stands ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class HoldsOf:
    """Holds of one recording.

    Attributes:
        standing: Those that stand, oldest first.
        last_release: When the last one that is over was released (or let this recording go); None without any.
    """

    standing: tuple[Order, ...] = ()
    last_release: datetime | None = None


def held(uow: UnitOfWork, recording: RecordingId) -> tuple[Order, ...]:
    """Holds that stand on a recording, described ones included; for guards, with the recording's rules locked.

    From here to the end of the transaction nobody places a hold by description: what this answers stays true.
    """
    uow.holds.lock_descriptions(changing=False)
    return holds_of_each(uow, [recording])[recording].standing


def holds_of_each(uow: UnitOfWork, wanted: Collection[RecordingId]) -> dict[RecordingId, HoldsOf]:
    """Holds of many recordings: their own, those of what they are side files of, and those of duplicates they keep."""
    kin = uow.holds.kin_of(wanted)
    everybody = {one for some in kin.values() for one in some}
    links: dict[RecordingId, list[HoldLink]] = {}
    for link in uow.holds.links_of(everybody):
        links.setdefault(link.recording, []).append(link)
    described = _described(uow, everybody, links)
    found: dict[RecordingId, HoldsOf] = {}
    for one in wanted:
        family = sorted(kin[one])
        own = [link for of in family for link in links.get(of, ())]
        found[one] = _summed(own, [order for of in family for order in described.get(of, ())])
    return found


def _described(
    uow: UnitOfWork, wanted: Collection[RecordingId], links: Mapping[RecordingId, list[HoldLink]]
) -> dict[RecordingId, list[Order]]:
    """Holds that describe recordings and do not link them yet; one that was freed singly is not described any more."""
    found: dict[RecordingId, list[Order]] = {}
    for row in described_holds(uow):
        linked = {one for one, some in links.items() if any(link.matter == row.id for link in some)}
        for one in uow.holds.fitting(described_of(uow, row), among=set(wanted) - linked):
            found.setdefault(one, []).append(order_of(row))
    return found


def _summed(links: list[HoldLink], described: list[Order]) -> HoldsOf:
    standing = {
        link.number: Order(subject=link.number, kind=link.type, since=link.opened_at)
        for link in links if not link.released and link.closed_at is None
    }  # fmt: skip
    standing |= {order.subject: order for order in described}
    ends = [link.closed_at or link.since for link in links if link.closed_at is not None or link.released]
    return HoldsOf(
        standing=tuple(sorted(standing.values(), key=lambda one: (str(one.since), one.subject))),
        last_release=max(ends, default=None),
    )


def order_of(row: MatterRow) -> Order:
    """A hold, as the decision takes it."""
    return Order(subject=row.number, kind=str(row.facts.get("type", "")), since=row.opened_at)


def described_holds(uow: UnitOfWork) -> Iterator[MatterRow]:
    """Every hold that stands and describes footage."""
    after: MatterId | None = None
    while True:
        rows = uow.matters.find(MatterFilter(kinds=(HOLD,), open=True), after=after, limit=_MATTERS_MAX)
        yield from (row for row in rows if row.facts.get("described"))
        if len(rows) < _MATTERS_MAX:
            return
        after = rows[-1].id


def described_of(uow: UnitOfWork, row: MatterRow) -> Described:
    """What a hold describes. Words that were lawfully erased ask for nothing any more: then more is held, never less."""
    return _description({**row.words, **row.facts}, UnitTree(uow.people.units()), _latest(uow, row.changed_at))


def _description(values: Mapping[str, Any], tree: UnitTree, at: datetime) -> Described:
    inside = values.get("within", _ALL)
    unit = values.get("within_unit")
    return Described(
        since=from_text(values["since"]) if values.get("since") else None,
        until=from_text(values["until"]) if values.get("until") else None,
        place=str(values.get("place") or ""),
        officer=AgentId(values["officer"]) if values.get("officer") else None,
        device=DeviceId(values["device"]) if values.get("device") else None,
        units=tree.within(UnitId(unit), at=at) if unit else None,
        within=Visibility(everything=True)
        if inside == _ALL
        else Visibility(units=frozenset().union(*(tree.within(UnitId(one), at=at) for one in inside))),
    )


def _latest(uow: UnitOfWork, moment: datetime) -> datetime:
    """The latest time this home has seen: a department that was reorganised since is followed."""
    mark = uow.clock_marks.highest()
    return moment if mark is None else max(mark, moment)


# --- guards of the acts -----------------------------------------------------------------------------------------------
def require_review_to_come(turn: Turn) -> None:
    """A hold is looked at again on a day to come, and within three years: it is not forgotten."""
    day = date.fromisoformat(str(turn.value("review_on")))
    today = local_date(turn.now.wall)
    if not today < day <= today + timedelta(days=_REVIEW_DAYS_MAX):
        raise FormError({"review_on": "out-of-range"})


def review_ends(turn: Turn) -> datetime | None:
    """The deadline of a hold: the end of its review day."""
    day = turn.value("review_on")
    return end_of(date.fromisoformat(str(day))) if day else None


def take_described(turn: Turn) -> None:
    """Opening: what is named and what is described, as far as one act links it."""
    facts = turn.asked.facts
    _keep_twins(turn)
    named = [RecordingId(link.target) for link in turn.links(HELD)]
    asked = [name for name in DESCRIPTION if turn.value(name)]
    if not named and not asked:
        turn.refuse("the hold neither names nor describes footage", todo="Name recordings, or a time, place or person.")
    if asked:
        if turn.value("since") and turn.value("until") and str(turn.value("until")) <= str(turn.value("since")):
            raise FormError({"until": "out-of-range"})
        facts["described"] = True
        facts["within"] = _reach(turn)
    fits = _fitting_now(turn, named) if asked else []
    lock_staying(turn, named, besides=fits)
    _link(turn, fits, by="description")
    if asked:
        turn.uow.holds.lock_descriptions(changing=True)  # after the rows, as clearing does it


def _fitting_now(turn: Turn, named: Collection[RecordingId]) -> list[RecordingId]:
    values = {**turn.asked.words, **turn.asked.facts}
    wanted = _description(values, UnitTree(turn.uow.people.units()), _latest(turn.uow, turn.now.wall))
    room = max(0, LINKED_AT_ONCE - len(named))
    fits = turn.uow.holds.fitting_unlinked(wanted, matter=None, limit=room + len(named))
    return [one for one in fits if one not in set(named)][:room]


def _reach(turn: Turn) -> Any:
    """Departments whose footage the person may hold; the whole bureau for who may hold anything."""
    if turn.agent is None:
        return _ALL
    seen = policy.visibility(
        turn.uow.people.roles(turn.agent), UnitTree(turn.uow.people.units()), action=Action.HOLD_PLACE,
        actor_agent=turn.agent, at=turn.now.wall,
    )  # fmt: skip
    return _ALL if seen.everything else sorted(seen.units)


def take_named(turn: Turn) -> None:
    """Further recordings are named, or the service brings what the description means. Nothing is ever let go by this."""
    if turn.asked.unlinks:
        turn.refuse(
            "a recording is let go only when its release was asked for and approved", todo="Ask for its release."
        )
    _keep_twins(turn)
    wanted = [RecordingId(one.target) for one in turn.asked.links if one.role == HELD]
    freed = {link.target for link in turn.links(RELEASED)}
    if turn.actor is None:
        staying = {one for one in wanted if turn.uow.rules.lock(one).disposing_at is None}
        turn.asked.links = [one for one in turn.asked.links if one.target in staying and one.target not in freed]
        return
    lock_staying(turn, wanted)
    turn.asked.unlinks += [NewLink(role=RELEASED, target=one) for one in wanted if one in freed]


def _keep_twins(turn: Turn) -> None:
    """Whoever names a duplicate means the bytes: the recording that keeps them is held too."""
    named = {one.target for one in turn.asked.links if one.role == HELD}
    for target in sorted(named):
        keeper = turn.uow.recordings.get(RecordingId(target)).duplicate_of
        if keeper is not None and keeper not in named:
            named.add(keeper)
            turn.asked.links.append(NewLink(role=HELD, target=keeper, facts={"by": "duplicate"}))


def lock_staying(turn: Turn, recordings: Collection[RecordingId], *, besides: Collection[RecordingId] = ()) -> None:
    """Lock what is named (and what is linked with it) in order, and refuse when some of it is past the point of no return."""
    named = set(recordings)
    gone = [one for one in sorted(named | set(besides)) if is_going(turn.uow.rules.lock(one)) and one in named]
    if gone:
        rows = [turn.uow.recordings.get(one) for one in gone[:5]]
        turn.refuse(
            "too late for {gone} of {all} recordings, which are being cleared or were cleared: {names}",
            todo="Leave them out; their certificates tell when and by whom they were cleared.", gone=len(gone), all=len(named),
            names=", ".join(f"{row.name} ({row.id})" for row in rows),
        )  # fmt: skip


def is_going(rules: RulesRow) -> bool:
    """Whether the point of no return is passed."""
    return rules.disposing_at is not None or rules.disposed_at is not None


def _link(turn: Turn, recordings: Collection[RecordingId], *, by: str) -> None:
    for one in sorted(recordings):
        if not is_going(turn.uow.rules.lock(one)):
            turn.asked.links.append(NewLink(role=HELD, target=one, facts={"by": by}))


def hold_bytes(turn: Turn) -> None:
    """The bytes of what is linked are held in the same transaction, as far as one act does it."""
    for _matter, sha256 in turn.uow.holds.lacking(limit=_BYTES_AT_ONCE, matter=turn.matter):
        turn.uow.references.add_hold(sha256, str(turn.matter), turn.now.wall)
        turn.uow.copy_locks.look_again(sha256)


# --- release ----------------------------------------------------------------------------------------------------------
def begin_asking(turn: Turn) -> None:
    """A new question of release has its own asker and approver; what was answered before stays in the history."""
    if turn.before is not None:
        parts = {(one.role, one.agent) for one in turn.before.persons.values() if one.role in (PROPOSER, APPROVER)}
        turn.asked.no_longer += sorted(parts)


def must_be_held(turn: Turn) -> None:
    """Only what this hold holds can be let go."""
    standing = {link.target for link in turn.links(HELD)}
    strange = sorted({link.target for link in turn.links(TO_RELEASE)} - standing)
    if strange:
        turn.refuse("this hold does not hold {names}", todo="Choose from its list.", names=", ".join(strange[:5]))


def take_rest(turn: Turn) -> None:
    """Before the whole is released everything it holds is linked, so that the cool-off begins for all of it."""
    if not turn.row.facts.get("described"):
        return
    wanted = described_of(turn.uow, turn.row)
    rest = turn.uow.holds.fitting_unlinked(wanted, matter=turn.matter, limit=LINKED_AT_ONCE + 1)
    if len(rest) > LINKED_AT_ONCE:
        turn.refuse("not everything that this hold describes is linked yet", todo="Try again in some minutes.")
    _link(turn, rest, by="description")


def free_part(turn: Turn) -> None:
    """Links of what is let go change from held to released."""
    for link in turn.links(TO_RELEASE):
        turn.uow.rules.lock(RecordingId(link.target))
        turn.asked.unlinks += [
            NewLink(role=TO_RELEASE, target=link.target), NewLink(role=HELD, target=link.target),
        ]  # fmt: skip
        turn.asked.links.append(NewLink(role=RELEASED, target=link.target))


def forget_part(turn: Turn) -> None:
    """The question was refused or taken back."""
    turn.asked.unlinks += [NewLink(role=TO_RELEASE, target=link.target) for link in turn.links(TO_RELEASE)]


def preview(uow: UnitOfWork, values: Mapping[str, Any], *, within: Visibility, at: datetime, cap: int = 10_000) -> int:
    """How many recordings a description fits now, counted up to ``cap``; for whoever is about to place a hold.

    Raises:
        InvalidInputError: Nothing is described.
    """
    if not any(values.get(name) for name in DESCRIPTION):
        raise InvalidInputError("nothing is described", todo="Give a time, place, person, department or recorder.")
    wanted = _description({**values, "within": _ALL}, UnitTree(uow.people.units()), at)
    described = Described(
        since=wanted.since, until=wanted.until, place=wanted.place, officer=wanted.officer, device=wanted.device,
        units=wanted.units, within=within,
    )  # fmt: skip
    return uow.holds.count_fitting(described, cap=cap)
