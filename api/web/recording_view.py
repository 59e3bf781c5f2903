"""What the page of one recording needs beyond the recording itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from access import RecordingView
from access.views import Watchable
from api.matters.names import Names
from api.matters.showing import Shower
from api.services import Services
from api.web import custody_words, matter_offers, words
from api.web.custody_lines import entry_line, is_alarm, note_lines
from api.web.i18n import translate
from api.web.matter_parts import RecordingContext, recording_parts
from api.web.units import local_time
from evidence.clock import to_text
from evidence.ids import AgentId
from evidence.model import Actor, RecordingKind
from ingest import times

#: A viewing copy that was asked for and is not there after this long is offered to be made again.
_MAKING: Final = timedelta(minutes=30)
#: Kinds whose content is read, not played.
TEXTS: Final = frozenset({RecordingKind.TEXT, RecordingKind.TRACK})


def values(services: Services, view: RecordingView, language: str, *, reader: Actor) -> dict[str, Any]:
    """Everything the template asks for.

    Args:
        services: Names and the log's key.
        view: What the reader may know.
        language: The page's.
        reader: Whose own request for a viewing copy counts.
    """
    row = view.row
    offload = view.offload
    offset = offload.clock_offset_ms if offload and offload.clock_known and offload.clock_plausible else None
    corrected = row.started_source == times.CORRECTED
    if not corrected:  # a start that was not corrected is the recorder's own clock, whatever offset was read
        offset = 0 if row.started_source == times.UNCORRECTED else None
    recorder_time = ""
    if row.started_at is not None and offset is not None:
        recorder_time = local_time(row.started_at + timedelta(milliseconds=offset)).removesuffix(" +08:00")
    may_watch = view.watchable is not Watchable.DENIED
    harmed = {finding.store for finding in view.damage if finding.store}
    return {
        "view": view, "reason_words": words.REASONS, "kinds": words.KINDS, "event_words": custody_words.EVENTS,
        "source_words": words.SOURCES, "confidence_words": words.CONFIDENCE, "finding_words": words.FINDINGS,
        "pictures": {d.kind for d in view.derivatives} if may_watch else set(),
        "domains": len({copy.domain for copy in view.copies}),
        "sound_copies": sum(copy.store not in harmed for copy in view.copies),
        "corrected": corrected, "started_iso": to_text(row.started_at) if row.started_at else "",
        "offset_ms": "" if offset is None else str(offset), "recorder_time": recorder_time,
        "names_of": services.directory.names(), "media_facts": _media_facts(row.facts), "vkey": services.log.vkey,
        "details": partial(entry_line, language=language), "is_alarm": is_alarm, "notes": note_lines(view.timeline, language),
        "player_words": {key: translate(word, language) for key, word in words.PLAYER.items()},
        **_matters(services, view, language, reader),
        "asked_at": _asked_at(view, reader.agent), "is_text": may_watch and row.kind in TEXTS and row.stored_at is not None,
    }  # fmt: skip


def _matters(services: Services, view: RecordingView, language: str, reader: Actor) -> dict[str, Any]:
    """Matters that concern it, whether one can be begun with it, and sections of their own."""
    shower = Shower(Names(), language)
    context = RecordingContext(services=services, actor=reader, language=language, view=view)
    return {
        "matters": matter_offers.about(services, reader, shower, view.row.id), "parts": recording_parts(context),
        "may_begin": matter_offers.may_begin(services, reader),
    }  # fmt: skip


def _asked_at(view: RecordingView, reader: AgentId) -> datetime | None:
    """When the reader asked for the viewing copy that is being made; None when there is nothing to wait for."""
    if view.watchable is not Watchable.TO_MAKE:
        return None
    own = (entry for entry in view.timeline if entry.actor == reader)
    last = max((entry.at for entry in own if entry.disclosed.get("detail") == "viewing copy"), default=None)
    return last if last is not None and view.as_of - last < _MAKING else None


def _media_facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    video, audio = facts.get("video") or {}, facts.get("audio") or {}
    out = [("container", str(facts.get("container", "")))]
    if video:
        rate = video.get("frame_rate_milli", 0)
        out += [
            ("picture", f"{video.get('codec', '')} {video.get('width', 0)}×{video.get('height', 0)}"),
            ("rate", f"{rate / 1000:.3f}/s" if rate else ""),
        ]
    if audio:
        out.append(("sound", f"{audio.get('codec', '')} {audio.get('sample_rate_hz', 0)} Hz"))
    out.append(("stamp", str(facts.get("creation_time", ""))))
    return [(words.MEDIA_FACTS[name], value) for name, value in out if value]
