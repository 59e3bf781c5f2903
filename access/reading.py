"""The reading services behind pages and commands: each is authorised, scoped, entered, and true at the moment it says.

A list returns only rows inside the actor's visibility. Looks at one recording (its page, its pictures, its sound and motion)
are entries; refreshing the same look within its idle time is not entered again (see :mod:`access.viewing`).

Source: RULES R4, R9, R17, R18; docs/invariants.md 7, 10.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final

from access import viewing as viewings
from access.damage import KINDS as DAMAGE
from access.damage import Damage, summed
from access.deadlines import HandIn, hand_in, is_archived
from access.gate import Gate
from access.my_day import day_item, verdict_of, waiting_of
from access.views import (
    PERSON,
    CopyPlace,
    Count,
    DayItem,
    DayState,
    DayVerdict,
    FootageCopy,
    MyDay,
    Overview,
    Picture,
    RecordingItem,
    RecordingList,
    RecordingView,
    UseNotice,
    Watchable,
)
from access.watchable import chosen, watchable
from catalogue import Catalogue, UnitOfWork
from catalogue.records import (
    AgentRow,
    DerivativeRow,
    DeviceRow,
    FindingRow,
    NameRow,
    OffloadRow,
    RecordingFilter,
    RecordingRow,
    TimelineRow,
    UnitRow,
)
from evidence.clock import BUREAU_ZONE, Clock, unix_ms
from evidence.digest import SHA256, Digest
from evidence.errors import NotFoundError
from evidence.events import RecordingDiscovered
from evidence.ids import AgentId, DeviceId, OffloadId, RecordingId, UnitId
from evidence.limits import PAGE_ROWS_MAX
from evidence.model import Action, Actor, Copy, ObjectScope, RecordingKind, Visibility
from evidence.ports import PartialStore
from matters import use_grants
from people.units import unit_at

__all__ = [
    "CopyPlace",
    "DayItem",
    "DayState",
    "DayVerdict",
    "FootageCopy",
    "MyDay",
    "Overview",
    "Picture",
    "Reading",
    "RecordingItem",
    "RecordingList",
    "RecordingView",
    "Watchable",
]

_VIEWING_KEY: Final = "viewing.key"
_LOOKS: Final = "access."
#: Kinds of derivatives that are sent whole; everything else is watched under a viewing.
PICTURES: Final = frozenset({"poster", "sheet", "sheet-index"})
#: What can be copied out: the original bytes, the viewing copy, stills.
ORIGINAL: Final = "original"
COPIED: Final = frozenset({"viewing", "poster", "sheet"})


class Reading:
    """What may be read, by whom, and that it was.

    Args:
        catalogue: Where the facts stand.
        gate: Asked at every call.
        clock: Injected time.
        files: Stores that are folders on this machine, by name, as they are (not what encrypts on the way to them), for
            :meth:`locate`.
    """

    def __init__(
        self, catalogue: Catalogue, *, gate: Gate, clock: Clock, files: Mapping[str, PartialStore] | None = None
    ) -> None:
        self._catalogue = catalogue
        self._gate = gate
        self._clock = clock
        self._files = dict(files or {})
        self._recently = viewings.Recently()
        self._key = b""

    # --- lists --------------------------------------------------------------------------------------------------------
    def list_recordings(
        self,
        actor: Actor,
        *,
        wanted: RecordingFilter | None = None,
        cursor: str = "",
        limit: int = 50,
    ) -> RecordingList:
        """One page of recordings the actor may know of, newest first.

        Raises:
            AccessDeniedError: The actor may list nothing at all.
            InvalidInputError: A cursor this list did not give out.
        """
        wanted = wanted or RecordingFilter()
        self._look(actor, Action.RECORDING_LIST, ObjectScope(), what=f"list {wanted!r}")
        visibility = self._gate.visibility(actor, Action.RECORDING_LIST)
        now = self._now()
        with self._catalogue.read() as uow:
            page = uow.recordings.search(
                wanted, visibility, cursor=cursor, limit=max(1, min(limit, PAGE_ROWS_MAX)), now=now
            )
            found = _damage(uow, page.rows)
            rules = uow.rules.of_each([row.id for row in page.rows])
            latest = use_grants.latest(uow, now)
        return RecordingList(
            items=[
                RecordingItem(
                    row=row, hand_in=hand_in(row, now), archived=is_archived(row, rules[row.id], latest),
                    rules=rules[row.id], damage=found.get(_keeper(row), ()),
                )
                for row in page.rows
            ],
            cursor=page.cursor, total=page.total, total_capped=page.total_capped, as_of=now,
        )  # fmt: skip

    def offloads(self, actor: Actor, *, limit: int = 50) -> list[OffloadRow]:
        """The latest dockings the actor may know of."""
        self._gate.require(actor, Action.OFFLOAD_LIST)
        visibility = self._gate.visibility(actor, Action.OFFLOAD_LIST)
        with self._catalogue.read() as uow:
            return uow.offloads.recent(limit=max(1, min(limit, PAGE_ROWS_MAX)), visibility=visibility)

    def devices(self, actor: Actor) -> list[DeviceRow]:
        """Recorders of the ledger that lie within the actor's visibility."""
        self._gate.require(actor, Action.DEVICE_LIST)
        seen = self._gate.visibility(actor, Action.DEVICE_LIST)
        with self._catalogue.read() as uow:
            rows = uow.devices.all()
        if seen.everything:
            return rows
        return [
            row for row in rows
            if row.unit in seen.units or (seen.officer is not None and row.officer == seen.officer)
        ]  # fmt: skip

    def units(self, actor: Actor, action: Action) -> list[UnitRow]:
        """Departments that lie within the actor's visibility for an act, past ones too: what a page lets them choose from."""
        seen = self._gate.visibility(actor, action)
        with self._catalogue.read() as uow:
            return [row for row in uow.people.units() if seen.everything or row.id in seen.units]

    def holders(self, actor: Actor, action: Action = Action.DEVICE_REGISTER) -> list[AgentRow]:
        """Active persons to whom the actor may issue a recorder: everybody, or who belongs to the actor's departments now."""
        seen = self._gate.visibility(actor, action)
        now = self._now()
        with self._catalogue.read() as uow:
            return [
                agent for agent in uow.people.agents()
                if agent.active and agent.kind == PERSON
                and (seen.everything or (seen.units and unit_at(uow.people.posts(agent.id), now) in seen.units))
            ]  # fmt: skip

    def overview(self, actor: Actor) -> Overview:
        """Counts for the first page, within the actor's visibility."""
        self._gate.require(actor, Action.RECORDING_LIST)
        visibility = self._gate.visibility(actor, Action.RECORDING_LIST)
        lists_findings = Action.FINDING_LIST in self._gate.offered(actor)
        findings = self._gate.visibility(actor, Action.FINDING_LIST) if lists_findings else None
        now = self._now()
        with self._catalogue.read() as uow:

            def count(wanted: RecordingFilter) -> Count:
                page = uow.recordings.search(wanted, visibility, limit=1, now=now)
                return Count(total=page.total, capped=page.total_capped)

            return Overview(
                by_state=uow.recordings.counts_by_state(visibility),
                late=count(RecordingFilter(late=True)),
                quarantined=count(RecordingFilter(quarantined=True)),
                damaged=count(RecordingFilter(findings=DAMAGE)),
                open_findings=None if findings is None else len(uow.findings.open_within(findings)),
                as_of=now,
            )

    def about(
        self, actor: Actor, recordings: Collection[RecordingId]
    ) -> dict[RecordingId, tuple[RecordingRow, DeviceRow | None]]:
        """Recordings that findings name, with their recorders, for who may list them; the others stay an identity."""
        seen = self._gate.visibility(actor, Action.RECORDING_LIST)
        with self._catalogue.read() as uow:
            devices = {device.id: device for device in uow.devices.all()}
            return {row.id: (row, devices.get(row.device)) for row in uow.recordings.seen(recordings, seen)}

    def damage(self, actor: Actor, action: Action = Action.FINDING_LIST) -> Damage:
        """Open findings of tamper or loss that the actor may know of, for the warning on every page; nothing is entered.

        Args:
            actor: Who looks.
            action: By which right: the whole house's health is told to who may ask for it.
        """
        seen = self._gate.visibility(actor, action)
        if not (seen.everything or seen.units or seen.officer):
            return Damage()
        with self._catalogue.read() as uow:
            return summed(uow.findings.open_within(seen, DAMAGE))

    def my_day(self, actor: Actor, *, day: date) -> MyDay:
        """Are my recordings in? The actor's own recordings of one calendar day of the bureau, each with its cause.

        ``nothing-known`` is answered where no docked recorder has told of any: it is no yes.
        """
        self._look(actor, Action.RECORDING_LIST, ObjectScope(), what=f"my day {day}")
        seen = self._gate.visibility(actor, Action.RECORDING_LIST)
        start = datetime.combine(day, time.min, tzinfo=BUREAU_ZONE)
        now = self._now()
        with self._catalogue.read() as uow:
            rows = [
                row for row in uow.recordings.day(actor.agent, start, start + timedelta(days=1))
                if seen.everything or seen.officer == actor.agent or row.unit in seen.units
            ]  # fmt: skip
            known = {offload: _offload(uow, offload) for offload in {row.offload for row in rows}}
            found = _damage(uow, rows)
            items = [
                day_item(row, known[row.offload], now, twin=_twin(uow, row), damage=found.get(_keeper(row), ()))
                for row in rows
            ]
            own = {device.id for device in uow.devices.all() if device.officer == actor.agent}
            # The latest of everybody would forget this officer's recorder on a busy day, their own alone a shared recorder
            # that so far holds nothing but a file of theirs still being written.
            dockings = {
                docking.id: docking
                for visibility in (None, Visibility(officer=actor.agent))
                for docking in uow.offloads.recent(limit=PAGE_ROWS_MAX, visibility=visibility)
            }.values()
            code = uow.people.agent(actor.agent).officer_code
        waiting = waiting_of(dockings, day=day, own=own, officer_code=code)
        return MyDay(
            day=day, verdict=verdict_of(items, waiting), items=items, waiting=waiting, issued=bool(own),
            late=sum(item.hand_in is HandIn.LATE and item.row.duplicate_of is None for item in items),
            last_docked_at=max((docking.started_at for docking in dockings if docking.device in own), default=None),
            as_of=now,
        )  # fmt: skip

    # --- one recording ------------------------------------------------------------------------------------------------
    def show(self, actor: Actor, recording: RecordingId) -> RecordingView:
        """Facts, names, copies, derivatives and the custody timeline of one recording.

        Raises:
            NotFoundError: Unknown.
            AccessDeniedError: Not the actor's to see (entered).
        """
        row = self._row(recording)
        self._look(actor, Action.RECORDING_SHOW, self.scope(row), what="show", sha256=_hex(row))
        now = self._now()
        scope = self.scope(row)
        notice = self._notice(actor, scope)
        may_watch = notice is not None and Action.RECORDING_VIEW in notice.rights and notice.uses_left != 0
        reads_log = self._gate.decide(actor, Action.LOG_READ, self.scope(row)).allowed
        with self._catalogue.read() as uow:
            row = uow.recordings.get(recording)
            derivatives = uow.derivatives.of(recording)
            timeline = uow.timeline(recording)
            twin = _twin(uow, row)
            return RecordingView(
                row=row,
                hand_in=hand_in(twin or row, now),
                archived=scope.archived,
                rules=uow.rules.of(recording),
                notice=notice,
                damage=_damage(uow, [row]).get(_keeper(row), ()),
                twin=twin,
                watchable=watchable(row, derivatives) if may_watch else Watchable.DENIED,
                names=_names(row, uow.recordings.names(recording), timeline),
                copies=_copies(uow, row.sha256),
                manifest_copies=_copies(uow, Digest(SHA256, row.manifest_sha256) if row.manifest_sha256 else None),
                derivatives=derivatives,
                attached=uow.recordings.attached(recording),
                timeline=[entry for entry in timeline if reads_log or _own_look(entry, actor)],
                device=_device(uow, row.device),
                offload=_offload(uow, row.offload),
                officer_name=_officer(uow, row.officer),
                unit_name=_unit(uow, row.unit),
                as_of=now,
            )

    def locate(self, actor: Actor, recording: RecordingId) -> list[CopyPlace]:
        """Where each copy of the original lies: a path where the store has files, else its key and version.

        Where it is encrypted, the ciphertext lies there, under the digest of the ciphertext.
        """
        row = self._row(recording)
        self._gate.allowed(actor, Action.RECORDING_SHOW, self.scope(row), detail="locate", sha256=_hex(row))
        with self._catalogue.read() as uow:
            copies = _copies(uow, row.sha256)
        places = []
        for copy in copies:
            files, kept = self._files.get(copy.store), Digest(SHA256, copy.key.rpartition("/")[2])
            where = str(files.locate(kept)) if files is not None else copy.key
            places.append(
                CopyPlace(store=copy.store, path_or_key=where, version=copy.version, encrypted=kept != row.sha256)
            )
        return places

    def open_viewing(self, actor: Actor, recording: RecordingId) -> viewings.Viewing:
        """Open one viewing of what a browser can play: authorised, entered, durable before the first byte is sent.

        Raises:
            AccessDeniedError: Not the actor's to watch, for example own footage after archiving (entered).
            NotFoundError: Nothing that a browser plays exists (yet).
        """
        row = self._row(recording)
        with self._catalogue.read() as uow:
            derivatives = uow.derivatives.of(recording)
        choice = chosen(row, derivatives)
        if choice is None:  # refuse the unauthorised before telling them anything of the recording's condition
            self._gate.require(actor, Action.RECORDING_VIEW, self.scope(row))
            raise NotFoundError(
                "there is no copy a browser can play yet",
                kept="The original is kept.",
                todo="Have a viewing copy made.",
            )
        now_ms = unix_ms(self._now())
        scope = self.scope(row)
        by = self._gate.allowed(actor, Action.RECORDING_VIEW, scope, detail=choice.kind, sha256=_hex(row), use=True)
        viewing = viewings.Viewing(
            recording=recording, agent=actor.agent, kind=choice.kind, sha256=choice.sha256, grant=by.grant or "",
            size_bytes=choice.size_bytes, media_type=choice.media_type, opened_ms=now_ms,
        )  # fmt: skip
        token = viewings.issue(viewing, key=self._viewing_key())
        self._recently.seen(token, now_ms=now_ms)
        return replace(viewing, token=token)

    def resume_viewing(self, actor: Actor, recording: RecordingId, *, token: str) -> viewings.Viewing:
        """What a byte-range request may stream: the viewing of ``token``, authorised again, or a new one when it is over.

        A viewing is over after 30 idle minutes or 12 hours; a token of somebody else or of another recording names none.
        """
        viewing = viewings.read(token, key=self._viewing_key()) if token else None
        now_ms = unix_ms(self._now())
        if (
            viewing is None
            or viewing.agent != actor.agent
            or viewing.recording != recording
            or not 0 <= now_ms - viewing.opened_ms < viewings.ABSOLUTE_MS
            or not self._recently.awake(token, now_ms=now_ms, since_ms=viewing.opened_ms)
        ):
            return self.open_viewing(actor, recording)
        if not self._gate.goes_on(actor, Action.RECORDING_VIEW, self.scope(self._row(recording)), viewing.grant):
            return self.open_viewing(actor, recording)  # the first since it was archived, or another consent: a use
        self._recently.seen(token, now_ms=now_ms)
        return viewing

    def require_still(self, actor: Actor, recording: RecordingId) -> None:
        """Pass who may still watch while a viewing runs; AccessDeniedError (entered) once its grant or role is over."""
        self._gate.require(actor, Action.RECORDING_VIEW, self.scope(self._row(recording)), detail="viewing goes on")

    def picture(self, actor: Actor, recording: RecordingId, *, kind: str) -> Picture:
        """A poster, sheet or sheet index. Pictures show the footage: they need the right to watch and are entered.

        Raises:
            NotFoundError: No such picture was made, or the kind is none of a picture.
        """
        row = self._row(recording)
        if kind not in PICTURES:
            raise NotFoundError(f"there are no pictures of the kind {kind[:32]!r}")
        self._look(actor, Action.RECORDING_VIEW, self.scope(row), what=kind, sha256=_hex(row))
        with self._catalogue.read() as uow:
            made = [derivative for derivative in uow.derivatives.of(recording) if derivative.kind == kind]
        if not made:
            raise NotFoundError(f"no {kind[:32]} was made of this recording")
        last = max(made, key=lambda derivative: derivative.made_at)
        return Picture(sha256=last.sha256, size_bytes=last.size_bytes, media_type=last.media_type, recipe=last.recipe)

    def text_of(self, actor: Actor, recording: RecordingId) -> Picture:
        """The bytes of a text file or track; what they tell is footage: it needs the right to watch and is entered.

        Raises:
            NotFoundError: It is no text, or not stored yet.
        """
        row = self._row(recording)
        self._look(actor, Action.RECORDING_VIEW, self.scope(row), what="text", sha256=_hex(row), use=True)
        is_text = row.kind in (RecordingKind.TEXT, RecordingKind.TRACK) and row.disposing_at is None
        if not is_text or row.sha256 is None or row.stored_at is None:
            raise NotFoundError("there is no text to show")
        return Picture(sha256=row.sha256, size_bytes=row.size_bytes, media_type="text/plain", recipe={})

    def may_watch(self, actor: Actor, rows: Sequence[RecordingRow]) -> frozenset[RecordingId]:
        """Which of these the actor may watch now: for lists, where asking for a refused picture would be a denial."""
        decisions = self._gate.decide_each(actor, Action.RECORDING_VIEW, self.scopes(rows))
        return frozenset(row.id for row, decision in zip(rows, decisions, strict=True) if decision.allowed)

    def copy(self, actor: Actor, recording: RecordingId, *, kind: str = ORIGINAL) -> FootageCopy:
        """Hand out a copy of the original, of the viewing copy or of a still: a right of its own, apart from watching.

        Authorised, entered as a use of its grant and durable before the first byte is sent.

        Raises:
            AccessDeniedError: Not the actor's to copy (entered). NotFoundError: There is no such thing of this recording.
        """
        row = self._row(recording)
        with self._catalogue.read() as uow:
            found = _to_copy(row, uow.derivatives.of(recording), kind)
        if found is None:  # refuse the unauthorised before telling them anything of the recording's condition
            self._gate.require(actor, Action.RECORDING_COPY, self.scope(row))
            raise NotFoundError(f"there is no {kind[:32]!r} of this recording to copy")
        decision = self._gate.allowed(
            actor, Action.RECORDING_COPY, self.scope(row), detail=kind, sha256=_hex(row), use=True
        )  # fmt: skip
        return replace(found, grant=decision.grant)

    def scope(self, row: RecordingRow) -> ObjectScope:
        """What the policy has to know of a recording now."""
        return self.scopes([row])[0]

    def scopes(self, rows: Sequence[RecordingRow]) -> list[ObjectScope]:
        """As :meth:`scope` for many."""
        with self._catalogue.read() as uow:
            return scopes_of(uow, rows, self._now())

    # --- inside -------------------------------------------------------------------------------------------------------
    def _notice(self, actor: Actor, scope: ObjectScope) -> UseNotice | None:
        """Who may use the footage of this page under what; None when the actor may do nothing with it."""
        wanted = (Action.RECORDING_VIEW, Action.RECORDING_COPY, Action.RECORDING_EXPORT)
        decided = {action: self._gate.decide(actor, action, scope) for action in wanted}
        rights = frozenset(action for action, decision in decided.items() if decision.allowed)
        if not rights:
            return None
        grants = [decided[action].grant for action in wanted if decided[action].grant is not None]
        grant = self._gate.grant_of(actor, next(a for a in wanted if decided[a].grant), scope) if grants else None
        if grant is None:
            return UseNotice(holder=actor.name, rights=rights)
        left = None
        if grant.uses_most:
            with self._catalogue.read() as uow:
                left = max(0, grant.uses_most - use_grants.uses_of(uow, grant.id))
        return UseNotice(
            holder=actor.name, grant=grant.id, number=grant.number, ends=grant.ends, rights=rights, uses_left=left
        )  # fmt: skip

    def _look(
        self, actor: Actor, action: Action, scope: ObjectScope, *, what: str, sha256: str = "", use: bool = False
    ) -> None:
        """Authorise a look and enter it, once per idle time and place; ``use``: it shows the whole of the footage."""
        key = f"{actor.agent} {actor.via} {actor.address} {scope.recording or ''} {scope.archived} {what}"
        now_ms = unix_ms(self._now())
        if self._recently.awake(key, now_ms=now_ms):
            self._gate.require(actor, action, scope, detail=what)
        else:
            self._gate.allowed(actor, action, scope, detail=what, sha256=sha256, use=use)
        self._recently.seen(key, now_ms=now_ms)

    def _row(self, recording: RecordingId) -> RecordingRow:
        with self._catalogue.read() as uow:
            return uow.recordings.get(recording)

    def _viewing_key(self) -> bytes:
        """The key of viewing tokens, shared by all processes of this home; made at the first use."""
        if not self._key:
            with self._catalogue.begin() as uow:
                text = uow.settings.get(_VIEWING_KEY)
                if text is None:
                    text = secrets.token_hex(32)
                    uow.settings.put(_VIEWING_KEY, text)
            self._key = bytes.fromhex(text)
        return self._key

    def _now(self) -> datetime:
        return self._clock.now().wall


