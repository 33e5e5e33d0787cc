"""Who may release the next tick besides the coordinator: in lockstep, the node that ends every tick.

Where one node is the last in every tick, and nothing has to be waited for, decided or committed between two ticks, the
coordinator would only pass the token on. It leaves that to the node, up to the tick in ``H_RELAY``, and takes it back by
writing ``NEVER`` there. The node releases tick k + 1 only if no stop, no safe mode and no message from outside has come up,
and stores ``H_RELEASED`` before its own ``N_FINISHED``: so whoever reads the second and then the first, and finds the
node done with the tick that was released last, knows that the tick is over and that no other one begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from horus_core.graph.spec import Graph


@dataclass(frozen=True)
class Relay:
    """The node that ends every tick, and those that begin one."""

    sink: int
    sources: tuple[int, ...]


def relay_of(graph: Graph) -> Relay | None:
    """The relay of `graph`; None unless every node runs in every tick, none computes beside it, and all lead to one."""
    nodes = range(len(graph.nodes))
    if any((schedule.jobs, schedule.ticks) != (1, 1) for schedule in graph.schedules):
        return None
    if any(node.compute for node in graph.nodes):
        return None
    sinks = [each for each in nodes if not graph.feeds[each]]
    if len(sinks) != 1:
        return None
    return Relay(sinks[0], tuple(each for each in nodes if not graph.waits[each]))
