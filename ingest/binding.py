"""Whose recording is it? Bound per recording, with where that comes from and how sure it is (R4, R9).

The order of trust: the officer code in the file name, the officer stored on the recorder, the ledger. Sources that
contradict each other lower the confidence instead of being hidden; a person can correct it as an added fact (R14).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalogue import UnitOfWork
from catalogue.records import DeviceRow
from evidence.ids import AgentId, UnitId
from evidence.model import DeviceIdentity, ParsedName
from people.units import unit_at


@dataclass(frozen=True, slots=True)
class Binding:
    """Who recorded.

    Attributes:
        officer: The agent, or None when no known agent fits.
        officer_code: The code that was found, known or not.
        source: ``name``, ``device``, ``ledger`` or empty.
        confidence: ``high``, ``medium``, ``low`` or empty.
        unit: The officer's unit at that time, else the recorder's, else the officer's first one.
    """

    officer: AgentId | None
    officer_code: str
    source: str
    confidence: str
    unit: UnitId | None


def _unit_of(uow: UnitOfWork, officer: AgentId | None, device: DeviceRow, at: datetime) -> UnitId | None:
    """The unit of the officer's post at that time, else the recorder's, else that of the first post this home knows of.

    The last one is for footage older than the bureau's list of people: it would else belong to nobody and no leader saw it.
    """
    posts = uow.people.posts(officer) if officer is not None else []
    if (unit := unit_at(posts, at) or device.unit) is not None:
        return unit
    first = min(posts, key=lambda post: (post.valid_from, post.unit), default=None)
    return first.unit if first is not None and at < first.valid_from else None


def bind(
    uow: UnitOfWork, parsed: ParsedName, *, identity: DeviceIdentity, device: DeviceRow, recorded_at: datetime
) -> Binding:
    """Bind one recording to an officer.

    Args:
        uow: The running transaction.
        parsed: What the name says.
        identity: What the recorder says of itself.
        device: Its row in the ledger.
        recorded_at: When it was recorded, as well as known: decides the unit.
    """
    code = "" if parsed.officer_code == device.serial else parsed.officer_code  # a recorder's number is nobody's
    named = uow.people.by_officer_code(code) if code else None
    stored = uow.people.by_officer_code(identity.officer_code) if identity.officer_code else None
    if code:
        officer = named.id if named else None
        others = {other for other in (stored.id if stored else None, device.officer) if other is not None}
        confidence = "" if officer is None else "high" if others <= {officer} else "low"
        found = Binding(officer, code, "name", confidence, None)
    elif identity.officer_code:
        officer = stored.id if stored else None
        agrees = device.officer in (None, officer)
        found = Binding(
            officer, identity.officer_code, "device", "" if officer is None else "medium" if agrees else "low", None
        )
    elif device.officer is not None:
        found = Binding(device.officer, "", "ledger", "medium", None)
    else:
        found = Binding(None, "", "", "", None)
    unit = _unit_of(uow, found.officer, device, recorded_at)
    return Binding(found.officer, found.officer_code, found.source, found.confidence, unit)
