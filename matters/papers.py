"""Documents of matters: filed once, kept like recordings, never altered or taken away.

Order of filing: who may | streamed to a temporary file without a name in a protected place, bounded, its digest taken | what it
is, told by its content | a copy in every store, each read back | one transaction: matter locked, entry ``document.filed``, row,
holder ``document:<id>``. If we crash before the last, nothing was filed and the temporary file is gone with us; after it,
everything was.

Source: RULES R13, R15; docs/invariants.md 2, 4.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from catalogue.matters import DocumentRow, MatterRow
from documents.glyphs import showable
from documents.intake import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_KINDS,
    MEDIA_BYTES_MAX,
    MEDIA_KINDS,
    SCAN_KINDS,
    Found,
    examine,
)
from evidence.clock import TimeReading, to_text, unix_ms
from evidence.digest import SHA256, Digest
from evidence.durable import NO_SPACE, write_all
from evidence.errors import (
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    StateConflictError,
    StoreError,
    StoreFullError,
)
from evidence.events import AccessAllowed, DocumentFiled
from evidence.ids import DocumentId, MatterId
from evidence.limits import SOURCE_NAME_BYTES_MAX, TEXT_CHARS_MAX
from evidence.model import Actor
from evidence.ports import Authoriser, BlobStore, CustodyRecorder
from matters.desk import MatterDesk
from matters.fold import document_of
from matters.form import APPROVER, Form
from matters.looking import MatterView
from matters.paper_copies import KeepParts, Kept, keep

#: Documents of these roles are scans of signed papers: nothing else is taken for one.
SCAN_SUFFIX: Final = "-scan"
#: Documents of these roles are treated copies of footage (R21).
MEDIA_SUFFIX: Final = "-media"
#: Reason code of a refusal: who can do nothing with a matter files nothing with it.
NOTHING_TO_DO: Final = "nothing-to-do"
#: One matter; more is a mistake.
DOCUMENTS_MAX: Final = 2_000
_CHUNK_BYTES: Final = 1 << 20


def _nobody() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperParts:
    """What documents are filed and read with.

    Attributes:
        desk: Tells who may see and do what.
        keeping: Where the bytes go.
        authoriser: Refusals are entered through it.
        recorder: Signs the entries.
        blobs: Reads bytes from whichever store gives them.
        scratch: Where an upload lies for a moment, nameless.
        ready_scratch: Called before; raises StoreError when plain files may not lie there.
        woken: Called after a commit that added an entry.
    """

    desk: MatterDesk
    keeping: KeepParts
    authoriser: Authoriser
    recorder: CustodyRecorder
    blobs: BlobStore
    scratch: Path
    ready_scratch: Callable[[], None] = _nobody
    woken: Callable[[], None] = field(default=_nobody)


class PaperDesk:
    """Files documents with matters and gives them back. Thread-safe.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: PaperParts) -> None:
        self._parts = parts

    def file(self, actor: Actor, matter: MatterId, role: str, name: str, stream: BinaryIO) -> DocumentRow:
        """File a document. Durable on return: its copies were read back, its entry stands.

        The same bytes filed again in the same role are the document that is there already: nothing is entered twice.

        Args:
            actor: Who files it; whoever can do anything with the matter may.
            matter: With what.
            role: One of the form's documents; a role that ends in ``-scan`` takes scans only.
            name: What its file was called; kept as a personal value, never trusted.
            stream: Its bytes, read once.

        Raises:
            AccessDeniedError: Not theirs to see, or nothing for them to do (entered).
            InvalidInputError: No such role, or the content is nothing that is filed. LimitExceededError: Too large.
            StoreError: Too few stores took it (StoreFullError, StoreUnavailableError among them); nothing was filed.
        """
        view = self._parts.desk.view(actor, matter)
        if role not in view.form.brought:
            raise InvalidInputError(f"a {view.form.kind} has no document {role[:64]!r}", kept="Nothing was filed.")
        if not view.acts:
            detail = f"file {role} {view.row.number}"
            self._parts.authoriser.deny(actor, view.form.see, reason=NOTHING_TO_DO, detail=detail)
        _require_open(view.form, view.row, role)
        if len(view.documents) >= DOCUMENTS_MAX:
            raise LimitExceededError(
                f"{view.row.number} has {DOCUMENTS_MAX} documents already", kept="Nothing was filed."
            )
        allowed = SCAN_KINDS if role.endswith(SCAN_SUFFIX) else DOCUMENT_KINDS
        bytes_max = DOCUMENT_BYTES_MAX
        if role.endswith(MEDIA_SUFFIX):
            allowed, bytes_max = MEDIA_KINDS, MEDIA_BYTES_MAX
        with self._received(stream, name, bytes_max) as (file, sha256):
            here = Path(f"/proc/self/fd/{file.fileno()}")
            found = examine(here, claimed_name=name, allowed=allowed, bytes_max=bytes_max)
            standing = next((one for one in view.documents if (one.role, one.sha256) == (role, sha256)), None)
            if standing is not None:
                return standing
            kept = keep(
                self._parts.keeping, sha256, size_bytes=found.size_bytes, source=lambda: here.open("rb")
            )  # fmt: skip
        now = self._parts.keeping.clock.now()
        event = _event(actor, view, role, _name(name), sha256=sha256, found=found, kept=kept, now=now)
        return self._say(event, kept, now)

    def file_made(
        self, actor: Actor | None, matter: MatterId, *, role: str, name: str, media_type: str, data: bytes
    ) -> DocumentRow:
        """File what the program itself made (a list, a record). Durable on return; the same bytes in one role are there once.

        The caller has asked who may; ``actor`` is who ordered it, None for the service. Raises StoreError as :meth:`file`.
        """
        sha256 = Digest(SHA256, hashlib.sha256(data).hexdigest())
        kept = keep(self._parts.keeping, sha256, size_bytes=len(data), source=lambda: io.BytesIO(data))
        now = self._parts.keeping.clock.now()
        event = DocumentFiled(
            actor=actor.agent if actor is not None else "", document=DocumentId.new(unix_ms(now.wall)), matter=matter,
            role=role, blob_sha256=sha256.hex, size_bytes=len(data), media_type=media_type, copies=_copies(kept),
            at=to_text(now.wall), name=_name(name) or None,
        )  # fmt: skip
        return self._say(event, kept, now)

    def open(self, actor: Actor, document: DocumentId) -> tuple[DocumentRow, BinaryIO]:
        """A document for whoever may see its matter; that it was opened is entered first. The caller closes the stream.

        Raises:
            NotFoundError: No such document, or none for this person's eyes. AccessDeniedError: Not theirs to see (entered).
            StoreError: No store gives it now.
        """
        catalogue = self._parts.keeping.catalogue
        with catalogue.read() as uow:
            row = uow.matters.document(document)
        view = self._parts.desk.view(actor, row.matter)
        if all(one.id != document for one in view.documents):
            raise NotFoundError(f"there is no document {document} for you")
        now = self._parts.keeping.clock.now()
        event = AccessAllowed(
            actor=actor.agent, action=view.form.see, via=actor.via, at=to_text(now.wall), address=actor.address or None,
            detail=f"document {document} of {view.form.kind} {view.row.number}"[:TEXT_CHARS_MAX],
        )  # fmt: skip
        stream = self._parts.blobs.open(row.sha256)
        try:
            with catalogue.begin() as uow:
                self._parts.recorder.record(uow.outbox, event, at=now)
                uow.after_commit(self._parts.woken)
        except BaseException:
            stream.close()
            raise
        return row, stream

    # --- the inside ---------------------------------------------------------------------------------------------------
    @contextmanager
    def _received(self, stream: BinaryIO, name: str, bytes_max: int) -> Iterator[tuple[BinaryIO, Digest]]:
        """The upload in a file without a name (it cannot be left behind), with its digest."""
        self._parts.ready_scratch()
        try:
            self._parts.scratch.mkdir(0o700, parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._parts.scratch)  # noqa: SIM115 - closed below
        except OSError as error:
            raise _no_room(error) from error
        with file:
            hasher, size_bytes = hashlib.sha256(), 0
            while chunk := stream.read(_CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > bytes_max:
                    raise LimitExceededError(
                        f"{showable(name)[:120] or 'the file'} is larger than {bytes_max} bytes",
                        kept="Nothing was filed.", todo="Split the scan, or bring footage in as footage.",
                    )  # fmt: skip
                hasher.update(chunk)
                write_all(file.fileno(), chunk)
            yield file, Digest(SHA256, hasher.hexdigest())

    def _say(self, event: DocumentFiled, kept: Kept, now: TimeReading) -> DocumentRow:
        row = document_of(event)
        with self._parts.keeping.catalogue.begin() as uow:
            matter = uow.matters.lock(row.matter)
            if event.actor:  # somebody may have consented while the bytes came in
                _require_open(self._parts.desk.forms.of(matter.kind), matter, row.role)
            filed = uow.matters.documents(row.matter, role=row.role)
            standing = next((one for one in filed if one.sha256 == row.sha256), None)
            if standing is not None:  # filed by another click meanwhile
                return standing
            uow.blobs.add_holder(row.sha256, row.size_bytes, None, f"document:{row.id}")
            for copy in kept.copies:
                uow.blobs.put_copy(row.sha256, copy)
            uow.matters.add_document(row)
            self._parts.recorder.record(uow.outbox, event, at=now)
            uow.after_commit(self._parts.woken)
        return row


def _require_open(form: Form, row: MatterRow, role: str) -> None:
    """What somebody consented to on the strength of a document takes no further one: nobody would have looked at it."""
    looked_at = {name for act in form.acts if act.role == APPROVER for name in act.documents}
    if row.approved_by is not None and role in looked_at:
        raise StateConflictError(
            f"{row.number} was approved with the documents it had", kept="Nothing was filed.",
            todo="Open a new one, and have it approved.",
        )  # fmt: skip


def _event(
    actor: Actor, view: MatterView, role: str, name: str, *, sha256: Digest, found: Found, kept: Kept, now: TimeReading
) -> DocumentFiled:
    return DocumentFiled(
        actor=actor.agent, document=DocumentId.new(unix_ms(now.wall)), matter=view.row.id, role=role,
        blob_sha256=sha256.hex, size_bytes=found.size_bytes, media_type=found.mime_type,
        copies=_copies(kept),
        at=to_text(now.wall), name=name or None,
    )  # fmt: skip


def _copies(kept: Kept) -> list[dict[str, str]]:
    return [
        {
            "store": copy.store, "domain": copy.domain, "key": copy.key, "version": copy.version,
            "read_back_at": to_text(copy.read_back_at) if copy.read_back_at else "",
        }
        for copy in kept.copies
    ]  # fmt: skip


def _name(name: str) -> str:
    """The last part of a path, printable, short enough for any file system."""
    shown = showable(name.replace("\\", "/").rpartition("/")[2]).strip()
    return shown.encode("utf-8")[:SOURCE_NAME_BYTES_MAX].decode("utf-8", "ignore")


def _no_room(error: OSError) -> StoreError:
    if error.errno in NO_SPACE:
        return StoreFullError("no space is left for an upload", kept="Nothing was filed.", todo="Free space.")
    return StoreError(f"an upload cannot be laid down: {os.strerror(error.errno or 0)}", kept="Nothing was filed.")
