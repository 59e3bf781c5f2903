"""``liuhen``: puts the commands together and turns our errors into exit codes."""

from __future__ import annotations

import sys

import click

from app.cli import (
    command_demo,
    command_devices,
    command_doctor,
    command_ingest,
    command_init,
    command_log,
    command_rebuild,
    command_recordings,
    command_serve,
    command_storage,
    command_user,
    command_verify,
)
from app.cli.common import report_error
from app.logging import configure
from evidence.errors import EvidenceError

_VERSION = "0.1.0"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(_VERSION, prog_name="liuhen")
@click.option("--verbose", is_flag=True, help="Tell more on standard error.")
def cli(*, verbose: bool) -> None:
    """Liuhen 留痕: evidence service for body-worn recorders.

    Exit status: 0 good, 1 tamper or loss found, 2 usage, 3 sound but a policy is not met, then one per error family
    (docs/formats/cli.md).
    """
    configure(verbose=verbose)


for _command in (
    command_init.init, command_serve.serve, command_ingest.ingest, command_devices.devices,
    command_recordings.recordings, command_storage.storage, command_verify.verify, command_log.log,
    command_rebuild.rebuild, command_user.user, command_doctor.doctor, command_demo.demo,
):  # fmt: skip
    cli.add_command(_command)


def main() -> None:
    """Entry point of the ``liuhen`` program."""
    as_json = "--json" in sys.argv[1:]
    try:
        cli(standalone_mode=False)
    except EvidenceError as error:
        sys.exit(report_error(error, as_json=as_json))
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away
        sys.exit(141)


if __name__ == "__main__":
    main()
