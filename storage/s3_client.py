"""The S3 client as evidence needs it, its settings, and its errors in our words.

Only the classic client is used: the CRT transfer client ignores the endpoint and would send evidence to another cloud.
Checksums are computed by us and sent as headers (``when_required`` keeps boto3 from adding trailers over TLS, which older
servers refuse); the reasons were measured, see docs/formats/store.md.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import boto3.session
import botocore.loaders
import botocore.session
import urllib3.exceptions
from botocore.config import Config
from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from evidence.errors import (
    BlobNotFoundError,
    ConfigError,
    EvidenceError,
    StoreClockError,
    StoreCredentialsError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LockMode = Literal["COMPLIANCE", "GOVERNANCE"]
NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
#: ``NoSuchUpload``: the upload was completed by an earlier try of the same request, whose answer was lost.
RACED = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict", "NoSuchUpload"})
DENIED = frozenset({"403", "AccessDenied", "Forbidden"})
_UNAVAILABLE = frozenset({
    "NoSuchBucket", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "Throttling", "500", "502", "503",
    "504", "ServerNotInitialized",
})  # fmt: skip
_FULL = frozenset({"507", "InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "EntityTooLarge"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_CREDENTIALS = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
    "InvalidClientTokenId", "TokenRefreshRequired", "AccountProblem", "NotSignedUp", "AuthorizationHeaderMalformed",
    "401", "Unauthorized",
})  # fmt: skip
#: What a server answers to HEAD when it refuses: no body, hence no reason.
_NO_REASON = frozenset({"400", "401", "403", "Bad Request", "Forbidden", "Unauthorized"})
_KEYS_FOR_S = 5.0
_PREFIX = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*")
_PART_BYTES_MIN = 5 << 20


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach a bucket and how to lock what goes into it.

    Attributes:
        endpoint: ``https://host[:port]`` (``http`` only inside a trusted network).
        bucket: Name of the bucket.
        access: Access key.
        secret: Secret key; never shown.
        keys: Reads both keys anew; asked every few seconds while requests are signed, so that renewed keys are used without a
            new start. None: they stay.
        region: Region the requests are signed for.
        ca: Certificate authority file for a private endpoint, None for the system's.
        prefix: Put before every key, empty or ending in ``/``.
        mode: COMPLIANCE: nobody can remove before the date; GOVERNANCE: privileged accounts can.
        first_retention_days: Retention of a blob that is put without a date; 0 for none. Never shortened.
        domain: Failure domain; empty means the endpoint's host. Must be stated for an endpoint on this machine, whose
            disks may be those of a local store.
        storage_class: Storage class of what is put; empty: the bucket's own.
        part_bytes: Size of multipart parts and limit for a single request, at least 5 MiB.
        connect_timeout_s: Limit for reaching the server.
        read_timeout_s: Limit for one silence of the server.
        attempts: How often one request is tried before the store counts as not answering.

    Raises:
        ConfigError: A value makes no sense.
    """

    endpoint: str
    bucket: str
    access: str
    secret: str = field(repr=False)
    region: str = "us-east-1"
    ca: Path | None = None
    prefix: str = ""
    mode: LockMode = "COMPLIANCE"
    first_retention_days: int = 30
    domain: str = ""
    storage_class: str = ""
    part_bytes: int = 16 << 20
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    attempts: int = 4
    keys: Callable[[], tuple[str, str]] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every value once, here."""
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"not an S3 endpoint: {self.endpoint[:200]!r}")
        if not self.domain and _is_this_machine(parts.hostname):
            raise ConfigError(
                "an S3 endpoint on this machine may use the disks of a local store",
                todo="State its failure domain (domain = ...), so that copies are counted honestly.",
            )
        if self.mode not in {"COMPLIANCE", "GOVERNANCE"}:
            raise ConfigError(f"not a lock mode: {self.mode!r}", todo="Use COMPLIANCE or GOVERNANCE.")
        if not self.bucket or not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(f"not a bucket and prefix: {self.bucket[:80]!r}, {self.prefix[:80]!r}")
        if self.first_retention_days < 0 or self.part_bytes < _PART_BYTES_MIN:
            raise ConfigError("retention days cannot be negative and parts need 5 MiB or more")

    @property
    def failure_domain(self) -> str:
        """The stated domain, else ``s3:<host>``."""
        return self.domain or f"s3:{urlsplit(self.endpoint).hostname}"


def _is_this_machine(host: str) -> bool:
    """Whether an endpoint's name or address is surely one of this machine; asks no name server."""
    name = host.rstrip(".").lower()
    own = os.uname().nodename.lower()
    if name in {"localhost", "localhost.localdomain", own, own.partition(".")[0]} or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((name, 0))  # only an address of this machine can be bound
        except OSError:
            return False
    return True


