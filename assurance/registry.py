"""Units, agents, posts, roles, recorders, dockings, keys and the brake as the log tells them, folded in log order. Pure.

As with :mod:`assurance.projection`, verification compares this with the catalogue and a rebuild writes it.

To add an event type that states such a fact: add a case to :meth:`Registry.apply`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from assurance.keys_state import epoch_name
from assurance.matter_facts import MatterFacts
from catalogue.brakes import BrakeRow
from catalogue.records import AgentRow, DeviceRow, OffloadRow, PostRow, RoleRow, UnitRow
from evidence import events
from evidence.clock import from_text
from evidence.errors import EntryInvalidError, EvidenceError
from evidence.events import Event
from evidence.events_of_keeping import BackupMade, BackupRestored, BrakeChanged, EpochKeyMade, KeysBackedUp
from evidence.ids import AgentId, DeviceId, OffloadId, UnitId
from evidence.model import DeviceState, OffloadState


@dataclass(slots=True)
class Registry:
    """Everything the log tells that is not about one recording."""

    units: dict[UnitId, UnitRow] = field(default_factory=dict)
    agents: dict[AgentId, AgentRow] = field(default_factory=dict)
    posts: list[PostRow] = field(default_factory=list)
    roles: set[RoleRow] = field(default_factory=set)
    devices: dict[DeviceId, DeviceRow] = field(default_factory=dict)
    offloads: dict[OffloadId, OffloadRow] = field(default_factory=dict)
    #: Months' keys with the master that wraps them, and since when.
    epochs: dict[str, datetime] = field(default_factory=dict)
    #: Backups of the keys: digest of the bundle, and when everything before was in it, and where it went.
    key_backups: list[tuple[str, datetime, str]] = field(default_factory=list)
    #: Backups of the home by name: when its entry says it was made, the size of its log, and its own.
    backups: dict[str, tuple[datetime, int, int]] = field(default_factory=dict)
    #: Names of backups from which a home came back: their own entry may be younger than they are.
    restored: set[str] = field(default_factory=set)
    #: Key identity -> base64 of the raw public key.
    keys: dict[str, str] = field(default_factory=dict)
    #: How the brake on removals stands, without what was said about it (personal).
    brake: BrakeRow = field(default_factory=BrakeRow)
    #: Matters with their persons, links and documents.
    matters: MatterFacts = field(default_factory=MatterFacts)

    def apply(self, event: Event, *, at: datetime) -> None:
        """Take in one entry.

        Raises:
            EntryInvalidError: Its values have no meaning.
        """
        try:
            self._apply(event, at)
        except EntryInvalidError:
            raise
        except EvidenceError as error:
            raise EntryInvalidError(f"an entry's values have no meaning: {error}") from error

    def _apply(self, event: Event, at: datetime) -> None:
        match event:
            case events.KeyAdded():
                self.keys[event.key_id] = event.public_key
            case events.UnitRecorded():
                self._unit(event, at)
            case events.AgentRecorded():
                self._agent(event, at)
            case events.RoleChanged():
                role = RoleRow(
                    agent=AgentId(event.agent), role=event.role, unit=UnitId(event.unit) if event.unit else None
                )
                (self.roles.add if event.granted else self.roles.discard)(role)
            case events.DeviceRegistered():
                self._device(event, at)
            case events.DeviceRetired():
                device = DeviceId(event.device)
                self.devices[device] = replace(self.devices[device], state=DeviceState.RETIRED)
            case events.OffloadStarted():
                self._offload(event)
            case events.OffloadEnded():
                self._ended(event)
            case events.ClockSet():
                offload = OffloadId(event.offload)
                if offload in self.offloads:
                    self.offloads[offload] = replace(self.offloads[offload], clock_set=True)
            case _:
                self._keeping(event)

    def _keeping(self, event: Event) -> None:
        match event:
            case EpochKeyMade():
                self.epochs[epoch_name(event.epoch, event.master)] = from_text(event.at)
            case KeysBackedUp():
                self.key_backups.append((event.bundle_sha256, from_text(event.at), event.place or ""))
            case BackupMade():
                self.backups[event.backup] = (from_text(event.at), event.log_size, int(event.size_bytes))
            case BackupRestored():
                self.restored.add(event.backup)
            case BrakeChanged():
                self.brake = BrakeRow(
                    pulled=event.pulled, cause=event.reason, agent=event.actor, since=from_text(event.at)
                )
            case _:
                self.matters.apply(event)

    def _unit(self, event: events.UnitRecorded, at: datetime) -> None:
        unit = UnitId(event.unit)
        self.units[unit] = UnitRow(
            id=unit,
            name=event.name,
            code=event.code,
            parent=UnitId(event.parent) if event.parent else None,
            valid_from=from_text(event.valid_from) if event.valid_from else at,
            valid_to=from_text(event.valid_to) if event.valid_to else None,
        )

    def _agent(self, event: events.AgentRecorded, at: datetime) -> None:
        agent = AgentId(event.agent)
        since = from_text(event.valid_from) if event.valid_from else at
        self.agents[agent] = AgentRow(
            id=agent, kind=event.kind, name=event.name or "", officer_code=event.officer_code or "",
            login=event.login or "", active=event.active,
        )  # fmt: skip
        unit = UnitId(event.unit) if event.unit else None
        open_posts = [post for post in self.posts if post.agent == agent and post.valid_to is None]
        if any(post.unit == unit for post in open_posts):
            return
        for post in open_posts:
            self.posts[self.posts.index(post)] = replace(post, valid_to=since)
        if unit is not None:
            self.posts.append(PostRow(agent=agent, unit=unit, valid_from=since))

    def _device(self, event: events.DeviceRegistered, at: datetime) -> None:
        device = DeviceId(event.device)
        known = self.devices.get(device)
        self.devices[device] = DeviceRow(
            id=device,
            state=DeviceState.REGISTERED,
            driver=event.driver,
            kind=event.kind,
            serial=event.serial or "",
            serial_source=event.serial_source,
            vendor=event.vendor,
            model=event.model,
            label=event.label or "",
            unit=UnitId(event.unit) if event.unit else None,
            officer=AgentId(event.officer) if event.officer else None,
            registered_by=AgentId(event.actor) if event.actor else None,
            registered_at=at,
            first_seen_at=known.first_seen_at if known else at,
            last_seen_at=known.last_seen_at if known else at,
        )

    def _offload(self, event: events.OffloadStarted) -> None:
        offload, device = OffloadId(event.offload), DeviceId(event.device)
        started_at = from_text(event.at)
        self.offloads[offload] = OffloadRow(
            id=offload,
            device=device,
            state=OffloadState.OPEN,
            driver=event.driver,
            slot="",
            address=event.source or "",
            started_at=started_at,
            battery_percent=_told(event.battery_percent),
            capacity_bytes=_told(event.capacity_bytes),
            free_bytes=_told(event.free_bytes),
            clock_known=event.clock_known,
            clock_plausible=event.clock_plausible,
            clock_offset_ms=event.clock_offset_ms,
            clock_device_text=event.clock_device_text,
        )
        if device in self.devices:
            self.devices[device] = replace(self.devices[device], last_seen_at=started_at)

    def _ended(self, event: events.OffloadEnded) -> None:
        offload = OffloadId(event.offload)
        if offload in self.offloads:
            self.offloads[offload] = replace(
                self.offloads[offload], state=OffloadState(event.outcome), ended_at=from_text(event.at)
            )


def _told(value: int) -> int | None:
    return value if value >= 0 else None
