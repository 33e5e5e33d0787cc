"""Who is late: deadlines, the ticket that decides it, and the release at which a late node takes part again.

Each release of a node issues a ticket (a semaphore). The worker that finishes and the coordinator at the deadline both try to
take it, and exactly one gets it. A node that is late holds nobody up any longer; what it has sent is committed at the first
release after it has finished, from which it takes part again. The ticks in between are not made up for.
"""

from __future__ import annotations

import heapq
import time

import posix_ipc

from horus_core.engine.commits import Commits
from horus_core.engine.patterns import Pattern
from horus_core.engine.semaphores import Semaphores
from horus_core.engine.watch import Happenings
from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    N_CURRENT,
    N_EXCUSED,
    N_FINISHED,
    N_LATE_DONE,
    N_MISSES,
    N_RESUME,
    Layout,
    fence,
)


class Lateness:
    """The deadlines of a graph in real time.

    Args:
        graph, control, layout, semaphores, commits: the graph's.
        happenings: is told of each miss.
        gone: the nodes whose processes have ended; they miss nothing. Whoever made it changes it.

    Attributes:
        late: per late node, the tick that it did not finish in time.
    """

    def __init__(
        self,
        graph: Graph,
        control: memoryview,
        layout: Layout,
        semaphores: Semaphores,
        commits: Commits,
        happenings: Happenings,
        gone: set[int],
    ) -> None:
        self._graph, self._control, self._semaphores, self._commits = graph, control, semaphores, commits
        self._happenings, self._gone = happenings, gone
        self._rows = [layout.node(each) for each in range(len(graph.nodes))]
        self._due: list[
            tuple[int, int, int, bool]
        ] = []  # deadline (monotonic ns), position, tick, whether it is the last
        self.late: dict[int, int] = {}
        self._since: dict[int, int] = {}

    def since(self, position: int) -> int | None:
        """Since when `position` is late, monotonic ns; None if it is not."""
        return self._since[position] if position in self.late else None

    @property
    def next_deadline(self) -> int | None:
        """When the next deadline is, monotonic ns; None if nobody is to finish anything."""
        return self._due[0][0] if self._due else None

    def issue_tickets(self, pattern: Pattern) -> None:
        """Before the release of a tick: each of its nodes gets its ticket."""
        for position in pattern.active:
            self._semaphores.tickets[position].release()

    def excuse(self, tick: int) -> None:
        """Before the release of `tick`: nobody waits for those that are late."""
        for position in self.late:
            self._control[self._rows[position] + N_EXCUSED] = tick

    def released(self, pattern: Pattern, tick: int, at: int) -> None:
        """`tick` was released, and was due at `at` (monotonic ns): notes the deadlines of its nodes."""
        for position in self.late:
            self.wake_hearers(position)
        for after, position in pattern.deadlines:
            heapq.heappush(self._due, (at + after, position, tick, False))

    def check(self, now: int) -> None:
        """Declares late who has not finished by a deadline up to `now` (monotonic ns)."""
        while self._due and self._due[0][0] <= now:
            at, position, tick, last = heapq.heappop(self._due)
            self._check(position, tick, at, last)

    def _check(self, position: int, tick: int, at: int, last: bool) -> None:
        row = self._rows[position]
        if self._control[row + N_FINISHED] >= tick or position in self._gone:
            return
        if not last and self._control[row + N_CURRENT] != tick and self._held_up(position, tick):
            # Not its fault: it has until its next release.
            node = self._graph.nodes[position]
            left = round((node.period - self._graph.deadlines[position]) * 1e9)
            heapq.heappush(self._due, (at + left, position, tick, True))
            return
        try:
            self._semaphores.tickets[position].acquire(0)
        except posix_ipc.BusyError:  # it has just finished
            return
        self.late[position] = tick
        self._since[position] = time.monotonic_ns()
        self._control[row + N_MISSES] += 1
        self._control[row + N_EXCUSED] = max(self._control[row + N_EXCUSED], tick)
        fence()
        self.wake_hearers(position)
        self._happenings.missed(position, tick)

    def _held_up(self, position: int, tick: int) -> bool:
        """Whether a node that this one waits for is late in `tick`, or waits itself."""
        for other in self._graph.waits[position]:
            needed = self._graph.schedules[other].last(tick)
            if other in self.late or self._control[self._rows[other] + N_FINISHED] < needed:
                return True
        return False

    def rejoin(self, tick: int) -> None:
        """Late nodes that have finished take part again, from `tick` on."""
        control = self._control
        for position, missed in list(self.late.items()):
            row = self._rows[position]
            if control[row + N_LATE_DONE] < missed:
                continue
            fence()
            del self.late[position]
            self._commits.of_node(position, tick)
            control[row + N_FINISHED] = max(control[row + N_FINISHED], missed)
            control[row + N_EXCUSED] = max(control[row + N_EXCUSED], tick - 1)
            fence()
            control[row + N_RESUME] = tick
            self._semaphores.post[position]()

    def forget(self, position: int) -> None:
        """`position` has ended: it is not late any more."""
        self.late.pop(position, None)

    def wake_hearers(self, position: int) -> None:
        """Wakes those that wait for `position`, within the tick or for its last one."""
        for other in (*self._graph.feeds[position], *self._graph.delayed[position]):
            self._semaphores.post[other]()
