"""Kills processes of a recorded graph at random, again and again, and looks at what holds.

``python -m benchmarks soak`` runs it long, tests/faults/test_soak.py short. The graph has six nodes that are restarted;
one of its processes at a time, the recorder included, gets SIGKILL or SIGSEGV, or stands still for a while.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import horus
from horus import Node, Restart, Scheduler
from horus_core.memory import graphs_in_memory

RATE = 200
_AGAIN: dict[str, Any] = {"rate": RATE, "failure_policy": Restart(times=1_000_000, first=0.01, most=0.05)}


@dataclass
class Outcome:
    """What a soak left.

    Attributes:
        kills: how many of each kind were given.
        ticks: how many the graph released.
        missing, repeated: recorded messages, by their sequences.
        unreadable: damaged places in the recording other than a file cut short.
        left: graphs that have ended and are still in /dev/shm, and processes.
        descriptors: growth of this process's open files.
        memory_mb: growth of this process's memory.
        problem: how the run ended, if not as asked.
    """

    kills: dict[str, int] = field(default_factory=dict)
    ticks: int = 0
    missing: int = 0
    repeated: int = 0
    unreadable: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    descriptors: int = 0
    memory_mb: float = 0.0
    problem: str = ""


def _source(node: Node) -> None:
    node.send("x", horus.tick())


def _left(node: Node) -> None:
    for message in node.recv_all("x"):
        node.send("left", message)


def _right(node: Node) -> None:
    for message in node.recv_all("x"):
        node.send("right", message)


def _join(node: Node) -> None:
    node.send("joined", [len(node.recv_all("left")), len(node.recv_all("right"))])


def _control(node: Node) -> None:
    node.recv_all("joined")
    node.send("command", horus.tick())


def _drive(node: Node) -> None:
    node.recv_all("command")


def graph(deterministic: bool) -> Scheduler:
    """The graph that is soaked."""
    scheduler = Scheduler(
        tick_rate=RATE, deterministic=deterministic, recording="soak_{date}", name="soak", watchdog_ms=500
    )
    scheduler.add(Node("source", _source, pubs="x", **_AGAIN))
    scheduler.add(Node("left", _left, subs="x", pubs="left", **_AGAIN))
    scheduler.add(Node("right", _right, subs="x", pubs="right", **_AGAIN))
    scheduler.add(Node("join", _join, subs=["left", "right"], pubs="joined", **_AGAIN))
    scheduler.add(Node("control", _control, subs="joined", pubs="command", **_AGAIN))
    return scheduler.add(Node("drive", _drive, subs="command", **_AGAIN))


class Killer(threading.Thread):
    """Kills `kills` times, then stops the graph."""

    def __init__(self, scheduler: Scheduler, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._scheduler, self._left, self._chance = scheduler, kills, random.Random(seed)
        self.given: dict[str, int] = {}

    def run(self) -> None:
        while not self._scheduler.is_running():
            time.sleep(0.005)
        while self._left and self._scheduler.is_running():
            time.sleep(self._chance.uniform(0.01, 0.12))
            children = psutil.Process().children()
            if children:
                self._harm(
                    self._chance.choice(children), self._chance.choice(["SIGKILL", "SIGKILL", "SIGSEGV", "SIGSTOP"])
                )
        self._scheduler.stop()

    def _harm(self, process: psutil.Process, how: str) -> None:
        try:
            process.send_signal(getattr(signal, how))
            if how == "SIGSTOP":
                time.sleep(self._chance.uniform(0.01, 0.2))
                process.send_signal(signal.SIGCONT)
        except psutil.Error:
            return
        self._left -= 1
        self.given[how] = self.given.get(how, 0) + 1


def soak(kills: int, seed: int, deterministic: bool = False, seconds: float = 3600.0) -> Outcome:
    """Kills `kills` times and reports.

    Args:
        kills: how often.
        seed: of whom, how and when.
        deterministic: in lockstep instead of real time.
        seconds: the graph ends after so many, killed enough or not.
    """
    outcome = Outcome()
    names, descriptors, memory = _names(), _descriptors(), _memory()
    scheduler = graph(deterministic)
    killer = Killer(scheduler, kills, seed)
    killer.start()
    try:
        scheduler.run(duration=seconds)
    except horus.HorusError as problem:
        outcome.problem = str(problem).splitlines()[0]
    killer.join(10)
    outcome.kills, outcome.ticks = killer.given, scheduler.current_tick()
    _judge(outcome, Path(scheduler.stop_recording()[0]).parent)
    outcome.left = sorted(_names() - names) + [str(each.pid) for each in psutil.Process().children(recursive=True)]
    del scheduler, killer
    gc.collect()  # the maps of a graph that has ended go with its objects
    outcome.descriptors, outcome.memory_mb = _descriptors() - descriptors, _memory() - memory
    return outcome


def _judge(outcome: Outcome, folder: Path) -> None:
    from horus_core.recording.reader import Session

    session = Session(folder)
    for node in session.nodes:
        seen: dict[str, list[int]] = {}
        for file in session.node_files(node):
            for batch in file.batches():
                columns = (batch.column("topic").to_pylist(), batch.column("sequence").to_pylist())
                for topic, sequence in zip(*columns, strict=True):
                    seen.setdefault(topic, []).append(sequence)
            outcome.unreadable += [each.what for each in file.damage if "not closed" not in each.what]
        for sequences in seen.values():
            outcome.repeated += len(sequences) - len(set(sequences))
            outcome.missing += max(sequences) + 1 - len(set(sequences))


def _names() -> set[str]:
    """What graphs that have ended left in /dev/shm."""
    return {graph for graph, alive in graphs_in_memory().items() if not alive}


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
