"""What happens to a graph: written into its events lane, which is recorded, and into the log."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from horus_core.execution.eventlog import EventLog
from horus_core.graph.spec import Graph
from horus_core.memory.control import H_RELEASED, Layout
from horus_core.memory.lane import LaneWriter
from horus_core.memory.shared import Memory
from horus_core.messages.encoding import RAW

SLIP_SECONDS = 1.0  # between two events of slips
EVENTS_CAPACITY = 256


class Events:
    """The events lane of a graph."""

    def __init__(self, graph: Graph, memory: Memory, control: memoryview, layout: Layout) -> None:
        self._graph, self._control = graph, control
        self._log = EventLog()
        self._lane = LaneWriter(memory, control, layout, layout.events, EVENTS_CAPACITY)
        self._slips, self._slipped_ns, self._slips_told = 0, 0, 0.0  # since the last event of them

    def emit(self, event: str, position: int | None = None, tick: int | None = None, **detail: Any) -> None:
        """Writes an event down.

        Args:
            event: what happened.
            position: to which node; None: to the graph.
            tick: when; None: in the latest tick that was released.
            detail: what else is known of it.
        """
        released = max(int(self._control[H_RELEASED]) if tick is None else tick, 0)
        name = "" if position is None else self._graph.nodes[position].name
        self._log(event, name, released, detail)
        row = (time.time_ns(), released, name, event, detail)
        self._lane.put(RAW, msgspec.msgpack.encode(row), released, released)
        self._lane.commit()

    def slipped(self, tick: int, behind_ns: int) -> None:
        """A tick was released that much too late; told at most once a second, for on a busy machine it may be every tick."""
        self._slips += 1
        self._slipped_ns += behind_ns
        if time.monotonic() - self._slips_told >= SLIP_SECONDS:
            self.tell_slips(tick)

    def tell_slips(self, tick: int) -> None:
        """An event for what has slipped since the last one."""
        if self._slips:
            self.emit("slip", tick=tick, releases=self._slips, late=round(self._slipped_ns * 1e-9, 6))
            self._slips, self._slipped_ns, self._slips_told = 0, 0, time.monotonic()
