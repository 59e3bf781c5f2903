"""Names behind identities, for pages that show who acted. Only names: no numbers, no log-ins."""

from __future__ import annotations

from catalogue import Catalogue
from evidence.errors import NotFoundError
from evidence.ids import AgentId, UnitId


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
