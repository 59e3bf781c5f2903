"""The truth about this installation, as facts with a judgement each: for the system page, ``doctor`` and monitoring.

Every check says what it measured. One that could not be made says ``unknown``, never ``ok``; one that fails in an unforeseen
way of ours is ``unknown`` with the error's code. Nothing is repaired here.

Source: docs/invariants.md 1, 7, 9; RULES R2, R4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from assurance.asking import NoAnswerYetError
from assurance.health_facts import NO_ANSWER_YET, Check, HealthParts, Level
from assurance.health_of_backup import backup
from assurance.health_of_fixity import brake, fixity, inventories
from assurance.health_of_keys import look as keys
from assurance.health_of_locks import locks
from assurance.health_of_matters import matters
from assurance.health_of_space import space
from assurance.health_of_stores import store_copies
from chain_of_custody.entry import parse
from chain_of_custody.reader import LogReader
from evidence.durable import free_bytes
from evidence.errors import BlobNotFoundError, EvidenceError, StoreError, StoreUnavailableError
from evidence.log_place import LogPlace
from evidence.ports import BlobStore
from evidence.time_line import Belief, judge
from media.tools import installed

UNAVAILABLE: Final = "unavailable"
#: Programs that the sandbox runs.
PROGRAMS: Final = ("ffmpeg", "ffprobe")
SEAL_WARN: Final = timedelta(seconds=30)
SEAL_BAD: Final = timedelta(minutes=10)
#: Objects younger than this may not be frozen yet: the freezing unit runs every few minutes.
FROZEN_WITHIN: Final = timedelta(minutes=15)
_SAMPLED: Final = 5
#: Failure domain of a store on a tmpfs.
_MEMORY: Final = "memory"
_STRONG: Final = frozenset({"immutable", "object-lock"})
#: Warn when less than this many times the floor is free.
_FLOOR_WARN: Final = 4
SQLITE_MIN: Final = (3, 51, 3)


_ORDER: Final = (Level.OK, Level.WARN, Level.UNKNOWN, Level.BAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """All facts at one moment."""

    checks: tuple[Check, ...]
    as_of: datetime

    @property
    def level(self) -> Level:
        """The worst of all; unknown is worse than a warning, for it may hide anything."""
        return max((check.level for check in self.checks), key=_ORDER.index, default=Level.UNKNOWN)


def health(parts: HealthParts) -> Health:
    """Look at everything now."""
    checks: list[Check] = []
    for name, look in _LOOKS.items():
        try:
            checks += look(parts)
        except EvidenceError as error:
            checks.append(Check(name=name, level=Level.UNKNOWN, reason=error.code))
    return Health(checks=tuple(checks), as_of=parts.clock.now().wall)


def _stores(parts: HealthParts) -> Iterator[Check]:
    for store in parts.stores:
        properties = store.properties
        if properties.kind == "local":
            there = _store(parts, store)
            if there.reason != UNAVAILABLE:
                yield _room(properties.name, Path(properties.location), parts.floor_bytes)
            yield there
            continue
        try:
            yield parts.ask(("store", properties.name), partial(_store, parts, store))
        except NoAnswerYetError:
            yield Check(name="store", subject=properties.name, level=Level.UNKNOWN, reason=NO_ANSWER_YET)


def _store(parts: HealthParts, store: BlobStore) -> Check:
    """Whether a store answers, and how it protects what it keeps; one that refuses us is told by its reason."""
    properties = store.properties
    values: dict[str, str | int] = {
        "kind": properties.kind, "domain": properties.domain, "protection": properties.protection,
    }  # fmt: skip
    try:
        next(iter(store.list()), None)
        found = _protection(parts, store)
    except StoreError as error:
        plain = error.code == StoreUnavailableError.code
        return Check(
            name="store", subject=properties.name, level=Level.BAD, reason=UNAVAILABLE if plain else error.code,
            values=values,
        )  # fmt: skip
    values["protection"] = found
    if _MEMORY in properties.domain.split("+"):  # it calls itself a domain of its own, and a restart takes all of it
        return Check(name="store", subject=properties.name, level=Level.BAD, reason="lies-in-memory", values=values)
    strong = found in _STRONG
    return Check(
        name="store", subject=properties.name, level=Level.OK if strong else Level.WARN,
        reason="protected" if strong else "weak-protection", values=values,
    )  # fmt: skip


def _protection(parts: HealthParts, store: BlobStore) -> str:
    """How the newest objects are protected, those aside that the freezing unit may not have come to yet.

    A service without privileges cannot set the flag that another unit sets for it, and a bucket can lock without having locked:
    what counts is what lies there. The store's own word decides where nothing lies there yet.
    """
    name = store.properties.name
    with parts.catalogue.read() as uow:
        sample = uow.blobs.newest_in(name, before=parts.clock.now().wall - FROZEN_WITHIN, limit=_SAMPLED)
    found = []
    for sha256 in sample:
        with contextlib.suppress(BlobNotFoundError):  # a verification tells of it
            found.append(store.stat(sha256).protection)
    weak = [protection for protection in found if protection not in _STRONG]
    return (weak or found or [store.properties.protection])[0]


def _room(name: str, root: Path, floor_bytes: int) -> Check:
    try:
        free = free_bytes(root)
    except OSError:
        return Check(name="room", subject=name, level=Level.UNKNOWN, reason="unreadable")
    if free <= floor_bytes:
        level, reason = Level.BAD, "floor-reached"
    elif free < _FLOOR_WARN * floor_bytes:
        level, reason = Level.WARN, "nearly-full"
    else:
        level, reason = Level.OK, "room"
    return Check(
        name="room", subject=name, level=level, reason=reason, values={"free_bytes": free, "floor_bytes": floor_bytes}
    )


def _domains(parts: HealthParts) -> Iterator[Check]:
    taking = [store for store in parts.stores if store.properties.name not in parts.aside]
    found = len({store.properties.domain for store in taking})
    enough = found >= max(2, parts.policy.domains)
    yield Check(
        name="domains", level=Level.OK if enough else Level.WARN if found >= parts.policy.domains else Level.BAD,
        reason="enough" if enough else "single-failure-domain" if found == 1 else "too-few",
        values={"domains": found, "required": parts.policy.domains},
    )  # fmt: skip
    copies = len(taking)
    if copies < parts.policy.copies:
        yield Check(
            name="copies", level=Level.BAD, reason="too-few-stores",
            values={"stores": copies, "required": parts.policy.copies},
        )  # fmt: skip


def _log(parts: HealthParts) -> Iterator[Check]:
    with parts.catalogue.read() as uow:
        head = uow.outbox.head()
        if head is None:
            yield Check(name="log", level=Level.BAD, reason="not-opened")
            return
        waiting = [*uow.outbox.rows(head.published_size, head.published_size + 1), *uow.outbox.unsequenced(1)]
    age = parts.clock.now().wall - parse(waiting[0].envelope).at if waiting else timedelta(0)
    level = Level.BAD if age > SEAL_BAD else Level.WARN if age > SEAL_WARN else Level.OK
    yield Check(
        name="log", level=level, reason="sealed" if level is Level.OK else "seal-behind",
        values={"size": head.size, "published": head.published_size, "age_s": max(0, int(age.total_seconds()))},
    )  # fmt: skip
    for position, directory in enumerate(parts.published):
        yield _replica(parts, position, directory, head.published_size)


def _replica(parts: HealthParts, position: int, directory: Path | LogPlace, published: int) -> Check:
    subject = f"log:{position}"
    reader = LogReader(directory, verifier=parts.verifier)
    try:
        if getattr(directory, "remote", False):
            size = parts.ask(("log", position), lambda: reader.checkpoint().size)
        else:
            size = reader.checkpoint().size
    except NoAnswerYetError:
        return Check(name="log-directory", subject=subject, level=Level.UNKNOWN, reason=NO_ANSWER_YET)
    except EvidenceError as error:
        return Check(name="log-directory", subject=subject, level=Level.BAD, reason=error.code)
    behind = size < published
    return Check(
        name="log-directory", subject=subject, level=Level.BAD if behind else Level.OK,
        reason="behind" if behind else "published", values={"size": size, "published": published},
    )  # fmt: skip


def _clock(parts: HealthParts) -> Iterator[Check]:
    now = parts.clock.now()
    with parts.catalogue.read() as uow:
        mark = uow.clock_marks.highest()
    belief = judge(now, mark)
    if belief is Belief.WENT_BACK:
        yield Check(name="clock", level=Level.BAD, reason="went-back")
    elif belief is Belief.JUMPED:
        yield Check(name="clock", level=Level.BAD, reason="jumped")
    elif now.trusted:
        yield Check(name="clock", level=Level.OK, reason="synchronised", values={"uncertainty_ms": now.uncertainty_ms})
    else:
        yield Check(name="clock", level=Level.WARN, reason="unsynchronised")


def _database(parts: HealthParts) -> Iterator[Check]:
    version = parts.catalogue.library_version
    old = parts.catalogue.engine_name == "sqlite" and _version(version) < SQLITE_MIN
    yield Check(
        name="database", level=Level.BAD if old else Level.OK, reason="too-old" if old else "supported",
        values={"engine": parts.catalogue.engine_name, "version": version},
    )  # fmt: skip


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _programs(_parts: HealthParts) -> Iterator[Check]:
    for program in PROGRAMS:
        found = installed(program)
        yield Check(
            name="program", subject=program, level=Level.OK if found else Level.BAD,
            reason="installed" if found else "missing",
        )  # fmt: skip


def _jobs(parts: HealthParts) -> Iterator[Check]:
    if parts.jobs is None:
        yield Check(name="jobs", level=Level.UNKNOWN, reason="not-running-here")
        return
    failed, live = len(parts.jobs.failures()), len(parts.jobs.live_keys())
    yield Check(
        name="jobs", level=Level.WARN if failed else Level.OK, reason="failures" if failed else "working",
        values={"failed": failed, "live": live},
    )  # fmt: skip


def _findings(parts: HealthParts) -> Iterator[Check]:
    with parts.catalogue.read() as uow:
        count = len(uow.findings.open())
    yield Check(
        name="findings", level=Level.WARN if count else Level.OK, reason="open" if count else "none",
        values={"open": count},
    )  # fmt: skip


_LOOKS: Final[dict[str, Callable[[HealthParts], Iterable[Check]]]] = {
    "store": lambda parts: list(_stores(parts)),
    "store-copies": lambda parts: list(store_copies(parts)),
    "domains": lambda parts: list(_domains(parts)),
    "locks": lambda parts: list(locks(parts)),
    "space": lambda parts: list(space(parts)),
    "fixity": lambda parts: list(fixity(parts)),
    "inventory": lambda parts: list(inventories(parts)),
    "brake": lambda parts: list(brake(parts)),
    "keys": lambda parts: list(keys(parts)),
    "backup": lambda parts: list(backup(parts)),
    "log": lambda parts: list(_log(parts)),
    "clock": lambda parts: list(_clock(parts)),
    "database": lambda parts: list(_database(parts)),
    "program": lambda parts: list(_programs(parts)),
    "jobs": lambda parts: list(_jobs(parts)),
    "findings": lambda parts: list(_findings(parts)),
    "matters": lambda parts: list(matters(parts)),
}
