"""What somebody outside wants of a node: that it stops, or is started again (see ``memory.commands``)."""

from __future__ import annotations

import logging
import signal
import time

from horus_core.engine.absence import Absence
from horus_core.engine.semaphores import Semaphores
from horus_core.execution.events import Events
from horus_core.execution.worker_record import Leaving, Life, Why, WorkerRecord
from horus_core.memory import commands
from horus_core.memory.control import H_ANSWERED, H_ASKED, N_STATE, N_STOP, W_STOPPED, Layout

_log = logging.getLogger("horus")


class Interventions:
    """Carries out the commands that come in through the control segment.

    Args:
        records: per node, its process.
        control, layout, semaphores, events, absence: the graph's.
        seconds: that a node has to end by itself.
    """

    def __init__(
        self,
        records: list[WorkerRecord],
        control: memoryview,
        layout: Layout,
        semaphores: Semaphores,
        events: Events,
        absence: Absence,
        seconds: float,
    ) -> None:
        self._records, self._control, self._layout, self._semaphores = records, control, layout, semaphores
        self._events, self._absence, self._seconds = events, absence, seconds

    def look(self) -> None:
        """Carries out the command that has come in, if any."""
        asked = self._control[H_ASKED]
        if asked == self._control[H_ANSWERED]:
            return
        position, what = commands.decode(asked)
        record = self._records[position]
        self._events.emit("order", position, order=commands.WORDS[what])
        self._absence.take_out(position)
        why = Why.STOP if what == commands.STOP else Why.RESTART
        if record.child is None:
            self._carry_out(record, why)
        else:
            record.leave(Leaving(why))
            if why is Why.STOP:
                self._control[self._layout.node(position) + N_STOP] = 1
                record.kill_at = time.monotonic() + self._seconds
                self._semaphores.post[position]()
            else:
                record.child.signal(signal.SIGKILL)
        self._control[H_ANSWERED] = asked

    def ended(self, record: WorkerRecord) -> None:
        """The process of `record` has ended, as was asked for."""
        assert record.leaving is not None
        self._absence.take_out(record.position)
        self._carry_out(record, record.leaving.why)

    def _carry_out(self, record: WorkerRecord, why: Why) -> None:
        name = record.node.name
        self._control[self._layout.node(record.position) + N_STATE] = W_STOPPED
        if why is Why.RESTART:
            _log.warning("node %r is started again, as somebody asked", name)
            record.wait(time.monotonic())
        else:
            _log.warning("node %r is stopped, as somebody asked; the graph goes on without it", name)
            self._events.emit("skip", record.position)
            record.to(Life.GONE)
