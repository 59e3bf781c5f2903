"""The register of use as a table: one line for each use, request without one, and refusal, for one reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from access.directory import Directory
from api.use_words import COLUMNS, REMARKS, RIGHTS, SIGNS
from api.web.custody_words import DENIALS
from api.web.i18n import translate
from api.web.units import local_time
from cases.access_parts import PURPOSES
from cases.access_register import UseLine
from catalogue.records import AgentRow
from documents import Checkpoint, Signature, Signatures
from documents.registers import Column, Register
from documents.values import Value, text_of
from documents.words import Language
from matters.form import Forms

_WIDTHS: Final = {
    "sha256": 34,
    "footage": 30,
    "opinion": 30,
    "span": 24,
    "authority": 22,
    "remark": 26,
    "at": 18,
    "ends": 18,
}
#: On paper several columns stand in one, each value on a line of its own.
_PRINTED: Final = (
    (("number", "grant", "use"), 20), (("at",), 20), (("requester", "officer_code", "unit"), 16), (("purpose", "authority"), 18),
    (("footage", "span"), 34), (("rights", "ends"), 20), (("handler",), 12), (("leader", "opinion", "decided_at"), 24),
    (("medium", "copies"), 14), (("sha256",), 30), (("remark",), 24),
)  # fmt: skip
_PURPOSES: Final = {one.code: one.word for one in PURPOSES}
_NAMED_MOST: Final = 20


def use_register(
    lines: Sequence[UseLine], *, directory: Directory, forms: Forms, language: Language, now: datetime,
    checkpoint: Checkpoint | None, since: datetime, until: datetime, printed: bool = False,
) -> Register:  # fmt: skip
    """The register of use, to be printed or written as CSV or XLSX.

    Args:
        lines: What it tells.
        directory: Names of persons and departments.
        forms: Words of states.
        language: Of heads and words.
        now: When it is made.
        checkpoint: Of the log.
        since: The period.
        until: The period.
        printed: For paper, where columns are put together.
    """
    groups = _PRINTED if printed else tuple(((name,), _WIDTHS.get(name, 14)) for name in COLUMNS)
    return Register(
        title=translate(REMARKS["title"], language), unit=directory.bureau(now), printed_at=now, checkpoint=checkpoint,
        lang=language, numbered=translate("No.", language),
        subtitle=f"{local_time(since, seconds=False)} – {local_time(until, seconds=False)}",
        columns=[
            Column(" / ".join(translate(COLUMNS[name], language) for name in names), width) for names, width in groups
        ],
        signatures=Signatures([Signature(role=translate(word, language)) for word in SIGNS.values()]) if printed else None,
        rows=_rows(lines, directory, forms, language, [names for names, _width in groups]),
    )  # fmt: skip


def _rows(
    lines: Sequence[UseLine], directory: Directory, forms: Forms, language: Language, groups: Sequence[Sequence[str]]
) -> Iterator[list[Value]]:
    agents = directory.agents()
    units = {str(one): name for one, name in directory.unit_names().items()}
    for line in lines:
        cells = _cells(line, agents, units, forms, language)
        yield [_together([cells[name] for name in names], language) for names in groups]


def _together(values: Sequence[Value], language: Language) -> Value:
    """One value as it is; several as lines, without those that say nothing."""
    if len(values) == 1:
        return values[0]
    return "\n".join(text_of(one, language) for one in values if one not in (None, ""))


def _cells(
    line: UseLine, agents: Mapping[str, AgentRow], units: Mapping[str, str], forms: Forms, language: str
) -> dict[str, Value]:
    def name(agent: str | None) -> str:
        return agents[agent].name if agent is not None and agent in agents else agent or ""

    row = line.recording
    comma = "、" if language == "zh-CN" else ", "
    codes = [line.used] if line.used else list(line.rights)
    return {
        "number": line.number, "requester": name(line.requester),
        "officer_code": agents[line.requester].officer_code if line.requester is not None and line.requester in agents else "",
        "unit": units.get(line.unit or "", ""), "at": line.at,
        "purpose": translate(_PURPOSES[line.purpose], language) if line.purpose in _PURPOSES else line.purpose,
        "authority": line.authority,
        "footage": row.name if row is not None else comma.join(line.footage[:_NAMED_MOST]) + _more(line),
        "span": f"{local_time(row.started_at)} – {local_time(row.ended_at)}" if row is not None else "",
        "rights": comma.join(translate(RIGHTS[code], language) for code in codes if code in RIGHTS),
        "ends": line.ends, "handler": name(line.handler), "leader": name(line.leader), "opinion": line.opinion,
        "decided_at": line.decided_at, "grant": line.grant, "use": line.use or None, "medium": line.medium,
        "sha256": row.sha256.hex if row is not None and row.sha256 is not None else "", "copies": line.copies or None,
        "remark": remark_of(line, forms, language),
    }  # fmt: skip


def _more(line: UseLine) -> str:
    left = len(line.footage) - _NAMED_MOST
    return f" (+{left})" if left > 0 else ""


def remark_of(line: UseLine, forms: Forms, language: str) -> str:
    """What is particular about a line: entered from paper, refused, shown to a party, not used yet and how it stands."""
    told = []
    if line.refused:
        reason = translate(DENIALS[line.refused], language) if line.refused in DENIALS else line.refused
        told.append(translate(REMARKS["refused"], language, reason=reason))
    if line.entered_afterwards:
        told.append(translate(REMARKS["paper"], language))
    if line.party:
        told.append(translate(REMARKS["party"], language, party=line.party))
    if line.kind and not line.use:
        told.append(translate(REMARKS["unused"], language))
        told.append(translate(forms.of(line.kind).state(line.state).word, language))
    if line.remark:
        told.append(line.remark)
    return " · ".join(told)
