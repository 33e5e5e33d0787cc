"""The same recorded inputs give the same outputs: random graphs, run, replayed, injected node by node, and from the middle.

    python -m tests.exactness --seconds 60          # one line per graph that differs, exit code 1 if any does
    python -m tests.exactness --graphs 1000 --seed 3

A graph is drawn from a number, so a failure is found again by its number. Nodes hear, send, greet in ``init``, compute, run on
a topic, hear themselves, fail and are restarted, read side inputs, latch topics and have little room. Most graphs run inline,
which is fast; some in processes in real time, with nodes that are late and messages from outside.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import horus
from horus import Node, NotRunning, Pub, Restart, Scheduler, Topic
from horus_core.recording.keeping.sessions import find_session

TOPICS = ("a", "b", "c", "d")
OUTSIDE = "o"
RATE, SECONDS = 200, 0.4


@dataclass(frozen=True)
class Drawn:
    """A node. `fails` and `late` are ticks; `order` as in :class:`Node`."""

    name: str
    rate: int
    pubs: tuple[str, ...]
    subs: tuple[str, ...]
    order: int = 0
    compute: bool = False
    on: str | None = None
    latest: bool = False
    burst: int = 1
    greets: bool = False
    capacity: int = 1024
    samples: bool = False
    latches: bool = False
    fails: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()


@dataclass
class Case:
    """A graph, and how it runs."""

    number: int
    nodes: list[Drawn]
    real_time: bool
    execution: str = field(init=False)

    def __post_init__(self) -> None:
        self.execution = "process" if self.real_time else "inline"


def drawn(number: int, real_time: bool) -> Case:
    """The graph with this number."""
    pick = random.Random(number)
    nodes = []
    for at in range(pick.randint(2, 6)):
        pubs = tuple(sorted(pick.sample(TOPICS, pick.randint(0, 2))))
        subs = tuple(sorted(pick.sample((*TOPICS, OUTSIDE), pick.randint(0, 3))))
        kind = pick.choice(["plain", "plain", "plain", "compute", "on"])
        ticks = range(2, int(RATE * SECONDS) - 2)
        nodes.append(
            Drawn(
                f"n{at}",
                pick.choice([200, 200, 100, 67, 30]),
                pubs,
                subs,
                pick.choice([0, 0, 0, 1, -1]),
                kind == "compute",
                pick.choice(subs) if kind == "on" and subs else None,
                pick.random() < 0.3,
                pick.choice([1, 1, 0, 2]),
                pick.random() < 0.4,
                pick.choice([1024, 1024, 3, 1]),
                pick.random() < 0.3,
                pick.random() < 0.2,
                frozenset(pick.sample(ticks, 2)) if pick.random() < 0.25 else frozenset(),
                frozenset(pick.sample(ticks, 3)) if real_time and pick.random() < 0.4 else frozenset(),
            )
        )
    return Case(number, nodes, real_time)


def node_of(spec: Drawn, live: bool) -> Node:
    """The node; `live`: it may be late, and its side inputs are read."""

    def mix(state: dict[str, int], *values: Any) -> int:
        for value in values:
            for byte in repr(value).encode():
                state["hash"] = (state["hash"] * 1_000_003 ^ byte) & 0xFFFF_FFFF
        return state["hash"]

    def read() -> float:
        assert live, "a side input was read in a replay"
        return random.random()

    def init(node: Node) -> None:
        node.state = {"hash": 7}
        mix(node.state, spec.name, horus.tick())
        if spec.samples:
            mix(node.state, node.sample("side", read))
        if spec.greets:
            for topic in spec.pubs:
                node.send(topic, [spec.name, "hello", node.state["hash"]])

    def tick(node: Node) -> None:
        state = node.state
        for topic in spec.subs:
            heard = [node.latest(topic)] if spec.latest else node.recv_all(topic)
            mix(state, topic, heard, horus.restarted(topic) if topic != OUTSIDE else None)
        mix(state, horus.tick(), round(horus.rng_float(), 12))
        if spec.samples:
            mix(state, node.sample("side", read))
        for topic in spec.pubs:
            for number in range(spec.burst):
                node.send(topic, [spec.name, number, mix(state, number)])
        if horus.tick() in spec.fails:
            raise RuntimeError(f"as drawn, in tick {horus.tick()}")
        if live and horus.tick() in spec.late:
            time.sleep(1.7 / spec.rate)

    return Node(
        name=spec.name,
        tick=tick,
        init=init,
        rate=spec.rate,
        pubs=[Pub(topic, latch=spec.latches, capacity=spec.capacity) for topic in spec.pubs],
        subs=list(spec.subs),
        order=spec.order,
        compute=spec.compute,
        on=spec.on,
        failure_policy=Restart(times=50, window=1000.0, first=0.0, most=0.0),
        default_capacity=spec.capacity,
        samples=["side"] if spec.samples else [],
    )


def speak(name: str, over: threading.Event) -> None:
    """Sends from outside until the graph has ended."""
    number = 0
    while not over.wait(0.013):
        try:
            number += 1
            Topic(OUTSIDE, graph=name).send(number)
        except (NotRunning, horus.HorusError):
            continue


def recorded(case: Case, name: str) -> Scheduler:
    """Runs the graph live, and records it."""
    real = case.real_time
    scheduler = Scheduler(
        tick_rate=RATE,
        recording=name,
        execution=case.execution,
        deterministic=not real,
        pace=real,
        name=name,
        seed=case.number,
    )
    for spec in case.nodes:
        scheduler.add(node_of(spec, live=True))
    over = threading.Event()
    speaker = threading.Thread(target=speak, args=(name, over)) if real else None
    if speaker is not None:
        speaker.start()
    try:
        scheduler.run(duration=SECONDS)
    finally:
        over.set()
        if speaker is not None:
            speaker.join()
    return scheduler


def replayed(session: str, name: str, case: Case, live: list[Drawn], start: int | None, execution: str) -> None:
    """Replays `session` with the nodes `live` live, and records it."""
    scheduler = Scheduler.replay_from(find_session(session).folder, recording=name, execution=execution, name=name)
    for spec in live:
        scheduler.add(node_of(spec, live=False))
    if start is not None:
        scheduler.start_at_tick(start)
    scheduler.set_replay_speed(0)
    scheduler.run()


Row = tuple[int, int, str, int, int, bytes]


def messages(session: str, names: list[str], first: int = 0) -> dict[str, list[Row]]:
    """What each node sent from tick `first` on: tick, visible, topic, sequence, encoding, payload."""
    found: dict[str, list[Row]] = {}
    opened = find_session(session)
    for name in names:
        rows: list[Row] = []
        for file in opened.node_files(name):
            for batch in file.batches():
                columns = [
                    batch.column(each).to_pylist()
                    for each in ("tick", "visible", "topic", "sequence", "encoding", "payload")
                ]
                rows += [row for row in zip(*columns, strict=True) if row[0] >= first]
        found[name] = sorted(rows, key=lambda row: (row[2], row[3]))
    return found


def ran(session: str, real_time: bool, first: int = 0) -> list[tuple[Any, ...]]:
    """The tick rows: tick, node, visible, and what was dropped.

    In real time, what was pushed out while a process was down is not to be had again, so that is left out.
    """
    rows: list[tuple[Any, ...]] = []
    told = ("tick", "node", "visible") if real_time else ("tick", "node", "visible", "dropped")
    for batch in find_session(session).batches("scheduler", []):
        columns = [batch.column(each).to_pylist() for each in told]
        rows += [row for row in zip(*columns, strict=True) if row[0] >= first]
    return sorted(rows, key=lambda row: row[:2])


def differences(case: Case) -> Iterator[str]:
    """What is not as it was, in words."""
    name = f"g{case.number}"
    recorded(case, name)
    names = [spec.name for spec in case.nodes]
    then, rows = messages(name, names), ran(name, case.real_time)
    middle = int(RATE * SECONDS) // 2 + 3
    other = "process" if case.real_time and case.number % 2 else "inline"
    runs: list[tuple[str, str, list[Drawn], int | None]] = [("full", name, [], None)]
    runs += [(f"inject-{spec.name}", name, [spec], None) for spec in case.nodes]
    runs += [("all", name, case.nodes, None), ("middle", name, case.nodes[:2], middle)]
    runs += [("second", f"{name}-all", case.nodes[-1:], None), ("third", f"{name}-second", case.nodes[:1], middle)]
    for label, source, live, start in runs:
        again = f"{name}-{label}"
        replayed(source, again, case, live, start, other)
        now = messages(again, names)
        for each in names:
            before = [row for row in then[each] if start is None or row[0] >= start]
            if now[each] != before:
                yield f"{label}: {each} sent {first_difference(before, now[each])}"
        mine = {spec.name for spec in live}
        ticks = [row for row in rows if (start is None or row[0] >= start) and row[1] in mine]
        if (found := [row for row in ran(again, case.real_time) if row[1] in mine]) != ticks:
            yield f"{label}: ticks {first_difference(ticks, found)}"


def first_difference(before: list[Any], now: list[Any]) -> str:
    for one, other in zip(before, now, strict=False):
        if one != other:
            return f"{other} instead of {one}"
    return f"{len(now)} rows instead of {len(before)}"


class recordings_in:
    """Recordings go into a folder of their own."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = str(folder)

    def __enter__(self) -> None:
        import os

        self._before = os.environ.get("HORUS_RECORDINGS")
        os.environ["HORUS_RECORDINGS"] = self._folder

    def __exit__(self, *_: object) -> None:
        import os

        if self._before is None:
            del os.environ["HORUS_RECORDINGS"]
        else:
            os.environ["HORUS_RECORDINGS"] = self._before


def check(number: int, real_time: bool) -> list[str]:
    """The differences of one graph."""
    with tempfile.TemporaryDirectory() as folder, recordings_in(folder):
        return list(differences(drawn(number, real_time)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=1 << 30, help="how many graphs")
    parser.add_argument("--seconds", type=float, default=1e9, help="for how long, in seconds")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first graph")
    parser.add_argument("--real-time", type=int, default=10, help="one graph in so many runs in real time; 0: none")
    given = parser.parse_args()
    logging.getLogger("horus").setLevel(logging.CRITICAL)
    began, wrong, number = time.monotonic(), 0, given.seed
    while number < given.seed + given.graphs and time.monotonic() - began < given.seconds:
        real = bool(given.real_time) and number % given.real_time == given.real_time - 1
        found = check(number, real)
        if found:
            wrong += 1
            print(
                f"graph {number} ({'real time' if real else 'lockstep'}): {found[0]} (and {len(found) - 1} more)",
                flush=True,
            )
        number += 1
    print(f"{number - given.seed} graphs in {time.monotonic() - began:.0f} s, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
