"""The client: asks the daemon, with a time limit for each answer.

Example::

    with Client() as horusd:
        horusd.up(graph_spec("robot/main.py", name="robot"))
        horusd.wait_for("robot")
        print([(graph.name, graph.state) for graph in horusd.graphs()])
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import zmq
from msgspec.structs import replace

from horus_daemon.client_to_daemon import Down, GraphSpec, List, Request, Restart, Shutdown, Status, Up
from horus_daemon.daemon_to_client import Answer, DaemonStatus, Done, GraphInfo, Graphs, Refused
from horus_daemon.errors import DaemonForbidden, DaemonNotRunning, DaemonRefused, DaemonSilent, GraphFailed
from horus_daemon.events import GREETING, Event
from horus_daemon.places import Places, answers, find_places
from horus_daemon.wire import encode, read_answer, read_event

TIMEOUT = 5.0
START_SECONDS = 90.0  # for a graph whose nodes take their time to start
_POLL_SECONDS = 0.05
_ALIVE_SECONDS = 0.25  # between two looks whether a daemon that has not answered lives
_UPGRADE_SECONDS = 5.0  # for a daemon that is being started again

A = TypeVar("A", DaemonStatus, Graphs, Done)


class Client:
    """A connection to a daemon. Not for several threads at once.

    Args:
        places: the daemon's folders; found if not given, see :func:`horus_daemon.places.find_places`.
        timeout: seconds for each answer.

    Every request raises:
        DaemonNotRunning: no daemon answers.
        DaemonForbidden: the caller may not talk to it.
        DaemonSilent: it did not answer in time.
        DaemonRefused: it says no, and why.
    """

    def __init__(self, places: Places | None = None, timeout: float = TIMEOUT) -> None:
        self.places = places or find_places()
        self._timeout = timeout
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._id = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._context.destroy(linger=0)
        self._socket = None

    def status(self) -> DaemonStatus:
        """How the daemon is."""
        return self._ask(Status(), DaemonStatus)

    def graphs(self, *names: str) -> list[GraphInfo]:
        """The graphs of these names; all without any."""
        return self._ask(List(names=list(names)), Graphs).graphs

    def graph(self, name: str) -> GraphInfo:
        """The graph of that name."""
        return self.graphs(name)[0]

    def up(self, spec: GraphSpec) -> GraphInfo:
        """Has a graph run from now on; returns before its nodes are ready, see :meth:`wait_for`."""
        return self._ask(Up(graph=spec), Graphs).graphs[0]

    def down(self, name: str, seconds: float = 15.0, forget: bool = False) -> GraphInfo:
        """Has a graph end, and not start again; returns before it has ended.

        Args:
            name: the graph.
            seconds: until it is killed.
            forget: drop it from the list then.
        """
        return self._ask(Down(name=name, seconds=seconds, forget=forget), Graphs).graphs[0]

    def restart(self, name: str, seconds: float = 15.0) -> GraphInfo:
        """Has a graph end if it runs, and start; arguments as for :meth:`down`."""
        return self._ask(Restart(name=name, seconds=seconds), Graphs).graphs[0]

    def shutdown(self, graphs: bool = False) -> None:
        """Ends the daemon; with `graphs`, its graphs before it, else they go on."""
        self._ask(Shutdown(graphs=graphs), Done)

    def wait_for(self, name: str, seconds: float = START_SECONDS) -> GraphInfo:
        """Waits until a graph that was asked to start runs, or has ended well.

        Raises:
            GraphFailed: it ended before its nodes were ready, or they were not within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            graph = self._patiently(name)
            if graph.state in ("running", "ended"):
                return graph
            if graph.state in ("failed", "stopped") or (graph.state == "waiting" and graph.ended is not None):
                raise GraphFailed(name, graph.ended.why if graph.ended is not None else "it was stopped", graph.log)
            if time.monotonic() > deadline:
                raise GraphFailed(name, f"its nodes were not ready after {seconds:g} s", graph.log)
            time.sleep(_POLL_SECONDS)

    def wait_until_down(self, name: str, seconds: float) -> GraphInfo | None:
        """Waits until a graph's process has ended; None if the daemon has forgotten the graph.

        Raises:
            DaemonSilent: it has not within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                graph = self._patiently(name)
            except DaemonRefused as refused:
                if refused.code == "missing":
                    return None
                raise
            if not graph.pid:
                return graph
            if time.monotonic() > deadline:
                raise DaemonSilent(f"down {name}", seconds)
            time.sleep(_POLL_SECONDS)

    def wait_until_started(self, name: str, before: int, seconds: float) -> GraphInfo:
        """Waits until a graph has been started more often than `before`; raises DaemonSilent after `seconds`."""
        deadline = time.monotonic() + seconds + _UPGRADE_SECONDS
        while True:
            graph = self._patiently(name)
            if graph.starts > before:
                return graph
            if time.monotonic() > deadline:
                raise DaemonSilent(f"restart {name}", seconds)
            time.sleep(_POLL_SECONDS)

    def _patiently(self, name: str) -> GraphInfo:
        """The graph, though the daemon may just be started again."""
        deadline = time.monotonic() + _UPGRADE_SECONDS
        while True:
            try:
                return self.graph(name)
            except (DaemonNotRunning, DaemonSilent):
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def events(self, *subjects: str, timeout: float | None = None) -> Iterator[Event]:
        """What happens from this call on; ends when nothing has for `timeout` seconds.

        Args:
            subjects: beginnings of subjects, as ``robot/`` or ``robot/node``, see :mod:`horus_daemon.events`; all without any.
            timeout: None for no limit.
        """
        self._require_daemon()
        subscriber: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.LINGER, 0)
        greeting = GREETING + secrets.token_hex(8).encode()
        for each in (*(subject.encode() for subject in subjects or ("",)), greeting):
            subscriber.subscribe(each)
        subscriber.connect(f"ipc://{os.fspath(self.places.events)}")
        return _received(subscriber, self._greeted(subscriber, greeting), timeout)

    def _greeted(self, subscriber: zmq.Socket[bytes], greeting: bytes) -> list[Event]:
        """Waits until the subscriptions hold. Returns the events that have arrived meanwhile."""
        before: list[Event] = []
        deadline = time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0 and subscriber.poll(round(left * 1000) + 1):
            subject, data = subscriber.recv_multipart()
            if subject == greeting:
                return before
            if not subject.startswith(GREETING):
                before.append(read_event(data))
        subscriber.close()
        raise DaemonSilent("events", self._timeout)

    # How.

    def _require_daemon(self) -> None:
        try:
            there = answers(self.places.control)
        except PermissionError:
            raise DaemonForbidden(str(self.places.control)) from None
        if not there:
            start = "systemctl start horusd" if self.places.shared else "horus daemon start"
            raise DaemonNotRunning(str(self.places.runtime), start)

    def _ask(self, request: Request, kind: type[A]) -> A:
        self._require_daemon()
        self._id += 1
        name = type(request).__name__.lower()
        self._connected().send(encode(replace(request, id=self._id)))
        answer = self._answer_to(self._id, name)
        if isinstance(answer, Refused):
            raise DaemonRefused(answer.code, answer.why)
        if not isinstance(answer, kind):
            raise DaemonRefused("malformed", f"horusd answered {type(answer).__name__} to {name!r}")
        return answer

    def _connected(self) -> zmq.Socket[bytes]:
        if self._socket is None:
            self._socket = self._context.socket(zmq.DEALER)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.connect(f"ipc://{os.fspath(self.places.control)}")
        return self._socket

    def _answer_to(self, number: int, name: str) -> Answer:
        socket, deadline = self._connected(), time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0:
            if not socket.poll(round(min(left, _ALIVE_SECONDS) * 1000) + 1):
                self._require_daemon()  # it may have ended over the request
                continue
            try:
                answer = read_answer(socket.recv())
            except ValueError as problem:
                raise DaemonRefused("version", f"horusd's answer cannot be read: {problem}") from None
            if answer.id in (number, 0):
                return answer  # one to an earlier request, for which nobody waits any more, is skipped
        raise DaemonSilent(name, self._timeout)


def _received(subscriber: zmq.Socket[bytes], before: Sequence[Event], timeout: float | None) -> Iterator[Event]:
    try:
        yield from before
        while subscriber.poll(None if timeout is None else round(timeout * 1000)):
            subject, data = subscriber.recv_multipart()
            if subject.startswith(GREETING):  # for another subscriber
                continue
            with contextlib.suppress(ValueError):  # a later daemon's
                yield read_event(data)
    finally:
        subscriber.close()
