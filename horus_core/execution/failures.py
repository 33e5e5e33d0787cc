"""What happens when a node's process ends without being asked to, and what its failure policy makes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from horus_core.engine.absence import Absence
from horus_core.engine.safe_mode import SafeMode
from horus_core.errors import NodeFailed, StartFailed
from horus_core.execution.events import Events
from horus_core.execution.failure_policy import Action, judge
from horus_core.execution.plan import Plan
from horus_core.execution.worker_record import Leaving, Life, Why, WorkerRecord
from horus_core.memory.control import H_RELEASED, N_CURRENT, N_STATE, NEVER, W_DEAD, Layout
from horus_core.processes.child import exit_reason

_log = logging.getLogger("horus")


class Failures:
    """Applies failure policies.

    Args:
        plan, control, layout, events, safe_mode, absence: the graph's.
        keep: saves the flight recorder, for a reason.
        end: ends the graph with a failure.
    """

    def __init__(
        self,
        plan: Plan,
        control: memoryview,
        layout: Layout,
        events: Events,
        safe_mode: SafeMode,
        absence: Absence,
        keep: Callable[[str], None],
        end: Callable[[NodeFailed], None],
    ) -> None:
        self._plan, self._control, self._layout, self._events = plan, control, layout, events
        self._safe_mode, self._absence, self._keep, self._end = safe_mode, absence, keep, end

    @staticmethod
    def refusal(record: WorkerRecord, code: int | None) -> StartFailed:
        """What kept a node's first process from getting ready."""
        if record.leaving is not None:
            return StartFailed(record.node.name, record.leaving.words, record.leaving.trace)
        return StartFailed(record.node.name, f"its process {exit_reason(code)} before it was ready", "")

    def ended_while_stopping(self, record: WorkerRecord, code: int | None) -> None:
        """The graph ends, and this process has ended; that it crashed on its way is told, if nothing else said so."""
        self._control[self._layout.node(record.position) + N_STATE] = W_DEAD
        if record.life is not Life.STARTING and code and record.leaving is None:
            self._events.emit("crash", record.position, reason=exit_reason(code))
            _log.warning("node %r %s while it was being stopped", record.node.name, exit_reason(code))
        record.to(Life.GONE)

    def ended(self, record: WorkerRecord, code: int | None) -> None:
        """A process has ended, and nobody wanted it: its policy says what follows."""
        control, row = self._control, self._layout.node(record.position)
        leaving = record.leaving or Leaving(Why.CRASHED, words=exit_reason(code))
        raised = leaving.why is Why.RAISED
        tick = leaving.tick if leaving.tick is not None else int(control[row + N_CURRENT])
        tick = tick if tick >= 0 else int(control[H_RELEASED])
        what, trace = "raised an exception" if raised else leaving.words, leaving.trace
        if record.life is Life.STARTING or leaving.why is Why.REFUSED:
            reason = leaving.words if record.leaving else f"its process {leaving.words} before it was ready"
            what = f"did not start again ({reason})"
        control[row + N_STATE], control[row + N_CURRENT] = W_DEAD, NEVER
        self._absence.take_out(record.position)
        if not raised:
            self._events.emit("crash", record.position, tick, reason=what)
        self._apply_policy(record, tick, what, trace, crashed=not trace)

    def _now(self) -> float:
        """Seconds that a window of restarts is measured in: the graph's, where a replay may be faster than the recording."""
        if self._plan.options.lockstep:
            return float(self._control[H_RELEASED]) / self._plan.graph.tick_rate
        return time.monotonic()

    def _apply_policy(self, record: WorkerRecord, tick: int, what: str, trace: str, crashed: bool) -> None:
        node = record.node
        if node.critical is not None:
            self._safe_mode.enter(f"critical node {node.name!r} {what}")
        now = self._now()
        verdict = judge(node, what, crashed, record.failures, now)
        told = f"\n{trace}" if trace else ""
        if verdict.action is Action.RESTART:
            record.failures, record.failed_in = [*verdict.earlier, now], tick
            record.wait(time.monotonic() + verdict.delay)
            self._keep(f"node {node.name!r} {what}")
            _log.warning("node %r %s in tick %d; restarting it in %g s%s", node.name, what, tick, verdict.delay, told)
            return
        record.to(Life.GONE)
        if verdict.action is Action.LEAVE_OUT:
            _log.warning("node %r %s in tick %d; the graph goes on without it%s", node.name, what, tick, told)
            self._events.emit("skip", record.position, tick)
            self._keep(f"node {node.name!r} {what}")
            return
        self._end(NodeFailed(node.name, tick, verdict.what, trace))
