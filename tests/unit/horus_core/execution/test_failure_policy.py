"""What a failure leads to, for each policy: the one rule of processes and inline execution."""

from __future__ import annotations

import pytest

from horus_core.execution.failure_policy import Action, judge
from horus_core.graph.restart import Restart
from horus_core.graph.spec import NodeSpec


def node(policy: str, **more: object) -> NodeSpec:
    return NodeSpec("arm", 100.0, failure_policy=policy, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "crashed", "critical", "action"),
    [
        ("fatal", False, None, Action.END),
        ("fatal", True, None, Action.END),
        ("skip", False, None, Action.LEAVE_OUT),
        ("skip", True, None, Action.LEAVE_OUT),
        ("skip", True, 0.5, Action.END),  # the robot must not be without it
        ("ignore", True, None, Action.RESTART),  # a process that is gone cannot be ignored
        ("ignore", False, None, Action.LEAVE_OUT),
        ("restart", False, None, Action.RESTART),
        ("restart", True, 0.5, Action.RESTART),
    ],
)
def test_a_policy_says_what_follows(policy: str, crashed: bool, critical: float | None, action: Action) -> None:
    assert judge(node(policy, critical=critical), "fell", crashed, [], 100.0).action is action


def test_restarts_wait_longer_each_time_until_there_were_too_many_in_the_window() -> None:
    arm = node("restart", restart=Restart(times=3, window=10.0, first=0.5, most=1.5))
    delays = [judge(arm, "fell", True, [95.0] * earlier, 100.0).delay for earlier in range(3)]
    assert delays == [0.5, 1.0, 1.5]
    verdict = judge(arm, "fell", True, [95.0, 96.0, 97.0], 100.0)
    assert (verdict.action, verdict.what) == (Action.END, "fell, for the 4th time in 10 s,")


def test_what_lies_before_the_window_does_not_count() -> None:
    arm = node("restart", restart=Restart(times=1, window=10.0))
    verdict = judge(arm, "fell", True, [89.9, 90.0], 100.0)  # seconds of a machine that was just started are small, too
    assert (verdict.action, verdict.earlier) == (Action.RESTART, ())
    assert judge(arm, "fell", True, [90.1], 100.0).action is Action.END


def test_a_policy_of_no_restarts_ends_the_graph_at_the_first_failure() -> None:
    verdict = judge(node("restart", restart=Restart(times=0)), "fell", True, [], 100.0)
    assert (verdict.action, verdict.what) == (Action.END, "fell")
