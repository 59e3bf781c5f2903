"""What the web interface gets: the services of a house, put into the API's own shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from access import Gate
from api.checks import Checks
from api.services import PublishedLog, Services, SystemNotice
from api.verification import LastVerification
from app.disc_making import disc_desk, disc_papers
from app.encryption import key_parts
from app.package_making import case_packages
from app.proofs import ProofDesk
from app.wiring import House
from assurance.asking import Asker
from assurance.auditor import Auditor, AuditorParts
from assurance.health_facts import BackupHope, HealthParts
from assurance.store_reports import StorageDesk
from catalogue import Catalogue
from catalogue.records import RecordingRow
from evidence.errors import StoreUnavailableError
from evidence.ids import RecordingId
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import BlobStore, DockedDevice, JobEngine
from ingest.board import DockBoard
from ingest.parts import Parts
from ingest.session import OffloadService
from ingest.viewing_copy import ensure_viewing_copy

MEDIA_QUEUE: Final = "media"
VIEWING_JOB: Final = "viewing-copy"


def auditor_of(house: House) -> Auditor:
    """The authorised face of verification, findings and health."""
    return Auditor(
        AuditorParts(
            catalogue=house.catalogue, authoriser=house.gate, recorder=house.recorder, clock=house.clock,
            stores=house.stores.all, published=house.published, vkey=house.vkey, policy=house.policy,
            disclosures=house.archive,
        )
    )  # fmt: skip


def health_parts_of(house: House, jobs: JobEngine | None) -> HealthParts:
    """What health looks at."""
    return HealthParts(
        catalogue=house.catalogue, stores=house.stores.all, published=house.published, verifier=house.sealer.verifier,
        clock=house.clock, policy=house.policy, jobs=jobs, floor_bytes=house.settings.storage.free_floor_bytes,
        aside={*house.stores.old, house.stores.cold}, locks=house.locks, fixity=house.fixity, capacities=house.capacities,
        space_warn_days=house.settings.storage.space_warn_days, space_alarm_days=house.settings.storage.space_alarm_days,
        keys=key_parts(house.home, house.settings, house.catalogue, house.stores, house.encryption),
        backup=BackupHope(to=house.settings.backup.to, alarm_hours=house.settings.backup.alarm_hours),
    )  # fmt: skip


def blobs_of(house: House) -> BlobStore:
    """Every blob from whichever store gives it; a copy that fails on the way is looked at by the repair."""
    return house.blobs


class ViewingCopies:
    """Viewing copies on demand, as jobs.

    Args:
        parts: The parts of intake.
        jobs: The engine.
        gate: Asked and entered.
        scope: What the policy has to know of a recording, archiving included (R17).
    """

    def __init__(
        self, parts: Parts, *, jobs: JobEngine, gate: Gate, scope: Callable[[RecordingRow], ObjectScope]
    ) -> None:
        self._parts = parts
        self._scope = scope
        self._jobs = jobs
        self._gate = gate

    def declare_jobs(self) -> None:
        """Declare queue and job; call it once before the engine starts. One at a time: transcoding takes whole cores."""
        self._jobs.declare_queue(MEDIA_QUEUE, concurrency=1)
        self._jobs.register(VIEWING_JOB, lambda argument: ensure_viewing_copy(self._parts, RecordingId(argument)))

    def request(self, actor: Actor, recording: RecordingId) -> None:
        """Ask for the viewing copy of one recording.

        Raises:
            NotFoundError: Unknown. AccessDeniedError: only who may watch may ask.
        """
        with self._parts.catalogue.read() as uow:
            row = uow.recordings.get(recording)
        self._gate.allowed(
            actor,
            Action.RECORDING_VIEW,
            self._scope(row),
            detail="viewing copy",
            sha256=row.sha256.hex if row.sha256 else "",
        )
        self._jobs.enqueue(VIEWING_JOB, recording, queue=MEDIA_QUEUE, key=f"{VIEWING_JOB}:{recording}", priority=1)


class HouseNotices:
    """What every page must say right now: cheap to ask, asked for every page."""

    def __init__(self, house: House) -> None:
        self._house = house

    def current(self) -> Sequence[SystemNotice]:
        """Single failure domain, stores that do not answer, a full disk, an untrusted clock."""
        house = self._house
        storage = house.settings.storage
        notices = []
        if storage.single_domain:
            notices.append("single-domain-allowed")
        elif len(house.stores.all_domains()) < storage.domains:
            notices.append("single-domain")
        try:
            if any(store.free_bytes() == 0 for store in house.stores.local):
                notices.append("disk-floor")
        except StoreUnavailableError:
            notices.append("store-unavailable")
        if not house.clock.now().trusted:
            notices.append("clock-unsynchronised")
        return [SystemNotice(code=code) for code in notices]


def web_services(
    house: House,
    *,
    jobs: JobEngine,
    offloads: OffloadService,
    docked: Callable[[], Sequence[DockedDevice]],
    hint: Callable[[], None],
    viewings: ViewingCopies,
) -> Services:
    """The services behind the routes.

    Args:
        house: The built home.
        jobs: The running engine.
        offloads: The offload service.
        docked: What the last scan of the docks found.
        hint: Asks the docks to look again.
        viewings: Viewing copies on demand.
    """
    catalogue: Catalogue = house.catalogue
    asker = Asker()
    checks = Checks(
        auditor_of(house), authoriser=house.gate, clock=house.clock,
        health_parts=lambda: replace(health_parts_of(house, jobs), ask=asker.turn()),
        kept=LastVerification(catalogue),
    )  # fmt: skip
    return Services(
        clock=house.clock, gate=house.gate, identity=house.identity, administration=house.administration,
        reading=house.reading, directory=house.directory,
        docks=DockBoard(offloads, docked=docked, authoriser=house.gate, hint=hint), checks=checks, blobs=blobs_of(house),
        log=PublishedLog(directory=house.home.public_log, vkey=house.vkey),
        proofs=ProofDesk(catalogue, gate=house.gate, published=house.home.public_log, verifier=house.sealer.verifier),
        viewings=viewings, notices=HouseNotices(house), storage=StorageDesk(house.keeping, authoriser=house.gate),
        statistics=house.statistics,
        matters=house.matters, use_register=house.use_register, papers=house.papers,
        packages=case_packages(house), dossiers=house.dossiers, retention=house.retention, clearing=house.clearing,
        absence=house.absence,
        classifier=house.classifier, record_lists=house.record_lists, holds=house.holds, discs=disc_desk(house),
        disc_papers=disc_papers(house),
    )  # fmt: skip
