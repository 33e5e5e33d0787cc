"""The fields that a comparison tells apart, and what it knows of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import numpy as np

from horus_core.recording.compare.field_names import names_of, place_name
from horus_core.recording.compare.result import FieldDifference
from horus_core.recording.compare.values import Leaf, shown


def field_filter(topic: str, ignore: Sequence[str]) -> Callable[[str], bool]:
    """Whether a field of `topic` counts.

    Args:
        topic: the topic.
        ignore: names of fields, or patterns with ``*`` and ``?``, that do not count, with what is below them; alone or
            with the topic before them (``odom.stamp`` for the field stamp of the topic odom).
    """

    def counts(field: str) -> bool:
        names = [name for above in names_of(field) for name in (above, f"{topic}.{above}")]
        return not any(fnmatchcase(name, pattern) for pattern in ignore for name in names)

    return counts


class Field:
    """What is known so far of one field that differs."""

    def __init__(self) -> None:
        self.first: tuple[int, Leaf] | None = None
        self.ticks = 0
        self.window: list[np.ndarray] = []
        self.largest: float | None = None
        self.largest_tick = -1

    def note(self, ticks: np.ndarray, leaf: Leaf, sizes: np.ndarray | None) -> None:
        """Adds messages that differ: their ticks, ascending, the first one's values and the size of each difference."""
        if self.first is None or int(ticks[0]) < self.first[0]:
            self.first = int(ticks[0]), leaf
        self.window.append(ticks)
        if sizes is not None:
            place = int(np.argmax(sizes))
            if self.largest is None or sizes[place] > self.largest:
                self.largest, self.largest_tick = float(sizes[place]), int(ticks[place])

    def end_window(self) -> None:
        if self.window:
            self.ticks += len(np.unique(np.concatenate(self.window)))
            self.window = []

    def result(self, name: str) -> FieldDifference:
        assert self.first is not None
        tick, leaf = self.first
        return FieldDifference(
            field=name,
            where=place_name(leaf.path),
            first_tick=tick,
            what=leaf.what,
            a=shown(leaf.a),
            b=shown(leaf.b),
            ticks=self.ticks,
            largest=self.largest,
            largest_tick=self.largest_tick if self.largest is not None else None,
        )
