"""What a graph says while it runs: its events from shared memory and the lines of its log, kept and passed on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from horus_daemon.daemon_to_client import NodeState
from horus_daemon.event_history import Recent
from horus_daemon.events import Event, LogLine, Missed, NodeEvent
from horus_daemon.journal import log
from horus_daemon.observer import Observer, find_observer
from horus_daemon.tail import Tail, node_of

_EAGER_SECONDS, _SLOW_LOOK_SECONDS = 10.0, 0.5


class Listener:
    """Listens to one graph, over its starts.

    Args:
        name: the graph's.
        path: its log.
        publish: sends an event.
        forward: passes a line on to the journal; None if there is none.
        find: finds the graph that a process runs.

    Attributes:
        heard: whether the process has run a graph whose nodes were ready.
        recent: the latest events, of all starts.
        lost: events that were overwritten before they were read.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        publish: Callable[[Event], None],
        forward: Callable[[str, str], None] | None = None,
        find: Callable[[int], Observer | None] = find_observer,
    ) -> None:
        self._name, self._path, self._publish, self._forward, self._find = name, path, publish, forward, find
        self.observer: Observer | None = None
        self.heard = False
        self.recent = Recent()
        self.lost = 0
        self._nodes: list[NodeState] = []
        self._tail: Tail | None = None
        self._since = self._looked = float("-inf")
        self._history = False

    def follow_log(self) -> None:
        """Begins with what is added to the log from now on, unless it is followed already."""
        self._tail = self._tail or Tail(self._path)

    def begin(self, now: float, history: bool) -> None:
        """The graph has a process.

        Args:
            now: the time.
            history: what has happened in it until now was passed on by another daemon.
        """
        self.follow_log()
        self.observer, self.heard, self._history, self._nodes = None, False, history, []
        self._since, self._looked = now, float("-inf")

    def eager(self, now: float) -> bool:
        """Whether its nodes may be ready at any moment."""
        return not self.heard and now - self._since < _EAGER_SECONDS

    def listen(self, pid: int, now: float) -> None:
        """Passes on what has been said by the process `pid` since the last call."""
        if self.observer is not None and self.observer.ended:  # the script may run another graph
            self._pass_on_events()
            self._let_go()
        if self.observer is None and (self.eager(now) or now - self._looked >= _SLOW_LOOK_SECONDS):
            self._looked = now
            self._look(pid)
        self._pass_on_events()
        self._pass_on_log()

    def _look(self, pid: int) -> None:
        try:
            self.observer = self._find(pid)
            self.heard = self.heard or self.observer is not None
        except ValueError as problem:
            if not self.heard:
                log.warning("graph %s: %s; its nodes cannot be shown", self._name, problem)
            self.heard = True

    def end(self) -> None:
        """The process has ended: passes on the rest."""
        self._pass_on_events()
        self._pass_on_log()
        self._let_go()

    def _let_go(self) -> None:
        if self.observer is not None:
            self._nodes = self.observer.nodes()
        self.observer = None

    def nodes(self) -> list[NodeState]:
        """How the nodes are, or were when the graph ended."""
        return self.observer.nodes() if self.observer is not None else self._nodes

    def _pass_on_events(self) -> None:
        observer = self.observer
        if observer is None:
            return
        for event in observer.events():
            self.recent.append(event)
            if not self._history:
                self._publish(
                    NodeEvent(
                        graph=self._name,
                        tick=event.tick,
                        node=event.node,
                        event=event.event,
                        detail=event.detail,
                        time_ns=event.time_ns,
                    )
                )
        self._history = False
        lost = observer.take_dropped()
        if lost:
            self.lost += lost
            self._publish(Missed(graph=self._name, what="events", count=lost))

    def _pass_on_log(self) -> None:
        if self._tail is None:
            return
        for line in self._tail.lines():
            node, text = node_of(line)
            self._publish(LogLine(graph=self._name, node=node, text=text))
            if self._forward is not None:
                self._forward(self._name, f"[{node}] {text}" if node else text)
        if self._tail.skipped:
            self._publish(Missed(graph=self._name, what="log bytes", count=self._tail.skipped))
            self._tail.skipped = 0

    def close(self) -> None:
        """Lets go of the graph's memory and log."""
        self.observer = None
        if self._tail is not None:
            self._tail.close()
            self._tail = None
