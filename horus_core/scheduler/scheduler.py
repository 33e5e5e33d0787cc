"""``Scheduler`` and ``run``: what a script calls."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from horus_core.engine.coordinator import Pace
from horus_core.engine.placement import Placement, place, usable_cores
from horus_core.engine.runner import RunOptions
from horus_core.errors import (
    DuplicateNode,
    EmptyGraph,
    InvalidValue,
    SchedulerBusy,
    UnknownNode,
)
from horus_core.execution.inline import Inline
from horus_core.execution.supervisor import Output, Plan, StartStopped, Supervisor, print_line
from horus_core.graph.node import Node, checked_rate
from horus_core.graph.schedule import tick_count
from horus_core.graph.spec import Graph, NodeSpec, build_graph, positive_number
from horus_core.inspection.counters import graph_counters, no_counters, node_counters
from horus_core.memory.control import H_RELEASED, H_SAFE_MODE, H_SLIPS, H_STOP_ASKED
from horus_core.processes.own_files import make_folder
from horus_core.processes.shipping import dump_callbacks
from horus_core.processes.signals import handling
from horus_core.processes.topology import Topology
from horus_core.recording.keeping import sessions
from horus_core.recording.writing.options import Recording
from horus_core.recording.writing.request import RecordingRequest
from horus_core.replay.plan import Replaying
from horus_core.scheduler import launch as launching

_log = logging.getLogger("horus")
DEFAULT_TICK_RATE = 1000.0
EXECUTIONS = ("process", "inline")


class Interrupted(SystemExit, KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run, in order. Caught as KeyboardInterrupt; uncaught, the exit code is 130 or 143."""


