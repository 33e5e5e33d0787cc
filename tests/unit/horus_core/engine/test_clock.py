"""Time as a node sees it: a function of the tick, and of nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import horus
from horus_core.engine import clock
from horus_core.engine.clock import TickClock

EPOCH = 1_795_000_000_123_456_789


def clock_of(node: str = "arm", seed: int = 3, rate: float = 100.0, **more: object) -> TickClock:
    return TickClock(node, 0.02, rate, EPOCH, seed, **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    yield
    clock.enter(None)


@given(st.integers(0, 10**9), st.sampled_from([1.0, 30.0, 100.0, 1000.0]))
def test_now_is_the_release_of_the_tick(tick: int, rate: float) -> None:
    mine = clock_of(rate=rate)
    mine.tick = tick
    clock.enter(mine)
    exact = EPOCH + Fraction(tick * 10**9) / Fraction(rate)
    assert abs(horus.timestamp_ns() - exact) <= max(1, tick * 1e9 / rate * 1e-15)
    assert horus.now() == horus.timestamp_ns() * 1e-9
    assert horus.elapsed() == tick / rate
    assert (horus.tick(), horus.dt()) == (tick, 0.02)


def test_time_stands_still_within_a_tick() -> None:
    clock.enter(clock_of())
    assert {horus.now() for _ in range(1000)} == {EPOCH * 1e-9}


def test_outside_a_node_it_is_the_machines_time() -> None:
    clock.enter(None)
    assert abs(horus.now() - time.time()) < 5
    assert abs(horus.timestamp_ns() - time.time_ns()) < 5e9
    assert (horus.dt(), horus.tick(), horus.budget_remaining()) == (0.0, 0, math.inf)
    assert 0 <= horus.elapsed() <= horus.elapsed()
    assert 0 <= horus.rng_float() < 1


def numbers(mine: TickClock, tick: int, count: int = 5) -> list[float]:
    mine.tick = tick
    return [mine.rng_float() for _ in range(count)]


def test_the_generator_depends_on_seed_node_and_tick_alone() -> None:
    base = numbers(clock_of(), 7)
    assert len(set(base)) == 5
    assert all(0 <= each < 1 for each in base)
    again = clock_of()
    numbers(again, 6, 3)  # what was drawn in other ticks does not matter
    assert numbers(again, 7) == base
    others = [numbers(clock_of("leg"), 7), numbers(clock_of(seed=4), 7), numbers(clock_of(), 8)]
    assert all(other != base for other in others)


def test_the_generator_does_not_touch_pythons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    random.seed(1)
    expected = random.Random(1).random()
    clock.enter(clock_of())
    horus.rng_float()
    assert random.random() == expected


def test_what_is_left_of_the_budget_shrinks_as_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = clock_of(budget=0.008)
    mine.started_ns = 1_000_000_000
    clock.enter(mine)
    for passed, left in ((0, 0.008), (3_000_000, 0.005), (10_000_000, -0.002)):
        monkeypatch.setattr("horus_core.engine.clock.time.monotonic_ns", lambda at=1_000_000_000 + passed: at)
        assert horus.budget_remaining() == pytest.approx(left)


def test_in_virtual_time_the_budget_is_always_whole_and_without_one_it_is_infinite() -> None:
    clock.enter(clock_of(budget=0.008, virtual=True))
    assert horus.budget_remaining() == 0.008
    clock.enter(clock_of())
    assert horus.budget_remaining() == math.inf


def test_units_are_in_seconds() -> None:
    assert (250 * horus.us, 4 * horus.ms) == (pytest.approx(0.00025), pytest.approx(0.004))
