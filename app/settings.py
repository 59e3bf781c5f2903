"""Settings of one home: ``HOME/config.toml`` parsed once into frozen values. Unknown keys are errors.

Secrets never stand in the file: it names files (or systemd credentials) that hold them. docs/settings.md describes every key;
a test compares the two.
"""

from __future__ import annotations

import os
import tomllib
from itertools import permutations
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence.errors import ConfigError
from evidence.limits import FREE_SPACE_FLOOR_BYTES
from evidence.model import ClearingMode

CONFIG_NAME: Final = "config.toml"
#: Where relative paths of stores begin, to compare them before the home is known.
_ANY_HOME: Final = Path("/the home")
_PASSWORDS: Final = frozenset({"password", "sslpassword"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StationSettings(_Section):
    """Who this station is. ``origin`` names the custody log and never changes after ``init``."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")] = "station-1"
    origin: Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\s+]+$")] = "liuhen.local/log/station-1"


class DatabaseSettings(_Section):
    """Where the catalogue and the job engine live; empty means SQLite files in the home."""

    url: str = ""
    jobs_url: str = ""


class LocalStoreSettings(_Section):
    """A write-once tree on a file system of this machine. A relative path is taken from the home."""

    kind: Literal["local"] = "local"
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
    path: Path


class S3StoreSettings(_Section):
    """A versioned bucket with Object Lock (``liuhen storage init`` makes it). The two key files hold one line each.

    ``domain`` names the failure domain; it must be given for an endpoint on this machine, whose disks may be those of a local
    store. ``first_retention_days`` locks what is put without a date: no longer than ordinary footage may lie (R10).
    """

    kind: Literal["s3"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
    endpoint: str
    bucket: str
    access_key_file: Path
    secret_key_file: Path
    region: str = "us-east-1"
    ca_file: Path | None = None
    mode: Literal["COMPLIANCE", "GOVERNANCE"] = "GOVERNANCE"
    domain: str = ""
    prefix: str = ""
    first_retention_days: Annotated[int, Field(ge=0, le=180)] = 30
    capacity_bytes: Annotated[int, Field(ge=0)] = 0
    storage_class: Literal["", "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"] = ""


StoreSettings = Annotated[LocalStoreSettings | S3StoreSettings, Field(discriminator="kind")]


class EncryptionSettings(_Section):
    """Encryption at rest: every byte of footage that this home writes is ciphertext wherever it lies.

    ``master`` says where the master key is: a ``file`` (with ``passphrase_file``, or bare and mode 0600), a ``systemd``
    credential, or a token (``pkcs11``). ``plain_scratch`` must be memory or an encrypted volume: media programs get plain
    files there.
    """

    enabled: bool = False
    master: Literal["file", "systemd", "pkcs11"] = "file"
    master_file: Path = Path("keys/master.key")
    passphrase_file: Path | None = None
    credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "liuhen-master"
    pkcs11_module: Path | None = None
    pkcs11_token: str = ""
    pkcs11_label: str = "liuhen-master"
    pin_file: Path | None = None
    plain_scratch: Path = Path("/dev/shm")  # noqa: S108 - a memory file system; a folder of our own is made below it


class StorageSettings(_Section):
    """Copies and where they go. The first store must be local: recordings are acquired on its file system.

    ``single_domain`` allows release from recorders on fewer failure domains than ``domains``; every page shows it. Locks
    are renewed when half of ``lock_days`` is over, and one that ends within ``lock_alarm_days`` is an alarm.
    """

    copies: Annotated[int, Field(ge=1, le=8)] = 2
    domains: Annotated[int, Field(ge=1, le=8)] = 2
    single_domain: bool = False
    free_floor_bytes: Annotated[int, Field(ge=0)] = FREE_SPACE_FLOOR_BYTES
    protect: Literal["auto", "mode-only"] = "auto"
    lock_days: Annotated[int, Field(ge=14, le=3650)] = 90
    lock_alarm_days: Annotated[int, Field(ge=1, le=365)] = 7
    space_warn_days: Annotated[int, Field(ge=1, le=3650)] = 30
    space_alarm_days: Annotated[int, Field(ge=1, le=3650)] = 7
    cold: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,32}$")] = ""
    cold_after_days: Annotated[int, Field(ge=0, le=3650)] = 30
    encryption: EncryptionSettings = EncryptionSettings()
    stores: tuple[StoreSettings, ...] = (
        LocalStoreSettings(name="primary", path=Path("stores/primary")),
        LocalStoreSettings(name="second", path=Path("stores/second")),
    )


class DockSettings(_Section):
    """Where recorders appear."""

    clearing: ClearingMode = ClearingMode.NEVER
    set_clock: bool = True
    mount_roots: tuple[Path, ...] = (Path("/run/liuhen/mounts"),)
    folders: tuple[Path, ...] = ()
    watch_folders: tuple[Path, ...] = ()
    watch_stable_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    usb: bool = True
    usb_over_ip: tuple[str, ...] = ()
    streams_per_hub: Annotated[int, Field(ge=1, le=8)] = 2
    poll_s: Annotated[float, Field(ge=0.2, le=60)] = 2.0


class WebSettings(_Section):
    """Where the pages are served. Beyond loopback, put a TLS proxy in front and set ``secure_cookies``."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    secure_cookies: bool = False
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")


class BackupS3Settings(_Section):
    """How to reach the bucket of ``backup.to``. The two key files hold one line each."""

    endpoint: str
    access_key_file: Path
    secret_key_file: Path
    region: str = "us-east-1"
    ca_file: Path | None = None
    domain: str = ""


class BackupSettings(_Section):
    """Backups of database, keys, settings and log that the service makes by itself; none while ``to`` is empty."""

    to: str = ""
    every_hours: Annotated[int, Field(ge=1, le=8760)] = 24
    keep: Annotated[int, Field(ge=1, le=1000)] = 14
    alarm_hours: Annotated[int, Field(ge=1, le=8760)] = 48
    encrypt: Literal["no", "passphrase", "recipient"] = "no"
    passphrase_file: Path | None = None
    recipient_file: Path | None = None
    with_bare_keys: bool = False
    s3: BackupS3Settings | None = None


class FixitySettings(_Section):
    """How often every copy is read from its medium, and how much that may ask of disks and machine."""

    period_days: Annotated[int, Field(ge=1, le=365)] = 30
    rate_mb_s: Annotated[int, Field(ge=0, le=100_000)] = 0
    load_per_core_max: Annotated[float, Field(ge=0, le=1000)] = 1.5


class BrakeSettings(_Section):
    """How many objects, and how much of them, may be removed within 24 hours before removals stop.

    The larger of the fixed number and the share of what the fullest store holds counts; ``drop_`` tells from when on an inventory
    that finds fewer objects than the day before stops them.
    """

    day_objects: Annotated[int, Field(ge=1)] = 500
    day_gib: Annotated[int, Field(ge=1, le=1 << 32)] = 500
    day_percent: Annotated[float, Field(ge=0, le=100)] = 2.0
    drop_objects: Annotated[int, Field(ge=0)] = 10
    drop_percent: Annotated[float, Field(ge=0, le=100)] = 1.0


class DiscSettings(_Section):
    """Optical discs: where images lie while discs are made, and how often a disc is looked at again (R12).

    An image holds footage in clear: it lies in the home, or where footage is encrypted in the protected scratch, unless
    ``folder`` names another place (then a protected one, too).
    """

    folder: Path | None = None
    look_months: Annotated[int, Field(ge=1, le=60)] = 12


class Settings(_Section):
    """Everything in ``config.toml``."""

    station: StationSettings = StationSettings()
    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    docks: DockSettings = DockSettings()
    web: WebSettings = WebSettings()
    fixity: FixitySettings = FixitySettings()
    brake: BrakeSettings = BrakeSettings()
    backup: BackupSettings = BackupSettings()
    discs: DiscSettings = DiscSettings()


def home_from(option: str | None) -> Path:
    """The home directory: ``--home``, else ``LIUHEN_HOME``.

    Raises:
        ConfigError: Neither is given.
    """
    chosen = option or os.environ.get("LIUHEN_HOME", "")
    if not chosen:
        raise ConfigError("no home given", todo="Use --home DIR or set LIUHEN_HOME.")
    return Path(chosen).expanduser().absolute()


def load(home: Path) -> Settings:
    """Read ``HOME/config.toml``.

    Raises:
        ConfigError: No such home, not TOML, unknown keys, values out of range, or the first store is not local.
    """
    path = home / CONFIG_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{home} is no Liuhen home", todo=f"Make one with `liuhen init --home {home}`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse_text(text)


def parse_text(text: str) -> Settings:
    """Validate the text of a configuration; ConfigError when it is not TOML or a key is wrong."""
    try:
        return parse(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{CONFIG_NAME} cannot be read: {error}") from error


def parse(data: dict[str, object]) -> Settings:
    """Validate a configuration given as a mapping; ConfigError names every key that is wrong."""
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(p) for p in item['loc'])}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"{CONFIG_NAME}: {problems}") from error
    for key in ("url", "jobs_url"):
        if _holds_password(getattr(settings.database, key)):
            raise ConfigError(
                f"database.{key}: a password does not belong into the settings or a command line",
                todo="Name a password file: postgresql://USER@HOST/NAME?passfile=/path (mode 0600, as libpq reads it).",
            )
    names = [store.name for store in settings.storage.stores]
    if not names or settings.storage.stores[0].kind != "local":
        raise ConfigError("storage.stores: the first store must be local", todo="Recordings are acquired on its disk.")
    if len(set(names)) != len(names):
        raise ConfigError("storage.stores: two stores have one name")
    folders = [
        Path(os.path.normpath(_ANY_HOME / store.path))
        for store in settings.storage.stores
        if isinstance(store, LocalStoreSettings)
    ]
    if any(one.is_relative_to(other) for one, other in permutations(folders, 2)):
        raise ConfigError("storage.stores: two stores lie in one folder", todo="Give each a folder of its own.")
    if settings.storage.domains < 2 and not settings.storage.single_domain:
        raise ConfigError(
            "storage.domains below 2 needs storage.single_domain",
            todo="Add a store on another disk, or set storage.single_domain = true and accept the warning on every page.",
        )
    _check_encryption(settings.storage.encryption)
    if settings.storage.lock_alarm_days * 2 >= settings.storage.lock_days:
        raise ConfigError(
            "storage.lock_alarm_days is not less than half of storage.lock_days",
            todo="Locks are renewed when half of lock_days is over: an alarm before that would always ring.",
        )
    _check_backup(settings.backup)
    if settings.storage.cold and settings.storage.cold not in names[1:]:
        raise ConfigError("storage.cold: no store but the first has that name", todo="Name one of storage.stores.")
    taking = len(names) - bool(settings.storage.cold)
    if settings.storage.copies > taking:
        raise ConfigError(f"storage.copies is {settings.storage.copies}, but only {taking} stores take what comes in")
    return settings


