"""A graph that the daemon owns: its states, and what moves it from one to the next.

    (none) --start--> starting --nodes ready--> running --stop--> stopping --process ended--> stopped
                          |                        |
                          +-----process ended------+--by policy--> waiting --back-off over--> starting
                                                   +-------------> ended (exit code 0), failed

`step` does all of that and is called often; nothing here waits for anything.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from horus_core.memory import sweep
from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended, GraphInfo, GraphState, NodeState, PastEvent
from horus_daemon.events import Event, GraphEvent, LogLine, Missed, NodeEvent
from horus_daemon.journal import log
from horus_daemon.logfile import timestamp
from horus_daemon.notify import PRIVATE
from horus_daemon.observer import Observer, find_observer
from horus_daemon.process import GraphFiles, GraphProcess, is_held
from horus_daemon.state import Entry
from horus_daemon.tail import Tail, node_of

BACKOFF_FIRST, BACKOFF_MOST = 1.0, 60.0
STEADY_SECONDS = 60.0  # who ran that long begins with the first back-off again
RECENT = 50  # events that are kept
STOP_SECONDS = 15.0  # to end in order, unless told otherwise
HELD_SECONDS = 5.0  # for a process of an earlier daemon to write down who it is
_SLOW_LOOK_SECONDS, _EAGER_SECONDS = 0.5, 10.0


def backoff(failures: int) -> float:
    """Seconds before the start after so many quick ends in a row.

    >>> [backoff(each) for each in (1, 2, 3, 7, 100)]
    [1.0, 2.0, 4.0, 60.0, 60.0]
    """
    return min(BACKOFF_FIRST * 2.0 ** min(failures - 1, 30), BACKOFF_MOST)


def starts_again(restart: str, code: int | None) -> bool:
    """Whether a graph with that policy is to be started again after it ended by itself.

    >>> starts_again("on-failure", 0), starts_again("on-failure", 1), starts_again("always", 0), starts_again("no", 1)
    (False, True, True, False)
    """
    return restart == "always" or (restart == "on-failure" and code != 0)


@dataclass(frozen=True)
class Surroundings:
    """What a graph needs of the daemon.

    Attributes:
        save: writes the state file.
        publish: sends an event.
        forward: passes a line of a graph's log on to the journal; None if there is none.
        environ: the environment of graphs.
        clock: a monotonic clock.
    """

    save: Callable[[], None]
    publish: Callable[[Event], None]
    forward: Callable[[str, str], None] | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], float] = time.monotonic


class OwnedGraph:
    """A graph.

    Args:
        entry: what is kept of it.
        files: its process's files.
        around: the daemon.
    """

    def __init__(self, entry: Entry, files: GraphFiles, around: Surroundings) -> None:
        self.entry, self._files, self._around = entry, files, around
        self.process: GraphProcess | None = None
        self._observer: Observer | None = None
        self._tail: Tail | None = None
        self._nodes: list[NodeState] = []
        self._recent: deque[PastEvent] = deque(maxlen=RECENT)
        self._failures = 0
        self._started = self._looked = float("-inf")
        self._start_at: float | None = None
        self._kill_at: float | None = None
        self._stopping = self._again = False
        self._told: tuple[GraphState, int] | None = None
        self._seen = self._history = False
        self._held_since: float | None = None
        self._lost, self._lost_before = 0, 0

    @property
    def name(self) -> str:
        """The graph's name."""
        return self.entry.spec.name

    @property
    def state(self) -> GraphState:
        """See GraphInfo."""
        if self.process is not None:
            return "stopping" if self._stopping else "running" if self._seen else "starting"
        if self._start_at is not None:
            return "waiting"
        ended = self.entry.ended
        return "stopped" if self.entry.stopped or ended is None else "ended" if ended.code == 0 else "failed"

    @property
    def lost_events(self) -> int:
        """Events that were overwritten before they were read."""
        return self._lost_before + self._lost

    @property
    def start_at(self) -> float | None:
        """When it is to be started again."""
        return self._start_at

    # What is asked of it.

    def take_up(self) -> bool:
        """Finds its process if it runs, else starts it if it should run; for a daemon that begins.

        Returns:
            Whether it was found running.
        """
        self.process = GraphProcess.adopt(self._files)
        if self.process is not None:
            self._begin(history=True)
            if not self.entry.wanted:  # the last daemon had asked it to end
                self._stopping, self._kill_at = True, self._around.clock() + STOP_SECONDS
            log.info("graph %s runs, pid %d: taken over", self.name, self.process.pid)
            return True
        run = self._files.read_run()
        if run is None and is_held(self._files):  # an earlier daemon has just started it
            self._start_at = self._around.clock()
        elif self.entry.wanted and self.entry.starts:
            ended = run.ended if run is not None else None
            self.entry.ended = ended or Ended(
                time.time_ns(), None, "it was killed, or the machine stopped, while no daemon ran"
            )
            self.entry.wanted = starts_again(self.entry.spec.restart, self.entry.ended.code)
        if self.entry.wanted:
            self._start_at = self._around.clock()
        return False

    def start(self, spec: GraphSpec | None = None) -> None:
        """Starts it, or starts it again after it has stopped; from now on it should run."""
        if spec is not None:
            self.entry.spec = spec
        self.entry.wanted, self.entry.stopped = True, False
        self._failures = 0
        if self.process is None:
            self._start_at = self._around.clock()
        else:
            self._again = True

    def stop(self, seconds: float, wanted: bool = False) -> None:
        """Asks it to end in order.

        Args:
            seconds: until it is killed.
            wanted: whether it should run again when the daemon starts.
        """
        self.entry.wanted, self.entry.stopped = wanted, True
        self._start_at, self._again = None, False
        if self.process is not None:
            self._kill_at = self._around.clock() + seconds
            if not self._stopping:
                self._stopping = True
                self.process.signal(signal.SIGTERM)
        self._tell()

    # What happens to it.

    def step(self) -> None:
        """Notices what has happened, and does what is due."""
        now = self._around.clock()
        if self.process is not None:
            self._look(self.process, now)
            ended = self.process.ended()
            if ended is not None:
                self._has_ended(self.process, ended, now)
            elif self._kill_at is not None and now >= self._kill_at:
                self._kill_at = None
                log.warning("graph %s has not ended in its time: killed", self.name)
                self.process.signal(signal.SIGKILL)
        if self.process is None and self._start_at is not None and now >= self._start_at:
            self._spawn(now)
        self._tell()

    def _spawn(self, now: float) -> None:
        self._start_at = None
        around, spec = self._around, self.entry.spec
        environ = {name: value for name, value in around.environ.items() if name not in PRIVATE} | spec.environment
        try:
            self._tail = self._tail or Tail(self._files.log)
            self.process = GraphProcess.start(self._files, spec, self.entry.starts, environ)
        except (OSError, ValueError) as problem:
            self._not_started(str(problem), now)
            return
        if self.process is None:
            self._find_holder(now)
            return
        self._begin(history=False)
        self.entry.starts += 1
        self.entry.since_ns, self.entry.stopped = time.time_ns(), False
        self._around.save()
        log.info("graph %s started, pid %d", self.name, self.process.pid)

    def _find_holder(self, now: float) -> None:
        """Somebody has the lock: the process that an earlier daemon started, or something that outlived it."""
        self._held_since = now if self._held_since is None else self._held_since
        self.process = GraphProcess.adopt(self._files)
        if self.process is not None:
            self._begin(history=True)
            log.info("graph %s runs already, pid %d: taken over", self.name, self.process.pid)
        elif self._files.read_run() is None and now - self._held_since < HELD_SECONDS:
            self._start_at = now  # it has not yet written down who it is
        else:
            log.warning("graph %s has ended, but a process that it started lives on", self.name)
            self._files.remove()
            self._start_at = now

    def _begin(self, history: bool) -> None:
        """The graph has a process; `history`: it has had it for a while, and what happened until now is known."""
        self._started, self._looked, self._held_since = self._around.clock(), float("-inf"), None
        self._observer, self._seen, self._history, self._nodes = None, False, history, []
        self._recent.clear()
        self._tail = self._tail or Tail(self._files.log)

    def _look(self, process: GraphProcess, now: float) -> None:
        if self._observer is not None and self._observer.ended:  # its script may run another one
            self._pass_on_events()
            self._let_observer_go()
        eager = not self._seen and now - self._started < _EAGER_SECONDS
        if self._observer is None and (eager or now - self._looked >= _SLOW_LOOK_SECONDS):
            self._looked = now
            try:
                self._observer = find_observer(process.pid)
                self._seen = self._seen or self._observer is not None
            except ValueError as problem:
                if not self._seen:
                    log.warning("graph %s: %s; its nodes cannot be shown", self.name, problem)
                self._seen = True
        self._pass_on_events()
        self._pass_on_log()

    def _let_observer_go(self) -> None:
        if self._observer is not None:
            self._nodes = self._observer.nodes()
            self._lost_before, self._lost = self._lost_before + self._lost, 0
        self._observer = None

    def _pass_on_events(self) -> None:
        if self._observer is None:
            return
        for event in self._observer.events():
            self._recent.append(event)
            if not self._history:
                self._around.publish(
                    NodeEvent(
                        graph=self.name, tick=event.tick, node=event.node, event=event.event, detail=event.detail,
                        time_ns=event.time_ns,
                    )
                )  # fmt: skip
        self._history = False
        lost = self._observer.dropped - self._lost
        if lost > 0:
            self._lost += lost
            self._around.publish(Missed(graph=self.name, what="events", count=lost))

    def _pass_on_log(self) -> None:
        if self._tail is None:
            return
        for line in self._tail.lines():
            node, text = node_of(line)
            self._around.publish(LogLine(graph=self.name, node=node, text=text))
            if self._around.forward is not None:
                self._around.forward(self.name, f"[{node}] {text}" if node else text)
        if self._tail.skipped:
            self._around.publish(Missed(graph=self.name, what="log bytes", count=self._tail.skipped))
            self._tail.skipped = 0

    def _has_ended(self, process: GraphProcess, ended: Ended, now: float) -> None:
        self._pass_on_events()
        self._pass_on_log()
        self._let_observer_go()
        process.close()
        self.process = None
        if ended.code is None or ended.code > 128:
            sweep()  # what it left in shared memory; its recorder goes on until all is written
        self._decide(ended, now)

    def _decide(self, ended: Ended, now: float) -> None:
        """What becomes of a graph that has just ended."""
        entry, stopping = self.entry, self._stopping
        entry.ended, entry.since_ns = ended, time.time_ns()
        self._stopping, self._kill_at = False, None
        self._failures = 1 if now - self._started >= STEADY_SECONDS else self._failures + 1
        how = ended.why or f"it ended with exit code {ended.code}"
        if self._again:
            self._again, self._failures = False, 0
            self._start_at = now
            self._note(f"{how}; starting it again, as asked")
        elif stopping:
            self._note(f"stopped: {how}")
        elif starts_again(entry.spec.restart, ended.code):
            self._start_at = now + backoff(self._failures)
            self._note(f"{how}; starting it again in {backoff(self._failures):g} s")
        else:
            entry.wanted = False
            self._note(how)
        self._around.save()

    def _not_started(self, why: str, now: float) -> None:
        self.process = None
        self._started = now
        self.entry.starts += 1
        self._decide(Ended(time.time_ns(), 127, f"it cannot be started: {why}"), now)

    def _note(self, text: str) -> None:
        """Says what became of it, in the daemon's log and in its own."""
        log.info("graph %s: %s", self.name, text)
        try:
            descriptor = os.open(self._files.log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            return
        with os.fdopen(descriptor, "wb") as file:
            try:
                file.write(f"{timestamp()} horusd: {text}\n".encode(errors="replace"))
            except OSError:
                return

    def _tell(self) -> None:
        now = (self.state, self.process.pid if self.process is not None else 0)
        if now != self._told:
            self._told = now
            ended = self.entry.ended
            why = ended.why if ended is not None and now[0] in ("waiting", "stopped", "ended", "failed") else ""
            self._around.publish(GraphEvent(graph=self.name, state=now[0], pid=now[1], why=why))

    def info(self) -> GraphInfo:
        """What `horus ps` shows of it."""
        spec, observer, now = self.entry.spec, self._observer, self._around.clock()
        graph = observer.graph if observer is not None else None
        return GraphInfo(
            name=self.name,
            state=self.state,
            wanted=self.entry.wanted,
            restart=spec.restart,
            script=(graph.script if graph else "") or spec.script or spec.project,
            log=str(self._files.log),
            since_ns=self.entry.since_ns,
            pid=self.process.pid if self.process is not None else 0,
            id=graph.id if graph else "",
            tick=observer.tick if observer is not None else -1,
            tick_rate=graph.tick_rate if graph else 0.0,
            session=graph.session if graph else "",
            starts=self.entry.starts,
            again_in=max(0.0, self._start_at - now) if self._start_at is not None else None,
            ended=self.entry.ended,
            nodes=observer.nodes() if observer is not None else self._nodes,
            recent=list(self._recent),
        )

    def leave(self) -> None:
        """The daemon ends: the graph goes on by itself."""
        self._observer = None
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        if self.process is not None:
            self.process.close()
            self.process = None

    def forget(self) -> None:
        """It is dropped from the list: removes its files but for its log; it must not run."""
        self.leave()
        self._files.remove()
