"""Makes recordings of a given length, and times the tools that read them; each in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.runners import report
from benchmarks.runners.children import PeakMemory
from horus import Node, Recording, Scheduler

PER_TICK = 100  # messages of the sensor in each tick


@click.command()
@click.argument("tool", type=click.Choice(["record", "export", "diff", "list", "info", "replay"]))
@click.option("--folder", required=True, help="Where the recordings are.")
@click.option("--session", default="long")
@click.option("--other", default="other")
@click.option("--messages", default=1_000_000)
@click.option("--shift", default=0.0, help="Added to every hundredth message, so that it differs.")
def main(tool: str, folder: str, session: str, other: str, messages: int, shift: float) -> None:
    """Prints the seconds that it took, and the most memory that it held."""
    os.environ["HORUS_RECORDINGS"] = folder
    work: dict[str, tuple[str, Callable[[], float]]] = {
        "record": ("horus:recorder", lambda: _record(session, messages, shift)),
        "export": ("", lambda: _export(session, Path(folder), messages)),
        "diff": ("", lambda: _diff(session, other, shift)),
        "list": ("", lambda: _list(session)),
        "info": ("", lambda: _info(session, messages)),
        "replay": ("horus:sensor", lambda: _replay(Path(folder, session))),
    }
    title, function = work[tool]
    with PeakMemory(title) as memory:
        taken = function()
    report([taken], peak_mb=memory.most / 1e6)


def _record(session: str, messages: int, shift: float) -> float:
    def sense(node: Node) -> None:
        value = {"x": 1.5, "y": -2.0, "theta": 0.25, "seq": 0}
        tick, put = node.state.setdefault("tick", 0), node.send
        node.state["tick"] += 1
        for number in range(PER_TICK):
            value["seq"] = tick * PER_TICK + number
            value["x"] = value["seq"] * 0.001 + (shift if number == 0 else 0.0)
            put("reading", value)

    def control(node: Node) -> None:
        readings = node.recv_all("reading")
        node.send("command", {"output": len(readings) * 0.5, "ok": True})

    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, recording=Recording(session, overwrite=True))
    scheduler.add(Node(name="sensor", tick=sense, rate=100, pubs=["reading"]))
    scheduler.add(Node(name="controller", tick=control, rate=100, subs=["reading"], pubs=["command"]))
    start = time.perf_counter()
    scheduler.run(duration=messages / PER_TICK / 100)
    return time.perf_counter() - start


def _export(session: str, folder: Path, messages: int) -> float:
    from horus_core.recording.export import export
    from horus_core.recording.keeping.sessions import find_session

    target = folder / "export.parquet"
    start = time.perf_counter()
    done = export(find_session(session), target)
    taken = time.perf_counter() - start
    target.unlink()
    assert done.rows == messages + messages // PER_TICK, done.rows
    return taken


def _diff(session: str, other: str, shift: float) -> float:
    from horus_core.recording.compare import compare
    from horus_core.recording.keeping.sessions import find_session

    start = time.perf_counter()
    found = compare(find_session(session), find_session(other))
    taken = time.perf_counter() - start
    assert found.equal == (shift == 0.0)
    return taken


def _list(session: str) -> float:
    from horus_core.recording.keeping.listing import list_sessions

    start = time.perf_counter()
    found = list_sessions()
    taken = time.perf_counter() - start
    assert session in [each.name for each in found.sessions]
    return taken


def _info(session: str, messages: int) -> float:
    from horus_core.recording.keeping.sessions import find_session
    from horus_core.recording.reading.summary import summarize

    start = time.perf_counter()
    found = summarize(find_session(session))
    taken = time.perf_counter() - start
    assert sum(node.messages for node in found.nodes) == messages + messages // PER_TICK
    return taken


def _replay(folder: Path) -> float:
    scheduler = Scheduler.replay_from(folder).set_replay_speed(0)
    start = time.perf_counter()
    scheduler.run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
