"""Inline execution: the same graph, ticks, recording and replay in the calling process, one node after the other.

For pdb, for unit tests, for closures over variables of a test. Who runs in a tick and in which order comes from the same
graph, what a tick does from the same runner; only the processes are missing. Nobody is ever late here: the graph waits.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from horus_core.engine import clock
from horus_core.engine.pace import Pace
from horus_core.engine.past import Return
from horus_core.engine.patterns import Pattern, Patterns
from horus_core.engine.runner import NodeRunner
from horus_core.engine.safe_mode import SafeMode
from horus_core.engine.tracebacks import own_traceback
from horus_core.errors import NodeFailed, RecorderFailed, StartFailed
from horus_core.execution.events import Events
from horus_core.execution.failure_policy import Action, judge
from horus_core.execution.phase import Phase
from horus_core.execution.plan import Plan
from horus_core.graph.node import Node
from horus_core.memory.control import (
    H_EPOCH,
    H_EPOCH_MONOTONIC,
    H_LOCKSTEP,
    H_RELEASED,
    H_SAFE_MODE,
    H_STATE,
    H_STOP_ASKED,
    H_SUPERVISOR,
    N_BACK,
    N_FINISHED,
    N_PID,
    N_RESTARTS,
    N_STATE,
    W_READY,
    W_STOPPED,
    Layout,
    create_control,
)
from horus_core.memory.shared import LocalMemory

_POLL_SECONDS = 0.02
_log = logging.getLogger("horus")


class Inline:
    """Executes a plan in this process, see :class:`Engine`.

    Args:
        plan: what to run.
        nodes: the handles of the nodes, by name.
    """

    def __init__(self, plan: Plan, nodes: dict[str, Node]) -> None:
        self.plan = plan
        self.phase = Phase.NEW
        self.memory, self.layout = LocalMemory(), Layout.of(plan.graph)
        self.stopping = False
        self.failure: NodeFailed | None = None
        self.degradations: list[str] = []
        self.paths: list[str] = []
        self.safe_mode = SafeMode(self._safe_mode_asked)
        self._nodes = nodes
        self._runners: list[NodeRunner] = []
        self._recorder: Any = None
        self._polled = 0.0
        self._muted = False
        self._out: frozenset[int] = frozenset()
        self._returning: dict[int, int] = {}  # nodes that were started again, with the tick from which they take part
        self._restarts: dict[int, list[float]] = {}  # per node, when it was started again

    @property
    def blackbox(self) -> Path | None:
        """None: a graph in this process ends with it, and so would its flight recorder."""
        return None

    def _enter(self, phase: Phase) -> None:
        self.phase = self.phase.to(phase)
        self.control[H_STATE] = phase

    def start(self) -> None:
        """Makes the lanes and calls every ``init``; raises StartFailed."""
        plan, graph, options = self.plan, self.plan.graph, self.plan.options
        self.control = control = create_control(
            self.memory, self.layout, options.first_tick, plan.recording is not None
        )
        self.epoch_ns = options.epoch_ns or time.time_ns()
        control[H_LOCKSTEP], control[H_SUPERVISOR] = 1, os.getpid()
        self._patterns = Patterns(graph, self.layout)
        self.tick = (
            options.first_tick
            if self._patterns.at(options.first_tick).active
            else self._patterns.next(options.first_tick)
        )
        self._events = Events(graph, self.memory, control, self.layout)
        self.emit = self._events.emit
        self._enter(Phase.STARTING)
        for position in range(len(graph.nodes)):
            self._start_node(position)
        if plan.recording is not None:
            from horus_core.recording.writing.recorder import Recorder  # takes a while, so it comes before time begins
        since = round(options.first_tick * 1e9 / graph.tick_rate)
        control[H_EPOCH_MONOTONIC] = time.monotonic_ns() - since
        control[H_EPOCH] = self.epoch_ns = options.epoch_ns or time.time_ns() - since
        if plan.recording is not None:
            plan.recording.keep_script()
            header = plan.recording.header(self.epoch_ns)
            self._recorder = Recorder(self.memory, control, self.layout, graph, plan.recording.targets, header)
            self.paths = [str(path) for path in self._recorder.paths]
        self._enter(Phase.RUNNING)
        self.emit("start", nodes=[node.name for node in graph.nodes])

    def _start_node(self, position: int) -> None:
        from dataclasses import replace

        plan, graph = self.plan, self.plan.graph
        name = graph.nodes[position].name
        runner = NodeRunner(
            graph,
            position,
            self._nodes[name],
            self.memory,
            self.control,
            self.layout,
            replace(plan.options, lockstep=True, epoch_ns=self.epoch_ns),
            self._wait_for_recorder,
            lambda level, tick, message: self._print(name, level, tick, message),
            plan.sources.get(name),
            plan.recorded.get(name),
        )
        runner.started_again = functools.partial(self._started_again, position)
        self._runners.append(runner)
        try:
            runner.start(plan.options.first_tick)
        except Exception as problem:
            trace = own_traceback(problem)
            self.stop()
            raise StartFailed(name, f"{type(problem).__name__}: {problem}", trace) from problem
        self.control[self.layout.node(position) + N_PID] = os.getpid()
        self.control[self.layout.node(position) + N_STATE] = W_READY

    def _print(self, node: str, level: str, tick: int, message: str) -> None:
        if self._muted:
            return
        line = f"{level} (tick {tick}): {message}"
        if level != "debug":
            self.plan.output(node, line)
        if self.plan.recording is not None:
            with self.plan.recording.open_log(node) as log:
                log.write(line + "\n")

    def _wait_for_recorder(self) -> bool:
        if self._recorder is None:  # in init
            return False
        self._recorder.poll()
        return True

    def _hear_recorder(self) -> None:
        """Tells once what the recorder has to say: that it gave up, above all."""
        recorder = self._recorder
        said = recorder.notice if recorder.failure is None else str(RecorderFailed(recorder.failure))
        recorder.notice = None
        if said is not None and said not in self.degradations:
            self.degradations.append(said)
            _log.warning("%s", said)

    def run(self, last_tick: int | None, pace: Pace) -> None:
        """Runs ticks up to `last_tick`; see :meth:`Engine.run`.

        Raises:
            NodeFailed: a node ended the graph.
        """
        start = self.plan.options.start
        if self.tick < start:  # lives through the ticks before, as fast as can be, and shows nothing of it
            self._muted = True
            with contextlib.redirect_stdout(io.StringIO()):
                self._run_ticks(start - 1, Pace())
            self._muted = False
        self._run_ticks(last_tick, pace)
        if self.failure is not None:
            problem = self._runners[self.plan.graph.position(self.failure.args[0])].failure
            raise self.failure from (problem[0] if problem else None)

    def _run_ticks(self, last_tick: int | None, pace: Pace) -> None:
        control = self.control
        origin, first, period_ns = time.monotonic_ns(), self.tick, pace.period_ns
        while (last_tick is None or self.tick <= last_tick) and not self.stopping and not control[H_STOP_ASKED]:
            tick = self.tick
            if pace.paused or pace.period_ns != period_ns:
                while pace.holds() and not self.stopping:
                    time.sleep(_POLL_SECONDS)
                origin, first, period_ns = time.monotonic_ns(), tick, pace.period_ns
            if period_ns:
                behind = time.monotonic_ns() - origin - round((tick - first) * period_ns)
                if behind < 0:
                    time.sleep(-behind * 1e-9)
                elif behind > period_ns:
                    origin += behind
            control[H_RELEASED] = tick
            self._readmit(tick)
            pattern = self._patterns.without(tick, self._out) if self._out else self._patterns.at(tick)
            if self.safe_mode.wanted and not control[H_SAFE_MODE]:
                pattern = self._begin_safe_mode(tick)
            for position in pattern.active:
                runner = self._runners[position]
                if runner.run(tick):
                    runner.commit()
                control[self.layout.node(position) + N_FINISHED] = tick
                if runner.failure is not None:
                    self._apply_policy(position, tick)
            clock.enter(None)
            self.tick = self._patterns.next(tick)
            if self._recorder is not None and time.monotonic() - self._polled > _POLL_SECONDS:
                self._recorder.poll()
                self._polled = time.monotonic()
                self._hear_recorder()

    def _readmit(self, tick: int) -> None:
        for position, back in list(self._returning.items()):
            if back <= tick:
                del self._returning[position]
                self.control[self.layout.node(position) + N_BACK] = back
                self.emit("back", position, back)

    def _apply_policy(self, position: int, tick: int) -> None:
        runner, node = self._runners[position], self.plan.graph.nodes[position]
        what = "raised an exception"
        if node.critical is not None:
            self.safe_mode.enter(f"critical node {node.name!r} {what}")
        while runner.failure is not None:
            trace = runner.failure[1]
            self.emit("error", position, tick, traceback=trace)
            now = tick / self.plan.graph.tick_rate  # the graph's time: a replay may be faster
            verdict = judge(node, what, False, self._restarts.get(position, []), now)
            if verdict.action is Action.LEAVE_OUT:
                _log.warning("node %r %s in tick %d; the graph goes on without it\n%s", node.name, what, tick, trace)
                self.emit("skip", position, tick)
                self._out = self._out | {position}
                return
            if verdict.action is Action.END:
                self.failure = NodeFailed(node.name, tick, verdict.what, trace)
                self.stopping = True
                return
            self._restarts[position] = [*verdict.earlier, now]
            _log.warning("node %r %s in tick %d; starting it again\n%s", node.name, what, tick, trace)
            self._restart(position, tick)
            if runner.failure is not None:
                problem = runner.failure[0]
                what = f"did not start again ({type(problem).__name__}: {problem})"

    def _restart(self, position: int, tick: int) -> None:
        """Calls the ``init`` of a node that has failed, at once; if that raises, it has failed again."""
        runner = self._runners[position]
        self.control[self.layout.node(position) + N_RESTARTS] += 1
        self.emit("restart", position, tick)
        runner.failure = None
        past = self.plan.options.pasts.get(self.plan.graph.nodes[position].name)
        came = (None if past is None else past.return_after(tick)) or Return(tick + 1, self._patterns.next(tick))
        try:
            runner.start_again(*came)
        except Exception as problem:
            runner.failure = (problem, own_traceback(problem))
            return
        self._returning[position] = came.back

    def _started_again(self, position: int, came: Return) -> None:
        """A node was started again because it was when it was recorded."""
        self.control[self.layout.node(position) + N_RESTARTS] += 1
        self.emit("restart", position, came.started - 1)
        self._returning[position] = came.back

    def _safe_mode_asked(self, reason: str) -> None:
        self.emit("safe mode", reason=reason)
        _log.warning("entering safe mode: %s", reason)

    def _begin_safe_mode(self, tick: int) -> Pattern:
        """The pattern of the tick with which safe mode begins: every ``safe_state`` runs in it."""
        self.control[H_SAFE_MODE] = tick + 1
        self.emit("safe mode began", tick=tick)
        for runner in self._runners:
            runner.safe = True
        return self._patterns.of_safe_mode(tick, self._out)

    def _last_call(self, position: int, role: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as problem:
            name = self.plan.graph.nodes[position].name
            _log.warning("node %r: its %s callback raised\n%s", name, role, own_traceback(problem))
            self.emit("error", position, callback=role, traceback=own_traceback(problem))

    def stop(self) -> None:
        """Calls every ``safe_state`` if a failure ended the graph, then every ``shutdown``, and closes the recording."""
        if self.phase in (Phase.NEW, Phase.STOPPING, Phase.ENDED):
            return
        self._enter(Phase.STOPPING)
        for position, runner in enumerate(self._runners if self.failure is not None else ()):
            self._last_call(position, "safe_state", runner.be_safe)
        for position, runner in enumerate(self._runners):
            self._last_call(position, "shutdown", functools.partial(runner.end, int(self.control[H_RELEASED])))
            with contextlib.suppress(Exception):
                runner.close()
            self.control[self.layout.node(position) + N_STATE] = W_STOPPED
        clock.enter(None)
        if self._recorder is not None:
            self.emit("end", tick=int(self.control[H_RELEASED]), reason="failure" if self.failure else "stop")
            self._recorder.close()
            self._hear_recorder()
            self._recorder = None
        self._enter(Phase.ENDED)
