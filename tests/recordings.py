"""Builds recorded sessions for tests with the writer alone: no graph runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from horus_core.messages.encoding import Encoder
from horus_core.recording.format.schemas import (
    FORMAT,
    STATUSES,
    GraphRecord,
    Header,
    LaneRecord,
    NodeRecord,
    TopicRecord,
)
from horus_core.recording.reading.reader import Session
from horus_core.recording.writing.writer import FileWriter, event_batch, message_batch, tick_batch

EPOCH = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Message:
    """One message. `sequence` counts by itself unless given."""

    tick: int
    topic: str
    value: Any
    sequence: int | None = None


@dataclass(frozen=True)
class Tick:
    """One row of the scheduler's file. `received`: (lane, first, stop, end)."""

    tick: int
    node: str
    duration: int = 1000
    status: str = "ok"
    received: Sequence[tuple[int, int, int, int]] = ()
    dropped: int = 0


@dataclass
class Recording:
    """What is to be recorded.

    Attributes:
        topics: the topics of each node.
        messages: of each node, sorted by tick.
        ticks: rows of the scheduler's file; by default each node runs in each tick from the first to `last_tick`.
        events: (tick, node, event, detail).
        batch: rows per batch.
        closed: False leaves out the footers.
    """

    topics: dict[str, list[str]]
    messages: dict[str, list[Message]] = field(default_factory=dict)
    ticks: list[Tick] | None = None
    events: list[tuple[int, str, str, dict[str, Any]]] = field(default_factory=list)
    last_tick: int = 9
    first_tick: int = 0
    tick_rate: float = 100.0
    batch: int = 4
    id: str = "0a1b"
    types: dict[str, str] = field(default_factory=dict)
    created_ns: int = EPOCH
    header: dict[str, Any] = field(default_factory=dict)

    def add(self, node: str, topic: str, values: Iterable[Any], first_tick: int = 0) -> Recording:
        """One message per tick from `first_tick` on."""
        found = self.messages.setdefault(node, [])
        found += [Message(first_tick + place, topic, value) for place, value in enumerate(values)]
        found.sort(key=lambda message: message.tick)
        return self

    def write(self, folder: Path) -> Session:
        """Writes the session into `folder`."""
        folder.mkdir(parents=True)
        header = self._header(folder.name)
        scheduler = FileWriter(folder, replace_header(header, "scheduler"))
        rows = self.ticks if self.ticks is not None else self._every_tick()
        for batch in chunks(rows, self.batch):
            scheduler.write(*_tick_batch(batch, list(self.topics)))
        for node, topics in self.topics.items():
            file = FileWriter(folder, replace_header(header, "node", node))
            sequences = dict.fromkeys(topics, 0)
            numbered = []
            for message in self.messages.get(node, []):
                if message.sequence is None:
                    message = replace(message, sequence=sequences[message.topic])
                assert message.sequence is not None
                sequences[message.topic] = message.sequence + 1
                numbered.append(message)
            for batch in chunks(numbered, self.batch):
                file.write(*message_batch_of(batch, node, topics))
            file.close()
        events = FileWriter(folder, replace_header(header, "events"))
        for batch in chunks(self.events, self.batch):
            events.write(*event_batch([(EPOCH + tick, tick, *rest) for tick, *rest in batch]))
        events.close()
        scheduler.close()
        return Session(folder)

    def _every_tick(self) -> list[Tick]:
        return [Tick(tick, node) for tick in range(self.first_tick, self.last_tick + 1) for node in self.topics]

    def _header(self, name: str) -> Header:
        nodes = [
            NodeRecord(node, self.tick_rate, 0, [TopicRecord(topic, self.types.get(topic, "")) for topic in topics], [])
            for node, topics in self.topics.items()
        ]
        lanes = [
            LaneRecord(topic, node, self.types.get(topic, ""))
            for node, topics in self.topics.items()
            for topic in topics
        ]
        graph = GraphRecord(self.tick_rate, self.first_tick, True, 0, EPOCH, nodes, lanes)
        given = {"session": name, "id": self.id, "created_ns": self.created_ns, **self.header}
        return Header(format=FORMAT, kind="", part=0, node="", graph=graph, **given)


def replace_header(header: Header, kind: str, node: str = "") -> Header:
    """The header of one file."""
    return msgspec.structs.replace(header, kind=kind, node=node)


def chunks(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def message_batch_of(messages: Sequence[Message], node: str, topics: list[str]) -> Any:
    coded = [Encoder(node, message.topic).encode(message.value) for message in messages]
    payloads = [bytes(payload) for _, payload in coded]
    entries = np.zeros((len(messages), 8), dtype=np.int64)
    entries[:, 0] = [(message.sequence or 0) + 1 for message in messages]
    entries[:, 1] = entries[:, 2] = [message.tick for message in messages]
    entries[:, 3] = [message.tick * 10_000_000 for message in messages]
    entries[:, 5] = [len(payload) for payload in payloads]
    entries[:, 6] = [encoding for encoding, _ in coded]
    places = np.array([topics.index(message.topic) for message in messages], dtype=np.int16)
    return message_batch(entries, places, topics, np.frombuffer(b"".join(payloads), dtype=np.uint8), EPOCH)


def _tick_batch(rows: Sequence[Tick], names: list[str]) -> Any:
    head = np.array(
        [[r.tick, r.tick * 10_000_000, r.duration, STATUSES.index(r.status), r.tick, r.dropped] for r in rows],
        dtype=np.int64,
    )
    received = np.array([each for r in rows for each in r.received], dtype=np.int64).reshape(-1, 4)
    nodes = np.array([names.index(r.node) for r in rows], dtype=np.int16)
    return tick_batch(head, nodes, names, received, np.array([len(r.received) for r in rows]), EPOCH)


def cut(path: Path, size: int) -> None:
    """Shortens a file to its first `size` bytes."""
    os.truncate(path, size)


def flip(path: Path, bit: int) -> None:
    """Turns over one bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def file_of(session: Session, stem: str) -> Path:
    """The only file of a session with that stem."""
    (found,) = (path for path in session.paths() if path.name.startswith(f"{stem}@"))
    return found


def rows_of(session: Session, node: str) -> list[tuple[int, str, int, bytes]]:
    """Tick, topic, sequence and payload of all messages of a node that read, by way of pyarrow."""
    found = []
    for file in session.node_files(node):
        for batch in file.batches():
            columns = [batch.column(name).to_pylist() for name in ("tick", "topic", "sequence", "payload")]
            found += list(zip(*columns, strict=True))
    return found
