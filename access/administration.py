"""Units, agents, roles, passwords and whose a recorder is, changed by persons who may: authorised, done and entered as one.

Three separations that the role table cannot express are kept here: nobody changes their own roles, the last active agent who
can manage people keeps that role, and an agent's facts are never overwritten but entered anew with the date they begin.
Reset passwords and bound accounts of the operating system are entered as acts; the values themselves are no evidence.

Source: RULES R9, R14, R17, R18; docs/invariants.md 4, 7, 10.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from access.gate import Gate
from access.views import PERSON, SOFTWARE
from catalogue import Catalogue, UnitOfWork
from catalogue.records import AgentRow, CredentialRow, DeviceRow, PostRow, RoleRow, UnitRow
from evidence.clock import Clock, TimeReading, to_text, unix_ms
from evidence.errors import InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.events import AccessAllowed, AgentRecorded, DeviceRegistered, RoleChanged, UnitRecorded
from evidence.ids import AgentId, DeviceId, UnitId
from evidence.model import Action, Actor, DeviceState, ObjectScope
from evidence.ports import CustodyRecorder
from people import credentials
from people.roles import ROLES, actions_of

#: Longer ones fit on no list and no label.
_NAME_CHARS_MAX: Final = 60
_CODE_CHARS_MAX: Final = 64
_LABEL_CHARS_MAX: Final = 200
_LOGIN_CHARS_MAX: Final = 128
#: What the person who sets a home up needs to get it running; footage roles are granted to others.
FIRST_ROLES: Final = ("system_administrator", "security_administrator", "station_operator")
#: What the service itself needs when a recorder is docked while nobody is at the screen.
SERVICE_ROLES: Final = ("station_operator",)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """An agent and, where a log-in was asked for, the one-time password (told once, kept only as a hash)."""

    agent: AgentRow
    one_time_password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAdministrator:
    """What ``init`` made: the first person, their password, the roles they hold, and the service's own agent."""

    agent: AgentRow
    one_time_password: str
    roles: tuple[str, ...]
    service: AgentRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An agent as the people page shows them; ``locked_until`` while log-ins are refused after wrong passwords."""

    agent: AgentRow
    posts: tuple[PostRow, ...]
    roles: tuple[RoleRow, ...]
    locked_until: datetime | None = None


class Administration:
    """Changes to who is who and who may what.

    Args:
        catalogue: Where the facts stand.
        gate: Asked before every change.
        recorder: Signs the entries.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, gate: Gate, recorder: CustodyRecorder, clock: Clock) -> None:
        self._catalogue = catalogue
        self._gate = gate
        self._recorder = recorder
        self._clock = clock

    # --- units --------------------------------------------------------------------------------------------------------
    def create_unit(
        self,
        actor: Actor,
        *,
        name: str,
        code: str = "",
        parent: UnitId | None = None,
        valid_from: datetime | None = None,
    ) -> UnitRow:
        """Add a department below ``parent``. One with the code of an ended department is its successor.

        Raises:
            InvalidInputError: No name, a code no screen could show, or an unknown parent.
            StateConflictError: A department of that name below the same one exists already.
        """
        self._gate.require(actor, Action.PEOPLE_MANAGE, ObjectScope(unit=parent), detail="unit")
        code = _code(code, "code")
        with self._catalogue.read() as uow:
            namesakes = [unit.id for unit in uow.people.units() if code and unit.code == code]
        for unit in namesakes:  # its successor inherits what it could see
            self._gate.require(actor, Action.PEOPLE_MANAGE, ObjectScope(unit=unit), detail="successor")
        now = self._clock.now()
        row = UnitRow(
            id=UnitId.new(unix_ms(now.wall)), name=_text(name, "name"), code=code, parent=parent,
            valid_from=valid_from or now.wall,
        )  # fmt: skip
        with self._catalogue.begin() as uow:
            if parent is not None:
                _require_unit(uow, parent)
            _require_new(uow, row)
            uow.people.add_unit(row)
            event = UnitRecorded(
                actor=actor.agent, unit=row.id, parent=parent or "", code=row.code, name=row.name,
                valid_from=to_text(row.valid_from),
            )  # fmt: skip
            self._recorder.record(uow.outbox, event, at=now)
        return row

    def units(self, actor: Actor) -> list[UnitRow]:
        """Every unit, past ones too, for pages that let one be chosen."""
        self._gate.require(actor, Action.PEOPLE_LIST)
        with self._catalogue.read() as uow:
            return uow.people.units()

    # --- agents -------------------------------------------------------------------------------------------------------
    def create_agent(
        self, actor: Actor, *, name: str, login: str = "", officer_code: str = "", unit: UnitId | None = None,
        kind: str = PERSON,
    ) -> NewAgent:  # fmt: skip
        """Add a person (or a program) and, with a ``login``, a one-time password to be changed at the first log-in.

        Raises:
            StateConflictError: The log-in or the officer code is taken.
        """
        self._gate.require(actor, Action.PEOPLE_MANAGE, ObjectScope(unit=unit), detail="agent")
        now = self._clock.now()
        agent = _agent(now, name=name, login=login, officer_code=officer_code, kind=kind)
        password = credentials.one_time_password() if agent.login else ""
        password_hash = credentials.hash_password(password) if password else ""
        with self._catalogue.begin() as uow:
            _require_free(uow, agent)
            if unit is not None:
                _require_unit(uow, unit)
            self._add(uow, agent, unit=unit, password_hash=password_hash, by=actor.agent, now=now)
        return NewAgent(agent=agent, one_time_password=password)

    def transfer(self, actor: Actor, *, agent: AgentId, unit: UnitId) -> None:
        """Move an agent to another unit from now on; the post before keeps its past.

        Raises:
            InvalidInputError: No such unit. StateConflictError: a transfer in the same instant.
        """
        with self._catalogue.read() as uow:
            present = {post.unit for post in uow.people.posts(agent) if post.valid_to is None}
        for concerned in (unit, *(present or (None,))):  # the unit that takes them and the one that loses them
            scope = ObjectScope(unit=concerned, officer=agent)
            self._gate.require(actor, Action.PEOPLE_MANAGE, scope, detail="transfer")
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            row = uow.people.agent(agent)
            _require_unit(uow, unit)
            open_posts = [post for post in uow.people.posts(agent) if post.valid_to is None]
            if any(post.unit == unit for post in open_posts):
                return
            if any(post.valid_from >= now.wall for post in open_posts):
                raise StateConflictError("the agent's present post has only just begun", todo="Try again in a moment.")
            for post in open_posts:
                uow.people.end_post(agent, post.unit, now.wall)
            uow.people.add_post(PostRow(agent=agent, unit=unit, valid_from=now.wall))
            self._record_agent(uow, row, unit=unit, by=actor.agent, now=now)

    def deactivate(self, actor: Actor, *, agent: AgentId) -> None:
        """End an agent's right to act; their sessions end with it, their past stays.

        Raises:
            PolicyUnmetError: Nobody would be left who can manage people.
        """
        self._refuse_self(actor, agent, "deactivate")
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            row = uow.people.agent(agent)
            if not row.active:
                return
            _keep_a_manager(uow, without=agent)
            row = uow.people.update_agent(agent, active=False)
            uow.sessions.remove_of(agent)
            posts = [post for post in uow.people.posts(agent) if post.valid_to is None]
            self._record_agent(uow, row, unit=posts[0].unit if posts else None, by=actor.agent, now=now)

    def people(self, actor: Actor) -> list[Person]:
        """Everybody with posts and roles."""
        self._gate.require(actor, Action.PEOPLE_LIST)
        now = self._clock.now().wall
        posts: defaultdict[AgentId, list[PostRow]] = defaultdict(list)
        roles: defaultdict[AgentId, list[RoleRow]] = defaultdict(list)
        with self._catalogue.read() as uow:
            for post in uow.people.all_posts():
                posts[post.agent].append(post)
            for grant in uow.people.all_roles():
                roles[grant.agent].append(grant)
            locks = uow.people.locks()
            return [
                Person(
                    agent=agent, posts=tuple(posts[agent.id]), roles=tuple(roles[agent.id]),
                    locked_until=locks[agent.id] if credentials.is_locked(locks.get(agent.id), now) else None,
                )
                for agent in uow.people.agents()
            ]  # fmt: skip

    # --- recorders ----------------------------------------------------------------------------------------------------
    def change_device(
        self, actor: Actor, *, device: DeviceId, label: str, unit: UnitId | None, officer: AgentId | None
    ) -> DeviceRow:
        """Say anew whose a registered recorder is, of which unit, and its label; it is entered like a registration.

        What it brought before stays with the officer and the unit of its day.

        Raises:
            AccessDeniedError: No right over the unit that gives it or over the one that takes it (entered).
            InvalidInputError: No such unit or active person, or a label no screen could show.
            StateConflictError: It is not registered, or was retired.
        """
        with self._catalogue.read() as uow:
            present = uow.devices.get(device)
        for concerned in dict.fromkeys((present.unit, unit)):
            self._gate.require(actor, Action.DEVICE_CHANGE, ObjectScope(unit=concerned), detail=device)
        label = _label(label)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            present = uow.devices.get(device)
            if present.state is not DeviceState.REGISTERED:
                raise StateConflictError("this recorder is not in use", todo="Register it first.")
            if unit is not None:
                _require_unit(uow, unit)
            if officer is not None and officer != present.officer and not uow.people.agent(officer).active:
                raise InvalidInputError("this person is not active any more")
            if (present.label, present.unit, present.officer) == (label, unit, officer):
                return present
            changed = uow.devices.update(
                device, label=label, unit=unit, officer=officer, registered_by=actor.agent, registered_at=now.wall
            )
            event = DeviceRegistered(
                actor=actor.agent, device=device, driver=changed.driver, kind=changed.kind, vendor=changed.vendor,
                model=changed.model, serial_source=changed.serial_source, unit=unit or "", serial=changed.serial,
                label=label or None, officer=officer,
            )  # fmt: skip
            self._recorder.record(uow.outbox, event, at=now)
        return changed

    # --- roles --------------------------------------------------------------------------------------------------------
    def grant_role(self, actor: Actor, *, agent: AgentId, role: str, unit: UnitId | None = None) -> None:
        """Grant a role for one unit and those below it, or everywhere. Granting it again changes nothing.

        Raises:
            AccessDeniedError: Not allowed, or the actor's own role (entered).
            InvalidInputError: No such role.
        """
        grant = self._role(actor, agent=agent, role=role, unit=unit)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            uow.people.agent(agent)
            if grant in uow.people.roles(agent):
                return
            uow.people.grant(grant)
            self._record_role(uow, grant, granted=True, by=actor.agent, now=now)

    def revoke_role(self, actor: Actor, *, agent: AgentId, role: str, unit: UnitId | None = None) -> None:
        """Take a role away; it is gone at the agent's next act.

        Raises:
            PolicyUnmetError: Nobody would be left who can manage people.
        """
        grant = self._role(actor, agent=agent, role=role, unit=unit)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            if grant not in uow.people.roles(agent):
                return
            if Action.PEOPLE_MANAGE in actions_of(role):
                _keep_a_manager(uow, without=agent)
            uow.people.revoke(grant)
            self._record_role(uow, grant, granted=False, by=actor.agent, now=now)

    # --- credentials --------------------------------------------------------------------------------------------------
    def reset_password(self, actor: Actor, *, agent: AgentId) -> str:
        """Give an agent a new one-time password; their sessions end and a lock is lifted.

        Raises:
            InvalidInputError: The agent has no log-in.
            AccessDeniedError: Not allowed, or one's own from a browser: that is changed with the old password, so that a
                stolen session stays one. On the server the account of the operating system proves the person.
        """
        scope = ObjectScope(officer=agent)
        self._gate.require(actor, Action.PEOPLE_MANAGE, scope, detail="password")
        if agent == actor.agent and actor.via == "web":
            self._gate.deny(actor, Action.PEOPLE_MANAGE, reason="own-password", scope=scope, detail="password")
        password = credentials.one_time_password()
        password_hash = credentials.hash_password(password)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            row = uow.people.agent(agent)
            if not row.login:
                raise InvalidInputError("this agent has no log-in")
            uow.people.set_credential(_credential(row, password_hash))
            uow.sessions.remove_of(agent)
            self._record_act(uow, actor, f"reset the password of {agent}", now=now)
        return password

    def bind_os_user(self, actor: Actor, *, uid: int, agent: AgentId) -> None:
        """Let commands of one account of the operating system act as this agent; the account must be personal.

        Raises:
            AccessDeniedError: Not allowed, or the account is the actor's own: nobody makes themselves act as another (entered).
        """
        scope, detail = ObjectScope(officer=agent), f"uid {uid}"
        self._gate.require(actor, Action.PEOPLE_MANAGE, scope, detail=detail)
        with self._catalogue.read() as uow:
            own = uow.people.os_user(uid) == actor.agent
        if own and agent != actor.agent:
            self._gate.deny(actor, Action.PEOPLE_MANAGE, reason="own-account", scope=scope, detail=detail)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            uow.people.agent(agent)
            uow.people.bind_os_user(uid, agent)
            self._record_act(uow, actor, f"bound operating system account {uid} to {agent}", now=now)

    def first_administrator(self, *, login: str, name: str, os_uid: int | None = None) -> FirstAdministrator:
        """Set up the first person of an empty home and the service's own agent.

        The person can run the station and manage people, and can see no footage: the roles say so.

        Raises:
            StateConflictError: The home already has agents.
        """
        now = self._clock.now()
        service = _agent(now, name="liuhen", login="", officer_code="", kind=SOFTWARE)
        agent = _agent(now, name=name, login=_text(login, "log-in"), officer_code="", kind=PERSON)
        password = credentials.one_time_password()
        password_hash = credentials.hash_password(password)
        with self._catalogue.begin() as uow:
            if uow.people.agents():
                raise StateConflictError("this home already has agents", todo="Ask an administrator for a log-in.")
            self._add(uow, service, unit=None, password_hash="", by=service.id, now=now)
            self._add(uow, agent, unit=None, password_hash=password_hash, by=service.id, now=now)
            for holder, roles in ((service, SERVICE_ROLES), (agent, FIRST_ROLES)):
                for role in roles:
                    grant = RoleRow(agent=holder.id, role=role)
                    uow.people.grant(grant)
                    self._record_role(uow, grant, granted=True, by=service.id, now=now)
            if os_uid is not None:
                uow.people.bind_os_user(os_uid, agent.id)
        return FirstAdministrator(agent=agent, one_time_password=password, roles=FIRST_ROLES, service=service)

    def restore_access(self, *, login: str) -> str:
        """After a rebuild nobody has a password (they are no evidence): give one to an agent who can manage people.

        Only while no agent at all has a credential, so that it is no way around anybody. Entered.

        Returns:
            The one-time password.

        Raises:
            StateConflictError: Somebody can still log in; ask them.
            InvalidInputError: The log-in is not that of an active agent who can manage people.
        """
        password = credentials.one_time_password()
        password_hash = credentials.hash_password(password)
        now = self._clock.now()
        with self._catalogue.begin() as uow:
            if any(agent.login and uow.people.credential(agent.login) for agent in uow.people.agents()):
                raise StateConflictError("somebody can still log in", todo="Ask them to reset the password.")
            agent = uow.people.by_login(login)
            if agent is None or not agent.active or not _manages_people(uow, agent.id):
                raise InvalidInputError("not the log-in of an active agent who can manage people")
            uow.people.set_credential(_credential(agent, password_hash))
            event = AccessAllowed(
                actor="", action=Action.PEOPLE_MANAGE, via="service", at=to_text(now.wall),
                detail=f"first password after a rebuild, for {agent.id}",
            )  # fmt: skip
            self._recorder.record(uow.outbox, event, at=now)
        return password

    # --- inside -------------------------------------------------------------------------------------------------------
    def _role(self, actor: Actor, *, agent: AgentId, role: str, unit: UnitId | None) -> RoleRow:
        self._refuse_self(actor, agent, role, unit=unit)
        if role not in ROLES:
            raise InvalidInputError(f"no role {role[:64]!r}", todo=f"Roles: {', '.join(ROLES)}.")
        return RoleRow(agent=agent, role=role, unit=unit)

    def _refuse_self(self, actor: Actor, agent: AgentId, detail: str, *, unit: UnitId | None = None) -> None:
        scope = ObjectScope(unit=unit, officer=agent)
        self._gate.require(actor, Action.PEOPLE_MANAGE, scope, detail=detail)
        if agent == actor.agent:
            self._gate.deny(actor, Action.PEOPLE_MANAGE, reason="own-rights", scope=scope, detail=detail)

    def _add(
        self, uow: UnitOfWork, agent: AgentRow, *, unit: UnitId | None, password_hash: str, by: str, now: TimeReading
    ) -> None:
        uow.people.add_agent(agent)
        if unit is not None:
            uow.people.add_post(PostRow(agent=agent.id, unit=unit, valid_from=now.wall))
        if password_hash:
            uow.people.set_credential(_credential(agent, password_hash))
        self._record_agent(uow, agent, unit=unit, by=by, now=now)

    def _record_agent(
        self, uow: UnitOfWork, agent: AgentRow, *, unit: UnitId | None, by: str, now: TimeReading
    ) -> None:
        event = AgentRecorded(
            actor=by, agent=agent.id, kind=agent.kind, unit=unit or "", valid_from=to_text(now.wall), active=agent.active,
            name=agent.name, officer_code=agent.officer_code or None, login=agent.login or None,
        )  # fmt: skip
        self._recorder.record(uow.outbox, event, at=now)

    def _record_role(self, uow: UnitOfWork, grant: RoleRow, *, granted: bool, by: str, now: TimeReading) -> None:
        event = RoleChanged(actor=by, agent=grant.agent, role=grant.role, unit=grant.unit or "", granted=granted)
        self._recorder.record(uow.outbox, event, at=now)

    def _record_act(self, uow: UnitOfWork, actor: Actor, detail: str, *, now: TimeReading) -> None:
        event = AccessAllowed(
            actor=actor.agent, action=Action.PEOPLE_MANAGE, via=actor.via, at=to_text(now.wall),
            address=actor.address or None, detail=detail,
        )  # fmt: skip
        self._recorder.record(uow.outbox, event, at=now)


