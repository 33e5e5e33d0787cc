"""Random kills of recorded graphs; ``python -m benchmarks soak`` does the same for a quarter of an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import soak
from benchmarks.soak.graph import POLICIES
from benchmarks.soak.judge import judge
from horus import Node, Scheduler


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lockstep", [False, True], ids=["real time", "lockstep"])
def test_whoever_is_killed_the_graph_does_as_its_policies_say_and_its_recording_is_whole(lockstep: bool) -> None:
    """With this seed each of the processes is killed, the supervisor and the recorder too, in each of the ways."""
    outcome = soak(kills=18, seed=34, lockstep=lockstep, ending=0.12)
    assert outcome.problems == []
    assert sum(outcome.kills.values()) == sum(outcome.hit.values()) == 18
    assert set(outcome.kills) == {"SIGKILL", "SIGSEGV", "SIGSTOP for a while", "SIGSTOP for good"}
    assert set(outcome.hit) == {*POLICIES, "supervisor", "recorder"}
    assert outcome.graphs >= 2
    assert outcome.messages > outcome.ticks > 20
    assert outcome.descriptors == 0
    assert outcome.memory_mb < 8


def test_a_soak_notices_what_is_not_as_it_must_be(recordings: Path) -> None:
    scheduler = Scheduler(tick_rate=100, recording="r", execution="inline")
    scheduler.add(Node(name="n", tick=lambda node: node.send("t", 1), pubs="t", rate=100)).run(duration=0.1)
    folder = recordings / "r"
    assert judge(folder, True, {"n": 0}) == (10, [])
    assert judge(folder, True, {"n": 1}) == (10, ["n was killed 1 times, and 0 deaths of it are recorded"])
    (path,) = folder.glob("n@*.arrow")
    path.write_bytes(path.read_bytes()[:-100])
    _, problems = judge(folder, True, None)
    assert problems
    assert all(problem.startswith(path.name) for problem in problems)
