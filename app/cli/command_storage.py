"""``liuhen storage``: where copies lie, and how the stores are."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

import click

from app.cli.common import (
    acting,
    home_option,
    identity_options,
    json_option,
    password_for,
    print_json,
    say,
    terminal,
    the_home,
)
from app.cli.storage_check import check as check_
from app.cli.storage_migrate import migrate
from app.cli.storage_reports import locks, space
from app.cli.storage_status import status
from app.home import Home
from app.settings import LocalStoreSettings, S3StoreSettings, Settings
from app.wiring import digest_suite, open_catalogue, opened, require_action, s3_settings
from catalogue import Catalogue
from chain_of_custody import create_published_directory
from evidence.clock import SystemClock
from evidence.errors import InvalidInputError, PolicyUnmetError, StoreUnavailableError
from evidence.ids import RecordingId
from evidence.model import Action
from storage import layout
from storage.local import LocalStore
from storage.s3 import S3Store


@click.group()
def storage() -> None:
    """Stores and copies."""


storage.add_command(migrate)
storage.add_command(locks)
storage.add_command(space)
storage.add_command(check_)
storage.add_command(status)


@storage.command()
@click.argument("recording")
@home_option
@json_option
@identity_options
def locate(recording: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Tell where each copy of a recording lies."""
    with acting(home, login) as (house, actor):
        places = house.reading.locate(actor, RecordingId(recording))
    if as_json:
        print_json([asdict(place) for place in places])
        return
    for place in places:
        mark = say("(ciphertext)") if place.encrypted else ""
        click.echo(f"{place.store}\t{place.path_or_key}\t{place.version}\t{mark}".rstrip())


@storage.command("init")
@click.option(
    "--empty", "lost", multiple=True, metavar="NAME",
    help="The disk or bucket of this store is lost for good: make an empty one in its place; may be given again.",
)  # fmt: skip
@home_option
@json_option
@identity_options
def init_(lost: tuple[str, ...], home: str | None, *, as_json: bool, login: str) -> None:
    """Make the configured buckets (versions, Object Lock, default retention) and the folders of new local stores.

    An existing store is left as it is. One that is not there and had copies is refused (status 30): its disk is not mounted, its
    bucket is gone. With --empty it is made anew, and what it had counts as missing at once and is made again by the service.
    Exit status 3 when a bucket does not protect what it stores; `liuhen storage check` tells why.
    """
    target = the_home(home)
    settings = target.require()
    with contextlib.closing(open_catalogue(target, settings)) as catalogue:
        require_action(
            target, settings, catalogue, Action.SETTING_CHANGE, login=login, password=password_for(login),
            terminal=terminal(), detail=" ".join(["storage init", *(f"--empty {name}" for name in lost)]),
        )  # fmt: skip
        _require_none_away(target, settings, catalogue, lost)
    for wanted in settings.storage.stores:
        if isinstance(wanted, LocalStoreSettings):
            root = target.store_path(wanted.path)
            LocalStore.create(root, wanted.name)
            create_published_directory(root / "log" / "public")
    told = []
    with opened(target) as house:
        for store in house.stores.raw:
            if isinstance(store, S3Store):
                store.ensure_bucket()
                store.probe()
            properties = store.properties
            told.append({"store": properties.name, "kind": properties.kind, "protection": properties.protection})
        for counted in house.keeping.stores:
            if counted.properties.name in lost:
                house.inventory.take(counted)
    if as_json:
        print_json(told)
    else:
        for row in told:
            click.echo(f"{row['store']}\t{row['kind']}\t{row['protection']}")
    if any(row["kind"] == "s3" and row["protection"] == "none" for row in told):
        click.echo(say("Not every bucket protects what it stores; `liuhen storage check` tells why."), err=True)
        raise click.exceptions.Exit(PolicyUnmetError.exit_code)


def _has_bucket(wanted: S3StoreSettings) -> bool:
    store = S3Store(s3_settings(wanted), name=wanted.name, suite=digest_suite(), clock=SystemClock())
    with contextlib.closing(store):
        return store.has_bucket()


def _require_none_away(home: Home, settings: Settings, catalogue: Catalogue, lost: tuple[str, ...]) -> None:
    """Nothing is made in the mount point of a disk that holds footage, unless a person says that this disk is lost.

    Raises:
        InvalidInputError: A store of ``lost`` is there, or is no local store of this home.
        StoreUnavailableError: A store that had copies is not there; nothing was made.
    """
    away: dict[str, str] = {}
    for wanted in settings.storage.stores:
        root = home.store_path(wanted.path) if isinstance(wanted, LocalStoreSettings) else None
        if root is not None and not (root / layout.MARKER).exists():
            away[wanted.name] = str(root)
        if isinstance(wanted, S3StoreSettings) and not _has_bucket(wanted):
            away[wanted.name] = f"{wanted.endpoint}/{wanted.bucket}"
    for name in lost:
        if name not in away:
            raise InvalidInputError(
                f"{name} is no store that is away", kept="Nothing was changed.",
                todo="Only a store whose folder is empty or not there, or whose bucket is gone, is made anew.",
            )  # fmt: skip
    for name, place in away.items():
        with catalogue.read() as uow:
            copies = uow.store_states.figures(name).objects
        if copies and name not in lost:
            raise StoreUnavailableError(
                f"store {name} is not at {place}, and had {copies} copies", kept="Nothing was made.",
                todo=f"Mount its disk, or bring the bucket back. If that is lost for good: liuhen storage init --empty {name}",
            )  # fmt: skip