def _text(untrusted: str, field: str) -> str:
    text = untrusted.strip()
    if not text or len(text) > _NAME_CHARS_MAX or not text.isprintable():
        raise InvalidInputError(f"the {field} is empty, too long or holds control characters")
    return text


def _label(untrusted: str) -> str:
    text = untrusted.strip()
    if len(text) > _LABEL_CHARS_MAX or not text.isprintable():
        raise InvalidInputError("the label is too long or holds control characters")
    return text


def _code(untrusted: str, field: str) -> str:
    text = untrusted.strip()
    if len(text) > _CODE_CHARS_MAX or not text.isprintable():
        raise InvalidInputError(f"the {field} is too long or holds control characters")
    return text


def _agent(now: TimeReading, *, name: str, login: str, officer_code: str, kind: str) -> AgentRow:
    login = login.strip()
    if kind not in (PERSON, SOFTWARE):
        raise InvalidInputError(f"no kind of agent {kind[:64]!r}")
    if login and (len(login) > _LOGIN_CHARS_MAX or any(c.isspace() or not c.isprintable() for c in login)):
        raise InvalidInputError("a log-in has no spaces or control characters", todo="Use letters, digits, dots.")
    return AgentRow(
        id=AgentId.new(unix_ms(now.wall)), kind=kind, name=_text(name, "name"), login=login,
        officer_code=_code(officer_code, "officer code"),
    )  # fmt: skip


