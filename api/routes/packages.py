"""Packages of cases: everything of a case as one ZIP file that proves itself (R19, R21, R27)."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from api.dependencies import ActorDep, ServicesDep
from api.openapi import bytes_of
from api.routes.matters import attachment
from api.schemas.packages import PackageRequest
from api.services import Services
from cases.package_content import PackageForm
from cases.packages import Order
from evidence.ids import MatterId
from evidence.model import Actor

router = APIRouter(tags=["matters"])


@router.post(
    "/cases/{case}/package", operation_id="exportCase", response_class=Response, responses=bytes_of("application/zip")
)
def export(case: str, wanted: PackageRequest, actor: ActorDep, services: ServicesDep) -> Response:
    """A BagIt bag of the case as a ZIP file. The package is entered before the first byte and, as made, after the last."""
    return sent(services, actor, MatterId(case), wanted)


def sent(services: Services, actor: Actor, case: MatterId, wanted: PackageRequest) -> Response:
    """The package as a file to be saved; what is refused is refused before the first byte."""
    order = Order(
        case=case, target=None, form=PackageForm(wanted.form), purpose=wanted.purpose, recipient=wanted.recipient,
        authority=wanted.authority,
    )  # fmt: skip
    row, chunks = services.packages.download(actor, order)
    headers = {
        "content-disposition": attachment(f"{row.number}.zip"), "cache-control": "no-store", "x-liuhen-package": row.number,
    }  # fmt: skip
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)