def _check_encryption(wanted: EncryptionSettings) -> None:
    if wanted.master == "pkcs11" and (
        wanted.pkcs11_module is None or not wanted.pkcs11_token or wanted.pin_file is None
    ):
        raise ConfigError(
            "storage.encryption.master is pkcs11, but pkcs11_module, pkcs11_token or pin_file is not given",
            todo="Name the library of the token, its label, and a file that holds its PIN (mode 0600).",
        )
    if not wanted.plain_scratch.is_absolute():
        raise ConfigError("storage.encryption.plain_scratch must be an absolute path")


def _check_backup(wanted: BackupSettings) -> None:
    if wanted.to and not wanted.to.startswith("s3://") and not Path(wanted.to).is_absolute():
        raise ConfigError("backup.to is no absolute path", todo="Write /path/of/a/folder or s3://bucket/prefix.")
    if wanted.to.startswith("s3://") and wanted.s3 is None:
        raise ConfigError("backup.to is a bucket, but [backup.s3] does not say how to reach it")
    for how, file in (("passphrase", wanted.passphrase_file), ("recipient", wanted.recipient_file)):
        if wanted.encrypt == how and file is None:
            raise ConfigError(f"backup.encrypt is {how}, but backup.{how}_file is not given")
    if wanted.alarm_hours < wanted.every_hours:
        raise ConfigError("backup.alarm_hours is below backup.every_hours: the alarm would never rest")


def _holds_password(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.password is not None or not _PASSWORDS.isdisjoint(parse_qs(parts.query, keep_blank_values=True))
    except ValueError:  # no address at all: whoever connects says so
        return False
