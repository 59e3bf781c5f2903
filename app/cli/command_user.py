"""``liuhen user``: people, units, roles. Each act needs the right to manage people and is entered."""

from __future__ import annotations

import pwd
from typing import Final

import click

from app.cli.common import (
    acting,
    home_option,
    identity_options,
    json_option,
    new_password,
    password_for,
    print_json,
    say,
    terminal,
    the_home,
)
from app.wiring import House
from evidence.errors import NotFoundError, UsageError
from evidence.ids import AgentId, UnitId
from people.roles import ROLES

#: The largest number an account can have; the one above stands for "none".
_UID_MAX: Final = 2**32 - 2


@click.group()
def user() -> None:
    """People, units, roles, one-time passwords."""


def _agent(house: House, text: str) -> AgentId:
    """An agent by identity, log-in or officer number."""
    if text.startswith(AgentId.prefix + "_"):
        return AgentId(text)
    with house.catalogue.read() as uow:
        found = uow.people.by_login(text) or uow.people.by_officer_code(text)
    if found is None:
        raise NotFoundError(f"nobody has the log-in or officer number {text!r}")
    return found.id


@user.command("list")
@home_option
@json_option
@identity_options
def list_(home: str | None, *, as_json: bool, login: str) -> None:
    """List people with their roles."""
    with acting(home, login) as (house, actor):
        people = house.administration.people(actor)
    told = [
        {
            "id": p.agent.id, "name": p.agent.name, "login": p.agent.login, "officer_code": p.agent.officer_code,
            "active": p.agent.active, "units": [post.unit for post in p.posts if post.valid_to is None],
            "roles": [{"role": grant.role, "unit": grant.unit or ""} for grant in p.roles],
        }
        for p in people
    ]  # fmt: skip
    if as_json:
        print_json(told)
        return
    for row in told:
        click.echo(f"{row['id']}  {row['login']!s:<16} {row['officer_code']!s:<10} {row['name']}  {row['roles']}")


@user.command()
@click.argument("name")
@home_option
@json_option
@identity_options
@click.option("--login", "new_login", default="", help="Log-in; a one-time password is made.")
@click.option("--officer-code", default="", help="Number that recorders write into file names.")
@click.option("--unit", default="", help="Identity of the unit.")
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(sorted(ROLES)), help="Role to grant; may be repeated."
)
def create(
    name: str, *, home: str | None, as_json: bool, login: str, new_login: str, officer_code: str, unit: str,
    roles: tuple[str, ...],
) -> None:  # fmt: skip
    """Add a person."""
    where = UnitId(unit) if unit else None
    with acting(home, login) as (house, actor):
        made = house.administration.create_agent(
            actor, name=name, login=new_login, officer_code=officer_code, unit=where
        )
        for role in roles:
            house.administration.grant_role(actor, agent=made.agent.id, role=role, unit=where)
    if as_json:
        print_json({"id": made.agent.id, "login": made.agent.login, "one_time_password": made.one_time_password})
        return
    click.echo(f"{made.agent.id}  {made.agent.name}")
    if made.one_time_password:
        click.echo(say("One-time password (shown only now): {password}", password=made.one_time_password))


@user.command("create-unit")
@click.argument("name")
@home_option
@json_option
@identity_options
@click.option("--code", default="")
@click.option("--parent", default="", help="Identity of the unit above.")
def create_unit(name: str, *, home: str | None, as_json: bool, login: str, code: str, parent: str) -> None:
    """Add a unit."""
    with acting(home, login) as (house, actor):
        row = house.administration.create_unit(actor, name=name, code=code, parent=UnitId(parent) if parent else None)
    if as_json:
        print_json({"id": row.id, "name": row.name})
    else:
        click.echo(f"{row.id}  {row.name}")


