"""What nodes did when they were recorded, read from the scheduler's rows and the events of a session."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from horus_core.engine.past import Past, Return
from horus_core.graph.spec import Graph
from horus_core.memory.control import FREE
from horus_core.recording.reading.reader import Session


@dataclass
class _Ran:
    """The jobs that a node ran, as far as its rows were read."""

    starts: array[int] = field(default_factory=lambda: array("q"))
    stops: array[int] = field(default_factory=lambda: array("q"))
    visibles: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)


def pasts_of(
    session: Session, graph: Graph, names: Sequence[str], loop: tuple[int, int] | None = None
) -> dict[str, Past]:
    """What each of the nodes `names` did when it was recorded.

    A live node that runs at another rate than it did is left alone, and so is one that never ran.

    Args:
        loop: the range of a replay that starts over.
    """
    known = session.nodes
    watched = {
        name: _Ran()
        for name in names
        if name in known and (known[name].rate == graph.nodes[graph.position(name)].rate or known[name].on)
    }
    for batch in session.batches("scheduler", []) if watched else ():
        column = batch.column("node")
        labels = column.dictionary.to_pylist()
        nodes = column.indices.to_numpy()
        ticks, visibles = batch.column("tick").to_numpy(), batch.column("visible").to_numpy()
        statuses = batch.column("status").indices.to_numpy()
        for name, ran in watched.items():
            if name in labels:
                mine = nodes == labels.index(name)
                _note(ran, ticks[mine], visibles[mine], statuses[mine], graph, name)
    returns = returns_of(session, list(watched))
    found = {}
    for name, ran in watched.items():
        position = graph.position(name)
        if ran.starts or graph.nodes[position].replayed:
            schedule = graph.schedules[position]
            found[name] = Past(
                ran.starts,
                ran.stops,
                schedule.jobs,
                schedule.ticks,
                ran.visibles,
                ran.statuses,
                returns.get(name, ()),
                loop,
            )
    return found


def _note(ran: _Ran, ticks: np.ndarray, visibles: np.ndarray, statuses: np.ndarray, graph: Graph, name: str) -> None:
    if not len(ticks):
        return
    position = graph.position(name)
    schedule = graph.schedules[position]
    jobs = ticks * schedule.jobs // schedule.ticks
    compute = graph.nodes[position].compute
    usual = -(-(jobs + 1) * schedule.ticks // schedule.jobs) if compute else ticks
    for each in np.flatnonzero(visibles != usual).tolist():
        ran.visibles[int(ticks[each])] = int(visibles[each])
    for each in np.flatnonzero(statuses).tolist():
        ran.statuses[int(ticks[each])] = int(statuses[each])
    breaks = np.flatnonzero(jobs[1:] - jobs[:-1] > 1)
    starts, stops = [int(jobs[0]), *jobs[breaks + 1].tolist()], [*(jobs[breaks] + 1).tolist(), int(jobs[-1]) + 1]
    if ran.stops and ran.stops[-1] >= starts[0]:
        del starts[0]
        ran.stops.pop()
    ran.starts.extend(starts)
    ran.stops.extend(stops)


def returns_of(session: Session, names: Sequence[str]) -> dict[str, tuple[Return, ...]]:
    """For each of the nodes `names` that was restarted: the ticks that it was started in, and took part again from."""
    started: dict[str, int] = {}
    found: dict[str, tuple[Return, ...]] = {}
    for event in session.events():
        name = event["node"]
        if name in names and event["event"] == "restart":
            started[name] = event["tick"] + 1
        elif name in names and event["event"] == "back":
            found[name] = (*found.get(name, ()), Return(started.pop(name, event["tick"]), event["tick"]))
    for name, tick in started.items():  # it was not back when the recording ended
        found[name] = (*found.get(name, ()), Return(tick, FREE))
    return found


def backs_of(session: Session, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """For each of the replayed nodes `names` that was restarted: the ticks from which it took part again."""
    return {
        name: tuple(each.back for each in returns if each.back != FREE)
        for name, returns in returns_of(session, names).items()
    }
