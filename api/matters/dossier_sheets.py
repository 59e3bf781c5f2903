"""Brings together what a dossier's papers are printed from, for one reader: names, footage facts, stills."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from access import Reading
from access.directory import Directory
from api.matters import dossier_papers
from api.matters.dossier_papers import FixationSheet, Fixed, Frame
from api.matters.names import identities_in, names_for
from cases.dossiers import Dossier, DossierDesk
from cases.fixation import listed
from cases.fixation_gate import KIND as FIXATION
from catalogue.matters import LinkRow, MatterRow
from documents import Checkpoint, Printable
from documents.covers import VolumeCover
from documents.words import Language
from evidence.errors import EvidenceError, NotFoundError
from evidence.ids import MatterId, RecordingId
from evidence.model import Actor
from evidence.ports import BlobStore
from matters.desk import MatterDesk
from matters.looking import MatterView

#: A still that is larger is none.
_STILL_BYTES_MAX: Final = 4 << 20
#: So many stills on one record.
_STILLS_MAX: Final = 60


class PaperSources(Protocol):
    """Where the papers' facts come from: the services of the web, or the house of a command."""

    @property
    def directory(self) -> Directory:
        """Agents, units and recorders."""
        ...

    @property
    def reading(self) -> Reading:
        """Recordings the reader may know of and watch."""
        ...

    @property
    def matters(self) -> MatterDesk:
        """Matters the reader may see."""
        ...

    @property
    def dossiers(self) -> DossierDesk:
        """What is in a case."""
        ...

    @property
    def blobs(self) -> BlobStore:
        """Stills."""
        ...


def cover(
    sources: PaperSources,
    actor: Actor,
    matter: MatterId,
    *,
    language: Language,
    now: datetime,
    checkpoint: Checkpoint | None,
) -> VolumeCover:
    """The cover of a case; raises as :meth:`cases.dossiers.DossierDesk.dossier`."""
    dossier = sources.dossiers.dossier(actor, matter)
    frame = _frame(sources, actor, dossier.view, language=language, now=now, checkpoint=checkpoint, dossier=dossier)
    return dossier_papers.cover_of(dossier, frame)


def contents(
    sources: PaperSources,
    actor: Actor,
    matter: MatterId,
    *,
    language: Language,
    now: datetime,
    checkpoint: Checkpoint | None,
) -> Printable:
    """The contents list of a case; raises as :func:`cover`."""
    dossier = sources.dossiers.dossier(actor, matter)
    frame = _frame(sources, actor, dossier.view, language=language, now=now, checkpoint=checkpoint, dossier=dossier)
    return dossier_papers.contents_of(dossier, frame)


def fixation(
    sources: PaperSources,
    actor: Actor,
    matter: MatterId,
    *,
    language: Language,
    now: datetime,
    checkpoint: Checkpoint | None,
) -> Printable:
    """The fixation record; raises as :meth:`matters.desk.MatterDesk.view`, NotFoundError for a matter that is none."""
    view = sources.matters.view(actor, matter)
    if view.form.kind != FIXATION:
        raise NotFoundError(f"{view.row.number} is no fixation record")
    frame = _frame(sources, actor, view, language=language, now=now, checkpoint=checkpoint)
    return dossier_papers.fixation_of(fixation_sheet(sources, actor, view), frame)


def fixation_sheet(sources: PaperSources, actor: Actor, view: MatterView) -> FixationSheet:
    """What a fixation record is printed from."""
    links = listed(one for one in view.links if one.role == "footage")
    case_id = next((MatterId(one.target) for one in view.links if one.role == "case"), None)
    files, hidden, stills_hidden = _files(sources, actor, links)
    case = _case(sources, actor, case_id)
    parties = [str(one.get("name", "")) for one in (case.words.get("parties") or [])] if case is not None else []
    name = str(case.words.get("title", "")) if case is not None else ""
    return FixationSheet(
        view=view, case=(case.number if case is not None else "", name), parties=[one for one in parties if one],
        files=files, hidden=hidden, stills_hidden=stills_hidden,
    )  # fmt: skip


def _case(sources: PaperSources, actor: Actor, case: MatterId | None) -> MatterRow | None:
    return sources.matters.known(actor, [case]).get(case) if case is not None else None


def _files(sources: PaperSources, actor: Actor, links: list[LinkRow]) -> tuple[list[Fixed], int, int]:
    about = sources.dossiers.files(actor, [RecordingId(one.target) for one in links])
    watched = sources.reading.may_watch(actor, [facts.kept for facts in about.values()])
    files, stills_hidden = [], 0
    for number, link in enumerate(links, 1):
        facts = about.get(RecordingId(link.target))
        if facts is None:
            continue
        still = b""
        if facts.still and number <= _STILLS_MAX:
            if facts.kept.id in watched:
                still = _still(sources, actor, facts.kept.id)
            else:
                stills_hidden += 1
        files.append(
            Fixed(
                number=number, row=facts.row, kept=facts.kept, offset_ms=facts.offset_ms, stores=facts.stores, still=still
            )
        )  # fmt: skip
    return files, len(links) - len(files), stills_hidden


def _still(sources: PaperSources, actor: Actor, recording: RecordingId) -> bytes:
    """The poster: watched, so entered as a look; empty where there is none now."""
    try:
        picture = sources.reading.picture(actor, recording, kind="poster")
        if picture.size_bytes > _STILL_BYTES_MAX or picture.media_type not in ("image/jpeg", "image/png"):
            return b""
        with sources.blobs.open(picture.sha256) as stream:
            return stream.read(_STILL_BYTES_MAX)
    except EvidenceError as error:
        if error.fatal:
            raise
        return b""


def _frame(
    sources: PaperSources, actor: Actor, view: MatterView, *, language: Language, now: datetime,
    checkpoint: Checkpoint | None, dossier: Dossier | None = None,
) -> Frame:  # fmt: skip
    identities = identities_in(view.form, [view.row], view.links)
    if dossier is not None:
        identities += [str(row.id) for row in dossier.fixations]
    names = names_for(sources, actor, identities)
    unit = names.units.get(view.row.unit or "", "") or sources.directory.bureau(now)
    return Frame(
        names=names, language=language, unit=unit, now=now, checkpoint=checkpoint,
        numbers=sources.dossiers.officer_codes(one.agent for one in view.persons),
    )  # fmt: skip
