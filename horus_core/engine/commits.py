"""What becomes visible at a release because its sender cannot say so itself: messages from outside, of late and of dead nodes.

A worker cannot know that its successor has not yet looked; at a release, before the tick is announced, the coordinator can.
So no compare-and-swap is needed anywhere.
"""

from __future__ import annotations

from horus_core.graph.spec import Graph
from horus_core.memory.control import H_ADMITTED, H_EXTERNAL, L_COMMIT, L_HEAD, Layout, fence
from horus_core.memory.lane import LaneReader
from horus_core.memory.shared import Memory


class Commits:
    """Commits on behalf of others, at a release."""

    def __init__(self, graph: Graph, memory: Memory, control: memoryview, layout: Layout) -> None:
        self._graph, self._memory, self._control, self._layout = graph, memory, control, layout
        self._external = [lane.index for lane in graph.lanes if lane.external]
        self._observers = {lane: self._observer(lane) for lane in self._external}
        self._admitted = 0

    def external(self, tick: int) -> None:
        """Lets the graph see, from `tick` on, what has come in from outside."""
        control = self._control
        if control[H_EXTERNAL] == self._admitted:
            return
        self._admitted = control[H_EXTERNAL]
        fence()
        for lane in self._external:
            self._commit(lane, tick, sent_in=tick)
        control[H_ADMITTED] = self._admitted

    def of_node(self, position: int, visible: int) -> None:
        """Lets others have, from tick `visible` on, what a late or dead node has sent."""
        for lane in self._graph.outputs[position]:
            self._commit(lane, visible)

    def _commit(self, lane: int, visible: int, sent_in: int | None = None) -> None:
        control, row = self._control, self._layout.lane(lane)
        head, commit = control[row + L_HEAD], control[row + L_COMMIT]
        if head == commit:
            return
        if lane not in self._observers:
            self._observers[lane] = self._observer(lane)
        self._observers[lane].set_visible(commit, head, visible, sent_in)
        fence()
        control[row + L_COMMIT] = head

    def _observer(self, lane: int) -> LaneReader:
        return LaneReader(self._memory, self._control, self._layout, lane, observe=True)
