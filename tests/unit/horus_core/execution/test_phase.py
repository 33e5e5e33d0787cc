"""The phases of a run follow each other, and none comes back."""

from __future__ import annotations

import pytest

from horus_core.execution.phase import Phase
from horus_core.memory import control

EXPECTED = {
    (Phase.NEW, Phase.STARTING),
    (Phase.STARTING, Phase.RUNNING),
    (Phase.STARTING, Phase.STOPPING),  # a node did not get ready
    (Phase.RUNNING, Phase.STOPPING),
    (Phase.STOPPING, Phase.ENDED),
}


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", Phase)
def test_a_phase_follows_another_only_forwards(before: Phase, after: Phase) -> None:
    if (before, after) in EXPECTED:
        assert before.to(after) is after
    else:
        with pytest.raises(RuntimeError, match=f"{before.name} cannot become {after.name}"):
            before.to(after)


def test_a_phase_is_what_the_control_segment_says() -> None:
    words = {
        "STARTING": control.STARTING,
        "RUNNING": control.RUNNING,
        "STOPPING": control.STOPPING,
        "ENDED": control.ENDED,
    }
    assert {phase.name: int(phase) for phase in Phase if phase is not Phase.NEW} == words
