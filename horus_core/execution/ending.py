"""Ends processes in order: asks all, waits, then SIGTERM, then SIGKILL, each with its time limit, and says how each went."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable

from horus_core.execution.events import Events
from horus_core.execution.worker_record import Leaving, Why
from horus_core.execution.workers import Workers

_log = logging.getLogger("horus")


def end_processes(
    workers: Workers, events: Events, housekeep: Callable[[float], None], stop_seconds: float, term_seconds: float
) -> None:
    """Returns when all processes have ended, or were killed; the control words ask them to end already.

    Args:
        housekeep: is called meanwhile, and notices ends.
        stop_seconds: for ``shutdown`` callbacks, before SIGTERM.
        term_seconds: before SIGKILL, and after it.
    """
    for number, seconds in ((None, stop_seconds), (signal.SIGTERM, term_seconds), (signal.SIGKILL, term_seconds)):
        for record in workers.running():
            if number is not None and record.child is not None:
                _log.warning("node %r has not ended yet; sending %s", record.node.name, number.name)
                events.emit("signal", record.position, signal=number.name, reason="it has not ended by itself")
                record.leave(Leaving(Why.STOPPED))
                record.child.signal(number)
        deadline = time.monotonic() + seconds
        while workers.running() and time.monotonic() < deadline:
            workers.wake()
            housekeep(0.05)
