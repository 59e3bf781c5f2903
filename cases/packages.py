"""Making a case package: who may, what is in it, the entry before and after, the writing. Resumable.

Order: the case is the person's to see and to export | every original is exported under the person's right or grant, each
entered as a use (R17) | the package is a matter "being made", with everything that will be in it | the bag is written, read
back, whole | the matter says so, with its digests. If we crash before the third, nothing left the house and the uses stand as
asked for; after it the same order goes on with the same package, and asks for no further use.

A package for publication asks for no original at all: it takes the treated copies that a second person approved (R21).

Source: RULES R17, R19, R21, R27; docs/formats/package.md.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cases import package_form
from cases.dossier_parts import DOSSIERS
from cases.package_build import PackageReceipt, bag_of, write_package
from cases.package_content import VERIFY_LIST_PATH, Content, PackageForm
from cases.package_gather import Gathering, PackageParts, recordings_of, require_sealed, title_of, treatments_of
from cases.package_made import Maker
from catalogue.matters import MatterFilter, MatterRow
from documents.bagit import BagFile, Progress, bag_info, receipt_of, whole_bag
from documents.zipped import zip_chunks
from evidence.digest import sha256_of
from evidence.durable import make_dirs
from evidence.errors import (
    BlobConflictError,
    InvalidInputError,
    ManifestInvalidError,
    NotFoundError,
    PolicyUnmetError,
    StateConflictError,
)
from evidence.ids import MatterId, RecordingId
from evidence.model import Action, Actor, ObjectScope
from matters.looking import MatterView
from matters.turn import Asked, NewLink
from matters.values import checked

#: Where a package went that was sent to a browser or a program.
DOWNLOADED: Final = "download"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asks for.

    Attributes:
        case: Which case.
        target: The folder to be written; its parent exists. None to have the package sent (:meth:`CasePackages.download`).
        form: For whom.
        purpose: One of the purposes of use (:data:`cases.access_parts.PURPOSES`).
        recipient: Who gets it.
        authority: The document it rests on.
    """

    case: MatterId
    target: Path | None
    form: PackageForm
    purpose: str
    recipient: str
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A package as it was made: its matter, and what was written."""

    matter: MatterRow
    receipt: PackageReceipt


class CasePackages:
    """Makes packages.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: PackageParts) -> None:
        self._parts = parts

    def export(self, actor: Actor, order: Order, *, progress: Progress | None = None) -> Made:
        """Make a package, or go on with the one that was cut off at the same target.

        Raises:
            AccessDeniedError: The case, or one of its recordings, is not this person's to export (entered).
            NotFoundError: No such case. PolicyUnmetError: Something is not sealed yet; nothing approved to publish (R21).
            InvalidInputError: Nothing to pack; a purpose that does not exist. BlobConflictError: The target exists.
            ConfigError: The fonts are missing. StoreFullError, StoreError, DigestMismatchError: While writing; the package stays
                "being made" and the same order continues it.
        """
        if order.target is None:
            raise InvalidInputError("a package is written to a folder", todo="Name a folder, or download it.")
        view = self._case(actor, order.case)
        target = order.target.resolve()
        row = self._going_on(actor, order, str(target))
        if target.exists():
            if row is None or not _is_package(target, row.number):
                raise BlobConflictError(
                    f"{target.name} exists already; nothing was overwritten", todo="Choose another name."
                )
            receipt = PackageReceipt(receipt_of(target), _digest_of_list(target))  # whole, and not entered yet
            return Made(self._finished(actor, row, receipt), receipt)
        row = row or self._ordered(actor, order, view, str(target))
        with self._scratch() as scratch:
            receipt = write_package(target, self._content(actor, view, row, scratch), progress=progress)
        return Made(self._finished(actor, row, receipt), receipt)

    def download(self, actor: Actor, order: Order) -> tuple[MatterRow, Iterator[bytes]]:
        """A package as one ZIP file, made while it is sent; nothing of it but its clips lies on a disk meanwhile.

        Everything that can be refused is refused before the first byte. The package is entered before it, and as made after
        the last; a stream that breaks off leaves it "being made", what arrived is no ZIP file, and the next download is the
        same package.

        Raises:
            As :meth:`export`, but for what only writing meets.
        """
        view = self._case(actor, order.case)
        row = self._going_on(actor, order, DOWNLOADED) or self._ordered(actor, order, view, DOWNLOADED)
        stack = contextlib.ExitStack()
        try:
            scratch = stack.enter_context(self._scratch())
            content = self._content(actor, view, row, scratch)
            bag, list_sha256 = bag_of(content)
            files, receipt = whole_bag(bag)
        except BaseException:
            stack.close()
            raise
        return row, self._sent(actor, row, files, PackageReceipt(receipt, list_sha256), stack)

    def _sent(
        self,
        actor: Actor,
        row: MatterRow,
        files: Sequence[BagFile],
        receipt: PackageReceipt,
        stack: contextlib.ExitStack,
    ) -> Iterator[bytes]:
        with stack:
            yield from zip_chunks(row.number, files, at=row.opened_at)
            with contextlib.suppress(StateConflictError):  # sent twice at once: the other one has said so
                self._finished(actor, row, receipt)

    def _content(self, actor: Actor, view: MatterView, row: MatterRow, scratch: Path) -> Content:
        gathering = Gathering(self._parts, view, row)
        content = gathering.content(actor)
        if row.facts["form"] != PackageForm.FULL:
            return content
        maker = Maker(self._parts, view, kept=gathering.kept, unplayable=gathering.unplayable, scratch=scratch)
        return replace(content, items=maker.items(content.items))

    # --- who may ------------------------------------------------------------------------------------------------------
    def _case(self, actor: Actor, case: MatterId) -> MatterView:
        view = self._parts.desk.view(actor, case)
        if view.row.kind not in DOSSIERS:
            raise NotFoundError(f"{view.row.number} is no case")
        own = actor.agent if any(person.agent == actor.agent for person in view.persons) else view.row.opened_by
        scope = ObjectScope(unit=view.row.unit, officer=own)
        self._parts.authoriser.require(actor, Action.CASE_EXPORT, scope, detail=f"package {view.row.number}")
        return view

    def _going_on(self, actor: Actor, order: Order, place: str) -> MatterRow | None:
        """The package this person was making at this very place, if it was cut off."""
        wanted = MatterFilter(kinds=(package_form.KIND,), states=(package_form.MAKING,), target=order.case)
        with self._parts.catalogue.read() as uow:
            rows = uow.matters.find(wanted, limit=1000)
        for row in rows:
            same = row.facts.get("form") == order.form.value and row.words.get("place") == place
            if same and row.opened_by == actor.agent:
                self._require_still(actor, row)
                return row
        return None

    def _require_still(self, actor: Actor, row: MatterRow) -> None:
        """Consent may be over since the package was ordered: every original is asked for again; no further use is counted."""
        with self._parts.catalogue.read() as uow:
            links = [link.target for link in uow.matters.links(row.id, role=package_form.FOOTAGE)]
            rows = [uow.recordings.get(RecordingId(target)) for target in links]
            scopes = self._parts.scopes(uow, rows, self._parts.clock.now().wall) if rows else []
        decisions = self._parts.authoriser.decide_each(actor, Action.RECORDING_EXPORT, scopes)
        for scope, decision in zip(scopes, decisions, strict=True):
            if not decision.allowed:
                self._parts.authoriser.deny(
                    actor, Action.RECORDING_EXPORT, reason=decision.reason, scope=scope, detail=f"package {row.number}"
                )

    def _ordered(self, actor: Actor, order: Order, view: MatterView, place: str) -> MatterRow:
        values = {
            "title": title_of(view), "form": order.form.value, "purpose": order.purpose, "recipient": order.recipient,
            "authority": order.authority, "place": place,
        }  # fmt: skip
        form = self._parts.desk.forms.of(package_form.KIND)
        facts, words = checked(form.opening.fields, {name: value for name, value in values.items() if value})
        with self._parts.catalogue.read() as uow:
            rows = recordings_of(uow, view) if order.form is PackageForm.FULL else []
            treated = treatments_of(uow, view) if order.form is PackageForm.PUBLICATION else []
            now = self._parts.clock.now().wall
            scopes = self._parts.scopes(uow, rows, now) if rows else []
        if order.form is PackageForm.PUBLICATION and not treated:
            raise PolicyUnmetError(
                "no treated copy of this case's footage was approved for publication", kept="Nothing was written.",
                todo="Bring in treated copies and have them approved by a second person.",
            )  # fmt: skip
        require_sealed(rows)
        if rows:
            asked = [(scope, row.sha256.hex if row.sha256 else "") for scope, row in zip(scopes, rows, strict=True)]
            detail = f"package of {view.row.number}"
            self._parts.authoriser.allowed_each(actor, Action.RECORDING_EXPORT, asked, detail=detail, use=True)
        links = [NewLink(role=package_form.CASE, target=view.row.id)]
        links += [NewLink(role=package_form.FOOTAGE, target=row.id) for row in rows]
        links += [NewLink(role=package_form.TREATMENT, target=row.id) for row in treated]
        with self._parts.catalogue.begin() as uow:
            row = self._parts.desk.open_within(
                uow, package_form.KIND, Asked(facts=facts, words=words, links=links), actor=actor, unit=view.row.unit
            )  # fmt: skip
            uow.after_commit(self._parts.woken)
        return row

    def _finished(self, actor: Actor, row: MatterRow, receipt: PackageReceipt) -> MatterRow:
        facts = {
            "manifest_sha256": receipt.bag.manifest_sha256, "list_sha256": receipt.list_sha256,
            "files": receipt.bag.payload_files, "size_bytes": receipt.bag.payload_bytes,
        }  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            made = self._parts.desk.act_within(uow, row.id, package_form.FINISH, Asked(facts=facts), actor=actor)
            uow.after_commit(self._parts.woken)
        return made

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A place for clips until they are in the package; gone afterwards."""
        self._parts.ready_scratch()
        make_dirs(self._parts.scratch)
        with tempfile.TemporaryDirectory(prefix="package-", dir=self._parts.scratch) as name:
            yield Path(name)


def _is_package(folder: Path, number: str) -> bool:
    try:
        return bag_info(folder).get("External-Identifier") == number
    except ManifestInvalidError:
        return False


def _digest_of_list(folder: Path) -> str:
    return sha256_of((folder / VERIFY_LIST_PATH).read_bytes()).hex
