"""Rows of a matter, read into and written from what :mod:`matters.fold` says."""

from __future__ import annotations

from catalogue import UnitOfWork
from catalogue.matters import MatterRow
from evidence.ids import MatterId, RecordingId
from matters.fold import Folded


def folded_of(uow: UnitOfWork, row: MatterRow) -> Folded:
    """A matter with everything about it, as the rows tell."""
    return Folded(
        row=row,
        persons={(one.role, str(one.agent)): one for one in uow.matters.persons(row.id)},
        links={(one.role, one.target, one.key): one for one in uow.matters.links(row.id)},
        documents={str(one.id): one for one in uow.matters.documents(row.id)},
    )


def write(uow: UnitOfWork, before: Folded | None, after: Folded) -> None:
    """Write what differs; StateConflictError when the rows are not those of ``before`` any more."""
    if before is None:
        uow.matters.add(after.row)
    else:
        uow.matters.put(after.row, expected_version=before.row.version)
    was_persons = before.persons if before is not None else {}
    for (role, agent), row in was_persons.items():
        if (
            after.persons.get((role, agent)) != row
        ):  # also a part that ended and began anew: since when is another moment
            uow.matters.drop_person(after.row.id, role, row.agent)
    for place, row in after.persons.items():
        if was_persons.get(place) != row:
            uow.matters.put_person(row)
    was_links = before.links if before is not None else {}
    for role, target, key in was_links.keys() - after.links.keys():
        uow.matters.drop_link(after.row.id, role, target, key)
    for where, link in after.links.items():
        if was_links.get(where) != link:
            uow.matters.put_link(link)
    for identity in after.documents.keys() - (before.documents.keys() if before is not None else set()):
        uow.matters.add_document(after.documents[identity])
    uow.rules.mark_stale(_concerned(uow, before, after))


def _concerned(uow: UnitOfWork, before: Folded | None, after: Folded) -> list[RecordingId]:
    """Recordings for which the matter means something else now: their dates of keeping are computed anew.

    A matter about another one (a procedure about a case) concerns the recordings of that one.
    """
    was = before.links if before is not None else {}
    links = {place for place in was.keys() | after.links.keys() if was.get(place) != after.links.get(place)}
    if before is None or _meaning(before) != _meaning(after):
        links |= after.links.keys()
    targets = {target for _role, target, _key in links}
    for matter in [MatterId(target) for target in targets if target.startswith("mat_")]:
        targets |= {link.target for link in uow.matters.links(matter)}
    return sorted({RecordingId(target) for target in targets if target.startswith("rec_")})


def _meaning(folded: Folded) -> tuple[object, ...]:
    return folded.row.state, folded.row.closed_at, folded.row.facts
