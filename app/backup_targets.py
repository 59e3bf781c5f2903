"""Where backups go and what opens them: targets by their text, secrets by their files. Shared by backup and restore."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.settings import BackupS3Settings, BackupSettings
from assurance.backup_places import BackupPlace, FolderPlace
from assurance.backup_repository import BackupRepository, TargetMarker, read_marker, require_key, write_marker
from assurance.backup_seal import (
    new_key,
    unwrap_by_identity,
    unwrap_by_passphrase,
    wrap_by_passphrase,
    wrap_for_recipient,
)
from evidence.durable import make_dirs, publish_new
from evidence.errors import BlobConflictError, ConfigError, KeyUnavailableError, NotFoundError
from evidence.ids import EntryId
from storage.s3_backup import BucketPlace
from storage.s3_client import S3Settings

BUCKET: Final = "s3://"
_SECRET_BYTES_MAX: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocking:
    """What a person or the settings give to open or to begin encrypted backups.

    Attributes:
        encrypt: How a new target is begun: ``no``, ``passphrase``, ``recipient``.
        passphrase_file: Its first line is the passphrase (of the backups, or of the identity where one is given).
        recipient_file: Public key a new target is encrypted for.
        identity_file: Private key that opens backups made for it.
        keys: Folder of the home that holds copies of the keys of targets made for a recipient; None away from a home.
    """

    encrypt: str = "no"
    passphrase_file: Path | None = None
    recipient_file: Path | None = None
    identity_file: Path | None = None
    keys: Path | None = None

    @classmethod
    def of(cls, settings: BackupSettings, keys: Path) -> Unlocking:
        """As the settings say."""
        return cls(
            encrypt=settings.encrypt, passphrase_file=settings.passphrase_file, recipient_file=settings.recipient_file,
            keys=keys,
        )  # fmt: skip


def place_of(text: str, s3: BackupS3Settings | None) -> BackupPlace:
    """The target that a text names.

    Raises:
        ConfigError: A bucket, and nothing says how to reach it; or a key file cannot be read.
    """
    if not text.startswith(BUCKET):
        return FolderPlace(Path(text).expanduser().absolute())
    bucket, _, prefix = text.removeprefix(BUCKET).partition("/")
    if s3 is None:
        raise ConfigError(
            "nothing says how to reach this bucket",
            todo="Set [backup.s3] in config.toml, or give --endpoint, --access-key-file and --secret-key-file.",
        )
    return BucketPlace(
        S3Settings(
            endpoint=s3.endpoint, bucket=bucket, prefix=f"{prefix.rstrip('/')}/" if prefix else "",
            access=secret(s3.access_key_file).decode("utf-8", "replace"),
            secret=secret(s3.secret_key_file).decode("utf-8", "replace"), region=s3.region, ca=s3.ca_file, domain=s3.domain,
        )
    )  # fmt: skip


def secret(path: Path) -> bytes:
    """First line of a file that only its owner can read; KeyUnavailableError otherwise."""
    data = _whole(path).split(b"\n", 1)[0].rstrip(b"\r")
    if not data:
        raise KeyUnavailableError(f"{path.name} is empty")
    return data


def _whole(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyUnavailableError(f"{path.name} can be read by others", todo=f"chmod 600 {path}")
            return file.read(_SECRET_BYTES_MAX)
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {path}: {error.strerror}") from error


def opened(place: BackupPlace, unlocking: Unlocking) -> tuple[BackupRepository, TargetMarker]:
    """The backups of a target that exists.

    Raises:
        NotFoundError: No backups lie there. KeyUnavailableError: what was given does not open them.
        ManifestInvalidError: The marker was changed. StoreUnavailableError: the target is not there.
    """
    marker = read_marker(place)
    if marker is None:
        raise NotFoundError(f"no backups lie in {place.text}", todo="Mount its disk, or name the right folder.")
    return BackupRepository(place, require_key(marker, target_key(marker, unlocking))), marker


def target_key(marker: TargetMarker, unlocking: Unlocking) -> bytes | None:
    """The key of a target, by whatever opens it; None where it has none or nothing was given."""
    if marker.key is None:
        return None
    if unlocking.identity_file is not None:
        passphrase = secret(unlocking.passphrase_file) if unlocking.passphrase_file is not None else None
        return unwrap_by_identity(marker.key, _whole(unlocking.identity_file), passphrase=passphrase)
    kept = _kept(unlocking, marker)
    if marker.key.get("kind") != "passphrase" and kept is not None and kept.exists():
        try:
            return bytes.fromhex(secret(kept).decode("ascii"))
        except ValueError as error:
            raise KeyUnavailableError(f"{kept.name} was changed", todo="Give --identity FILE once.") from error
    if unlocking.passphrase_file is not None:
        return unwrap_by_passphrase(marker.key, secret(unlocking.passphrase_file))
    return None


def opened_or_begun(
    place: BackupPlace, unlocking: Unlocking, *, origin: str, begin: bool, now_ms: int
) -> tuple[BackupRepository, TargetMarker]:
    """The backups of a target, which is begun where nothing lies there yet.

    Args:
        place: The target.
        unlocking: How it is opened or begun.
        origin: Name of this home's log.
        begin: Whether it may be begun: not where a backup lay before, for then its disk is not mounted.
        now_ms: Unix time.

    Raises:
        ConfigError: Another home's backups lie there, or they are encrypted in another way than is asked for.
        StoreUnavailableError, KeyUnavailableError, ManifestInvalidError: As :func:`opened`.
    """
    marker = read_marker(place)
    if marker is None:
        if not begin:
            raise NotFoundError(
                f"the backups that lay in {place.text} are not there", kept="Nothing was written there.",
                todo="Mount its disk; to begin anew there, run `liuhen backup TARGET --begin`.",
            )  # fmt: skip
        return _begun(place, unlocking, origin=origin, now_ms=now_ms)
    if marker.origin != origin:
        raise ConfigError(
            f"the backups in {place.text} are those of {marker.origin}", kept="Nothing was written there.",
            todo="Give every home a folder, or prefix, of its own.",
        )  # fmt: skip
    kind = "no" if marker.key is None else "passphrase" if marker.key.get("kind") == "passphrase" else "recipient"
    if kind != unlocking.encrypt:
        raise ConfigError(
            f"the backups in {place.text} were begun with encryption {kind!r}, but {unlocking.encrypt!r} is asked for",
            kept="Nothing was written there.", todo="Use another folder, or the way they were begun with.",
        )  # fmt: skip
    return BackupRepository(place, require_key(marker, target_key(marker, unlocking))), marker


def _begun(
    place: BackupPlace, unlocking: Unlocking, *, origin: str, now_ms: int
) -> tuple[BackupRepository, TargetMarker]:
    key, wrapped = None, None
    if unlocking.encrypt == "passphrase":
        if unlocking.passphrase_file is None:
            raise ConfigError("no passphrase for the backups", todo="Give --passphrase-file FILE.")
        key = new_key()
        wrapped = wrap_by_passphrase(key, secret(unlocking.passphrase_file))
    elif unlocking.encrypt == "recipient":
        if unlocking.recipient_file is None:
            raise ConfigError("no public key for the backups", todo="Give --recipient FILE.")
        key = new_key()
        try:
            wrapped = wrap_for_recipient(key, unlocking.recipient_file.read_bytes())
        except OSError as error:
            raise KeyUnavailableError(f"cannot read {unlocking.recipient_file}: {error.strerror}") from error
    marker = TargetMarker(id=EntryId.new(now_ms).partition("_")[2], origin=origin, key=wrapped)
    if key is not None and unlocking.encrypt == "recipient":
        keep_key(unlocking, marker, key)  # before the marker: a target whose key we do not have could not be written to
    write_marker(place, marker)
    return BackupRepository(place, require_key(marker, key)), marker


def _kept(unlocking: Unlocking, marker: TargetMarker) -> Path | None:
    safe = "".join(sign for sign in marker.id if sign in "0123456789abcdef")[:32]
    return unlocking.keys / f"backup-{safe}.key" if unlocking.keys is not None and safe else None


def keep_key(unlocking: Unlocking, marker: TargetMarker, key: bytes) -> None:
    """Keep the key of a target made for a recipient in the home, so that the service can go on writing there."""
    kept = _kept(unlocking, marker)
    if kept is None:
        return
    make_dirs(kept.parent, 0o700)
    try:
        publish_new(kept, key.hex().encode("ascii") + b"\n", mode=0o600)
    except BlobConflictError as error:
        raise KeyUnavailableError(f"{kept.name} exists with another key; it was not touched") from error


def warnings_of(place: BackupPlace, home_domains: frozenset[str], *, encrypted: bool) -> list[tuple[str, str]]:
    """What is wrong with a target although a backup can be made there: ``(code, detail)``."""
    told = []
    shared = sorted(place.domains() & home_domains)
    if shared:
        told.append(("same-domain", "+".join(shared)))
    if not encrypted:
        told.append(("not-encrypted", ""))
    return told
