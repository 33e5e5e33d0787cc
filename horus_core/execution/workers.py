"""The processes of a graph's nodes: how each is started, what it prints and reports, and that it has ended."""

from __future__ import annotations

import contextlib
import pickle
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from horus_core.engine.worker import Boot
from horus_core.execution.logs import GraphLogs
from horus_core.execution.node_output import NodeOutput
from horus_core.execution.plan import Plan
from horus_core.execution.shipment import Shipment
from horus_core.execution.worker_record import Leaving, Life, Why, WorkerRecord
from horus_core.memory.control import N_BUDGET, N_CORE, N_PID, N_STATE, N_STOP, NEVER, W_STARTING, Layout
from horus_core.memory.shared import SharedMemory
from horus_core.processes.child import Child, read_available


@dataclass(frozen=True)
class Report:
    """What a node's process has reported, or "ended" with its exit code."""

    record: WorkerRecord
    kind: str
    facts: tuple[Any, ...]


class Workers:
    """The processes of a graph's nodes.

    Args:
        plan, shipment, memory, control, layout: the graph's.
        degradations: takes what was asked for and is not granted.

    Attributes:
        records: per node, its process.
        logs: the folder with the nodes' log files.
    """

    def __init__(
        self,
        plan: Plan,
        shipment: Shipment,
        memory: SharedMemory,
        control: memoryview,
        layout: Layout,
        degradations: list[str],
    ) -> None:
        self._plan, self._shipment, self._memory = plan, shipment, memory
        self._control, self._layout, self._degradations = control, layout, degradations
        self.records = [
            WorkerRecord(position, node, NodeOutput(node.name, plan.output))
            for position, node in enumerate(plan.graph.nodes)
        ]
        self.logs = Path()

    def start(self, record: WorkerRecord, tick: int, epoch_ns: int, ready_within: float) -> None:
        """Starts a node's process, which takes part from `tick` on at the earliest.

        Args:
            epoch_ns: when tick 0 was released, ns since 1970; 0: that is not settled.
            ready_within: seconds in which its init must return.
        """
        plan, position, control = self._plan, record.position, self._control
        row = self._layout.node(position)
        boot = Boot(
            path=list(sys.path),
            argv=list(sys.argv),
            graph_id=self._memory.graph,
            graph=self._shipment.graph,
            position=position,
            callbacks=self._shipment.callbacks[position],
            options=replace(plan.options, epoch_ns=plan.options.epoch_ns or epoch_ns or time.time_ns()),
            tick=tick,
            restarted=record.starts > 0,
            core=plan.placement.nodes[position],
            priority=record.node.priority if plan.rt else None,
            lock_memory=plan.rt,
            spin_ns=self._spin_ns(record),
            source=self._shipment.sources[position],
            recorded=self._shipment.recorded[position],
        )
        control[row + N_STATE], control[row + N_STOP] = W_STARTING, 0
        control[row + N_BUDGET] = round((record.node.budget or 0) * 1e9)
        child = Child(f"horus:{record.node.name}", "horus_core.engine.worker", pickle.dumps(boot))
        record.started(child, ready_within)
        control[row + N_PID] = child.pid
        control[row + N_CORE] = NEVER if boot.core is None else boot.core
        if record.output.log is None:
            self._open_log(record)

    def _open_log(self, record: WorkerRecord) -> None:
        request = self._plan.recording
        if request is not None and request.session is not None:
            record.output.log, self.logs = request.open_log(record.node.name), request.session / "logs"
        else:
            logs = GraphLogs(self._memory.graph)
            record.output.log, self.logs = logs.open(record.node.name), logs.folder

    def _spin_ns(self, record: WorkerRecord) -> int:
        node, placement = record.node, self._plan.placement
        if not node.spin or placement.reserved[record.position]:
            return round(node.spin * 1e9)
        core = placement.nodes[record.position]
        line = f"{node.name}: it does not spin, for core {core} is not its own; give it another core="
        if line not in self._degradations:
            self._degradations.append(line)
        return 0

    def running(self) -> list[WorkerRecord]:
        """Those that have a process."""
        return [record for record in self.records if record.child is not None]

    def descriptors(self) -> list[int]:
        """What becomes readable when one prints, reports or ends."""
        return [each for record in self.records if record.child for each in record.child.descriptors()]

    def look(self, found: Mapping[int, int]) -> Iterator[Report]:
        """Passes on what they print, and gives what they report.

        Args:
            found: what a poll found: per descriptor, its events.
        """
        for record in self.records:
            child = record.child
            if child is None or found.keys().isdisjoint(child.descriptors()):
                continue
            # A pipe that is closed at the other end says so in every poll, also when the process goes on.
            over = {each for each in child.descriptors() if found.get(each) == select.POLLHUP}
            child.hung_up |= over - {child.pidfd}
            assert child.output is not None
            record.output.take(read_available(child.output))
            for kind, *facts in child.read_reports():
                yield Report(record, kind, tuple(facts))
            if child.pidfd in found:
                child.end_family()
                code = child.wait(1.0)
                record.output.take(read_available(child.output), last=True)
                child.close()
                record.child = None
                yield Report(record, "ended", (code,))

    def mute(self, muted: bool) -> None:
        """Whether what nodes print is neither shown nor kept."""
        for record in self.records:
            record.output.muted = muted

    def end_overdue(self) -> None:
        """Kills those that have not ended, or not got ready, in their time."""
        now = time.monotonic()
        for record in self.running():
            if record.kill_at is not None and now > record.kill_at:
                record.child.signal(signal.SIGKILL)  # type: ignore[union-attr]
            if record.life is Life.STARTING and record.restarted and now > record.ready_by:
                words = f"its init has not returned after {record.ready_within:g} s"
                record.leave(Leaving(Why.REFUSED, words=words))
                record.child.signal(signal.SIGKILL)  # type: ignore[union-attr]

    def wake(self) -> None:
        """Lets all look at the control words."""
        for position in range(len(self.records)):
            with contextlib.suppress(Exception):
                self._memory.semaphore(f"go{position}").release()

    def close(self) -> None:
        """Kills what still runs, and closes the log files."""
        for record in self.records:
            if record.child is not None:
                record.child.signal(signal.SIGKILL)
                record.child.wait(1.0)
                record.child.close()
                record.child = None
            record.output.close()
