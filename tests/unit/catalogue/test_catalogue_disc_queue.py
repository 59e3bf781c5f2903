"""Which long-term recordings wait for a disc, on both databases."""

from __future__ import annotations

from catalogue import Catalogue
from catalogue.matters import LinkRow, MatterRow
from catalogue.rules import DateRow
from evidence.clock import unix_ms
from evidence.ids import MatterId
from evidence.model import RecordingState
from support.catalogue_rows import T0, add_recording, make_bureau

SET = "disc-set"


def add_set(uow, number: str, state: str, *recordings) -> None:
    matter = MatterId.new(unix_ms(T0))
    uow.matters.add(
        MatterRow(
            id=matter, kind=SET, number=number, state=state, unit=None, opened_by=None, opened_at=T0, changed_at=T0
        )
    )
    for one in recordings:
        uow.matters.put_link(LinkRow(matter=matter, role="footage", target=one.id, since=T0))


def waiting(uow, **more):
    return uow.disc_queue.waiting(kind=SET, role="footage", closed=("withdrawn",), **{"limit": 10, **more})


def test_r11_what_is_long_term_and_in_no_set_waits(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    rows = [add_recording(catalogue, bureau, state=RecordingState.STORED, size_bytes=number) for number in range(8)]
    plain, flagged, permanent, planned, withdrawn, cleared, moving, sensitive = rows
    with catalogue.begin() as uow:
        assert waiting(uow) == []
        uow.rules.change(flagged.id, complaint=True)
        uow.rules.put_date(DateRow(recording=permanent.id, state="permanent"))
        uow.rules.put_date(DateRow(recording=plain.id, state="keep"))
        for one in (planned, withdrawn, cleared):
            uow.rules.change(one.id, long_term=True)
        uow.rules.change(cleared.id, disposing_at=T0)
        uow.rules.change(sensitive.id, sensitive=True)
        uow.rules.put_date(DateRow(recording=sensitive.id, state="permanent"))
        add_set(uow, "GP2026-0001", "registered", planned)
        add_set(uow, "GP2026-0002", "withdrawn", withdrawn)
        uow.matters.put_link(  # another matter about it is no disc set
            LinkRow(matter=_other(uow), role="footage", target=flagged.id, since=T0)
        )
        wanted = sorted([flagged.id, permanent.id, withdrawn.id, sensitive.id])
        assert waiting(uow) == wanted
        assert waiting(uow, limit=2) == wanted[:2]
        assert waiting(uow, after=wanted[1]) == wanted[2:]
        assert moving.id not in wanted


def _other(uow) -> MatterId:
    matter = MatterId.new(unix_ms(T0))
    uow.matters.add(
        MatterRow(
            id=matter, kind="hold", number="H1", state="active", unit=None, opened_by=None, opened_at=T0, changed_at=T0
        )
    )
    return matter
