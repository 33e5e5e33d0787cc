"""A round trip over HORUS's lanes alone, without its tick engine: what the runtime's parts cost, and what ticks add.

Two processes use the same writers, readers, encoders and control words as nodes do. ``wake``: each sleeps on its semaphore
until the other has posted it. ``poll``: each reads the lane's commit word until it moves.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import click

from benchmarks.runners import cores, report
from horus_core.control import Layout, create_control, open_control
from horus_core.graph import Graph, NodeSpec, TopicSpec, build_graph
from horus_core.lane import LaneReader, LaneWriter
from horus_core.memory import SharedMemory
from horus_core.values import Decoder, Encoder

SMALL = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}
_BOUND = 10.0  # seconds that one wait may take


class Side:
    """One of the two: sends on one topic, receives on the other.

    Args:
        memory, control, layout, graph: of the graph that the lanes belong to.
        position: 0 or 1.
        polling: poll instead of waiting for the semaphore.
    """

    def __init__(
        self, memory: SharedMemory, control: memoryview, layout: Layout, graph: Graph, position: int, polling: bool
    ) -> None:
        out = graph.outputs[position][0]
        into = next(entry.lane for entry in graph.inputs[position] if not graph.lanes[entry.lane].external)
        self._writer = LaneWriter(memory, control, layout, out, graph.lanes[out].capacity)
        self._reader = LaneReader(memory, control, layout, into, position, graph.lanes[into].capacity)
        self._encode = Encoder("side", graph.lanes[out].topic).encode
        self._decode = Decoder(graph.lanes[into].topic).decode
        self._wake = memory.semaphore(f"go{1 - position}").release
        self._wait = memory.semaphore(f"go{position}").acquire
        self.send, self.recv = (self._send_polling, self._poll) if polling else (self._send_waking, self._sleep)

    def _send_polling(self, value: Any, tick: int) -> None:
        encoding, payload = self._encode(value)
        self._writer.put(encoding, payload, tick, tick)
        self._writer.commit()

    def _send_waking(self, value: Any, tick: int) -> None:
        self._send_polling(value, tick)
        self._wake()

    def _poll(self, tick: int) -> Any:
        reader = self._reader
        while not reader.open(tick):
            pass
        return reader.take(self._decode)[1]

    def _sleep(self, tick: int) -> Any:
        self._wait(_BOUND)
        self._reader.open(tick)
        return self._reader.take(self._decode)[1]


def answer(side: Callable[[], Side], core: int, turns: int) -> None:
    """The second process."""
    os.sched_setaffinity(0, {core})
    here = side()
    for tick in range(turns):
        here.send(here.recv(tick), tick)


@click.command()
@click.option("--cores", "on", required=True)
@click.option("--warmup", default=500)
@click.option("--samples", default=2000)
@click.option("--poll", "polling", is_flag=True)
def main(on: str, warmup: int, samples: int, polling: bool) -> None:
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
        for position in (0, 1):
            memory.semaphore(f"go{position}", create=True)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(120)
                answer(lambda: Side(memory, open_control(memory), layout, graph, 1, polling), second, warmup + samples)
                code = 0
            finally:
                os._exit(code)
        os.sched_setaffinity(0, {first})
        signal.alarm(120)
        taken = _time(Side(memory, control, layout, graph, 0, polling), warmup, samples)
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
        here.send({**SMALL, "seq": tick}, tick)
        assert here.recv(tick)["seq"] == tick
        if tick >= warmup:
            taken.append(clock() - start)
    return taken


if __name__ == "__main__":
    main()
