"""What a bureau can set about intake. Parsed once by the composition root; frozen from then on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from evidence.errors import ConfigError
from evidence.limits import FREE_SPACE_FLOOR_BYTES
from evidence.lock_dates import LockPolicy
from evidence.model import ClearingMode


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """Settings of intake.

    Attributes:
        station: Name of this docking station, as it stands in entries.
        copies: Copies that must be read back before a recording counts as stored.
        domains_required: Failure domains those copies, the manifest and the published checkpoint must lie in before a
            recorder may be cleared.
        single_domain_allowed: Explicit consent to clear with one failure domain; every page shows it.
        clearing: When recorders are cleared.
        set_clock: Whether a docked recorder's clock is set (after its offset was recorded).
        hand_in_within: Elapsed time after a recording's end within which it must be handed in (R4).
        free_floor_bytes: Intake stops cleanly below this much free space on the primary store.
        locks: How far the locks of copies reach.
        secure_concurrency: Recordings that are copied at the same time, and as many that are described.
        offload_concurrency: Recorders read at the same time.
    """

    station: str = "station"
    copies: int = 2
    domains_required: int = 2
    single_domain_allowed: bool = False
    clearing: ClearingMode = ClearingMode.NEVER
    set_clock: bool = True
    hand_in_within: timedelta = timedelta(hours=24)
    free_floor_bytes: int = FREE_SPACE_FLOOR_BYTES
    locks: LockPolicy = LockPolicy()
    secure_concurrency: int = 2
    offload_concurrency: int = 8

    def __post_init__(self) -> None:
        """Refuse settings that contradict a promise."""
        if self.copies < 1 or self.domains_required < 1:
            raise ConfigError("storage.copies and storage.domains must be at least 1")
        if self.domains_required < 2 and not self.single_domain_allowed:
            raise ConfigError(
                "storage.domains below 2 needs storage.single_domain",
                todo="Add a second disk, or set `single_domain = true` under [storage] and accept the warning on every page.",
            )
        if min(self.secure_concurrency, self.offload_concurrency) < 1 or self.free_floor_bytes < 0:
            raise ConfigError("concurrencies must be at least 1 and the free-space floor not negative")
        if self.hand_in_within <= timedelta(0):
            raise ConfigError("hand_in_within must be positive")