class _Keys(Credentials):
    """Keys that are read again now and then; while they cannot be read the last ones serve."""

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(settings.access, settings.secret, method=_Provider.METHOD)
        # Exchanged as one: another thread signs with both old or both new ones.
        self._pair = settings.access, settings.secret
        self._read = settings.keys
        self._read_at_s = time.monotonic()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The keys to sign the next request with."""
        if self._read is not None and time.monotonic() - self._read_at_s > _KEYS_FOR_S:
            self._read_at_s = time.monotonic()
            with contextlib.suppress(EvidenceError):
                self._pair = self._read()
        return ReadOnlyCredentials(*self._pair, None)


class _Provider(CredentialProvider):
    """The only source of keys: neither the environment nor files of other programs are looked at."""

    METHOD = "liuhen"

    def __init__(self, keys: _Keys) -> None:
        super().__init__()
        self._keys = keys

    def load(self) -> Credentials:
        """Ours."""
        return self._keys


@functools.cache
def _descriptions() -> Any:
    """What the library knows of services, read once for all clients (a tenth of a second each)."""
    return botocore.loaders.create_loader()


def _session(settings: S3Settings) -> boto3.session.Session:
    core = botocore.session.Session()
    core.register_component("data_loader", _descriptions())
    core.get_component("credential_provider").insert_before("env", _Provider(_Keys(settings)))
    return boto3.session.Session(botocore_session=core)


def connect(settings: S3Settings) -> S3Client:
    """Make a client; no request is sent yet."""
    return _session(settings).client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        verify=str(settings.ca) if settings.ca else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "max_attempts": settings.attempts},
            connect_timeout=settings.connect_timeout_s,
            read_timeout=settings.read_timeout_s,
            max_pool_connections=16,
            tcp_keepalive=True,
        ),
    )


def pages(client: S3Client, operation: Any, **request: Any) -> Iterator[Mapping[str, Any]]:
    """Every page of a listing, inside :func:`s3_errors`.

    Raises:
        StoreUnavailableError: The server says that there is more but not where: a list never ends short in silence.
    """
    more = False
    for page in client.get_paginator(operation).paginate(**request):
        more = page.get("IsTruncated", False)
        yield page
    if more:
        raise StoreUnavailableError("the server ended a list before its end")


def code_of(error: ClientError) -> str:
    """The server's error code, or the HTTP status where it sent none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return str(error.response.get("Error", {}).get("Code") or status)


def without_reason(error: ClientError) -> bool:
    """Whether a refusal carries no reason (the answer to HEAD has no body): asking again with GET tells it."""
    return code_of(error) in _NO_REASON


def passes_by_itself(error: ClientError) -> bool:
    """Whether the same request may succeed later: trouble of the server, the keys or the clocks, not of the request."""
    code, status = code_of(error), _status(error)
    waiting = _UNAVAILABLE | _FULL | _SKEWED | _CREDENTIALS | DENIED | {"ConditionalRequestConflict", "409"}
    return status >= 500 or code in waiting


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _refusal(error: ClientError, what: str) -> StoreError:
    """The server's refusal in our words."""
    code, status = code_of(error), _status(error)
    if code in NOT_FOUND:
        return BlobNotFoundError(f"cannot {what}: the server has none")
    if code in _FULL or status == 507:
        return StoreFullError(
            f"cannot {what}: the server has no room ({code})",
            kept="Nothing counts as stored there; the other copies stand.",
            todo="Give the bucket more room; the copy is made up by itself.",
        )
    if code in _SKEWED | _CREDENTIALS | DENIED:
        return _of_the_account(code, what)
    if code in _UNAVAILABLE or status >= 500:
        return StoreUnavailableError(f"cannot {what}: the server answers {code}")
    return StoreError(
        f"cannot {what}: the server refuses ({code})", todo="Check the account's rights and the bucket's settings."
    )


def _of_the_account(code: str, what: str) -> StoreError:
    """Refused because of the clock, the keys or the rights: nothing is known about bytes."""
    if code in _SKEWED:
        return StoreClockError(
            f"cannot {what}: this machine's clock and the server's are too far apart ({code})",
            todo="Set the clocks (NTP); `liuhen storage check` tells the difference.",
        )
    if code in _CREDENTIALS:
        return StoreCredentialsError(
            f"cannot {what}: the server does not accept our keys ({code})",
            todo="Put valid keys into the store's key files; they are read again within seconds.",
        )
    return StoreCredentialsError(
        f"cannot {what}: the server refuses it to our account ({code})",
        todo="Check the account's rights (docs/deployment.md lists them) and the bucket's policy.",
    )


@contextlib.contextmanager
def s3_errors(what: str) -> Iterator[None]:
    """Turn what server and network say inside the block into our errors; ``what`` could not be done."""
    try:
        yield
    except ClientError as error:
        raise _refusal(error, what) from error
    except ParamValidationError as error:
        raise StoreError(f"cannot {what}: the client refuses the request") from error
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailableError(f"cannot {what}: {type(error).__name__}") from error
