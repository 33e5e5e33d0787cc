"""Numbers of a session over its ticks, few enough to draw."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from horus_core.errors import InvalidValue, closest
from horus_core.recording.compare import compare
from horus_core.recording.export.columns import Values
from horus_core.recording.export.fields import TopicFields
from horus_core.recording.format.patterns import expanded
from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.messages import read_messages
from horus_core.recording.reading.reader import Session

_POINTS = 4000  # beyond so many ticks, the least and the largest value of each of so many spans are kept
_MOST_SERIES = 12
_INDEX = re.compile(r"\[(\d+)\]")


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one field, one point per message or, of a long session, two per span of ticks.

    Attributes:
        name: the topic, and the field behind a dot.
        node: who sent it.
        session: where it was recorded.
        ticks, values: the points.
    """

    name: str
    node: str
    session: str
    ticks: list[int]
    values: list[float]


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """What to draw.

    Attributes:
        series: the lines; those of a second session behind those of the first.
        first_difference: the first tick in which what is drawn differs between the two; None without one.
        tick_rate: in Hz.
        damage: what could not be read.
    """

    series: list[Series]
    first_difference: int | None
    tick_rate: float
    damage: list[str]


def drawing(
    session: Session,
    names: Sequence[str],
    other: Session | None = None,
    start_tick: int | None = None,
    stop_tick: int | None = None,
) -> Drawing:
    """The values of fields over ticks.

    Args:
        session: where to read.
        names: topics, all of whose numbers are taken, or topics with a field: ``odom.pose.x``, ``scan.ranges[3]``. In the
            name of a topic alone, ``*`` and ``?`` stand for any letters.
        other: a second session to lay over the first.
        start_tick, stop_tick: only ticks from and up to these.

    Raises:
        InvalidValue: there is no such topic or field, it holds no numbers, or there are too many of them.
    """
    damage: list[Damage] = []
    wanted = [_wanted(session, name) for name in expanded(names, (lane.topic for lane in session.graph.lanes))]
    series, first = [], None
    for each in (session,) if other is None else (session, other):
        for topic, field in wanted:
            series += _series(each, topic, field, start_tick, stop_tick, damage)
    lines = {one.name for one in series}
    if not lines:
        raise InvalidValue("what to draw", ", ".join(map(repr, names)), "a topic that has messages in these ticks")
    if len(lines) > _MOST_SERIES:
        raise InvalidValue("what to draw", f"{len(lines)} lines", f"at most {_MOST_SERIES}; name single fields")
    if other is not None:
        topics = list(dict.fromkeys(topic for topic, _ in wanted))
        found = compare(session, other, topics=topics, limit=10_000, start_tick=start_tick, stop_tick=stop_tick)
        firsts = [
            field.first_tick
            for topic in found.topics
            for field in topic.fields
            if any(_INDEX.sub("", line) in (f"{topic.topic}.{field.field}", topic.topic) for line in lines)
        ]
        first = min(firsts, default=None)
    return Drawing(
        series=series,
        first_difference=first,
        tick_rate=session.graph.tick_rate,
        damage=[str(each) for each in dict.fromkeys([*session.damage, *damage])],
    )


def _wanted(session: Session, name: str) -> tuple[str, str | None]:
    """The topic and the field (None: all) that `name` means; both may hold dots."""
    topics = sorted({lane.topic for lane in session.graph.lanes}, key=len, reverse=True)
    for topic in topics:
        if name == topic:
            return topic, None
        if name.startswith(topic) and name[len(topic)] in ".[":
            return topic, name[len(topic) :].removeprefix(".")
    raise InvalidValue(
        "the topic", f"{name!r}{closest(name, topics)}", f"one of {', '.join(sorted(topics))}, and a field"
    )


