"""What commands share: options, language, output, who acts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from api.web.i18n import DEFAULT_LANGUAGE, LANGUAGES, translate
from app.control import RemoteError
from app.home import Home
from app.settings import home_from
from evidence.errors import EvidenceError, UsageError
from evidence.model import Actor

if TYPE_CHECKING:  # building a home takes the whole program; commands that only tell a path do without
    from app.wiring import House

F = TypeVar("F", bound=Callable[..., Any])
PASSWORD_VARIABLE = "LIUHEN_PASSWORD"  # noqa: S105 - the name of a variable
MASTER_VARIABLE = "LIUHEN_NEW_PASSPHRASE"
PASSPHRASE_CHARS_MIN = 12
NEW_PASSWORD_VARIABLE = "LIUHEN_NEW_PASSWORD"  # noqa: S105 - the name of a variable


def language() -> str:
    """``LIUHEN_LANG``, else the locale where it names one of our languages, else Chinese."""
    chosen = os.environ.get("LIUHEN_LANG", "")
    if chosen in LANGUAGES:
        return chosen
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "en" if locale.startswith("en") else DEFAULT_LANGUAGE


def say(message: str, **values: object) -> str:
    """A message in the command's language."""
    return translate(message, language(), **values)


def home_option(function: F) -> F:
    """``--home``."""
    return click.option("--home", metavar="DIR", help="Home of the station (or LIUHEN_HOME).")(function)


def json_option(function: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")(function)


def identity_options(function: F) -> F:
    """``--as``: a personal log-in; without it the agent bound to the account of the operating system acts."""
    return click.option(
        "--as",
        "login",
        metavar="LOGIN",
        default="",
        help=f"Act as this person (password from {PASSWORD_VARIABLE} or asked).",
    )(function)


def the_home(option: str | None) -> Home:
    """The home that ``--home`` or ``LIUHEN_HOME`` names."""
    return Home(home_from(option))


def password_for(login: str) -> str:
    """The password of ``--as``: from the environment, else asked on the terminal."""
    if not login:
        return ""
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is None:
        if not sys.stdin.isatty():
            raise UsageError(f"no password for {login}", todo=f"Set {PASSWORD_VARIABLE}.")
        given = str(click.prompt(say("Password"), hide_input=True))
    return given


def new_password() -> str:
    """A new password: from the environment, else asked twice on the terminal."""
    given = os.environ.get(NEW_PASSWORD_VARIABLE)
    if given is None:
        if not sys.stdin.isatty():
            raise UsageError("no new password", todo=f"Set {NEW_PASSWORD_VARIABLE}.")
        given = str(click.prompt(say("New password"), hide_input=True, confirmation_prompt=True))
    return given


def master_passphrase(*, ask: bool = True) -> str:
    """The passphrase of a master key: from the environment, else asked twice on the terminal; empty has one made.

    Raises:
        UsageError: It is too short to protect anything.
    """
    given = os.environ.get(MASTER_VARIABLE, "")
    if not given and ask and sys.stdin.isatty():
        given = str(
            click.prompt(
                say("Passphrase of the master key (empty: one is made)"),
                hide_input=True,
                confirmation_prompt=True,
                default="",
                show_default=False,
            )
        )
    if given and len(given) < PASSPHRASE_CHARS_MIN:
        raise UsageError(f"the passphrase has fewer than {PASSPHRASE_CHARS_MIN} characters")
    return given


def terminal() -> str:
    """The terminal the command runs on, for entries."""
    with contextlib.suppress(OSError):
        return os.ttyname(sys.stdin.fileno())
    return ""


@contextlib.contextmanager
def acting(
    option: str | None, login: str, password: str | None = None, *, absent_ok: bool = False
) -> Iterator[tuple[House, Actor]]:
    """A home's objects and who acts, for one command: the person of ``--as``, else the agent bound to this account.

    A password that was not asked yet is asked before anything is opened.
    """
    from app.wiring import opened

    password = password_for(login) if password is None else password
    with opened(the_home(option), absent_ok=absent_ok) as house:
        yield house, house.identity.cli_actor(os.getuid(), login=login, password=password, terminal=terminal())


def print_json(value: object) -> None:
    """One JSON value."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def code_of(error: EvidenceError) -> str:
    """The error's code, also where the service told it."""
    return error.remote_code if isinstance(error, RemoteError) else error.code


def report_error(error: EvidenceError, *, as_json: bool) -> int:
    """Tell an error: its meaning in the reader's language, what happened, what was kept, what to do. Returns the status."""
    code = code_of(error)
    status = error.remote_exit_code if isinstance(error, RemoteError) else error.exit_code
    if as_json:
        told: dict[str, Any] = {"code": code, "what": error.what, "kept": error.kept, "todo": error.todo}
        told |= {name: value for name in ("reason", "fields") if (value := getattr(error, name, None))}
        click.echo(json.dumps({"error": told}, ensure_ascii=False), err=True)
        return status
    from api.web import custody_words, matter_words, words
    from matters.turn import ActRefusedError
    from matters.values import FormError

    title = say(words.ERRORS.get(code, "This did not work"))
    if isinstance(error, ActRefusedError):
        told_words = [
            say(text, **error.values) for text in (error.message, error.advice, "Nothing was entered.") if text
        ]
        click.secho(f"{title}: {' '.join(told_words)} [{code}]", fg="red", err=True)
        return status
    click.secho(f"{title}: {error.diagnostics()} [{code}]", fg="red", err=True)
    if isinstance(error, FormError):
        for name, wrong in error.fields.items():
            word = matter_words.WRONG.get(wrong)
            click.secho(f"  {name}: {say(word) if word else wrong}", fg="red", err=True)
    why = custody_words.DENIALS.get(getattr(error, "reason", ""))
    if why:
        click.secho(f"  {say(why)}", fg="red", err=True)
    return status


@contextlib.contextmanager
def transfer_bar(*, hidden: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A progress bar on standard error: bytes, rate, remaining time. Nothing at all when hidden or not on a terminal."""
    console = Console(stderr=True)
    if hidden or not console.is_terminal:
        yield lambda _row: None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(say("Offload"), total=None)

        def update(row: dict[str, Any]) -> None:
            progress.update(
                task, completed=row["bytes_done"], total=row["bytes_total"] or None,
                description=f"{say('Offload')} {row['files_done']}/{row['files_total']}",
            )  # fmt: skip

        yield update


@contextlib.contextmanager
def step_bar(*, hidden: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for steps with counts."""
    console = Console(stderr=True)
    if hidden or not console.is_terminal:
        yield lambda _step, _done, _total: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        console=console,
        transient=True,
    ) as progress:
        tasks: dict[str, Any] = {}

        def update(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total or None)
            progress.update(tasks[step], completed=done, total=total or None)

        yield update
