"""Setting a home up, for ``init`` and the demonstration: keys, stores, database, log, first administrator."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from app.encryption import in_home, make_master, new_passphrase
from app.home import Home, complete, lay_out
from app.settings import LocalStoreSettings, Settings, parse_text
from app.wiring import SERVICE_AGENT, build, digest_suite, s3_settings
from assurance.disclosures import generate_key
from catalogue import Catalogue
from evidence.clock import Clock, SystemClock
from evidence.durable import make_dirs
from evidence.errors import ConfigError, KeyUnavailableError
from storage.local import LocalStore
from storage.s3 import S3Store


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHome:
    """What ``init`` tells: the password only here."""

    one_time_password: str
    roles: tuple[str, ...]
    origin: str
    vkey: str
    domains: int
    master: str = ""
    passphrase_file: str = ""
    passphrase_made: str = ""


def set_up(
    home: Home, *, config: str, login: str, os_uid: int, clock: Clock | None = None, passphrase: str = ""
) -> NewHome:
    """Set a home up in an empty folder. Durable on return; cut short, it is no home and the next attempt says so.

    The first administrator can run the station and manage people; the account that runs this command is bound to them, so
    that commands of this account act in their name.

    Args:
        home: An empty or missing folder.
        config: Text of its settings (``app.home.first_config``, or one's own with other stores or another database).
        login: Log-in of the first administrator.
        os_uid: Account of this machine that is bound to them.
        clock: The time; the machine's by default.
        passphrase: For the master key, where the settings ask for encryption under one that is not written yet; empty has one
            made.

    Raises:
        ConfigError: The folder is a home or not empty, a setting does not serve, or the database belongs to another home.
        StoreError: Something could not be written; remove the folder and begin again.
        CatalogueError: The database does not answer.
    """
    _require_unused_database(parse_text(config))
    settings = lay_out(home, config=config)
    generate_key(home.disclosure_key)
    _make_stores(home, settings, clock=clock or SystemClock())
    make_dirs(home.public_log.parent)
    words = _make_master(home, settings, passphrase)
    house = build(home, settings, clock=clock, new=True)
    try:
        house.sealer.open_log(house.recorder)
        first = house.administration.first_administrator(login=login, name=login, os_uid=os_uid)
        with house.catalogue.begin() as uow:
            uow.settings.put(SERVICE_AGENT, first.service.id)
        if house.encryption is not None:
            house.encryption.start_up()
        while house.sealer.seal_once():
            pass
        house.archive.sync(house.catalogue)
        complete(home)
        return NewHome(
            one_time_password=first.one_time_password, roles=first.roles, origin=settings.station.origin,
            vkey=house.vkey, domains=len(house.stores.all_domains()),
            master=house.encryption.master.id if house.encryption is not None else "",
            passphrase_file=_told_file(home, settings), passphrase_made=words if not passphrase else "",
        )  # fmt: skip
    finally:
        house.sealer.close()
        house.close()


def _make_master(home: Home, settings: Settings, passphrase: str) -> str:
    """Make the master key where the settings ask for encryption and none is there; the passphrase of a key file made now."""
    wanted = settings.storage.encryption
    if (
        not wanted.enabled or wanted.master == "systemd"
    ):  # a credential is made by systemd-creds, and found when it is needed
        return ""
    if wanted.master == "pkcs11" or in_home(home, wanted.master_file).exists():
        with contextlib.suppress(KeyUnavailableError):  # the token has its key already: start_up opens it
            make_master(home, wanted, passphrase="")
        return ""
    has_file = wanted.passphrase_file is not None and not in_home(home, wanted.passphrase_file).exists()
    words = (passphrase or new_passphrase()) if has_file else ""
    make_master(home, wanted, passphrase=words)
    return words


def _told_file(home: Home, settings: Settings) -> str:
    wanted = settings.storage.encryption
    return str(in_home(home, wanted.passphrase_file)) if wanted.enabled and wanted.passphrase_file is not None else ""


def _require_unused_database(settings: Settings) -> None:
    """Two homes in one database would be two logs in one outbox."""
    if not settings.database.url:
        return
    catalogue = Catalogue.open(settings.database.url, migrate=True)
    try:
        with catalogue.read() as uow:
            if uow.outbox.head() is not None or uow.people.agents():
                raise ConfigError(
                    "the database belongs to another home", kept="Nothing was changed.", todo="Give an empty database."
                )
    finally:
        catalogue.close()


def _make_stores(home: Home, settings: Settings, *, clock: Clock) -> None:
    for wanted in settings.storage.stores:
        if isinstance(wanted, LocalStoreSettings):
            LocalStore.create(home.store_path(wanted.path), wanted.name)
            continue
        store = S3Store(s3_settings(wanted), name=wanted.name, suite=digest_suite(), clock=clock)
        try:
            store.ensure_bucket()
        finally:
            store.close()
