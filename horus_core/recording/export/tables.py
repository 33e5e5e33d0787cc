"""The columns of a table and its rows, a range of ticks at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from horus_core.graph.schedule import exact
from horus_core.recording.export.column_types import (
    JSON,
    NOTHING,
    Kind,
    arrow_field,
    is_split,
    join,
    settled,
)
from horus_core.recording.export.columns import arrow_column, integers_and_floats, kind_of_values
from horus_core.recording.export.fields import Names, Piece, TopicFields
from horus_core.recording.export.number_kinds import NUMBERS
from horus_core.recording.export.pictures import Pictures
from horus_core.recording.reading.messages import Messages

TIME = pa.timestamp("ns", tz="UTC")
_BASE = [("tick", pa.int64()), ("time", TIME), ("node", pa.string()), ("topic", pa.string())]
_MOST_COLUMNS = 1000  # fields of a topic; one with more has keys without end and is exported as JSON text


class Lane:
    """The messages of one node on one topic: how they become fields, and the kind of each."""

    def __init__(self, node: str, topic: str, pictures: Pictures | None = None) -> None:
        self.node, self.topic = node, topic
        self.fields = TopicFields(topic, node, pictures)
        self.kinds: dict[Names, Kind] = {}
        self.rows = 0

    def learn(self, block: Messages, rows: np.ndarray) -> None:
        """Notes the kinds of the fields of these messages."""
        self.rows += len(rows)
        if self.fields.whole:
            return
        for piece in self.fields.pieces(block, rows):
            for names, values in piece.columns.items():
                self.kinds[names] = join(self.kinds.get(names, NOTHING), kind_of_values(values))
        if len(self.kinds) > _MOST_COLUMNS:
            self.fields.whole = True
            self.kinds = {(): JSON}


class Table:
    """A table that is to be written.

    Args:
        base: its first columns.
        lanes: whose fields are its other columns, each with what stands before the names of its fields.
        as_text: it goes to a file of text, where what is nested is JSON.

    Attributes:
        schema: all columns.
        undecodable: how many messages did not decode so far.
    """

    def __init__(
        self, base: Sequence[tuple[str, pa.DataType]], lanes: Iterable[tuple[str, Lane]], as_text: bool
    ) -> None:
        self.undecodable = 0
        kinds: dict[tuple[str, Names], Kind] = {}
        for prefix, lane in lanes:
            for names, kind in lane.kinds.items():
                key = (prefix, names or ("value",) if not prefix else names)
                kinds[key] = join(kinds.get(key, NOTHING), kind)
        self._taken = {name for name, _ in base}
        self._columns: dict[tuple[str, Names], list[tuple[str, Kind]]] = {
            (prefix, names): self._named(".".join((prefix, *names) if prefix else names), settled(kind, as_text))
            for (prefix, names), kind in kinds.items()
        }
        fields = [arrow_field(name, kind) for columns in self._columns.values() for name, kind in columns]
        self.schema = pa.schema([*(pa.field(name, kind) for name, kind in base), *fields])

    def _named(self, name: str, kind: Kind) -> list[tuple[str, Kind]]:
        """The columns of a field: one, or one of its integers and one of its floats."""
        kinds = [(name, kind)]
        if is_split(kind):
            kinds = [(name, NUMBERS[str(kind)].integers()), (f"{name}.float", "float64")]
        found = []
        for each, of in kinds:
            while each in self._taken:
                each += "_"
            self._taken.add(each)
            found.append((each, of))
        return found

    def columns(
        self, prefix: str, pieces: Iterable[tuple[Piece, np.ndarray]], count: int
    ) -> dict[str, pa.ChunkedArray]:
        """The columns of pieces whose rows belong at the given places among `count` rows; other rows are null there."""
        tables, places = [], []
        for piece, where in pieces:
            self.undecodable += piece.undecodable
            found = {}
            for names, values in piece.columns.items():
                columns = self._columns[prefix, names or ("value",) if not prefix else names]
                parts = (values,) if len(columns) == 1 else integers_and_floats(values)
                found.update(
                    {name: arrow_column(part, kind) for (name, kind), part in zip(columns, parts, strict=True)}
                )
            if found:
                tables.append(pa.table(found))
                places.append(where)
        if not tables:
            return {}
        joined = pa.concat_tables(tables, promote_options="default")
        return _placed(joined, np.concatenate(places), count)


def _placed(table: pa.Table, places: np.ndarray, count: int) -> dict[str, pa.ChunkedArray]:
    if len(places) != count or not (places == np.arange(count)).all():
        rows = np.full(count, -1, dtype=np.int64)
        rows[places] = np.arange(len(places))
        table = table.combine_chunks().take(pa.array(rows, mask=rows < 0))
    return dict(zip(table.column_names, table.columns, strict=True))


def _filled(schema: pa.Schema, found: dict[str, pa.ChunkedArray], count: int) -> pa.Table:
    columns = [found[field.name] if field.name in found else pa.nulls(count, field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _names(places: np.ndarray, names: list[str]) -> pa.Array:
    codes = pa.array(places.astype(np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, type=pa.string())).cast(pa.string())


class LongTable(Table):
    """One row per message: tick, time, node, topic and the fields of all topics."""

    def __init__(self, lanes: Iterable[Lane], as_text: bool = False) -> None:
        super().__init__(_BASE, (("", lane) for lane in lanes), as_text)

    def rows(self, window: Sequence[tuple[str, Messages]], lanes: dict[tuple[str, str], Lane]) -> pa.Table:
        """The messages of a window, by tick, then in the order of the nodes, then as they were sent."""
        blocks = [block for _, block in window]
        ticks = np.concatenate([block.tick for block in blocks])
        order = np.argsort(ticks, kind="stable")
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order))
        topics = list(dict.fromkeys(name for block in blocks for name in block.topics))
        codes = [
            np.array([topics.index(name) for name in block.topics], dtype=np.int32)[block.topic] for block in blocks
        ]
        found = self.columns("", _ranked_pieces(window, lanes, ranks), len(order))
        found["tick"] = pa.array(ticks[order])
        found["time"] = pa.array(np.concatenate([block.time for block in blocks])[order]).view(TIME)
        senders = np.repeat(np.arange(len(window)), [len(block) for block in blocks])
        found["node"] = _names(senders[order], [node for node, _ in window])
        found["topic"] = _names(np.concatenate(codes)[order], topics)
        return _filled(self.schema, found, len(order))


def _ranked_pieces(
    window: Sequence[tuple[str, Messages]], lanes: dict[tuple[str, str], Lane], ranks: np.ndarray
) -> Iterator[tuple[Piece, np.ndarray]]:
    start = 0
    for node, block in window:
        for topic, rows in by_topic(block):
            for piece in lanes[node, topic].fields.pieces(block, rows):
                yield piece, ranks[start + piece.rows]
        start += len(block)


class WideTable(Table):
    """One row per tick in which anything was sent: tick, the tick's time, and the last message of each topic in it."""

    def __init__(self, lanes: Iterable[Lane], as_text: bool, tick_rate: float, epoch_ns: int) -> None:
        lanes = list(lanes)
        senders = {topic: sum(lane.topic == topic for lane in lanes) for topic in {lane.topic for lane in lanes}}
        self._prefixes = {
            (lane.node, lane.topic): lane.topic if senders[lane.topic] == 1 else f"{lane.node}:{lane.topic}"
            for lane in lanes
        }
        self._rate, self._epoch = exact(tick_rate).limit_denominator(1_000_000), epoch_ns
        super().__init__(_BASE[:2], ((self._prefixes[lane.node, lane.topic], lane) for lane in lanes), as_text)

    def rows(self, window: Sequence[tuple[str, Messages]], lanes: dict[tuple[str, str], Lane]) -> pa.Table:
        """The ticks of a window."""
        ticks = np.unique(np.concatenate([block.tick for _, block in window]))
        found = {}
        for node, block in window:
            for topic, rows in by_topic(block):
                last = rows[np.append(block.tick[rows[1:]] != block.tick[rows[:-1]], True)]
                pieces = lanes[node, topic].fields.pieces(block, last)
                placed = ((piece, np.searchsorted(ticks, block.tick[piece.rows])) for piece in pieces)
                found.update(self.columns(self._prefixes[node, topic], placed, len(ticks)))
        found["tick"] = pa.array(ticks)
        found["time"] = pa.array(self._times(ticks)).view(TIME)
        return _filled(self.schema, found, len(ticks))

    def _times(self, ticks: np.ndarray) -> np.ndarray:
        """When the ticks were released."""
        seconds, rest = np.divmod(ticks * self._rate.denominator, self._rate.numerator)
        times: np.ndarray = (
            self._epoch + seconds * 1_000_000_000 + np.rint(rest * (1e9 / self._rate.numerator)).astype(np.int64)
        )
        return times


def by_topic(block: Messages) -> Iterator[tuple[str, np.ndarray]]:
    """The rows of each topic."""
    for place in np.unique(block.topic).tolist():
        yield block.topics[place], np.flatnonzero(block.topic == place)
