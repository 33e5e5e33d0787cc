"""The rule of ticks, against the rule in words: job j belongs to the first tick at or after j / rate seconds."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.graph.schedule import NodeSchedule, exact, tick_count

RATES = st.one_of(
    st.integers(1, 2000),
    st.sampled_from([0.1, 0.3, 1 / 3, 7.5, 29.97, 33.3, 59.94, 100.0, 1000.0, 1e-3]),
    st.integers(1, 20_000).map(lambda tenths: tenths / 10),
)


def first_ticks_of_jobs(node_rate: float, graph_rate: float, up_to: int) -> list[int]:
    """Searched, not computed: for each job the first tick whose time is not before the job's."""
    node, graph = Fraction(str(node_rate)), Fraction(str(graph_rate))
    ticks, tick, job = [], 0, 0
    while tick <= up_to:
        if tick / graph < job / node:
            tick += 1
        else:
            ticks.append(tick)
            job += 1
    return ticks


@given(RATES, RATES)
def test_a_node_runs_in_the_first_tick_at_or_after_each_of_its_jobs(one: float, other: float) -> None:
    slow, fast = sorted((one, other))
    schedule = NodeSchedule(slow, fast)
    expected = first_ticks_of_jobs(slow, fast, 300)
    assert [tick for tick in range(301) if schedule.active(tick)] == sorted(set(expected))
    assert len(expected) == len(set(expected)), "two jobs of a node no faster than the graph never share a tick"


@given(RATES, RATES, st.integers(0, 10**12))
def test_next_and_last_agree_with_active_anywhere_in_a_long_run(one: float, other: float, tick: int) -> None:
    slow, fast = sorted((one, other))
    schedule = NodeSchedule(slow, fast)
    last, following = schedule.last(tick), schedule.next(tick)
    assert last <= tick < following
    assert schedule.active(last)
    assert schedule.active(following)
    period = Fraction(str(fast)) / Fraction(str(slow))
    for between in {last + 1, (last + following) // 2, following - 1} - {last, following}:
        assert not schedule.active(between)
    # Exact in the billionth tick too: the job's tick is within one tick of its time.
    job = round(Fraction(last) / period - Fraction(1, 2))
    assert any(math.ceil(each * period) == last for each in (job - 1, job, job + 1))


@given(RATES, RATES)
def test_every_node_runs_in_tick_0(one: float, other: float) -> None:
    slow, fast = sorted((one, other))
    assert NodeSchedule(slow, fast).active(0)
    assert NodeSchedule(slow, fast).last(0) == 0


def test_the_tick_before_the_first_is_nobodys() -> None:
    assert NodeSchedule(100.0, 100.0).last(-1) == -1
    assert NodeSchedule(30.0, 100.0).last(-1) < 0


@pytest.mark.parametrize(
    ("node", "graph", "ticks"),
    [
        (100, 100, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (50, 100, [0, 2, 4, 6, 8]),
        (30, 100, [0, 4, 7]),  # 3.33, 6.67: the ticks after
        (7, 10, [0, 2, 3, 5, 6, 8, 9]),
        (0.1, 1, [0]),
    ],
)
def test_examples_by_hand(node: float, graph: float, ticks: list[int]) -> None:
    assert [tick for tick in range(10) if NodeSchedule(node, graph).active(tick)] == ticks


@pytest.mark.parametrize(("rate", "meant"), [(0.1, Fraction(1, 10)), (29.97, Fraction(2997, 100)), (3, Fraction(3))])
def test_a_rate_is_the_decimal_that_was_written(rate: float, meant: Fraction) -> None:
    assert exact(rate) == meant


@pytest.mark.parametrize(
    ("duration", "rate", "count"),
    [
        (5.0, 100.0, 500),
        (0.07, 100, 7),
        (0.1, 30, 3),
        (1 / 3, 3, 1),
        (0.29, 100, 29),
        (1e-9, 1000, 1),
        (3600, 1000, 3_600_000),
        (25 / 333, 333, 25),
        (10 / 30, 30, 10),
        (7 / 0.3, 0.3, 7),
        (1e6 / 333, 333, 10**6),
    ],
)
def test_a_duration_releases_exactly_the_ticks_before_its_end(duration: float, rate: float, count: int) -> None:
    assert tick_count(duration, rate) == count


@given(st.integers(1, 10**7), RATES)
def test_a_duration_of_ticks_divided_by_the_rate_means_that_many(ticks: int, rate: float) -> None:
    assert tick_count(ticks / rate, rate) == ticks


@given(st.integers(1, 10_000).map(lambda n: n / 100), st.integers(1, 1000))
def test_ticks_of_a_duration_are_those_released_before_it_is_over(duration: float, rate: int) -> None:
    count = tick_count(duration, rate)
    end = Fraction(str(duration))
    assert Fraction(count - 1, rate) < end <= Fraction(count, rate)


def test_a_schedule_survives_the_way_to_a_process() -> None:
    schedule = pickle.loads(pickle.dumps(NodeSchedule(30, 100)))
    assert [tick for tick in range(10) if schedule.active(tick)] == [0, 4, 7]
