"""Reads a recorded session with nothing but pyarrow and msgpack, as any other tool would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa


class Sent(NamedTuple):
    """A message as its sender's file has it."""

    tick: int
    visible: int
    sequence: int
    topic: str
    encoding: int
    payload: bytes


class Ran(NamedTuple):
    """A node's tick as the scheduler's file has it; `received` are (lane, first, stop, end)."""

    tick: int
    status: str
    visible: int
    dropped: int
    received: tuple[tuple[int, int, int, int], ...]


class Event(NamedTuple):
    tick: int
    node: str
    event: str
    detail: dict[str, Any]


def file_of(files: Sequence[str], stem: str) -> str:
    """The one of `files` whose name begins with ``stem@``."""
    (found,) = [path for path in files if Path(path).name.startswith(f"{stem}@")]
    return found


def table(path: str | Path, cut: bool = False) -> pa.Table:
    """A whole file; with `cut`, what there is of one that was not closed."""
    with pa.OSFile(str(path), "rb") as source:
        if not cut:
            return pa.ipc.open_file(source).read_all()
        source.seek(8)
        batches, reader = [], pa.ipc.open_stream(source)
        while True:
            try:
                batches.append(reader.read_next_batch())
            except (StopIteration, pa.ArrowInvalid, OSError):
                return pa.Table.from_batches(batches, reader.schema)


def rows(path: str | Path, columns: Sequence[str], cut: bool = False) -> list[tuple[Any, ...]]:
    whole = table(path, cut)
    return list(zip(*(whole.column(name).to_pylist() for name in columns), strict=True))


def sent(files: Sequence[str], node: str, cut: bool = False) -> list[Sent]:
    """All messages of a node, in file order."""
    return [Sent(*row) for row in rows(file_of(files, node), Sent._fields, cut)]


def values(files: Sequence[str], node: str, topic: str | None = None, cut: bool = False) -> list[tuple[int, Any]]:
    """Tick and value of the messages of a node that are msgpack or bytes."""
    return [
        (message.tick, message.payload if message.encoding == 1 else msgspec.msgpack.decode(message.payload))
        for message in sent(files, node, cut)
        if topic in (None, message.topic)
    ]


def ran(files: Sequence[str], node: str, cut: bool = False) -> list[Ran]:
    """The ticks in which a node ran, in order."""
    found = [
        Ran(tick, status, visible, dropped, tuple(tuple(entry.values()) for entry in received))
        for name, tick, status, visible, dropped, received in rows(
            file_of(files, "scheduler"), ("node", *Ran._fields), cut
        )
        if name == node
    ]
    return sorted(found, key=lambda row: row.tick)


def events(files: Sequence[str], event: str | None = None, cut: bool = False) -> list[Event]:
    found = rows(file_of(files, "events"), Event._fields, cut)
    return [Event(tick, node, name, json.loads(detail)) for tick, node, name, detail in found if event in (None, name)]


def header(path: str | Path) -> dict[str, Any]:
    """What a file says of its session."""
    with pa.OSFile(str(path), "rb") as source:
        source.seek(8)
        return json.loads(pa.ipc.open_stream(source).schema.metadata[b"horus"])  # type: ignore[no-any-return]
