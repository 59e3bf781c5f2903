"""``liuhen case``: what cases hold and lack, their papers, and packages that prove themselves without us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli import case_dossiers
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say, step_bar
from evidence.errors import DigestMismatchError, NotFoundError
from evidence.ids import MatterId

if TYPE_CHECKING:
    from app.wiring import House
    from catalogue.matters import MatterRow

_PURPOSES = (
    "case-work", "documents", "legal-review", "reconsideration", "litigation", "complaint", "supervision", "publicity", "other",
)  # fmt: skip


@click.group()
def case() -> None:
    """Cases: what they hold and lack, their papers, packages for courts and other authorities."""


def _case(house: House, text: str) -> MatterRow:
    """By number, else by identity."""
    from cases.dossier_parts import DOSSIERS

    with house.catalogue.read() as uow:
        for kind in DOSSIERS:
            found = uow.matters.by_number(kind, text)
            if found is not None:
                return found
        if text.startswith(f"{MatterId.prefix}_"):
            return uow.matters.get(MatterId(text))
    raise NotFoundError(f"there is no case {text[:64]}", todo="Give its number or its identity.")


@case.command("export")
@click.argument("number", metavar="CASE")
@click.argument("target", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--purpose", type=click.Choice(_PURPOSES), required=True, help="What the package is for.")
@click.option("--recipient", required=True, metavar="TEXT", help="Who gets it.")
@click.option("--authority", default="", metavar="TEXT", help="The document it rests on.")
@click.option("--publication", is_flag=True, help="Only treated copies that a second person approved.")
@home_option
@json_option
@identity_options
def export(
    number: str, target: Path, purpose: str, recipient: str, authority: str, *, publication: bool, home: str | None,
    as_json: bool, login: str,
) -> None:  # fmt: skip
    """Write a case to a new FOLDER: originals, clips, documents, proofs, verifier and a page to read and play it.

    Cut off, the same command goes on where it was.
    """
    from app.package_making import case_packages
    from cases.package_content import PackageForm
    from cases.packages import Order

    with acting(home, login) as (house, actor), step_bar(hidden=as_json) as told:
        row = _case(house, number)
        order = Order(
            case=row.id, target=target, form=PackageForm.PUBLICATION if publication else PackageForm.FULL,
            purpose=purpose, recipient=recipient, authority=authority,
        )  # fmt: skip
        made = case_packages(house).export(
            actor, order, progress=lambda _path, done, total: told(say("Package"), done, total)
        )
        house.seal_pending()
    facts = made.matter.facts
    answer = {
        "package": made.matter.number, "id": made.matter.id, "case": row.number, "form": facts["form"],
        "folder": str(made.receipt.bag.folder), "files": facts["files"], "size_bytes": facts["size_bytes"],
        "manifest_sha256": facts["manifest_sha256"], "list_sha256": facts["list_sha256"],
    }  # fmt: skip
    if as_json:
        print_json(answer)
        return
    for label, name in (
        ("Package of a case", "package"), ("Written to", "folder"), ("Files", "files"), ("Size in bytes", "size_bytes"),
        ("Digest of the manifest", "manifest_sha256"), ("Digest of the checking list", "list_sha256"),
    ):  # fmt: skip
        click.echo(f"{say(label)}: {answer[name]}")


@case.command("check")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@home_option
@json_option
def check(folder: Path, *, home: str | None, as_json: bool) -> None:  # noqa: ARG001 - every command takes --home; this one reads none
    """Read every file of a package and compare it with the package's lists. Needs no home."""
    from documents.bagit import bag_info, check_bag

    found = [{"path": path, "finding": what} for path, what in check_bag(folder)]
    info = bag_info(folder)
    if as_json:
        print_json({"package": info.get("External-Identifier", ""), "good": not found, "findings": found})
    else:
        words = {"missing": say("missing"), "changed": say("changed"), "not listed": say("not listed")}
        for one in found:
            click.echo(f"{one['path']}: {words[one['finding']]}")
        if not found:
            click.echo(say("Every file of the package is as it was written."))
    if found:
        raise DigestMismatchError(
            f"{len(found)} files of the package are missing, changed or not listed", todo="Have the package made again."
        )


case_dossiers.add_to(case)
