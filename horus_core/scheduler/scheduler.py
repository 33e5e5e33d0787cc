"""``Scheduler`` and ``run``: what a script calls."""

from __future__ import annotations

import atexit
import os
import shutil
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from horus_core.errors import SchedulerBusy
from horus_core.execution.engine import Engine, StartStopped
from horus_core.execution.inline import Inline
from horus_core.execution.supervisor import Supervisor
from horus_core.graph.checks import positive_number
from horus_core.graph.node import Node, attached_node, checked_rate
from horus_core.graph.schedule import tick_count
from horus_core.memory.control import H_STOP_ASKED
from horus_core.recording.keeping.sessions import let_go_of_started
from horus_core.recording.writing.options import Recording
from horus_core.scheduler import launch as launching
from horus_core.scheduler.composition import Composition
from horus_core.scheduler.inquiry import Inquiry
from horus_core.scheduler.interruption import Interrupted, Interruption
from horus_core.scheduler.planning import make_plan
from horus_core.scheduler.recordings import Recordings
from horus_core.scheduler.replay_control import ReplayControl
from horus_core.scheduler.run_state import RunState
from horus_core.scheduler.settings import DEFAULT_TICK_RATE, Options, Settings
from horus_core.scheduler.statistics import released

__all__ = ["Interrupted", "Scheduler", "run"]


