"""Which backup is the newest good one: what alarms and pages rest on."""

from __future__ import annotations

import pytest

from catalogue import Catalogue
from catalogue.backups import GOOD, HOME, KEYS, BackupRow
from evidence.errors import InvalidInputError, NotFoundError
from support.catalogue_rows import T0, after


def test_only_a_backup_that_was_read_back_counts_as_the_newest(catalogue: Catalogue) -> None:
    first = BackupRow(id="b1", kind=KEYS, place="/media/safe", started_at=T0, ended_at=after(days=1), outcome=GOOD)
    with catalogue.begin() as uow:
        uow.backups.add(first)
        uow.backups.add(BackupRow(id="b2", kind=KEYS, place="/media/safe", started_at=after(days=2)))
        uow.backups.add(BackupRow(id="h1", kind=HOME, place="/media/safe", started_at=after(days=3)))
        assert uow.backups.newest(KEYS) == first
        uow.backups.update("b2", ended_at=after(days=4), outcome="not-durable")
        assert uow.backups.newest(KEYS) == first
        failed = uow.backups.newest(KEYS, good=False)
        assert failed is not None
        assert failed.id == "b2"
        assert uow.backups.newest(HOME) is None
        assert [row.id for row in uow.backups.recent(KEYS)] == ["b2", "b1"]


def test_a_backup_keeps_its_kind_and_an_unknown_one_is_not_changed(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow, pytest.raises(InvalidInputError):
        uow.backups.update("b1", kind=HOME)
    with catalogue.begin() as uow, pytest.raises(NotFoundError):
        uow.backups.update("b1", outcome=GOOD)
