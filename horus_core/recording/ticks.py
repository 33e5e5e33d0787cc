"""The rows of a scheduler's file as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from horus_core.recording.file import Damage
from horus_core.recording.format import STATUSES
from horus_core.recording.reader import Session

_BLOCK_ROWS = 1 << 16


class TickRows:
    """Rows of a scheduler's file; those of one node are sorted by tick, nodes may be out of step.

    Attributes:
        nodes: the names that `node` counts in.
        tick, node, start, duration, status, dropped: one number per row; times in ns, status a place in STATUSES.
        received: shape (n, 4): lane, first, stop, end of everything that was received, of all rows.
    """

    __slots__ = ("dropped", "duration", "node", "nodes", "received", "start", "status", "tick")

    def __init__(self, nodes: list[str], batch: pa.RecordBatch) -> None:
        self.nodes = nodes
        self.tick, self.start, self.duration, self.dropped = (
            _numbers(batch.column(name)) for name in ("tick", "start", "duration", "dropped")
        )
        self.node = _places(batch.column("node"), nodes)
        self.status = _places(batch.column("status"), list(STATUSES))
        items = batch.column("received").flatten()
        self.received = np.column_stack([_numbers(items.field(place)).astype(np.int64) for place in range(4)])

    def __len__(self) -> int:
        return len(self.tick)


def read_ticks(
    session: Session,
    damage: list[Damage],
    first_tick: int | None = None,
    last_tick: int | None = None,
    nodes: list[str] | None = None,
) -> Iterator[TickRows]:
    """The tick rows of a session in blocks of some 65,000, in constant memory.

    Args:
        session: where to read.
        damage: what cannot be read is noted there.
        first_tick, last_tick: only ticks from and up to these.
        nodes: the names that the rows' numbers count in; new ones are appended.
    """
    nodes = [] if nodes is None else nodes
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for found in session.batches("scheduler", damage, first_tick, last_tick):
        batch = within(found, first_tick, last_tick)
        if waiting and not batch.column("node").dictionary.equals(waiting[0].column("node").dictionary):
            yield TickRows(nodes, _joined(waiting))
            waiting, rows = [], 0
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _BLOCK_ROWS:
            yield TickRows(nodes, _joined(waiting))
            waiting, rows = [], 0
    if waiting:
        yield TickRows(nodes, _joined(waiting))


def within(batch: pa.RecordBatch, first_tick: int | None, last_tick: int | None) -> pa.RecordBatch:
    """The rows of `batch` with ticks from `first_tick` and up to `last_tick`."""
    ticks = _numbers(batch.column("tick"))
    chosen = np.ones(len(ticks), dtype=bool)
    if first_tick is not None:
        chosen &= ticks >= first_tick
    if last_tick is not None:
        chosen &= ticks <= last_tick
    return batch if chosen.all() else batch.filter(pa.array(chosen))


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0] if len(batches) > 1 else batches[0]


def _numbers(column: pa.Array) -> np.ndarray:
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    numbers: np.ndarray = column.to_numpy(zero_copy_only=True)
    return numbers


def _places(column: Any, names: list[str]) -> np.ndarray:
    """The rows' names as places in `names`, which gets those that it has not."""
    own = column.dictionary.to_pylist()
    names.extend(name for name in own if name not in names)
    return np.array([names.index(name) for name in own], dtype=np.int16)[_numbers(column.indices)]
