"""Runs a graph in processes: starts them, looks after them between two ticks, and ends them in order.

The supervisor is the process that runs the graph: it owns the graph's names in /dev/shm. It holds the parts together, each of
which has one matter: the processes (`workers`), what their failures lead to (`failures`), who is stuck (`watchdogs`), what
somebody outside wants (`interventions`), the flight recorder, the recorder's process, the events. All of that happens between
two ticks, in the coordinator's thread; there is no other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

from horus_core.engine.coordinator import LEAD_NS, Coordinator
from horus_core.engine.pace import Pace
from horus_core.engine.safe_mode import SafeMode
from horus_core.engine.semaphores import Semaphores
from horus_core.errors import NodeFailed, StartFailed
from horus_core.execution.announcement import announcement
from horus_core.execution.ending import end_processes
from horus_core.execution.engine import StartStopped
from horus_core.execution.events import Events
from horus_core.execution.failures import Failures
from horus_core.execution.flight_recorder import FlightRecorder
from horus_core.execution.happenings import Happenings
from horus_core.execution.interventions import Interventions
from horus_core.execution.misses import Misses
from horus_core.execution.needs import mind_needs
from horus_core.execution.phase import Phase
from horus_core.execution.plan import Plan
from horus_core.execution.shipment import ship
from horus_core.execution.watchdogs import Stuck, Watchdogs
from horus_core.execution.worker_record import Leaving, Life, Why, WorkerRecord
from horus_core.execution.workers import Report, Workers
from horus_core.inspection.running_graphs import announce, withdraw
from horus_core.memory import shared as shm
from horus_core.memory.control import (
    H_EPOCH,
    H_LOCKSTEP,
    H_RECORDER_LOOKED,
    H_RELEASED,
    H_SAFE_MODE,
    H_STATE,
    H_STOP,
    H_SUPERVISOR,
    N_RESTARTS,
    Layout,
    create_control,
)
from horus_core.memory.shared import SharedMemory
from horus_core.processes.child import process_state
from horus_core.processes.process import pin, precise_timers
from horus_core.recording.keeping.blackbox import save_leftovers
from horus_core.recording.writing.child import RecorderChild
from horus_core.recording.writing.options import Recording
from horus_core.recording.writing.request import RecorderBoot

START_SECONDS = 60.0  # for all inits together
STOP_SECONDS = 3.0  # for shutdown callbacks, then SIGTERM
TERM_SECONDS = 1.0  # then SIGKILL

_log = logging.getLogger("horus")


class Supervisor:
    """Executes a plan in processes, see :class:`Engine`.

    Args:
        plan: what to run.

    Attributes:
        failure: what ended it, if a node did.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.phase = Phase.NEW  # until all parts are made
        self.memory, self.layout = SharedMemory.new(), Layout.of(plan.graph)
        self.stopping = False
        self.failure: NodeFailed | None = None
        self.degradations: list[str] = []
        self.paths: list[str] = []
        self.safe_mode = SafeMode(self._safe_mode_asked)
        self._recorder: RecorderChild | None = None
        self._flight_recorder: FlightRecorder | None = None
        self._refused: StartFailed | None = None  # what keeps the graph from starting
        self._announcement: Path | None = None
        self._affinity = os.sched_getaffinity(0)

    @property
    def blackbox(self) -> Path | None:
        """The flight recorder's folder in shared memory."""
        return None if self._flight_recorder is None else self._flight_recorder.folder

    def _enter(self, phase: Phase) -> None:
        self.phase = self.phase.to(phase)
        self.control[H_STATE] = phase

    # Start.

    def start(self) -> None:
        """Starts every process, see :meth:`Engine.start`."""
        plan = self.plan
        shipment = ship(plan)
        shm.sweep()
        for saved in save_leftovers():
            _log.warning("the flight recorder of a graph that was killed is saved as session %r", saved.name)
        mind_needs(plan.graph, self.layout, plan.options.lockstep, plan.recording is not None)
        first = plan.options.first_tick
        try:
            self.control = create_control(self.memory, self.layout, first, plan.recording is not None)
            self._make_parts(Workers(plan, shipment, self.memory, self.control, self.layout, self.degradations))
            self._enter(Phase.STARTING)
            self._start_recorder(shipment.graph)
            for record in self._workers.records:
                self._workers.start(record, first, self.epoch_ns, START_SECONDS)
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
        self._enter(Phase.RUNNING)
        self._events.emit("start", nodes=[node.name for node in plan.graph.nodes])
        self._announcement = announce(
            announcement(plan, self.memory.graph, str(self._workers.logs))
        )  # last: it has started

    def _make_parts(self, workers: Workers) -> None:
        plan, control, layout = self.plan, self.control, self.layout
        lockstep = plan.options.lockstep
        control[H_SUPERVISOR], control[H_LOCKSTEP] = os.getpid(), int(lockstep)
        self._workers = workers
        semaphores = Semaphores(self.memory, len(plan.graph.nodes), not lockstep)
        self._events = Events(plan.graph, self.memory, control, layout)
        misses = Misses(plan, control, layout, self._events, self.safe_mode, self._fail)
        self.coordinator = Coordinator(
            plan.graph,
            self.memory,
            control,
            layout,
            semaphores,
            self,
            Happenings(self._events, misses),
            self.safe_mode,
            lockstep,
            plan.options.first_tick,
        )
        absence = self.coordinator.absence
        self._failures = Failures(
            plan, control, layout, self._events, self.safe_mode, absence, self._keep_flight_recorder, self._fail
        )
        self._watchdogs = Watchdogs(plan, control, layout, self.coordinator.lateness.since)
        self._interventions = Interventions(
            workers.records, control, layout, semaphores, self._events, absence, STOP_SECONDS
        )

    def _start_recorder(self, graph: bytes) -> None:
        request, memory = self.plan.recording, self.memory
        if request is None:
            return
        if self.plan.blackbox_mb:
            self._flight_recorder = FlightRecorder(memory.graph, self.plan.name)
            request.also_into(self._flight_recorder.folder, Recording(keep_mb=self.plan.blackbox_mb, reserve_mb=0))

        def boot() -> RecorderBoot:
            """For each start of it; the next one may have long files to read before it looks into the lanes."""
            self.control[H_RECORDER_LOOKED] = 0
            cores = list(self.plan.placement.recorder)
            return request.boot(list(sys.path), memory.graph, graph, cores, self.epoch_ns)

        self._recorder = RecorderChild(request.name, boot, self._tell, self._events.emit)

    @property
    def epoch_ns(self) -> int:
        """When tick 0 was released, ns since 1970; 0 before that is settled."""
        return int(self.control[H_EPOCH])

    def _wait_until_ready(self) -> None:
        """Returns when all nodes are ready and the recorder is; or one that was ready has ended the graph."""
        deadline = time.monotonic() + START_SECONDS
        records = self._workers.records
        while True:
            waiting = [record for record in records if record.life not in (Life.READY, Life.GONE)]
            settled = not waiting or self.failure is not None
            if settled and not self.epoch_ns and (self._recorder is None or self._recorder.loaded):
                self._set_epoch()
            if settled and (self._recorder is None or self._recorder.paths):
                return
            self.housekeep(0.02)
            if self._refused is not None:
                raise self._refused
            if self.stopping and self.failure is None:
                raise StartStopped
            if time.monotonic() > deadline:
                late = waiting[0].node.name if waiting else records[0].node.name
                raise StartFailed(late, f"its init has not returned after {START_SECONDS:g} s; make it shorter", "")

    def _set_epoch(self) -> None:
        """Fixes the graph's time as late as can be: nodes and recorder wait only for it."""
        options = self.plan.options
        self.coordinator.set_epoch(options.first_tick, options.epoch_ns or None, LEAD_NS if self._recorder else 0)

    # While it runs.

    def run(self, last_tick: int | None, pace: Pace) -> None:
        """Releases ticks, see :meth:`Engine.run`."""
        self._catch_up()
        self.coordinator.run(last_tick, pace)
        self.housekeep(0)
        if self.failure is not None:
            raise self.failure

    def _catch_up(self) -> None:
        """Lives through the ticks before the range that was asked for, as fast as can be, and shows nothing of it."""
        start = self.plan.options.start
        if self.coordinator.tick < start:
            self._workers.mute(True)
            self.coordinator.run(start - 1, Pace())
            self.housekeep(0)  # what is printed until now
            self._workers.mute(False)

    def housekeep(self, seconds: float) -> None:
        """Passes on output, takes reports, notices ends; for up to `seconds`, less if anything happened."""
        poller = select.poll()
        recorder = [] if self._recorder is None else self._recorder.descriptors()
        for descriptor in (*self._workers.descriptors(), *recorder):
            poller.register(descriptor, select.POLLIN)
        now = time.monotonic()
        waiting = [record for record in self._workers.records if record.life is Life.WAITING]
        found = dict(poller.poll(max(0.0, min([seconds, *(record.restart_at - now for record in waiting)])) * 1000))
        for report in self._workers.look(found):
            self._take_report(report)
        if self._recorder is not None:
            self.degradations.extend(self._recorder.look(set(found)))
        now = time.monotonic()
        for record in waiting:
            if record.life is Life.WAITING and record.restart_at <= now and not self.stopping:
                self._restart(record)
        self._interventions.look()
        if self._watchdogs.due():
            self._look_who_is_stuck()

    def _take_report(self, report: Report) -> None:
        record, facts = report.record, report.facts
        match report.kind:
            case "ready":
                if record.life is Life.STARTING:
                    record.to(Life.READY)
                    if record.restarted:
                        self.coordinator.absence.bring_back(record.position, record.back_at)
                self._events.emit("ready", record.position, pid=record.child.pid if record.child else 0)
            case "log":
                level, tick, message = facts
                record.output.line(f"{level} (tick {tick}): {message}", shown=level != "debug")
            case "not started":
                trace, what, text = facts
                record.leave(Leaving(Why.REFUSED, words=f"{what}: {text}" if text else what, trace=trace))
            case "failed":
                record.leave(Leaving(Why.RAISED, facts[0], trace=facts[1]))
                self._events.emit("error", record.position, facts[0], traceback=facts[1])
            case "shutdown failed":
                record.leave(Leaving(Why.STOPPED))
                record.output.line(f"error: its shutdown callback raised\n{facts[0]}")
                self._events.emit("error", record.position, callback="shutdown", traceback=facts[0])
            case "started again":
                self.control[self.layout.node(record.position) + N_RESTARTS] += 1
                self._events.emit("restart", record.position, facts[0] - 1)
                self._events.emit("back", record.position, facts[1])
            case "degraded":
                self.degradations.append(f"{record.node.name}: {facts[0]}")
            case "ended":
                self._ended(record, facts[0])

    def _ended(self, record: WorkerRecord, code: int | None) -> None:
        """A worker's process has ended."""
        leaving = record.leaving
        refused = record.life is Life.STARTING or (leaving is not None and leaving.why is Why.REFUSED)
        if refused and not record.restarted and self._refused is None:
            self._refused = self._failures.refusal(record, code)
        if self.stopping or self.control[H_STOP] or (refused and not record.restarted):
            self._failures.ended_while_stopping(record, code)
        elif leaving is not None and leaving.asked_for:
            self._interventions.ended(record)
        else:
            self._failures.ended(record, code)

    def _restart(self, record: WorkerRecord) -> None:
        self.control[self.layout.node(record.position) + N_RESTARTS] += 1
        self._events.emit("restart", record.position)
        tick, past = int(self.control[H_RELEASED]) + 1, self.plan.options.pasts.get(record.node.name)
        came = None if past is None else past.return_after(record.failed_in)
        record.back_at = None if came is None else came.back
        self._workers.start(record, tick if came is None else came.started, self.epoch_ns, START_SECONDS)

    def _look_who_is_stuck(self) -> None:
        looked, now = int(self.control[H_RECORDER_LOOKED]), time.monotonic_ns()
        idle_ns = now - max(looked, self._watchdogs.awake_since)
        if self._recorder is not None and looked and self._recorder.end_if_stuck(idle_ns):
            self.control[H_RECORDER_LOOKED] = 0  # said once
        self._workers.end_overdue()
        for stuck in self._watchdogs.look(self._workers.records):
            self._end_stuck(stuck)

    def _end_stuck(self, stuck: Stuck) -> None:
        record, node, limit = stuck.record, stuck.record.node, f"{stuck.limit:g} s"
        assert record.child is not None
        state = process_state(record.child.pid)
        record.leave(Leaving(Why.STUCK, words=f"was stuck for more than {limit} and killed by its watchdog"))
        self._events.emit("watchdog", record.position, stuck.tick, limit=stuck.limit, process=state)
        self._tell(f"node {node.name!r} is stuck in tick {stuck.tick} for more than {limit} (it {state}); killing it")
        if node.critical is not None:
            self.safe_mode.enter(f"critical node {node.name!r} is stuck for more than {limit}")
        record.child.signal(signal.SIGKILL)

    def _fail(self, failure: NodeFailed) -> None:
        """Ends the graph; every node's ``safe_state`` runs before its ``shutdown``."""
        self.failure = failure
        self.stopping = True

    def _safe_mode_asked(self, reason: str) -> None:
        self._events.emit("safe mode", reason=reason)
        self._tell(f"entering safe mode: {reason}")
        self._keep_flight_recorder(reason)

    def _keep_flight_recorder(self, reason: str) -> None:
        if self._flight_recorder is not None and not self.stopping:
            self._flight_recorder.keep(reason, self._events)

    def _tell(self, message: str) -> None:
        _log.warning("%s", message)

    def settle(self) -> None:
        while not self.stopping and any(self._unsettled(record) for record in self._workers.records):
            self.housekeep(0.05)

    @staticmethod
    def _unsettled(record: WorkerRecord) -> bool:
        refused = record.leaving is not None and record.leaving.why is Why.REFUSED
        return record.life in (Life.STARTING, Life.WAITING) or refused

    # Stop.

    def stop(self) -> None:
        """Ends every process, in order, each with its time limit, and removes the graph's names."""
        if self.phase is Phase.NEW:
            self.memory.remove_all()
            self.memory.let_go()
            return
        if self.phase in (Phase.STOPPING, Phase.ENDED):  # interrupted or done; either way nothing of it is left
            return
        control = self.control
        try:
            self._enter(Phase.STOPPING)
            if self.failure is not None and not control[H_SAFE_MODE]:
                control[H_SAFE_MODE] = int(control[H_RELEASED]) + 2  # its nodes enter it on their way out
                if not self.safe_mode.wanted:
                    self._events.emit("safe mode", reason=str(self.failure).splitlines()[0])
            control[H_STOP] = 1
            end_processes(self._workers, self._events, self.housekeep, STOP_SECONDS, TERM_SECONDS)
            self._events.tell_slips(int(control[H_RELEASED]))
            self._events.emit("end", tick=int(control[H_RELEASED]), reason="failure" if self.failure else "stop")
            self._enter(Phase.ENDED)
            if self._recorder is not None:
                self._recorder.finish(self.housekeep)
            if self.plan.recording is not None:
                self.paths = self.plan.recording.files()
            if self.failure is not None and self._flight_recorder is not None:
                saved = self._flight_recorder.save()
                if saved is not None:
                    self._tell(f"the flight recorder is saved as session {saved.name!r}")
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        self._workers.close()
        if self._recorder is not None:
            self._recorder.kill()
        if self._flight_recorder is not None:
            self._flight_recorder.remove()
        if self._announcement is not None:
            withdraw(self._announcement)
        self.memory.remove_all()
        self.memory.let_go()
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self._affinity)
