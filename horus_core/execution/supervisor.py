"""Starts a graph's processes, looks after them, and ends them in order.

The supervisor is the process that runs the graph: it owns the graph's names in /dev/shm, prints what nodes print, applies
failure policies, and writes every event into the events lane. All that happens between two ticks, in the coordinator's
thread; there is no other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from horus_core.engine.coordinator import LEAD_NS, Coordinator, Pace
from horus_core.engine.placement import Placement
from horus_core.engine.runner import RunOptions
from horus_core.engine.worker import Boot
from horus_core.errors import NodeFailed, StartFailed
from horus_core.execution.eventlog import EventLog
from horus_core.execution.logs import GraphLogs
from horus_core.execution.needs import mind_needs
from horus_core.graph.restart import ordinal
from horus_core.graph.spec import Graph
from horus_core.inspection.running_graphs import RunningGraph, RunningLane, RunningNode, announce, withdraw
from horus_core.memory import commands
from horus_core.memory import shared as shm
from horus_core.memory.control import (
    ENDED,
    H_ANSWERED,
    H_ASKED,
    H_EPOCH,
    H_LOCKSTEP,
    H_RECORDER_LOOKED,
    H_RELEASED,
    H_SAFE_MODE,
    H_STATE,
    H_STOP,
    H_SUPERVISOR,
    N_BUDGET,
    N_CORE,
    N_CURRENT,
    N_EXCUSED,
    N_FINISHED,
    N_MISSES,
    N_PID,
    N_RESTARTS,
    N_STARTED,
    N_STATE,
    N_STOP,
    NEVER,
    RUNNING,
    STOPPING,
    W_DEAD,
    W_READY,
    W_STARTING,
    W_STOPPED,
    Layout,
    create_control,
)
from horus_core.memory.lane import LaneWriter
from horus_core.memory.shared import SharedMemory
from horus_core.messages.encoding import RAW
from horus_core.processes.child import Child, exit_reason, process_state, read_available
from horus_core.processes.process import pin, precise_timers
from horus_core.processes.shipping import dump, dump_callbacks, large_parts
from horus_core.recording.keeping.blackbox import make_blackbox, remove_blackbox, save_blackbox, save_leftovers
from horus_core.recording.writing.child import RecorderChild
from horus_core.recording.writing.options import Recording
from horus_core.recording.writing.request import RecorderBoot, RecordingRequest

START_SECONDS = 60.0  # for all inits together
STOP_SECONDS = 3.0  # for shutdown callbacks, then SIGTERM
TERM_SECONDS = 1.0  # then SIGKILL
BLACKBOX_SECONDS = 10.0  # between two saves of the flight recorder
SLIP_SECONDS = 1.0  # between two events of slips
_WATCHDOG_EVERY = 0.02
_STANDSTILL_SECONDS = 0.5  # without a look at the nodes: the supervisor was stopped, and perhaps they were, too

_log = logging.getLogger("horus")

Output = Callable[[str, str], None]  # node, line


def print_line(node: str, line: str) -> None:
    """Prints a node's line with its name before it."""
    print(f"[{node}] {line}", flush=True)


@dataclass(frozen=True)
class Plan:
    """Everything about a run that is settled before it starts.

    Attributes:
        callbacks: per node name, its callbacks by role.
        sources: per replayed node, its source; shipped with cloudpickle.
        watchdog: seconds for nodes that do not give their own, 0 for none.
        max_misses: missed deadlines of one node after which safe mode begins, None for never.
        blackbox_mb: size of the flight recorder, 0 for none.
    """

    name: str
    graph: Graph
    callbacks: Mapping[str, dict[str, Any]]
    sources: Mapping[str, Any]
    options: RunOptions
    placement: Placement
    recording: RecordingRequest | None = None
    rt: bool = False
    watchdog: float = 0.0
    max_misses: int | None = None
    blackbox_mb: float = 0
    script: str = ""
    output: Output = print_line