def scopes_of(uow: UnitOfWork, rows: Sequence[RecordingRow], now: datetime) -> list[ObjectScope]:
    """What the policy has to know of recordings at a moment, archiving included (R17)."""
    rules = uow.rules.of_each([row.id for row in rows])
    latest = use_grants.latest(uow, now)
    return [
        ObjectScope(
            unit=row.unit, officer=row.officer, recording=row.id, archived=is_archived(row, rules[row.id], latest)
        )
        for row in rows
    ]  # fmt: skip


def _to_copy(row: RecordingRow, derivatives: Sequence[DerivativeRow], kind: str) -> FootageCopy | None:
    """The bytes to hand out and the name of the file that holds them."""
    if row.sha256 is None or row.stored_at is None or row.disposing_at is not None:
        return None
    if kind == ORIGINAL:
        return FootageCopy(
            kind=kind,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            media_type="application/octet-stream",
            name=row.name,
        )
    made = [one for one in derivatives if one.kind == kind and kind in COPIED]
    if not made:
        return None
    last = max(made, key=lambda one: one.made_at)
    suffix = {"video/mp4": ".mp4", "audio/mp4": ".m4a", "image/jpeg": ".jpg", "image/png": ".png"}.get(
        last.media_type, ""
    )
    return FootageCopy(
        kind=kind, sha256=last.sha256, size_bytes=last.size_bytes, media_type=last.media_type,
        name=f"{row.name.rpartition('.')[0] or row.name}.{kind}{suffix}",
    )  # fmt: skip


