"""The brake: removal of bytes stops when more goes than a day explains, when a store lost objects, or when somebody says so.

A brake is no retention rule and no access right. It bounds what a wrong rule, a stolen account or a defect of this program can
destroy before a person looks: at most a day's allowance.

- Whoever removes bytes asks :meth:`Brake.allow` inside the transaction that decides about the removal. The brake's row is locked
  until that transaction ends, so two removals at once cannot both take the last of the allowance.
- The removal that uses the allowance up is the last one: it goes through, and the brake is pulled in the same transaction. One
  request for more objects than are left is refused whole, and pulls nothing.
- A person lets removals go on (another one than who pulled it, where a person did); the day's count begins anew then.
- Every change is an entry (``brake.changed``) in the transaction that changes it, and a finding ``brake-pulled`` is open while
  it is pulled.

Source: docs/runbooks/brake.md; docs/settings.md, section brake.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from assurance.findings import FindingBook
from catalogue import Catalogue, UnitOfWork
from catalogue.brakes import BrakeRow, Removed
from evidence.clock import Clock, from_text, to_text
from evidence.errors import AccessDeniedError, BrakePulledError, InvalidInputError, StateConflictError
from evidence.events_of_keeping import BrakeChanged
from evidence.ids import AgentId
from evidence.limits import TEXT_CHARS_MAX
from evidence.ports import CustodyRecorder

FINDING: Final = "brake-pulled"
WINDOW: Final = timedelta(hours=24)
#: Counts are kept for so long: an inventory asks how much of a difference was removed on purpose.
REMEMBERED: Final = timedelta(days=60)
#: Why the brake was pulled.
BY_PERSON: Final = "person"
BY_VOLUME: Final = "volume"
BY_INVENTORY: Final = "inventory-drop"
RELEASED: Final = "released"
_GIB: Final = 1 << 30
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeLimits:
    """How much may go within 24 hours.

    The larger of a fixed amount and a share of what the last inventory found counts, so that a large estate whose footage falls
    due every day is not stopped every day, and a small one is not emptied in one.

    Attributes:
        objects: Objects (bytes that several stores keep are one).
        size_bytes: Their bytes.
        share_percent: Share of the objects, and of the bytes, of the fullest store.
    """

    objects: int = 500
    size_bytes: int = 500 * _GIB
    share_percent: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeState:
    """How the brake stands, for people."""

    row: BrakeRow
    removed: Removed
    limit: Removed


class Brake:
    """Stops removals.

    Args:
        catalogue: Where its row stands.
        recorder: Signs the entries.
        clock: Injected time.
        limits: The day's allowance.
    """

    def __init__(
        self, catalogue: Catalogue, *, recorder: CustodyRecorder, clock: Clock, limits: BrakeLimits | None = None
    ) -> None:
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock
        self._limits = limits or BrakeLimits()
        self._book = FindingBook(catalogue, recorder=recorder, clock=clock)

    # --- for who removes ----------------------------------------------------------------------------------------------
    def require_released(self, uow: UnitOfWork) -> None:
        """Return while removals may go on; holds the brake's lock until the transaction ends.

        Raises:
            BrakePulledError: They may not.
        """
        row = uow.brakes.take()
        if row.pulled:
            raise _pulled(row)

    def allow(self, uow: UnitOfWork, *, objects: int, size_bytes: int, now: datetime) -> None:
        """Count a removal that this transaction decides about; pulls the brake when it uses the day's allowance up.

        What is counted is kept when the transaction commits and forgotten when it does not.

        Args:
            uow: The transaction of the removal.
            objects: How many objects go.
            size_bytes: Their bytes.
            now: The time.

        Raises:
            BrakePulledError: The brake is pulled, or these objects are more than the rest of the day's allowance.
            InvalidInputError: Less than nothing.
        """
        if objects < 0 or size_bytes < 0:
            raise InvalidInputError("less than nothing cannot be removed")
        self.require_released(uow)
        before, limit = uow.brakes.removed_since(now - WINDOW), self._limit(uow)
        after = Removed(before.objects + objects, before.size_bytes + size_bytes)
        if objects > 1 and (after.objects > limit.objects or after.size_bytes > limit.size_bytes):
            raise BrakePulledError(
                f"{objects} objects at once are more than may still go today "
                f"({_left(before, limit)} of {_told(limit)} within 24 hours)",
                kept="Nothing was removed.",
                todo="Remove fewer at once, or have the allowance raised in the settings (brake).",
            )
        uow.brakes.drop_counts(now - REMEMBERED)
        uow.brakes.count(now, objects=objects, size_bytes=size_bytes)
        if after.objects >= limit.objects or after.size_bytes >= limit.size_bytes:
            detail = f"{_told(after)} were removed within 24 hours; {_told(limit)} may go"
            self._change(uow, pulled=True, cause=BY_VOLUME, agent="", detail=detail)

    # --- for who stops and lets go --------------------------------------------------------------------------------------
    def pull(self, *, cause: str, agent: AgentId | None = None, detail: str = "") -> bool:
        """Stop removals now. Durable on return; tells whether they were not stopped already.

        Args:
            cause: ``person`` or ``inventory-drop``.
            agent: The person.
            detail: What was said.
        """
        with self._catalogue.begin() as uow:
            return self.pull_in(uow, cause=cause, agent=agent, detail=detail)

    def pull_in(self, uow: UnitOfWork, *, cause: str, agent: AgentId | None = None, detail: str = "") -> bool:
        """As :meth:`pull`, inside a transaction of the caller."""
        if uow.brakes.take().pulled:
            return False
        self._change(uow, pulled=True, cause=cause, agent=agent or "", detail=detail)
        return True

    def release(self, *, agent: AgentId, detail: str) -> None:
        """Let removals go on; the day's count begins anew. Durable on return. Who may is the gate's question, asked before.

        Raises:
            InvalidInputError: No reason given.
            StateConflictError: It is not pulled.
            AccessDeniedError: The same person pulled it.
        """
        if not detail.strip():
            raise InvalidInputError(
                "a release needs a reason", todo="Say what was looked at and why removals may go on."
            )
        with self._catalogue.begin() as uow:
            row = uow.brakes.take()
            if not row.pulled:
                raise StateConflictError("the brake is not pulled")
            if row.cause == BY_PERSON and row.agent == agent:
                raise AccessDeniedError(
                    "who pulled the brake cannot release it", kept="Removals stay stopped.", todo="Ask another person."
                )
            uow.brakes.begin_anew()
            self._change(uow, pulled=False, cause=RELEASED, agent=agent, detail=detail)

    def state(self) -> BrakeState:
        """How it stands now, and how much went within 24 hours."""
        now = self._clock.now().wall
        with self._catalogue.read() as uow:
            return BrakeState(
                row=uow.brakes.look(), removed=uow.brakes.removed_since(now - WINDOW), limit=self._limit(uow)
            )

    # --- inside ---------------------------------------------------------------------------------------------------------
    def _change(self, uow: UnitOfWork, *, pulled: bool, cause: str, agent: str, detail: str) -> None:
        now = self._clock.now()
        detail = detail.strip()[:TEXT_CHARS_MAX]
        uow.brakes.put(BrakeRow(pulled=pulled, cause=cause, agent=agent, detail=detail, since=now.wall))
        event = BrakeChanged(
            actor=agent, pulled=pulled, reason=cause, at=to_text(now.wall), detail=detail or None
        )  # fmt: skip
        self._recorder.record(uow.outbox, event, at=now)
        if pulled:
            self._book.raise_in(uow, FINDING, detail=f"{cause}: {detail}", actor=agent)
            uow.after_commit(lambda: _log.error("removals are stopped (%s): %s", cause, detail))
        else:
            self._book.close_in(uow, FINDING, reason=RELEASED, actor=agent)
            uow.after_commit(lambda: _log.warning("removals may go on: %s", detail))

    def _limit(self, uow: UnitOfWork) -> Removed:
        found = uow.inventories.fullest()
        share = self._limits.share_percent / 100
        return Removed(
            max(self._limits.objects, int(found.objects * share)),
            max(self._limits.size_bytes, int(found.size_bytes * share)),
        )


def _pulled(row: BrakeRow) -> BrakePulledError:
    since = to_text(row.since) if row.since else "an unknown time"
    return BrakePulledError(
        f"removals are stopped since {since} ({row.cause}): {row.detail}",
        kept="Nothing was removed.",
        todo="Find out why (docs/runbooks/brake.md); then `liuhen brake release --reason TEXT`.",
    )


def _told(removed: Removed) -> str:
    return f"{removed.objects} objects, {removed.size_bytes} bytes"


def _left(before: Removed, limit: Removed) -> str:
    return f"{max(0, limit.objects - before.objects)} objects, {max(0, limit.size_bytes - before.size_bytes)} bytes"


def row_of(event: BrakeChanged) -> BrakeRow:
    """How the brake stands after that entry: a home that is built again from its log removes nothing that was stopped."""
    return BrakeRow(
        pulled=event.pulled, cause=event.reason, agent=event.actor, detail=event.detail or "", since=from_text(event.at)
    )
