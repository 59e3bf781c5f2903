"""Keeps the searchable text of each recording: names, case number, officer, device, unit.

Text and tokens change in the transaction of the fact they repeat, so a search never lags behind. On SQLite the tokens
stand in the full-text table ``recording_fts`` (contentless, same row number as ``recording_texts``); on PostgreSQL in an
array with a GIN index.
"""

from __future__ import annotations

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.schema import agents, devices, recording_names, recording_texts, recordings, units
from catalogue.words import normal_form, tokens_of
from evidence.ids import AgentId, DeviceId, RecordingId

_FTS_INSERT = sa.text("INSERT INTO recording_fts(rowid, tokens) VALUES (:serial, :tokens)")
_FTS_FIND = sa.text("SELECT rowid FROM recording_fts WHERE recording_fts MATCH :tokens AND rowid = :serial")
_FTS_DELETE = sa.text("DELETE FROM recording_fts WHERE rowid = :serial")


class SearchIndex:
    """Recomputes the searchable text of recordings."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def refresh(self, recording: RecordingId) -> None:
        """Recompute one recording's text from the rows it repeats."""
        text = self._text(recording)
        here = recording_texts.c
        old = self._db.one(sa.select(here.serial, here.text).where(here.recording == recording))
        if old is not None and old["text"] == text:
            return
        tokens = sorted(tokens_of(text))
        if old is None:
            self._db.execute(
                recording_texts.insert().values(
                    recording=recording, text=text, tokens=None if self._db.sqlite else tokens
                )
            )
        else:
            self._db.execute(
                recording_texts.update()
                .where(here.recording == recording)
                .values(text=text, tokens=None if self._db.sqlite else tokens)
            )
        if self._db.sqlite:
            self._refresh_fts(recording, tokens, replace=old is not None)

    def differing(self, recording: RecordingId) -> list[str]:
        """What lists and search find this recording by and is not what its own rows say; nothing is mended.

        Returns:
            Of ``sort_at``, ``search text``, ``search tokens`` those that differ.
        """
        here = recordings.c
        order = sa.select(here.sort_at == sa.func.coalesce(here.started_at, here.discovered_at)).where(
            here.id == recording
        )
        wrong = [] if self._db.scalar(order) else ["sort_at"]
        text = self._text(recording)
        found = self._db.one(sa.select(recording_texts).where(recording_texts.c.recording == recording))
        if found is None or found["text"] != text:
            return [*wrong, "search text"]
        tokens = sorted(tokens_of(text))
        if tokens and not self._indexed(found["serial"], found["tokens"], tokens):
            wrong.append("search tokens")
        return wrong

    def _indexed(self, serial: int, stored: list[str] | None, tokens: list[str]) -> bool:
        if not self._db.sqlite:
            return sorted(stored or ()) == tokens
        query = " ".join(f'"{token}"' for token in tokens)
        return self._db.one(_FTS_FIND, {"serial": serial, "tokens": query}) is not None

    def _text(self, recording: RecordingId) -> str:
        return "\n".join(normal_form(word) for word in dict.fromkeys(self._words(recording)) if word)

    def _refresh_fts(self, recording: RecordingId, tokens: list[str], *, replace: bool) -> None:
        serial = self._db.scalar(sa.select(recording_texts.c.serial).where(recording_texts.c.recording == recording))
        if replace:
            self._db.execute(_FTS_DELETE, {"serial": serial})
        self._db.execute(_FTS_INSERT, {"serial": serial, "tokens": " ".join(tokens)})

    def refresh_officer(self, officer: AgentId) -> None:
        """Recompute every recording of an officer whose name or code changed (some thousands at most)."""
        self._refresh_where(recordings.c.officer == officer)

    def refresh_device(self, device: DeviceId) -> None:
        """Recompute every recording of a recorder whose label or serial changed (some thousands at most)."""
        self._refresh_where(recordings.c.device == device)

    def _refresh_where(self, condition: sa.ColumnElement[bool]) -> None:
        ids = [row["id"] for row in self._db.all(sa.select(recordings.c.id).where(condition))]
        for part in chunks(ids):
            for recording in part:
                self.refresh(recording)

    def _words(self, recording: RecordingId) -> list[str]:
        here = recordings.c
        joined = (
            recordings.join(devices, devices.c.id == here.device)
            .outerjoin(agents, agents.c.id == here.officer)
            .outerjoin(units, units.c.id == here.unit)
        )
        columns = (
            here.name, here.case_number, here.officer_code, agents.c.name, agents.c.officer_code,
            devices.c.label, devices.c.serial, units.c.name,
        )  # fmt: skip
        labelled = [column.label(f"word_{position}") for position, column in enumerate(columns)]
        row = self._db.one(sa.select(*labelled).select_from(joined).where(here.id == recording))
        words = [word for word in (row or {}).values() if word]
        seen = sa.select(recording_names.c.name).where(recording_names.c.recording == recording)
        return words + [name["name"] for name in self._db.all(seen.order_by(recording_names.c.serial))]
