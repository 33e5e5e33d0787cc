"""Exports a session as tables: csv, parquet, jsonl or arrow, with decoded columns.

``fields``        the messages of a topic as columns, decoded many at a time
``column_types``  the type of a column, found over the whole session
``columns``       values as Arrow columns
``tables``        rows: one per message, or one per tick
``formats``       files

A session is read twice: first for the types of its fields, then for its rows. Both in constant memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from horus_core.errors import InvalidValue, OutputFailed, UnknownNode, closest
from horus_core.recording.export.formats import FORMATS, OutputFile, format_of
from horus_core.recording.export.tables import Lane, LongTable, WideTable, by_topic
from horus_core.recording.format.names import file_stem
from horus_core.recording.format.patterns import expanded
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.messages import Messages, read_messages
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.windows import windows

__all__ = ["ExportReport", "ExportedFile", "export"]

_HELD_BYTES = 8 << 20  # payload of all nodes together that is held at once
_LONGEST_NAME = 200  # bytes of a topic's name that go into a file's name


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written: its path, rows, names of columns and bytes."""

    path: str
    rows: int
    columns: list[str]
    size: int


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported.

    Attributes:
        files: what was written.
        rows: of all files together.
        undecodable: messages that do not decode; their fields are null.
        damage: what could not be read and is missing.
    """

    files: list[ExportedFile]
    rows: int
    undecodable: int
    damage: list[str]


def export(
    session: Session,
    output: str | os.PathLike[str],
    format: str | None = None,
    nodes: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    start_tick: int | None = None,
    stop_tick: int | None = None,
    wide: bool = False,
) -> ExportReport:
    """Writes the messages of a session as a table, one row per message: tick, time, node, topic, a column per field.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.
        output: a file, or a folder (it ends in "/" or is there): then one file per topic.
        format: "csv", "parquet", "jsonl" or "arrow"; by default the file's name tells. A folder needs it.
        nodes: only messages of these. In a name, ``*`` and ``?`` stand for any letters.
        topics: only messages on these; patterns as for nodes.
        start_tick, stop_tick: only ticks from and up to these.
        wide: one row per tick instead, with a column per topic and field.

    Raises:
        InvalidValue: the format, a topic, or `wide` together with a folder.
        UnknownNode: the session has no such node.
        OutputFailed: the file cannot be written.

    >>> export(find_session("monday"), "monday.parquet", topics=["scan"]).rows  # doctest: +SKIP
    500
    """
    target = Path(output)
    into_folder = os.fspath(output).endswith("/") or target.is_dir()
    if into_folder and format is None:
        raise InvalidValue("the export format", "not given", f"one of {', '.join(sorted(FORMATS))}, for a folder")
    if into_folder and wide:
        raise InvalidValue("the output", repr(os.fspath(output)), "a file: a wide table holds all topics")
    kind = FORMATS[format_of(target, format)]
    source = _Source(session, nodes, topics, start_tick, stop_tick)
    lanes = source.lanes()
    if into_folder:
        return _export_folder(source, lanes, target, kind)
    graph = session.graph
    table = WideTable(lanes.values(), graph.tick_rate, graph.epoch_ns) if wide else LongTable(lanes.values())
    with _Outputs() as outputs:
        file = outputs.add(kind(target, table.schema))
        for window in source.windows():
            file.add(table.rows(window, lanes))
    return _report(outputs.files, table.undecodable, source.damage)


def _export_folder(
    source: _Source, lanes: dict[tuple[str, str], Lane], folder: Path, kind: type[OutputFile]
) -> ExportReport:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputFailed(str(folder), problem.strerror or str(problem)) from None
    topics = list(dict.fromkeys(topic for _, topic in lanes))
    tables = {topic: LongTable(lane for lane in lanes.values() if lane.topic == topic) for topic in topics}
    with _Outputs() as outputs:
        files = {topic: outputs.add(kind(_path(folder, topic, kind), tables[topic].schema)) for topic in topics}
        for window in source.windows():
            for topic in topics:
                if part := _on_topic(window, topic):
                    files[topic].add(tables[topic].rows(part, lanes))
    return _report(outputs.files, sum(table.undecodable for table in tables.values()), source.damage)


def _on_topic(window: list[tuple[str, Messages]], topic: str) -> list[tuple[str, Messages]]:
    parts = [(node, rows) for node, block in window for name, rows in by_topic(block) if name == topic]
    blocks = dict(window)
    return [(node, blocks[node].rows(rows)) for node, rows in parts]


def _path(folder: Path, topic: str, kind: type[OutputFile]) -> Path:
    stem = file_stem(topic)
    if len(stem.encode()) > _LONGEST_NAME:
        raise InvalidValue(
            "the topic", repr(topic[:80]), "a name that is short enough for a file; export into one file"
        )
    return folder / f"{stem}{kind.suffix}"


class _Source:
    """The messages that are to be exported."""

    def __init__(
        self,
        session: Session,
        nodes: Sequence[str] | None,
        topics: Sequence[str] | None,
        first_tick: int | None,
        last_tick: int | None,
    ) -> None:
        senders, known = session.senders, sorted({lane.topic for lane in session.graph.lanes})
        nodes = None if nodes is None else expanded(nodes, senders)
        topics = None if topics is None else expanded(topics, known)
        for node in nodes or ():
            if node not in senders:
                raise UnknownNode(f"session {session.name!r}", node, senders)
        for topic in topics or ():
            if topic not in known:
                raise InvalidValue("the topic", f"{topic!r}{closest(topic, known)}", f"one of {', '.join(known)}")
        self._session, self._topics, self._first, self._last = session, topics, first_tick, last_tick
        self._nodes = [node for node in senders if nodes is None or node in nodes]
        self.damage: list[Damage] = list(session.damage)

    def _stream(self, node: str) -> Iterator[Messages]:
        held = max(_HELD_BYTES // len(self._nodes), 1 << 20)
        return read_messages(self._session, node, self.damage, self._topics, self._first, self._last, block_bytes=held)

    def lanes(self) -> dict[tuple[str, str], Lane]:
        """All lanes with messages, with the kinds of their fields."""
        lanes: dict[tuple[str, str], Lane] = {}
        for node in self._nodes:
            for block in self._stream(node):
                for topic, rows in by_topic(block):
                    lanes.setdefault((node, topic), Lane(node, topic)).learn(block, rows)
        return lanes

    def windows(self) -> Iterator[list[tuple[str, Messages]]]:
        """The messages of all nodes, a range of ticks at a time."""
        self.damage = list(self._session.damage)
        for window in windows([self._stream(node) for node in self._nodes]):
            yield [(node, block) for node, block in zip(self._nodes, window, strict=True) if block is not None]


class _Outputs:
    """Files that get their names when all are whole, and are gone if that does not come about."""

    def __init__(self) -> None:
        self.files: list[OutputFile] = []

    def add(self, file: OutputFile) -> OutputFile:
        self.files.append(file)
        return file

    def __enter__(self) -> _Outputs:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: object, trace: object) -> None:
        try:
            if kind is None:
                for file in self.files:
                    file.finish()
        finally:
            for file in self.files:
                file.discard()


def _report(files: list[OutputFile], undecodable: int, damage: list[Damage]) -> ExportReport:
    written = [
        ExportedFile(path=str(file.path), rows=file.rows, columns=file.schema.names, size=file.path.stat().st_size)
        for file in files
    ]
    return ExportReport(
        files=written,
        rows=sum(file.rows for file in written),
        undecodable=undecodable,
        damage=[str(each) for each in dict.fromkeys(damage)],
    )
