from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.recording.reading.durations import Durations


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 100]))
def test_percentiles_lie_within_half_a_percent(found: list[int], percent: int) -> None:
    durations = Durations()
    durations.add(np.array(found))
    exact = sorted(found)[max(math.ceil(len(found) * percent / 100), 1) - 1]
    assert durations.percentile(percent) == pytest.approx(exact, rel=0.004)
    assert durations.largest == max(found)
    assert durations.count == len(found)


def test_small_durations_are_exact_and_negative_ones_count_as_none() -> None:
    durations = Durations()
    durations.add(np.array([-5, 3, 511]))
    assert [durations.percentile(percent) for percent in (1, 50, 100)] == [0, 3, 511]


def test_without_durations_all_is_zero() -> None:
    durations = Durations()
    durations.add(np.array([], dtype=np.int64))
    assert (durations.percentile(50), durations.largest, durations.count) == (0, 0, 0)
