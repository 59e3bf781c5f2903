"""A home: where one station keeps everything. Layout, set-up, and the lock that one serving process holds.

Crash during ``init``: nothing of value exists yet, and without ``config.toml``, its last file, the folder is no home; the next
``init`` names what it found and how to start afresh.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.settings import CONFIG_NAME, Settings, load, parse_text
from chain_of_custody import keys
from evidence.durable import link_new, make_dirs, publish_new
from evidence.errors import ConfigError, StoreError

LOGIN_OF_FIRST: Final = "admin"

_TEMPLATE: Final = """\
# Liuhen settings of this home. Every key is described in docs/settings.md; unknown keys are refused.

[station]
name = {station}
# The log's name; it stands in every checkpoint and can never change.
origin = {origin}

{database}[storage]
# Copies that are read back before a recording counts as stored, and failure domains before a recorder may be cleared.
copies = 2
domains = 2
# Allows clearing recorders although all copies lie in fewer domains; every page shows it.
single_domain = false

# Two directories on one disk are ONE failure domain: move "second" to another disk.
{encryption}[[storage.stores]]
kind = "local"
name = "primary"
path = "stores/primary"

[[storage.stores]]
kind = "local"
name = "second"
path = "stores/second"

[docks]
# never | manual | automatic: when recorders are cleared after an offload.
clearing = {clearing}
set_clock = true
mount_roots = ["/run/liuhen/mounts"]
watch_folders = []

[web]
host = "127.0.0.1"
port = 8080
"""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home."""

    root: Path

    @property
    def config(self) -> Path:
        """Settings."""
        return self.root / CONFIG_NAME

    @property
    def unfinished(self) -> Path:
        """The settings while ``init`` is at work: where they lie alone, it did not come to its end."""
        return self.root / f"{CONFIG_NAME}.unfinished"

    @property
    def station_key(self) -> Path:
        """Signs entries."""
        return self.root / "keys" / "station.key"

    @property
    def log_key(self) -> Path:
        """Signs checkpoints."""
        return self.root / "keys" / "log.key"

    @property
    def disclosure_key(self) -> Path:
        """Encrypts the replicated disclosures."""
        return self.root / "keys" / "disclosures.key"

    @property
    def public_log(self) -> Path:
        """The published log, the primary directory."""
        return self.root / "log" / "public"

    @property
    def lock(self) -> Path:
        """Held by the one process that works on this home."""
        return self.root / "run" / "home.lock"

    @property
    def socket(self) -> Path:
        """Where a serving process takes work from the command line."""
        return self.root / "run" / "control.sock"

    @property
    def scratch(self) -> Path:
        """Temporary files of media work."""
        return self.root / "cache"

    def store_path(self, path: Path) -> Path:
        """A store's folder; a relative one lies in the home."""
        return path if path.is_absolute() else self.root / path

    def database_url(self, settings: Settings) -> str:
        """The catalogue's address."""
        return settings.database.url or f"sqlite:///{self.root / 'app.db'}"

    def jobs_url(self, settings: Settings) -> str:
        """The job engine's address; on PostgreSQL it shares the catalogue's database in a schema of its own."""
        if settings.database.jobs_url:
            return settings.database.jobs_url
        return settings.database.url or f"sqlite:///{self.root / 'flow.db'}"

    def require(self) -> Settings:
        """The settings of a home that was set up; ConfigError otherwise."""
        settings = load(self.root)
        for key in (self.station_key, self.log_key, self.disclosure_key):
            if not key.exists():
                raise ConfigError(
                    f"{self.root} lacks {key.relative_to(self.root)}", todo="Restore the key from its escrow copy."
                )
        return settings


_ENCRYPTION: Final = """\
# Everything this home writes is encrypted. Without its master key, or a backup of the keys, nobody can ever read it.
[storage.encryption]
enabled = true
passphrase_file = {passphrase_file}

"""


def first_config(
    *, station: str, origin: str, clearing: str, database: str = "", passphrase_file: Path | None = None
) -> str:
    """Text of a new home's settings: two stores in the home, pages on loopback.

    Args:
        station: Name of the station.
        origin: Name of the custody log.
        clearing: When recorders are cleared.
        database: Address of a PostgreSQL database; empty for SQLite files in the home.
        passphrase_file: Encrypt, with a master key file under the passphrase that lies there; None to write plain files.
    """
    encryption = ""
    if passphrase_file is not None:
        encryption = _ENCRYPTION.format(passphrase_file=json.dumps(str(passphrase_file), ensure_ascii=False))
    quoted = [json.dumps(value, ensure_ascii=False) for value in (station, origin, clearing, database)]
    section = f"[database]\nurl = {quoted[3]}\n\n" if database else ""
    return _TEMPLATE.format(
        station=quoted[0], origin=quoted[1], clearing=quoted[2], database=section, encryption=encryption
    )


def lay_out(home: Home, *, config: str) -> Settings:
    """Write keys and folders of a new home, and its settings under a name that does not count yet (see :func:`complete`).

    Args:
        home: An empty or missing folder, or a new disk.
        config: Text of its ``config.toml``; checked before anything is written.

    Raises:
        ConfigError: The folder is already a home, or holds something else, or the settings are wrong.
    """
    if home.config.exists():
        raise ConfigError(f"{home.root} is already a home", kept="Nothing was changed.")
    if home.unfinished.exists():
        raise ConfigError(
            f"{home.root} holds a set-up that did not come to its end", kept="Nothing was changed.",
            todo="No recording was ever taken in there: remove the folder's content and begin again.",
        )  # fmt: skip
    if home.root.exists() and {entry.name for entry in home.root.iterdir()} - {"lost+found"}:
        raise ConfigError(f"{home.root} is not empty", kept="Nothing was changed.", todo="Choose an empty folder.")
    settings = parse_text(config)
    try:
        make_dirs(home.root, 0o750)
        publish_new(home.unfinished, config.encode("utf-8"), mode=0o640)
        keys.generate(home.station_key)
        keys.generate(home.log_key)
        for folder in (home.lock.parent, home.scratch):
            make_dirs(folder, 0o750)
    except OSError as error:
        raise StoreError(f"cannot set up {home.root}: {os.strerror(error.errno or 0)}") from error
    return settings


def complete(home: Home) -> None:
    """Make what was laid out a home: everything else of it is durable. Durable on return."""
    link_new(home.unfinished, home.config)
    home.unfinished.unlink()  # if we crash before this, a second name of the settings is left; it means nothing then
