"""Which message of one session stands against which of the other, and which of these pairs hold other bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from horus_core.recording.reading.columns import matrix_of
from horus_core.recording.reading.messages import Messages

_SMALL = 256  # bytes up to which payloads are compared as a matrix
_MATRIX_BYTES = 64 << 20


class Pairs(NamedTuple):
    """Rows of both sides: those that stand against each other, and those that stand alone."""

    a: np.ndarray
    b: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray


def pair(a: Messages, b: Messages) -> Pairs:
    """Pairs the messages of two sessions by tick, topic and place among the messages of that topic in that tick."""
    none = np.empty(0, dtype=np.int64)
    if len(a) == len(b) and (a.tick == b.tick).all() and (a.topic == b.topic).all():
        rows = np.arange(len(a))
        return Pairs(rows, rows, none, none)
    keys_a, keys_b = _keys(a, b)
    _, rows_a, rows_b = np.intersect1d(keys_a, keys_b, assume_unique=True, return_indices=True)
    order = np.argsort(rows_a)
    alone_a, alone_b = np.ones(len(a), dtype=bool), np.ones(len(b), dtype=bool)
    alone_a[rows_a] = alone_b[rows_b] = False
    return Pairs(rows_a[order], rows_b[order], np.flatnonzero(alone_a), np.flatnonzero(alone_b))


def _keys(a: Messages, b: Messages) -> tuple[np.ndarray, np.ndarray]:
    ticks, places = np.unique(np.concatenate([a.tick, b.tick]), return_inverse=True)
    groups = np.concatenate([a.topic, b.topic]).astype(np.int64) * len(ticks) + places
    ranks = np.concatenate([_ranks(groups[: len(a)]), _ranks(groups[len(a) :])])
    keys = groups * (int(ranks.max(initial=0)) + 1) + ranks
    return keys[: len(a)], keys[len(a) :]


def _ranks(groups: np.ndarray) -> np.ndarray:
    """Each row's place among the rows of its group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
    return ranks


def differing(a: Messages, b: Messages, pairs: Pairs) -> np.ndarray:
    """Which of the pairs hold other bytes: places in ``pairs.a``."""
    one, other = a.rows(pairs.a), b.rows(pairs.b)
    unlike = (one.encoding != other.encoding) | (one.length != other.length)
    if not unlike.any() and one.side_by_side() and other.side_by_side():
        return _differing_runs(one, other)
    alike = np.flatnonzero(~unlike)
    unlike[alike] = _differing_rows(one.rows(alike), other.rows(alike))
    return np.flatnonzero(unlike)


def _differing_runs(one: Messages, other: Messages) -> np.ndarray:
    """For payloads that lie one after the other on both sides, with the same lengths: one comparison of all bytes."""
    size = int(one.length.sum())
    if not size:
        return np.empty(0, dtype=np.int64)
    start, begin = int(one.start[0]), int(other.start[0])
    unequal = one.data[start : start + size] != other.data[begin : begin + size]
    if not unequal.any():
        return np.empty(0, dtype=np.int64)
    filled = np.flatnonzero(one.length)
    return filled[np.logical_or.reduceat(unequal, one.start[filled] - start)]


def _differing_rows(one: Messages, other: Messages) -> np.ndarray:
    unequal = np.zeros(len(one), dtype=bool)
    for size in np.unique(one.length).tolist():
        rows = np.flatnonzero(one.length == size)
        if size <= _SMALL:
            for some in np.array_split(rows, -(-len(rows) * _SMALL // _MATRIX_BYTES)):
                matrices = (matrix_of(side, some, size)[:, :size] for side in (one, other))
                unequal[some] = (next(matrices) != next(matrices)).any(axis=1)
            continue
        for row in rows.tolist():
            start, begin = int(one.start[row]), int(other.start[row])
            unequal[row] = not np.array_equal(one.data[start : start + size], other.data[begin : begin + size])
    return unequal
