"""Units, people, roles."""

from __future__ import annotations

from access import Person
from api.schemas.common import Answer, Moment, Request, Short
from catalogue.records import UnitRow


class UnitAnswer(Answer):
    """A department."""

    id: str
    name: str
    code: str
    parent: str
    valid_from: Moment
    valid_to: Moment | None


class RoleAnswer(Answer):
    """A granted role; an empty unit means everywhere."""

    role: str
    unit: str


class PersonAnswer(Answer):
    """A person."""

    id: str
    name: str
    login: str
    officer_code: str
    active: bool
    locked_until: Moment | None
    units: list[str]
    roles: list[RoleAnswer]


class UnitRequest(Request):
    """A new department."""

    name: Short
    code: Short = ""
    parent: str = ""


class AgentRequest(Request):
    """A new person; with a ``login`` they get a one-time password."""

    name: Short
    login: Short = ""
    officer_code: Short = ""
    unit: str = ""


class NewAgentAnswer(Answer):
    """The new person; the one-time password is told only here."""

    id: str
    one_time_password: str


class RoleRequest(Request):
    """A role to grant or take away."""

    role: Short
    unit: str = ""


class TransferRequest(Request):
    """The department a person moves to."""

    unit: str


class PasswordAnswer(Answer):
    """A new one-time password."""

    one_time_password: str


def unit_answer(row: UnitRow) -> UnitAnswer:
    """One unit as the API tells it."""
    return UnitAnswer(
        id=row.id,
        name=row.name,
        code=row.code,
        parent=row.parent or "",
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def person_answer(person: Person) -> PersonAnswer:
    """One person as the API tells it."""
    return PersonAnswer(
        id=person.agent.id, name=person.agent.name, login=person.agent.login, officer_code=person.agent.officer_code,
        active=person.agent.active, locked_until=person.locked_until,
        units=[post.unit for post in person.posts if post.valid_to is None],
        roles=[RoleAnswer(role=grant.role, unit=grant.unit or "") for grant in person.roles],
    )  # fmt: skip
