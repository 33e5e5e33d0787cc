"""The messages of two sessions on one topic: what differs, field by field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from horus_core.errors import UndecodableMessage
from horus_core.messages.encoding import MSGPACK, Decoder
from horus_core.messages.value_offsets import Path, Slot
from horus_core.recording.compare.field_names import field_name
from horus_core.recording.compare.fields import Field, field_filter
from horus_core.recording.compare.pairing import Pairs
from horus_core.recording.compare.result import TopicComparison
from horus_core.recording.compare.tolerance import Tolerance, Tolerances
from horus_core.recording.compare.values import Leaf, leaves
from horus_core.recording.reading.columns import Layout, by_layout
from horus_core.recording.reading.messages import Messages

_MOST_FIELDS = 10_000  # fields of a topic that are told apart; a dict keyed by something endless must not fill memory


class TopicContent:
    """Compares the messages of one node on one topic, window by window.

    Args:
        topic, node: which.
        tolerances: what numbers may differ by.
        ignore: see :func:`field_filter`.
    """

    def __init__(self, topic: str, node: str, tolerances: Tolerances, ignore: Sequence[str]) -> None:
        self.topic, self.node = topic, node
        self._tolerances = tolerances
        self._allowed: dict[str, Tolerance] = {}
        self._decoder = Decoder(topic)
        self._filter = field_filter(topic, ignore)
        self._counting: dict[str, bool] = {}
        self._fields: dict[str, Field] = {}
        self._overflow = 0
        self._counts = [0, 0, 0, 0, 0]  # messages of a and b, those without counterpart, pairs that differ
        self._first: int | None = None
        self._ticks = 0
        self._window: list[np.ndarray] = []

    def add(self, a: Messages, b: Messages, pairs: Pairs) -> None:
        """Adds the messages of a window: all on this topic, `pairs` those that hold other bytes and those that are alone."""
        only_a, only_b = a.tick[pairs.only_a], b.tick[pairs.only_b]
        self._window += [only_a, only_b]
        self._counts[2] += len(only_a)
        self._counts[3] += len(only_b)
        packed = (a.encoding[pairs.a] == MSGPACK) & (b.encoding[pairs.b] == MSGPACK)
        places = np.flatnonzero(packed)
        if len(places):
            self._add_packed(a, b, pairs.a[places], pairs.b[places])
        self._add_decoded(a, b, pairs.a[~packed], pairs.b[~packed])
        self._end_window()

    def count(self, messages_a: int, messages_b: int) -> None:
        """Counts messages, whether they differ or not."""
        self._counts[0] += messages_a
        self._counts[1] += messages_b

    def _add_packed(self, a: Messages, b: Messages, rows_a: np.ndarray, rows_b: np.ndarray) -> None:
        for layout, places, matrices in by_layout((a, rows_a), (b, rows_b)):
            if layout is None:
                self._add_decoded(a, b, rows_a[places], rows_b[places])
            else:
                self._add_columns(layout, a.tick[rows_a[places]], matrices)

    def _add_columns(self, layout: Layout, ticks: np.ndarray, matrices: list[np.ndarray]) -> None:
        differ = np.zeros(len(ticks), dtype=bool)
        for slot in layout.slots:
            if slot.kind in ("none", "map") or not self._counts_field(field_name(slot.path)):
                continue
            one, other = (slot.values(matrix) for matrix in matrices)
            unequal, sizes = self._tolerance(slot.path).exceeded(one, other)
            if slot.shape:
                unequal, sizes = unequal.reshape(len(ticks), -1), sizes.reshape(len(ticks), -1)
            rows = np.flatnonzero(unequal.any(axis=1) if slot.shape else unequal)
            if len(rows):
                differ[rows] = True
                self._note_slot(slot, ticks[rows], one[rows], other[rows], unequal[rows], sizes[rows])
        self._count_differing(ticks[differ])

    def _note_slot(
        self, slot: Slot, ticks: np.ndarray, one: np.ndarray, other: np.ndarray, unequal: np.ndarray, sizes: np.ndarray
    ) -> None:
        path, first = slot.path, (one[0], other[0])
        if slot.kind in ("str", "bytes"):
            first = (one[0].tobytes(), other[0].tobytes())
            if slot.kind == "str":
                first = (first[0].decode(), first[1].decode())
            else:
                path = (*path, int(np.argmax(unequal[0])))
        elif slot.shape:
            place = np.unravel_index(int(np.argmax(unequal[0])), slot.shape)
            path = (*path, *(int(each) for each in place))
            first = (one[0][place], other[0][place])
            sizes = np.where(unequal, sizes, 0.0).max(axis=1)
        numeric = slot.kind in ("number", "fixint", "array")
        self._note(field_name(slot.path), ticks, Leaf(path, "value", *first, None), sizes if numeric else None)

    def _add_decoded(self, a: Messages, b: Messages, rows_a: np.ndarray, rows_b: np.ndarray) -> None:
        differ = []
        order = np.argsort(rows_a)
        for row_a, row_b in zip(rows_a[order].tolist(), rows_b[order].tolist(), strict=True):
            tick = a.tick[row_a : row_a + 1]
            found = False
            for leaf in self._leaves(a, row_a, b, row_b):
                name = field_name(leaf.path)
                if self._counts_field(name):
                    found = True
                    self._note(name, tick, leaf, None if leaf.size is None else np.array([leaf.size]))
            if found:
                differ.append(int(tick[0]))
        self._count_differing(np.array(differ, dtype=np.int64))

    def _leaves(self, a: Messages, row_a: int, b: Messages, row_b: int) -> list[Leaf]:
        payload_a, payload_b = a.payload(row_a), b.payload(row_b)
        try:
            one = self._decoder.decode(int(a.encoding[row_a]), payload_a, copy=False)
            other = self._decoder.decode(int(b.encoding[row_b]), payload_b, copy=False)
        except UndecodableMessage:
            if payload_a == payload_b:
                return []
            return [Leaf((), "undecodable", bytes(payload_a), bytes(payload_b), None)]
        return list(leaves(one, other, self._tolerance))

    def _tolerance(self, path: Path) -> Tolerance:
        if not self._tolerances.differ:
            return self._tolerances.default
        name = field_name(path)
        found = self._allowed.get(name)
        if found is None:
            found = self._tolerances.of(self.topic, name)
            if len(self._allowed) < _MOST_FIELDS:
                self._allowed[name] = found
        return found

    def _counts_field(self, name: str) -> bool:
        counts = self._counting.get(name)
        if counts is None:
            counts = self._filter(name)
            if len(self._counting) < _MOST_FIELDS:
                self._counting[name] = counts
        return counts

    def _note(self, name: str, ticks: np.ndarray, leaf: Leaf, sizes: np.ndarray | None) -> None:
        field = self._fields.get(name)
        if field is None:
            if len(self._fields) >= _MOST_FIELDS:
                self._overflow += 1
                return
            field = self._fields[name] = Field()
        field.note(ticks, leaf, sizes)

    def _count_differing(self, ticks: np.ndarray) -> None:
        self._counts[4] += len(ticks)
        self._window.append(ticks)

    def _end_window(self) -> None:
        ticks = np.unique(np.concatenate(self._window))
        self._window = []
        if len(ticks):
            self._ticks += len(ticks)
            self._first = int(ticks[0]) if self._first is None else min(self._first, int(ticks[0]))
        for field in self._fields.values():
            field.end_window()

    def result(self, limit: int) -> TopicComparison:
        """What was found, with at most `limit` fields."""
        found = [field.result(name) for name, field in self._fields.items()]
        found.sort(key=lambda difference: difference.first_tick)
        messages_a, messages_b, only_a, only_b, differing = self._counts
        return TopicComparison(
            topic=self.topic,
            node=self.node,
            messages_a=messages_a,
            messages_b=messages_b,
            only_a=only_a,
            only_b=only_b,
            differing=differing,
            first_tick=self._first,
            ticks=self._ticks,
            fields=found[:limit],
            more_fields=max(len(found) - limit, 0) + self._overflow,
        )
