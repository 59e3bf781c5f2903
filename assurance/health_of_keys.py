"""Facts about keys for the system page: can footage be read, and could it be read again after this home burned down?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.asking import NoAnswerYetError
from assurance.health_facts import NO_ANSWER_YET, Check, HealthParts, Level
from assurance.keys_state import KeysState, keys_state


def look(parts: HealthParts) -> Iterator[Check]:
    """The checks; none where the caller gave nothing to look at."""
    if parts.keys is None:
        return
    wanted = parts.keys
    try:  # keys lie beside buckets, too
        state = parts.ask("keys", lambda: keys_state(parts.catalogue, wanted, clock=parts.clock))
    except NoAnswerYetError:
        yield Check(name="keys", level=Level.UNKNOWN, reason=NO_ANSWER_YET)
        return
    yield _backup(state)
    if state.master is None:
        return
    yield from _encryption(state)


def _backup(state: KeysState) -> Check:
    values: dict[str, str | int] = {"place": state.backup_place} if state.backup_place else {}
    if state.backup_at is not None:
        values["backup_at"] = state.backup_at.isoformat(timespec="seconds")
    if state.backup_due:
        return Check(name="keys", level=Level.BAD, reason="backup-overdue", values=values)
    if not state.covered:
        return Check(name="keys", level=Level.WARN, reason="not-backed-up", values=values)
    return Check(name="keys", level=Level.OK, reason="backed-up", values=values)


def _encryption(state: KeysState) -> Iterator[Check]:
    master = state.master
    if master is not None:
        yield Check(
            name="master-key", level=Level.BAD if master.trouble else Level.OK,
            reason="does-not-open" if master.trouble else "opens", values={"kind": master.kind, "id": master.id},
        )  # fmt: skip
    if state.beside:
        yield Check(
            name="master-key", subject=state.beside[0], level=Level.WARN, reason="beside-the-footage",
            values={"stores": len(state.beside)},
        )  # fmt: skip
    lacking = sorted({name for epoch in state.epochs for name in epoch.missing})
    if state.epochs_trouble:
        yield Check(name="epoch-keys", level=Level.BAD, reason="unreadable")
    elif lacking:
        for name in lacking:
            yield Check(name="epoch-keys", subject=name, level=Level.BAD, reason="missing-there")
    else:
        yield Check(name="epoch-keys", level=Level.OK, reason="everywhere", values={"keys": len(state.epochs)})
    for name in state.damaged:
        yield Check(name="encryption", subject=name, level=Level.BAD, reason="damage")
    if state.scratch_trouble:
        yield Check(name="plain-scratch", level=Level.BAD, reason="readable", values={"path": state.scratch})
    elif state.swap:
        yield Check(name="plain-scratch", level=Level.WARN, reason="swap-open", values={"swap": state.swap[0]})
    else:
        yield Check(name="plain-scratch", level=Level.OK, reason="kept-from-disks", values={"path": state.scratch})
    all_closed = state.enabled and not state.plain
    yield Check(
        name="encryption", level=Level.OK if all_closed else Level.WARN,
        reason="everything" if all_closed else "some-plain" if state.enabled else "turned-off",
        values={"encrypted": state.encrypted, "plain_objects": state.plain, "plain_bytes": state.plain_bytes},
    )  # fmt: skip
