"""The rows of a scheduler's file as columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from horus_core.errors import RecordingDamaged
from horus_core.recording.body import Body
from horus_core.recording.file import Damage
from horus_core.recording.format import STATUSES
from horus_core.recording.messages import places_in, within
from horus_core.recording.reader import Session

_BLOCK_ROWS = 1 << 16
_COLUMNS = {
    "tick": np.int64,
    "start": np.int64,
    "duration": np.int64,
    "dropped": np.int64,
    "node": np.int16,
    "status": np.int8,
}


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
    waiting = _Waiting(nodes)
    for body, dictionaries in session.bodies("scheduler", damage, first_tick, last_tick):
        waiting.add(body, dictionaries.lists)
        if waiting.rows >= _BLOCK_ROWS:
            yield waiting.block(first_tick, last_tick)
            waiting = _Waiting(nodes)
    if waiting.rows:
        yield waiting.block(first_tick, last_tick)


def tick_range(batch: pa.RecordBatch) -> tuple[int, int]:
    """The first and the last tick of a batch of any file; it has rows."""
    ticks = batch.column("tick").to_numpy()
    return int(ticks.min()), int(ticks.max())


class _Waiting:
    """Batches that will be one block."""

    def __init__(self, nodes: list[str]) -> None:
        self._nodes = nodes
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in (*_COLUMNS, "lane", "end")}
        self.rows = 0

    def add(self, body: Body, names: dict[str, list[str]]) -> None:
        columns = self._columns
        for name, kind in _COLUMNS.items():
            columns[name].append(body.numbers(name, kind))
        if names["node"] != self._nodes:
            columns["node"][-1] = places_in(self._nodes, names["node"], columns["node"][-1])
        if names["status"] != _STATUSES:
            columns["status"][-1] = places_in([*_STATUSES], names["status"], columns["status"][-1])
        received = body.items("received")
        columns["lane"].append(received["lane"])
        columns["end"].append(received["end"])
        self.rows += body.rows

    def block(self, first_tick: int | None, last_tick: int | None) -> TickRows:
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        nodes, statuses = columns["node"], columns["status"]
        if min(nodes.min(), statuses.min()) < 0 or nodes.max() >= len(self._nodes) or statuses.max() >= len(_STATUSES):
            raise RecordingDamaged("a scheduler's file", "inside", "its checksum fits, but its content makes no sense")
        chosen = within(columns["tick"], first_tick, last_tick)
        if not chosen.all():
            columns.update({name: columns[name][chosen] for name in _COLUMNS})
        return TickRows(self._nodes, columns)


_STATUSES = list(STATUSES)
