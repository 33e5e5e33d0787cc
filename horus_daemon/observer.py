"""Looks into the shared memory of a running graph: what happened, and how its nodes are. It never holds the graph up.

The memory stays mapped until the observer is dropped, so what a graph said last can be read after it has ended.
"""

from __future__ import annotations

from typing import Any

import msgspec

from horus_core.errors import NotRunning
from horus_core.inspection.counters import node_counters
from horus_core.inspection.running_graphs import RunningGraph, running_graphs
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import ENDED, H_MAGIC, H_RELEASED, H_STATE, H_VERSION, MAGIC, VERSION
from horus_core.memory.lane import LaneReader
from horus_daemon.daemon_to_client import NodeState, PastEvent

_ALL_TICKS = 1 << 61
_EVENTS_AT_ONCE = 1000

_rows: msgspec.msgpack.Decoder[tuple[int, int, str, str, dict[str, Any]]] = msgspec.msgpack.Decoder(
    tuple[int, int, str, str, dict[str, Any]]
)


class Observer:
    """A graph, seen from outside.

    Args:
        graph: its runtime file.

    Attributes:
        graph: the same.

    Raises:
        NotRunning: it has just ended.
        ValueError: its memory is laid out as another version of HORUS does it.
    """

    def __init__(self, graph: RunningGraph) -> None:
        self.graph = graph
        attached = Attachment(graph)
        self._control, self._layout = attached.control, attached.layout
        if (self._control[H_MAGIC], self._control[H_VERSION]) != (MAGIC, VERSION):
            raise ValueError(f"its memory has layout {self._control[H_VERSION]}, this version of HORUS reads {VERSION}")
        self._reader = LaneReader(attached.memory, self._control, self._layout, self._layout.events, observe=True)
        self._reader.follow()  # mapped now, what is said last can be read after its name has gone
        self._unreadable = self._dropped = 0
        self._last: dict[str, str] = {}

    def take_dropped(self) -> int:
        """Events that were overwritten before they were read, or cannot be read, since the last call."""
        now, before = self._reader.dropped + self._unreadable, self._dropped
        self._dropped = now
        return now - before

    @property
    def ended(self) -> bool:
        """Whether the graph has ended; its process may go on."""
        return bool(self._control[H_STATE] == ENDED)

    @property
    def tick(self) -> int:
        """The last tick that was released."""
        return int(self._control[H_RELEASED])

    def events(self) -> list[PastEvent]:
        """What has happened since the last call."""
        reader = self._reader
        found: list[PastEvent] = []
        reader.open(_ALL_TICKS)
        while reader.cursor < reader.end and len(found) < _EVENTS_AT_ONCE:
            try:
                there, row = reader.take(lambda _, payload: _rows.decode(payload))
            except (msgspec.MsgspecError, ValueError):
                self._unreadable += 1
                continue
            if there:
                event = PastEvent(*row)
                self._last[event.node] = event.event
                found.append(event)
        return found

    def nodes(self) -> list[NodeState]:
        """How its nodes are."""
        found = []
        for position, node in enumerate(self.graph.nodes):
            counters = node_counters(self._control, self._layout, position)
            found.append(
                NodeState(
                    name=node.name,
                    pid=counters["pid"],
                    state=counters["state"],
                    ticks=counters["total_ticks"],
                    last_tick=counters["last_tick"],
                    misses=counters["deadline_misses"],
                    restarts=counters["restarts"],
                    errors=counters["errors_count"],
                    event=self._last.get(node.name, ""),
                )
            )
        return found


def find_observer(pid: int) -> Observer | None:
    """An observer of the graph that the process `pid` runs, None if it runs none now.

    Raises:
        ValueError: its memory is laid out as another version of HORUS does it.
    """
    for graph in running_graphs():
        if graph.pid == pid:
            try:
                observer = Observer(graph)
            except (NotRunning, OSError):
                continue
            if not observer.ended:
                return observer
    return None
