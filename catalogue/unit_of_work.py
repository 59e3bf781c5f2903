"""One transaction and everything that can be done in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from catalogue.backups import Backups
from catalogue.blob_keys import BlobKeys
from catalogue.blobs import Blobs, Derivatives
from catalogue.brakes import Brakes
from catalogue.cold import ColdTier
from catalogue.copy_locks import CopyLocks
from catalogue.db import Db
from catalogue.devices import Devices, Offloads
from catalogue.disc_queue import DiscQueue
from catalogue.fixity import Fixity
from catalogue.holds import Holds
from catalogue.inventories import Inventories
from catalogue.matters import Matters
from catalogue.outbox import CatalogueOutbox
from catalogue.people import People
from catalogue.recordings import Recordings
from catalogue.records import TimelineRow
from catalogue.references import References
from catalogue.rules import RecordingRules
from catalogue.running import ClockMarks, Findings, ProgressRows, Settings, WebSessions
from catalogue.search_index import SearchIndex
from catalogue.sorting import Sorting
from catalogue.space import SpaceSamples
from catalogue.statistics import Statistics
from catalogue.store_moves import StoreMoves
from catalogue.store_states import StoreStates
from catalogue.timeline import matter_timeline_of, refusals_of, timeline_of
from evidence.ids import MatterId, RecordingId
from evidence.ports import Outbox


class UnitOfWork:
    """Repositories that share one transaction. Valid only inside of the ``with`` block that gave it."""

    def __init__(self, db: Db) -> None:
        index = SearchIndex(db)
        self._db = db
        self._after_commit: list[Callable[[], None]] = []
        self.search_index = index
        self.outbox: Outbox = CatalogueOutbox(db)
        self.recordings = Recordings(db, index)
        self.devices = Devices(db, index)
        self.offloads = Offloads(db)
        self.people = People(db, index)
        self.blobs = Blobs(db)
        self.references = References(db)
        self.moves = StoreMoves(db)
        self.blob_keys = BlobKeys(db)
        self.derivatives = Derivatives(db)
        self.findings = Findings(db)
        self.progress = ProgressRows(db)
        self.sessions = WebSessions(db)
        self.settings = Settings(db)
        self.clock_marks = ClockMarks(db)
        self.copy_locks = CopyLocks(db)
        self.cold = ColdTier(db)
        self.space_samples = SpaceSamples(db)
        self.backups = Backups(db)
        self.store_states = StoreStates(db)
        self.brakes = Brakes(db)
        self.fixity = Fixity(db)
        self.inventories = Inventories(db)
        self.matters = Matters(db)
        self.statistics = Statistics(db)
        self.rules = RecordingRules(db)
        self.sorting = Sorting(db)
        self.disc_queue = DiscQueue(db)
        self.holds = Holds(db)

    def after_commit(self, fn: Callable[[], None]) -> None:
        """Run ``fn`` once the commit is durable; never after a rollback. For hints only (wake the sealer)."""
        self._after_commit.append(fn)

    def take_after_commit(self) -> list[Callable[[], None]]:
        """What is to run now that the commit is durable."""
        taken, self._after_commit = self._after_commit, []
        return taken

    def timeline(self, recording: RecordingId) -> list[TimelineRow]:
        """Custody entries of a recording with the disclosures that still exist, in log order."""
        return timeline_of(self._db, recording)

    def matter_timeline(self, matter: MatterId) -> list[TimelineRow]:
        """Custody entries of a matter with the disclosures that still exist, in log order."""
        return matter_timeline_of(self._db, matter)

    def refusals(self, since: datetime, until: datetime) -> list[TimelineRow]:
        """Entries of acts that were refused in a span of time, with the disclosures that still exist, in log order."""
        return refusals_of(self._db, since, until)
