"""``liuhen keys``: the keys of a home, their backup outside of it, and the passphrase of the master key."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from app.cli.common import (
    MASTER_VARIABLE,
    acting,
    home_option,
    identity_options,
    json_option,
    master_passphrase,
    password_for,
    print_json,
    say,
    terminal,
)
from app.encryption import change_passphrase, key_parts, make_master, new_passphrase
from app.home import Home
from app.key_backup import Restored, back_up, compare, home_keys, restore_epochs, restore_files, restore_master
from app.settings import home_from
from app.wiring import open_catalogue, require_action
from assurance.key_bundle import (
    BUNDLE_BYTES_MAX,
    PASSPHRASE_CHARS_MIN,
    Bundle,
    Passphrase,
    PublicKey,
    open_with_key,
    open_with_passphrase,
    recipients_of,
)
from assurance.key_record_checks import check_key_records
from assurance.keys_state import KeysState, keys_state, note_key_made
from assurance.report import Severity
from evidence.clock import SystemClock, to_text, unix_ms
from evidence.durable import exclusive_lock
from evidence.errors import CatalogueError, ConfigError, StoreError, StoreUnavailableError, UsageError
from evidence.model import Action

BUNDLE_VARIABLE: Final = "LIUHEN_BUNDLE_PASSPHRASE"
ESCROW_VARIABLE: Final = "LIUHEN_ESCROW_PASSPHRASE"
KEY_VARIABLE: Final = "LIUHEN_KEY_PASSPHRASE"
#: So long ``status`` reads key records, and so many findings it tells; a verification knows no such bounds.
_LOOK_S: Final = 60.0
_NAMED_MAX: Final = 100


@click.group()
def keys() -> None:
    """Keys of this home: how they are, their backup, the master key's passphrase."""


def asked(variable: str, prompt: str, *, twice: bool) -> str:
    """A passphrase: from the environment, else asked on the terminal."""
    given = os.environ.get(variable)
    if given is None:
        if not sys.stdin.isatty():
            raise UsageError("no passphrase was given", todo=f"Set {variable}.")
        given = str(click.prompt(prompt, hide_input=True, confirmation_prompt=twice))
    if twice and len(given) < PASSPHRASE_CHARS_MIN:
        raise UsageError(f"the passphrase has fewer than {PASSPHRASE_CHARS_MIN} characters")
    return given