@dataclass
class _Worker:
    """A node's process, over its restarts."""

    child: Child | None = None
    partial: bytes = b""
    failure: tuple[int, str] | None = None  # tick and traceback that it reported before it ended
    refusal: tuple[str, str] | None = None  # what kept it from starting, and the traceback
    ready: bool = False
    restarts: list[float] = field(default_factory=list)
    restart_at: float | None = None
    start_by: float = 0.0  # when its init must have returned
    turn: tuple[int, int] = (-1, 0)  # a tick that it has not begun though it could, and since when that is known
    order: int | None = None  # what somebody outside wants of it, see `orders`
    kill_at: float | None = None
    explained: bool = False  # an event says already why it ends with an exit code
    stuck: bool = False  # its watchdog has killed it
    log: Any = None


class StartStopped(Exception):
    """The graph was to end before all its nodes were ready."""


class Supervisor:
    """One graph's processes.

    Args:
        plan: what to run.

    Attributes:
        stopping: whether the graph is to end.
        failure: what ended it, if a node did.
        degradations: what was asked for and not granted.
        paths: files of the recording.
        blackbox: the flight recorder's folder in shared memory.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stopping = False
        self.failure: NodeFailed | None = None
        self.degradations: list[str] = []
        self.paths: list[str] = []
        self.warned: set[tuple[str, ...]] = set()
        self._workers = [_Worker() for _ in plan.graph.nodes]
        self._recorder: RecorderChild | None = None
        self.blackbox: Path | None = None
        self._blackbox_saved = -BLACKBOX_SECONDS
        self._announcement: Path | None = None
        self._logs = Path()
        self._watchdog_checked = 0.0
        self._event_log = EventLog()
        self._slips, self._slipped_ns, self._slips_told = 0, 0, 0.0  # since the last event of them
        self._awake_since = 0  # monotonic ns; before it the supervisor itself stood still
        self._affinity = os.sched_getaffinity(0)

    # Start.

    def start(self) -> None:
        """Starts every process; returns when all nodes are ready for the first tick.

        Raises:
            StartFailed: an ``init`` raised, or a process ended; whatever had started is stopped.
            StartStopped: see its words.
            UnshippableCallable: see its words.
            SharedMemoryFull: see its words.
        """
        plan, graph = self.plan, self.plan.graph
        self._shipped = self._ship()
        shm.sweep()
        for saved in save_leftovers():
            self._tell(f"the flight recorder of a graph that was killed is saved as session {saved.name!r}")
        self.memory = SharedMemory.new()
        self.layout = Layout.of(graph)
        mind_needs(graph, self.layout, plan.options.lockstep, plan.recording is not None)
        try:
            self.control = create_control(self.memory, self.layout, plan.options.first_tick, plan.recording is not None)
            self._make()
            self._start_recorder()
            for position in range(len(graph.nodes)):
                self._spawn(position, plan.options.first_tick)
            self._wait_until_ready()
            if not self.epoch_ns:
                self._set_epoch()
        except BaseException:
            self.stopping = True
            self.stop()
            raise
        # What can be pinned is this thread; the script's others stay where they are.
        with contextlib.suppress(OSError):
            pin([plan.placement.coordinator])
        precise_timers()
        self.control[H_STATE] = RUNNING
        self.emit("start", nodes=[node.name for node in graph.nodes])
        self._announce()  # last: who finds the graph finds it started

    def _ship(self) -> tuple[bytes, list[bytes], list[bytes | None]]:
        graph, plan = self.plan.graph, self.plan
        callbacks, sources = [], []
        for node in graph.nodes:
            source = plan.sources.get(node.name)
            callbacks.append(dump_callbacks(node.name, dict(plan.callbacks[node.name]) if source is None else {}))
            sources.append(None if source is None else dump(source))
            if source is None and len(callbacks[-1]) > 1 << 20:
                for path, size in large_parts(plan.callbacks[node.name]):
                    _log.warning(
                        "node %r carries %d bytes to its process in %s; load them in init instead",
                        node.name,
                        size,
                        path,
                    )
        return dump(graph), callbacks, sources

    def _make(self) -> None:
        plan, control = self.plan, self.control
        control[H_SUPERVISOR], control[H_LOCKSTEP] = os.getpid(), int(plan.options.lockstep)
        for position in range(len(plan.graph.nodes)):
            self.memory.semaphore(f"go{position}", create=True)
            if not plan.options.lockstep:
                self.memory.semaphore(f"ticket{position}", create=True)
        self._done = self.memory.semaphore("done", create=True)
        self._events = LaneWriter(self.memory, control, self.layout, self.layout.events, 256)
        self.coordinator = Coordinator(
            plan.graph, self.memory, control, self.layout, self, plan.options.lockstep, plan.options.first_tick
        )

    def _start_recorder(self) -> None:
        request = self.plan.recording
        if request is None:
            return
        if self.plan.blackbox_mb and self.blackbox is None:
            self.blackbox = make_blackbox(self.memory.graph, self.plan.name)
            request.targets.append((self.blackbox, Recording(keep_mb=self.plan.blackbox_mb, reserve_mb=0)))
        self._recorder = RecorderChild(request.name, self._boot_recorder, self._tell, self.emit)

    def _boot_recorder(self) -> RecorderBoot:
        """For each start of it; the next one may have long files to read before it looks into the lanes."""
        self.control[H_RECORDER_LOOKED] = 0
        request, placement = self.plan.recording, self.plan.placement
        assert request is not None
        return request.boot(
            list(sys.path), self.memory.graph, self._shipped[0], list(placement.recorder), self.epoch_ns
        )

    @property
    def epoch_ns(self) -> int:
        """When tick 0 was released, ns since 1970; 0 before that is settled."""
        return int(self.control[H_EPOCH])

    def _spawn(self, position: int, tick: int, restarted: bool = False) -> None:
        plan, worker, row = self.plan, self._workers[position], self.layout.node(position)
        node = plan.graph.nodes[position]
        graph, callbacks, sources = self._shipped
        boot = Boot(
            path=list(sys.path),
            argv=list(sys.argv),
            graph_id=self.memory.graph,
            graph=graph,
            position=position,
            callbacks=callbacks[position],
            options=replace(plan.options, epoch_ns=plan.options.epoch_ns or self.epoch_ns or time.time_ns()),
            tick=tick,
            restarted=restarted,
            core=plan.placement.nodes[position],
            priority=node.priority if plan.rt else None,
            lock_memory=plan.rt,
            spin_ns=self._spin_ns(position),
            source=sources[position],
        )
        worker.ready, worker.failure, worker.refusal, worker.partial, worker.restart_at = False, None, None, b"", None
        self.control[row + N_STATE], self.control[row + N_STOP] = W_STARTING, 0
        self.control[row + N_BUDGET] = round((node.budget or 0) * 1e9)
        worker.start_by, worker.explained, worker.stuck = time.monotonic() + START_SECONDS, False, False
        worker.child = Child(f"horus:{node.name}", "horus_core.engine.worker", pickle.dumps(boot))
        self.control[row + N_PID] = worker.child.pid
        self.control[row + N_CORE] = NEVER if boot.core is None else boot.core
        if worker.log is None and plan.recording is not None and plan.recording.targets[0][0] != self.blackbox:
            worker.log, self._logs = plan.recording.open_log(node.name), plan.recording.folder / "logs"
        elif worker.log is None:
            logs = GraphLogs(self.memory.graph)
            worker.log, self._logs = logs.open(node.name), logs.folder

    def _spin_ns(self, position: int) -> int:
        node, placement = self.plan.graph.nodes[position], self.plan.placement
        if not node.spin or placement.reserved[position]:
            return round(node.spin * 1e9)
        line = (
            f"{node.name}: it does not spin, for core {placement.nodes[position]} is not its own; give it another core="
        )
        if line not in self.degradations:
            self.degradations.append(line)
        return 0

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not all(worker.ready for worker in self._workers) or (self._recorder and not self._recorder.paths):
            self.housekeep(0.02)
            loaded = self._recorder is None or self._recorder.loaded
            if loaded and not self.epoch_ns and all(worker.ready for worker in self._workers):
                self._set_epoch()
            for position, worker in enumerate(self._workers):
                if worker.refusal is not None:
                    raise StartFailed(self.plan.graph.nodes[position].name, *worker.refusal)
            if self.stopping:
                raise StartStopped
            if time.monotonic() > deadline:
                late = next((each for each, worker in enumerate(self._workers) if not worker.ready), 0)
                raise StartFailed(
                    self.plan.graph.nodes[late].name,
                    f"its init has not returned after {START_SECONDS:g} s; make it shorter",
                    "",
                )

    def _set_epoch(self) -> None:
        """Fixes the graph's time as late as can be: nodes and recorder wait only for it."""
        options = self.plan.options
        self.coordinator.set_epoch(options.first_tick, options.epoch_ns or None, LEAD_NS if self._recorder else 0)

    def _announce(self) -> None:
        plan, graph = self.plan, self.plan.graph
        request = plan.recording
        self._announcement = announce(
            RunningGraph(
                id=self.memory.graph,
                name=plan.name,
                pid=os.getpid(),
                started_ns=time.time_ns(),
                tick_rate=graph.tick_rate,
                script=plan.script,
                session=request.name if request else "",
                logs=str(self._logs),
                nodes=[
                    RunningNode(
                        node.name, node.rate, node.order, plan.placement.nodes[each], node.compute, node.failure_policy,
                        node.replayed,
                    )
                    for each, node in enumerate(graph.nodes)
                ],
                lanes=[
                    RunningLane(
                        lane.topic, lane.node, lane.capacity, getattr(lane.kind, "__qualname__", ""), list(lane.readers)
                    )
                    for lane in graph.lanes
                ],
            )
        )  # fmt: skip

    # While it runs.

    def run(self, last_tick: int | None, pace: Pace) -> None:
        """Releases ticks up to `last_tick`, see :meth:`Coordinator.run`.

        Raises:
            NodeFailed: a node ended the graph.
        """
        self.coordinator.run(last_tick, pace)
        self.housekeep(0)
        if self.failure is not None:
            raise self.failure

    def housekeep(self, seconds: float) -> None:
        """Passes on output, takes reports, notices ends; for up to `seconds`, less if anything happened."""
        poller = select.poll()
        for worker in self._workers:
            for descriptor in worker.child.descriptors() if worker.child is not None else ():
                poller.register(descriptor, select.POLLIN)
        for descriptor in self._recorder.descriptors() if self._recorder is not None else ():
            poller.register(descriptor, select.POLLIN)
        now = time.monotonic()
        restarts = [worker.restart_at - now for worker in self._workers if worker.restart_at is not None]
        found = dict(poller.poll(max(0.0, min([seconds, *restarts])) * 1000))
        ready = set(found)
        for position, worker in enumerate(self._workers):
            if worker.child is not None and not ready.isdisjoint(worker.child.descriptors()):
                # A pipe that is closed at the other end says so in every poll, also when the process goes on.
                over = {each for each in worker.child.descriptors() if found.get(each) == select.POLLHUP}
                worker.child.hung_up |= over - {worker.child.pidfd}
                self._look_at(position, worker, worker.child.pidfd in ready)
        if self._recorder is not None:
            self.degradations.extend(self._recorder.look(ready))
        now = time.monotonic()
        for position, worker in enumerate(self._workers):
            if worker.restart_at is not None and worker.restart_at <= now and not self.stopping:
                self._restart(position)
        if self.control[H_ASKED] != self.control[H_ANSWERED]:
            self._take_order(self.control[H_ASKED])
        if now - self._watchdog_checked > _WATCHDOG_EVERY:
            if now - self._watchdog_checked > _STANDSTILL_SECONDS:
                self._awake_since = time.monotonic_ns()
            self._watchdog_checked = now
            self._check_watchdogs()

    def _take_order(self, asked: int) -> None:
        """Somebody outside wants a node to stop, or to be killed and started again."""
        position, order = commands.decode(asked)
        worker, row = self._workers[position], self.layout.node(position)
        self.emit("order", position, order=commands.WORDS[order])
        worker.order, worker.restart_at = order, None
        self.coordinator.take_out(position)
        if worker.child is None:
            self._ended_as_ordered(position, worker)
        elif order == commands.STOP:
            self.control[row + N_STOP], worker.kill_at = 1, time.monotonic() + STOP_SECONDS
            self.memory.semaphore(f"go{position}").release()
        else:
            worker.child.signal(signal.SIGKILL)
        self.control[H_ANSWERED] = asked

    def _ended_as_ordered(self, position: int, worker: _Worker) -> None:
        name = self.plan.graph.nodes[position].name
        self.control[self.layout.node(position) + N_STATE] = W_STOPPED
        if worker.order == commands.RESTART:
            self._tell(f"node {name!r} is started again, as somebody asked")
            worker.restarts, worker.restart_at = worker.restarts or [0.0], time.monotonic()
        else:
            self._tell(f"node {name!r} is stopped, as somebody asked; the graph goes on without it")
            self.emit("skip", position)
        worker.order = worker.kill_at = None

    def _look_at(self, position: int, worker: _Worker, ended: bool) -> None:
        assert worker.child is not None
        self._pass_on(position, worker)
        for report in worker.child.read_reports():
            self._take_report(position, worker, report)
        if ended and worker.child is not None:
            worker.child.end_family()
            code = worker.child.wait(1.0)
            self._pass_on(position, worker, rest=True)
            worker.child.close()
            worker.child = None
            self._ended(position, worker, code)

    def _pass_on(self, position: int, worker: _Worker, rest: bool = False) -> None:
        assert worker.child is not None
        assert worker.child.output is not None
        data = worker.partial + read_available(worker.child.output)
        *lines, worker.partial = data.split(b"\n")
        if rest and worker.partial:
            lines, worker.partial = [*lines, worker.partial], b""
        for line in lines:
            self._print(position, worker, line.decode(errors="replace"))

    def _print(self, position: int, worker: _Worker, line: str) -> None:
        with contextlib.suppress(OSError):  # a terminal or a reader that is gone must not end the robot
            self.plan.output(self.plan.graph.nodes[position].name, line)
        if worker.log is not None:
            with contextlib.suppress(OSError):
                worker.log.write(line + "\n")

    def _take_report(self, position: int, worker: _Worker, report: tuple[Any, ...]) -> None:
        kind, *facts = report
        name = self.plan.graph.nodes[position].name
        if kind == "ready":
            worker.ready = True
            if worker.restarts:
                self.coordinator.bring_back(position)
            self.emit("ready", position, pid=worker.child.pid if worker.child else 0)
        elif kind == "log":
            level, tick, message = facts
            if level != "debug":
                self._print(position, worker, f"{level} (tick {tick}): {message}")
            elif worker.log is not None:
                worker.log.write(f"{level} (tick {tick}): {message}\n")
        elif kind == "not started":
            trace, what, text = facts
            worker.refusal = (f"{what}: {text}" if text else what, trace)
        elif kind == "failed":
            worker.failure, worker.explained = (facts[0], facts[1]), True
            self.emit("error", position, facts[0], traceback=facts[1])
        elif kind == "shutdown failed":
            self._print(position, worker, f"error: its shutdown callback raised\n{facts[0]}")
            self.emit("error", position, callback="shutdown", traceback=facts[0])
            worker.explained = True
        elif kind == "degraded":
            self.degradations.append(f"{name}: {facts[0]}")

    def _ended(self, position: int, worker: _Worker, code: int | None) -> None:
        """A worker's process has ended: applies the failure policy, unless that was wanted."""
        node = self.plan.graph.nodes[position]
        row = self.layout.node(position)
        if not worker.ready and worker.refusal is None:
            worker.refusal = (f"its process {exit_reason(code)} before it was ready", "")
        if self.stopping or self.control[H_STOP]:
            self.control[row + N_STATE] = W_DEAD
            if worker.ready and code and not worker.explained:
                self.emit("crash", position, reason=exit_reason(code))
                self._tell(f"node {node.name!r} {exit_reason(code)} while it was being stopped")
            return
        if worker.order is not None:
            worker.refusal = None
        tick = worker.failure[0] if worker.failure else int(self.control[row + N_CURRENT])
        tick = tick if tick >= 0 else int(self.control[H_RELEASED])
        what = "raised an exception" if worker.failure else exit_reason(code)
        trace = worker.failure[1] if worker.failure else ""
        if worker.refusal is not None and worker.restarts:
            what, trace = f"did not start again ({worker.refusal[0]})", worker.refusal[1]
        elif worker.refusal is not None:
            return  # _wait_until_ready says so
        self.control[row + N_STATE] = W_DEAD
        self.control[row + N_CURRENT] = NEVER
        self.coordinator.take_out(position)
        if worker.order is not None:
            self._ended_as_ordered(position, worker)
            return
        if not worker.failure:
            self.emit("crash", position, tick, reason=what)
        self._apply_policy(position, node.failure_policy, tick, what, trace)

    def _apply_policy(self, position: int, policy: str, tick: int, what: str, trace: str) -> None:
        node, worker = self.plan.graph.nodes[position], self._workers[position]
        if node.critical is not None:
            self.enter_safe_mode(f"critical node {node.name!r} {what}")
        now, rule = time.monotonic(), node.restart
        if policy == "restart" or (policy == "ignore" and not trace):
            recent = [each for each in worker.restarts if now - each < rule.window]
            if len(recent) < rule.times:
                delay = rule.delay(len(recent))
                worker.restarts = [*recent, now]
                worker.restart_at = now + delay
                self._keep_blackbox(f"node {node.name!r} {what}")
                self._tell(f"node {node.name!r} {what} in tick {tick}; restarting it in {delay:g} s", trace)
                return
            what = f"{what}, for the {ordinal(len(recent) + 1)} time in {rule.window:g} s,"
        elif policy in ("skip", "ignore") and node.critical is None:
            self._tell(f"node {node.name!r} {what} in tick {tick}; the graph goes on without it", trace)
            self.emit("skip", position, tick)
            self._keep_blackbox(f"node {node.name!r} {what}")
            return
        self._fail(NodeFailed(node.name, tick, what, trace))

    def _fail(self, failure: NodeFailed) -> None:
        """Ends the graph; every node's ``safe_state`` runs before its ``shutdown``."""
        self.failure = failure
        self.stopping = True

    def enter_safe_mode(self, reason: str) -> None:
        """Every node's ``safe_state`` runs in the next tick, and those nodes do not tick after it."""
        if not self.coordinator.safe_mode:
            self.coordinator.safe_mode = True
            self.emit("safe mode", reason=reason)
            self._tell(f"entering safe mode: {reason}")
            self._keep_blackbox(reason)

    def safe_mode_began(self, tick: int) -> None:
        self.emit("safe mode began", tick=tick)

    def came_back(self, position: int, tick: int) -> None:
        self.emit("back", position, tick)

    def _keep_blackbox(self, reason: str) -> None:
        """Saves the flight recorder beside the running graph, at most once in BLACKBOX_SECONDS."""
        now = time.monotonic()
        if self.blackbox is None or self.stopping or now - self._blackbox_saved < BLACKBOX_SECONDS:
            return
        self._blackbox_saved = now
        self.emit("flight recorder saved", reason=reason)
        threading.Thread(target=save_blackbox, args=(self.blackbox,), name="horus-blackbox", daemon=True).start()

    def _restart(self, position: int) -> None:
        self.control[self.layout.node(position) + N_RESTARTS] += 1
        self.emit("restart", position)
        self._spawn(position, int(self.control[H_RELEASED]) + 1, restarted=True)

    def settle(self) -> None:
        while not self.stopping and any(
            worker.restart_at is not None or (worker.child is not None and not worker.ready) for worker in self._workers
        ):
            self.housekeep(0.05)

    def slipped(self, tick: int, behind_ns: int) -> None:
        self._slips += 1
        self._slipped_ns += behind_ns
        if time.monotonic() - self._slips_told >= SLIP_SECONDS:
            self._tell_slips(tick)

    def _tell_slips(self, tick: int) -> None:
        """An event for what has slipped since the last one: on a busy machine that may be every tick."""
        if self._slips:
            self.emit("slip", tick=tick, releases=self._slips, late=round(self._slipped_ns * 1e-9, 6))
            self._slips, self._slipped_ns, self._slips_told = 0, 0, time.monotonic()

    def missed(self, position: int, tick: int) -> None:
        node, graph = self.plan.graph.nodes[position], self.plan.graph
        self.emit("miss", position, tick, deadline=graph.deadlines[position])
        faster = [graph.nodes[each].name for each in graph.feeds[position] if graph.nodes[each].rate > node.rate]
        if (node.name, "miss") not in self.warned and node.on_miss == "warn":
            self.warned.add((node.name, "miss"))
            advice = f"; {faster[0]!r} runs faster and waits for it" if faster else ""
            self._tell(
                f"node {node.name!r} missed its deadline of {graph.deadlines[position] * 1e3:g} ms in tick {tick}{advice}; "
                f"compute=True or a longer deadline= helps (later misses are counted, not printed)"
            )
        misses = int(self.control[self.layout.node(position) + N_MISSES])
        if node.on_miss == "stop":
            what = f"missed its deadline of {graph.deadlines[position] * 1e3:g} ms"
            self._fail(NodeFailed(node.name, tick, what, ""))
        elif node.on_miss == "safe_mode":
            self.enter_safe_mode(f"node {node.name!r} missed its deadline in tick {tick}")
        elif self.plan.max_misses is not None and misses > self.plan.max_misses:
            self.enter_safe_mode(f"node {node.name!r} missed more than {self.plan.max_misses} deadlines")

    def _check_watchdogs(self) -> None:
        now = time.monotonic_ns()
        looked = int(self.control[H_RECORDER_LOOKED])
        if self._recorder is not None and looked and self._recorder.end_if_stuck(now - max(looked, self._awake_since)):
            self.control[H_RECORDER_LOOKED] = 0  # said once
        for position, worker in enumerate(self._workers):
            node, row = self.plan.graph.nodes[position], self.layout.node(position)
            if worker.kill_at is not None and worker.child is not None and time.monotonic() > worker.kill_at:
                worker.child.signal(signal.SIGKILL)
            if worker.child is not None and worker.restarts and not worker.ready and time.monotonic() > worker.start_by:
                worker.refusal = (f"its init has not returned after {START_SECONDS:g} s", "")
                worker.child.signal(signal.SIGKILL)
            limit = node.critical or node.watchdog or self.plan.watchdog
            if not limit or worker.child is None or worker.stuck or self.control[row + N_STATE] != W_READY:
                continue
            current, since = self._busy_since(position, now)
            if now - max(since, self._awake_since) > limit * 1e9:
                tick = int(self.control[H_RELEASED] if current == NEVER else current)
                state, worker.stuck = process_state(worker.child.pid), True
                self.emit("watchdog", position, tick, limit=limit, process=state)
                self._tell(
                    f"node {node.name!r} is stuck in tick {tick} for more than {limit:g} s (it {state}); killing it"
                )
                if node.critical is not None:
                    self.enter_safe_mode(f"critical node {node.name!r} is stuck for more than {limit:g} s")
                worker.child.signal(signal.SIGKILL)

    def _busy_since(self, position: int, now: int) -> tuple[int, int]:
        """The tick that a node is in, `NEVER` if in none; and since when it is in it, or could be: `now` if it could not."""
        control, row, worker = self.control, self.layout.node(position), self._workers[position]
        current = int(control[row + N_CURRENT])
        if current != NEVER:
            return current, int(control[row + N_STARTED])
        if not self.plan.options.lockstep:
            late = self.coordinator.late_since(position)
            return current, now if late is None else late
        tick = self._turn_of(position)
        if tick is None:
            worker.turn = (-1, now)
        elif worker.turn[0] != tick:
            worker.turn = (tick, now)
        return current, worker.turn[1] if tick is not None else now

    def _turn_of(self, position: int) -> int | None:
        """In lockstep, the tick that a node is to run and has not finished, if it waits for nobody any more."""
        control, graph, released = self.control, self.plan.graph, int(self.control[H_RELEASED])

        def over(node: int, tick: int) -> bool:
            row = self.layout.node(node)
            return bool(control[row + N_FINISHED] >= tick or control[row + N_EXCUSED] >= tick)

        tick = graph.schedules[position].last(released)
        if over(position, tick) or not all(
            over(other, graph.schedules[other].last(tick)) for other in graph.waits[position]
        ):
            return None
        return tick

    def _tell(self, message: str, trace: str = "") -> None:
        _log.warning("%s%s", message, f"\n{trace}" if trace else "")

    def emit(self, event: str, position: int | None = None, tick: int | None = None, **detail: Any) -> None:
        """Writes an event into the recording, and into the log."""
        released = int(self.control[H_RELEASED]) if tick is None else tick
        name = "" if position is None else self.plan.graph.nodes[position].name
        self._event_log(event, name, max(released, 0), detail)
        row = (time.time_ns(), max(released, 0), name, event, detail)
        self._events.put(RAW, msgspec.msgpack.encode(row), max(released, 0), max(released, 0))
        self._events.commit()

    # Stop.

    def stop(self) -> None:
        """Ends every process, in order, each with its time limit, and removes the graph's names."""
        if not hasattr(self, "control"):
            self._clean_up()
            return
        control = self.control
        try:
            control[H_STATE] = STOPPING
            if self.failure is not None and not control[H_SAFE_MODE]:
                control[H_SAFE_MODE] = int(control[H_RELEASED]) + 2  # its nodes enter it on their way out
                if not self.coordinator.safe_mode:
                    self.emit("safe mode", reason=str(self.failure).splitlines()[0])
            control[H_STOP] = 1
            for position in range(len(self._workers)):
                with contextlib.suppress(Exception):
                    self.memory.semaphore(f"go{position}").release()
            self._wait_for_ends()
            if hasattr(self, "_events"):
                self._tell_slips(int(control[H_RELEASED]))
                self.emit("end", tick=int(control[H_RELEASED]), reason="failure" if self.failure else "stop")
            control[H_STATE] = ENDED
            if self._recorder is not None:
                self._recorder.finish(self.housekeep)
            if self.plan.recording is not None and self.plan.recording.folder != self.blackbox:
                self.paths = self.plan.recording.files()
            if self.failure is not None and self.blackbox is not None:
                saved = save_blackbox(self.blackbox)
                if saved is not None:
                    self._tell(f"the flight recorder is saved as session {saved.name!r}")
        finally:
            self._clean_up()

    def _wait_for_ends(self) -> None:
        for number, seconds in ((None, STOP_SECONDS), (signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, TERM_SECONDS)):
            for position, worker in enumerate(self._workers):
                if number is not None and worker.child is not None:
                    name = self.plan.graph.nodes[position].name
                    self._tell(f"node {name!r} has not ended yet; sending {number.name}")
                    self.emit("signal", position, signal=number.name, reason="it has not ended by itself")
                    worker.explained = True
                    worker.child.signal(number)
            deadline = time.monotonic() + seconds
            while any(worker.child is not None for worker in self._workers) and time.monotonic() < deadline:
                for position in range(len(self._workers)):
                    with contextlib.suppress(Exception):
                        self.memory.semaphore(f"go{position}").release()
                self.housekeep(0.05)

    def _clean_up(self) -> None:
        for worker in self._workers:
            if worker.child is not None:
                worker.child.signal(signal.SIGKILL)
                worker.child.wait(1.0)
                worker.child.close()
                worker.child = None
            if worker.log is not None:
                worker.log.close()
                worker.log = None
        if self._recorder is not None:
            self._recorder.kill()
        if self.blackbox is not None:
            remove_blackbox(self.blackbox)
        if self._announcement is not None:
            withdraw(self._announcement)
        if hasattr(self, "memory"):
            self.memory.remove_all()
            self.memory.let_go()
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self._affinity)
