"""What a node's failure leads to: it is started again, left out, or ends the graph. One rule, in processes and inline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from horus_core.graph.restart import ordinal
from horus_core.graph.spec import NodeSpec


class Action(Enum):
    """What is done about a failure."""

    RESTART = "restart"
    LEAVE_OUT = "leave out"  # the graph goes on without the node
    END = "end"  # the graph ends


@dataclass(frozen=True)
class Verdict:
    """What a failure leads to.

    Attributes:
        what: what happened, in words.
        delay: seconds until the node is started again.
        earlier: when it was started again within the window before now.
    """

    action: Action
    what: str
    delay: float = 0.0
    earlier: tuple[float, ...] = ()


def judge(node: NodeSpec, what: str, crashed: bool, restarts: list[float], now: float) -> Verdict:
    """What the failure of `node` leads to.

    Args:
        what: what happened, in words: "raised an exception".
        crashed: whether its process ended, rather than its callback raised: "ignore" cannot ignore that.
        restarts: when it was started again after earlier failures, monotonic seconds.
        now: monotonic seconds.
    """
    policy, rule = node.failure_policy, node.restart
    if policy == "restart" or (policy == "ignore" and crashed):
        earlier = tuple(each for each in restarts if now - each < rule.window)
        if len(earlier) < rule.times:
            return Verdict(Action.RESTART, what, rule.delay(len(earlier)), earlier)
        if earlier:
            what = f"{what}, for the {ordinal(len(earlier) + 1)} time in {rule.window:g} s,"
    elif policy in ("skip", "ignore") and node.critical is None:
        return Verdict(Action.LEAVE_OUT, what)
    return Verdict(Action.END, what)
