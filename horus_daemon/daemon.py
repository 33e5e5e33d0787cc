"""The daemon's loop: one thread, which waits for a request, a signal, the end of a process, or a tenth of a second."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

import zmq

from horus_daemon.daemon_to_client import Refused
from horus_daemon.doorkeeper import Doorkeeper
from horus_daemon.events import DaemonEvent, Event, subject
from horus_daemon.graph_states import Surroundings
from horus_daemon.journal import log, read_by_journal, start_log
from horus_daemon.machine import machine_is_stopping
from horus_daemon.notify import Notifier
from horus_daemon.places import Places
from horus_daemon.service import STOP_ALL_SECONDS, Service
from horus_daemon.sockets import Lock, Sockets
from horus_daemon.wire import encode, one_line, package_version, read_request

IDLE_SECONDS = 1.0  # between two looks while no graph runs
_REQUESTS_AT_ONCE = 100


class Daemon:
    """The daemon.

    Args:
        places: its folders; made if need be.
        background: log into the file only.

    Raises:
        DaemonRuns: there is one already.
        UnsafeFolder: a folder cannot be trusted.
    """

    def __init__(self, places: Places, background: bool = False) -> None:
        places.prepare()
        self._lock = Lock(places)
        self._places = places
        self._file = start_log(places.daemon_log, places.log_mode, None if background else sys.stderr)
        to_journal = not background and read_by_journal(sys.stderr)
        self._notifier = Notifier()
        self._sockets = Sockets(places)
        self._door = Doorkeeper((self._sockets.control, self._sockets.events))
        self._service = Service(places, Surroundings(self._publish, self._forward if to_journal else None))
        self._sequence = 0
        self._signals: list[int] = []
        self._status = ""

    def run(self) -> None:
        """Serves until it is told to end."""
        with self._catching_signals() as wakeup:
            log.info("horusd %s starts, pid %d, in %s", package_version(), os.getpid(), self._places.runtime)
            self._service.take_up()
            self._service.step()
            self._status = self._summary()
            self._notifier.ready(self._status)
            self._publish(DaemonEvent(what="ready", pid=os.getpid()))
            while not self._service.ending:
                self._wait(wakeup)
                self._door.mind()
                self._take_signals()
                self._take_requests()
                self._sockets.greet()
                self._service.step()
                self._tell_systemd()
            self._end()

    def _wait(self, wakeup: int) -> None:
        poller = zmq.Poller()
        poller.register(self._sockets.control, zmq.POLLIN)
        poller.register(self._sockets.events, zmq.POLLIN)
        for monitor in self._door.monitors:
            poller.register(monitor, zmq.POLLIN)
        poller.register(wakeup, zmq.POLLIN)
        seconds = IDLE_SECONDS
        for graph in self._service.graphs.values():
            seconds = min(seconds, graph.next_look())
            if graph.process is not None:
                poller.register(graph.process.pidfd, zmq.POLLIN)
        if self._notifier.watchdog is not None:
            seconds = min(seconds, self._notifier.watchdog / 4)
        poller.poll(max(1, round(seconds * 1000)))
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, 4096)

    # Requests.

    def _take_requests(self) -> None:
        for _ in range(_REQUESTS_AT_ONCE):
            received = self._sockets.receive()
            if received is None:
                return
            address, frames = received
            request = read_request(frames)
            if isinstance(request, Refused):
                self._service.refuse(request)
                self._sockets.answer(address, encode(request))
            else:
                self._sockets.answer(address, encode(self._service.handle(request)))

    def _publish(self, event: Event) -> None:
        self._sequence += 1
        event.sequence, event.time_ns = self._sequence, event.time_ns or time.time_ns()
        self._sockets.publish(subject(event), encode(event))

    def _forward(self, graph: str, line: str) -> None:
        with contextlib.suppress(OSError):
            print(f"<6>{graph}: {one_line(line)}", file=sys.stderr, flush=True)

    # Signals.

    @contextlib.contextmanager
    def _catching_signals(self) -> Iterator[int]:
        """Yields a descriptor that becomes readable with a signal."""
        readable, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        try:
            yield readable
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(readable)
            os.close(writable)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _take_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                self._reload()
            elif self._notifier.active and machine_is_stopping(user=not self._places.shared):
                log.info("the machine stops: every graph ends, and starts again with the machine")
                self._notifier.stopping("stopping all graphs", STOP_ALL_SECONDS + 30)
                self._service.stop_graphs()
            else:
                self._service.ending = True

    def _reload(self) -> None:
        """SIGHUP: opens the log anew, and writes the state file."""
        self._notifier.reloading()
        self._file.reopen()
        self._service.save()
        log.info("reloaded")
        self._notifier.ready(self._status)

    # systemd.

    def _summary(self) -> str:
        states = [graph.state for graph in self._service.graphs.values()]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no graphs"

    def _tell_systemd(self) -> None:
        self._notifier.alive(time.monotonic())
        summary = self._summary()
        if summary != self._status and self._notifier.status(summary):
            self._status = summary

    def _end(self) -> None:
        running = sum(graph.process is not None for graph in self._service.graphs.values())
        log.info("horusd ends; %s", f"{running} graphs go on without it" if running else "no graph runs")
        self._notifier.stopping("ending")
        self._publish(DaemonEvent(what="stopping", pid=os.getpid()))
        self._service.save()
        self.close()

    def close(self) -> None:
        """Gives back what the daemon holds; graphs go on."""
        self._service.leave()
        self._sockets.close()
        self._notifier.close()
        self._file.close()
        self._lock.release()


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