# --- status -----------------------------------------------------------------------------------------------------------
@keys.command()
@home_option
@json_option
@identity_options
def status(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell how the keys are: master key, keys of the months and where they lie, what is encrypted, the newest backup.

    Key records beside the stores are compared with the catalogue for up to a minute; `liuhen verify` compares them all.
    Exit status 3 when something about the keys is wrong.
    """
    with acting(home, login) as (house, actor):
        house.gate.require(actor, Action.SYSTEM_HEALTH)
        parts = key_parts(house.home, house.settings, house.catalogue, house.stores, house.encryption)
        state = keys_state(house.catalogue, parts, clock=house.clock)
        until = time.monotonic() + _LOOK_S
        stores = {store.properties.name: store for store in house.stores}
        found = list(
            islice(check_key_records(house.catalogue, stores=stores, stop=lambda: time.monotonic() > until), _NAMED_MAX)
        )
        whole = time.monotonic() <= until and len(found) < _NAMED_MAX
    if as_json:
        records = {"findings": [one.to_json() for one in found], "whole": whole}
        print_json(state.to_json() | {"records": records})
    else:
        _print_state(state)
        for one in found:
            click.secho(f"  {one.store}  {one.detail}", fg="red" if one.severity is Severity.TAMPER else "yellow")
    wrong = state.wrong or any(one.severity is Severity.TAMPER for one in found)
    raise click.exceptions.Exit(3 if wrong else 0)


def _print_state(state: KeysState) -> None:
    click.echo(say("Encryption at rest: {state}", state=say("on") if state.enabled else say("off")))
    if state.master is not None:
        click.echo(say("Master key: {kind} {id}", kind=state.master.kind, id=state.master.id or "?"))
        if state.master.trouble:
            click.secho(f"  {state.master.trouble}", fg="red")
        click.echo(
            say(
                "Objects: {encrypted} encrypted, {plain} plain, {destroyed} keys destroyed", encrypted=state.encrypted,
                plain=state.plain, destroyed=state.destroyed,
            )
        )  # fmt: skip
        for epoch in state.epochs:
            lacking = say("missing in {stores}", stores=", ".join(epoch.missing)) if epoch.missing else ""
            click.secho(f"  {epoch.epoch}  {', '.join(epoch.places)}  {lacking}", fg="red" if lacking else None)
        click.echo(say("Place for plain files: {path}", path=state.scratch))
        if state.scratch_trouble:
            click.secho(f"  {state.scratch_trouble}", fg="red")
    if state.backup_at is None:
        click.secho(say("No backup of the keys was made."), fg="red" if state.backup_due else "yellow")
    else:
        click.secho(
            say("Newest backup of the keys: {at}, {place}", at=to_text(state.backup_at), place=state.backup_place),
            fg="red" if state.backup_due else None,
        )


# --- making and changing ----------------------------------------------------------------------------------------------
@keys.command("init")
@home_option
@json_option
@identity_options
def init_(home: str | None, *, as_json: bool, login: str) -> None:
    """Make the master key that [storage.encryption] describes, before encryption is turned on in a home that exists."""
    with acting(home, login) as (house, actor):
        wanted = house.settings.storage.encryption
        house.gate.allowed(actor, Action.KEYS_MANAGE, detail="make the master key")
        words = _new_master_passphrase() if wanted.passphrase_file is not None else ""
        master = make_master(house.home, wanted, passphrase=words)
        with house.catalogue.begin() as uow:
            note_key_made(uow, f"master:{master.id}", house.clock.now().wall)
    if as_json:
        print_json({"master": master.id, "kind": master.kind})
        return
    click.echo(say("Master key: {kind} {id}", kind=master.kind, id=master.id))
    click.echo(
        say("Next: write a backup of the keys (liuhen keys backup DIR), then turn storage.encryption.enabled on.")
    )


def _new_master_passphrase() -> str:
    """Given, asked, or made: one that was made is only in the passphrase file."""
    return master_passphrase() or new_passphrase()


@keys.command("change-passphrase")
@home_option
@json_option
@identity_options
def change_passphrase_(home: str | None, *, as_json: bool, login: str) -> None:
    """Put the master key's file under another passphrase (from LIUHEN_NEW_PASSPHRASE, or asked). No footage is touched."""
    words = asked(MASTER_VARIABLE, say("New passphrase of the master key"), twice=True)
    with acting(home, login) as (house, actor):
        house.gate.allowed(actor, Action.KEYS_MANAGE, detail="change the master key's passphrase")
        written = change_passphrase(house.home, house.settings.storage.encryption, words)
    if as_json:
        print_json({"passphrase_file_written": written})
        return
    click.echo(say("The master key is under the new passphrase."))
    if not written:
        click.secho(
            say("The passphrase comes as a credential: give the new one there before the next start."), fg="yellow"
        )


# --- backup -----------------------------------------------------------------------------------------------------------
@keys.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--escrow", is_flag=True, help="A second passphrase, for somebody else, opens the backup too.")
@click.option(
    "--to", "public_keys", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="PEM",
    help="The holder of the private half of this X25519 or RSA key opens the backup too (may be repeated).",
)  # fmt: skip
@click.option("--no-passphrase", is_flag=True, help="Only the holders of --to keys can open it.")
@home_option
@json_option
@identity_options
def backup(
    folder: Path, *, escrow: bool, public_keys: tuple[Path, ...], no_passphrase: bool, home: str | None, as_json: bool,
    login: str,
) -> None:  # fmt: skip
    """Write all keys of this home into one sealed file in FOLDER, read it back, and enter that it was done.

    Passphrases come from LIUHEN_BUNDLE_PASSPHRASE and LIUHEN_ESCROW_PASSPHRASE, or are asked.
    """
    if no_passphrase and not public_keys:
        raise UsageError("--no-passphrase needs a key of somebody who can open the backup", todo="Add --to PEM.")
    recipients: list[Passphrase | PublicKey] = []
    if not no_passphrase:
        recipients.append(Passphrase("first", asked(BUNDLE_VARIABLE, say("Passphrase of the backup"), twice=True)))
    if escrow:
        recipients.append(
            Passphrase("escrow", asked(ESCROW_VARIABLE, say("Second passphrase, of somebody else"), twice=True))
        )
    recipients += [PublicKey(path.name, path.read_bytes()) for path in public_keys]
    with acting(home, login) as (house, actor):
        house.gate.allowed(actor, Action.KEYS_MANAGE, detail="back up the keys")
        done = back_up(house, actor, folder, recipients, told=str(folder.absolute()))
    if as_json:
        print_json(
            {
                "path": str(done.path), "sha256": done.sha256, "keys": done.keys, "size_bytes": done.size_bytes,
                "made_at": done.made_at, "opened": done.opened, "same_disk": done.same_disk, "notes": list(done.notes),
            }
        )  # fmt: skip
        return
    click.echo(say("{keys} keys were written to {path} and read back.", keys=done.keys, path=done.path))
    if not done.opened:
        click.secho(say("Nobody here could open it: have a holder of a private key try."), fg="yellow")
    if done.same_disk:
        click.secho(say("It lies on the disk of this home: copy it to another medium and take that away."), fg="yellow")
    for note in done.notes:
        click.secho(note, fg="yellow")


@keys.command("verify-backup")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Open it with this private key."
)
@home_option
@json_option
@identity_options
def verify_backup(file: Path, *, key: Path | None, home: str | None, as_json: bool, login: str) -> None:
    """Open a backup of the keys and compare it with this home; without --home (or LIUHEN_HOME) only open it.

    Exit status 0 good, 1 damaged, 3 when keys of this home are not in it.
    """
    data = _bundle_bytes(file)
    bundle = _opened(data, key)
    missing: Sequence[str] = ()
    differing: Sequence[str] = ()
    compared = bool(home or os.environ.get("LIUHEN_HOME"))
    if compared:
        with acting(home, login) as (house, actor):
            house.gate.allowed(actor, Action.KEYS_MANAGE, detail="compare a backup of the keys")
            found = compare(house, bundle)
            missing, differing = found.missing, found.differing
    if as_json:
        print_json(
            {
                "origin": bundle.origin, "vkey": bundle.vkey, "station": bundle.station, "made_at": bundle.made_at,
                "keys": [{"kind": one.kind, "name": one.name} for one in bundle.files],
                "recipients": [{"kind": one.kind, "label": one.label} for one in recipients_of(data)],
                "notes": list(bundle.notes), "compared": compared, "missing": list(missing), "differing": list(differing),
            }
        )  # fmt: skip
    else:
        click.echo(say("The backup opens: {origin}, {made_at}", origin=bundle.origin, made_at=bundle.made_at))
        for one in bundle.files:
            click.echo(f"  {one.kind}\t{one.name}")
        for note in bundle.notes:
            click.secho(note, fg="yellow")
        for name in missing:
            click.secho(say("Not in it: {name}", name=name), fg="red")
        for name in differing:
            click.secho(say("Another key than this home's: {name}", name=name), fg="red")
    raise click.exceptions.Exit(3 if missing or differing else 0)


