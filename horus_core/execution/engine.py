"""What executes a plan, as a scheduler sees it: the supervisor with its processes, or the calling process itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from horus_core.engine.pace import Pace
from horus_core.engine.safe_mode import SafeMode
from horus_core.execution.phase import Phase
from horus_core.execution.plan import Plan
from horus_core.memory.control import Layout


class Engine(Protocol):
    """Executes one plan, once.

    Attributes:
        plan: what it executes.
        phase: where it is; `control` and `layout` are there from STARTING on.
        control: the control words.
        stopping: whether the graph is to end; a signal handler or another thread may set it.
        degradations: what was asked for and not granted.
        paths: files of the recording.
        safe_mode: to enter it.
    """

    plan: Plan
    phase: Phase
    control: memoryview
    layout: Layout
    stopping: bool
    degradations: list[str]
    paths: list[str]
    safe_mode: SafeMode

    @property
    def blackbox(self) -> Path | None:
        """The flight recorder's folder in shared memory, None without one."""

    def start(self) -> None:
        """Returns when all nodes are ready for the first tick, or one that was has ended the graph.

        Raises:
            StartFailed: a node did not get ready; whatever had started is stopped.
            StartStopped: the graph was to end before its nodes were ready.
            UnshippableCallable, SharedMemoryFull, RecorderFailed: see their words.
        """

    def run(self, last_tick: int | None, pace: Pace) -> None:
        """Releases ticks up to `last_tick` (None: until the graph is to stop), and returns when they are done.

        Raises:
            NodeFailed: a node ended the graph.
        """

    def stop(self) -> None:
        """Ends every node, in order, and closes the recording."""


class StartStopped(Exception):
    """The graph was to end before all its nodes were ready."""
