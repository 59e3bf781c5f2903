"""``liuhen``: puts the commands together and turns our errors into exit codes."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from typing import Final

import click

from app.cli.common import print_json, report_error
from app.logging import configure
from evidence.errors import EvidenceError, UsageError

_VERSION: Final = "0.1.0"
#: 128 + SIGINT and 128 + SIGPIPE: what a shell expects of an ended or unheard program.
_INTERRUPTED: Final = 130
_UNHEARD: Final = 141
_COMMANDS: Final = (
    "init", "serve", "ingest", "devices", "recordings", "storage", "verify", "fixity", "findings", "retention",
    "disposal", "absence", "hold", "use", "matter", "case", "disc", "statistics", "brake", "log", "rebuild", "backup",
    "restore", "keys", "user", "doctor", "demo",
)  # fmt: skip


class _Commands(click.Group):
    """Commands by name; each is imported when it is wanted, so that a small one answers quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"app.cli.command_{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(_VERSION, prog_name="liuhen")
@click.option("--verbose", is_flag=True, help="Tell more on standard error.")
def cli(*, verbose: bool) -> None:
    """Liuhen 留痕: evidence service for body-worn recorders.

    Exit status: 0 good, 1 tamper or loss found, 2 usage, 3 sound but a policy is not met, then one per error family
    (docs/formats/cli.md).
    """
    configure(verbose=verbose)


def run(arguments: list[str]) -> int:  # noqa: PLR0911 - one return per way of ending
    """Run one command; returns its exit status. Status 1 means tamper or loss, so nothing else may end with it."""
    as_json = "--json" in arguments
    if sorted(arguments) == ["--json", "--version"]:
        print_json({"version": _VERSION})
        return 0
    try:
        with cli.make_context("liuhen", arguments) as context:
            cli.invoke(context)
            return 0
    except EvidenceError as error:
        return report_error(error, as_json=as_json)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        if as_json and not isinstance(error, click.exceptions.NoArgsIsHelpError):
            return report_error(UsageError(error.format_message(), todo="See `liuhen --help`."), as_json=True)
        error.show()
        return UsageError.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away; what is left in the buffer must not complain when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNHEARD
    except Exception:
        logging.getLogger(__name__).exception("a defect of the program")
        broken = EvidenceError("the program broke", todo="Please report it with the lines above.")
        return report_error(broken, as_json=as_json)


def _never_unspeakable(*, as_json: bool) -> None:
    """JSON is UTF-8 everywhere; a terminal that has no sign for a letter is shown its number, and the command goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")


def main() -> None:
    """Entry point of the ``liuhen`` program."""
    _never_unspeakable(as_json="--json" in sys.argv)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
