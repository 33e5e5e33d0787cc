"""Several streams of rows, each sorted by tick, side by side: the same ticks of all of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from horus_core.recording.reading.messages import Messages


class _Stream:
    """One stream, and what was read of it but not yet handed out."""

    def __init__(self, blocks: Iterator[Messages]) -> None:
        self._blocks = blocks
        self._held: Messages | None = None
        self.ended = False

    def fill(self) -> None:
        """Reads until there is a tick that is known to be whole, or the end."""
        while not self.ended and (self._held is None or self._held.tick[0] == self._held.tick[-1]):
            self.grow()

    def grow(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self.ended = True
        else:
            self._held = block if self._held is None else Messages.joined([self._held, block])

    def whole_before(self) -> int | None:
        """All rows of ticks before this one are there; None if all of the rest is."""
        return None if self.ended or self._held is None else int(self._held.tick[-1])

    def take(self, bound: int | None) -> Messages | None:
        """The rows before the tick `bound`; None if there are none."""
        held = self._held
        if held is None:
            return None
        stop = len(held) if bound is None else int(np.searchsorted(held.tick, bound, "left"))
        self._held = held.rows(slice(stop, None)) if stop < len(held) else None
        return held.rows(slice(0, stop)) if stop else None

    def begins_before(self, bound: int) -> bool:
        return self._held is not None and int(self._held.tick[0]) < bound

    def is_over(self) -> bool:
        return self.ended and self._held is None


def windows(streams: Sequence[Iterator[Messages]]) -> Iterator[list[Messages | None]]:
    """The rows of all streams, a range of ticks at a time: no tick is in two windows.

    Yields:
        For each stream its rows in these ticks, or None where it has none.
    """
    open_streams = [_Stream(blocks) for blocks in streams]
    while True:
        for stream in open_streams:
            stream.fill()
        if all(stream.is_over() for stream in open_streams):
            return
        bounds = [
            (bound, place) for place, each in enumerate(open_streams) if (bound := each.whole_before()) is not None
        ]
        bound, place = min(bounds, default=(None, 0))
        if bound is not None and not any(stream.begins_before(bound) for stream in open_streams):
            open_streams[place].grow()
            continue
        yield [stream.take(bound) for stream in open_streams]


def bounded(window: list[Messages | None], size: int) -> Iterator[list[Messages | None]]:
    """A window in parts that hold some `size` bytes of payload each, or one tick that has more."""
    blocks = [block for block in window if block is not None]
    if sum(int(block.length.sum()) for block in blocks) <= size:
        yield window
        return
    ticks = np.concatenate([block.tick for block in blocks])
    order = np.argsort(ticks, kind="stable")
    bytes_before = np.cumsum(np.concatenate([block.length for block in blocks])[order])
    begins = order[np.flatnonzero(np.diff(bytes_before // size)) + 1]
    starts = [0] * len(window)
    for bound in [*np.unique(ticks[begins]).tolist(), None]:
        stops = [
            0 if block is None else len(block) if bound is None else int(np.searchsorted(block.tick, bound))
            for block in window
        ]
        pairs = list(zip(window, starts, stops, strict=True))
        starts = stops
        if any(start < stop for _, start, stop in pairs):
            yield [
                block.rows(slice(start, stop)) if block is not None and start < stop else None
                for block, start, stop in pairs
            ]
