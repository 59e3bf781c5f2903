"""Names behind the identities of a matter, as far as the reader may know them; the rest stays an identity."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from access import Reading
from access.directory import Directory
from catalogue.matters import LinkRow, MatterRow
from catalogue.records import RecordingRow
from evidence.errors import InvalidInputError
from evidence.ids import MatterId, RecordingId
from evidence.model import Actor
from matters.desk import MatterDesk
from matters.form import FieldKind, Form

_Id = TypeVar("_Id", RecordingId, MatterId)
_SHOWN: Final = (FieldKind.RECORDING, FieldKind.MATTER)


class Sources(Protocol):
    """Where names come from: the services of the web, or the house of a command."""

    @property
    def directory(self) -> Directory:
        """Agents, units and recorders."""
        ...

    @property
    def reading(self) -> Reading:
        """Recordings the reader may know of."""
        ...

    @property
    def matters(self) -> MatterDesk:
        """Matters the reader may know of."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Identity -> name.

    Attributes:
        agents: Of everybody who ever was.
        units: Past ones too.
        devices: Labels, else serial numbers.
        recordings: Only those the reader may list.
        matters: Only those the reader may see.
        forms: Kind -> form, for what other matters are called.
    """

    agents: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    recordings: Mapping[str, RecordingRow] = field(default_factory=dict)
    matters: Mapping[str, MatterRow] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)

    def name(self, identity: str) -> str:
        """A name for people; the identity itself where none is known or may be known."""
        if identity in self.recordings:
            return self.recordings[identity].name
        if identity in self.matters:
            return self.matters[identity].number
        for table in (self.agents, self.units, self.devices):
            if identity in table:
                return table[identity]
        return identity

    def known(self, identity: str) -> bool:
        """Whether a name can be told."""
        return self.name(identity) != identity

    def href(self, identity: str) -> str:
        """Our page of it; empty where there is none for this reader."""
        if identity in self.recordings:
            return f"/recordings/{identity}"
        if identity in self.matters:
            return f"/matters/one/{identity}"
        return ""


def names_for(sources: Sources, actor: Actor, identities: Collection[str] = ()) -> Names:
    """Names for one reader.

    Args:
        sources: Where they come from.
        actor: The reader.
        identities: Recordings and matters that will be shown; agents, units and recorders are always told.
    """
    recordings = _of(RecordingId, identities)
    matters = _of(MatterId, identities)
    about = sources.reading.about(actor, recordings) if recordings else {}
    return Names(
        agents=sources.directory.names(), units={str(one): name for one, name in sources.directory.unit_names().items()},
        devices=sources.directory.device_labels(), recordings={str(one): row for one, (row, _device) in about.items()},
        matters={str(one): row for one, row in sources.matters.known(actor, matters).items()} if matters else {},
        forms={form.kind: form for form in sources.matters.forms},
    )  # fmt: skip


def _of(id_type: type[_Id], identities: Iterable[str]) -> list[_Id]:
    found: dict[str, _Id] = {}
    for one in identities:
        try:
            found[one] = id_type(one)
        except InvalidInputError:
            continue
    return list(found.values())


def identities_in(form: Form, rows: Iterable[MatterRow], links: Iterable[LinkRow] = ()) -> list[str]:
    """Recordings and matters that fields and links of matters name."""
    fields = [name for name, one in form.fields().items() if one.kind in _SHOWN]
    found: Sequence[Any] = [row.facts.get(name) for row in rows for name in fields]
    return [str(one) for one in found if one] + [link.target for link in links]
