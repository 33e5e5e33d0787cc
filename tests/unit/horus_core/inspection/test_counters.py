"""Counters as they are named, and percentiles out of a histogram."""

from __future__ import annotations

import random

import pytest

from horus_core.inspection.counters import graph_counters, no_counters, node_counters, percentile
from horus_core.memory.control import (
    BUCKETS,
    H_RECORDED_BYTES,
    N_BUSY,
    N_BUSY_MAX,
    N_MISSES,
    N_RESTARTS,
    N_TICKS,
    Layout,
    create_control,
)
from horus_core.memory.shared import LocalMemory
from horus_core.memory.tick_rows import bucket_of


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_percentile_is_within_a_quarter_of_the_exact_one(share: float) -> None:
    generator = random.Random(7)
    durations = sorted(round(generator.lognormvariate(11, 1)) for _ in range(5000))
    histogram = [0] * BUCKETS
    for duration in durations:
        histogram[bucket_of(duration)] += 1
    assert percentile(histogram, share) == pytest.approx(durations[int(share * len(durations))], rel=0.25)


def test_without_ticks_there_is_no_percentile() -> None:
    assert percentile([0] * BUCKETS, 0.5) == 0.0
    assert no_counters()["total_ticks"] == 0


def test_no_percentile_exceeds_the_longest_tick() -> None:
    layout = Layout(1, 2, ((), ()))
    control = create_control(LocalMemory(), layout, 0, False)
    row = layout.node(0)
    control[row + N_TICKS], control[row + N_BUSY], control[row + N_BUSY_MAX] = 1, 33_000, 33_000
    control[layout.histogram(0) + bucket_of(33_000)] = 1
    counters = node_counters(control, layout, 0)
    assert (
        counters["p50_tick_duration_ms"]
        <= counters["p99_tick_duration_ms"]
        <= counters["max_tick_duration_ms"]
        == 0.033
    )


def test_a_graphs_counters_are_the_sums_of_its_nodes() -> None:
    layout = Layout(3, 4, ((), (), (), ()))
    control = create_control(LocalMemory(), layout, 0, False)
    for position in range(3):
        control[layout.node(position) + N_MISSES] = 10**position
        control[layout.node(position) + N_RESTARTS] = 2
    control[H_RECORDED_BYTES] = 77
    counters = graph_counters(control, layout)
    assert (counters["deadline_misses"], counters["restarts"], counters["recorded_bytes"]) == (111, 6, 77)