class Scheduler:
    """Runs a graph of nodes.

    Args:
        tick_rate: the graph's rate in Hz; the fastest node's, if that is more.
        rt: SCHED_FIFO with each node's priority and locked memory, as far as the machine grants it.
        deterministic: virtual time, nobody is ever late, the same inputs give the same outputs.
        blackbox_mb: size of the flight recorder in MB; 0 for none.
        watchdog_ms: milliseconds after which a node stuck in a tick is killed; 0 for never.
        recording: True, the name of the session to record, or a :class:`Recording` with all that can be set.
        recording_overflow: "drop" or "block", see :class:`Recording`.
        name: of the graph.
        cores: cores to use; by default those of this process that are not isolated, as many as its cgroup keeps busy.
        max_deadline_misses: misses of one node after which safe mode begins.
        verbose: log what the supervisor does.
        execution: "process" (each node has its own) or "inline"; HORUS_EXECUTION overrides the default.
        pace: False releases ticks as fast as the graph finishes them; only with `deterministic` or in a replay.
        seed: of the generators behind ``horus.rng_float()``.

    Raises:
        InvalidValue: an argument is not what it must be.

    Example:
        >>> scheduler = Scheduler(tick_rate=100, execution="inline", deterministic=True, pace=False)
        >>> scheduler.add(Node(name="sensor", tick=lambda node: node.send("reading", 1.0), pubs=["reading"], rate=100))
        Scheduler('horus', idle, nodes: sensor)
        >>> scheduler.run(duration=0.05)
        >>> scheduler.current_tick()
        5
    """

    def __init__(
        self,
        *,
        tick_rate: float = DEFAULT_TICK_RATE,
        rt: bool = False,
        deterministic: bool = False,
        blackbox_mb: int = 0,
        watchdog_ms: float = 0,
        recording: bool | str | Recording = False,
        recording_overflow: str | None = None,
        name: str | None = None,
        cores: Sequence[int] | None = None,
        max_deadline_misses: int | None = None,
        verbose: bool = False,
        execution: str | None = None,
        pace: bool = True,
        seed: int = 0,
    ) -> None:
        execution = execution or os.environ.get("HORUS_EXECUTION") or "process"
        if execution not in EXECUTIONS:
            raise InvalidValue("Scheduler execution", repr(execution), "'process' or 'inline'")
        if not pace and not deterministic:
            raise InvalidValue("Scheduler pace", "False without deterministic=True", "both, or real time")
        self._given_rate = checked_rate("Scheduler tick_rate", tick_rate)
        self._rt, self._deterministic, self._seed = rt, deterministic, seed
        self._execution, self._pace_given = execution, pace
        self._blackbox_mb = _count("Scheduler blackbox_mb", blackbox_mb)
        self._watchdog = (
            0.0 if watchdog_ms == 0 else positive_number("Scheduler watchdog_ms", watchdog_ms, "(milliseconds)") / 1e3
        )
        self._max_misses = (
            None if max_deadline_misses is None else _count("Scheduler max_deadline_misses", max_deadline_misses)
        )
        self._recording = recording
        self._how = recording if isinstance(recording, Recording) else Recording()
        if recording_overflow is not None:
            self._how = replace(self._how, overflow=recording_overflow)
        self._name = name or "horus"
        self._cores, self._cores_given = usable_cores(cores), bool(cores)
        if verbose:
            logging.getLogger("horus").setLevel(logging.DEBUG)
        self._nodes: dict[str, Node] = {}
        self._replaying = Replaying()
        self._pace = Pace()
        self._launched_recording: str | Path | None = None
        self._overwrite = False
        self._engine: Supervisor | Inline | None = None
        self._state = "idle"
        self._paths: list[str] = []
        self._snapshot: dict[str, dict[str, Any]] = {}
        self._next_tick = 0
        self._degraded: list[str] = []
        self._signal = 0
        self._thread: int | None = None  # that runs the graph
        self._stop_asked = False  # of that thread, by another one or by a signal
        self._totals: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._ran_seconds = 0.0
        self._running_since = 0.0
        self._graph_rate = 0.0
        self._output: Output = print_line

    def __repr__(self) -> str:
        return f"Scheduler({self._name!r}, {self._state}, nodes: {', '.join(self.get_node_names()) or 'none'})"

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What runs.

    def add(self, node: Node) -> Scheduler:
        """Adds a node; in a replay it takes the place of the recorded node of its name.

        Returns:
            The scheduler, for chaining.

        Raises:
            DuplicateNode: there is one of that name.
        """
        if not isinstance(node, Node):
            raise InvalidValue("what add() got", repr(node), "a horus.Node")
        self._must_be_idle("cannot add a node")
        if node.name in self._nodes:
            raise DuplicateNode(node.name)
        self._replaying.nodes.pop(node.name, None)
        self._nodes[node.name] = node
        return self

    def remove(self, node_name: str) -> Scheduler:
        """Takes a node out, live or replayed, before it runs.

        Raises:
            UnknownNode: there is none of that name.
        """
        self._must_be_idle("cannot remove a node")
        self._spec(node_name)
        self._nodes.pop(node_name, None)
        self._replaying.nodes.pop(node_name, None)
        return self

    @staticmethod
    def replay_from(path: str | os.PathLike[str], **options: Any) -> Scheduler:
        """A scheduler that replays a whole session: every recorded node becomes a replayed one.

        Args:
            path: the session's ``scheduler@...`` file, or its folder.
            options: as for the constructor.

        Raises:
            RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
        """
        scheduler = Scheduler(**options)
        scheduler._replaying.add_session(path)
        scheduler._mind_tick_rate()
        return scheduler

    def add_replay(self, path: str | os.PathLike[str], priority: int = 0) -> Scheduler:
        """Adds one recorded node, which sends what it sent then, while others run live.

        Args:
            path: the node's file.
            priority: its `order` in the graph; 0 for the one it was recorded with.

        Raises:
            RecordingMissing, NotARecording, RecordingDamaged, RecordingTooNew: see their words.
            DuplicateNode: there is one of that name.
        """
        self._must_be_idle("cannot add a replayed node")
        self._replaying.add_node(path, priority, tuple(self._nodes))
        self._mind_tick_rate()
        return self

    def _mind_tick_rate(self) -> None:
        rate = self._replaying.tick_rate
        if rate is not None and self._given_rate not in (DEFAULT_TICK_RATE, rate):
            _log.warning("tick_rate=%g is ignored: the ticks are those of the recording, %g Hz", self._given_rate, rate)
            self._given_rate = DEFAULT_TICK_RATE

    # How it is replayed.

    def start_at_tick(self, tick: int) -> Scheduler:
        """Starts the replay at `tick`. Raises ReplayRange if the recording does not have it."""
        self._must_be_idle("cannot start_at_tick")
        self._replaying.set_range("start_at_tick", tick)
        return self

    def stop_at_tick(self, tick: int) -> Scheduler:
        """Ends the replay after `tick`. Raises ReplayRange if that is before its start."""
        self._must_be_idle("cannot stop_at_tick")
        self._replaying.set_range("stop_at_tick", tick)
        return self

    def set_replay_speed(self, speed: float) -> Scheduler:
        """Sets the speed: 1 as recorded, 0.01 to 100 times that, or 0 for as fast as possible."""
        from horus_core.replay.source import check_speed

        self._replaying.speed = check_speed(speed)
        if self._engine is not None:
            self._pace.period_ns = self._replaying.period_ns(self._engine.plan.graph.tick_rate, self._pace_given)
        return self

    def set_replay_loop(self, loop: bool = True) -> Scheduler:
        """Starts over when the recording ends, until it is stopped or `duration` is over."""
        self._replaying.loop = bool(loop)
        return self

    def set_replay_schedule(self, schedule: str) -> Scheduler:
        """Sets when a live node runs that the recording also knows.

        Args:
            schedule: "recorded" (in the ticks in which it ran then) or "free" (in all of its ticks).
        """
        if schedule not in ("recorded", "free"):
            raise InvalidValue("the replay schedule", repr(schedule), "'recorded' or 'free'")
        self._replaying.free = schedule == "free"
        return self

    def set_replay_override(self, node_name: str, output_name: str, value: Any) -> Scheduler:
        """Replaces what a replayed node sends on a topic.

        Args:
            node_name: the replayed node.
            output_name: one of its topics.
            value: bytes are delivered as those bytes; a callable gets the recorded value and returns the new one; any other
                value is sent as it is.

        Raises:
            UnknownNode, UnknownTopic: the recording has no such node, or the node no such topic.
        """
        self._replaying.set_override(node_name, output_name, value)
        return self

    def set_replay_topics(self, topics: Sequence[str]) -> Scheduler:
        """Replays these topics only; on the others the replayed nodes stay silent.

        Raises:
            InvalidValue: no replayed node sends on one of them.
        """
        self._replaying.set_topics(topics)
        return self

    # Running.

    def run(self, duration: float | None = None) -> None:
        """Runs the graph until `duration` is over, the replay ends, a node asks to stop, or Ctrl-C.

        Args:
            duration: seconds of the graph's time: exactly ``duration * rate`` ticks are released. None: no limit.

        Raises:
            EmptyGraph: there are no nodes.
            StartFailed, NodeFailed: a node did not start, or ended the graph; its own traceback is in the message.
            SchedulerBusy: it runs already.
            Interrupted: Ctrl-C ended it; everything was stopped in order and the recording kept.
        """
        if self._state == "running":
            raise SchedulerBusy("cannot run", "running already; one run at a time, or another Scheduler")
        launch = self._apply_launch()
        if launch is not None and launch.duration is not None:
            duration = launch.duration
        ticks = None if duration is None else self._ticks_of(duration)
        with self._at_work():
            try:
                engine = self._ensure_engine(stepping=False)
                if launch is not None and launch.started is not None:
                    launch.started(self)
                self._advance(engine, ticks)
            except StartStopped:
                pass
            finally:
                self._finish()
                if launch is not None and launch.ended is not None:
                    launch.ended(self)
        self._raise_if_interrupted()

    def tick_once(self, node_names: Sequence[str] | None = None) -> None:
        """Runs exactly one tick of all nodes, then returns; the processes stay until :meth:`stop`.

        Args:
            node_names: accepted for compatibility; a tick is one of the whole graph.
        """
        self._step(1, paced=False)

    def tick_for(self, duration: float, node_names: Sequence[str] | None = None) -> None:
        """Runs for `duration` seconds, then returns; the processes stay until :meth:`stop`.

        Args:
            duration: seconds.
            node_names: as for :meth:`tick_once`.
        """
        self._step(self._ticks_of(duration), paced=True)

    def _step(self, ticks: int, paced: bool) -> None:
        if self._state == "running":
            raise SchedulerBusy("cannot tick", "running already")
        if self._engine is None:
            self._apply_launch()
        with self._at_work():
            done = False
            try:
                engine = self._ensure_engine(stepping=True)
                self._advance(engine, ticks, paced)
                done = not self._stop_asked
            except StartStopped:
                pass
            finally:
                if not done:
                    self._finish()
        self._raise_if_interrupted()

    def _advance(self, engine: Supervisor | Inline, ticks: int | None, paced: bool = True) -> None:
        last = None if ticks is None else self._next_tick + ticks - 1
        end = self._replaying.last_tick
        if end is not None and not self._replaying.loop:
            last = end if last is None else min(last, end)
        self._pace.period_ns = (
            self._replaying.period_ns(engine.plan.graph.tick_rate, self._pace_given) if paced else 0.0
        )
        self._running_since, self._graph_rate = time.monotonic(), engine.plan.graph.tick_rate
        self._state = "running"
        try:
            engine.run(last, self._pace)
        finally:
            self._state = "stepping"
            self._ran_seconds += time.monotonic() - self._running_since
            ended_early = engine.stopping or engine.control[H_STOP_ASKED]
            self._next_tick = (int(engine.control[H_RELEASED]) if last is None or ended_early else last) + 1
            self._take_snapshot()

    def _ensure_engine(self, stepping: bool) -> Supervisor | Inline:
        if self._engine is None:
            plan = self._plan(stepping)
            self._engine = engine = Inline(plan, self._handles()) if self._execution == "inline" else Supervisor(plan)
            self._next_tick = plan.options.first_tick
            self._paths, self._graph_rate = [], 0.0
            engine.stopping = self._stop_asked
            if stepping:  # a script may end without stop()
                atexit.register(_stop, weakref.ref(self))
            try:
                engine.start()
            except BaseException:
                if plan.recording is not None and plan.recording.targets:
                    # A graph that did not start leaves no session behind.
                    shutil.rmtree(plan.recording.folder, ignore_errors=True)
                raise
            self._paths = list(engine.paths)
        return self._engine

    def _handles(self) -> dict[str, Node]:
        from horus_core.graph.node import attached_node

        return {**{name: attached_node(name) for name in self._replaying.nodes}, **self._nodes}

    def stop(self) -> None:
        """Ends the graph: every node's ``shutdown`` runs, the recording is closed. From another thread it asks for that."""
        if self._thread is None or (self._thread == threading.get_ident() and self._state != "running"):
            self._finish()
        else:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        """The run that is under way is to end, also if it has not got as far as an engine."""
        self._stop_asked = True
        if self._engine is not None:
            self._engine.stopping = True

    def _finish(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            engine.stop()
        finally:
            self._paths = list(engine.paths) or self._paths
            self._degraded = list(engine.degradations)  # the recorder's last words included
            self._state = "stopped"
            if hasattr(engine, "control"):  # the recorder has counted up to the end
                self._counted = graph_counters(engine.control, engine.layout)

    def _apply_launch(self) -> launching.Launch | None:
        """Takes what ``horus run`` set for this run."""
        launch = launching.take()
        if launch is None:
            return None
        self._name = launch.name or self._name
        if launch.record is not None:
            self._launched_recording, self._overwrite = launch.record, launch.overwrite
        if launch.tick_rate is not None:
            self._given_rate = checked_rate("the tick rate", launch.tick_rate)
        self._execution = launch.execution or self._execution
        self._output = launch.output or self._output
        for name, changes in launch.nodes.items():
            self._spec(name)
            if name in self._nodes:
                self._nodes[name].spec = replace(self._nodes[name].spec, **changes)
        if launch.capture:
            raise launching.Captured(self)
        return launch

    # Pausing.

    def pause(self) -> Scheduler:
        """Holds the graph before its next tick; only where it waits for everybody (replays, ``deterministic=True``)."""
        self._pace.paused, self._pace.steps = True, 0
        return self

    def resume(self) -> Scheduler:
        """Goes on after :meth:`pause`."""
        self._pace.paused = False
        return self

    def step(self, ticks: int = 1) -> Scheduler:
        """Releases `ticks` ticks of a paused graph."""
        self._pace.steps += ticks
        return self

    @property
    def paused(self) -> bool:
        """Whether :meth:`pause` holds the graph."""
        return self._pace.paused

    # Ctrl-C.

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Until it is left, a stop from another thread, and a signal, asks this one."""
        self._thread, self._stop_asked = threading.get_ident(), False
        try:
            with self._handling_signals():
                yield
        finally:
            self._thread = None

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a terminal that is closed end the run in order; a second Ctrl-C at once."""
        self._signal = 0
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ours = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        free = [each for each in ours if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler)]
        with handling(dict.fromkeys(free, self._on_signal)):
            yield

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._signal and number == signal.SIGINT:  # the others often come twice: to the process and to its group
            raise KeyboardInterrupt
        self._signal = self._signal or number
        self._ask_to_stop()

    def _raise_if_interrupted(self) -> None:
        if self._signal:
            kept = f"; the recording is kept: {Path(self._paths[0]).parent}" if self._paths else ""
            when = f"after tick {self._next_tick - 1}" if self._graph_rate else "before its nodes were ready"
            with contextlib.suppress(OSError):  # a terminal that is gone
                print(f"horus: stopped by {signal.Signals(self._signal).name} {when}{kept}", file=sys.stderr)
            raise Interrupted(128 + self._signal)

    # The plan.

    def _plan(self, stepping: bool) -> Plan:
        if not self._nodes and not self._replaying.nodes:
            raise EmptyGraph()
        specs = self._replaying.specs([node.spec for node in self._nodes.values()])
        graph = build_graph(specs, self._replaying.tick_rate or self._given_rate)
        options, sources = self._replaying.prepare(
            graph,
            list(self._nodes),
            RunOptions(
                first_tick=0,
                lockstep=self._deterministic or stepping,
                seed=self._seed,
                epoch_ns=0,
                recorded=bool(self._wanted_session()) or self._has_blackbox,
                block=self._how.overflow == "block",
                deterministic=self._deterministic,
            ),
        )
        return Plan(
            name=self._name,
            graph=graph,
            callbacks={name: node.callbacks for name, node in self._nodes.items()},
            sources=sources,
            options=options,
            placement=self._placement(graph),
            recording=self._recording_request(graph, options),
            rt=self._rt,
            watchdog=self._watchdog,
            blackbox_mb=self._blackbox_mb if self._has_blackbox else 0,
            max_misses=self._max_misses,
            script=_script(),
            output=self._output,
        )

    def _placement(self, graph: Graph) -> Placement:
        topology = Topology.here(self._cores)
        return place(graph, self._cores if self._cores_given else topology.usable(self._cores), topology)

    def _ticks_of(self, duration: Any) -> int:
        seconds = positive_number("the duration", duration, "(seconds)")
        if self._replaying.tick_rate is not None:
            return tick_count(seconds, self._replaying.tick_rate)
        rates = [node.spec.rate for node in self._nodes.values() if node.spec.on is None]
        return tick_count(seconds, max([self._given_rate, *rates]))

    def _wanted_session(self) -> bool | str | Path | Recording:
        return self._launched_recording or os.environ.get("HORUS_RECORD") or self._recording

    @property
    def _has_blackbox(self) -> bool:
        """A graph in this process ends with it, and so would its flight recorder: it has none."""
        return self._blackbox_mb > 0 and self._execution == "process"

    def _recording_request(self, graph: Any, options: RunOptions) -> RecordingRequest | None:
        wanted = self._wanted_session()
        if not wanted:
            return RecordingRequest(self._name, [], graph, options, _script()) if self._has_blackbox else None
        if isinstance(wanted, Recording):
            wanted = wanted.name or True
        base = self._name if self._name != "horus" else Path(_script()).stem or "horus"
        if isinstance(wanted, Path):
            folder = wanted
            make_folder(folder, exist_ok=False)
        else:
            name = wanted if isinstance(wanted, str) else sessions.free_session_name(base)
            folder = sessions.new_session_folder(name, self._overwrite or self._how.overwrite)
        session = self._replaying.session
        replayed = session.name if session is not None else ""
        return RecordingRequest(folder.name, [(folder, self._how)], graph, options, _script(), replayed)

    # Asking.

    def status(self) -> str:
        """ "idle", "running", "stepping" (between two calls of tick_once or tick_for) or "stopped"."""
        return self._state

    def current_tick(self) -> int:
        """How many ticks have been released: the number of the next tick."""
        engine = self._engine  # another thread may ask while the run ends
        if engine is not None and self._state == "running":
            return int(engine.control[H_RELEASED]) + 1
        return self._next_tick

    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self._state == "running"

    @property
    def last_replay_tick(self) -> int | None:
        """The last tick of the replay that runs, None if nothing is replayed or none has started."""
        return self._replaying.last_tick

    def is_recording(self) -> bool:
        """Whether it records: while it runs if a recording is made, otherwise whether the next run will be recorded."""
        return bool(self._wanted_session())

    def is_replaying(self) -> bool:
        """Whether any node is replayed."""
        return bool(self._replaying.nodes)

    def scheduler_name(self) -> str:
        """The graph's name."""
        return self._name

    def has_node(self, node_name: str) -> bool:
        """Whether there is a node of that name, live or replayed."""
        return node_name in self._nodes or node_name in self._replaying.nodes

    def get_node_names(self) -> list[str]:
        """The names of all nodes."""
        return [*self._replaying.nodes, *self._nodes]

    def get_node_count(self) -> int:
        """The number of nodes."""
        return len(self._replaying.nodes) + len(self._nodes)

    def get_all_nodes(self) -> list[dict[str, Any]]:
        """What :meth:`get_node_stats` says, for every node."""
        return [self.get_node_stats(name) for name in self.get_node_names()]

    @property
    def live_nodes(self) -> list[Node]:
        """The nodes that are not replayed."""
        return list(self._nodes.values())

    def get_node_info(self, node_name: str) -> int | None:
        """A node's `order`, None if there is no such node."""
        return self._spec(node_name).order if self.has_node(node_name) else None

    def get_node_stats(self, node_name: str) -> dict[str, Any]:
        """Counters of one node, of the current or the last run.

        Returns:
            name, order, rate_hz, priority, pid, core, state, total_ticks, successful_ticks, failed_ticks, errors_count,
            deadline_misses, budget_overruns, restarts, messages_sent, bytes_sent, messages_received, messages_dropped, and
            busy times in milliseconds: avg_, min_, max_, last_, p50_ and p99_tick_duration_ms.

        Raises:
            UnknownNode: there is no such node.
        """
        spec = self._spec(node_name)
        if self._engine is not None and self._state == "running":
            self._take_snapshot()
        facts = self._snapshot.get(node_name) or {**no_counters(), "core": None}
        return {"name": node_name, "order": spec.order, "rate_hz": spec.rate, "priority": spec.priority, **facts}

    def progress(self) -> dict[str, Any]:
        """How the current or the last run goes; cheap, and may be asked from another thread.

        Returns:
            tick (the next one), tick_rate, seconds (of running), deadline_misses, restarts, errors, messages_dropped,
            late_releases, recorded_bytes, recorded_lost (messages), recorder_backlog (bytes) and recording_ended (whether
            the recorder has given up).
        """
        engine, running = self._engine, self._state == "running"
        if engine is not None and hasattr(engine, "control"):
            self._counted = graph_counters(engine.control, engine.layout)
        seconds = self._ran_seconds + (time.monotonic() - self._running_since if running else 0.0)
        return {"tick": self.current_tick(), "tick_rate": self._graph_rate, "seconds": seconds, **self._counted}

    def check(self) -> tuple[Graph, Placement]:
        """Checks what would run, as far as that goes without running it.

        Returns:
            The graph, and where its nodes would run.

        Raises:
            EmptyGraph, TopicConflict, InvalidValue: the graph is not sound.
            UnshippableCallable: a callback cannot go to its process.
        """
        rate = self._replaying.tick_rate or self._given_rate
        graph = build_graph(self._replaying.specs([node.spec for node in self._nodes.values()]), rate)
        for name, node in self._nodes.items():
            if self._execution == "process":
                dump_callbacks(name, node.callbacks)
        return graph, self._placement(graph)

    def _spec(self, node_name: str) -> NodeSpec:
        if node_name in self._nodes:
            return self._nodes[node_name].spec
        if node_name in self._replaying.nodes:
            return self._replaying.nodes[node_name][1]
        raise UnknownNode("the scheduler", node_name, tuple(self.get_node_names()))

    def set_node_rate(self, node_name: str, rate: float) -> Scheduler:
        """Sets a node's rate in Hz, before it runs."""
        self._must_be_idle("cannot change a rate")
        self._spec(node_name)
        if node_name not in self._nodes:
            raise InvalidValue(
                f"node {node_name!r}", "replayed", "a live node; a replayed one keeps its recorded ticks"
            )
        node = self._nodes[node_name]
        node.spec = replace(node.spec, rate=checked_rate(f"node {node_name!r}: rate", rate))
        return self

    def set_tick_budget(self, node_name: str, budget_us: float) -> Scheduler:
        """Sets a node's budget in microseconds, before it runs."""
        self._must_be_idle("cannot change a budget")
        self._spec(node_name)
        budget = positive_number(f"node {node_name!r}: budget", budget_us, "(microseconds)") * 1e-6
        if node_name in self._nodes:
            node = self._nodes[node_name]
            node.spec = replace(node.spec, budget=budget)
        return self

    def add_critical_node(self, node_name: str, timeout_ms: float) -> Scheduler:
        """Marks a node as one that the robot must not be without.

        If it crashes, or is stuck for `timeout_ms`, safe mode begins; if it cannot be brought back, the graph ends.

        Args:
            node_name: a live node.
            timeout_ms: milliseconds.

        Raises:
            UnknownNode: there is no such node.
        """
        self._must_be_idle("cannot mark a node as critical")
        self._spec(node_name)
        seconds = positive_number(f"node {node_name!r}: critical timeout", timeout_ms, "(milliseconds)") / 1e3
        if node_name in self._nodes:
            self._nodes[node_name].spec = replace(self._nodes[node_name].spec, critical=seconds)
        return self

    def enter_safe_mode(self, reason: str = "asked for") -> Scheduler:
        """Runs every node's ``safe_state`` in the next tick; call it while the graph runs, from another thread.

        Raises:
            SchedulerBusy: it does not run.
        """
        if self._engine is None:
            raise SchedulerBusy("cannot enter safe mode", self._state)
        self._engine.enter_safe_mode(reason)
        return self

    def safety_stats(self) -> dict[str, Any]:
        """Deadline misses, budget overruns, restarts, errors and late releases of the whole graph, and whether each is 0."""
        nodes = self.get_all_nodes()
        totals = {
            key: sum(node[key] for node in nodes)
            for key in ("deadline_misses", "budget_overruns", "restarts", "errors_count", "messages_dropped")
        }
        return {
            "state": self._state,
            **totals,
            "safe_mode_since": self._totals.get("safe_mode", -1),
            "late_releases": self._totals.get("slips", 0),
            "health": {
                node["name"]: "ok" if not node["errors_count"] + node["deadline_misses"] else "degraded"
                for node in nodes
            },
        }

    def capabilities(self) -> dict[str, Any]:
        """What this machine grants: cores, real-time priority, memory lock, shared memory."""
        from horus_core.processes.machine import capabilities

        return capabilities()

    def has_full_rt(self) -> bool:
        """Whether real-time priority and memory lock are both granted."""
        found = self.capabilities()
        return bool(found["realtime_priority"] and found["memory_lock"])

    def degradations(self) -> list[str]:
        """What was asked for and not granted in the current or the last run, one line each."""
        return list(self._engine.degradations) if self._engine is not None else list(self._degraded)

    # Recordings.

    def stop_recording(self) -> list[str]:
        """The files of the recording, closed, the ``scheduler@...`` file first. Ends a run that is only stepping.

        Returns:
            An empty list, and one warning that says why, if nothing was recorded.
        """
        if self._state == "running":
            raise SchedulerBusy("cannot stop the recording", "running; it ends with the run, or call stop() first")
        self._finish()
        if not self._wanted_session():
            _log.warning("stop_recording() is empty: recording=True was not set in Scheduler(...)")
            return []
        if not self._paths:
            _log.warning("stop_recording() is empty: the scheduler did not run; call run(duration=...) before it")
            return []
        return list(self._paths)

    def save_blackbox(self, name: str | None = None) -> str:
        """Saves what the flight recorder holds now as a session.

        Args:
            name: the session's name; None: ``blackbox_``, the graph's name and the date.

        Returns:
            The session's folder.

        Raises:
            SchedulerBusy: there is no flight recorder (``blackbox_mb=0``), or the graph does not run.
        """
        from horus_core.recording.keeping.blackbox import save_blackbox

        if not isinstance(self._engine, Supervisor) or self._engine.blackbox is None:
            state = "without one (set blackbox_mb=)" if not self._blackbox_mb else self._state
            raise SchedulerBusy("cannot save the flight recorder", state)
        folder = save_blackbox(self._engine.blackbox, name)
        if folder is None:
            raise SchedulerBusy("cannot save the flight recorder", "just starting; nothing is recorded yet")
        return str(folder)

    def list_recordings(self) -> list[str]:
        """The names of all recorded sessions.

        Returns:
            An empty list, and one warning that says why, without ``recording=True``.
        """
        if not self._wanted_session():
            _log.warning("list_recordings() is empty: recording=True was not set in Scheduler(...)")
            return []
        return sessions.session_names()

    def delete_recording(self, name: str) -> bool:
        """Deletes a session. Returns whether there was one; raises InvalidValue for what cannot be a name."""
        from horus_core.recording.keeping.sessions import delete_session

        return delete_session(name)

    def _must_be_idle(self, what: str) -> None:
        if self._engine is not None:
            raise SchedulerBusy(what, f"{self._state}; do it before the first tick, or after stop()")

    def _take_snapshot(self) -> None:
        """Keeps the counters, which go with the processes."""
        engine = self._engine
        if engine is None or not hasattr(engine, "control"):
            return
        control, layout = engine.control, engine.layout
        self._totals = {
            "slips": int(control[H_SLIPS]),
            "safe_mode": int(control[H_SAFE_MODE]) - 1,
            "stop_asked": int(control[H_STOP_ASKED]),
        }
        self._degraded = list(engine.degradations)
        for position, node in enumerate(engine.plan.graph.nodes):
            counters = node_counters(control, layout, position)
            self._snapshot[node.name] = {**counters, "core": engine.plan.placement.nodes[position]}


