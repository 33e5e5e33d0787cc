"""A node's process as its supervisor knows it, over its restarts: the states of its life, and what leads from one to the next.

    NEW --> STARTING --> READY --> LEAVING --> WAITING --> STARTING ...
                |          |          `------> GONE
                `----------`---> LEAVING, WAITING or GONE

A process that reports a failure, is killed by its watchdog, or is told to end is LEAVING until it has ended; one that dies
without a word goes from where it was. WAITING is for one that will be started again, GONE for one that will not be, unless
somebody asks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

from horus_core.execution.node_output import NodeOutput
from horus_core.graph.spec import NodeSpec
from horus_core.processes.child import Child


class Life(Enum):
    """Where a node's process is in its life."""

    NEW = "new"  # it has had no process yet
    STARTING = "starting"  # its init has not returned
    READY = "ready"  # it takes part in ticks
    LEAVING = "leaving"  # it has said, or was told, that it ends
    WAITING = "waiting"  # it has no process, and will be started again
    GONE = "gone"  # it has no process any more


FOLLOWING: dict[Life, frozenset[Life]] = {
    Life.NEW: frozenset({Life.STARTING}),
    Life.STARTING: frozenset({Life.READY, Life.LEAVING, Life.WAITING, Life.GONE}),
    Life.READY: frozenset({Life.LEAVING, Life.WAITING, Life.GONE}),
    Life.LEAVING: frozenset({Life.LEAVING, Life.WAITING, Life.GONE}),
    Life.WAITING: frozenset({Life.STARTING, Life.GONE, Life.WAITING}),
    Life.GONE: frozenset({Life.WAITING, Life.GONE}),
}


class Why(Enum):
    """Why a process leaves, as far as that is known before it has ended."""

    RAISED = "its tick raised, and nothing took it"
    CRASHED = "it has ended without a word"
    REFUSED = "it did not get ready"
    STUCK = "its watchdog has killed it"
    STOP = "somebody asked that it stops"
    RESTART = "somebody asked that it is started again"
    STOPPED = "the graph ends, and more than that is known of how it ended"


@dataclass(frozen=True)
class Leaving:
    """Why a process leaves; with the tick, what happened in words, and a traceback, where there are any."""

    why: Why
    tick: int | None = None
    words: str = ""
    trace: str = ""

    @property
    def asked_for(self) -> bool:
        """Whether somebody outside wants it."""
        return self.why in (Why.STOP, Why.RESTART)


@dataclass
class WorkerRecord:
    """A node's process.

    Attributes:
        position, node: which node.
        output: where its lines go.
        life: changed by :meth:`to` and :meth:`leave` only.
        leaving: why it leaves, while it is LEAVING.
        child: the process, None if there is none.
        starts: how many processes it has had.
        failures: when it was started again after a failure, monotonic seconds.
        restart_at: when it is to be started, while it is WAITING.
        failed_in: the tick in which its last process failed.
        back_at: the tick from which its process is to take part, if that is settled by what it did when it was recorded.
        ready_within, ready_by: the seconds in which its init must return, and when they are over.
        kill_at: when it is killed if it has not ended by itself.
        turn: in lockstep, a tick that it has not begun though it could, and since when that is known (monotonic ns).
    """

    position: int
    node: NodeSpec
    output: NodeOutput
    life: Life = Life.NEW
    leaving: Leaving | None = None
    child: Child | None = None
    starts: int = 0
    failures: list[float] = field(default_factory=list)
    restart_at: float = 0.0
    failed_in: int = 0
    back_at: int | None = None
    ready_within: float = 0.0
    ready_by: float = 0.0
    kill_at: float | None = None
    turn: tuple[int, int] = (-1, 0)

    @property
    def restarted(self) -> bool:
        """Whether its process is not its first one."""
        return self.starts > 1

    def to(self, life: Life) -> None:
        """Changes its life; forgets why it left, unless it is leaving."""
        if life not in FOLLOWING[self.life]:
            raise RuntimeError(f"node {self.node.name!r} is {self.life.value} and cannot be {life.value}")
        self.life = life
        if life is not Life.LEAVING:
            self.leaving = self.kill_at = None

    def leave(self, leaving: Leaving) -> None:
        """It will end. The first reason counts, unless somebody outside has one."""
        self.to(Life.LEAVING)
        if self.leaving is None or leaving.asked_for:
            self.leaving = leaving

    def started(self, child: Child, ready_within: float) -> None:
        """It has a process, whose init must return within so many seconds."""
        self.to(Life.STARTING)
        self.child, self.ready_within = child, ready_within
        self.ready_by = time.monotonic() + ready_within
        self.starts += 1

    def wait(self, until: float) -> None:
        """It is to be started again at `until`, monotonic seconds."""
        self.to(Life.WAITING)
        self.restart_at = until
