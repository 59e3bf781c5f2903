"""Matters of every kind: what a form declares can be read, filled in, acted on, printed and registered by programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.dependencies import ActorDep, ServicesDep
from api.matters.checkpoints import newest
from api.matters.describing import described
from api.matters.printing import printable_of, sheet_of
from api.matters.registers import MEDIA_TYPES, register_of, written
from api.matters.seeing import may_see
from api.openapi import bytes_of
from api.schemas.matters import (
    ActRequest,
    DocumentAnswer,
    HistoryAnswer,
    KindAnswer,
    MatterAnswer,
    MatterDetailAnswer,
    MattersAnswer,
    OpenRequest,
    RegisterFormat,
    detail_answer,
    document_answer,
    history_answer,
    matter_answer,
)
from api.uploads import take_upload
from catalogue.matters import DocumentRow, MatterFilter
from documents import print_document
from documents.values import local_time
from documents.words import Language
from evidence.errors import InvalidInputError
from evidence.ids import AgentId, DocumentId, MatterId, UnitId
from evidence.model import Actor

router = APIRouter(prefix="/matters", tags=["matters"])
_LangDep = Annotated[Language, Query(alias="lang")]
_CHUNK_BYTES: Final = 256 << 10


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInputError("a time needs its zone, for example 2026-11-22T08:00:00+08:00")
    return moment


def _person(text: str, actor: Actor) -> AgentId | None:
    return actor.agent if text == "me" else AgentId(text) if text else None


@router.get("/kinds", operation_id="listMatterKinds")
def kinds(actor: ActorDep, services: ServicesDep, lang: _LangDep = "zh-CN") -> list[KindAnswer]:
    """The kinds of matters the actor may see or open, as their forms declare them; words in the language asked for."""
    return [
        KindAnswer(**described(form, lang, may_open=services.matters.may_open(actor, form.kind)))
        for form in services.matters.kinds(actor)
    ]


@router.get("", operation_id="listMatters")
def list_matters(
    actor: ActorDep,
    services: ServicesDep,
    *,
    kind: Annotated[list[str] | None, Query()] = None,
    state: Annotated[list[str] | None, Query()] = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    unit: str = "",
    person: Annotated[str, Query(description="An agent, or 'me'")] = "",
    target: Annotated[str, Query(max_length=200, description="Linked to this identity")] = "",
    opened_from: datetime | None = None,
    opened_to: datetime | None = None,
    due_before: datetime | None = None,
    text: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MattersAnswer:
    """One page of the matters the actor may know of, newest first."""
    wanted = MatterFilter(
        kinds=tuple(kind or ()), states=tuple(state or ()), open=is_open, unit=UnitId(unit) if unit else None,
        person=_person(person, actor), target=target, opened_from=_aware(opened_from), opened_to=_aware(opened_to),
        due_before=_aware(due_before), text=text,
    )  # fmt: skip
    rows = services.matters.find(actor, wanted, after=MatterId(cursor) if cursor else None, limit=limit)
    return MattersAnswer(
        matters=[matter_answer(row) for row in rows], cursor=rows[-1].id if len(rows) == limit else ""
    )  # fmt: skip


@router.post("", status_code=201, operation_id="openMatter")
def open_matter(wanted: OpenRequest, actor: ActorDep, services: ServicesDep) -> MatterAnswer:
    """Open a matter; a form that is not filled in rightly is refused with the code of each field in ``fields``."""
    row = services.matters.open(
        actor, wanted.kind, wanted.values, unit=UnitId(wanted.unit) if wanted.unit else None,
        links=[one.made() for one in wanted.links],
    )  # fmt: skip
    return matter_answer(row)


@router.get(
    "/registers/{matter_kind}/{written_as}", operation_id="matterRegister", response_class=Response,
    responses=bytes_of(*(name.partition(";")[0] for name in MEDIA_TYPES.values())),
)  # fmt: skip
def register(
    matter_kind: str,
    written_as: RegisterFormat,
    actor: ActorDep,
    services: ServicesDep,
    *,
    state: Annotated[list[str] | None, Query()] = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    unit: str = "",
    person: str = "",
    opened_from: datetime | None = None,
    opened_to: datetime | None = None,
    text: Annotated[str, Query(max_length=200)] = "",
    lang: _LangDep = "zh-CN",
) -> Response:
    """The register of a kind: what the actor may know of, in the form's columns."""
    known = services.matters.forms.of(matter_kind)
    may_see(services, actor, known)
    wanted = MatterFilter(
        states=tuple(state or ()), open=is_open, unit=UnitId(unit) if unit else None, person=_person(person, actor),
        opened_from=_aware(opened_from), opened_to=_aware(opened_to), text=text,
    )  # fmt: skip
    now = services.clock.now().wall
    book = register_of(
        services, actor, known, wanted, language=lang, now=now, printed=written_as == "pdf",
        checkpoint=newest(services.log.directory, services.log.vkey),
    )  # fmt: skip
    name = f"{matter_kind}-{local_time(now):%Y%m%d}.{written_as}"
    return _download(b"".join(written(book, written_as)), name, media_type=MEDIA_TYPES[written_as])


