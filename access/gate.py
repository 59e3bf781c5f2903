"""The one gate: every act of every interface passes here and leaves its trace (promises 7 and 10).

The decision itself is pure and lives in ``people.policy``; this module brings it the facts of the moment (grants, posts,
units, whether the agent is still active, grants for use, whom they stand in for) and enters what was decided. A decision is never
cached: a role taken away is gone at the next act, and so is a grant that ended or was revoked.

Every act under a grant for use (R17) is an entry that names the grant, and uses of a grant are numbered without gaps in the
transaction that enters them, with the grant locked: what is not in the register did not happen.

Never call it inside an open write transaction of the catalogue: entries are committed in a transaction of their own, so that
a denial stays although the caller's work is rolled back.

Source: docs/invariants.md 7, 10; RULES R8, R17, R18.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn

from catalogue import Catalogue, UnitOfWork
from evidence.clock import Clock, TimeReading, to_text
from evidence.errors import AccessDeniedError, NotFoundError
from evidence.events import AccessAllowed, AccessDenied
from evidence.limits import TEXT_CHARS_MAX
from evidence.model import Action, Actor, Decision, ObjectScope, Visibility
from evidence.ports import CustodyRecorder
from matters import delegations, use_grants
from matters.use_grants import UseGrant
from people import policy
from people.roles import NEEDS_GRANT_ONCE_ARCHIVED
from people.standing_in import DELEGABLE, StandIn
from people.units import UnitTree

INACTIVE = "inactive"
UNKNOWN_AGENT = "unknown-agent"
PASSWORD_CHANGE_REQUIRED = "password-change-required"  # noqa: S105 - a reason code, not a password
#: The grant that would allow it was used as often as it may be.
USED_UP = "used-up"
#: Acts that a grant for use can allow.
_BY_GRANT = NEEDS_GRANT_ONCE_ARCHIVED | {Action.RECORDING_SHOW}


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
        """Like :meth:`decide` for the rows of a list, with one look at the actor's roles and grants instead of one per row."""
        with self._catalogue.read() as uow:
            return self._decide_each(uow, actor, action, scopes, self._clock.now())

    def require(self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "") -> Decision:
        """Return the decision when allowed; else enter the denial, durably, and raise.

        Raises:
            AccessDeniedError: ``str(error)`` names action and reason; the denial is durable in the outbox.
        """
        decision = self.decide(actor, action, scope)
        if not decision.allowed:
            self.deny(actor, action, reason=decision.reason, scope=scope, detail=detail)
        return decision

    def allowed(
        self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "", sha256: str = "",
        use: bool = False,
    ) -> Decision:  # fmt: skip
        """Like :meth:`require`, and enter the act itself, decision and entry in one transaction.

        Durable on return: who saw, played, checked or changed something can be told before they did.

        Args:
            actor: Who asks.
            action: What for.
            scope: What it touches.
            detail: Personal detail (what was searched, which copy); becomes a disclosure.
            sha256: Digest of the recording concerned, where known: the entry's subject.
            use: Footage is seen or leaves the house by it: under a grant it is the next of its numbered uses.
        """
        scopes = [(scope or ObjectScope(), sha256)]
        return self.allowed_each(actor, action, scopes, detail=detail, use=use)[0]

    def allowed_each(
        self,
        actor: Actor,
        action: Action,
        scopes: Sequence[tuple[ObjectScope, str]],
        *,
        detail: str = "",
        use: bool = False,
    ) -> list[Decision]:
        """As :meth:`allowed` for several recordings at once, all of them or none: one transaction.

        Args:
            actor: Who asks.
            action: What for.
            scopes: What it touches, each with the digest of the recording.
            detail: As for :meth:`allowed`.
            use: As for :meth:`allowed`; every recording is a use of its grant.

        Raises:
            AccessDeniedError: One of them is refused: that refusal is entered, and nothing else.
        """
        now = self._clock.now()
        refused: tuple[Decision, ObjectScope] | None = None
        with self._catalogue.begin() as uow:
            wanted = [scope for scope, _sha256 in scopes]
            decisions = self._decide_each(uow, actor, action, wanted, now)
            if action in NEEDS_GRANT_ONCE_ARCHIVED and any(one.grant is not None for one in decisions):
                if use:
                    _lock_grants(uow, decisions)
                # What was revoked or used up meanwhile is seen; what was used up shows no stills either.
                decisions = self._decide_each(uow, actor, action, wanted, now, spend=True)
            numbers = _numbered(uow, decisions, use=use)
            for (decision, _number), scope in zip(numbers, wanted, strict=True):
                if not decision.allowed:
                    refused = refused or (decision, scope)
            if refused is None:
                for (decision, number), (scope, sha256) in zip(numbers, scopes, strict=True):
                    event = AccessAllowed(
                        actor=actor.agent, recording=_recording(scope), sha256=sha256, action=action, via=actor.via,
                        at=to_text(now.wall), matter=decision.grant or "", use=number,
                        on_behalf_of=decision.on_behalf_of or "", address=actor.address or None,
                        detail=detail[:TEXT_CHARS_MAX] or None,
                    )  # fmt: skip
                    self._recorder.record(uow.outbox, event, at=now)
        if refused is not None:
            decision, scope = refused
            self.deny(actor, action, reason=decision.reason, scope=scope, detail=detail)
        return [decision for decision, _number in numbers]

    def goes_on(self, actor: Actor, action: Action, scope: ObjectScope, grant: str) -> bool:
        """As :meth:`require`; whether it is allowed as it was: without any grant (empty), or because this one is still valid."""
        decision = self.require(actor, action, scope)
        if decision.grant is None or not grant or scope.recording is None:
            return (decision.grant or "") == grant
        now = self._clock.now().wall
        with self._catalogue.read() as uow:
            found = use_grants.valid_for(uow, actor.agent, [scope.recording], use_grants.latest(uow, now))
        return any(one.id == grant and action in one.rights for one in found.get(scope.recording, ()))

    def grant_of(self, actor: Actor, action: Action, scope: ObjectScope) -> UseGrant | None:
        """The grant under which the actor may do this now, for the notice on the screen; None where none is needed."""
        decision = self.decide(actor, action, scope)
        if decision.grant is None or scope.recording is None:
            return None
        now = self._clock.now().wall
        with self._catalogue.read() as uow:
            found = use_grants.valid_for(uow, actor.agent, [scope.recording], use_grants.latest(uow, now))
        return next((one for one in found.get(scope.recording, ()) if one.id == decision.grant), None)

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
            lent = self._standing_in(uow, actor, facts, now) if action in DELEGABLE else []
        if facts.refusal:
            return Visibility()
        own = policy.visibility(facts.grants, facts.units, action=action, actor_agent=actor.agent, at=now.wall)
        for one in lent:
            if action in one.acts:
                more = policy.visibility(
                    one.grants, facts.units, action=action, actor_agent=one.principal, at=now.wall
                )  # fmt: skip
                own = replace(own, everything=own.everything or more.everything, units=own.units | more.units)
        return own

    def offered(self, actor: Actor) -> frozenset[Action]:
        """Actions the actor may do on at least something: what menus show. Nothing is entered."""
        now = self._clock.now()
        with self._catalogue.read() as uow:
            facts = self._facts(uow, actor)
            lent = self._standing_in(uow, actor, facts, now)
        if facts.refusal:
            return frozenset()
        return policy.offered(facts.grants).union(*(policy.offered(one.grants) & one.acts for one in lent))

    def _decide(self, uow: UnitOfWork, actor: Actor, action: Action, scope: ObjectScope, now: TimeReading) -> Decision:
        return self._decide_each(uow, actor, action, [scope], now)[0]

    def _decide_each(
        self, uow: UnitOfWork, actor: Actor, action: Action, scopes: Sequence[ObjectScope], now: TimeReading, *,
        spend: bool = False,
    ) -> list[Decision]:  # fmt: skip
        facts = self._facts(uow, actor)
        decisions = [_judge(facts, actor, action, scope, now) for scope in scopes]
        if facts.refusal or all(one.allowed for one in decisions):
            return decisions
        if action in _BY_GRANT:  # looked up only where roles alone do not do
            asked = [one.recording for one in scopes if one.recording is not None]
            grants = use_grants.valid_for(uow, actor.agent, asked, use_grants.latest(uow, now.wall))
            for place, scope in enumerate(scopes):
                if not decisions[place].allowed and scope.recording in grants:
                    uses = _left(uow, grants[scope.recording]) if spend else grants[scope.recording]
                    judged = _judge(facts, actor, action, scope, now, uses=uses)
                    decisions[place] = judged if uses else replace(judged, reason=USED_UP)
        if action in DELEGABLE:
            lent = self._standing_in(uow, actor, facts, now)
            decisions = [
                one if one.allowed else _instead(lent, facts, action, scope, now.wall) or one
                for one, scope in zip(decisions, scopes, strict=True)
            ]
        return decisions

    def _standing_in(self, uow: UnitOfWork, actor: Actor, facts: _Facts, now: TimeReading) -> list[StandIn]:
        if facts.refusal:
            return []
        return delegations.standing_in(uow, actor.agent, use_grants.latest(uow, now.wall), units=facts.units)

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


