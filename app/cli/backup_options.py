"""Options that backup, its examination and restore share: how a bucket is reached, and what opens encrypted backups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from app.settings import BackupS3Settings
from evidence.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)


def bucket_options(function: F) -> F:
    """``--endpoint`` and its companions; without them the settings of the home say how a bucket is reached."""
    for option in (
        click.option("--domain", default="", help="Failure domain of a server on this machine."),
        click.option("--ca-file", type=_FILE, help="Certificates the server's is checked against."),
        click.option("--region", default="us-east-1", help="Region that requests are signed for."),
        click.option("--secret-key-file", type=_FILE, help="File with the secret key of the bucket."),
        click.option("--access-key-file", type=_FILE, help="File with the access key of the bucket."),
        click.option("--endpoint", default="", help="Address of the server of an s3:// target."),
    ):
        function = option(function)
    return function


def opening_options(function: F) -> F:
    """``--passphrase-file`` and ``--identity``."""
    for option in (
        click.option("--identity", type=_FILE, help="Private key (PEM) that opens backups made for a recipient."),
        click.option("--passphrase-file", type=_FILE, help="File whose first line is the passphrase (mode 0600)."),
    ):
        function = option(function)
    return function


def bucket_of(
    *, endpoint: str, access_key_file: Path | None, secret_key_file: Path | None, region: str, ca_file: Path | None,
    domain: str,
) -> BackupS3Settings | None:  # fmt: skip
    """How a bucket is reached, from the options; None without ``--endpoint``."""
    if not endpoint:
        return None
    if access_key_file is None or secret_key_file is None:
        raise UsageError("--endpoint also needs --access-key-file and --secret-key-file")
    return BackupS3Settings(
        endpoint=endpoint, access_key_file=access_key_file, secret_key_file=secret_key_file, region=region, ca_file=ca_file,
        domain=domain,
    )  # fmt: skip
