"""Nodes whose process has ended: nobody waits for them, and those that are started again take part from a release on."""

from __future__ import annotations

from horus_core.engine.commits import Commits
from horus_core.engine.lateness import Lateness
from horus_core.engine.semaphores import Semaphores
from horus_core.engine.watch import Happenings
from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    FREE,
    H_RELAY,
    N_BACK,
    N_EXCUSED,
    N_FINISHED,
    N_RESUME,
    NEVER,
    Layout,
    fence,
)


class Absence:
    """The nodes of a graph that have no process now, and those that have one again but take no part yet.

    Args:
        graph, control, layout, semaphores, commits: the graph's.
        happenings: is told who came back.
        lateness: in real time, who is late.
        down: the nodes whose processes have ended; changed here only.
    """

    def __init__(
        self,
        graph: Graph,
        control: memoryview,
        layout: Layout,
        semaphores: Semaphores,
        commits: Commits,
        happenings: Happenings,
        lateness: Lateness,
        down: set[int],
    ) -> None:
        self._graph, self._control, self._layout = graph, control, layout
        self._semaphores, self._commits, self._happenings, self._lateness = semaphores, commits, happenings, lateness
        self._rows = [layout.node(each) for each in range(len(graph.nodes))]
        self._down = down
        self._returning: dict[int, int] = {}  # with the first tick that each may take part in

    def __bool__(self) -> bool:
        return bool(self._down or self._returning)

    @property
    def nodes(self) -> set[int]:
        """The nodes that take no part now."""
        return self._down | self._returning.keys()

    def take_out(self, position: int) -> None:
        """`position` has ended: nobody waits for it any longer."""
        self._lateness.forget(position)
        self._down.add(position)
        control, row = self._control, self._rows[position]
        control[H_RELAY] = NEVER  # before anybody is let go on without it
        fence()
        control[row + N_EXCUSED] = FREE
        control[row + N_RESUME] = NEVER
        for entry in self._graph.inputs[position]:
            control[self._layout.floor(entry.lane, position)] = FREE
        fence()
        self._lateness.wake_hearers(position)
        self._semaphores.done.release()

    def bring_back(self, position: int, not_before: int | None = None) -> None:
        """`position` runs again, in a new process that is ready: it takes part from the next release on.

        Args:
            not_before: the first tick that it may take part in; None for any.
        """
        self._returning[position] = NEVER if not_before is None else not_before

    def readmit(self, tick: int) -> None:
        """At the release of `tick`: commits what the absent have sent, and lets those that are back take part."""
        control = self._control
        for position in self._down - self._returning.keys():
            self._commits.of_node(position, tick)
        for position in sorted(each for each, first in self._returning.items() if first <= tick):
            row = self._rows[position]
            self._commits.of_node(position, tick)
            self._semaphores.void_tickets(position)
            control[row + N_FINISHED] = control[row + N_EXCUSED] = tick - 1
            fence()
            control[row + N_BACK] = control[row + N_RESUME] = tick
            self._happenings.came_back(position, tick)
            self._down.discard(position)
            del self._returning[position]
            self._semaphores.post[position]()
