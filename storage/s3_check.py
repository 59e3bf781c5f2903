"""What is right and wrong with a bucket, its server and the account, in codes: found by asking and trying, never assumed.

Nothing is changed but probe objects. A check that could not be made says ``unknown``; a limit of the server that this service
copes with is a ``note``.

Source: docs/formats/store.md "What a bucket must refuse", docs/deployment.md.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from evidence.clock import Clock
from evidence.errors import EvidenceError, StoreClockError, StoreCredentialsError, StoreError, StoreUnavailableError
from storage import s3_bucket
from storage.s3_client import S3Settings, code_of, s3_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Level = Literal["good", "note", "bad", "unknown"]
#: Clocks closer than this are together; requests are refused at a quarter of an hour.
_CLOSE_S, _APART_S = 30, 300


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """One thing that was looked at.

    Attributes:
        name: What; a stable code.
        level: ``good``; ``note``: a limit that this service copes with; ``bad``: must be mended; ``unknown``: not to be told.
        values: Figures and names behind it.
    """

    name: str
    level: Level
    values: Mapping[str, Any] = field(default_factory=dict)


def check_bucket(client: S3Client, settings: S3Settings, *, clock: Clock) -> tuple[list[StoreCheck], bool | None]:
    """Look at everything. Never raises: what cannot be told is ``unknown``.

    Returns:
        The checks, and whether the probe found the bucket protected (None when it could not be made).
    """
    checks = [_connection(settings)]
    try:
        with s3_errors("look at the bucket"):
            began = clock.now().wall
            answer = _first_request(client, settings)
            ended = clock.now().wall
        if answer is None:
            checks += [StoreCheck("answers", "good"), StoreCheck("bucket", "bad", {"bucket": settings.bucket})]
            return checks, None
    except StoreError as error:
        return [*checks, *_not_looked_at(error)], None
    checks += [StoreCheck("answers", "good"), StoreCheck("credentials", "good"), _clock(answer, began, ended)]
    checks.append(StoreCheck("bucket", "good", {"bucket": settings.bucket}))
    try:
        checks.append(_default_retention(client, settings))
        report = s3_bucket.probe(client, settings, now=clock.now().wall)
    except EvidenceError as error:
        return [*checks, StoreCheck("probe", "unknown", {"code": error.code, "what": error.what})], None
    checks += [StoreCheck(name, _level(name, passed=passed)) for name, passed in report.checks.items()]
    return checks, report.protected


def _level(name: str, *, passed: bool) -> Level:
    if passed:
        return "good"
    return "note" if name in s3_bucket.TOLD else "bad"


def _connection(settings: S3Settings) -> StoreCheck:
    return StoreCheck("tls", "good" if urlsplit(settings.endpoint).scheme == "https" else "note")


def _first_request(client: S3Client, settings: S3Settings) -> Mapping[str, Any] | None:
    """Any request that needs keys, clock and bucket, and whose refusal has a reason; None when there is no such bucket."""
    try:
        return client.list_object_versions(Bucket=settings.bucket, Prefix=f"{settings.prefix}.probe/", MaxKeys=1)
    except ClientError as error:
        if code_of(error) in {"NoSuchBucket", "404"}:
            return None
        raise


def _not_looked_at(error: StoreError) -> list[StoreCheck]:
    told = {"code": error.code, "what": error.what}
    if isinstance(error, StoreClockError):
        return [StoreCheck("answers", "good"), StoreCheck("clock", "bad", told)]
    if isinstance(error, StoreCredentialsError):
        return [StoreCheck("answers", "good"), StoreCheck("credentials", "bad", told)]
    if isinstance(error, StoreUnavailableError):
        return [StoreCheck("answers", "unknown", told)]
    return [StoreCheck("answers", "bad", told)]


def _clock(answer: Mapping[str, Any], began: datetime, ended: datetime) -> StoreCheck:
    """The server's clock less ours, from the Date header (whole seconds)."""
    stated = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        server = email.utils.parsedate_to_datetime(stated)
        ahead_s = round((server - (began + (ended - began) / 2)).total_seconds())
    except (TypeError, ValueError):
        return StoreCheck("clock", "unknown")
    level: Level = "good" if abs(ahead_s) <= _CLOSE_S else "note" if abs(ahead_s) < _APART_S else "bad"
    return StoreCheck("clock", level, {"ahead_s": ahead_s})


def _default_retention(client: S3Client, settings: S3Settings) -> StoreCheck:
    """Whether what is written is locked from its first moment, as long and as strictly as the settings ask."""
    with s3_errors("read the bucket's default retention"):
        mode, days = s3_bucket.default_retention(client, settings.bucket)
    values = {"mode": mode, "days": days, "wanted_mode": settings.mode, "wanted_days": settings.first_retention_days}
    if not settings.first_retention_days:
        return StoreCheck("default-retention", "note", values)
    enough = days >= settings.first_retention_days and mode in {settings.mode, "COMPLIANCE"}
    if not enough:
        return StoreCheck("default-retention", "bad", values)
    stricter = days > settings.first_retention_days or mode != settings.mode
    return StoreCheck("default-retention", "note" if stricter else "good", values)
