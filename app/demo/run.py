"""The demonstration: a home, three docked sources, the main job by the service's own docks, and where to look.

The sources are laid out once; a second run docks the same recorders again and finds everything known. Nothing here has a path
of its own through the product: registration, offload, sealing and clearing rules are those of ``serve``.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from api.web.i18n import translate
from app.cli.command_serve import listen, serve_app
from app.control_server import ControlServer
from app.demo.footage import MTP_SERIAL, OFFICER_CODE, Sources, lay_out
from app.demo.mtp_recorder import plug_in
from app.home import Home, first_config
from app.serving import Running, running
from app.settings import Settings
from app.setup import set_up
from app.web_services import auditor_of
from app.wiring import House
from evidence.clock import Clock, SystemClock
from evidence.errors import ConfigError, DeviceBusyError, EvidenceError
from evidence.model import Actor, RecordingState
from evidence.ports import DockedDevice

_ADMIN: Final = "admin"
_HOST: Final = "127.0.0.1"
_UNIT_CODE: Final = "demo"
_PATIENCE_S: Final = 600.0
_TICK_S: Final = 0.5
#: Demonstration log-ins beside the first administrator: name, log-in, officer number, roles.
_PEOPLE: Final = (
    ("示例执法人员 (demo officer)", "officer", OFFICER_CODE, ("officer",)),
    ("示例法制审核 (demo reviewer)", "reviewer", "", ("legal_reviewer",)),
    ("示例审计员 (demo auditor)", "auditor", "", ("auditor",)),
)


def _both(message: str, **values: object) -> str:
    return f"{translate(message, 'zh-CN', **values)} / {translate(message, 'en', **values)}"


def _settings_with(home: Home, sources: Sources, usb_address: str) -> Settings:
    """The home's settings with the demonstration's docks in place of real ones."""
    settings = home.require()
    docks = settings.docks.model_copy(
        update={
            "folders": (sources.mass_storage,), "mount_roots": (), "watch_folders": (sources.watch_folder,), "usb": False,
            "usb_over_ip": (usb_address,), "watch_stable_s": 1.0,
        }
    )  # fmt: skip
    return settings.model_copy(update={"docks": docks})


def _first_run(home: Home, clock: Clock) -> dict[str, str]:
    """Set the home up where there is none; the one-time password by log-in."""
    if home.config.exists():
        return {}
    made = set_up(
        home, config=first_config(station="demo-station", origin="liuhen.local/demo-station", clearing="never"),
        login=_ADMIN, os_uid=os.getuid(), clock=clock,
    )  # fmt: skip
    return {_ADMIN: made.one_time_password}


def people(house: House, actor: Actor, *, first: dict[str, str]) -> dict[str, str]:
    """Make who is missing of the demonstration's people.

    Args:
        house: The demonstration's home.
        actor: Its first administrator.
        first: One-time passwords made in this run already.

    Returns:
        One-time passwords by log-in, of everybody who has not chosen one: an earlier run may have been ended before it told.
    """
    told = dict(first)
    with house.catalogue.read() as uow:
        known = {agent.login: agent.id for agent in uow.people.agents() if agent.login}
        held = {login: {grant.role for grant in uow.people.roles(agent)} for login, agent in known.items()}
        unit = next((row for row in uow.people.units() if row.code == _UNIT_CODE), None)
    unit = unit or house.administration.create_unit(actor, name="示例中队 (demo unit)", code=_UNIT_CODE)
    for name, login, code, roles in _PEOPLE:
        if login not in known:
            made = house.administration.create_agent(actor, name=name, login=login, officer_code=code, unit=unit.id)
            known[login], told[login] = made.agent.id, made.one_time_password
        for role in sorted(set(roles) - held.get(login, set())):
            house.administration.grant_role(actor, agent=known[login], role=role)
    for login in (_ADMIN, *(login for _, login, _, _ in _PEOPLE)):
        with house.catalogue.read() as uow:
            credential = uow.people.credential(login)
        if login not in told and credential is not None and credential.must_change:
            told[login] = house.administration.reset_password(actor, agent=known[login])
    return {login: told[login] for login in known if login in told}


def register_all(at_work: Running, actor: Actor, *, patience_s: float = _PATIENCE_S) -> list[DockedDevice]:
    """A person registers each docked recorder: the demonstration's first administrator, by name. Returns what is docked.

    The service's own docks look at the same recorders meanwhile: one that is being read is waited for, not taken away.

    Raises:
        DeviceBusyError: It was read all the time.
    """
    house = at_work.house
    with house.catalogue.read() as uow:
        known = {device.driver for device in uow.devices.all()}
        known |= {f"{name}_over_ip" for name in known}  # the same recorder, whichever way its USB comes
        officer = uow.people.by_officer_code(OFFICER_CODE)
        units = uow.people.units()
    end = time.monotonic() + patience_s
    docks = house.registry.scan()
    for docked in docks:
        if docked.driver in known:
            continue
        while True:
            try:
                at_work.offloads.register_device(
                    docked, actor, unit=units[0].id if units else None, officer=officer.id if officer else None,
                    label=_label(docked),
                )  # fmt: skip
                break
            except DeviceBusyError:
                if time.monotonic() >= end or at_work.stop.wait(_TICK_S):
                    raise
    at_work.autodock.hint()
    return docks


def _label(docked: DockedDevice) -> str:
    return {
        "mass_storage": "执法记录仪 8800001", "mtp_over_ip": f"执法记录仪 {MTP_SERIAL}", "watch_folder": "4G 回传文件夹",
    }.get(docked.driver, docked.driver)  # fmt: skip


def wait_until_sealed(
    at_work: Running, docks: Sequence[DockedDevice], *, patience_s: float, tell: Callable[[str], None]
) -> bool:
    """Until every source was read in this run and every recording of theirs is sealed and described.

    Recorders that somebody registered besides, and what is left of them to read, are not waited for.

    Args:
        at_work: The running home.
        docks: The demonstration's sources.
        patience_s: Seconds after which the answer is no.
        tell: Told of each change once.
    """
    told, end = "", time.monotonic() + patience_s
    while time.monotonic() < end and not at_work.stop.is_set():
        read = [
            outcome for one in docks if (outcome := at_work.offloads.outcome(one)) is not None and not outcome.error
        ]
        devices = {outcome.device for outcome in read}
        with at_work.house.catalogue.read() as uow:
            every = [uow.recordings.get(one) for one in uow.recordings.all_ids()]
        rows = [row for row in every if row.device in devices and row.state is not RecordingState.DUPLICATE]
        kept = [row for row in rows if row.state in {RecordingState.STORED, RecordingState.RELEASED}]
        done = [row for row in kept if row.sealed and row.described]
        text = f"{len(read)}/{len(docks)} · {len(done)}/{len(rows)}"
        if text != told:
            tell(text)
            told = text
        if len(read) == len(docks) and len(done) == len(rows):
            return True
        time.sleep(_TICK_S)
    return False


def _listen(wanted: int) -> socket.socket:
    """A socket on the wanted port, or on a free one where it is taken (another demonstration may be running).

    It is taken before the work begins: the address told at the end is ours, and whoever calls it early is answered then.
    """
    try:
        return listen(_HOST, wanted)
    except ConfigError:
        return listen(_HOST, 0)


def _program() -> str:
    """How to call the ``liuhen`` of this environment from here."""
    return os.path.relpath(Path(sys.prefix) / "bin" / "liuhen")


def _summary(at_work: Running, *, port: int, passwords: dict[str, str], seconds: float) -> None:
    house = at_work.house
    with house.catalogue.read() as uow:
        rows = [uow.recordings.get(one) for one in uow.recordings.all_ids()]
        waiting = sorted({name for row in uow.offloads.recent(limit=50) for name in row.waiting})
    click.echo("")
    for row in sorted(rows, key=lambda one: one.name):
        state = (
            "重复 duplicate" if row.state is RecordingState.DUPLICATE else "已封存 sealed" if row.sealed else row.state
        )
        note = f"  隔离待查 quarantine: {row.quarantine_reason}" if row.quarantine_reason else ""
        click.echo(f"  {state:<16} {row.size_bytes:>10} B  {row.name}{note}")
    for name in waiting:
        click.echo(f"  正在写入 waiting   {'':>10}    {name}")
    click.echo("")
    click.echo(_both("{n} recordings are sealed.", n=sum(1 for row in rows if row.sealed)) + f"  ({seconds:.1f} s)")
    click.echo("")
    click.secho(f"  http://{_HOST}:{port}/", bold=True)
    for login, password in passwords.items():
        click.echo(f"  {login:<10} {password}   " + _both("one-time password, to be changed at the first log-in"))
    if not passwords:
        click.echo("  " + _both("The log-ins are those of the first run."))
    click.echo("")
    click.echo(_both("What to look at:"))
    click.echo("  admin     / (采集墙 dock wall), /devices, /system, /people")
    click.echo("  officer   /my (我的录像交齐了吗 are my recordings in?)")
    click.echo("  reviewer  /recordings (播放 play, 保管链 chain of custody, 立即校验 verify now)")
    click.echo("  auditor   /findings, /recordings")
    home = house.home.root
    click.echo(f"  {_program()} verify --home {home}")
    click.echo(f"  python3 verifier/liuhen_verify.py log {house.home.public_log} --vkey '{house.vkey}'")
    click.echo("")


def run_demo(home: Home, *, port: int, once: bool) -> None:
    """Run the demonstration.

    Args:
        home: Its home; made when it is not there.
        port: Port of the pages on loopback, 0 for a free one.
        once: End after the main job instead of serving.

    Raises:
        ConfigError: Sample recordings are missing, or the main job did not come to its end.
    """
    clock = SystemClock()
    began = time.monotonic()
    sources = lay_out(home.root.with_name(home.root.name + "-recorders"), clock.now().wall)
    first = _first_run(home, clock)
    usb_address = plug_in(sources.mtp_storage, serial=MTP_SERIAL)
    settings = _settings_with(home, sources, usb_address)
    with _listen(port) as pages, running(home, settings, clock=clock) as at_work:
        number = pages.getsockname()[1]
        control = ControlServer(at_work, home.socket)
        control.start()
        try:
            actor = at_work.house.identity.cli_actor(os.getuid(), terminal="demo")
            passwords = people(at_work.house, actor, first=first)
            docks = register_all(at_work, actor)
            click.echo(_both("Docked: a mounted recorder, an MTP recorder over USB, a watched folder. Reading…"))
            if not wait_until_sealed(at_work, docks, patience_s=_PATIENCE_S, tell=lambda t: click.echo(f"  {t}")):
                raise ConfigError(
                    "the recordings were not all sealed in time", todo="See the messages above and /system."
                )
            _summary(at_work, port=number, passwords=passwords, seconds=time.monotonic() - began)
            if once:
                _verify(at_work, actor)
                return
            click.echo(_both("Serving until Ctrl-C."))
            serve_app(at_work, host=_HOST, port=number, listening=pages)
        finally:
            control.stop()


def _verify(at_work: Running, actor: Actor) -> None:
    report = auditor_of(at_work.house).verify(actor)
    click.echo(f"verify: {report.verdict} · {report.entries} entries · {report.copies} copies")
    if report.exit_code == 1:
        raise EvidenceError("the verification of the demonstration found damage")