def _bundle_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(BUNDLE_BYTES_MAX + 1)
    except OSError as error:
        raise StoreError(f"cannot read {file}: {os.strerror(error.errno or 0)}") from error


def _opened(data: bytes, key: Path | None) -> Bundle:
    if key is None:
        return open_with_passphrase(data, asked(BUNDLE_VARIABLE, say("Passphrase of the backup"), twice=False))
    pem = key.read_bytes()
    words = None
    if b"ENCRYPTED" in pem:
        words = asked(KEY_VARIABLE, say("Passphrase of the private key"), twice=False).encode("utf-8")
    return open_with_key(data, pem, words)


# --- restore ----------------------------------------------------------------------------------------------------------
@keys.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Open it with this private key."
)
@click.option(
    "--replace-master", is_flag=True,
    help="Move a master key file that does not open aside and write the backup's under a new passphrase.",
)  # fmt: skip
@home_option
@json_option
@identity_options
def restore(
    file: Path, *, key: Path | None, replace_master: bool, home: str | None, as_json: bool, login: str
) -> None:  # fmt: skip
    """Put the keys of a backup in their places, in this home or in an empty folder. No key that is there is replaced.

    Needs the service stopped. Where a catalogue can be read, the act passes its gate and is entered. Afterwards: `liuhen rebuild`
    where the catalogue is lost, then `liuhen verify`.
    """
    target = Home(home_from(home))
    bundle = _opened(_bundle_bytes(file), key)
    _ask_leave(target, login)
    with exclusive_lock(target.lock):
        done = restore_files(target, bundle)
        settings = target.require()
        stamp = unix_ms(SystemClock().now().wall)
        master = restore_master(
            target, settings, bundle, replace=replace_master, stamp=stamp,
            passphrase=_new_master_passphrase,
        )  # fmt: skip
        try:
            epochs = restore_epochs(target, settings, bundle)
        except StoreUnavailableError as error:  # what was written stays; the rest waits for the disk
            epochs = Restored(
                notes=[f"{error.diagnostics()} Then run this command again: the keys of the months wait."]
            )
    _tell_restored(target, [done, master, epochs], as_json=as_json)


def _ask_leave(target: Home, login: str) -> None:
    """Where the catalogue can still be read and its keys are there, the act needs leave; where not, the bundle is the leave."""
    if not target.config.exists() or not all(path.exists() for path in home_keys(target).values()):
        return
    settings = target.require()
    try:
        catalogue = open_catalogue(target, settings)
    except (CatalogueError, ConfigError):
        return
    try:
        require_action(
            target, settings, catalogue, Action.KEYS_MANAGE, login=login, password=password_for(login),
            terminal=terminal(), detail="restore the keys",
        )  # fmt: skip
    finally:
        catalogue.close()


def _tell_restored(target: Home, parts: Sequence[Restored], *, as_json: bool) -> None:
    told: dict[str, Any] = {"home": str(target.root)}
    for name in ("written", "kept", "aside", "notes"):
        told[name] = [one for part in parts for one in getattr(part, name)]
    if as_json:
        print_json(told)
        return
    for name in told["written"]:
        click.echo(say("Written: {name}", name=name))
    for name in told["kept"]:
        click.echo(say("Was there: {name}", name=name))
    for name in told["aside"]:
        click.secho(say("Moved aside: {name}", name=name), fg="yellow")
    for note in told["notes"]:
        click.secho(note, fg="yellow")
    click.echo(say("Next: `liuhen rebuild` where the catalogue is lost, then `liuhen verify`."))
