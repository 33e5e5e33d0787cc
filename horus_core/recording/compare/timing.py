"""The ticks of two sessions: in which each node ran, how long it took, and whether it was late."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from horus_core.recording.compare.result import TickComparison, TimingComparison
from horus_core.recording.reading.durations import Durations
from horus_core.recording.reading.ticks import TickRows

_HELD = 1 << 18  # rows of a node that wait for their counterparts before they are taken as having none
_ROWS = tuple[np.ndarray, np.ndarray, np.ndarray]  # tick, duration, status


class _Side:
    """The tick rows of one session, and which of each node's wait for the other session's."""

    def __init__(self, blocks: Iterator[TickRows]) -> None:
        self._blocks = blocks
        self.ended = False
        self.progress = -1
        self.held: dict[str, _ROWS] = {}
        self.reached: dict[str, int] = {}

    def read(self) -> None:
        """Reads one more block."""
        block = next(self._blocks, None)
        if block is None:
            self.ended = True
            return
        self.progress = max(self.progress, int(block.tick.max(initial=-1)))
        for place, node in enumerate(block.nodes):
            rows = np.flatnonzero(block.node == place)
            if len(rows):
                columns = (block.tick[rows], block.duration[rows], block.status[rows])
                held = self.held.get(node)
                self.held[node] = columns if held is None else _joined(held, columns)
                self.reached[node] = int(columns[0][-1])

    def bound(self, node: str) -> int | None:
        """The last tick of which the rows of `node` are known; None if all are."""
        return None if self.ended else self.reached.get(node, -1)

    def take(self, node: str, bound: int | None) -> _ROWS:
        """The rows of `node` up to the tick `bound`."""
        held = self.held.pop(node, None)
        if held is None:
            return _NO_ROWS
        stop = len(held[0]) if bound is None else int(np.searchsorted(held[0], bound, "right"))
        if stop < len(held[0]):
            self.held[node] = _cut(held, slice(stop, None))
        return _cut(held, slice(0, stop))

    def settle(self, node: str) -> _ROWS:
        """All rows of `node` but the first, if too many wait: only that one can still get a counterpart.

        A node that is stuck is the reason for a late row, and it skips what it missed: it is late with one row at most.
        """
        held = self.held.get(node)
        if held is None or len(held[0]) < _HELD:
            return _NO_ROWS
        self.held[node] = _cut(held, slice(0, 1))
        return _cut(held, slice(1, None))


def _joined(one: _ROWS, other: _ROWS) -> _ROWS:
    tick, duration, status = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    return tick, duration, status


def _cut(rows: _ROWS, part: slice) -> _ROWS:
    return rows[0][part], rows[1][part], rows[2][part]


_NO_ROWS: _ROWS = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int16))


class _Node:
    """What is known so far of one node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.both, self.only_a, self.only_b = 0, 0, 0
        self.firsts: tuple[int | None, int | None] = None, None
        self.durations = Durations(), Durations()
        self.statuses = 0
        self.first_status: int | None = None

    def add(self, a: _ROWS, b: _ROWS) -> None:
        ticks_a, places_a = np.unique(a[0], return_index=True)
        ticks_b, places_b = np.unique(b[0], return_index=True)
        both, in_a, in_b = np.intersect1d(ticks_a, ticks_b, assume_unique=True, return_indices=True)
        self.both += len(both)
        only_a, only_b = (np.setdiff1d(ticks, both, assume_unique=True) for ticks in (ticks_a, ticks_b))
        self.only_a += len(only_a)
        self.only_b += len(only_b)
        self.firsts = _least(self.firsts[0], only_a), _least(self.firsts[1], only_b)
        places_a, places_b = places_a[in_a], places_b[in_b]
        self.durations[0].add(a[1][places_a])
        self.durations[1].add(b[1][places_b])
        changed = both[a[2][places_a] != b[2][places_b]]
        self.statuses += len(changed)
        self.first_status = _least(self.first_status, changed)

    def results(self, replayed: tuple[bool, bool]) -> tuple[TickComparison, TimingComparison]:
        """What was found.

        A replayed node runs in every tick that the recording might have something for: one that only it has, and in which it
        had nothing to do, is no difference. What it sends is compared as messages.
        """
        a, b = self.durations
        only = [
            0 if was_replayed else count
            for was_replayed, count in zip(replayed, (self.only_a, self.only_b), strict=True)
        ]
        firsts = [first for first, count in zip(self.firsts, only, strict=True) if count and first is not None]
        return (
            TickComparison(
                node=self.name, both=self.both, only_a=only[0], only_b=only[1], first_tick=min(firsts, default=None)
            ),
            TimingComparison(
                node=self.name,
                p50=(a.percentile(50), b.percentile(50)),
                p99=(a.percentile(99), b.percentile(99)),
                largest=(a.largest, b.largest),
                status_differs=self.statuses,
                first_status_tick=self.first_status,
            ),
        )


def _least(known: int | None, ticks: np.ndarray) -> int | None:
    if not len(ticks):
        return known
    least = int(ticks.min())
    return least if known is None else min(known, least)


def compare_ticks(
    a: Iterator[TickRows],
    b: Iterator[TickRows],
    counts: Callable[[str], bool],
    replayed: Callable[[str], tuple[bool, bool]],
) -> list[tuple[TickComparison, TimingComparison]]:
    """Compares the tick rows of two sessions, in constant memory.

    Args:
        a, b: the rows of both.
        counts: whether a node is wanted.
        replayed: whether a node was replayed in either.
    """
    sides = _Side(a), _Side(b)
    nodes: dict[str, _Node] = {}
    while not (sides[0].ended and sides[1].ended):
        min((side for side in sides if not side.ended), key=lambda side: side.progress).read()
        for node in list({**sides[0].held, **sides[1].held}):
            found = nodes.setdefault(node, _Node(node))
            bounds = [bound for side in sides if (bound := side.bound(node)) is not None]
            bound = min(bounds) if bounds else None
            found.add(sides[0].take(node, bound), sides[1].take(node, bound))
            found.add(sides[0].settle(node), _NO_ROWS)
            found.add(_NO_ROWS, sides[1].settle(node))
    return [node.results(replayed(node.name)) for node in nodes.values() if counts(node.name)]
