"""The last message of latched topics before a tick, found in as few parts as it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.recording.format.schemas import GraphRecord, Header, LaneRecord
from horus_core.recording.reading.file import RecordingFile
from horus_core.recording.reading.latched import last_before, last_rows, latched_topics
from horus_core.recording.writing.writer import FileWriter
from tests.recordings import EPOCH, Message, message_batch_of

TOPICS = ["map", "scale", "scan"]
LATCHED = ("map", "scale")
GRAPH = GraphRecord(
    100.0,
    0,
    True,
    0,
    EPOCH,
    [],
    [LaneRecord(topic, "surveyor", latch=topic in LATCHED) for topic in TOPICS]
    + [LaneRecord("cmd", "driver"), LaneRecord("map", "driver", latch=True)],
)

Sent = tuple[int, str, Any]  # tick, topic, value


def batch(*sent: Sent) -> Any:
    return message_batch_of([Message(*each) for each in sent], "surveyor", TOPICS)


def part(folder: Path, number: int, before: list[Sent], batches: list[list[Sent]]) -> RecordingFile:
    """A part of the surveyor's file: the last messages before it, each in a batch, then its own."""
    header = Header(2, "node", "run", "0a1b", number, "surveyor", EPOCH, GRAPH)
    file = FileWriter(folder, header)
    for sent in before:
        file.write(*batch(sent), latched=True)
    for rows in batches:
        file.write(*batch(*rows))
    file.close()
    return RecordingFile(file.path)


def plain(rows: list[pa.RecordBatch]) -> list[Sent]:
    return [
        (row["tick"], row["topic"], msgspec.msgpack.decode(row["payload"])) for each in rows for row in each.to_pylist()
    ]


@pytest.fixture
def parts(tmp_path: Path) -> list[RecordingFile]:
    return [
        part(tmp_path, 0, [], [[(0, "scale", 10), (2, "map", "a"), (2, "map", "b"), (3, "scan", 1)], [(4, "scan", 2)]]),
        part(tmp_path, 1, [(2, "map", "b"), (0, "scale", 10)], [[(5, "map", "c"), (6, "scan", 3)], [(8, "map", "d")]]),
        part(tmp_path, 2, [(8, "map", "d"), (0, "scale", 10)], [[(9, "scan", 4), (10, "map", "e"), (10, "scan", 5)]]),
    ]


def test_the_latched_topics_are_those_of_the_node() -> None:
    assert latched_topics(GRAPH, "surveyor") == {"map", "scale"}
    assert latched_topics(GRAPH, "driver") == {"map"}
    assert latched_topics(GRAPH, "nobody") == frozenset()


def test_the_last_of_all_are_those_that_were_sent_last_in_the_order_of_their_ticks(parts: list[RecordingFile]) -> None:
    assert plain(last_before(parts, LATCHED)) == [(0, "scale", 10), (10, "map", "e")]


@pytest.mark.parametrize(
    ("tick", "found"),
    [
        (0, []),
        (1, [(0, "scale", 10)]),
        (2, [(0, "scale", 10)]),  # what was sent in the tick itself came not before it
        (3, [(0, "scale", 10), (2, "map", "b")]),  # of two in one tick, the second
        (5, [(0, "scale", 10), (2, "map", "b")]),
        (6, [(0, "scale", 10), (5, "map", "c")]),
        (8, [(0, "scale", 10), (5, "map", "c")]),
        (9, [(0, "scale", 10), (8, "map", "d")]),  # of a part before that of the tick
        (11, [(0, "scale", 10), (10, "map", "e")]),
    ],
)
def test_before_a_tick_the_last_are_those_that_were_sent_until_then(
    parts: list[RecordingFile], tick: int, found: list[Sent]
) -> None:
    assert plain(last_before(parts, LATCHED, tick)) == found


def test_only_the_topics_that_are_asked_for_are_found(parts: list[RecordingFile]) -> None:
    assert plain(last_before(parts, ["map"], 9)) == [(8, "map", "d")]
    assert plain(last_before(parts, [], 9)) == []
    assert plain(last_before(parts, ["no such"], 9)) == []


@pytest.mark.parametrize(
    ("tick", "found"), [(9, [(0, "scale", 10), (8, "map", "d")]), (None, [(0, "scale", 10), (10, "map", "e")])]
)
def test_a_part_tells_it_alone(parts: list[RecordingFile], tick: int | None, found: list[Sent]) -> None:
    """A ring has deleted the parts in which they were sent."""
    for each in parts[:-1]:
        each.path.unlink()
    assert plain(last_before(parts[-1:], LATCHED, tick)) == found


def test_a_part_that_says_it_twice_means_the_last_time(tmp_path: Path) -> None:
    file = part(tmp_path, 0, [(2, "map", "b"), (5, "map", "c")], [[(9, "scan", 1)]])
    assert plain(last_before([file], LATCHED)) == [(5, "map", "c")]


def test_the_messages_of_a_part_are_without_those_before_it(parts: list[RecordingFile]) -> None:
    assert [row[0] for row in plain(list(parts[1].batches()))] == [5, 6, 8]
    assert plain(list(parts[1].latched())) == [(2, "map", "b"), (0, "scale", 10)]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(TOPICS), st.integers(0, 99)), min_size=1, max_size=15),
    st.one_of(st.none(), st.integers(-1, 22)),
)
def test_the_last_rows_of_a_batch(sent: list[Sent], before: int | None) -> None:
    sent = sorted(sent, key=lambda each: each[0])
    expected = {}
    for tick, topic, value in sent:
        if topic in LATCHED and (before is None or tick < before):
            expected[topic] = [(tick, topic, value)]
    found = last_rows(batch(*sent)[0], LATCHED, before)
    assert {topic: plain([row]) for topic, row in found.items()} == expected