def _judge(
    facts: _Facts, actor: Actor, action: Action, scope: ObjectScope, now: TimeReading, *, uses: Sequence[UseGrant] = ()
) -> Decision:
    if facts.refusal:
        return Decision(allowed=False, reason=facts.refusal)
    return policy.decide(
        facts.grants, action, scope, actor_agent=actor.agent, units=facts.units, at=now.wall, uses=uses
    )  # fmt: skip


def _instead(
    lent: Iterable[StandIn], facts: _Facts, action: Action, scope: ObjectScope, at: datetime
) -> Decision | None:
    """What somebody may do because they stand in for another: by roles for departments only, never on what is one's own."""
    for one in lent:
        if action in one.acts:
            decision = policy.decide(one.grants, action, scope, actor_agent=one.principal, units=facts.units, at=at)
            if decision.allowed and decision.reason != policy.OWN:
                return replace(decision, on_behalf_of=one.principal)
    return None


def _left(uow: UnitOfWork, grants: Iterable[UseGrant]) -> list[UseGrant]:
    """Those that may be used once more."""
    return [one for one in grants if not one.uses_most or use_grants.uses_of(uow, one.id) < one.uses_most]


def _lock_grants(uow: UnitOfWork, decisions: Iterable[Decision]) -> None:
    """In one order, so that two who use the same grants never wait for each other in a circle."""
    for grant in sorted({one.grant for one in decisions if one.grant is not None}):
        uow.matters.lock(grant)


def _numbered(uow: UnitOfWork, decisions: Iterable[Decision], *, use: bool) -> list[tuple[Decision, int]]:
    """Each decision with the number of the use it is, 0 for none; a grant that was used as often as it may be allows no more."""
    counts: dict[str, int] = {}
    numbered = []
    for decision in decisions:
        number = 0
        if use and decision.grant is not None:
            number = counts.setdefault(decision.grant, use_grants.uses_of(uow, decision.grant)) + 1
            most = int(uow.matters.get(decision.grant).facts.get(use_grants.USES_MOST, 0))
            if most and number > most:
                numbered.append((Decision(allowed=False, reason=USED_UP), 0))
                continue
            counts[decision.grant] = number
        numbered.append((decision, number))
    return numbered


def _recording(scope: ObjectScope | None) -> str:
    return scope.recording or "" if scope is not None else ""
