"""A viewing that runs is fed no further once its consent is over, also when a browser asked for everything at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from access import DeniedError
from api import streaming
from matters.turn import NewLink
from support import footage
from support.assured_home import make_home
from support.recorders import gb_name
from support.use_house import HOUR_MS, House, make_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    home = make_home(tmp_path)
    yield make_house(home)
    home.close()


def test_r17_a_stream_that_runs_breaks_off_when_its_grant_is_revoked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, officer = house.home.reading, house.people["officer"]
    grant = house.granted()
    viewing = reading.open_viewing(officer, house.recording)
    monkeypatch.setattr(streaming, "_CHUNK_BYTES", 64)
    monkeypatch.setattr(streaming, "_ASKED_BYTES", 128)
    file = house.home.stores.primary.open(viewing.sha256)
    told = streaming._chunks(file, viewing.size_bytes, lambda: reading.require_still(officer, house.recording))
    assert sum(len(next(told)) for _ in range(5)) == 320, "while the grant is valid everything is sent"
    house.desk.act(house.people["leader"], grant.id, "revoke", {"revoked_because": "案件移交"})
    rest = sum(len(chunk) for chunk in told)
    assert rest <= 128
    assert rest + 320 < viewing.size_bytes
    assert house.denials()[-1] == ("recording.view", "needs-grant")
    with pytest.raises(DeniedError):
        reading.resume_viewing(officer, house.recording, token=viewing.token)


def test_r17_a_viewing_from_before_archiving_goes_on_only_as_a_use_of_the_grant(house: House) -> None:
    home, reading, officer = house.home, house.home.reading, house.people["officer"]
    media = {gb_name(officer="900123", extension="wav", counter=7): footage.voice_wav()}
    [row] = home.ingest(media, card="second", describe=True)
    home.clock.unix_ms += 24 * HOUR_MS - 600_000
    viewing = reading.open_viewing(officer, row.id)
    assert house.uses() == []
    home.clock.unix_ms += 900_000
    with pytest.raises(DeniedError):
        reading.resume_viewing(officer, row.id, token=viewing.token)
    grant = house.granted(links=[NewLink(role="footage", target=row.id)])
    more = reading.resume_viewing(officer, row.id, token=viewing.token)
    assert house.uses() == [("recording.view", grant.id, 1)]
    reading.resume_viewing(officer, row.id, token=more.token)
    assert house.uses() == [("recording.view", grant.id, 1)]


def test_r17_a_viewing_under_one_of_two_grants_is_one_use_of_that_one(house: House) -> None:
    reading, officer = house.home.reading, house.people["officer"]
    longer = house.granted(days=9, uses_most=1)
    first = reading.open_viewing(officer, house.recording)
    shorter = house.granted(days=2)
    second = reading.open_viewing(officer, house.recording)
    for viewing in (first, second) * 3:
        assert reading.resume_viewing(officer, house.recording, token=viewing.token) == viewing
    assert house.uses() == [("recording.view", longer.id, 1), ("recording.view", shorter.id, 1)]
    house.desk.act(house.people["leader"], longer.id, "revoke", {"revoked_because": "案件移交"})
    assert reading.resume_viewing(officer, house.recording, token=first.token).grant == shorter.id
    assert house.uses()[-1] == ("recording.view", shorter.id, 2)
