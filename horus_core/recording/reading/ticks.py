"""The rows of a scheduler's file as columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from horus_core.recording.format.raw_batches import Body
from horus_core.recording.format.schemas import STATUSES
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.messages import places_in, within
from horus_core.recording.reading.reader import Session

_BLOCK_ROWS = 1 << 16
_COLUMNS = {
    "tick": np.int64,
    "start": np.int64,
    "duration": np.int64,
    "dropped": np.int64,
    "node": np.int16,
    "status": np.int8,
}
_ITEMS = {"lane": np.int16, "end": np.int64}


class TickRows:
    """Rows of a scheduler's file; those of one node are sorted by tick, nodes may be out of step.

    Attributes:
        nodes: the names that `node` counts in.
        tick, node, start, duration, status, dropped: one number per row; times in ns, status a place in STATUSES.
        lane, end: what could be received in these ticks, whichever row it belongs to: the lane, and the sequence behind
            the last message that was there.
    """

    __slots__ = ("dropped", "duration", "end", "lane", "node", "nodes", "start", "status", "tick")

    def __init__(self, nodes: list[str], columns: dict[str, np.ndarray]) -> None:
        self.nodes = nodes
        for name, column in columns.items():
            setattr(self, name, column)

    tick: np.ndarray
    node: np.ndarray
    start: np.ndarray
    duration: np.ndarray
    status: np.ndarray
    dropped: np.ndarray
    lane: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.tick)


def read_ticks(
    session: Session, damage: list[Damage], first_tick: int | None = None, last_tick: int | None = None
) -> Iterator[TickRows]:
    """The tick rows of a session in blocks of some 65,000, in constant memory.

    Args:
        session: where to read.
        damage: what cannot be read is noted there.
        first_tick, last_tick: only ticks from and up to these.
    """
    nodes: list[str] = []
    waiting: _Waiting | None = None
    for body, dictionaries in session.bodies("scheduler", damage, first_tick, last_tick):
        own = dictionaries.lists
        if waiting is not None and (waiting.rows >= _BLOCK_ROWS or waiting.own != own):
            yield waiting.block(nodes, first_tick, last_tick)
            waiting = None
        if body.rows:
            waiting = waiting or _Waiting(own)
            waiting.add(body)
    if waiting is not None:
        yield waiting.block(nodes, first_tick, last_tick)


def tick_range(batch: pa.RecordBatch) -> tuple[int, int]:
    """The first and the last tick of a batch of any file; it has rows."""
    ticks = batch.column("tick").to_numpy()
    return int(ticks.min()), int(ticks.max())


class _Waiting:
    """Batches that will be one block: their columns, as bytes.

    Args:
        own: the names of their nodes and statuses.
    """

    def __init__(self, own: dict[str, list[str]]) -> None:
        self.own = own
        self._columns: dict[str, list[memoryview]] = {name: [] for name in (*_COLUMNS, *_ITEMS)}
        self.rows = 0

    def add(self, body: Body) -> None:
        for name in _COLUMNS:
            self._columns[name].append(body.values(name))
        received = body.items("received")
        for name in _ITEMS:
            self._columns[name].append(received[name])
        self.rows += body.rows

    def block(self, nodes: list[str], first_tick: int | None, last_tick: int | None) -> TickRows:
        """The block, its nodes counted in `nodes`, which gets those that it has not."""
        kinds = {**_COLUMNS, **_ITEMS}
        columns = {name: np.frombuffer(b"".join(parts), kinds[name]) for name, parts in self._columns.items()}
        columns["node"] = places_in(nodes, self.own["node"], columns["node"])
        columns["status"] = places_in(list(STATUSES), self.own["status"], columns["status"])
        chosen = within(columns["tick"], first_tick, last_tick)
        if not chosen.all():
            columns.update({name: columns[name][chosen] for name in _COLUMNS})
        return TickRows(nodes, columns)
