"""Numbers over ticks, for drawing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from horus_core.errors import InvalidValue
from horus_core.recording.export.series import drawing
from horus_core.recording.reading.reader import Session
from tests.recordings import Recording


def write(folder: Path, values: list[object], topic: str = "odom") -> Session:
    return (
        Recording({"sensor": [topic]}, last_tick=len(values) - 1, batch=500).add("sensor", topic, values).write(folder)
    )


def test_all_numbers_of_a_topic_are_taken_or_one_field(tmp_path: Path) -> None:
    values: list[object] = [
        {"pose": {"x": tick * 0.5}, "ok": True, "name": "a", "near": [1.0, tick]} for tick in range(4)
    ]
    session = write(tmp_path / "a", values)
    assert [each.name for each in drawing(session, ["odom"]).series] == ["odom.pose.x", "odom.ok"]
    (found,) = drawing(session, ["odom.pose.x"], start_tick=1, stop_tick=2).series
    assert (found.ticks, found.values) == ([1, 2], [0.5, 1.0])
    (found,) = drawing(session, ["odom.near[1]"]).series
    assert found.values == [0.0, 1.0, 2.0, 3.0]


def test_a_topic_whose_values_are_numbers_needs_no_field(tmp_path: Path) -> None:
    (found,) = drawing(write(tmp_path / "a", [1, 2.5, 4]), ["odom"]).series
    assert (found.name, found.values) == ("odom", [1.0, 2.5, 4.0])


def test_topics_may_be_patterns(tmp_path: Path) -> None:
    session = Recording({"sensor": ["wheel1", "wheel2", "wheels"]}, last_tick=0)
    for topic in ("wheel1", "wheel2", "wheels"):
        session.add("sensor", topic, [1.0])
    found = drawing(session.write(tmp_path / "a"), ["wheel?"]).series
    assert [each.name for each in found] == ["wheel1", "wheel2", "wheels"]
    assert [each.name for each in drawing(Session(tmp_path / "a"), ["*2", "wheels"]).series] == ["wheel2", "wheels"]
    with pytest.raises(InvalidValue, match=r"'x\*'"):
        drawing(Session(tmp_path / "a"), ["x*"])


def test_names_with_dots_are_told_apart_by_the_topics(tmp_path: Path) -> None:
    session = write(tmp_path / "a", [{"b": {"c": 1}}], topic="a.b")
    assert [each.name for each in drawing(session, ["a.b.b.c"]).series] == ["a.b.b.c"]
    with pytest.raises(InvalidValue, match=r"did you mean 'a\.b'"):
        drawing(session, ["a.d"])


def test_a_long_session_keeps_the_extremes(tmp_path: Path) -> None:
    values: list[object] = [math.sin(tick) for tick in range(20_000)]
    values[12_345] = 50.0
    (found,) = drawing(write(tmp_path / "a", values), ["odom"]).series
    assert len(found.values) <= 2 * 4001
    assert max(found.values) == 50.0
    assert found.ticks == sorted(found.ticks)
    assert abs(found.ticks[int(np.argmax(found.values))] - 12_345) < 5


def test_two_sessions_know_their_first_difference_in_what_is_drawn(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [{"x": tick, "y": 0} for tick in range(10)])
    b = write(tmp_path / "b", [{"x": tick + (tick > 6), "y": int(tick > 2)} for tick in range(10)])
    found = drawing(a, ["odom.x"], b)
    assert [each.session for each in found.series] == ["a", "b"]
    assert found.first_difference == 7
    assert drawing(a, ["odom"], b).first_difference == 3
    assert drawing(a, ["odom"], a).first_difference is None


def test_what_holds_no_number_is_refused(tmp_path: Path) -> None:
    session = write(tmp_path / "a", [{"name": "x", "near": [1]}])
    for name in ("odom", "odom.name", "odom.near", "odom.nothing"):
        with pytest.raises(InvalidValue):
            drawing(session, [name])
    with pytest.raises(InvalidValue, match="at most 12"):
        drawing(write(tmp_path / "b", [{f"f{place}": place for place in range(13)}]), ["odom"])