@user.command()
@click.argument("agent")
@click.argument("role", type=click.Choice(sorted(ROLES)))
@home_option
@json_option
@identity_options
@click.option("--unit", default="", help="Only for this unit and those below it.")
@click.option("--revoke", is_flag=True, help="Take the role away.")
def role(agent: str, role: str, *, home: str | None, as_json: bool, login: str, unit: str, revoke: bool) -> None:
    """Grant ROLE to AGENT (identity, log-in or officer number), or take it away."""
    with acting(home, login) as (house, actor):
        act = house.administration.revoke_role if revoke else house.administration.grant_role
        who = _agent(house, agent)
        act(actor, agent=who, role=role, unit=UnitId(unit) if unit else None)
    if as_json:
        print_json({"id": who, "role": role, "unit": unit, "granted": not revoke})


@user.command()
@click.argument("agent")
@click.argument("unit")
@home_option
@json_option
@identity_options
def transfer(agent: str, unit: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Move AGENT to UNIT (its identity) from now on; the time before keeps the unit before."""
    with acting(home, login) as (house, actor):
        who, where = _agent(house, agent), UnitId(unit)
        house.administration.transfer(actor, agent=who, unit=where)
    if as_json:
        print_json({"id": who, "unit": where})
    else:
        click.echo(f"{who}  → {where}")


@user.command()
@click.argument("agent")
@home_option
@json_option
@identity_options
def deactivate(agent: str, *, home: str | None, as_json: bool, login: str) -> None:
    """End AGENT's right to act, and their sessions; what they did stays theirs. Nobody deactivates themselves."""
    with acting(home, login) as (house, actor):
        who = _agent(house, agent)
        house.administration.deactivate(actor, agent=who)
    if as_json:
        print_json({"id": who, "active": False})
    else:
        click.echo(f"{who}  " + say("Deactivated"))


@user.command()
@click.argument("agent")
@home_option
@json_option
@identity_options
@click.option("--uid", type=click.IntRange(0, _UID_MAX), help="Number of the account.")
@click.option("--os-user", default="", help="Name of the account on this machine.")
def bind(agent: str, *, home: str | None, as_json: bool, login: str, uid: int | None, os_user: str) -> None:
    """Let commands of one account of this machine act as AGENT without a password. The account must be theirs alone.

    A binding of that account before is replaced; both are entered.
    """
    if (uid is None) == (not os_user):
        raise UsageError("give either --uid or --os-user")
    number = _uid_of(os_user) if uid is None else uid
    with acting(home, login) as (house, actor):
        who = _agent(house, agent)
        house.administration.bind_os_user(actor, uid=number, agent=who)
    if as_json:
        print_json({"id": who, "uid": number})
    else:
        click.echo(say("Commands of account {uid} now act as {who}.", uid=number, who=agent))


def _uid_of(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError) as error:  # ValueError: a NUL in the name
        raise NotFoundError(f"this machine has no account {name!r}") from error


@user.command("reset-password")
@click.argument("agent")
@home_option
@json_option
@identity_options
def reset_password(agent: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Give AGENT a new one-time password; all their sessions end."""
    with acting(home, login) as (house, actor):
        password = house.administration.reset_password(actor, agent=_agent(house, agent))
    if as_json:
        print_json({"one_time_password": password})
    else:
        click.echo(say("One-time password (shown only now): {password}", password=password))


@user.command()
@click.argument("login")
@home_option
@json_option
def passwd(login: str, *, home: str | None, as_json: bool) -> None:
    """Change one's own password (a one-time password too): the old one from LIUHEN_PASSWORD, the new one from
    LIUHEN_NEW_PASSWORD, or both asked. Every session of LOGIN ends.
    """  # noqa: D205 - click shows the whole sentence
    from app.wiring import opened

    old, new = password_for(login), new_password()
    with opened(the_home(home)) as house:
        proved = house.identity.log_in(login, password=old, address=terminal(), via="cli")
        house.identity.change_password(proved.actor, old=old, new=new)
    if as_json:
        print_json({"login": login, "changed": True})
    else:
        click.echo(say("The password was changed."))
