"""``liuhen log``: the custody log for outsiders."""

from __future__ import annotations

import os
from pathlib import Path

import click

from app.cli.common import acting, home_option, identity_options, json_option, print_json, say, step_bar, the_home
from chain_of_custody import NoteVerifier, keys
from chain_of_custody.fsck import Signatures, verify_published
from chain_of_custody.reader import LogReader
from evidence.durable import publish_new
from evidence.errors import BlobConflictError, IntegrityError, StoreError, UsageError
from evidence.ids import RecordingId


@click.group()
def log() -> None:
    """The published custody log: path, key, proofs, audit."""


def _verifier(home: str | None) -> tuple[Path, NoteVerifier]:
    target = the_home(home)
    settings = target.require()
    return target.public_log, NoteVerifier.of(settings.station.origin, keys.load(target.log_key))


@log.command()
@home_option
@json_option
def path(home: str | None, *, as_json: bool) -> None:
    """Print the published directory: copy it as it is, any C2SP tlog-tiles verifier reads it."""
    target = the_home(home)
    target.require()
    if as_json:
        print_json({"path": str(target.public_log)})
    else:
        click.echo(target.public_log)


@log.command()
@home_option
@json_option
def vkey(home: str | None, *, as_json: bool) -> None:
    """Print the verifier key of the log. Hand it over apart from the log."""
    text = _verifier(home)[1].text()
    if as_json:
        print_json({"vkey": text})
    else:
        click.echo(text)


@log.command()
@home_option
@json_option
def checkpoint(home: str | None, *, as_json: bool) -> None:
    """Print the newest published checkpoint (a signed note)."""
    directory, verifier = _verifier(home)
    reader = LogReader(directory, verifier=verifier)
    head = reader.checkpoint()
    if as_json:
        print_json({"origin": head.origin, "size": head.size, "root": head.root.hex(), "note": reader.note().decode()})
    else:
        click.echo(reader.note().decode(), nl=False)


@log.command()
@click.argument("recording")
@home_option
@json_option
@identity_options
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write.")
def proof(recording: str, *, home: str | None, as_json: bool, login: str, output: Path) -> None:
    """Write the proof bundle of one recording (c2sp.org/tlog-proof): with it and the media an outsider can check."""
    from app.proofs import ProofDesk

    output = output.absolute()
    if not output.parent.is_dir():  # looked at before anything is entered
        raise UsageError(f"there is no folder {output.parent}", todo="Make it, or choose another file.")
    if os.path.lexists(output):
        raise UsageError(f"{output} exists", kept="It was not touched.", todo="Choose another file.")
    with acting(home, login) as (house, actor):
        desk = ProofDesk(
            house.catalogue, gate=house.gate, published=house.home.public_log, verifier=house.sealer.verifier
        )
        data = desk.bundle(actor, RecordingId(recording))
    try:
        publish_new(output, data, mode=0o644)
    except BlobConflictError as error:
        raise UsageError(f"{output} exists", kept="It was not touched.", todo="Choose another file.") from error
    except OSError as error:
        raise StoreError(f"cannot write {output}: {error.strerror}") from error
    if as_json:
        print_json({"path": str(output), "size_bytes": len(data)})
    else:
        click.echo(say("Proof written: {path}", path=output))


@log.command()
@home_option
@json_option
@click.option("--signatures", type=click.Choice([choice.value for choice in Signatures]), default=Signatures.ALL.value)
def audit(home: str | None, *, as_json: bool, signatures: str) -> None:
    """Walk the published log alone: bundles, tiles, checkpoint, every entry's signature and sequence."""
    directory, verifier = _verifier(home)
    with step_bar(hidden=as_json) as bar:
        report = verify_published(
            directory,
            verifier.text(),
            signatures=Signatures(signatures),
            progress=lambda done, total: bar("log", done, total),
        )
    findings = [{"kind": str(f.kind), "detail": f.detail, "index": f.index} for f in report.findings]
    if as_json:
        print_json({"sound": report.sound, "entries": report.entries, "findings": findings})
    else:
        for finding in findings:
            click.echo(f"  {finding['kind']} {finding['index']} {finding['detail']}")
        click.echo(say("{n} entries examined.", n=report.entries))
    if not report.sound:
        raise click.exceptions.Exit(IntegrityError.exit_code)