def _credential(agent: AgentRow, password_hash: str) -> CredentialRow:
    return CredentialRow(
        agent=agent.id,
        login=agent.login,
        password_hash=password_hash,
        must_change=True,
        failed_count=0,
        locked_until=None,
    )


def _require_unit(uow: UnitOfWork, unit: UnitId) -> None:
    if all(known.id != unit for known in uow.people.units()):
        raise InvalidInputError(f"no unit {unit}")


def _require_new(uow: UnitOfWork, row: UnitRow) -> None:
    """Of two departments of one name in one place the wrong one would be chosen; an ended one stays in its past."""
    for known in uow.people.units(at=row.valid_from):
        if (known.name, known.parent) == (row.name, row.parent):
            raise StateConflictError(
                "there is a department of this name already", todo="Use it, or choose another name."
            )


def _require_free(uow: UnitOfWork, agent: AgentRow) -> None:
    if agent.login and uow.people.by_login(agent.login) is not None:
        raise StateConflictError("this log-in is taken", todo="Choose another.")
    if agent.officer_code and uow.people.by_officer_code(agent.officer_code) is not None:
        raise StateConflictError("this officer code is taken", todo="End the other agent's code first.")


def _keep_a_manager(uow: UnitOfWork, *, without: AgentId) -> None:
    """Refuse a change after which nobody could manage people: only a rebuild from outside could mend that."""
    if any(agent.id != without and agent.active and _manages_people(uow, agent.id) for agent in uow.people.agents()):
        return
    raise PolicyUnmetError("nobody would be left who can manage people", todo="Grant the role to another person first.")


def _manages_people(uow: UnitOfWork, agent: AgentId) -> bool:
    return any(
        grant.unit is None and Action.PEOPLE_MANAGE in actions_of(grant.role) for grant in uow.people.roles(agent)
    )
