"""``Topic``: talks to a running graph from outside it.

What is sent goes into the topic's lane from outside, whose writers take turns under a lock. The coordinator commits it at its
next release, so all nodes see it from the same tick on, and it is recorded as the node ``external``. Reading observes the
lanes: it has no floor, so it never holds up a writer, and may miss messages of a fast one (`dropped` counts them).
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import Any

from horus_core.errors import NotRunning, UnknownTopic
from horus_core.graph.spec import EXTERNAL
from horus_core.inspection.running_graphs import RunningGraph, running_graphs, runtime_folder
from horus_core.memory.control import ENDED, H_EXTERNAL, H_RELEASED, H_STATE, H_SUPERVISOR, Layout, open_control
from horus_core.memory.lane import LaneReader, LaneWriter
from horus_core.memory.shared import SharedMemory
from horus_core.messages.encoding import Decoder, Encoder
from horus_core.processes.own_files import open_own

_POLL_SECONDS = 0.001


def find_graph(graph: str | None = None) -> RunningGraph:
    """The running graph of that name or id; the only one if not given.

    Raises:
        NotRunning: there is none, or there are several to choose from.
    """
    running = running_graphs()
    found = [each for each in running if graph in (None, each.name, each.id)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{each.name} ({each.id})" for each in running) or "none"
    wanted = "" if graph is None else f"called {graph!r}"
    if not found:
        raise NotRunning(wanted or "to talk to", f"running now: {names}; start one with horus run")
    raise NotRunning(
        f"called {graph!r} alone" if graph else "can be meant without its name", f"running now: {names}; give one's id"
    )


class Attachment:
    """A running graph's memory, opened from outside.

    Args:
        graph: what its runtime file says.
        read_only: for who only looks: nothing in the graph can be changed through it.

    Attributes:
        graph: what its runtime file says.
        control: the control words.
    """

    def __init__(self, graph: RunningGraph, read_only: bool = False) -> None:
        self.graph = graph
        self.memory = SharedMemory(graph.id, read_only)
        try:
            self.control = open_control(self.memory)
        except FileNotFoundError:
            raise NotRunning(f"called {graph.name!r}", "it has just ended") from None
        unread: list[tuple[int, ...]] = [() for _ in (*graph.nodes, "events")]
        readers = (*(tuple(lane.reads) for lane in graph.lanes), *unread)
        self.layout = Layout(len(graph.nodes), len(readers), readers)

    @property
    def alive(self) -> bool:
        """Whether the graph still runs."""
        return self.control[H_STATE] != ENDED and os.path.exists(f"/proc/{self.control[H_SUPERVISOR]}")

    def lanes(self, topic: str) -> list[int]:
        """The numbers of the lanes of `topic`, that from outside last."""
        return [index for index, lane in enumerate(self.graph.lanes) if lane.topic == topic]

    def topics(self) -> list[str]:
        """The names of all topics."""
        return list(dict.fromkeys(lane.topic for lane in self.graph.lanes))


class Topic:
    """A topic of a running graph.

    Args:
        name: the topic.
        graph: the graph's name or id; may be left out if only one runs.
        kind: decode what is received as this type.

    Raises:
        NotRunning: there is no such graph.
        UnknownTopic: the graph has no such topic.

    Example::

        topic = horus.Topic("goal")
        topic.send({"x": 1.0, "y": 2.0})
    """

    def __init__(self, name: str, graph: str | None = None, kind: Any = None) -> None:
        self.name = name
        self._attached = attached = Attachment(find_graph(graph))
        lanes = attached.lanes(name)
        if not lanes:
            raise UnknownTopic(EXTERNAL, "send", name, tuple(attached.topics()))
        self._lane = lanes[-1]
        self._encode = Encoder(EXTERNAL, name, kind).encode
        self._decode = Decoder(name, kind).decode
        self._capacity = attached.graph.lanes[self._lane].capacity
        memory, control, layout = attached.memory, attached.control, attached.layout
        self._readers = [
            LaneReader(memory, control, layout, each, observe=True, latch=attached.graph.lanes[each].latch)
            for each in lanes
        ]
        for reader in self._readers:
            reader.start_at(int(control[H_RELEASED]) + 1)

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, graph={self._attached.graph.name!r})"

    def send(self, data: Any) -> bool:
        """Sends `data`; the graph sees it from its next tick on.

        Returns:
            True.

        Raises:
            NotRunning: the graph has ended.
            UnsendableValue: no topic carries such a value.
        """
        attached = self._attached
        encoding, payload = self._encode(data)
        lock = open_own(runtime_folder() / f"graph-{attached.graph.id}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not attached.alive:
                raise NotRunning(f"called {attached.graph.name!r}", "it has ended")
            writer = LaneWriter(
                attached.memory,
                attached.control,
                attached.layout,
                self._lane,
                self._capacity,
                lazy=True,
                latch=attached.graph.lanes[self._lane].latch,
            )
            following = int(attached.control[H_RELEASED]) + 1
            writer.put(encoding, payload, following, following)
            attached.control[H_EXTERNAL] += 1
        finally:
            os.close(lock)
        return True

    def recv(self, timeout: float | None = 0.0) -> Any:
        """The oldest message since the Topic was made that has not been received.

        Args:
            timeout: seconds to wait for one; None for ever.

        Returns:
            None if there is none, or the graph has ended.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            for reader in self._readers:
                if reader.cursor >= reader.end:
                    reader.open(1 << 61)
                if reader.cursor < reader.end:
                    found, value = reader.take(self._decode)
                    if found:
                        return value
            if (deadline is not None and time.monotonic() >= deadline) or not self._attached.alive:
                return None
            time.sleep(_POLL_SECONDS)

    @property
    def dropped(self) -> int:
        """Messages that were overwritten before they were received."""
        return sum(reader.dropped for reader in self._readers)
