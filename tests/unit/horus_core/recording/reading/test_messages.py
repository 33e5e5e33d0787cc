from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from horus_core.recording.reading.file import Damage
from horus_core.recording.reading.messages import Messages, read_messages
from horus_core.recording.reading.reader import Session
from horus_core.recording.reading.windows import windows
from tests.recordings import Message, Recording, cut, file_of, rows_of


def session_of(folder: Path) -> Session:
    recording = Recording({"n": ["a", "b"]}, last_tick=99, batch=7)
    recording.add("n", "a", range(100)).add("n", "b", [{"k": place} for place in range(0, 100, 2)])
    return recording.write(folder)


def as_rows(blocks: list[Messages]) -> list[tuple[int, str, int, bytes]]:
    return [
        (int(block.tick[row]), block.topics[block.topic[row]], int(block.sequence[row]), bytes(block.payload(row)))
        for block in blocks
        for row in range(len(block))
    ]


def test_blocks_hold_what_the_file_holds(tmp_path: Path) -> None:
    session, damage = session_of(tmp_path / "s"), list[Damage]()
    assert as_rows(list(read_messages(session, "n", damage))) == rows_of(session, "n")
    small = list(read_messages(session, "n", damage, block_bytes=1))
    assert len(small) > 10
    assert as_rows(small) == rows_of(session, "n")
    assert damage == []


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s")
    found = as_rows(list(read_messages(session, "n", [], topics=["b"], first_tick=10, last_tick=12)))
    assert found == [row for row in rows_of(session, "n") if row[1] == "b" and 10 <= row[0] <= 12]
    assert len(found) == 3


def test_what_cannot_be_read_is_noted(tmp_path: Path) -> None:
    session, damage = session_of(tmp_path / "s"), list[Damage]()
    path = file_of(session, "n")
    cut(path, path.stat().st_size // 2)
    found = as_rows(list(read_messages(Session(session.folder), "n", damage)))
    assert 20 < len(found) < 130
    assert len(damage) == 1


def test_a_session_without_messages_has_no_blocks(tmp_path: Path) -> None:
    session = Recording({"n": ["a"]}).write(tmp_path / "s")
    assert list(read_messages(session, "n", [])) == []


def stream(ticks: list[int], sizes: list[int]) -> list[Messages]:
    """Blocks of the given sizes over rows with these ticks; the sequence numbers them."""
    blocks, start = [], 0
    for size in [*sizes, len(ticks)]:
        part = ticks[start : start + size]
        if part:
            zeros = np.zeros(len(part), dtype=np.int64)
            columns = dict.fromkeys(("time", "topic", "encoding", "length"), zeros)
            columns["tick"] = np.array(part)
            columns["sequence"] = np.arange(start, start + len(part))
            columns["start"] = zeros
            blocks.append(Messages(["t"], columns, np.empty(0, np.uint8)))
        start += size
    return blocks


ticks = st.lists(st.integers(0, 12), max_size=30).map(sorted)
sizes = st.lists(st.integers(1, 7), max_size=30)


@given(st.lists(st.tuples(ticks, sizes), min_size=1, max_size=4))
def test_windows_hold_every_row_once_and_no_tick_twice(given: list[tuple[list[int], list[int]]]) -> None:
    seen: list[list[int]] = [[] for _ in given]
    last = -1
    for window in windows([iter(stream(*each)) for each in given]):
        there = [block.tick for block in window if block is not None]
        assert there
        assert min(int(found[0]) for found in there) > last
        last = max(int(found[-1]) for found in there)
        for rows, block in zip(seen, window, strict=True):
            if block is not None:
                rows += block.sequence.tolist()
    assert seen == [list(range(len(found))) for found, _ in given]


def test_a_window_spans_the_same_ticks_of_all_streams() -> None:
    dense, sparse = stream(list(range(100)), [10] * 10), stream([0, 50, 99], [1, 1, 1])
    for one, other in windows([iter(dense), iter(sparse)]):
        if one is not None and other is not None:
            assert set(other.tick.tolist()) <= set(one.tick.tolist())


def test_messages_of_one_tick_may_span_blocks(tmp_path: Path) -> None:
    recording = Recording({"n": ["a"]}, batch=2)
    recording.messages["n"] = [Message(3, "a", place) for place in range(9)]
    session = recording.write(tmp_path / "s")
    found = list(windows([read_messages(session, "n", [], block_bytes=1)]))
    assert [len(block) for (block,) in found if block is not None] == [9]
