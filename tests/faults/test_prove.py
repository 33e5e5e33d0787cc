"""``horus record prove``, shortly; CI runs it with 20 kills."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import msgspec
import pytest

from horus_core.trials.prove import Proof, Round, prove

_GOOD = Round("everything", 400, 350, 50, 0, 0, 0, 0, "recovered")


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """As a shell starts ``command &``: SIGINT is ignored, by what we start too."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_kills_of_a_node_and_of_the_recorder_lose_nothing(in_the_background: None) -> None:
    proof = prove(kills=2, seed=20261126)
    assert [each.victim for each in proof.rounds] == ["node", "recorder"]
    assert [each.problem for each in proof.rounds] == ["", ""]
    assert [each.state for each in proof.rounds] == ["complete", "recovered"]
    assert proof.kept
    assert proof.worst_ms == 0.0


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"lost_ticks": 200}, True),  # a second at 200 Hz
        ({"lost_ticks": 201}, False),
        ({"victim": "recorder", "lost_ticks": 1}, False),
        ({"missing": 1}, False),
        ({"repeated": 1}, False),
        ({"torn": 1}, False),
        ({"problem": "it does not open"}, False),
    ],
)
def test_a_promise_is_broken_by_anything_but_a_second_of_the_end(changes: dict[str, object], kept: bool) -> None:
    proof = Proof([_GOOD, msgspec.structs.replace(_GOOD, **changes)], seed=0)
    assert proof.kept is kept
