"""A round trip over HORUS's lanes between two processes that poll, without ticks.

Both send and receive as nodes do, with the same lanes, encoding and control words; each reads the other's lane until
something is there.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import click

from benchmarks.runners import cores, report
from horus_core.engine.run_options import RunOptions
from horus_core.engine.runner import NodeRunner
from horus_core.graph.node import adopt_node
from horus_core.graph.spec import Graph, NodeSpec, TopicSpec, build_graph
from horus_core.memory.control import Layout, create_control, open_control
from horus_core.memory.shared import SharedMemory

SMALL = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}


class Side:
    """One of the two: sends on one topic, receives on the other.

    Args:
        memory, control, layout, graph: of the graph that the lanes belong to.
        position: 0 or 1.
    """

    def __init__(self, memory: SharedMemory, control: memoryview, layout: Layout, graph: Graph, position: int) -> None:
        out = graph.outputs[position][0]
        into = next(entry.lane for entry in graph.inputs[position] if not graph.lanes[entry.lane].external)
        options = RunOptions(first_tick=0, lockstep=True, seed=0, epoch_ns=0)
        node = adopt_node(graph.nodes[position])
        runner = NodeRunner(graph, position, node, memory, control, layout, options, None, lambda *line: None)
        self._to, self._from = graph.lanes[out].topic, graph.lanes[into].topic
        self._send, self._recv, self._begin = runner.send, runner.recv, runner.begin
        self._commit, self._runner = runner.writers[self._to].commit, runner

    def send(self, value: Any) -> None:
        """Sends, and lets the other one have it."""
        self._send(self._to, value)
        self._commit()

    def recv(self) -> Any:
        """The next message, whenever it comes."""
        while True:
            self._begin(1, False, True)  # what is sent in tick 0 is visible in tick 1 on every lane
            value = self._recv(self._from)
            if value is not None:
                return value


def answer(side: Callable[[], Side], core: int, turns: int) -> None:
    """The second process."""
    os.sched_setaffinity(0, {core})
    here = side()
    for _ in range(turns):
        here.send(here.recv())


@click.command()
@click.option("--cores", "on", required=True)
@click.option("--warmup", default=500)
@click.option("--samples", default=2000)
def main(on: str, warmup: int, samples: int) -> None:
    """Prints the samples in ns."""
    first, second = (cores(on) * 2)[:2]
    graph = build_graph(
        [
            NodeSpec("ping", 1000.0, pubs=(TopicSpec("ping"),), subs=(TopicSpec("pong"),)),
            NodeSpec("pong", 1000.0, pubs=(TopicSpec("pong"),), subs=(TopicSpec("ping"),)),
        ],
        1000.0,
    )
    layout = Layout.of(graph)
    memory = SharedMemory.new()
    control = create_control(memory, layout, 0, recorded=False)
    hold = memory.hold()
    try:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(120)
                answer(lambda: Side(memory, open_control(memory), layout, graph, 1), second, warmup + samples)
                code = 0
            finally:
                os._exit(code)
        os.sched_setaffinity(0, {first})
        signal.alarm(120)
        taken = _time(Side(memory, control, layout, graph, 0), warmup, samples)
        os.waitpid(child, 0)
    finally:
        memory.remove_all()
        os.close(hold)
    report(taken)


def _time(here: Side, warmup: int, samples: int) -> list[float]:
    clock = time.perf_counter_ns
    taken: list[float] = []
    for tick in range(warmup + samples):
        start = clock()
        here.send({**SMALL, "seq": tick})
        assert here.recv()["seq"] == tick
        if tick >= warmup:
            taken.append(clock() - start)
    return taken


if __name__ == "__main__":
    main()
