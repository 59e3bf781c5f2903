"""The engine of all matters: authorise, check, change, enter.

An act is one transaction: the matter is locked, its state and guards are looked at again, the entry is made, the rows are written
as the entry says (:mod:`matters.fold`), and effects follow. Who may act is asked before it, outside of any transaction, so that a
refusal stays entered. If we crash before the commit, nothing happened; after it, everything did.

Source: docs/architecture.md "Matters"; docs/invariants.md 4, 7, 10.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from catalogue.records import TimelineRow
from evidence.clock import BUREAU_ZONE, Clock, TimeReading, to_text, unix_ms
from evidence.errors import (
    AccessDeniedError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    PolicyUnmetError,
    StateConflictError,
)
from evidence.events import AccessAllowed, Event, MatterActed
from evidence.ids import AgentId, EntryId, MatterId, RecordingId, UnitId
from evidence.limits import PAGE_ROWS_MAX, TEXT_CHARS_MAX
from evidence.model import Action, Actor, Decision, ObjectScope, Visibility
from evidence.ports import Authoriser, CustodyRecorder
from matters import looking
from matters.fold import Folded, fold
from matters.form import Act, FieldKind, Form, Forms
from matters.linking import require_linkable
from matters.looking import MatterView
from matters.stand_ins import without_lent
from matters.turn import Asked, NewLink, Turn
from matters.values import FormError, checked
from matters.writing import folded_of, write

#: Public fact: whom the actor of the last act stood in for.
ON_BEHALF_OF: Final = "on_behalf_of"
#: So many links fit into one entry with room to spare.
_LINKS_AN_ENTRY: Final = 200
#: More in one act is refused.
LINKS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParts:
    """What the engine works with.

    Attributes:
        catalogue: Where matters stand.
        authoriser: Asked at every act and look.
        recorder: Signs the entries.
        clock: Injected time.
        forms: The kinds of matters.
        woken: Called after a commit that added an entry.
    """

    catalogue: Catalogue
    authoriser: Authoriser
    recorder: CustodyRecorder
    clock: Clock
    forms: Forms
    woken: Callable[[], None] = field(default=lambda: None)


class MatterDesk:
    """Opens matters, acts on them, and tells of them. Thread-safe.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts

    @property
    def forms(self) -> Forms:
        """The kinds of matters."""
        return self._parts.forms

    # --- acting -------------------------------------------------------------------------------------------------------
    def open(
        self, actor: Actor, kind: str, values: Mapping[str, Any] | None = None, *, unit: UnitId | None = None,
        links: Sequence[NewLink] = (),
    ) -> MatterRow:  # fmt: skip
        """Open a matter; it gets the next number of its kind and year. Durable on return.

        Args:
            actor: Who opens it.
            kind: Name of the form.
            values: Fields of its opening act.
            unit: The department it belongs to; None for the actor's own, where they have one.
            links: What it concerns.

        Raises:
            AccessDeniedError: No right (entered). FormError: Not filled in rightly. PolicyUnmetError: A guard refused.
        """
        form = self._parts.forms.of(kind)
        act = form.opening
        if act.hidden:
            raise InvalidInputError(f"a {kind} is not opened by persons")
        unit = unit or self.unit_of(actor)
        scope = ObjectScope(unit=unit, officer=actor.agent)
        decision = self._parts.authoriser.require(actor, act.action, scope, detail=f"{kind}.{act.name}")
        asked = self._asked(actor, act, values or {}, links, ())
        _note_stand_in(asked, decision.on_behalf_of)
        with self._parts.catalogue.begin() as uow:
            now = self._parts.clock.now()
            return self._perform(
                uow, now, actor, kind=kind, matter=None, act=act.name, asked=asked, unit=unit, parent=None
            )  # fmt: skip

    def act(
        self, actor: Actor, matter: MatterId, act: str, values: Mapping[str, Any] | None = None, *,
        links: Sequence[NewLink] = (), unlinks: Sequence[NewLink] = (), seen: str = "", version: int | None = None,
    ) -> MatterRow:  # fmt: skip
        """Act on a matter. Durable on return.

        Args:
            actor: Who acts.
            matter: On what.
            act: Name of the act.
            values: Its fields.
            links: What is linked by it.
            unlinks: What it takes away.
            seen: Digest of the view the actor decided on (:attr:`MatterView.seen`), where the act asks for it.
            version: The version the actor saw; None for whichever it is now.

        Raises:
            AccessDeniedError: No right, or no part in the matter that the act needs, or one that forbids it (entered).
            StateConflictError: Not in this state, or somebody acted meanwhile.
            FormError, PolicyUnmetError: Not filled in rightly; a guard refused.
        """
        before = self._read(matter)
        form = self._parts.forms.of(before.row.kind)
        wanted = form.act(act)
        if wanted.hidden:
            raise InvalidInputError(f"{act} is not done by persons")
        self._keep_out(actor, before, form)
        scope = looking.scope_of(before, actor.agent)
        decision = self._parts.authoriser.require(
            actor, wanted.action, scope, detail=f"{form.kind}.{act} {before.row.number}"
        )  # fmt: skip
        self._keep_stand_in_out(actor, before, form, decision)
        why = looking.part_refusal(before, wanted, actor.agent, decision.on_behalf_of)
        if why:
            self._parts.authoriser.deny(
                actor, wanted.action, reason=why, scope=scope, detail=f"{form.kind}.{act} {before.row.number}"
            )
        asked = self._asked(actor, wanted, values or {}, links, unlinks)
        _note_stand_in(asked, decision.on_behalf_of, before)
        if wanted.frozen and not seen:
            raise FormError({"seen": "missing"})
        with self._parts.catalogue.begin() as uow:
            now = self._parts.clock.now()
            if wanted.frozen:
                asked.facts["seen_sha256"] = self._require_seen(uow, matter, seen)
            return self._perform(
                uow, now, actor, kind=form.kind, matter=matter, act=act, asked=asked, unit=None, parent=None, version=version,
            )  # fmt: skip

    def act_as_service(self, matter: MatterId, act: str, asked: Asked | None = None) -> MatterRow:
        """The service itself acts (a deadline ran out, a job is done): no rights are asked, guards are. Durable on return."""
        with self._parts.catalogue.begin() as uow:
            return self.act_within(uow, matter, act, asked)

    def act_within(
        self, uow: UnitOfWork, matter: MatterId, act: str, asked: Asked | None = None, *, actor: Actor | None = None
    ) -> MatterRow:
        """As :meth:`act_as_service`, inside of the caller's transaction; ``actor`` when it is in a person's name."""
        now = self._parts.clock.now()
        return self._perform(
            uow, now, actor, kind="", matter=matter, act=act, asked=asked or Asked(), unit=None, parent=None
        )  # fmt: skip

    def open_within(
        self, uow: UnitOfWork, kind: str, asked: Asked, *, actor: Actor | None = None, unit: UnitId | None = None
    ) -> MatterRow:
        """Open a matter inside of the caller's transaction, for the service or in a person's name who was asked before."""
        now = self._parts.clock.now()
        return self._perform(uow, now, actor, kind=kind, matter=None, act="", asked=asked, unit=unit, parent=None)

    # --- looking ------------------------------------------------------------------------------------------------------
    def view(self, actor: Actor, matter: MatterId) -> MatterView:
        """A matter as this person may see it, with what they can do.

        Raises:
            NotFoundError: No such matter. AccessDeniedError: Not theirs to see (entered).
        """
        folded = self._read(matter)
        form = self._parts.forms.of(folded.row.kind)
        self._keep_out(actor, folded, form)
        if not looking.has_part(folded, actor.agent) or not self._parts.authoriser.offered(actor):
            scope = looking.scope_of(folded, actor.agent)
            decision = self._parts.authoriser.require(actor, form.see, scope, detail=f"{form.kind} {folded.row.number}")
            self._keep_stand_in_out(actor, folded, form, decision)
        return looking.view_of(folded, form, actor, self._parts.authoriser)

    def history(self, actor: Actor, matter: MatterId) -> list[TimelineRow]:
        """The entries of a matter as this person may read them; raises as :meth:`view`."""
        seen = self.view(actor, matter)
        with self._parts.catalogue.read() as uow:
            told = looking.masked_history(seen.form, uow.matter_timeline(matter), seen.masked, actor.agent)
        return looking.without_papers(told, {one.id for one in seen.documents})

    def find(
        self, actor: Actor, wanted: MatterFilter | None = None, *, after: MatterId | None = None, limit: int = 50
    ) -> list[MatterRow]:
        """A page of the matters this person may know of, newest first; fields they may not see are left out."""
        wanted = wanted or MatterFilter()
        limit = max(1, min(limit, PAGE_ROWS_MAX))
        told: list[MatterRow] = []
        while len(told) < limit:
            page = self._page(actor, wanted, after=after, limit=limit)
            with self._parts.catalogue.read() as uow:
                shown = without_lent(
                    uow, self._parts.authoriser, actor, page, forms=self.forms, now=self._parts.clock.now().wall
                )
            # What was found by words this person may not see was not found.
            told += [
                row for row in shown
                if not wanted.text or not self._parts.forms.of(row.kind).confidential or looking.tells(row, wanted.text)
            ]  # fmt: skip
            if len(page) < limit:
                break
            after = page[-1].id
        return told[:limit]

    def _page(self, actor: Actor, wanted: MatterFilter, *, after: MatterId | None, limit: int) -> list[MatterRow]:
        found: list[MatterRow] = []
        with self._parts.catalogue.read() as uow:
            for kinds, visibility, kept_from in self._visible(actor, wanted):
                found += uow.matters.find(
                    replace(wanted, kinds=kinds), visibility, me=actor.agent, kept_from=kept_from, after=after, limit=limit,
                )  # fmt: skip
            found.sort(key=lambda row: row.id, reverse=True)
            return [looking.masked_row(uow, row, self._parts.forms, actor.agent) for row in found[:limit]]

    def known(self, actor: Actor, matters: Collection[MatterId]) -> dict[MatterId, MatterRow]:
        """Those of these matters that this person may know of; nothing is entered, fields they may not see are left out."""
        told: dict[MatterId, MatterRow] = {}
        if not self._parts.authoriser.offered(actor):
            return told
        with self._parts.catalogue.read() as uow:
            for matter in matters:
                with contextlib.suppress(NotFoundError):
                    folded = folded_of(uow, uow.matters.get(matter))
                    form = self._parts.forms.of(folded.row.kind)
                    if looking.is_kept_from(folded, form, actor.agent):
                        continue
                    decision = self._parts.authoriser.decide(actor, form.see, looking.scope_of(folded, actor.agent))
                    by = decision.on_behalf_of
                    lent = by is not None and looking.is_kept_from(folded, form, by)
                    if looking.has_part(folded, actor.agent) or (decision.allowed and not lent):
                        masked = looking.masked_fields(form, looking.parts_of(folded, actor.agent))
                        told[matter] = looking.without(folded.row, masked)
        return told

    def each(self, actor: Actor, wanted: MatterFilter, *, most: int) -> Iterator[MatterView]:
        """Every matter that :meth:`find` tells, with its persons, links and documents and no acts: rows of a register.

        Args:
            actor: Who asks.
            wanted: What is asked for.
            most: Rows at most.

        Raises:
            LimitExceededError: There are more.
        """
        told, after = 0, None
        while True:
            page = self.find(actor, wanted, after=after, limit=PAGE_ROWS_MAX)
            told += len(page)
            if told > most:
                raise LimitExceededError(
                    f"more than {most} rows", kept="Nothing was written.", todo="Narrow the period."
                )
            yield from self._whole(actor, page)
            if len(page) < PAGE_ROWS_MAX:
                return
            after = page[-1].id

    def waiting(self, actor: Actor, *, scanned: int = 60) -> list[tuple[MatterRow, list[Act]]]:
        """Open matters of others on which this person can take the next step, with those steps; newest first.

        Steps are acts that change the state. Only the newest ``scanned`` open matters in question are looked at: a reminder.
        """
        offered = self._parts.authoriser.offered(actor)
        steps = {
            form.kind: [act for act in form.acts if act.after and not act.hidden and act.action in offered]
            for form in self._parts.forms
        }
        kinds = [kind for kind, acts in steps.items() if acts]
        states = sorted({state for acts in steps.values() for act in acts for state in act.before})
        if not kinds:
            return []
        rows = self._page(actor, MatterFilter(kinds=kinds, states=states, open=True), after=None, limit=scanned)
        with self._parts.catalogue.read() as uow:
            rows = without_lent(
                uow, self._parts.authoriser, actor, rows, forms=self.forms, now=self._parts.clock.now().wall
            )
        asked: dict[Action, list[tuple[int, Act, ObjectScope]]] = {}
        with self._parts.catalogue.read() as uow:
            for place, row in enumerate(rows):
                acts = (
                    [act for act in steps[row.kind] if row.state in act.before] if row.opened_by != actor.agent else []
                )
                if not acts:
                    continue
                persons = {(one.role, str(one.agent)): one for one in uow.matters.persons(row.id)}
                folded = Folded(row=row, persons=persons)
                for act in acts:
                    if not looking.part_refusal(folded, act, actor.agent):
                        asked.setdefault(act.action, []).append((place, act, looking.scope_of(folded, actor.agent)))
        found: dict[int, list[Act]] = {}
        for action, wanted in asked.items():
            decisions = self._parts.authoriser.decide_each(actor, action, [scope for _place, _act, scope in wanted])
            for (place, act, _scope), decision in zip(wanted, decisions, strict=True):
                if decision.allowed:
                    found.setdefault(place, []).append(act)
        return [(rows[place], found[place]) for place in sorted(found)]

    def _whole(self, actor: Actor, rows: Sequence[MatterRow]) -> list[MatterView]:
        with self._parts.catalogue.read() as uow:
            views = []
            for row in rows:
                form, folded = self._parts.forms.of(row.kind), folded_of(uow, row)
                masked = looking.masked_fields(form, looking.parts_of(folded, actor.agent))
                views.append(
                    MatterView(
                        form=form, row=row, links=list(folded.links.values()), documents=list(folded.documents.values()),
                        persons=looking.known_persons(form, folded.persons.values(), masked, actor.agent), acts=(),
                        masked=masked, seen="",
                    )
                )  # fmt: skip
            return views

    def enter_copy(self, actor: Actor, form: Form, what: str) -> None:
        """Enter that somebody took a paper away: a printed matter, a register. Durable on return.

        Args:
            actor: Who took it, having been allowed to see what is in it.
            form: Of what kind.
            what: Which paper; becomes a disclosure.
        """
        now = self._parts.clock.now()
        event = AccessAllowed(
            actor=actor.agent, action=form.see, via=actor.via, at=to_text(now.wall), address=actor.address or None,
            detail=what[:TEXT_CHARS_MAX],
        )  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            self._record(uow, event, now)

    def counts(self, actor: Actor, wanted: MatterFilter | None = None) -> dict[tuple[str, str], int]:
        """How many there are that this person may know of, by kind and state.

        A text is not looked for in kinds that have fields for few eyes: a count must not tell what they say.
        """
        return self.tallies(actor, [wanted or MatterFilter()])[0]

    def tallies(self, actor: Actor, wanted: Sequence[MatterFilter]) -> list[dict[tuple[str, str], int]]:
        """As :meth:`counts` for several questions, with this person's rights looked up once."""
        tallied: list[dict[tuple[str, str], int]] = [{} for _one in wanted]
        visible = list(self._visible(actor, MatterFilter()))
        with self._parts.catalogue.read() as uow:
            for one, counted in zip(wanted, tallied, strict=True):
                for all_kinds, visibility, kept_from in visible:
                    kinds = [
                        kind for kind in all_kinds
                        if (not one.kinds or kind in one.kinds)
                        and not (one.text and self._parts.forms.of(kind).confidential)
                    ]  # fmt: skip
                    if kinds:
                        asked = replace(one, kinds=kinds)
                        found = uow.matters.counts(asked, visibility, me=actor.agent, kept_from=kept_from)
                        counted.update(found)
        return tallied

    def kinds(self, actor: Actor) -> list[Form]:
        """Kinds this person may see or open."""
        offered = self._parts.authoriser.offered(actor)
        return [form for form in self._parts.forms if form.see in offered or form.opening.action in offered]

    def may_open(self, actor: Actor, kind: str) -> bool:
        """Whether a page offers to open one."""
        form = self._parts.forms.of(kind)
        return not form.opening.hidden and form.opening.action in self._parts.authoriser.offered(actor)

    def _visible(
        self, actor: Actor, wanted: MatterFilter
    ) -> Iterable[tuple[Collection[str], Visibility, Collection[str]]]:  # fmt: skip
        """Kinds by the right they are seen with and the parts that keep from them."""
        if not self._parts.authoriser.offered(actor):  # who may do nothing at all has no part to look at either
            return
        by_right: dict[tuple[Action, tuple[str, ...]], list[str]] = {}
        for form in self._parts.forms:
            if not wanted.kinds or form.kind in wanted.kinds:
                by_right.setdefault((form.see, tuple(form.kept_from)), []).append(form.kind)
        for (action, kept_from), kinds in by_right.items():
            yield kinds, self._parts.authoriser.visibility(actor, action), kept_from

    def _keep_out(self, actor: Actor, folded: Folded, form: Form) -> None:
        if looking.is_kept_from(folded, form, actor.agent):
            scope = looking.scope_of(folded, actor.agent)
            detail = f"{form.kind} {folded.row.number}"
            self._parts.authoriser.deny(actor, form.see, reason=looking.CONCERNED, scope=scope, detail=detail)

    def _keep_stand_in_out(self, actor: Actor, folded: Folded, form: Form, decision: Decision) -> None:
        """What keeps somebody from a matter keeps whoever stands in for them from it, too."""
        if decision.on_behalf_of is not None and looking.is_kept_from(folded, form, decision.on_behalf_of):
            scope = looking.scope_of(folded, actor.agent)
            detail = f"{form.kind} {folded.row.number}"
            self._parts.authoriser.deny(actor, form.see, reason=looking.CONCERNED, scope=scope, detail=detail)

    # --- the inside ---------------------------------------------------------------------------------------------------
    def _read(self, matter: MatterId) -> Folded:
        with self._parts.catalogue.read() as uow:
            return folded_of(uow, uow.matters.get(matter))

    def unit_of(self, actor: Actor) -> UnitId | None:
        """The department somebody works in now: what they open belongs to it where they name none."""
        with self._parts.catalogue.read() as uow:
            return looking.present_unit(uow, actor.agent, self._parts.clock.now().wall)

    def _require_seen(self, uow: UnitOfWork, matter: MatterId, seen: str) -> str:
        """What is decided on must be what was seen; StateConflictError when it changed since."""
        folded = folded_of(uow, uow.matters.lock(matter))
        present = looking.digest_of(folded, self._parts.forms.of(folded.row.kind))
        if present != seen:
            raise StateConflictError(
                "what is decided on has changed since it was looked at", kept="Nothing was entered.",
                todo="Look at it again, then decide.",
            )  # fmt: skip
        return present

    def _asked(
        self, actor: Actor, act: Act, values: Mapping[str, Any], links: Sequence[NewLink], unlinks: Sequence[NewLink]
    ) -> Asked:
        facts, words = checked(act.fields, values)
        require_linkable(act, links, unlinks)
        if len(links) + len(unlinks) > LINKS_MAX:
            raise InvalidInputError(f"at most {LINKS_MAX} things are linked in one act")
        asked = Asked(facts=facts, words=words, links=list(links), unlinks=list(unlinks))
        asked.persons += [(one.part, AgentId(facts[one.name])) for one in act.fields if one.part and one.name in facts]
        self._require_targets(actor, act, facts, links)
        return asked

    def _require_targets(
        self, actor: Actor, act: Act, facts: Mapping[str, Any], links: Sequence[NewLink]
    ) -> None:  # fmt: skip
        """Whatever is named must exist, and a recording must be one the actor may know of."""
        by_role = {one.role: one for one in act.links}
        wanted: dict[Action, list[RecordingId]] = {}
        for link in links:
            if link.target.startswith("rec_"):
                wanted.setdefault(by_role[link.role].needs, []).append(RecordingId(link.target))
        for one in act.fields:
            if one.kind is FieldKind.RECORDING and one.name in facts:
                wanted.setdefault(Action.RECORDING_LIST, []).append(RecordingId(facts[one.name]))
        with self._parts.catalogue.read() as uow:
            looking.require_known(uow, act, facts, links)
            scopes = {
                action: [looking.recording_scope(uow, recording) for recording in recordings]
                for action, recordings in wanted.items()
            }
        for action, asked in scopes.items():
            for scope, decision in zip(asked, self._parts.authoriser.decide_each(actor, action, asked), strict=True):
                if not decision.allowed:
                    self._parts.authoriser.deny(actor, action, reason=decision.reason, scope=scope, detail=act.name)

    def _perform(
        self, uow: UnitOfWork, now: TimeReading, actor: Actor | None, *, kind: str, matter: MatterId | None, act: str,
        asked: Asked, unit: UnitId | None, parent: Turn | None, version: int | None = None,
    ) -> MatterRow:  # fmt: skip
        before = folded_of(uow, uow.matters.lock(matter)) if matter is not None else None
        form = self._parts.forms.of(before.row.kind if before is not None else kind)
        done = form.act(act) if act else form.opening
        _require_doable(before, done, version)
        if before is not None and actor is not None:
            principal = asked.facts.get(ON_BEHALF_OF)
            why = looking.part_refusal(before, done, actor.agent, AgentId(principal) if principal else None)
            if why and parent is None:
                raise AccessDeniedError(f"{done.name} was refused: {why}", kept="Nothing was entered.")
        identity = matter or MatterId.new(unix_ms(now.wall))
        turn = Turn(
            uow=uow, form=form, act=done, actor=actor, now=now, before=before, asked=asked, matter=identity,
            recorder=lambda event: self._record(uow, event, now),
            perform=lambda *, parent, **rest: self._perform(uow, now, actor, parent=parent, **rest),
        )  # fmt: skip
        _require_complete(turn)
        for guard in done.guards:
            guard(turn)
        if done.role and actor is not None and (done.role, actor.agent) not in asked.persons:
            asked.persons.append((done.role, actor.agent))
        number = before.row.number if before is not None else self._number(uow, form, now)
        owned = before.row.unit if before is not None else unit
        folded = self._enter(turn, number=number, unit=owned)
        turn.after = folded
        for effect in done.effects:
            effect(turn)
        return folded.row

    def _number(self, uow: UnitOfWork, form: Form, now: TimeReading) -> str:
        year = now.wall.astimezone(BUREAU_ZONE).year
        return form.number(year, uow.matters.next_number(f"{form.kind}:{year}"))

    def _enter(self, turn: Turn, *, number: str, unit: UnitId | None) -> Folded:
        """Make the entries and write the rows as they say; many links take several entries."""
        form, act, asked = turn.form, turn.act, turn.asked
        state = act.after or (turn.before.row.state if turn.before is not None else "")
        due = form.deadline(turn) if form.deadline is not None and not form.state(state).final else None
        links = [_link(one, "add") for one in asked.links] + [_link(one, "remove") for one in asked.unlinks]
        words = dict(asked.words)
        words.update({f"link:{one.role}:{one.target}:{one.key}": one.words for one in asked.links if one.words})
        first, *rest = [links[at : at + _LINKS_AN_ENTRY] for at in range(0, len(links), _LINKS_AN_ENTRY)] or [[]]
        event = MatterActed(
            actor=turn.agent or "", matter=turn.matter, kind=form.kind, number=number, act=act.name, state=state,
            final=form.state(state).final, version=turn.before.row.version + 1 if turn.before is not None else 1,
            at=to_text(turn.now.wall), unit=unit or "", due=to_text(due) if due is not None else "", facts=asked.facts,
            persons=[
                *({"op": "remove", "role": role, "agent": agent} for role, agent in asked.no_longer),
                *({"op": "add", "role": role, "agent": agent} for role, agent in asked.persons),
            ],
            links=first, words=words or None,
        )  # fmt: skip
        folded = self._write(turn, turn.before, event)
        for more in rest:
            further = replace(event, version=folded.row.version + 1, facts={}, persons=[], links=more, words=None)
            folded = self._write(turn, folded, further)
        return folded

    def _write(self, turn: Turn, before: Folded | None, event: MatterActed) -> Folded:
        folded = fold(before, event)
        if folded is None:  # a matter.acted always makes one
            raise StateConflictError("the act made nothing")
        write(turn.uow, before, folded)
        self._record(turn.uow, event, turn.now)
        return folded

    def _record(self, uow: UnitOfWork, event: Event, now: TimeReading) -> EntryId:
        uow.after_commit(self._parts.woken)
        return self._parts.recorder.record(uow.outbox, event, at=now)


