"""What a run says to its recorder: which session, where, and what its files say of the graph. Imports no pyarrow."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from horus_core.engine.run_options import RunOptions
from horus_core.graph.spec import Graph
from horus_core.processes.own_files import copy_own, make_folder_in, opener
from horus_core.recording.format.header import (
    FORMAT,
    PLAIN_FORMAT,
    GraphRecord,
    Header,
    LaneRecord,
    NodeRecord,
    TopicRecord,
)
from horus_core.recording.format.names import file_stem
from horus_core.recording.writing.options import Recording

_PACKAGES = ("horus-supervisor", "msgspec", "numpy", "pyarrow", "cloudpickle", "posix_ipc")


@dataclass(frozen=True)
class RecorderBoot:
    """What the recorder's process needs to know. `header` is JSON."""

    path: list[str]
    graph_id: str
    graph: bytes
    targets: list[tuple[str, Recording]]
    header: bytes
    cores: list[int]


@dataclass(frozen=True)
class RecordingRequest:
    """A recording to be made.

    Attributes:
        name: the session's name.
        targets: its folder and how to record into it, if there is a session; then the flight recorder's, see :meth:`also_into`.
        script: the path of the script, '' if there is none.
        replay_of: the session that is being replayed, '' if none.
        session: the session's folder; None if only the flight recorder records.
    """

    name: str
    targets: list[tuple[Path, Recording]]
    graph: Graph
    options: RunOptions
    script: str = ""
    replay_of: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    session: Path | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", self.targets[0][0] if self.targets else None)

    def also_into(self, folder: Path, options: Recording) -> None:
        """Records into the flight recorder's `folder`, too."""
        self.targets.append((folder, options))

    def files(self) -> list[str]:
        """All files of the session, scheduler first; none if only the flight recorder records."""
        found = [] if self.session is None else self.session.glob(f"*@{self.id}*.arrow")
        return [
            str(path) for path in sorted(found, key=lambda path: (not path.name.startswith("scheduler@"), path.name))
        ]

    def header(self, epoch_ns: int) -> Header:
        """The header of the session's files."""
        nodes = self.graph.nodes
        names = [*(node.name for node in nodes), self.graph.outside]
        return Header(
            format=FORMAT if any(lane.latch for lane in self.graph.lanes) else PLAIN_FORMAT,
            kind="",
            session=self.name,
            id=self.id,
            part=0,
            node="",
            created_ns=time.time_ns(),
            graph=GraphRecord(
                tick_rate=self.graph.tick_rate,
                first_tick=self.options.start,
                deterministic=self.options.deterministic,
                seed=self.options.seed,
                epoch_ns=epoch_ns,
                nodes=[_node_record(self.graph, each) for each in range(len(nodes))],
                lanes=[
                    LaneRecord(
                        lane.topic, names[lane.node], _type_name(lane.kind), lane.latch, self._records(lane.topic)
                    )
                    for lane in self.graph.lanes
                ],
            ),
            script=self.script,
            script_sha256=hashlib.sha256(Path(self.script).read_bytes()).hexdigest() if self._has_script() else "",
            host=platform.node(),
            machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            versions={"python": platform.python_version(), **_versions()},
            replay_of=self.replay_of,
        )

    def boot(self, path: list[str], graph_id: str, graph: bytes, cores: list[int], epoch_ns: int) -> RecorderBoot:
        """The boot record of the recorder's process; keeps the script beside the recording."""
        with contextlib.suppress(OSError):  # a disk that is gone; the recorder says so
            self.keep_script()
        targets = [(str(folder), options) for folder, options in self.targets]
        return RecorderBoot(path, graph_id, graph, targets, msgspec.json.encode(self.header(epoch_ns)), cores)

    def keep_script(self) -> None:
        """Copies the script into the session's ``source`` folder."""
        if self._has_script():
            source = self.targets[0][0] / "source"
            make_folder_in(source, exist_ok=True)
            copy_own(self.script, source / Path(self.script).name)

    def open_log(self, node: str) -> Any:
        """The log file of a node in the session, line-buffered."""
        assert self.session is not None
        logs = self.session / "logs"
        make_folder_in(logs, exist_ok=True)
        return open(logs / f"{file_stem(node)}.log", "a", buffering=1, encoding="utf-8", opener=opener)

    def _records(self, topic: str) -> bool:
        return not self.targets or self.targets[0][1].records(topic)

    def _has_script(self) -> bool:
        return bool(self.script) and os.path.isfile(self.script)


def _node_record(graph: Graph, position: int) -> NodeRecord:
    node = graph.nodes[position]
    return NodeRecord(
        name=node.name,
        rate=node.rate,
        order=node.order,
        pubs=[TopicRecord(topic.name, _type_name(topic.kind), topic.capacity, topic.latch) for topic in node.pubs],
        subs=[TopicRecord(topic.name, _type_name(topic.kind), topic.capacity) for topic in node.subs],
        compute=node.compute,
        on=node.on or "",
        core=-1 if node.core is None else node.core,
        deadline=graph.deadlines[position],
        budget=node.budget or 0.0,
        failure_policy=node.failure_policy,
        replayed=node.replayed,
    )


def _type_name(kind: Any) -> str:
    return "" if kind is None else str(getattr(kind, "__qualname__", kind))


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
