"""The life of one graph under kills, and one such life after the other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable

import psutil

from benchmarks.soak.graph import LANES, POLICIES
from benchmarks.soak.harm import Harm, Hit
from benchmarks.soak.judge import judge
from benchmarks.soak.outcome import Outcome
from benchmarks.soak.watched import RECORDER, SUPERVISOR, NotSo, Watched, alive, names_of, wait
from horus_core.errors import HorusError
from horus_core.memory.shared import sweep
from horus_core.recording.keeping.sessions import recordings_folder

_DESCRIPTORS_OF_A_NODE = 3  # that its supervisor has open: output, reports, and the process itself
_SIGNALS = {-int(signal.SIGKILL), -int(signal.SIGSEGV)}


class Episode:
    """The life of one graph.

    Args:
        session: what it records.
        lockstep: or real time.
        harm: who is hit.
        outcome: what is found goes there.
    """

    def __init__(self, session: str, lockstep: bool, harm: Harm, outcome: Outcome) -> None:
        self._harm, self._outcome = harm, outcome
        self._session = session
        self._graph = Watched(session, lockstep)
        self._dead: set[str] = set()  # nodes that stay out
        self._killed: dict[str, set[int]] = {name: set() for name in POLICIES}
        self._recorder_killed = self._over = False
        self._last: list[Hit] = []

    def run(self, most: int) -> int:
        """Kills up to `most` times, until the graph has ended. Returns how often it did."""
        given, outcome, graph = 0, self._outcome, self._graph
        outcome.graphs += 1
        try:
            self._runs_on()
            supervisor = psutil.Process(graph.pid(SUPERVISOR))
            files, memory = supervisor.num_fds(), supervisor.memory_full_info().uss
            while given < most and not self._over:
                self._last = self._harm.burst(graph, self._dead, len(self._killed["right"]), most - given)
                for hit in self._last:
                    outcome.given(hit.how, hit.who)
                given += len(self._last)
                self._settle(self._last)
                if not self._over:
                    usual = files - _DESCRIPTORS_OF_A_NODE * len(self._dead) + LANES
                    outcome.descriptors = max(outcome.descriptors, _settled(supervisor, usual) - usual)
                    grown = (supervisor.memory_full_info().uss - memory) / 1e6
                    outcome.memory_mb = max(outcome.memory_mb, grown)
            if not self._over:
                graph.process.terminate()
                self._ends({143}, "stopped by SIGTERM")
            outcome.ticks += graph.tick + 1
            self._judge()
        except (NotSo, HorusError, OSError, psutil.Error) as problem:
            self._problem(str(problem))
        finally:
            graph.end()
        return given

    def _problem(self, what: str) -> None:
        last = ", ".join(f"{hit.who} {hit.how}" for hit in self._last)
        self._outcome.problems.append(f"{self._session}: {what} (after: {last})")

    # What must be true after some kills.

    def _settle(self, hits: list[Hit]) -> None:
        deadly = [hit for hit in hits if hit.deadly]
        for hit in deadly:
            if hit.who == RECORDER:
                self._recorder_killed = True
            elif hit.who in POLICIES:
                self._killed[hit.who].add(hit.pid)
        if any(hit.who == SUPERVISOR for hit in deadly):
            self._ends(_SIGNALS | ({1} if any(hit.who == "drive" for hit in deadly) else set()), "")
        elif any(hit.who == "drive" for hit in deadly):
            self._ends({1}, "node 'drive' was killed by SIG", "killed by its watchdog")
        else:
            for hit in deadly:
                wait(lambda pid=hit.pid: not alive(pid), f"the end of {hit.who}")
                if hit.who == "control":
                    self._dead.add(hit.who)
            self._runs_on()

    def _runs_on(self) -> None:
        """All nodes are ready, but for those that stay out; the recorder is there, and time passes."""
        graph = self._graph
        for name in POLICIES:
            state = "dead" if name in self._dead else "ready"
            self._wait(lambda name=name, state=state: self._is(name, state), f"{name} to be {state}")
        self._wait(lambda: graph.pid(RECORDER), "a recorder")
        tick = graph.tick
        self._wait(lambda: graph.tick >= tick + 4, "ticks")
        for name in POLICIES:
            ran = graph.node(name)["total_ticks"]
            if name not in self._dead:
                self._wait(lambda name=name, ran=ran: graph.node(name)["total_ticks"] > ran, f"{name} to tick")

    def _is(self, name: str, state: str) -> bool:
        node = self._graph.node(name)
        if node["state"] != state or state == "dead":
            return bool(node["state"] == state)
        return node["pid"] not in self._killed[name] and alive(node["pid"])

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        def look() -> object:
            if self._graph.process.poll() is not None:
                raise NotSo(f"{what}; the graph ended with {self._graph.process.returncode}: {self._graph.said()}")
            return condition()

        wait(look, what)

    def _ends(self, codes: set[int], *words: str) -> None:
        """The graph is to end: with one of these codes and some of these last words, and every process of it."""
        graph, self._over = self._graph, True
        wait(lambda: graph.process.poll() is not None, "the supervisor's end")
        said, code = graph.said(), graph.process.returncode
        if code not in codes or (code not in _SIGNALS and not any(each in said for each in words)):
            self._problem(f"it ended with code {code}, not one of {sorted(codes)}, and said: {said}")
        wait(lambda: not graph.left(), "the end of every process")
        if code in _SIGNALS and self._recorder_killed:
            sweep()  # as the next start does; nobody was left to do it before
        if left := names_of(graph.id):
            self._problem(f"it left {', '.join(left)}")

    def _judge(self) -> None:
        folder = recordings_folder() / self._session
        ended_itself = self._graph.process.returncode not in _SIGNALS
        crashes = {name: len(pids) for name, pids in self._killed.items()} if ended_itself else None
        messages, problems = judge(folder, not self._recorder_killed, crashes)
        self._outcome.messages += messages
        for problem in problems:
            self._problem(problem)
        if not problems:
            shutil.rmtree(folder)


def _settled(process: psutil.Process, wanted: int) -> int:
    """How many open files a process has, once they are no more than wanted; it may just be starting another."""
    with contextlib.suppress(NotSo):
        wait(lambda: process.num_fds() <= wanted, "fewer open files", 2.0)
    return int(process.num_fds())


def soak(
    kills: int, seed: int, lockstep: bool = False, ending: float = 0.05, tell: Callable[[str], None] = print
) -> Outcome:
    """Kills `kills` times and reports.

    Args:
        kills: how often.
        seed: of whom, how and when.
        lockstep: instead of real time.
        ending: the chance of each hit that the graph must end of it.
        tell: gets a line for each graph.
    """
    outcome, harm, given = Outcome(), Harm(seed, ending), 0
    while given < kills:
        name = f"soak_{os.getpid()}_{'lockstep' if lockstep else 'time'}_{outcome.graphs}"
        try:
            here = Episode(name, lockstep, harm, outcome).run(kills - given)
        except NotSo as problem:
            here = 0
            outcome.problems.append(f"{name}: {problem}")
        given += here
        tell(f"{name}: {here} kills, {given} of {kills}; {len(outcome.problems)} problems")
        if len(outcome.problems) > 20:
            break
    return outcome
