"""The messages of one node as columns: blocks of many rows, whatever the size of the batches in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from horus_core.errors import RecordingDamaged
from horus_core.recording.format.names import file_stem
from horus_core.recording.format.raw_batches import Body, Names
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.reader import Session

BLOCK_ROWS = 1 << 16
BLOCK_BYTES = 4 << 20
_FIXED = {"tick": np.int64, "sequence": np.int64, "time": np.int64, "topic": np.int16, "encoding": np.uint8}


class Messages:
    """Rows of a node's file, sorted by tick.

    Attributes:
        topics: the names that `topic` counts in.
        tick, sequence, time, topic, encoding: one number per row; time in ns since 1970.
        start, length: where each payload lies in `data`.
        data: bytes.
    """

    __slots__ = ("data", "encoding", "length", "sequence", "start", "tick", "time", "topic", "topics")

    def __init__(self, topics: list[str], columns: dict[str, np.ndarray], data: np.ndarray) -> None:
        self.topics, self.data = topics, data
        for name, column in columns.items():
            setattr(self, name, column)

    tick: np.ndarray
    sequence: np.ndarray
    time: np.ndarray
    topic: np.ndarray
    encoding: np.ndarray
    start: np.ndarray
    length: np.ndarray

    @staticmethod
    def none(topics: list[str]) -> Messages:
        """No rows."""
        columns = {name: np.empty(0, _FIXED.get(name, np.int64)) for name in _COLUMNS}
        return Messages(topics, columns, np.empty(0, np.uint8))

    def __len__(self) -> int:
        return len(self.tick)

    def rows(self, which: slice | np.ndarray) -> Messages:
        """A selection of the rows; the payloads are shared."""
        return Messages(self.topics, {name: getattr(self, name)[which] for name in _COLUMNS}, self.data)

    def payload(self, row: int) -> memoryview:
        """The bytes of one message."""
        begin = int(self.start[row])
        return self.data[begin : begin + int(self.length[row])].data

    def side_by_side(self) -> bool:
        """Whether the payloads lie in `data` one after the other without gaps."""
        return bool((self.start[1:] == self.start[:-1] + self.length[:-1]).all())

    @staticmethod
    def joined(blocks: Sequence[Messages]) -> Messages:
        """The rows of all blocks, which name the same topics."""
        if len(blocks) == 1:
            return blocks[0]
        columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in _COLUMNS}
        pieces, starts, at = [], [], 0
        for block in blocks:
            begin, stop = block._extent()
            pieces.append(block.data[begin:stop])
            starts.append(block.start + (at - begin))
            at += stop - begin
        columns["start"] = np.concatenate(starts)
        return Messages(blocks[0].topics, columns, np.concatenate(pieces))

    def _extent(self) -> tuple[int, int]:
        if not len(self):
            return 0, 0
        return int(self.start.min()), int((self.start + self.length).max())


_COLUMNS = (*_FIXED, "start", "length")


def read_messages(
    session: Session,
    node: str,
    damage: list[Damage],
    topics: Sequence[str] | None = None,
    first_tick: int | None = None,
    last_tick: int | None = None,
    names: list[str] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Messages]:
    """The messages of one node in blocks of some 65,000 rows or `block_bytes`, in constant memory.

    Args:
        session: where to read.
        node: who sent them.
        damage: what cannot be read is noted there.
        topics: only these.
        first_tick, last_tick: only ticks from and up to these.
        names: the topics that the rows' numbers count in; new ones are appended.
        block_bytes: payload that a block should hold; one batch may hold more.
    """
    names = [] if names is None else names
    for block in _blocks(session.bodies(file_stem(node), damage, first_tick, last_tick), names, block_bytes):
        chosen = _sorted(_selected(block, topics, first_tick, last_tick))
        if len(chosen):
            yield chosen


def _blocks(bodies: Iterator[tuple[Body, Names]], names: list[str], block_bytes: int) -> Iterator[Messages]:
    waiting: _Waiting | None = None
    for body, dictionaries in bodies:
        own = dictionaries.lists["topic"]
        if waiting is not None and (waiting.rows >= BLOCK_ROWS or waiting.size >= block_bytes or waiting.own != own):
            yield waiting.block(names)
            waiting = None
        if body.rows:
            waiting = waiting or _Waiting(own)
            waiting.add(body)
    if waiting is not None:
        yield waiting.block(names)


class _Waiting:
    """Batches that will be one block: their columns, as bytes.

    Args:
        own: the names of their topics.
    """

    def __init__(self, own: list[str]) -> None:
        self.own = own
        self._columns: dict[str, list[memoryview]] = {name: [] for name in _FIXED}
        self._bounds: list[memoryview] = []
        self._data: list[memoryview] = []
        self._rows: list[int] = []
        self.rows = self.size = 0

    def add(self, body: Body) -> None:
        for name, parts in self._columns.items():
            parts.append(body.values(name))
        bounds, data = body.offsets_and_bytes("payload")
        self._bounds.append(bounds)
        self._data.append(data)
        self._rows.append(body.rows)
        self.rows, self.size = self.rows + body.rows, self.size + len(data)

    def block(self, names: list[str]) -> Messages:
        """The block, its topics counted in `names`, which gets those that it has not."""
        columns = {name: np.frombuffer(_joined(parts), _FIXED[name]) for name, parts in self._columns.items()}
        columns["topic"] = places_in(names, self.own, columns["topic"])
        # Each batch's offsets begin at 0, so the step from one batch's last to the next one's first is no length.
        steps = np.diff(np.frombuffer(_joined(self._bounds), np.int64))
        lengths = np.delete(steps, np.cumsum(np.array(self._rows[:-1], dtype=np.int64) + 1) - 1)
        if lengths.min() < 0:
            raise nonsense("a message's length")
        columns["start"], columns["length"] = np.cumsum(lengths) - lengths, lengths
        return Messages(names, columns, np.frombuffer(_joined(self._data), np.uint8))


def _joined(parts: list[memoryview]) -> bytes | memoryview:
    return parts[0] if len(parts) == 1 else b"".join(parts)


def places_in(names: list[str], own: list[str], places: np.ndarray) -> np.ndarray:
    """Places in `own` as places in `names`, which gets those names that it has not.

    Raises:
        RecordingDamaged: a place is none.
    """
    if len(places) and not 0 <= places.min() <= places.max() < len(own):
        raise nonsense("a name's number")
    names.extend(name for name in own if name not in names)
    if own == names[: len(own)]:
        return places
    found: np.ndarray = np.array([names.index(name) for name in own], dtype=np.int16)[places]
    return found


def nonsense(what: str) -> RecordingDamaged:
    """What a file is that was written, checksums and all, by something that is no recorder."""
    return RecordingDamaged("a file", "on purpose", f"its checksums fit, but {what} makes no sense")


def _selected(block: Messages, topics: Sequence[str] | None, first: int | None, last: int | None) -> Messages:
    if first is not None or last is not None:
        chosen = within(block.tick, first, last)
        if not chosen.all():
            block = block.rows(chosen)
    if topics is not None:
        wanted = np.array([name in topics for name in block.topics], dtype=bool)
        if not wanted.all():
            block = block.rows(wanted[block.topic])
    return block


def within(ticks: np.ndarray, first: int | None, last: int | None) -> np.ndarray:
    """Which of `ticks` lie between `first` and `last`; None: no bound."""
    chosen = np.ones(len(ticks), dtype=bool)
    if first is not None:
        chosen &= ticks >= first
    if last is not None:
        chosen &= ticks <= last
    return chosen


def _sorted(block: Messages) -> Messages:
    if (block.tick[1:] >= block.tick[:-1]).all():
        return block
    return block.rows(np.argsort(block.tick, kind="stable"))
