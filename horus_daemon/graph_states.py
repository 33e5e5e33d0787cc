"""A graph that the daemon owns: its states, and what moves it from one to the next.

    (none) --start--> starting --nodes ready--> running --stop--> stopping --process ended--> stopped
                          |                        |
                          +-----process ended------+--by policy--> waiting --back-off over--> starting
                                                   +-------------> ended (exit code 0), failed

`step` does all of that and is called often; nothing here waits for anything.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from horus_core.memory.shared import sweep
from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended, GraphInfo, GraphState
from horus_daemon.events import Event, GraphEvent
from horus_daemon.journal import log
from horus_daemon.listener import Listener
from horus_daemon.logfile import timestamp
from horus_daemon.notify import PRIVATE
from horus_daemon.observer import Observer, find_observer
from horus_daemon.process import GraphFiles, GraphProcess, boot_id, end_orphans, is_held
from horus_daemon.state import Entry

BACKOFF_FIRST, BACKOFF_MOST = 1.0, 60.0
STEADY_SECONDS = 60.0  # who ran that long begins with the first back-off again
STOP_SECONDS = 15.0  # to end in order, unless told otherwise
LOOK_SECONDS, EAGER_LOOK_SECONDS = (
    0.1,
    0.02,
)  # between two looks at one that runs, and at one that has just been started
HELD_SECONDS = 5.0  # for a process of an earlier daemon to write down who it is


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
    """What a graph needs of the daemon and of the machine.

    Attributes:
        publish: sends an event.
        forward: passes a line of a graph's log on to the journal; None if there is none.
        environ: the environment of graphs.
        clock: a monotonic clock.
        start, adopt: see GraphProcess.
        end_orphans: see there.
        find: see find_observer.
    """

    publish: Callable[[Event], None]
    forward: Callable[[str, str], None] | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], float] = time.monotonic
    start: Callable[[GraphFiles, GraphSpec, int, Mapping[str, str]], GraphProcess | None] = GraphProcess.start
    adopt: Callable[[GraphFiles], GraphProcess | None] = GraphProcess.adopt
    end_orphans: Callable[[int], object] = end_orphans
    find: Callable[[int], Observer | None] = find_observer


class OwnedGraph:
    """A graph.

    Args:
        entry: what is kept of it.
        files: its process's files.
        save: writes the state file.
        around: the daemon and the machine.

    Attributes:
        process: that runs it, None if it does not run.
        start_at: when it is to be started; None if it is not waiting for that.
    """

    def __init__(self, entry: Entry, files: GraphFiles, save: Callable[[], None], around: Surroundings) -> None:
        self.entry, self._files, self._save, self._around = entry, files, save, around
        self.process: GraphProcess | None = None
        self.start_at: float | None = None
        self._listener = Listener(self.name, files.log, around.publish, around.forward, around.find)
        self._started = float("-inf")
        self._failures = 0  # quick ends in a row
        self._kill_at: float | None = None
        self._held_since: float | None = None
        self._stopping = self._again = False
        self._told: tuple[GraphState, int] | None = None

    @property
    def name(self) -> str:
        """The graph's name."""
        return self.entry.spec.name

    @property
    def state(self) -> GraphState:
        """See GraphInfo."""
        if self.process is not None:
            return "stopping" if self._stopping else "running" if self._listener.heard else "starting"
        if self.start_at is not None:
            return "waiting"
        ended = self.entry.ended
        return "stopped" if self.entry.stopped or ended is None else "ended" if ended.code == 0 else "failed"

    @property
    def lost_events(self) -> int:
        """Events that were overwritten before they were read."""
        return self._listener.lost

    # What is asked of it.

    def forget_events(self) -> None:
        """It is to be another graph from now on: what happened to the one that had the name before is not its own."""
        self._listener.recent.clear()

    def take_up(self) -> bool:
        """Finds its process if it runs, else has it started if it should run; for a daemon that begins.

        Returns:
            Whether it was found running.
        """
        if self._adopt():
            return True
        run = self._files.read_run()
        if run is None and is_held(self._files):  # an earlier daemon has just started it
            self.start_at = self._around.clock()
        elif self.entry.wanted and self.entry.starts:
            lost = Ended(time.time_ns(), None, "it was killed, or the machine stopped, while no daemon ran")
            if run is not None and run.ended is None and run.identity.boot == boot_id():
                self._around.end_orphans(run.identity.pid)
            self.entry.ended = (run.ended if run is not None else None) or lost
            # One that ended because its daemon was to end with the machine starts again, whatever its exit code.
            code = None if self.entry.stopped else self.entry.ended.code
            self.entry.wanted = starts_again(self.entry.spec.restart, code)
        if self.entry.wanted:
            self.start_at = self._around.clock()
        return False

    def start(self) -> None:
        """Has it started, again if it runs; from now on it should run."""
        self.entry.wanted, self.entry.stopped = True, False
        self._failures = 0
        if self.process is None:
            self.start_at = self._around.clock()
        else:
            self._again = True

    def stop(self, seconds: float, wanted: bool = False) -> None:
        """Asks it to end in order.

        Args:
            seconds: until it is killed.
            wanted: whether it should run when a daemon starts the next time.
        """
        self.entry.wanted, self.entry.stopped = wanted, True
        self.start_at, self._again = None, False
        if self.process is not None:
            self._kill_at = self._around.clock() + seconds
            if not self._stopping:  # a second SIGTERM means: end at once
                self._stopping = True
                self.process.signal(signal.SIGTERM)
        self._tell()

    # What happens to it.

    def step(self) -> None:
        """Notices what has happened, and does what is due."""
        now = self._around.clock()
        if self.process is not None:
            self._listener.listen(self.process.pid, now)
            ended = self.process.ended()
            if ended is not None:
                self._has_ended(self.process, ended, now)
            elif self._kill_at is not None and now >= self._kill_at:
                self._kill_at = None
                log.warning("graph %s has not ended in its time: killed", self.name)
                self.process.signal(signal.SIGKILL)
        if self.process is None and self.start_at is not None and now >= self.start_at:
            self._spawn(now)
        self._tell()

    def next_look(self) -> float:
        """Seconds until `step` is to be called again; sooner if the process ends."""
        now = self._around.clock()
        if self.process is not None:
            return EAGER_LOOK_SECONDS if self._listener.eager(now) else LOOK_SECONDS
        return math.inf if self.start_at is None else max(0.0, self.start_at - now)

    def _spawn(self, now: float) -> None:
        self.start_at = None
        spec, around = self.entry.spec, self._around
        environ = {name: value for name, value in around.environ.items() if name not in PRIVATE} | spec.environment
        self._listener.follow_log()
        try:
            self.process = around.start(self._files, spec, self.entry.starts, environ)
        except (OSError, ValueError) as problem:
            self._started = now
            self.entry.starts += 1
            self._decide(Ended(time.time_ns(), 127, f"it cannot be started: {problem}"), now)
            return
        if self.process is None:
            self._find_holder(now)
            return
        self._begin(self.process, now, history=False)
        self.entry.starts += 1
        self.entry.since_ns, self.entry.stopped = time.time_ns(), False
        self._save()
        log.info("graph %s started, pid %d", self.name, self.process.pid)

    def _find_holder(self, now: float) -> None:
        """Somebody has the lock: the process that an earlier daemon started, or something that outlived it."""
        self._held_since = now if self._held_since is None else self._held_since
        if self._adopt():
            return
        if self._files.read_run() is None and now - self._held_since < HELD_SECONDS:
            self.start_at = now  # it has not yet written down who it is
            return
        log.warning("graph %s has ended, but a process that it started lives on", self.name)
        self._files.remove()
        self.start_at = now

    def _adopt(self) -> bool:
        """Takes over the process of the graph that another daemon started. Returns whether there is one."""
        self.process = self._around.adopt(self._files)
        if self.process is None:
            return False
        now = self._around.clock()
        self._begin(self.process, now, history=True)
        if not self.entry.wanted:  # the other daemon had asked it to end
            self._stopping, self._kill_at = True, now + STOP_SECONDS
        log.info("graph %s runs, pid %d: taken over", self.name, self.process.pid)
        return True

    def _begin(self, process: GraphProcess, now: float, history: bool) -> None:
        self._started, self._held_since = now, None
        self._listener.begin(now, history)
        self._listener.listen(process.pid, now)

    def _has_ended(self, process: GraphProcess, ended: Ended, now: float) -> None:
        self._listener.end()
        process.close()
        self.process = None
        if ended.code is None or ended.code > 128:
            self._around.end_orphans(process.pid)
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
            self.start_at = now
            self._note(f"{how}; starting it again, as asked")
        elif stopping:
            self._note(f"stopped: {how}")
        elif starts_again(entry.spec.restart, ended.code):
            self.start_at = now + backoff(self._failures)
            self._note(f"{how}; starting it again in {backoff(self._failures):g} s")
        else:
            entry.wanted = False
            self._note(how)
        self._save()

    def _note(self, text: str) -> None:
        """Says what became of it, in the daemon's log and in its own."""
        log.info("graph %s: %s", self.name, text)
        with contextlib.suppress(OSError):
            descriptor = os.open(self._files.log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                file.write(f"{timestamp()} horusd: {text}\n".encode(errors="replace"))

    def _tell(self) -> None:
        now = (self.state, self.process.pid if self.process is not None else 0)
        if now != self._told:
            self._told = now
            ended = self.entry.ended
            why = ended.why if ended is not None and now[0] in ("waiting", "stopped", "ended", "failed") else ""
            self._around.publish(GraphEvent(graph=self.name, state=now[0], pid=now[1], why=why))

    def info(self) -> GraphInfo:
        """What ``horus ps`` shows of it."""
        spec, observer = self.entry.spec, self._listener.observer
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
            again_in=max(0.0, self.start_at - self._around.clock()) if self.start_at is not None else None,
            ended=self.entry.ended,
            nodes=self._listener.nodes(),
            recent=self._listener.recent.all(),
        )

    # The end.

    def leave(self) -> None:
        """The daemon ends: the graph goes on by itself."""
        self._listener.close()
        if self.process is not None:
            self.process.close()
            self.process = None

    def forget(self) -> None:
        """It is dropped from the list: removes its files but for its log; it must not run."""
        self.leave()
        self._files.remove()
