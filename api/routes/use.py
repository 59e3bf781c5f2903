"""Use of footage: copies of recordings, and the register of who used what (R17, R19)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.dependencies import ActorDep, ServicesDep
from api.matters.checkpoints import newest
from api.matters.registers import MEDIA_TYPES, written
from api.openapi import bytes_of
from api.routes.matters import attachment
from api.schemas.matters import RegisterFormat
from api.schemas.use import CopyRequest, UseLineAnswer, line_answer
from api.services import Services
from api.streaming import whole
from api.use_book import use_register
from documents.values import local_time
from documents.words import Language
from evidence.errors import InvalidInputError
from evidence.ids import RecordingId, UnitId
from evidence.model import Actor

router = APIRouter(tags=["use"])
_PERIOD: Final = timedelta(days=30)


@router.post(
    "/recordings/{recording}/copies", operation_id="copyRecording", response_class=Response,
    responses=bytes_of("application/octet-stream"),
)  # fmt: skip
def copy(recording: str, wanted: CopyRequest, actor: ActorDep, services: ServicesDep) -> Response:
    """Hand out a copy: a right of its own, entered before the first byte is sent. There are no ranges: one copy, one entry."""
    return copied(services, actor, RecordingId(recording), kind=wanted.kind)


def copied(services: Services, actor: Actor, recording: RecordingId, *, kind: str) -> Response:
    """A copy as a file to be saved."""
    found = services.reading.copy(actor, recording, kind=kind)
    return whole(
        services.blobs, sha256=found.sha256, size_bytes=found.size_bytes,
        headers={"content-disposition": attachment(found.name), "x-liuhen-sha256": found.sha256.hex},
    )  # fmt: skip


def _period(services: Services, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    last = until or services.clock.now().wall
    first = since or last - _PERIOD
    if first.tzinfo is None or last.tzinfo is None:
        raise InvalidInputError("a time needs its zone, for example 2026-11-22T08:00:00+08:00")
    return first, last


@router.get("/use-register", operation_id="useRegister")
def register(
    actor: ActorDep, services: ServicesDep, *, since: datetime | None = None, until: datetime | None = None,
    unit: Annotated[str, Query(max_length=64)] = "",
) -> list[UseLineAnswer]:  # fmt: skip
    """Every request, use and refusal of a period (the last thirty days) that the actor may know of, the earliest first."""
    first, last = _period(services, since, until)
    lines = services.use_register.lines(actor, since=first, until=last, unit=UnitId(unit) if unit else None)
    return [line_answer(line) for line in lines]


@router.get(
    "/use-register/{book}", operation_id="useRegisterFile", response_class=Response,
    responses=bytes_of(*(name.partition(";")[0] for name in MEDIA_TYPES.values())),
)  # fmt: skip
def register_file(
    book: RegisterFormat,
    actor: ActorDep,
    services: ServicesDep,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    unit: Annotated[str, Query(max_length=64)] = "",
    lang: Annotated[Language, Query()] = "zh-CN",
) -> Response:
    """The register of use as CSV, XLSX or print."""
    first, last = _period(services, since, until)
    known = UnitId(unit) if unit else None
    return register_book(services, actor, since=first, until=last, unit=known, form=book, language=lang)


def register_book(
    services: Services, actor: Actor, *, since: datetime, until: datetime, unit: UnitId | None, form: RegisterFormat,
    language: Language,
) -> Response:  # fmt: skip
    """The register of use as a file to be saved."""
    now = services.clock.now().wall
    made = use_register(
        services.use_register.lines(actor, since=since, until=until, unit=unit), directory=services.directory,
        forms=services.matters.forms, language=language, now=now, since=since, until=until,
        checkpoint=newest(services.log.directory, services.log.vkey), printed=form == "pdf",
    )  # fmt: skip
    name = f"use-register-{local_time(now):%Y%m%d}.{form}"
    return Response(
        b"".join(written(made, form)), media_type=MEDIA_TYPES[form], headers={"content-disposition": attachment(name)}
    )  # fmt: skip
