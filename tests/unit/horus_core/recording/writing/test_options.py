"""How a recording is to be made: what is refused, and what follows from what is given."""

from __future__ import annotations

from typing import Any

import pytest

from horus_core.errors import InvalidValue
from horus_core.recording.writing.options import Recording


@pytest.mark.parametrize("name", ["split_mb", "split_seconds", "keep_mb", "keep_seconds", "memory_mb", "reserve_mb"])
@pytest.mark.parametrize("value", [-1, float("nan"), "1", True])
def test_a_size_or_time_that_is_none_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"Recording {name}"):
        Recording(**{name: value})


def test_the_reserve_is_a_gigabyte_or_a_twentieth_or_what_is_said() -> None:
    assert Recording().reserve(1000 << 30) == 1 << 30
    assert Recording().reserve(10_000_000) == 500_000
    assert Recording(reserve_mb=2).reserve(10_000_000) == 2_000_000
    assert Recording(reserve_mb=0).reserve(10_000_000) == 0


def test_topics_are_recorded_that_are_wanted_and_not_excluded() -> None:
    how = Recording(record_topics=["camera/*", "odom"], record_exclude=["*/raw"])
    topics = ["camera/left", "camera/raw", "odom", "scan"]
    assert [how.records(topic) for topic in topics] == [True, False, True, False]
    assert all(Recording().records(topic) for topic in topics)
    assert [Recording(record_exclude=["odom"]).records(topic) for topic in topics] == [True, True, False, True]


@pytest.mark.parametrize("wrong", ["camera", [1], [""]])
def test_text_alone_is_no_list_of_topics(wrong: Any) -> None:
    with pytest.raises(InvalidValue, match="record_exclude"):
        Recording(record_exclude=wrong)


def test_a_misspelt_topic_is_refused_and_a_pattern_may_fit_nothing() -> None:
    Recording(record_exclude=["lidar*"], record_topics=["odom"]).check(["odom"])
    with pytest.raises(InvalidValue, match=r"record_exclude is 'odon'.*did you mean 'odom'"):
        Recording(record_exclude=["odon"]).check(["odom"])