def _note_stand_in(asked: Asked, principal: AgentId | None, before: Folded | None = None) -> None:
    """The entry says for whom it was done; the act after it, done in one's own name, takes that away again."""
    if principal is not None:
        asked.facts[ON_BEHALF_OF] = principal
    elif before is not None and ON_BEHALF_OF in before.row.facts:
        asked.facts[ON_BEHALF_OF] = None


def _link(link: NewLink, op: str) -> dict[str, str]:
    return {**link.facts, "op": op, "role": link.role, "to": link.target, "key": link.key}


def _require_doable(before: Folded | None, act: Act, version: int | None) -> None:
    if before is None:
        return
    if before.row.state not in act.before:
        raise StateConflictError(
            f"{before.row.number} stands at {before.row.state!r}: {act.name} cannot be done now",
            kept="Nothing was entered.", todo="Look at it again.",
        )  # fmt: skip
    if version is not None and before.row.version != version:
        raise StateConflictError(
            f"{before.row.number} was acted on meanwhile", kept="Your act was not entered.", todo="Look at it again."
        )


def _require_complete(turn: Turn) -> None:
    """Links and documents the act cannot do without."""
    for role in turn.act.links:
        count = len(turn.links(role.role))
        if count < role.least:
            raise FormError({role.role: "missing"})
        if role.most and count > role.most:
            raise FormError({role.role: "out-of-range"})
    if turn.act.documents:
        filed = {one.role for one in turn.uow.matters.documents(turn.matter)}
        missing = [role for role in turn.act.documents if role not in filed]
        if missing:
            raise PolicyUnmetError(
                f"these documents are not on file yet: {', '.join(missing)}", kept="Nothing was entered.",
                todo="File them, then try again.",
            )  # fmt: skip
