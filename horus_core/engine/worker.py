"""A node's process: waits for its turn, runs the node's tick, hands on.

The protocol (docs/tick-protocol.md): the coordinator stores the released tick and posts the sources; a worker that finished
tick k commits, stores ``finished = k`` and posts those that wait for it. Whoever wakes re-checks the words and waits again if
it is not its turn, so a surplus post is harmless. Where time is real, each release of a node issues one ticket (a semaphore):
the worker that finishes and the coordinator that declares it late both try to take it, and exactly one gets it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import posix_ipc

from horus_core.engine.relay import relay_of
from horus_core.engine.run_options import RunOptions
from horus_core.engine.runner import NodeRunner
from horus_core.engine.tracebacks import own_traceback
from horus_core.graph.node import adopt_node
from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    H_LOCKSTEP,
    H_RELEASED,
    H_SAFE_MODE,
    H_STOP,
    N_EXCUSED,
    N_FINISHED,
    N_LATE_DONE,
    N_RESUME,
    N_STATE,
    N_STOP,
    NEVER,
    W_FAILED,
    W_READY,
    W_STOPPED,
    Layout,
    fence,
    open_control,
)
from horus_core.memory.hotpath import FAILED, MISSED, NATIVE, ORPHAN, RAISED, READY, SAFE, STALE, Turn
from horus_core.memory.shared import SharedMemory
from horus_core.memory.tick_rows import STATUS_LATE
from horus_core.processes.grants import ask_for_real_time, limit_resources
from horus_core.processes.offspring import as_in_a_script, end_offspring
from horus_core.processes.process import Reporter, enter_child, pin, precise_timers
from horus_core.processes.shipping import load

POLL = 0.1  # seconds a worker sleeps at most before it looks whether it is still wanted
_GARBAGE = 2000  # allocations after which a collection is due, between ticks
_FOR_RECORDER = 0.0002  # seconds between two looks whether the recorder has made room
_SERIES = 16  # ticks between two looks at that


@dataclass(frozen=True)
class Boot:
    """What a worker needs to know.

    Attributes:
        tick: the first tick that it may run in.
        restarted: whether an earlier process ran this node in this graph.
        source: for a replayed node, its source, instead of callbacks.
        recorded: for a live node that was recorded, the side inputs that it read.
        spin_ns: how long it may look for its turn before it sleeps.
    """

    path: list[str]
    argv: list[str]
    graph_id: str
    graph: bytes
    position: int
    callbacks: bytes
    options: RunOptions
    tick: int
    restarted: bool
    core: int | None
    priority: int | None
    lock_memory: bool
    spin_ns: int = 0
    source: bytes | None = None
    recorded: bytes | None = None


def main() -> None:
    """Entry point of the process."""
    data, report, parent = enter_child(die_with_parent=True)
    boot: Boot = pickle.loads(data)
    sys.path[:] = boot.path
    as_in_a_script()
    sys.argv[:] = boot.argv
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        worker = Worker(boot, report, parent)
        worker.start()
    except BaseException as problem:
        report("not started", own_traceback(problem), type(problem).__name__, str(problem)[:500])
        _leave(1)
    try:
        code = worker.work()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:  # threads that the node left behind must not keep its process
        traceback.print_exc()
        code = 1
    _leave(code)


def _leave(code: int) -> None:
    end_offspring()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)  # threads that a node left behind must not keep its process


class Worker:
    """The loop around a NodeRunner in a process of its own."""

    def __init__(self, boot: Boot, report: Reporter, parent: int) -> None:
        self._boot, self._report, self._parent = boot, report, parent
        memory = SharedMemory(boot.graph_id)
        graph: Graph = load(boot.graph)
        layout = Layout.of(graph)
        position = boot.position
        self._control = control = open_control(memory)
        self._row = layout.node(position)
        self._graph, self._layout, self._position = graph, layout, position
        self._schedule = graph.schedules[position]
        self._lockstep = bool(control[H_LOCKSTEP])
        self._go = memory.semaphore(f"go{position}")
        self._done = memory.semaphore("done")
        self._ticket = None if self._lockstep else memory.semaphore(f"ticket{position}")
        node = adopt_node(graph.nodes[position])
        source = load(boot.source) if boot.source is not None else None
        node.callbacks = load(boot.callbacks) if source is None else {}
        recorded = load(boot.recorded) if boot.recorded is not None else None
        self._runner = NodeRunner(
            graph,
            position,
            node,
            memory,
            control,
            layout,
            boot.options,
            self._wait_for_recorder,
            self._log,
            source,
            recorded,
        )
        self._runner.started_again = lambda came: report("started again", came.started, came.back)
        hearers = graph.feeds[position] if self._lockstep else (*graph.feeds[position], *graph.delayed[position])
        relay = relay_of(graph) if self._lockstep else None
        self._ends = self._lockstep and (graph.nodes[position].compute or self._may_end_a_tick())
        self._turn = Turn(
            control,
            self._row,
            self._go,
            self._ticket,
            self._done,
            parent,
            round(POLL * 1e9),
            boot.spin_ns,
            self._conditions(),
            [(memory.semaphore(f"go{other}"), *self._jobs(other)) for other in dict.fromkeys(hearers)],
            [memory.semaphore(f"go{each}") for each in relay.sources] if relay and relay.sink == position else [],
            self._schedule.jobs,
            self._schedule.ticks,
            self._ends,
        )
        self._safe_tick: int | None = None

    def _jobs(self, other: int) -> tuple[int, int]:
        """The jobs per ticks of `other`; (0, 0) if it runs in every tick in which this node runs."""
        theirs = self._graph.schedules[other]
        mine = self._schedule
        jobs = theirs.jobs, theirs.ticks
        return (0, 0) if jobs in ((mine.jobs, mine.ticks), (1, 1)) else jobs

    def _conditions(self) -> list[tuple[int, int, int, int, int]]:
        """For each node to wait for: the words with its finished and excused ticks, its jobs, and 0 or 1 ticks back."""
        graph, position = self._graph, self._position
        waits = [(other, 0) for other in graph.waits[position]]
        if not self._lockstep:
            waits += [(other, 1) for other in range(len(graph.nodes)) if position in graph.delayed[other]]
        found = []
        for other, back in waits:
            row, theirs = self._layout.node(other), graph.schedules[other]
            jobs = (theirs.jobs, theirs.ticks) if back and theirs.jobs != theirs.ticks else self._jobs(other)
            found.append((row + N_FINISHED, row + N_EXCUSED, *jobs, back))
        return found

    def _may_end_a_tick(self) -> bool:
        """Whether there are ticks in which nobody waits for this node."""
        waiting = [other for other in self._graph.feeds[self._position] if not self._graph.nodes[other].compute]
        return not any(self._jobs(other) == (0, 0) for other in waiting)

    def start(self) -> None:
        """Everything before the first tick; raises what ``init`` raises."""
        boot = self._boot
        for problem in ask_for_real_time(boot.priority, boot.lock_memory):
            self._report("degraded", problem)
        if boot.core is not None:
            try:
                pin([boot.core])
            except OSError as problem:
                self._report("degraded", f"it could not be pinned to core {boot.core}: {problem.strerror}")
        precise_timers()
        node = self._graph.nodes[self._position]
        limit_resources(node.memory_mb, node.open_files)
        self._runner.start(boot.tick, boot.restarted)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._control[self._row + N_STATE] = W_READY
        self._report("ready")
        self._done.release()

    def work(self) -> int:
        """Runs ticks until the graph stops. Returns the exit code."""
        runner = self._runner
        admitted = self._admitted()
        if admitted is None:
            return self._shut_down()
        tick = runner.first_tick = admitted
        finish: Callable[[int, bool], int] = self._finish_lockstep if self._lockstep else self._finish_in_time
        while True:
            if NATIVE and (callback := runner.plain) is not None:
                tick, why, ran = self._turn.run(runner, callback, runner.node, runner.clock, tick, _SERIES)
                if why == READY:
                    _collect_garbage()
                    continue
                if why == FAILED:
                    return self._fail(tick)
                if why == MISSED:
                    runner.note(raised=ran == RAISED)
                    tick = self._rejoin(tick, bool(ran))
                    continue
                if why == STALE:
                    tick = self._rejoin(tick, ran=False)
                    continue
                # Anything else is found once more, and handled, here:
            if not self._wait(tick):
                return self._shut_down()
            if self._safe_tick is not None:
                tick, self._safe_tick = min(tick, self._safe_tick), None
            elif self._stale(tick):
                tick = self._rejoin(tick, ran=False)
                continue
            ran = runner.run(tick)
            if runner.failure is not None:
                return self._fail(tick)
            tick = finish(tick, ran)
            _collect_garbage()

    def _admitted(self) -> int | None:
        """The first tick to run, None if the graph stops before; for a restarted node the coordinator says which."""
        control, row = self._control, self._row
        while control[row + N_RESUME] == NEVER:
            if control[H_STOP] or control[row + N_STOP]:
                return None
            self._sleep()
        tick: int = max(control[row + N_RESUME], 0)
        return tick if self._schedule.active(tick) else self._schedule.next(tick)

    def _sleep(self) -> None:
        """Waits for a post, but not for ever, nor after the supervisor."""
        if not self._turn.sleep():
            _leave(1)

    def _wait(self, tick: int) -> bool:
        """Returns True once it is this node's turn in `tick`, or it must enter safe mode; False when the graph stops."""
        while True:
            turn = self._turn.wait(tick, not self._runner.safe)
            if turn == READY or (turn == SAFE and self._must_be_safe()):
                return True
            if turn == ORPHAN:
                _leave(1)
            if turn != SAFE:
                return False

    def _must_be_safe(self) -> bool:
        """Safe mode begins: whether ``safe_state`` is to run at once, without waiting for anybody."""
        began = int(self._control[H_SAFE_MODE]) - 1
        self._runner.safe = True
        if not self._graph.nodes[self._position].safe_state or self._control[self._row + N_EXCUSED] >= began:
            return False  # no such callback; or it is late, then it runs in the tick in which it takes part again
        self._safe_tick = began
        return True

    def _finish_lockstep(self, tick: int, ran: bool) -> int:
        if ran:
            self._runner.commit()
        self._turn.finish(tick, self._ends or self._runner.safe)
        return self._schedule.next(tick)

    def _finish_in_time(self, tick: int, ran: bool) -> int:
        try:
            self._ticket.acquire(0)  # type: ignore[union-attr]
        except posix_ipc.BusyError:
            return self._rejoin(tick, ran)
        if ran:
            self._runner.commit()
        self._turn.finish(tick, False)
        if tick & 255 == 0:  # surplus posts must not add up for months
            self._drain()
        return self._schedule.next(tick)

    def _drain(self) -> None:
        """Takes surplus posts away; the condition is checked before the next wait, so none is missed."""
        with contextlib.suppress(posix_ipc.BusyError, posix_ipc.SignalError):
            while True:
                self._go.acquire(0)

    def _stale(self, tick: int) -> bool:
        """Whether this job was declared late before it began, and the next is released already."""
        if self._lockstep:
            return False
        return self._control[self._row + N_EXCUSED] >= tick and self._control[H_RELEASED] >= self._schedule.next(tick)

    def _rejoin(self, tick: int, ran: bool) -> int:
        """After a deadline was missed: the coordinator commits at its next release, and says from which tick on we run."""
        control, row = self._control, self._row
        fence()
        control[row + N_LATE_DONE] = tick
        while control[row + N_RESUME] <= tick and not control[H_STOP] and not control[row + N_STOP]:
            self._sleep()
        resume = control[row + N_RESUME]
        if resume <= tick:
            resume = control[H_RELEASED] + 1
        if ran:
            self._runner.commit(resume, STATUS_LATE)
        return resume if self._schedule.active(resume) else self._schedule.next(resume)

    def _wait_for_recorder(self) -> bool:
        time.sleep(_FOR_RECORDER)
        return not self._control[H_STOP] and os.getppid() == self._parent

    def _fail(self, tick: int) -> int:
        """The tick raised and nothing took it: reports, and leaves the rest to the supervisor."""
        _, trace = self._runner.failure  # type: ignore[misc]
        if self._ticket is None or _taken(self._ticket):
            self._runner.commit()
        self._control[self._row + N_STATE] = W_FAILED
        self._report("failed", tick, trace)
        node = self._graph.nodes[self._position]
        # One that is started again runs its safe_state when it is back.
        comes_not_back = node.critical is not None and node.failure_policy != "restart"
        self._shut_down(failed=True, safe=node.failure_policy == "fatal" or comes_not_back)
        return 1

    def _shut_down(self, failed: bool = False, safe: bool = False) -> int:
        code = 1 if failed else 0
        try:
            if safe or self._control[H_SAFE_MODE]:
                self._runner.be_safe()
            self._runner.end(int(self._control[H_RELEASED]))
            self._runner.close()
        except BaseException as problem:
            self._report("shutdown failed", own_traceback(problem))
            code = 1
        if not failed:
            self._control[self._row + N_STATE] = W_STOPPED
        self._report("stopped")
        return code

    def _log(self, level: str, tick: int, message: str) -> None:
        self._report("log", level, tick, message)


def _collect_garbage() -> None:
    """Between ticks, if it is due."""
    if gc.get_count()[0] > _GARBAGE:
        gc.collect(1)


def _taken(ticket: Any) -> bool:
    try:
        ticket.acquire(0)
    except posix_ipc.BusyError:
        return False
    return True
