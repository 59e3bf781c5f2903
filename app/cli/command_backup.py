"""``liuhen backup``: make one, list them, examine one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from api.web import words
from app.backing_up import BackupWish, Made, make_backup
from app.backup_targets import Unlocking, opened, place_of
from app.cli.backup_options import bucket_of, bucket_options, opening_options
from app.cli.common import (
    acting,
    home_option,
    identity_options,
    json_option,
    password_for,
    print_json,
    say,
    step_bar,
    terminal,
    the_home,
)
from app.home import Home
from app.settings import BackupS3Settings, BackupSettings
from app.wiring import open_catalogue, require_action
from assurance.backup import BackupManifest
from assurance.backup_places import BackupPlace
from assurance.backup_repository import Examined
from evidence.clock import to_text
from evidence.errors import ConfigError, EvidenceError, NotFoundError
from evidence.model import Action


class _Backup(click.Group):
    """``liuhen backup TARGET`` makes one; a first word that is no subcommand is the target."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "-h", "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Backup)
def backup() -> None:
    """Back up database, keys, settings and log of a home: `liuhen backup TARGET`.

    TARGET is a folder on another disk, or s3://bucket/prefix. Footage is NOT in a backup: it lies in two or more stores.
    A second backup of an unchanged home writes little more than its list. A folder called list, run or verify is written ./list.
    """


@backup.command()
@click.argument("target", required=False, default="")
@home_option
@json_option
@identity_options
@bucket_options
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="Encrypt; its first line is the passphrase.")
@click.option("--recipient", type=click.Path(path_type=Path), help="Encrypt for this public key (PEM, X25519 or RSA).")
@click.option("--keep", type=click.IntRange(1, 1000), help="How many backups stay at the target (14).")
@click.option("--begin", is_flag=True, help="Begin anew in a target whose backups are gone.")
@click.option("--with-bare-keys", is_flag=True, help="Also the master key into a backup that is not encrypted.")
def run(
    target: str, *, home: str | None, as_json: bool, login: str, passphrase_file: Path | None, recipient: Path | None,
    keep: int | None, begin: bool, with_bare_keys: bool, **bucket: Any,
) -> None:  # fmt: skip
    """Make a backup now, to TARGET or where [backup] of the settings says. Footage is not in it."""
    # Also while a store is away: what is backed up is not there.
    with acting(home, login, absent_ok=True) as (house, actor):
        house.sealer.require_not_behind(house.head)
        settings = house.settings.backup
        to = target or settings.to
        if not to:
            raise ConfigError("no target", todo="Name one, or set backup.to in config.toml.")
        house.gate.allowed(actor, Action.BACKUP_RUN, detail=to)
        wish = BackupWish(
            to=to, unlocking=_unlocking(settings, house.home, to, passphrase_file, recipient),
            keep=keep or settings.keep, begin=begin, with_bare_keys=with_bare_keys or settings.with_bare_keys,
        )  # fmt: skip
        with (
            contextlib.closing(place_of(to, bucket_of(**bucket) or settings.s3)) as place,
            step_bar(hidden=as_json) as bar,
        ):
            made = make_backup(house, wish, place=place, actor=actor, progress=bar)
    if as_json:
        print_json(_made(made))
        return
    click.echo(say("Backup {id}: {bytes} bytes, of them {new} written now.", id=made.manifest.id,
                   bytes=made.manifest.size_bytes, new=made.written_bytes))  # fmt: skip
    click.echo(say("Everything was read back. Footage is not in it: it lies in the stores."))
    for code, detail in made.warnings:
        click.secho(f"{say(words.BACKUP_WARNINGS[code])} {detail}".rstrip(), fg="yellow")
    for one in made.manifest.left_out[1:]:
        click.echo(say("Not in it: {what}", what=one))


def _unlocking(
    settings: BackupSettings, home: Home, to: str, passphrase_file: Path | None, recipient: Path | None
) -> Unlocking:
    """The options, or, for the target of the settings, what they say."""
    keys = home.root / "keys"
    if passphrase_file is not None:
        return Unlocking(encrypt="passphrase", passphrase_file=passphrase_file, keys=keys)
    if recipient is not None:
        return Unlocking(encrypt="recipient", recipient_file=recipient, keys=keys)
    return Unlocking.of(settings, keys) if to == settings.to else Unlocking(keys=keys)


def _made(made: Made) -> dict[str, Any]:
    return {
        **_told(made.manifest), "place": made.place, "encrypted": made.encrypted, "manifest_sha256": made.manifest_sha256,
        "written_pieces": made.written, "written_bytes": made.written_bytes, "begun": made.begun,
        "warnings": [{"code": code, "detail": detail} for code, detail in made.warnings],
        "removed": made.pruned.backups, "locked": made.pruned.locked, "kept_because": made.pruned.kept_because,
    }  # fmt: skip


