"""Which nodes are stuck: in a tick, or before one that they could have begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from horus_core.execution.plan import Plan
from horus_core.execution.worker_record import Life, WorkerRecord
from horus_core.memory.control import H_RELEASED, N_CURRENT, N_EXCUSED, N_FINISHED, N_STARTED, NEVER, Layout

_EVERY = 0.02  # seconds between two looks
_STANDSTILL_SECONDS = 0.5  # without a look at the nodes: the supervisor was stopped, and perhaps they were, too


@dataclass(frozen=True)
class Stuck:
    """A node that is stuck in `tick` for more than `limit` seconds."""

    record: WorkerRecord
    tick: int
    limit: float


class Watchdogs:
    """Looks at each node that has a time limit.

    Args:
        plan, control, layout: the graph's.
        late_since: since when a node is late, monotonic ns; None if it is not.

    Attributes:
        awake_since: monotonic ns; before it the supervisor itself stood still, and does not judge others by that time.
    """

    def __init__(
        self, plan: Plan, control: memoryview, layout: Layout, late_since: Callable[[int], int | None]
    ) -> None:
        self._plan, self._control, self._layout, self._late_since = plan, control, layout, late_since
        self._looked = 0.0
        self.awake_since = 0

    def due(self) -> bool:
        """Whether it is time for a look."""
        now = time.monotonic()
        if now - self._looked <= _EVERY:
            return False
        if now - self._looked > _STANDSTILL_SECONDS:
            self.awake_since = time.monotonic_ns()
        self._looked = now
        return True

    def look(self, records: Sequence[WorkerRecord]) -> Iterator[Stuck]:
        """Gives those that are stuck."""
        now = time.monotonic_ns()
        for record in records:
            limit = record.node.critical or record.node.watchdog or self._plan.watchdog
            if not limit or record.life is not Life.READY:
                continue
            current, since = self._busy_since(record, now)
            if now - max(since, self.awake_since) > limit * 1e9:
                yield Stuck(record, int(self._control[H_RELEASED] if current == NEVER else current), limit)

    def _busy_since(self, record: WorkerRecord, now: int) -> tuple[int, int]:
        """The tick that a node is in, `NEVER` if in none; and since when it is in it, or could be: `now` if it could not."""
        row = self._layout.node(record.position)
        current = int(self._control[row + N_CURRENT])
        if current != NEVER:
            return current, int(self._control[row + N_STARTED])
        if not self._plan.options.lockstep:
            late = self._late_since(record.position)
            return current, now if late is None else late
        tick = self._turn_of(record.position)
        if tick is None:
            record.turn = (NEVER, now)
        elif record.turn[0] != tick:
            record.turn = (tick, now)
        return current, record.turn[1] if tick is not None else now

    def _turn_of(self, position: int) -> int | None:
        """In lockstep, the tick that a node is to run and has not finished, if it waits for nobody any more."""
        graph = self._plan.graph
        tick = graph.schedules[position].last(int(self._control[H_RELEASED]))
        waits = graph.waits[position]
        if self._over(position, tick) or not all(self._over(each, graph.schedules[each].last(tick)) for each in waits):
            return None
        return tick

    def _over(self, position: int, tick: int) -> bool:
        row = self._layout.node(position)
        return bool(self._control[row + N_FINISHED] >= tick or self._control[row + N_EXCUSED] >= tick)
