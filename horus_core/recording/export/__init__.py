"""Exports a session as tables: csv, parquet, jsonl or arrow, with decoded columns.

``fields``        the messages of a topic as columns, decoded many at a time
``column_types``  the type of a column, found over the whole session; ``number_kinds`` and ``moments``: of numbers and dates
``columns``       values as Arrow columns; ``json_text``: as text, where no type holds them or the file has none
``tables``        rows: one per message, or one per tick
``pictures``      what stands for large arrays: pictures beside the table, or their shape
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
from horus_core.recording.export.pictures import Pictures
from horus_core.recording.export.tables import Lane, LongTable, WideTable, by_topic
from horus_core.recording.format.names import file_stem
from horus_core.recording.format.patterns import expanded
from horus_core.recording.reading.counting import likely_losses
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.loss import NodeLoss
from horus_core.recording.reading.messages import Messages, read_messages
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.windows import bounded, windows

__all__ = ["STANDARD_OUTPUT", "ExportReport", "ExportedFile", "export"]

STANDARD_OUTPUT = "-"
_HELD_BYTES = 8 << 20  # payload of all nodes together that is held at once
_WRITTEN_BYTES = (
    4 << 20
)  # payload that becomes rows at once: an array of bytes takes ten times its size on its way to Parquet
_LONGEST_NAME = 200  # bytes of a topic's name that go into a file's name


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written: its path ("-" for standard output), rows, names of columns and bytes."""

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
        pictures: how many were written beside the table.
        lost: messages that the recording should hold and does not; not counted for a range of ticks.
    """

    files: list[ExportedFile]
    rows: int
    undecodable: int
    damage: list[str]
    pictures: int = 0
    lost: list[NodeLoss] = []

    @property
    def whole(self) -> bool:
        """Whether everything that was recorded is in it."""
        return not (self.undecodable or self.damage or self.lost)


def export(
    session: Session,
    output: str | os.PathLike[str],
    format: str | None = None,
    nodes: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    start_tick: int | None = None,
    stop_tick: int | None = None,
    wide: bool = False,
    images: str | os.PathLike[str] | None = None,
) -> ExportReport:
    """Writes the messages of a session as a table, one row per message: tick, time, node, topic, a column per field.

    Args:
        session: see :func:`horus_core.recording.keeping.sessions.find_session`.
        output: a file, or a folder (it ends in "/" or is there): then one file per topic; "-" for standard output.
        format: "csv", "parquet", "jsonl" or "arrow"; by default the file's name tells, and standard output gets "jsonl".
            A folder needs it.
        nodes: only messages of these. In a name, ``*`` and ``?`` stand for any letters.
        topics: only messages on these; patterns as for nodes.
        start_tick, stop_tick: only ticks from and up to these.
        wide: one row per tick instead, with a column per topic and field.
        images: a folder that gets pictures (arrays of bytes or 16-bit numbers from 1 kB on, with rows, columns and up to
            four values per pixel) as PNG files; in the table stand their paths.

    Raises:
        InvalidValue: the format, a topic, or `wide` together with a folder.
        UnknownNode: the session has no such node.
        OutputFailed: a file cannot be written.
        BrokenPipeError: nobody reads standard output any more.

    >>> export(find_session("monday"), "monday.parquet", topics=["scan"]).rows  # doctest: +SKIP
    500
    """
    target = None if os.fspath(output) == STANDARD_OUTPUT else Path(output)
    into_folder = target is not None and (os.fspath(output).endswith("/") or target.is_dir())
    if into_folder and format is None:
        raise InvalidValue("the export format", "not given", f"one of {', '.join(sorted(FORMATS))}, for a folder")
    if into_folder and wide:
        raise InvalidValue("the output", repr(os.fspath(output)), "a file: a wide table holds all topics")
    kind = FORMATS[format_of(target, format)]
    beside = target / "t" if target is not None and into_folder else target
    pictures = Pictures(images, beside, kind.shapes)
    source = _Source(session, nodes, topics, start_tick, stop_tick, pictures)
    lanes = source.lanes()
    if target is not None and into_folder:
        return _export_folder(source, lanes, target, kind)
    graph = session.graph
    table = (
        WideTable(lanes.values(), kind.as_text, graph.tick_rate, graph.epoch_ns)
        if wide
        else LongTable(lanes.values(), kind.as_text)
    )
    with _Outputs(pictures) as outputs:
        file = outputs.add(kind(target, table.schema))
        for window in source.windows():
            file.add(table.rows(window, lanes))
    return _report(outputs, table.undecodable, source)


def _export_folder(
    source: _Source, lanes: dict[tuple[str, str], Lane], folder: Path, kind: type[OutputFile]
) -> ExportReport:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputFailed(str(folder), problem.strerror or str(problem)) from None
    topics = list(dict.fromkeys(topic for _, topic in lanes))
    tables = {
        topic: LongTable((lane for lane in lanes.values() if lane.topic == topic), kind.as_text) for topic in topics
    }
    with _Outputs(source.pictures) as outputs:
        files = {topic: outputs.add(kind(_path(folder, topic, kind), tables[topic].schema)) for topic in topics}
        for window in source.windows():
            for topic in topics:
                if part := _on_topic(window, topic):
                    files[topic].add(tables[topic].rows(part, lanes))
    return _report(outputs, sum(table.undecodable for table in tables.values()), source)


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
        pictures: Pictures,
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
        self.pictures = pictures
        self._nodes = [node for node in senders if nodes is None or node in nodes]
        self.damage: list[Damage] = list(session.damage)

    def _stream(self, node: str) -> Iterator[Messages]:
        held = max(_HELD_BYTES // len(self._nodes), 1 << 20)
        return read_messages(self._session, node, self.damage, self._topics, self._first, self._last, block_bytes=held)

    def lost(self) -> list[NodeLoss]:
        """What is missing, where all ticks of a session that has ended were asked for."""
        if self._session.state == "running" or (self._first, self._last) != (None, None):
            return []
        return [loss for loss in likely_losses(self._session, self.damage) if loss.node in self._nodes]

    def lanes(self) -> dict[tuple[str, str], Lane]:
        """All lanes with messages, with the kinds of their fields."""
        lanes: dict[tuple[str, str], Lane] = {}
        for node in self._nodes:
            for block in self._stream(node):
                for topic, rows in by_topic(block):
                    lanes.setdefault((node, topic), Lane(node, topic, self.pictures)).learn(block, rows)
        return lanes

    def windows(self) -> Iterator[list[tuple[str, Messages]]]:
        """The messages of all nodes, a range of ticks at a time."""
        self.pictures.writing = True
        self.damage = list(self._session.damage)
        for window in windows([self._stream(node) for node in self._nodes]):
            for part in bounded(window, _WRITTEN_BYTES):
                yield [(node, block) for node, block in zip(self._nodes, part, strict=True) if block is not None]


class _Outputs:
    """Files that get their names when all are whole, and are gone if that does not come about, with the pictures."""

    def __init__(self, pictures: Pictures) -> None:
        self.files: list[OutputFile] = []
        self.pictures = pictures
        self._whole = False

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
                self._whole = True
        finally:
            for file in self.files:
                file.discard()
            if not self._whole:
                self.pictures.discard()


def _report(outputs: _Outputs, undecodable: int, source: _Source) -> ExportReport:
    written = [
        ExportedFile(
            path=STANDARD_OUTPUT if file.path is None else str(file.path),
            rows=file.rows,
            columns=file.schema.names,
            size=file.size,
        )
        for file in outputs.files
    ]
    return ExportReport(
        files=written,
        rows=sum(file.rows for file in written),
        undecodable=undecodable,
        damage=[str(each) for each in dict.fromkeys(source.damage)],
        pictures=outputs.pictures.count,
        lost=source.lost(),
    )
