"""The user's runtime directory: a small file per running graph, so that tools find it without a daemon."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec

from horus_core.memory.shared import graphs_in_memory
from horus_core.processes.own_files import mind_folder, open_own, write_own


class RunningLane(msgspec.Struct, frozen=True):
    """A lane as tools see it; `type` is the name of the topic's declared type. `reads` are positions of subscribers."""

    topic: str
    node: int
    capacity: int
    type: str
    reads: list[int]
    latch: bool = False


class RunningNode(msgspec.Struct, frozen=True):
    """A node as tools see it; rates in Hz."""

    name: str
    rate: float
    order: int
    core: int
    compute: bool
    failure_policy: str
    replayed: bool


class RunningGraph(msgspec.Struct, frozen=True):
    """What the runtime file says."""

    id: str
    name: str
    pid: int
    started_ns: int
    tick_rate: float
    script: str
    session: str
    logs: str
    nodes: list[RunningNode]
    lanes: list[RunningLane]


def runtime_folder() -> Path:
    """``$XDG_RUNTIME_DIR/horus``, else ``/tmp/horus-<uid>``; mode 0700.

    Raises:
        UnsafeFolder: somebody else has made it, or it is a link.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = (
        Path(base) / "horus" if base and os.path.isdir(base) else Path(tempfile.gettempdir()) / f"horus-{os.getuid()}"
    )
    mind_folder(folder, "set XDG_RUNTIME_DIR to a folder of yours")
    return folder


def announce(graph: RunningGraph) -> Path:
    """Writes the runtime file of a graph that has started."""
    path = runtime_folder() / f"graph-{graph.id}.json"
    temporary = path.with_suffix(".new")
    write_own(temporary, msgspec.json.encode(graph))
    temporary.replace(path)
    return path


def withdraw(path: Path) -> None:
    """Removes the runtime file of a graph that has ended, and the lock of those who sent into it from outside."""
    for each in (path, path.with_suffix(".lock")):
        with contextlib.suppress(FileNotFoundError):
            each.unlink()


def running_graphs() -> list[RunningGraph]:
    """The graphs of this user that run now, oldest first; files of dead ones are removed."""
    alive = graphs_in_memory()
    found = []
    for path in runtime_folder().glob("graph-*.json"):
        try:
            with open(open_own(path), "rb") as file:
                graph = msgspec.json.decode(file.read(), type=RunningGraph)
        except (OSError, msgspec.MsgspecError):
            continue
        if alive.get(graph.id):
            found.append(graph)
        else:
            withdraw(path)
    return sorted(found, key=lambda graph: graph.started_ns)