def _stop(scheduler: weakref.ref[Scheduler]) -> None:
    """At the end of the script."""
    found = scheduler()
    if found is not None:
        found._finish()


def _count(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue(what, repr(value), "a whole number, 0 or more")
    return value


def _script() -> str:
    """The path of the script that runs, '' if there is none (an interactive session)."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    return os.path.abspath(path) if path else ""


def run(
    *nodes: Node,
    duration: float | None = None,
    tick_rate: float = DEFAULT_TICK_RATE,
    rt: bool = False,
    deterministic: bool = False,
    watchdog_ms: float = 0,
    blackbox_mb: int = 0,
    recording: bool | str | Recording = False,
    name: str | None = None,
    cores: Sequence[int] | None = None,
    max_deadline_misses: int | None = None,
    verbose: bool = False,
    execution: str | None = None,
    pace: bool = True,
    seed: int = 0,
) -> None:
    """Runs `nodes`, with a scheduler made of the other arguments, see :class:`Scheduler`.

    Args:
        nodes: in execution order where `order` does not say.
        duration: seconds; None for until Ctrl-C.

    Example:
        >>> run(Node(name="once", tick=lambda: None, rate=10), duration=0.1, execution="inline")
    """
    scheduler = Scheduler(
        tick_rate=tick_rate,
        rt=rt,
        deterministic=deterministic,
        watchdog_ms=watchdog_ms,
        blackbox_mb=blackbox_mb,
        recording=recording,
        name=name,
        cores=cores,
        max_deadline_misses=max_deadline_misses,
        verbose=verbose,
        execution=execution,
        pace=pace,
        seed=seed,
    )
    for node in nodes:
        scheduler.add(node)
    scheduler.run(duration=duration)