def _told(manifest: BackupManifest) -> dict[str, Any]:
    return {
        "id": manifest.id, "made_at": to_text(manifest.made_at), "station": manifest.station, "origin": manifest.origin,
        "program": manifest.program, "engine": manifest.engine, "log_size": manifest.log_size,
        "size_bytes": manifest.size_bytes, "files": len(manifest.files), "rows": dict(sorted(manifest.rows.items())),
        "stores": [{"name": one.name, "kind": one.kind, "where": one.where} for one in manifest.stores],
        "left_out": list(manifest.left_out),
    }  # fmt: skip


def _with_leave(home: str | None, login: str, detail: str) -> tuple[BackupS3Settings | None, Path | None, Path | None]:
    """Pass the gate of the home, where one is named; on an empty machine the target and its secret are all there is.

    Returns:
        How the home reaches a bucket, its folder of keys, its passphrase file.
    """
    try:
        target = the_home(home)
        settings = target.require()
    except EvidenceError:
        if home or login:
            raise
        return None, None, None
    with contextlib.closing(open_catalogue(target, settings)) as catalogue:
        require_action(
            target, settings, catalogue, Action.BACKUP_RUN, login=login, password=password_for(login), terminal=terminal(),
            detail=detail,
        )  # fmt: skip
    wanted = settings.backup
    passphrase = wanted.passphrase_file if wanted.encrypt == "passphrase" else None
    return wanted.s3, target.root / "keys", passphrase


@backup.command("list")
@click.argument("target")
@home_option
@json_option
@identity_options
@bucket_options
@opening_options
def list_(
    target: str, *, home: str | None, as_json: bool, login: str, passphrase_file: Path | None, identity: Path | None,
    **bucket: Any,
) -> None:  # fmt: skip
    """List the backups at TARGET, newest first. Works without a home; with one it is entered who looked."""
    s3, keys, passphrase = _with_leave(home, login, f"list {target}")
    unlocking = Unlocking(passphrase_file=passphrase_file or passphrase, identity_file=identity, keys=keys)
    with contextlib.closing(place_of(target, bucket_of(**bucket) or s3)) as place:
        repository, marker = opened(place, unlocking)
        found = repository.listed()
    if as_json:
        print_json(
            [
                {**_told(one.manifest), "encrypted": marker.key is not None, "trouble": ""}
                if one.manifest is not None
                else {"id": one.id, "trouble": one.trouble}
                for one in found
            ]
        )
        return
    for one in found:
        if one.manifest is None:
            click.secho(f"{one.id}\t{one.trouble}", fg="red")
        else:
            manifest = one.manifest
            click.echo(f"{one.id}\t{manifest.station}\t{manifest.log_size}\t{manifest.size_bytes}")


@backup.command()
@click.argument("target")
@click.argument("id_", metavar="[ID]", required=False, default="")
@home_option
@json_option
@identity_options
@bucket_options
@opening_options
def verify(
    target: str, id_: str, *, home: str | None, as_json: bool, login: str, passphrase_file: Path | None,
    identity: Path | None, **bucket: Any,
) -> None:  # fmt: skip
    """Read every piece of a backup at TARGET (the newest without ID) and compare it. Exit status 1 when one is damaged."""
    s3, keys, passphrase = _with_leave(home, login, f"verify {target}")
    unlocking = Unlocking(passphrase_file=passphrase_file or passphrase, identity_file=identity, keys=keys)
    with contextlib.closing(place_of(target, bucket_of(**bucket) or s3)) as place, step_bar(hidden=as_json) as bar:
        manifest, found = _examined(place, unlocking, id_, bar)
    told = {
        "id": manifest.id, "good": found.good, "pieces": found.pieces, "size_bytes": found.size_bytes,
        "missing": found.missing, "damaged": found.damaged, "unread": found.unread,
    }  # fmt: skip
    if as_json:
        print_json(told)
    elif found.good:
        click.secho(say("Backup {id} is whole: {count} pieces read.", id=manifest.id, count=found.pieces), fg="green")
    else:
        click.secho(say("Backup {id} is DAMAGED; use another one.", id=manifest.id), fg="red")
        for name in (*found.missing, *found.damaged, *found.unread):
            click.echo(f"  {name}")
    if not found.good:
        raise click.exceptions.Exit(1)


def _examined(place: BackupPlace, unlocking: Unlocking, backup_id: str, bar: Any) -> tuple[BackupManifest, Examined]:
    repository, _ = opened(place, unlocking)
    newest = backup_id or next((one.id for one in repository.listed()), "")
    if not newest:
        raise NotFoundError(f"no backup was ever finished in {place.text}")
    manifest = repository.manifest(newest)
    total, done = manifest.size_bytes, 0

    def told(size: int) -> None:
        nonlocal done
        done += size
        bar("backup", done, total)

    return manifest, repository.examine(manifest, told)
