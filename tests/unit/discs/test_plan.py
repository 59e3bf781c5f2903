"""Spanning: time order, nothing split, room for the lists, and words for what fits nowhere."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from discs.media import KINDS, SECTOR_BYTES, medium_kind
from discs.plan import SourceFile, make_plan, reserve_bytes
from evidence.errors import DiscPlanError, InvalidInputError, UsageError

DVD = medium_kind("dvd+r").sectors


def source(number: int, size: int, **more) -> SourceFile:
    return SourceFile(
        key=f"k{number}",
        sha256="0" * 64,
        size_bytes=size,
        untrusted_name=f"n{number}.mp4",
        order=f"{number:06d}",
        **more,
    )


def test_a_case_of_40_gb_spans_discs_in_time_order():
    files = [source(number, 700_000_000 + number) for number in range(58)]
    plan = make_plan(files[::-1], sectors=DVD)
    assert [one.source.key for one in plan.files] == [one.key for one in files]
    assert plan.discs == 10
    assert [one.disc for one in plan.files] == sorted(one.disc for one in plan.files)
    for disc in range(1, 11):
        used = sum(one.source.size_bytes for one in plan.on(disc))
        assert used + reserve_bytes(58, 0) <= DVD * SECTOR_BYTES
    assert make_plan(files, sectors=medium_kind("bd-r").sectors).discs == 2
    plan.require_whole()


def test_a_file_larger_than_the_disc_is_refused_with_what_to_do():
    plan = make_plan([source(1, 5_000_000_000), source(2, 10)], sectors=DVD)
    assert plan.too_large[0].kinds == ("dvd+r-dl", "bd-r", "bd-r-dl")
    with pytest.raises(DiscPlanError) as refused:
        plan.require_whole()
    assert "bd-r" in refused.value.todo
    assert "never split" in refused.value.what


def test_a_file_larger_than_every_disc_goes_on_a_hard_disk():
    plan = make_plan([source(1, 60_000_000_000)], sectors=KINDS[-1].sectors)
    with pytest.raises(DiscPlanError) as refused:
        plan.require_whole()
    assert "hard disk" in refused.value.todo


def test_nothing_to_burn_is_said():
    with pytest.raises(DiscPlanError):
        make_plan([], sectors=DVD).require_whole()


def test_lists_that_fill_the_disc_are_said():
    with pytest.raises(DiscPlanError):
        make_plan([source(n, 1) for n in range(2000)], sectors=3000)


@pytest.mark.parametrize("files", [[source(1, 1), source(1, 1)], [source(1, 1, folder="../x")], [source(1, -1)]])
def test_nonsense_is_refused(files):
    with pytest.raises(InvalidInputError):
        make_plan(files, sectors=DVD)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(UsageError) as refused:
        medium_kind("floppy")
    assert "bd-r" in refused.value.todo


@given(st.lists(st.integers(0, 30_000_000), min_size=1, max_size=40))
def test_every_file_has_one_place_and_every_disc_its_room(sizes):
    plan = make_plan([source(number, size) for number, size in enumerate(sizes)], sectors=20_000)
    assert len({one.path.lower() for one in plan.files}) == len(sizes) == len(plan.files)
    assert {one.disc for one in plan.files} == set(range(1, plan.discs + 1))
    for disc in range(1, plan.discs + 1):
        assert (
            sum(one.source.size_bytes for one in plan.on(disc)) + reserve_bytes(len(sizes), 0) <= 20_000 * SECTOR_BYTES
        )


def test_a_large_set_has_folders_of_a_thousand():
    plan = make_plan([source(number, 10) for number in range(2001)], sectors=DVD)
    assert [plan.files[number].path for number in (0, 999, 1000, 2000)] == [
        "音像/000/0001_n0.mp4", "音像/000/1000_n999.mp4", "音像/001/1001_n1000.mp4", "音像/002/2001_n2000.mp4",
    ]  # fmt: skip
