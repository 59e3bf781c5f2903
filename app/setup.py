"""Setting a home up, for ``init`` and the demonstration: keys, stores, database, log, first administrator."""

from __future__ import annotations

from dataclasses import dataclass

from app.home import Home, lay_out
from app.settings import LocalStoreSettings
from app.wiring import SERVICE_AGENT, build
from assurance.disclosures import generate_key
from evidence.clock import Clock
from evidence.durable import make_dirs
from storage.local import LocalStore


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHome:
    """What ``init`` tells: the password only here."""

    one_time_password: str
    roles: tuple[str, ...]
    origin: str
    vkey: str
    domains: int


def set_up(
    home: Home, *, station: str, origin: str, clearing: str, login: str, os_uid: int, clock: Clock | None = None
) -> NewHome:
    """Set a home up in an empty folder. Durable on return.

    The first administrator can run the station and manage people; the account that runs this command is bound to them, so
    that commands of this account act in their name.

    Raises:
        ConfigError: The folder is a home or not empty, or a name does not serve.
        StoreError: Something could not be written; remove the folder and begin again.
    """
    settings = lay_out(home, station=station, origin=origin, clearing=clearing)
    generate_key(home.disclosure_key)
    for store in settings.storage.stores:
        if isinstance(store, LocalStoreSettings):
            LocalStore.create(home.store_path(store.path), store.name)
    make_dirs(home.public_log.parent)
    house = build(home, settings, clock=clock, migrate=True)
    try:
        house.sealer.open_log(house.recorder)
        first = house.administration.first_administrator(login=login, name=login, os_uid=os_uid)
        with house.catalogue.begin() as uow:
            uow.settings.put(SERVICE_AGENT, first.service.id)
        while house.sealer.seal_once():
            pass
        house.archive.sync(house.catalogue)
        return NewHome(
            one_time_password=first.one_time_password, roles=first.roles, origin=settings.station.origin,
            vkey=house.vkey, domains=len(house.stores.all_domains()),
        )  # fmt: skip
    finally:
        house.sealer.close()
        house.close()