def _download(data: bytes, name: str, *, media_type: str) -> Response:
    return Response(data, media_type=media_type, headers={"content-disposition": attachment(name)})


def attachment(untrusted_name: str, *, inline: bool = False) -> str:
    """The ``Content-Disposition`` of a file to be saved; any name is carried in the form that every browser reads."""
    kind = "inline" if inline else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(untrusted_name[:200], safe='')}"


@router.get("/{matter}", operation_id="showMatter")
def show(matter: str, actor: ActorDep, services: ServicesDep) -> MatterDetailAnswer:
    """A matter, who has a part in it, what it concerns, what is on file and what the actor can do now."""
    return detail_answer(services.matters.view(actor, MatterId(matter)))


@router.get("/{matter}/history", operation_id="matterHistory")
def history(matter: str, actor: ActorDep, services: ServicesDep) -> list[HistoryAnswer]:
    """The custody entries of a matter as the actor may read them."""
    return [history_answer(one) for one in services.matters.history(actor, MatterId(matter))]


@router.post("/{matter}/acts", operation_id="actOnMatter")
def act(matter: str, wanted: ActRequest, actor: ActorDep, services: ServicesDep) -> MatterAnswer:
    """Do one of its acts. What is decided on a frozen view needs ``seen`` of that view."""
    row = services.matters.act(
        actor, MatterId(matter), wanted.act, wanted.values, links=[one.made() for one in wanted.links],
        unlinks=[one.made() for one in wanted.unlinks], seen=wanted.seen, version=wanted.version or None,
    )  # fmt: skip
    return matter_answer(row)


_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["role", "file"],
                    "properties": {"role": {"type": "string"}, "file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("/{matter}/documents", status_code=201, operation_id="fileDocument", openapi_extra=_UPLOAD)
async def file_document(matter: str, request: Request, actor: ActorDep, services: ServicesDep) -> DocumentAnswer:
    """File a document: a form with ``role`` before ``file``. What it is is told by its content."""
    known = MatterId(matter)

    def take(fields: Mapping[str, str], name: str, stream: BinaryIO) -> DocumentRow:
        return services.papers.file(actor, known, fields.get("role", ""), name, stream)

    return document_answer(await take_upload(request, take))


@router.get(
    "/{matter}/documents/{document}", operation_id="openDocument", response_class=Response,
    responses=bytes_of("application/octet-stream"),
)  # fmt: skip
def open_document(matter: str, document: str, actor: ActorDep, services: ServicesDep) -> Response:
    """The bytes of a document, to be saved; that it was opened is entered."""
    return document_response(services.papers.open(actor, DocumentId(document)), MatterId(matter))


def document_response(opened: tuple[DocumentRow, BinaryIO], matter: MatterId) -> Response:
    """A document as a download: never shown inside our pages, whatever it holds."""
    row, stream = opened
    if row.matter != matter:
        stream.close()
        raise InvalidInputError("the document belongs to another matter")
    headers = {"content-disposition": attachment(row.name or row.id), "content-length": str(row.size_bytes)}
    return StreamingResponse(_chunks(stream), media_type="application/octet-stream", headers=headers)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


@router.get(
    "/{matter}/print", operation_id="printMatter", response_class=Response, responses=bytes_of("application/pdf")
)  # fmt: skip
def printed(matter: str, actor: ActorDep, services: ServicesDep, lang: _LangDep = "zh-CN") -> Response:
    """The matter as a PDF/A-3 with its data attached, under the newest checkpoint of the log."""
    checkpoint = newest(services.log.directory, services.log.vkey)
    sheet = sheet_of(services, actor, MatterId(matter), now=services.clock.now().wall, checkpoint=checkpoint)
    return _download(
        print_document(printable_of(sheet, lang)), f"{sheet.view.row.number}.pdf", media_type="application/pdf"
    )  # fmt: skip
