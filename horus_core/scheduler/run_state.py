"""The states of a scheduler, which follows which, and what its parts know of the run that is under way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum

from horus_core.execution.engine import Engine


class RunState(Enum):
    """What :meth:`Scheduler.status` says."""

    IDLE = "idle"  # it has not run
    RUNNING = "running"  # ticks are released
    STEPPING = "stepping"  # between two calls of tick_once or tick_for; the processes stay
    STOPPED = "stopped"


FOLLOWING: dict[RunState, frozenset[RunState]] = {
    RunState.IDLE: frozenset({RunState.RUNNING, RunState.STOPPED}),
    RunState.RUNNING: frozenset({RunState.STEPPING}),
    RunState.STEPPING: frozenset({RunState.RUNNING, RunState.STOPPED}),
    RunState.STOPPED: frozenset({RunState.RUNNING, RunState.STOPPED}),
}


@dataclass
class Run:
    """The run that is under way, or the last one.

    Attributes:
        state: changed by :meth:`to` only.
        engine: what executes it, None before and after.
        next_tick: the next tick to release.
        paths: files of its recording, the scheduler's first.
        thread: that runs the graph, None while none does.
        stop_asked: another thread, or a signal, wants it to end.
    """

    state: RunState = RunState.IDLE
    engine: Engine | None = None
    next_tick: int = 0
    paths: list[str] = field(default_factory=list)
    thread: int | None = None
    stop_asked: bool = False

    def to(self, state: RunState) -> None:
        """Changes the state."""
        if state not in FOLLOWING[self.state]:
            raise RuntimeError(f"a scheduler that is {self.state.value} cannot be {state.value}")
        self.state = state

    @property
    def running(self) -> bool:
        """Whether ticks are released."""
        return self.state is RunState.RUNNING

    @property
    def must_be_asked(self) -> bool:
        """Whether a stop is for another thread, or for the loop that this one is in, and cannot be done here and now."""
        return self.thread is not None and (self.thread != threading.get_ident() or self.running)

    def ask_to_stop(self) -> None:
        """It is to end, also if it has not got as far as an engine."""
        self.stop_asked = True
        if self.engine is not None:
            self.engine.stopping = True
