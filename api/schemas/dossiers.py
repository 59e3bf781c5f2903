"""Dossiers: what is in a case or in working material, what lacks, what happened when, what nobody sorted yet."""

from __future__ import annotations

from api.schemas.common import Answer, Moment
from cases.dossiers import Dossier, Lack, Piece
from cases.dossiers import Moment as Happened
from catalogue.records import RecordingRow


class ClipAnswer(Answer):
    """A clip: positions in milliseconds; both alike for a mark at one moment."""

    key: str
    in_ms: int
    out_ms: int
    note: str


class PieceAnswer(Answer):
    """A recording in its order; its facts are null for who may not know of it. ``fixed_by``: number of the record (R16)."""

    number: int
    recording: str
    name: str | None
    kind: str | None
    started_at: Moment | None
    duration_ms: int | None
    sha256: str | None
    fixed_by: str
    clips: list[ClipAnswer]


class PaperAnswer(Answer):
    """A document in the order of the volumes; ``matter`` is the number of the case, or of the fixation record that has it."""

    document: str
    matter: str
    role: str
    name: str
    sha256: str
    size_bytes: int
    filed_at: Moment


class LackAnswer(Answer):
    """Something that is not there yet; ``needed``: the case cannot be closed without it."""

    what: str
    name: str
    needed: bool


class FixationAnswer(Answer):
    """A fixation record of the case."""

    id: str
    number: str
    state: str


class DossierAnswer(Answer):
    """A case or working material with everything in it."""

    id: str
    number: str
    kind: str
    state: str
    footage: list[PieceAnswer]
    documents: list[PaperAnswer]
    fixations: list[FixationAnswer]
    lacks: list[LackAnswer]


class HappenedAnswer(Answer):
    """One line of a timeline: ``what`` is ``recording``, ``clip``, ``document`` or ``act``."""

    at: Moment
    what: str
    target: str
    name: str
    length_ms: int | None
    position_ms: int | None
    agent: str | None


class UnsortedItem(Answer):
    """A recording in no case and no working material."""

    id: str
    name: str
    kind: str
    started_at: Moment | None
    stored_at: Moment | None
    duration_ms: int | None
    officer: str | None


class UnsortedAnswer(Answer):
    """A page of them, oldest first; ``total`` is counted up to the cap of all counts."""

    recordings: list[UnsortedItem]
    total: int
    cursor: str


def dossier_answer(dossier: Dossier) -> DossierAnswer:
    """A dossier as the API tells it."""
    row = dossier.view.row
    return DossierAnswer(
        id=row.id, number=row.number, kind=row.kind, state=row.state,
        footage=[_piece(piece, dossier) for piece in dossier.pieces],
        documents=[
            PaperAnswer(
                document=one.id, matter=matter.number, role=one.role, name=one.name, sha256=one.sha256.hex,
                size_bytes=one.size_bytes, filed_at=one.filed_at,
            )
            for matter, one in dossier.papers
        ],
        fixations=[FixationAnswer(id=one.id, number=one.number, state=one.state) for one in dossier.fixations],
        lacks=[lack_answer(one) for one in dossier.lacks],
    )  # fmt: skip


def _piece(piece: Piece, dossier: Dossier) -> PieceAnswer:
    row, words = piece.row, dossier.view.row.words
    return PieceAnswer(
        number=piece.number, recording=piece.recording, fixed_by=piece.fixed, name=row.name if row is not None else None,
        kind=row.kind.value if row is not None else None, started_at=row.started_at if row is not None else None,
        duration_ms=row.duration_ms if row is not None else None,
        sha256=row.sha256.hex if row is not None and row.sha256 is not None else None,
        clips=[
            ClipAnswer(
                key=clip.key, in_ms=int(clip.facts["in_ms"]), out_ms=int(clip.facts["out_ms"]),
                note=str(words.get(f"link:clip:{clip.target}:{clip.key}", "")),
            )
            for clip in piece.clips
        ],
    )  # fmt: skip


def lack_answer(lack: Lack) -> LackAnswer:
    """One thing that lacks."""
    return LackAnswer(what=lack.what, name=lack.name, needed=lack.needed)


def happened_answer(one: Happened) -> HappenedAnswer:
    """One line of a timeline."""
    return HappenedAnswer(
        at=one.at, what=one.what, target=one.target, name=one.name, length_ms=one.length_ms, position_ms=one.position_ms,
        agent=one.agent,
    )  # fmt: skip


def unsorted_answer(rows: list[RecordingRow], *, total: int, limit: int) -> UnsortedAnswer:
    """A page of recordings that nobody sorted."""
    return UnsortedAnswer(
        recordings=[
            UnsortedItem(
                id=row.id, name=row.name, kind=row.kind.value, started_at=row.started_at, stored_at=row.stored_at,
                duration_ms=row.duration_ms, officer=row.officer,
            )
            for row in rows
        ],
        total=total, cursor=rows[-1].id if len(rows) == limit else "",
    )  # fmt: skip
