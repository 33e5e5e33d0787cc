"""Random kills of a recorded graph; ``python -m benchmarks soak`` does the same for hours."""

from __future__ import annotations

import pytest

from benchmarks.soak import soak


@pytest.mark.timeout(120)
@pytest.mark.parametrize("deterministic", [False, True], ids=["real time", "lockstep"])
def test_a_graph_outlives_random_kills_and_its_recording_is_whole(deterministic: bool) -> None:
    outcome = soak(kills=40, seed=20261122, deterministic=deterministic, seconds=100.0)
    assert outcome.problem == ""
    assert sum(outcome.kills.values()) == 40
    assert outcome.ticks > 20
    assert (outcome.missing, outcome.repeated, outcome.unreadable) == (0, 0, [])
    assert [name for name in outcome.left if name.isdigit()] == []
    assert outcome.descriptors <= 4  # what Python keeps open by itself
