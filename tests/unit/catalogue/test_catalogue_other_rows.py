"""People, devices, dockings, blobs, findings and the running service's rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalogue import Catalogue
from catalogue.records import (
    AgentRow,
    CredentialRow,
    DerivativeRow,
    FindingRow,
    OffloadRow,
    PostRow,
    ProgressRow,
    RoleRow,
    UnitRow,
    WebSessionRow,
)
from evidence.digest import Digest
from evidence.errors import InvalidInputError, NotFoundError, StateConflictError
from evidence.ids import AgentId, DerivativeId, DeviceId, FindingId, OffloadId, UnitId
from evidence.model import Copy, DeviceState, OffloadState, Visibility
from support.catalogue_rows import T0, after, make_bureau, recording

SHA = Digest("sha256", "ab" * 32)
B3 = Digest("blake3", "cd" * 32)


def agent(number: int, **fields: object) -> AgentRow:
    return replace(AgentRow(id=AgentId.new(number), kind="person", name="操作员"), **fields)


# --- people -----------------------------------------------------------------------------------------------------------
def test_r09_departments_are_listed_for_a_moment_and_keep_their_past(catalogue: Catalogue) -> None:
    old = UnitRow(id=UnitId.new(1), name="一科", code="01", valid_from=T0, valid_to=after(days=5))
    new = UnitRow(id=UnitId.new(2), name="执法大队", code="01", parent=None, valid_from=after(days=5))
    below = UnitRow(id=UnitId.new(3), name="一中队", parent=new.id, valid_from=after(days=6))
    with catalogue.begin() as uow:
        for row in (old, new, below):
            uow.people.add_unit(row)
        assert uow.people.units() == [old, new, below]
        assert uow.people.units(after(days=1)) == [old]
        assert uow.people.units(after(days=5)) == [new]
        with pytest.raises(InvalidInputError):
            uow.people.add_unit(replace(new, id=UnitId.new(4), valid_to=after(days=5)))


def test_r09_a_post_ends_and_stays_readable(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        uow.people.add_post(PostRow(agent=bureau.officer, unit=bureau.unit, valid_from=T0))
        uow.people.end_post(bureau.officer, bureau.unit, after(days=1))
        uow.people.add_post(PostRow(agent=bureau.officer, unit=bureau.unit, valid_from=after(days=2)))
        posts = uow.people.posts(bureau.officer)
        assert [(post.valid_from, post.valid_to) for post in posts] == [(T0, after(days=1)), (after(days=2), None)]
        with pytest.raises(NotFoundError):
            uow.people.end_post(bureau.officer, bureau.unit, after(days=1))
        with pytest.raises(InvalidInputError):
            uow.people.add_post(PostRow(agent=bureau.officer, unit=bureau.unit, valid_from=T0, valid_to=T0))


def test_two_agents_never_answer_to_one_log_in(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        uow.people.add_agent(agent(1, login="operator"))
        uow.people.add_agent(agent(2))
        uow.people.add_agent(agent(3))
        assert uow.people.by_login("") is None
    with pytest.raises(StateConflictError), catalogue.begin() as uow:
        uow.people.add_agent(agent(4, login="operator"))


def test_an_officer_code_passes_on_only_after_its_holder_has_left(catalogue: Catalogue) -> None:
    first, second = agent(1, officer_code="A1"), agent(2, officer_code="A1")
    with catalogue.begin() as uow:
        uow.people.add_agent(first)
        assert uow.people.by_officer_code("A1") == first
    with pytest.raises(StateConflictError), catalogue.begin() as uow:
        uow.people.add_agent(second)
    with catalogue.begin() as uow:
        gone = uow.people.update_agent(first.id, active=False)
        assert uow.people.by_officer_code("A1") == gone
        uow.people.add_agent(second)
        assert uow.people.by_officer_code("A1") == second
        assert uow.people.agents() == [gone, second]
        with pytest.raises(NotFoundError):
            uow.people.update_agent(AgentId.new(9), name="x")


def test_roles_are_given_once_and_taken_once(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        everywhere, local = (RoleRow(agent=bureau.officer, role="officer", unit=unit) for unit in (None, bureau.unit))
        assert [uow.people.grant(row) for row in (everywhere, local, everywhere)] == [True, True, False]
        assert uow.people.roles(bureau.officer) == [everywhere, local]
        assert [uow.people.revoke(everywhere), uow.people.revoke(everywhere)] == [True, False]
        assert uow.people.roles(bureau.officer) == [local]
        with pytest.raises(NotFoundError):
            uow.people.grant(RoleRow(agent=bureau.officer, role="officer", unit=UnitId.new(9)))


def test_credentials_are_replaced_counted_and_locked(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        row = CredentialRow(
            agent=bureau.officer, login="o", password_hash="h", must_change=True, failed_count=0, locked_until=None
        )
        uow.people.set_credential(row)
        uow.people.update_credential(bureau.officer, failed_count=5, locked_until=after(minutes=15))
        assert uow.people.credential("o") == replace(row, failed_count=5, locked_until=after(minutes=15))
        uow.people.set_credential(replace(row, password_hash="new"))
        assert uow.people.credential("o") == replace(row, password_hash="new")
        assert uow.people.credential("nobody") is None
        with pytest.raises(NotFoundError):
            uow.people.update_credential(AgentId.new(9), failed_count=1)


def test_an_operating_system_user_is_one_person(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        first, second = make_bureau(uow).officer, agent(7)
        uow.people.add_agent(second)
        uow.people.bind_os_user(1000, first)
        uow.people.bind_os_user(1000, second.id)
        assert uow.people.os_user(1000) == second.id
        assert uow.people.os_user(0) is None


# --- devices and dockings ---------------------------------------------------------------------------------------------
def test_recorders_with_one_serial_are_all_found(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        row = uow.devices.get(bureau.device)
        twin = replace(row, id=DeviceId.new(9), driver="mtp", state=DeviceState.PENDING)
        uow.devices.add(twin)
        assert set(uow.devices.all()) == {row, twin}
        assert set(uow.devices.find("", "", "SN-778899")) == {row, twin}
        assert uow.devices.find("other", "", "SN-778899") == []
        assert uow.devices.update(twin.id, state=DeviceState.RETIRED).state is DeviceState.RETIRED
        for unknown in (
            lambda: uow.devices.get(DeviceId.new(1)),
            lambda: uow.devices.update(DeviceId.new(1), kind="x"),
        ):
            with pytest.raises(NotFoundError):
                unknown()


def test_dockings_keep_what_waits_and_the_open_one_is_found(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        first = uow.offloads.get(bureau.offload)
        assert uow.offloads.open_of(bureau.device) == first
        ended = uow.offloads.update(
            first.id,
            state=OffloadState.COMPLETE,
            ended_at=after(minutes=5),
            waiting=["录_start.mp4"],
            clock_offset_ms=-5,
        )
        assert (ended.waiting, ended.clock_offset_ms) == (["录_start.mp4"], -5)
        assert uow.offloads.open_of(bureau.device) is None
        later = replace(first, id=OffloadId.new(5), started_at=after(hours=1))
        uow.offloads.add(later)
        assert uow.offloads.open() == [later]
        assert uow.offloads.recent() == [later, ended]
        assert uow.offloads.recent(1) == [later]
        with pytest.raises(NotFoundError):
            uow.offloads.get(OffloadId.new(1))


def test_r18_dockings_are_seen_by_the_department_of_the_recorder_or_whoever_recorded(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        mine, other = make_bureau(uow), make_bureau(uow, officer_code="B1")
        uow.recordings.add(recording(other, officer=mine.officer))

        def seen(visibility: Visibility) -> set[OffloadId]:
            return {row.id for row in uow.offloads.recent(visibility=visibility)}

        assert seen(Visibility()) == set()
        assert seen(Visibility(everything=True)) == {mine.offload, other.offload}
        assert seen(Visibility(units=frozenset({mine.unit}))) == {mine.offload}
        assert seen(Visibility(officer=mine.officer)) == {other.offload}
        uow.recordings.add(recording(mine, unit=other.unit))
        assert seen(Visibility(units=frozenset({other.unit}))) == {mine.offload, other.offload}


# --- blobs ------------------------------------------------------------------------------------------------------------
def test_bytes_are_shared_by_their_holders_and_copies_are_known_by_store(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Copy(store="primary", domain="disk:a", key="k")
    with catalogue.begin() as uow:
        assert uow.blobs.get(SHA) is None
        with pytest.raises(NotFoundError):
            uow.blobs.put_copy(SHA, copy)
        uow.blobs.add_holder(SHA, 5, None, "recording:a")
        uow.blobs.add_holder(SHA, 5, B3, "manifest:b")
        uow.blobs.add_holder(SHA, 5, B3, "manifest:b")
        uow.blobs.put_copy(SHA, copy)
        uow.blobs.put_copy(SHA, replace(copy, key="k2", version="v"))
        uow.blobs.put_copy(SHA, Copy(store="second", domain="disk:b", key="k", read_back_at=T0))
        uow.blobs.mark_checked(SHA, "primary", after(hours=1))
        with pytest.raises(NotFoundError):
            uow.blobs.mark_checked(SHA, "third", T0)
    monkeypatch.setattr("catalogue.blobs.CHUNK", 2)
    with catalogue.begin() as uow:
        found = uow.blobs.get(SHA)
        assert found is not None
        assert (found.size_bytes, found.blake3, found.holders) == (5, B3, ("manifest:b", "recording:a"))
        assert found.copies == (
            Copy("primary", "disk:a", "k2", "v", after(hours=1)),
            Copy("second", "disk:b", "k", "", T0),
        )
        others = [Digest("sha256", f"{number:064x}") for number in range(5)]
        for other in others:
            uow.blobs.add_holder(other, 1, None, "x")
        assert [row.sha256 for row in uow.blobs.all()] == [*others, SHA]


@pytest.mark.parametrize(("size", "blake3"), [(6, B3), (5, Digest("blake3", "00" * 32))])
def test_one_digest_never_has_two_sizes_or_two_other_digests(catalogue: Catalogue, size: int, blake3: Digest) -> None:
    with catalogue.begin() as uow:
        uow.blobs.add_holder(SHA, 5, B3, "recording:a")
    with pytest.raises(StateConflictError), catalogue.begin() as uow:
        uow.blobs.add_holder(SHA, size, blake3, "recording:b")


def test_derivatives_belong_to_a_recording(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        parent = recording(make_bureau(uow))
        uow.recordings.add(parent)
        row = DerivativeRow(
            id=DerivativeId.new(1), recording=parent.id, kind="poster", media_type="image/jpeg", sha256=SHA, size_bytes=3,
            recipe={"at_ms": 1000}, made_at=T0,
        )  # fmt: skip
        uow.derivatives.add(row)
        assert uow.derivatives.of(parent.id) == [row] == [uow.derivatives.get(row.id)]
        with pytest.raises(NotFoundError):
            uow.derivatives.get(DerivativeId.new(2))


# --- the running service ----------------------------------------------------------------------------------------------
def test_r08_a_finding_is_raised_once_while_it_is_open(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        first = FindingRow(id=FindingId.new(1), kind="late", recording=row.id, store="", detail="文", raised_at=T0)
        again = replace(first, id=FindingId.new(2))
        general = replace(first, id=FindingId.new(3), recording=None)
        assert [uow.findings.raise_(one) for one in (first, again, general)] == [True, False, True]
        assert uow.findings.open() == [first, general]
        uow.findings.close(first.id, after(days=1))
        assert uow.findings.open() == [general]
        assert uow.findings.raise_(again)
        for unknown in (first.id, FindingId.new(9)):
            with pytest.raises(NotFoundError):
                uow.findings.close(unknown, T0)


def test_progress_is_one_row_for_each_docking(catalogue: Catalogue) -> None:
    row = ProgressRow(
        offload=OffloadId.new(1), recording=None, stage="acquire", bytes_done=1, bytes_total=2, files_done=0,
        files_total=1, rate_bytes_s=9, updated_at=T0,
    )  # fmt: skip
    with catalogue.begin() as uow:
        uow.progress.put(row)
        uow.progress.put(replace(row, bytes_done=2))
        assert uow.progress.of(row.offload) == replace(row, bytes_done=2)
        assert uow.progress.all() == [replace(row, bytes_done=2)]
        uow.progress.clear(row.offload)
        uow.progress.clear(row.offload)
        assert uow.progress.of(row.offload) is None


def test_sessions_are_touched_removed_and_swept_and_never_revived(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        officer = make_bureau(uow).officer
        rows = [
            WebSessionRow(
                token_sha256=f"t{number}", agent=officer, csrf="c", created_at=T0, seen_at=T0,
                expires_at=after(hours=number), address="",
            )
            for number in range(1, 4)
        ]  # fmt: skip
        for row in rows:
            uow.sessions.add(row)
        uow.sessions.touch("t1", after(minutes=1), after(hours=9))
        assert uow.sessions.get("t1") == replace(rows[0], seen_at=after(minutes=1), expires_at=after(hours=9))
        assert uow.sessions.sweep(after(hours=2)) == 1
        assert uow.sessions.get("t2") is None
        uow.sessions.touch("t2", T0, after(hours=9))
        assert uow.sessions.get("t2") is None
        uow.sessions.remove("t1")
        assert uow.sessions.get("t1") is None
        uow.sessions.remove_of(officer)
        assert uow.sessions.get("t3") is None


def test_a_setting_is_replaced_and_the_clock_mark_never_falls(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        assert (uow.settings.get("n"), uow.clock_marks.highest()) == (None, None)
        for value in ("1", "2"):
            uow.settings.put("n", value)
        assert uow.settings.get("n") == "2"
        for moment in (T0, after(hours=1), after(hours=-1)):
            uow.clock_marks.raise_to(moment)
        assert uow.clock_marks.highest() == after(hours=1)


def test_an_offload_row_is_exact(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        row = OffloadRow(
            id=OffloadId.new(8), device=bureau.device, state=OffloadState.FAILED, driver="mtp", slot="1-2.3", address="x",
            started_at=T0, ended_at=after(milliseconds=1), battery_percent=0, capacity_bytes=1 << 41, free_bytes=0,
            clock_known=True, clock_plausible=True, clock_offset_ms=-(1 << 41), clock_device_text="1980", clock_set=True,
            message="文", waiting=["a", "b"],
        )  # fmt: skip
        uow.offloads.add(row)
        assert uow.offloads.get(row.id) == row
