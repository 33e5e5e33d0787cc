"""What a running graph says of itself in the user's runtime directory, for tools that look at it from outside."""

from __future__ import annotations

import os
import time

from horus_core.execution.plan import Plan
from horus_core.inspection.running_graphs import RunningGraph, RunningLane, RunningNode


def announcement(plan: Plan, graph_id: str, logs: str) -> RunningGraph:
    """The description of a graph that this process runs; `logs` is the folder with its nodes' log files."""
    graph, request = plan.graph, plan.recording
    return RunningGraph(
        id=graph_id,
        name=plan.name,
        pid=os.getpid(),
        started_ns=time.time_ns(),
        tick_rate=graph.tick_rate,
        script=plan.script,
        session=request.name if request else "",
        logs=logs,
        nodes=[
            RunningNode(
                node.name,
                node.rate,
                node.order,
                plan.placement.nodes[each],
                node.compute,
                node.failure_policy,
                node.replayed,
            )
            for each, node in enumerate(graph.nodes)
        ],
        lanes=[
            RunningLane(
                lane.topic,
                lane.node,
                lane.capacity,
                getattr(lane.kind, "__qualname__", ""),
                list(lane.readers),
                lane.latch,
            )
            for lane in graph.lanes
        ],
    )
