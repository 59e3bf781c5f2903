"""The one gate: every act of every interface passes here and leaves its trace (promises 7 and 10).

The decision itself is pure and lives in ``people.policy``; this module brings it the facts of the moment (grants, posts,
units, whether the agent is still active) and enters what was decided. A decision is never cached: a role taken away is gone
at the next act.

Never call it inside an open write transaction of the catalogue: entries are committed in a transaction of their own, so that
a denial stays although the caller's work is rolled back.

Source: docs/invariants.md 7, 10; RULES R8, R18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from catalogue import Catalogue, UnitOfWork
from evidence.clock import Clock, TimeReading, to_text
from evidence.errors import AccessDeniedError, NotFoundError
from evidence.events import AccessAllowed, AccessDenied
from evidence.limits import TEXT_CHARS_MAX
from evidence.model import Action, Actor, Decision, ObjectScope, Visibility
from evidence.ports import CustodyRecorder
from people import policy
from people.units import UnitTree

INACTIVE = "inactive"
UNKNOWN_AGENT = "unknown-agent"
PASSWORD_CHANGE_REQUIRED = "password-change-required"  # noqa: S105 - a reason code, not a password


class DeniedError(AccessDeniedError):
    """An act was refused and the refusal is in the log.

    Attributes:
        action: What was asked for.
        reason: Stable code the interfaces translate.
    """

    def __init__(self, action: Action, *, reason: str) -> None:
        super().__init__(f"{action} was refused: {reason}", todo="The refusal has been entered in the log.")
        self.action = action
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the policy has to know of an actor at one moment."""

    refusal: str
    grants: policy.Grants
    units: UnitTree


class Gate:
    """Implements ``evidence.ports.Authoriser`` on the catalogue and the custody log.

    Args:
        catalogue: Where roles, posts and units are looked up, at every act.
        recorder: Signs the entries.
        clock: Time of the entries and of the posts' validity.
    """

    def __init__(self, catalogue: Catalogue, *, recorder: CustodyRecorder, clock: Clock) -> None:
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock

    def decide(self, actor: Actor, action: Action, scope: ObjectScope | None = None) -> Decision:
        """What the answer would be, without entering anything: for menus and buttons, never instead of :meth:`require`."""
        with self._catalogue.read() as uow:
            return self._decide(uow, actor, action, scope or ObjectScope(), self._clock.now())

    def decide_each(self, actor: Actor, action: Action, scopes: Sequence[ObjectScope]) -> list[Decision]:
        """Like :meth:`decide` for the rows of a list, with one look at the actor's roles instead of one per row."""
        now = self._clock.now()
        with self._catalogue.read() as uow:
            facts = self._facts(uow, actor)
        return [_judge(facts, actor, action, scope, now) for scope in scopes]

    def require(self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "") -> None:
        """Return when allowed; else enter the denial, durably, and raise.

        Raises:
            AccessDeniedError: ``str(error)`` names action and reason; the denial is durable in the outbox.
        """
        decision = self.decide(actor, action, scope)
        if not decision.allowed:
            self.deny(actor, action, reason=decision.reason, scope=scope, detail=detail)

    def allowed(
        self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "", sha256: str = ""
    ) -> None:
        """Like :meth:`require`, and enter the act itself, decision and entry in one transaction.

        Durable on return: who saw, played, checked or changed something can be told before they did.

        Args:
            actor: Who asks.
            action: What for.
            scope: What it touches.
            detail: Personal detail (what was searched, which copy); becomes a disclosure.
            sha256: Digest of the recording concerned, where known: the entry's subject.
        """
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            decision = self._decide(uow, actor, action, scope or ObjectScope(), now)
            if decision.allowed:
                event = AccessAllowed(
                    actor=actor.agent,
                    recording=_recording(scope),
                    sha256=sha256,
                    action=action,
                    via=actor.via,
                    at=to_text(now.wall),
                    address=actor.address or None,
                    detail=detail[:TEXT_CHARS_MAX] or None,
                )
                self._recorder.record(uow.outbox, event, at=now)
        if not decision.allowed:
            self.deny(actor, action, reason=decision.reason, scope=scope, detail=detail)

    def deny(
        self, actor: Actor, action: Action, *, reason: str, scope: ObjectScope | None = None, detail: str = ""
    ) -> NoReturn:
        """Enter a denial in a transaction of its own and raise it; for refusals that only a workflow can know."""
        now = self._clock.now()
        event = AccessDenied(
            actor=actor.agent,
            recording=_recording(scope),
            action=action,
            via=actor.via,
            reason=reason,
            at=to_text(now.wall),
            address=actor.address or None,
            detail=detail[:TEXT_CHARS_MAX] or None,
        )
        with self._catalogue.begin() as uow:
            self._recorder.record(uow.outbox, event, at=now)
        raise DeniedError(action, reason=reason)

    def visibility(self, actor: Actor, action: Action) -> Visibility:
        """Which rows list queries of this actor may return; nothing at all for one who may not act."""
        now = self._clock.now()
        with self._catalogue.read() as uow:
            facts = self._facts(uow, actor)
        if facts.refusal:
            return Visibility()
        return policy.visibility(facts.grants, facts.units, action=action, actor_agent=actor.agent, at=now.wall)

    def offered(self, actor: Actor) -> frozenset[Action]:
        """Actions the actor may do on at least something: what menus show. Nothing is entered."""
        with self._catalogue.read() as uow:
            facts = self._facts(uow, actor)
        return frozenset() if facts.refusal else policy.offered(facts.grants)

    def _decide(self, uow: UnitOfWork, actor: Actor, action: Action, scope: ObjectScope, now: TimeReading) -> Decision:
        return _judge(self._facts(uow, actor), actor, action, scope, now)

    def _facts(self, uow: UnitOfWork, actor: Actor) -> _Facts:
        try:
            agent = uow.people.agent(actor.agent)
        except NotFoundError:
            return _Facts(UNKNOWN_AGENT, (), UnitTree(()))
        refusal = "" if agent.active else INACTIVE
        if not refusal and actor.via == "web" and agent.login:
            credential = uow.people.credential(agent.login)
            refusal = PASSWORD_CHANGE_REQUIRED if credential is not None and credential.must_change else ""
        return _Facts(refusal, tuple(uow.people.roles(agent.id)), UnitTree(uow.people.units()))


def _judge(facts: _Facts, actor: Actor, action: Action, scope: ObjectScope, now: TimeReading) -> Decision:
    if facts.refusal:
        return Decision(allowed=False, reason=facts.refusal)
    return policy.decide(facts.grants, action, scope, actor_agent=actor.agent, units=facts.units, at=now.wall)


def _recording(scope: ObjectScope | None) -> str:
    return scope.recording or "" if scope is not None else ""