class Scheduler(Composition, ReplayControl, Inquiry, Recordings):
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
        super().__init__(
            Settings.of(
                {
                    "tick_rate": tick_rate,
                    "rt": rt,
                    "deterministic": deterministic,
                    "blackbox_mb": blackbox_mb,
                    "watchdog_ms": watchdog_ms,
                    "recording": recording,
                    "recording_overflow": recording_overflow,
                    "name": name,
                    "cores": cores,
                    "max_deadline_misses": max_deadline_misses,
                    "verbose": verbose,
                    "execution": execution,
                    "pace": pace,
                    "seed": seed,
                }
            )
        )
        self._interruption = Interruption(self._run)

    def __repr__(self) -> str:
        nodes = ", ".join(self.get_node_names()) or "none"
        return f"Scheduler({self._settings.name!r}, {self._run.state.value}, nodes: {nodes})"

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

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
        if self._run.running:
            raise SchedulerBusy("cannot run", "running already; one run at a time, or another Scheduler")
        launch = self._apply_launch()
        if launch is not None and launch.duration is not None:
            duration = launch.duration
        ticks = None if duration is None else self._ticks_of(duration)
        with self._interruption.at_work():
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
        self._interruption.raise_if_any(bool(self._statistics.graph_rate))

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
        if self._run.running:
            raise SchedulerBusy("cannot tick", "running already")
        if self._run.engine is None:
            self._apply_launch()
        with self._interruption.at_work():
            done = False
            try:
                engine = self._ensure_engine(stepping=True)
                self._advance(engine, ticks, paced)
                done = not self._run.stop_asked
            except StartStopped:
                pass
            finally:
                if not done:
                    self._finish()
        self._interruption.raise_if_any(bool(self._statistics.graph_rate))

    def _advance(self, engine: Engine, ticks: int | None, paced: bool = True) -> None:
        run = self._run
        last = None if ticks is None else run.next_tick + ticks - 1
        end = self._replaying.last_tick
        if end is not None and not self._replaying.loop:
            last = end if last is None else min(last, end)
        rate = engine.plan.graph.tick_rate
        self._pace.period_ns = self._replaying.period_ns(rate, self._settings.paced) if paced else 0.0
        self._statistics.begin(engine)
        run.to(RunState.RUNNING)
        try:
            engine.run(last, self._pace)
        finally:
            run.to(RunState.STEPPING)
            ended_early = engine.stopping or engine.control[H_STOP_ASKED]
            run.next_tick = (released(engine) if last is None or ended_early else last) + 1
            self._statistics.pause(engine)

    def _ensure_engine(self, stepping: bool) -> Engine:
        run = self._run
        if run.engine is not None:
            return run.engine
        plan = make_plan(self._settings, self._nodes, self._replaying, stepping)
        engine: Engine = Inline(plan, self._handles()) if self._settings.execution == "inline" else Supervisor(plan)
        run.engine, run.next_tick, run.paths = engine, plan.options.start, []
        self._statistics.graph_rate = 0.0
        engine.stopping = run.stop_asked
        if stepping:  # a script may end without stop()
            atexit.register(_stop, weakref.ref(self))
        try:
            engine.start()
        except BaseException:
            if plan.recording is not None and plan.recording.session is not None:
                # A graph that did not start leaves no session behind.
                shutil.rmtree(plan.recording.session, ignore_errors=True)
            raise
        finally:
            let_go_of_started()
        run.paths = list(engine.paths)
        return engine

    def _handles(self) -> dict[str, Node]:
        return {**{name: attached_node(name) for name in self._replaying.nodes}, **self._nodes}

    def stop(self) -> None:
        """Ends the graph: every node's ``shutdown`` runs, the recording is closed. From another thread it asks for that."""
        if self._run.must_be_asked:
            self._run.ask_to_stop()
        else:
            self._finish()

    def enter_safe_mode(self, reason: str = "asked for") -> Scheduler:
        """Runs every node's ``safe_state`` in the next tick; call it while the graph runs, from another thread.

        Raises:
            SchedulerBusy: it does not run.
        """
        if self._run.engine is None:
            raise SchedulerBusy("cannot enter safe mode", self._run.state.value)
        self._run.engine.safe_mode.enter(reason)
        return self

    def _apply_launch(self) -> launching.Launch | None:
        """Takes what ``horus run`` set for this run."""
        launch, settings = launching.take(), self._settings
        if launch is None:
            return None
        settings.name = launch.name or settings.name
        if launch.record is not None:
            settings.launched, settings.overwrite = launch.record, launch.overwrite
        if launch.record_topics is not None or launch.record_exclude:
            settings.how = replace(
                settings.how, record_topics=launch.record_topics, record_exclude=launch.record_exclude
            )
        if launch.lockstep:
            settings.deterministic, settings.paced = True, launch.pace
        if launch.tick_rate is not None:
            settings.tick_rate = checked_rate("the tick rate", launch.tick_rate)
        settings.execution = launch.execution or settings.execution
        settings.output = launch.output or settings.output
        for name, changes in launch.nodes.items():
            self._spec(name)
            if name in self._nodes:
                self._nodes[name].spec = replace(self._nodes[name].spec, **changes)
        if launch.capture:
            raise launching.Captured(self)
        return launch

    def _ticks_of(self, duration: Any) -> int:
        seconds = positive_number("the duration", duration, "(seconds)")
        if self._replaying.tick_rate is not None:
            return tick_count(seconds, self._replaying.tick_rate)
        rates = [node.spec.rate for node in self._nodes.values() if node.spec.on is None]
        return tick_count(seconds, max([self._settings.tick_rate, *rates]))


def _stop(scheduler: weakref.ref[Scheduler]) -> None:
    """At the end of the script."""
    found = scheduler()
    if found is not None:
        found._finish()


def run(*nodes: Node, duration: float | None = None, **options: Unpack[Options]) -> None:
    """Runs `nodes`, with a scheduler made of the other arguments, see :class:`Scheduler`.

    Args:
        nodes: in execution order where `order` does not say.
        duration: seconds; None for until Ctrl-C.
        options: the arguments of :class:`Scheduler`.

    Raises:
        TypeError: there is no such argument.
        EmptyGraph, StartFailed, NodeFailed, Interrupted: see :meth:`Scheduler.run`.

    Example:
        >>> run(Node(name="once", tick=lambda: None, rate=10), duration=0.1, execution="inline")
    """
    scheduler = Scheduler(**options)
    for node in nodes:
        scheduler.add(node)
    scheduler.run(duration=duration)
