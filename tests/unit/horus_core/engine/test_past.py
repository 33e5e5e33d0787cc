"""What a node did when it was recorded: in which ticks it ran, when its messages were visible, what restarts followed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.engine.past import Past, Return
from horus_core.memory.control import FREE

LOOP = (10, 19)


def ticks_of_jobs(jobs: int, ticks: int, count: int) -> list[int]:
    """The ticks of the first `count` jobs of a node that has `jobs` of them in `ticks` ticks."""
    return [-(-Fraction(job * ticks, jobs) // 1) for job in range(count)]


def as_ranges(jobs: set[int]) -> tuple[list[int], list[int]]:
    starts = sorted(job for job in jobs if job - 1 not in jobs)
    return starts, sorted(job + 1 for job in jobs if job + 1 not in jobs)


@given(st.sets(st.integers(0, 40)), st.sampled_from([(1, 1), (3, 10), (1, 2), (67, 200)]))
def test_it_ran_in_the_ticks_of_its_jobs(ran: set[int], rate: tuple[int, int]) -> None:
    past = Past(*as_ranges(ran), *rate)
    found = {job for job, tick in enumerate(ticks_of_jobs(*rate, 60)) if past.ran(tick)}
    assert found == ran


def test_one_that_never_ran_runs_in_no_tick() -> None:
    assert not any(Past([], []).ran(tick) for tick in range(5))


def test_a_loop_does_the_same_in_every_round() -> None:
    past = Past([3, 12, 18], [4, 15, 20], loop=LOOP)  # jobs 3, 12 to 14, 18 and 19
    before, first, second = (
        [tick for tick in ticks if past.ran(tick)] for ticks in (range(10), range(10, 20), range(20, 30))
    )
    assert before == [3], "the ticks before the range are lived through once"
    assert (first, second) == ([12, 13, 14, 18, 19], [22, 23, 24, 28, 29])
    assert [tick for tick in range(1010, 1020) if past.ran(tick)] == [1012, 1013, 1014, 1018, 1019]


@pytest.mark.parametrize(
    ("tick", "usual", "visible"),
    [
        (11, 11, 11),  # on time
        (12, 12, 15),  # it was late
        (22, 22, 25),  # in the next round
        (52, 52, 55),  # in the fifth
        (23, 23, 23),
        (13, 17, 17),  # a compute node: at its next release
        (23, 27, 27),
    ],
)
def test_what_it_sent_is_visible_as_late_as_it_was_in_every_round(tick: int, usual: int, visible: int) -> None:
    assert Past([10], [20], visibles={12: 15}, loop=LOOP).visible(tick, usual) == visible


def test_without_a_loop_ticks_are_those_of_the_recording() -> None:
    past = Past([0], [50], visibles={12: 15}, statuses={12: 1})
    assert [past.visible(tick, tick) for tick in (12, 22, 32)] == [15, 22, 32]
    assert [past.status(tick, 0) for tick in (11, 12, 22)] == [0, 1, 0]


def test_how_a_job_went_is_repeated_in_every_round() -> None:
    past = Past([10], [20], statuses={12: 2}, loop=LOOP)
    assert [past.status(tick, 0) for tick in (11, 12, 13, 22, 32, 33)] == [0, 2, 0, 2, 2, 0]


def test_the_restart_that_followed_a_job_is_the_one_before_its_next_job() -> None:
    past = Past([0, 8, 20], [5, 12, 30], returns=(Return(5, 8), Return(12, 20)))
    assert past.return_after(4) == (5, 8)
    assert past.return_after(11) == (12, 20)
    assert past.return_after(3) is None, "tick 4 came first"
    assert past.return_after(8) is None
    assert past.return_after(25) is None, "there was none after it"


def test_of_two_restarts_in_a_row_the_first_followed_the_job() -> None:
    past = Past([0, 9], [5, 12], returns=(Return(5, 6), Return(6, 9)))  # it failed again before it ran
    assert past.return_after(4) == (5, 6)
    assert past.return_after(5) == (6, 9)
    assert past.returns_after(4) == (Return(5, 6), Return(6, 9))
    assert past.returns_after(5) == (Return(6, 9),)
    assert past.returns_after(6) == ()


def test_a_restart_that_it_was_not_back_from_is_one_all_the_same() -> None:
    assert Past([0], [5], returns=(Return(5, FREE),)).return_after(4) == (5, FREE)


@given(
    st.sets(st.integers(0, 30), min_size=1),
    st.lists(st.integers(1, 60), max_size=4, unique=True),
    st.sampled_from([(1, 1), (3, 10), (1, 2)]),
    st.data(),
)
def test_a_restart_followed_a_job_if_no_other_job_came_between(
    ran: set[int], started: list[int], rate: tuple[int, int], data: st.DataObject
) -> None:
    ticks = ticks_of_jobs(*rate, 40)
    ran_in = [ticks[job] for job in sorted(ran)]
    returns = tuple(Return(tick, tick + 1) for tick in sorted(started))
    failed = data.draw(st.sampled_from(ran_in))
    following = [each for each in returns if each.started > failed]
    between = [tick for tick in ran_in if following and failed < tick < following[0].started]
    expected = following[0] if following and not between else None
    assert Past(*as_ranges(ran), *rate, returns=returns).return_after(failed) == expected
