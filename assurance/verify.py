"""``liuhen verify``: is everything still what it was, and is everything there? Reads all, changes nothing, trusts nothing.

1. the published log, in every directory, by itself and against the database;
2. every entry of the database: form, signature, place in the tree, disclosures;
3. every copy of every blob, read from its medium, with its lock records; every key record beside every store;
4. the catalogue's facts against the log's, in both directions, manifests included;
5. blobs nobody refers to (told, no tamper);
6. the stores' encrypted copies of personal values, each opened and compared;
7. whether the copies that are good suffice for the configured policy.

May run beside a serving process: what is added meanwhile is no finding.

Source: docs/invariants.md 2, 3, 4; RULES R8, R13.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assurance.copy_checks import CopyFacts, check_copies
from assurance.disclosure_checks import check_disclosures
from assurance.disclosures import DisclosureArchive
from assurance.fact_checks import check_facts
from assurance.key_record_checks import check_key_records
from assurance.log_checks import check_log
from assurance.log_entries import LogFacts
from assurance.report import Finding, VerifyProgress, VerifyReport
from catalogue import Catalogue
from catalogue.records import BlobRow
from chain_of_custody.checkpoint import NoteVerifier
from evidence.clock import Clock
from evidence.errors import CatalogueUnavailableError, EvidenceError, HomeLockedError
from evidence.log_place import LogPlace
from evidence.ports import BlobStore


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPolicy:
    """How many copies in how many failure domains every recording and manifest must have."""

    copies: int = 2
    domains: int = 2


def _silent(step: str, done: int, total: int) -> None:
    del step, done, total


def verify_home(
    catalogue: Catalogue,
    *,
    stores: Iterable[BlobStore],
    published: Sequence[Path | LogPlace],
    vkey: str,
    clock: Clock,
    disclosures: DisclosureArchive | None = None,
    policy: CopyPolicy | None = None,
    progress: VerifyProgress | None = None,
) -> VerifyReport:
    """Examine a whole home.

    Args:
        catalogue: Its database.
        stores: Its stores (a ``StoreSet`` or any iterable), each read in full.
        published: Where the published log lies, the primary directory first.
        vkey: The log's verifier key text, best from somewhere else than the home.
        clock: For how long entries have waited.
        disclosures: The stores' copies of personal values, each opened and compared; None where there are none.
        policy: What must be met for exit code 0 instead of 3.
        progress: Told of every step; may raise to stop.

    Returns:
        The report: ``verdict``, ``exit_code``, ``findings``, ``to_json()``. Damage never raises; it becomes a finding.

    Raises:
        EntryInvalidError: ``vkey`` is no verifier key. CatalogueError: the database does not answer.
    """
    told = progress or _silent
    NoteVerifier.parse(vkey)
    by_name = {store.properties.name: store for store in stores}
    unreadable: list[Finding] = []
    log, copies = LogFacts(), CopyFacts()
    recordings = 0
    findings: list[Finding] = []
    with _readable("log", unreadable):
        log = check_log(catalogue, published=published, vkey=vkey, now=clock.now().wall, progress=told)
    with _readable("copies", unreadable):
        judge = _PolicyJudge(by_name, policy or CopyPolicy(), old=_old(catalogue))
        copies = check_copies(catalogue, stores=by_name.values(), progress=told, judge=judge.findings)
        findings += judge.set_up()
    with _readable("keys", unreadable):
        known = {one.store for one in copies.findings if one.kind == "store-unavailable"}
        keys = check_key_records(catalogue, stores=by_name, progress=told)
        findings += (one for one in keys if one.kind != "store-unavailable" or one.store not in known)
    with _readable("facts", unreadable):
        recordings, differing = check_facts(catalogue, log, stores=by_name, progress=told)
        findings += differing
    if disclosures is not None:
        with _readable("disclosures", unreadable):
            findings += check_disclosures(catalogue, disclosures, stores=by_name.values(), now=clock.now().wall)
    return VerifyReport(
        entries=log.entries,
        recordings=recordings,
        copies=copies.copies,
        findings=(*log.findings, *copies.findings, *findings, *unreadable),
    )


@contextmanager
def _readable(part: str, findings: list[Finding]) -> Iterator[None]:
    """A database whose rows are not even of their kind was changed from outside: a finding, never a traceback."""
    try:
        yield
    except (CatalogueUnavailableError, HomeLockedError):
        raise
    except EvidenceError as error:
        if error.fatal:
            raise
        findings.append(Finding(kind="catalogue-unreadable", detail=f"{part}: {error}"))
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        findings.append(Finding(kind="catalogue-unreadable", detail=f"{part}: {type(error).__name__}"))


def _old(catalogue: Catalogue) -> frozenset[str]:
    """Stores that were moved away from: their copies count for nothing."""
    with catalogue.read() as uow:
        return uow.moves.old()


class _PolicyJudge:
    """Whether recordings and manifests have enough good copies in enough domains as the stores are now."""

    def __init__(self, stores: dict[str, BlobStore], policy: CopyPolicy, *, old: frozenset[str]) -> None:
        self._policy = policy
        self._domain_of = {name: store.properties.domain for name, store in stores.items() if name not in old}
        self._reachable = len(set(self._domain_of.values()))

    def set_up(self) -> Iterator[Finding]:
        """A fact of the set-up, not of what is kept: recorders are not cleared (promise 1) and every page says so.

        Copies that lie in fewer domains than these stores would allow are a policy unmet.
        """
        if self._reachable < self._policy.domains:
            detail = (
                f"all stores lie in {self._reachable} failure domain(s); "
                f"recorders are cleared only with {self._policy.domains}"
            )
            yield Finding(kind="few-domains-here", detail=detail)

    def findings(self, blob: BlobRow, good: set[str]) -> Iterator[Finding]:
        """What one blob lacks."""
        holder = next((holder for holder in blob.holders if not holder.startswith("derivative:")), "")
        if not holder:
            return
        kind, _, recording = holder.partition(":")
        if kind == "document":
            kind, recording = holder.replace(":", " "), ""
        counted = good & self._domain_of.keys()
        domains = {self._domain_of[name] for name in counted}
        if len(counted) < self._policy.copies:
            detail = f"{kind}: {len(counted)} good copies of {self._policy.copies}"
            yield Finding(kind="too-few-copies", recording=recording, detail=detail)
        elif len(domains) < min(self._policy.domains, self._reachable):
            detail = f"{kind}: good copies in {len(domains)} domains of {self._policy.domains}"
            yield Finding(kind="too-few-domains", recording=recording, detail=detail)
