"""Names behind identities, for pages that show who acted. Only names: no numbers, no log-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from access.views import PERSON
from catalogue import Catalogue
from catalogue.records import AgentRow, DeviceRow, UnitRow
from evidence.errors import NotFoundError
from evidence.ids import AgentId, UnitId


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """Somebody a form can name: an active person and where they work now."""

    id: AgentId
    name: str
    unit: str = ""


class Directory:
    """Tells the names of agents and units.

    Args:
        catalogue: Where they stand.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def names(self) -> dict[str, str]:
        """Agent identity -> name."""
        with self._catalogue.read() as uow:
            return {agent.id: agent.name for agent in uow.people.agents()}

    def agents(self) -> dict[str, AgentRow]:
        """Everybody who ever was, by identity: for registers that name officer numbers."""
        with self._catalogue.read() as uow:
            return {str(agent.id): agent for agent in uow.people.agents()}

    def name(self, agent: AgentId) -> str:
        """The name of one agent; empty when there is none of that identity."""
        with self._catalogue.read() as uow:
            try:
                return uow.people.agent(agent).name
            except NotFoundError:
                return ""

    def unit_names(self) -> dict[UnitId, str]:
        """Unit identity -> name, past units too."""
        with self._catalogue.read() as uow:
            return {unit.id: unit.name for unit in uow.people.units()}

    def device_labels(self) -> dict[str, str]:
        """Recorder identity -> label, else serial number."""
        with self._catalogue.read() as uow:
            return {device.id: device.label or device.serial for device in uow.devices.all()}

    def devices_of(self, agent: AgentId) -> list[DeviceRow]:
        """Recorders that are issued to somebody."""
        with self._catalogue.read() as uow:
            return [device for device in uow.devices.all() if device.officer == agent]

    def colleagues(self, now: datetime) -> list[Colleague]:
        """Active persons with the name of their department at that moment, in the order of departments and names."""
        with self._catalogue.read() as uow:
            units = {unit.id: unit.name for unit in uow.people.units()}
            found = [
                Colleague(
                    id=agent.id, name=agent.name,
                    unit=next(
                        (
                            units.get(post.unit, "") for post in uow.people.posts(agent.id)
                            if post.valid_from <= now and (post.valid_to is None or now < post.valid_to)
                        ),
                        "",
                    ),
                )
                for agent in uow.people.agents() if agent.active and agent.kind == PERSON
            ]  # fmt: skip
        return sorted(found, key=lambda one: (one.unit, one.name, one.id))

    def present_units(self, now: datetime) -> list[UnitRow]:
        """Departments that exist at that moment."""
        with self._catalogue.read() as uow:
            return [
                unit for unit in uow.people.units()
                if unit.valid_from <= now and (unit.valid_to is None or now < unit.valid_to)
            ]  # fmt: skip

    def bureau(self, now: datetime) -> str:
        """What the heads of documents name as the issuer: the department above all others; empty where there is no single one."""
        tops = [unit.name for unit in self.present_units(now) if unit.parent is None]
        return tops[0] if len(tops) == 1 else ""