def _series(
    session: Session, topic: str, field: str | None, start: int | None, stop: int | None, damage: list[Damage]
) -> list[Series]:
    first = session.graph.first_tick if start is None else start
    last = session.last_tick() if stop is None else stop
    found = []
    seen: dict[str, bool] = {}  # fields, and whether they are numbers
    for node in dict.fromkeys(lane.node for lane in session.graph.lanes if lane.topic == topic):
        collected: dict[str, _Points] = {}
        reader = TopicFields(topic)
        for block in read_messages(session, node, damage, [topic], start, stop):
            for piece in reader.pieces(block, np.arange(len(block))):
                for path, values in piece.columns.items():
                    name = ".".join(path)
                    numbers = _numbers(values, name, field)
                    seen[name] = seen.get(name, False) or numbers is not None
                    if numbers is not None and (field is None or _INDEX.sub("", field) == name):
                        points = collected.setdefault(field or name, _Points(first, last))
                        points.add(block.tick[piece.rows], numbers)
        found += [
            Series(name=f"{topic}.{name}".rstrip("."), node=node, session=session.name, ticks=ticks, values=values)
            for name, points in collected.items()
            for ticks, values in [points.listed()]
        ]
    if not found and seen:
        _refuse(topic, field, [name for name, numeric in seen.items() if numeric], seen)
    return found


def _refuse(topic: str, field: str | None, numeric: list[str], seen: dict[str, bool]) -> None:
    there = ", ".join(f"{topic}.{name}".rstrip(".") for name in numeric) or "none; its numbers are in lists: FIELD[0]"
    if field is not None and field not in seen:
        what = f"{topic + '.' + field!r}{closest(field, list(seen))}"
        raise InvalidValue("the field", what, f"one that {topic!r} has: {there}")
    raise InvalidValue("what to draw", repr(f"{topic}.{field}" if field else topic), f"a field with numbers: {there}")


def _numbers(values: Values, name: str, field: str | None) -> np.ndarray | None:
    """A column as numbers, NaN where there is none; None if it has none at all."""
    places = (
        [int(each) for each in _INDEX.findall(field)] if field is not None and _INDEX.sub("", field) == name else []
    )
    if isinstance(values, np.ndarray):
        for place in places:
            if values.ndim < 2 or place >= values.shape[1]:
                return None
            values = values[:, place]
        return values.astype(np.float64) if values.ndim == 1 and values.dtype.kind in "biuf" else None
    if not isinstance(values, list):
        return None
    picked = np.array([_number(value, places) for value in values])
    return picked if len(picked) and not np.isnan(picked).all() else None


def _number(value: Any, places: list[int]) -> float:
    for place in places:
        if not isinstance(value, (list, np.ndarray)) or place >= len(value):
            return float("nan")
        value = value[place]
    return float(value) if isinstance(value, (bool, int, float, np.number)) else float("nan")


class _Points:
    """Points of one line: all of a short session, of a long one the extremes of each span of ticks."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._span = first, max(-(-(last - first + 1) // _POINTS), 1)
        self._ticks: list[np.ndarray] = []
        self._values: list[np.ndarray] = []
        self._least = np.full(_POINTS + 1, np.inf)
        self._most = np.full(_POINTS + 1, -np.inf)

    def add(self, ticks: np.ndarray, values: np.ndarray) -> None:
        """Adds a point per value."""
        if self._span == 1:
            self._ticks.append(np.array(ticks))
            self._values.append(values)
            return
        places = np.clip((ticks - self._first) // self._span, 0, _POINTS)
        there = ~np.isnan(values)
        np.minimum.at(self._least, places[there], values[there])
        np.maximum.at(self._most, places[there], values[there])

    def listed(self) -> tuple[list[int], list[float]]:
        """Ticks and values, in the order of time."""
        if self._span == 1:
            ticks, values = np.concatenate(self._ticks), np.concatenate(self._values)
            order = np.argsort(ticks, kind="stable")
            return ticks[order].tolist(), values[order].tolist()
        there = np.flatnonzero(self._least <= self._most)
        ticks = np.repeat(self._first + there * self._span, 2)
        return ticks.tolist(), np.column_stack((self._least[there], self._most[there])).ravel().tolist()
