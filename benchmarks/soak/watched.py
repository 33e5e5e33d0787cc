"""A graph that runs in another process, as it is seen from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak.graph import POLICIES
from horus_core.inspection.counters import node_counters
from horus_core.inspection.running_graphs import running_graphs
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import H_RELEASED

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds for anything to get into the state that it must be in, on a machine that has other work
SUPERVISOR, RECORDER = "supervisor", "recorder"
_TOKEN = "HORUS_SOAK"


class NotSo(Exception):
    """Something did not come about in its time. Args: what."""


def wait(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `condition` returns, once that is true; raises NotSo."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise NotSo(f"not within {seconds:g} s: {what}")
        time.sleep(0.005)
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is not just waiting to be forgotten."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class Watched:
    """Starts a graph, and returns when it runs.

    Attributes:
        id: the graph's, in /dev/shm.
        process: its supervisor.
    """

    def __init__(self, session: str, lockstep: bool) -> None:
        self.session = session
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak.graph", session, str(int(lockstep))],
            cwd=ROOT,
            env={**os.environ, _TOKEN: session},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is ours
        )
        try:
            graph = wait(self._announced, "the graph to start")
            self._attached = Attachment(graph, read_only=True)
        except BaseException:
            self.end()
            raise
        self.id = graph.id

    def _announced(self) -> Any:
        if self.process.poll() is not None:
            raise NotSo(f"the graph to start; it ended: {self.said()}")
        return next((graph for graph in running_graphs() if graph.pid == self.process.pid), None)

    def said(self) -> str:
        """The last line of what it said; it must have ended."""
        _, said = self.process.communicate(timeout=PATIENCE)
        lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""

    @property
    def tick(self) -> int:
        """The last that was released."""
        return int(self._attached.control[H_RELEASED])

    def node(self, name: str) -> dict[str, Any]:
        """The counters of a node."""
        return node_counters(self._attached.control, self._attached.layout, list(POLICIES).index(name))

    def pid(self, who: str) -> int:
        """The id of a process of the graph; 0 if there is none now."""
        if who == SUPERVISOR:
            return self.process.pid
        if who in POLICIES:
            return int(self.node(who)["pid"])
        return next((pid for pid, title in self._titles() if title.startswith("horus:recorder")), 0)

    def _titles(self) -> list[tuple[int, str]]:
        found = []
        try:
            there = psutil.Process(self.process.pid).children()
        except psutil.Error:
            return []
        for child in there:
            with contextlib.suppress(psutil.Error, IndexError):
                found.append((child.pid, child.cmdline()[0]))
        return found

    def left(self) -> list[int]:
        """Processes that belong to it: all that inherited its environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_TOKEN) == self.session and alive(process.pid):
                    found.append(process.pid)
        return found

    def end(self) -> None:
        """Kills whatever is left of it."""
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            self.process.communicate(timeout=PATIENCE)


def names_of(graph: str) -> list[str]:
    """What a graph has in /dev/shm."""
    return sorted(name for name in os.listdir("/dev/shm") if graph in name)