def _keeper(row: RecordingRow) -> RecordingId:
    """The recording that keeps the bytes: itself, or for a duplicate the one it joined."""
    return row.duplicate_of or row.id


def _twin(uow: UnitOfWork, row: RecordingRow) -> RecordingRow | None:
    return uow.recordings.get(row.duplicate_of) if row.duplicate_of is not None else None


def _damage(uow: UnitOfWork, rows: Sequence[RecordingRow]) -> dict[RecordingId, tuple[FindingRow, ...]]:
    """Open findings about bytes or record, by the recording that keeps the bytes."""
    found: dict[RecordingId, tuple[FindingRow, ...]] = {}
    for finding in uow.findings.open_of({_keeper(row) for row in rows}, DAMAGE):
        if finding.recording is not None:
            found[finding.recording] = (*found.get(finding.recording, ()), finding)
    return found


def _hex(row: RecordingRow) -> str:
    return row.sha256.hex if row.sha256 is not None else ""


def _copies(uow: UnitOfWork, sha256: Digest | None) -> tuple[Copy, ...]:
    blob = uow.blobs.get(sha256) if sha256 is not None else None
    return blob.copies if blob is not None else ()


def _names(row: RecordingRow, added: list[NameRow], timeline: list[TimelineRow]) -> list[NameRow]:
    """Its own name first, then those under which the same bytes were seen. The mark is each name's own."""
    marked = any(
        entry.event_type == RecordingDiscovered.TYPE and entry.public.get("important") is True for entry in timeline
    )
    own = NameRow(
        recording=row.id, name=row.name, path=row.source.path, offload=row.offload, seen_at=row.discovered_at,
        important=marked,
    )  # fmt: skip
    return [own, *(name for name in added if (name.name, name.path) != (own.name, own.path))]


def _own_look(entry: TimelineRow, actor: Actor) -> bool:
    """Custody facts are for everyone who may see the recording; who looked at it is not (R23: investigations are quiet)."""
    return not entry.event_type.startswith(_LOOKS) or entry.actor == actor.agent


def _device(uow: UnitOfWork, device: DeviceId) -> DeviceRow | None:
    try:
        return uow.devices.get(device)
    except NotFoundError:
        return None


def _offload(uow: UnitOfWork, offload: OffloadId) -> OffloadRow | None:
    try:
        return uow.offloads.get(offload)
    except NotFoundError:
        return None


def _officer(uow: UnitOfWork, officer: AgentId | None) -> str:
    if officer is None:
        return ""
    try:
        row: AgentRow = uow.people.agent(officer)
    except NotFoundError:
        return ""
    return row.name


def _unit(uow: UnitOfWork, unit: UnitId | None) -> str:
    return next((row.name for row in uow.people.units() if row.id == unit), "") if unit is not None else ""
