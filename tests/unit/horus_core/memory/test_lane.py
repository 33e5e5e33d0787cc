"""Lanes: one writer's messages. Nothing that may still be read is overwritten, and what is lost is counted, never torn."""

from __future__ import annotations

import itertools
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.errors import SharedMemoryFull
from horus_core.graph.spec import NodeSpec, TopicSpec, build_graph
from horus_core.memory import lane as lanes
from horus_core.memory.control import FREE, L_COMMIT, L_GENERATION, L_HEAD, L_LOST, Layout, create_control
from horus_core.memory.drain import Drain
from horus_core.memory.lane import LaneReader, LaneWriter, power_of_two
from horus_core.memory.segment import E_LENGTH, FIRST_DATA, S_SEALED, Segment, segment_name
from horus_core.memory.shared import LocalMemory, Memory, SharedMemory
from horus_core.messages.encoding import ARRAYS, MSGPACK, RAW, Encoder

ROOT = Path(__file__).parents[4]
EVERYTHING = 1 << 60


def copied(encoding: int, payload: memoryview) -> tuple[int, bytes]:
    return encoding, bytes(payload)


@dataclass
class Line:
    """A lane of one writer and two readers, positions 1 and 2, in some memory."""

    capacity: int = 1024
    recorded: bool = False
    memory: Memory = field(default_factory=LocalMemory)
    wait: Callable[[], bool] | None = None
    latch: bool = False
    tick: int = 0

    def __post_init__(self) -> None:
        specs = [NodeSpec("writer", 10, pubs=(TopicSpec("t", None, self.capacity),))]
        specs += [NodeSpec(name, 10, subs=(TopicSpec("t", None, self.capacity),)) for name in ("one", "two")]
        self.layout = Layout.of(build_graph(specs, 10))
        self.control = create_control(self.memory, self.layout, 0, self.recorded)
        self.row = self.layout.lane(0)
        self.writer = self.new_writer()

    def new_writer(self) -> LaneWriter:
        return LaneWriter(self.memory, self.control, self.layout, 0, self.capacity, self.wait, latch=self.latch)

    def reader(self, position: int | None = 1, capacity: int | None = None, observe: bool = False) -> LaneReader:
        room = self.capacity if capacity is None else capacity
        return LaneReader(self.memory, self.control, self.layout, 0, position, room, observe, self.latch)

    def late(self, visible: int, limit: int = EVERYTHING) -> list[bytes]:
        """What a reader gets first that starts to listen in tick `visible`."""
        reader = self.reader(None, capacity=FREE, observe=True)
        reader.start_at(visible)
        return taken(reader, limit)

    def release(self, position: int | None) -> None:
        """A reader that never was there holds nothing."""
        self.control[self.layout.floor(0, position)] = FREE

    def send(self, *payloads: bytes, commit: bool = True) -> None:
        """One tick."""
        for payload in payloads:
            self.writer.put(RAW, payload, self.tick, self.tick)
        if commit:
            self.writer.commit()
        self.tick += 1

    @property
    def generation(self) -> int:
        return self.control[self.row + L_GENERATION]

    @property
    def lost(self) -> int:
        return self.control[self.row + L_LOST]


def taken(reader: LaneReader, limit: int = EVERYTHING, most: int = EVERYTHING) -> list[bytes]:
    """A tick of the reader: fixes what it can read, then takes up to `most`."""
    reader.open(limit)
    found = []
    while len(found) < most:
        there, message = reader.take(copied)
        if not there:
            break
        found.append(message[1])
    return found


# Everything arrives, in order, once.


def test_messages_arrive_in_order_once_for_every_reader() -> None:
    line = Line()
    one, two = line.reader(1), line.reader(2)
    line.send(b"a", b"", b"b")
    assert taken(one) == [b"a", b"", b"b"]
    assert taken(one) == []
    line.send(b"c")
    assert taken(one) == [b"c"]
    assert taken(two) == [b"a", b"", b"b", b"c"]
    assert (one.dropped, two.dropped, line.lost) == (0, 0, 0)


def test_nothing_is_seen_before_its_tick_has_ended() -> None:
    line = Line()
    reader = line.reader()
    line.send(b"a", commit=False)
    assert taken(reader) == []
    line.writer.commit()
    assert taken(reader) == [b"a"]


def test_what_becomes_visible_later_is_seen_from_that_tick_on() -> None:
    line = Line()
    reader = line.reader()
    for sent_in, visible in ((0, 0), (0, 5), (3, 7)):
        line.writer.put(RAW, b"%d" % visible, sent_in, visible)
    line.writer.commit()
    assert [taken(reader, limit) for limit in (0, 1, 4, 5, 6, 7, 8)] == [[b"0"], [], [], [b"5"], [], [b"7"], []]


def test_what_a_late_tick_sent_is_seen_from_the_tick_that_commits_it() -> None:
    line = Line()
    reader = line.reader()
    line.writer.put(RAW, b"late", 3, 3)
    line.writer.commit_as(6)
    assert [taken(reader, limit) for limit in (3, 5, 6)] == [[], [], [b"late"]]
    assert line.lost == 0


def test_a_reader_opens_once_per_tick_and_sees_nothing_in_between() -> None:
    line = Line()
    reader = line.reader()
    line.send(b"a")
    reader.open(0)
    line.send(b"b")
    assert reader.take(copied) == (True, (RAW, b"a"))
    assert reader.take(copied) == (False, None)
    assert taken(reader) == [b"b"]


def test_encoding_and_tick_come_along() -> None:
    line = Line()
    reader = line.reader()
    line.writer.put(MSGPACK, b"\x01", 4, 4)
    line.writer.commit()
    reader.open(4)
    assert reader.peek_tick() == 4
    assert reader.take(copied) == (True, (MSGPACK, b"\x01"))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.lists(st.integers(0, 9000), max_size=8)),
            st.tuples(st.just("read"), st.tuples(st.integers(1, 2), st.integers(0, 40))),
            st.tuples(st.just("new writer"), st.none()),
        ),
        max_size=60,
    )
)
def test_any_sequence_of_sending_reading_and_crashing_loses_nothing(steps: list[tuple[str, object]]) -> None:
    line = Line(capacity=10_000)
    readers = {position: line.reader(position) for position in (1, 2)}
    expected: dict[int, list[bytes]] = {1: [], 2: []}
    numbers = itertools.count()
    for what, detail in steps:
        if what == "send":
            sent = [b"%d:" % next(numbers) + b"x" * size for size in detail]  # type: ignore[attr-defined]
            line.send(*sent)
            for waiting in expected.values():
                waiting += sent
        elif what == "read":
            position, most = detail  # type: ignore[misc]
            assert taken(readers[position], most=most) == expected[position][:most]
            del expected[position][:most]
        else:
            line.writer = line.new_writer()
    for position, reader in readers.items():
        assert taken(reader) == expected[position]
        assert reader.dropped == 0
    assert line.lost == 0


# Growth.


def test_a_payload_that_does_not_fit_opens_a_larger_segment_and_readers_follow() -> None:
    line = Line()
    reader = line.reader()
    sizes = [10, FIRST_DATA - 5, FIRST_DATA + 1, 10, 6_000_000, 0, 64]
    payloads = [bytes([at]) * size for at, size in enumerate(sizes)]
    for payload in payloads:
        line.send(payload)
    assert line.generation >= 2
    assert taken(reader) == payloads


def test_a_payload_of_64_MB_passes() -> None:
    line = Line()
    line.release(2)
    reader = line.reader()
    payload = np.arange(8 << 20, dtype=np.int64).tobytes()
    line.send(payload)
    reader.open(0)
    there, same = reader.take(lambda _, data: data == payload)
    assert there
    assert same


def test_ten_thousand_messages_of_one_tick_all_arrive() -> None:
    line = Line(capacity=10_000)
    reader = line.reader()
    payloads = [b"%d" % at * (at % 50) for at in range(10_000)]
    line.send(*payloads)
    assert taken(reader) == payloads
    assert (line.lost, reader.dropped) == (0, 0)


def test_generations_that_nobody_needs_any_more_are_removed() -> None:
    line = Line()
    one, two = line.reader(1), line.reader(2)
    for size in (FIRST_DATA * 2, FIRST_DATA * 8, FIRST_DATA * 32, FIRST_DATA * 128):
        line.send(bytes(size))
        for reader in (one, two):
            assert [len(each) for each in taken(reader)] == [size]
            reader.open(EVERYTHING)  # the next tick lets go of what the last one read
    assert line.generation == 4
    gone = []
    for generation in range(line.generation):
        try:
            line.memory.open(segment_name(0, generation))
        except KeyError:
            gone.append(generation)
    assert gone[:2] == [0, 1]
    line.send(b"after")
    assert taken(one) == [b"after"]


def test_a_lane_that_everybody_reads_does_not_grow() -> None:
    line = Line(capacity=16)
    one, two = line.reader(1), line.reader(2)
    for tick in range(2000):
        line.send(b"x" * 500, b"y" * (tick % 700))
        assert len(taken(one)) == 2
        assert len(taken(two)) == 2
    one.open(EVERYTHING)
    assert line.generation == 0
    assert line.lost == 0


def test_room_is_made_for_many_messages_at_once_also_where_bytes_are_short_and_not_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line, calls, make_room = Line(capacity=4000), 0, LaneWriter._make_room
    line.release(2)
    reader = line.reader()

    def counted(writer: LaneWriter, size: int) -> None:
        nonlocal calls
        calls += 1
        make_room(writer, size)

    monkeypatch.setattr(LaneWriter, "_make_room", counted)
    for tick in range(40):
        line.send(*[bytes(32)] * 1000)  # the first segment has bytes for 4,096 of them, and entries for 8,192
        assert len(taken(reader, tick)) == 1000
    assert line.control[line.row + L_GENERATION] == 0
    assert calls < 40_000 / 50


def test_no_room_for_a_larger_segment_is_an_error_when_the_payload_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    reader = line.reader()
    line.send(b"before")

    def full(what: str, size: int) -> memoryview:
        raise SharedMemoryFull(what, size, 0)

    monkeypatch.setattr(line.memory, "create", full)
    with pytest.raises(SharedMemoryFull):
        line.writer.put(RAW, bytes(FIRST_DATA * 2), 1, 1)
    line.send(b"after")
    assert taken(reader) == [b"before", b"after"], "a message that was refused leaves the lane as it was"


def test_no_room_to_grow_for_slow_readers_loses_the_oldest_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(capacity=10_000)
    reader = line.reader()

    def full(what: str, size: int) -> memoryview:
        raise SharedMemoryFull(what, size, 0)

    monkeypatch.setattr(line.memory, "create", full)
    sent = [b"%06d" % at + bytes(1000) for at in range(1000)]
    for payload in sent:
        line.send(payload)
    found = taken(reader)
    assert 0 < len(found) < 1000
    assert found == sent[-len(found) :]
    assert reader.dropped == line.lost == 1000 - len(found)


# At the limit.


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(lanes, "LIMIT", 1 << 19)
    return 1 << 19


def test_at_its_limit_a_lane_overwrites_and_counts(small_limit: int) -> None:
    line = Line(capacity=64)
    line.release(2)
    reader = line.reader(1, capacity=FREE)
    sent = [b"%06d" % at + b"x" * (at % 977) for at in range(5000)]
    for payload in sent:
        line.send(payload)
    found = taken(reader)
    numbers = [int(payload[:6]) for payload in found]
    assert found == [sent[number] for number in numbers]
    assert numbers == sorted(set(numbers))
    assert numbers[-100:] == list(range(4900, 5000)), "the newest are there"
    assert reader.dropped == 5000 - len(found) == line.lost > 0
    largest = max(
        len(line.memory.open(segment_name(0, each))) for each in range(line.generation + 1) if holds(line, each)
    )
    assert largest <= 2 * small_limit


def holds(line: Line, generation: int) -> bool:
    try:
        line.memory.open(segment_name(0, generation))
    except KeyError:
        return False
    return True


def test_the_messages_of_one_tick_are_never_overwritten_before_it_ends(small_limit: int) -> None:
    line = Line(capacity=1 << 20)
    reader = line.reader()
    line.send(b"before")
    sent = [b"%06d" % at + bytes(600) for at in range(3000)]  # 1.8 MB, beyond the limit
    line.send(*sent)
    assert taken(reader)[-3000:] == sent


def test_a_reader_never_gets_other_bytes_than_the_messages_own(small_limit: int) -> None:
    """The data ring comes round before the index ring does."""
    line = Line(capacity=1 << 16)
    line.release(2)
    reader, observer = line.reader(1), line.reader(None, capacity=FREE, observe=True)
    for at in range(4000):
        line.send(b"%06d" % at + bytes([at % 256]) * 3000)
        if at % 700 == 0:
            for each in (reader, observer):
                for payload in taken(each, most=3):
                    assert payload[6:] == bytes([int(payload[:6]) % 256]) * 3000
    for each in (reader, observer):
        found = [int(payload[:6]) for payload in taken(each) if payload[6:] == bytes([int(payload[:6]) % 256]) * 3000]
        assert found == list(range(4000))[-len(found) :]


def test_a_recorder_takes_no_other_bytes_than_the_messages_own(small_limit: int) -> None:
    line = Line(capacity=1 << 16, recorded=True)
    line.release(1)
    line.release(2)
    drain = Drain(line.memory, line.control, line.layout, 0)
    for at in range(1000):
        line.send(b"%06d" % at + bytes(3000))
    found = []
    for rows, payload in drain.take():
        ends = np.cumsum(rows[:, E_LENGTH])
        for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
            found.append((row[0] - 1, int(payload[end - row[E_LENGTH] : end].tobytes()[:6])))
    assert all(sequence == number for sequence, number in found)
    assert [sequence for sequence, _ in found] == list(range(1000))[-len(found) :]
    assert len(found) + drain.lost == 1000


def test_only_the_recorder_is_waited_for(small_limit: int) -> None:
    asked: list[int] = []

    def wait() -> bool:
        asked.append(line.writer.head)
        line.control[line.layout.floor(0, None)] = line.writer.head  # the recorder took it all
        return True

    line = Line(capacity=1 << 16, recorded=True, wait=wait)
    line.release(1)
    line.release(2)
    for at in range(5000):
        line.send(b"%06d" % at + bytes(600))
    assert asked
    assert line.lost == 0


def test_a_recorder_that_has_gone_is_given_up(small_limit: int) -> None:
    line = Line(capacity=1 << 16, recorded=True, wait=lambda: False)
    line.release(1)
    line.release(2)
    for at in range(5000):
        line.send(b"%06d" % at + bytes(600))
    assert line.lost > 0


def test_an_observer_holds_nothing_up_and_counts_what_it_missed() -> None:
    line = Line(capacity=16)
    line.release(1)
    line.release(2)
    observer = line.reader(None, capacity=FREE, observe=True)
    sent = [b"%06d" % at + bytes(500) for at in range(3000)]
    for at, payload in enumerate(sent):
        line.send(payload)
        if at == 10:
            assert taken(observer, most=5) == sent[:5]
    assert line.generation == 0
    found = taken(observer)
    assert found == sent[-len(found) :]
    assert observer.dropped == 3000 - 5 - len(found)


# Capacity.


@pytest.mark.parametrize(("capacity", "behind"), [(1, 5), (3, 3), (3, 4), (64, 1000)])
def test_who_is_more_than_the_capacity_behind_loses_the_oldest_by_count(capacity: int, behind: int) -> None:
    line = Line(capacity=capacity)
    line.release(2)
    reader = line.reader(1)
    sent = [b"%d" % at for at in range(behind)]
    for payload in sent:
        line.send(payload)
    assert taken(reader) == sent[-capacity:]
    assert reader.dropped == max(0, behind - capacity)
    assert line.lost == 0


def test_capacity_counts_what_is_visible_not_what_was_written() -> None:
    line = Line(capacity=2)
    reader = line.reader()
    for visible in (0, 1, 2, 3):
        line.writer.put(RAW, b"%d" % visible, 0, visible)
    line.writer.commit()
    assert taken(reader, 1) == [b"0", b"1"]
    assert taken(reader, 3) == [b"2", b"3"]
    assert reader.dropped == 0


# A writer that crashed.


@pytest.fixture(params=["local", "shared"])
def memory(request: pytest.FixtureRequest) -> Iterator[Memory]:
    if request.param == "local":
        yield LocalMemory()
        return
    shared = SharedMemory.new()
    yield shared
    shared.remove_all()


def test_a_new_writer_goes_on_where_the_last_one_stopped(memory: Memory) -> None:
    line = Line(memory=memory)
    reader = line.reader()
    line.send(b"a", b"b" * 70_000)
    line.send(b"c", commit=False)  # and crashed
    line.writer = line.new_writer()
    line.writer.commit()
    line.send(b"d", b"e" * 200_000)
    assert taken(reader) == [b"a", b"b" * 70_000, b"c", b"d", b"e" * 200_000]


def test_a_writer_that_crashed_within_an_entry_left_no_message(memory: Memory) -> None:
    line = Line(memory=memory)
    reader = line.reader()
    line.send(b"a")
    segment = Segment(memory.open(segment_name(0, 0)))
    entry = segment.entry(1)
    segment.words[entry] = 0
    segment.words[entry + 4] = 1 << 50  # nonsense in the position
    segment.data[1:4] = b"xyz"
    line.writer = line.new_writer()
    line.send(b"b")
    assert taken(reader) == [b"a", b"b"]


def test_a_writer_that_crashed_while_it_grew_can_be_replaced(memory: Memory) -> None:
    """It had made the next segment, but not announced it."""
    line = Line(memory=memory)
    reader = line.reader()
    line.send(b"a")
    Segment.create(memory, 0, line.generation + 1, 1, 64, FIRST_DATA)
    line.writer = line.new_writer()
    line.send(b"b" * FIRST_DATA * 2)
    assert taken(reader) == [b"a", b"b" * FIRST_DATA * 2]


def test_a_writer_that_crashed_between_sealing_and_announcing_can_be_replaced(memory: Memory) -> None:
    line = Line(memory=memory)
    reader = line.reader()
    line.send(b"a")
    Segment.create(memory, 0, line.generation + 1, 1, 64, FIRST_DATA)
    Segment(memory.open(segment_name(0, 0))).words[S_SEALED] = 1
    line.writer = line.new_writer()
    line.send(b"b")
    assert taken(reader) == [b"a", b"b"]
    line.send(b"c" * FIRST_DATA * 2)
    assert taken(reader) == [b"c" * FIRST_DATA * 2]


def test_a_writer_that_crashed_right_after_it_grew_can_be_replaced(memory: Memory) -> None:
    line = Line(memory=memory)
    reader = line.reader()
    line.send(b"a", b"b")
    line.send(bytes(FIRST_DATA * 2))
    line.writer = line.new_writer()
    line.send(b"c")
    line.writer = line.new_writer()
    line.send(b"d" * FIRST_DATA * 8)
    line.writer = line.new_writer()
    line.send(b"e")
    assert taken(reader) == [b"a", b"b", bytes(FIRST_DATA * 2), b"c", b"d" * FIRST_DATA * 8, b"e"]


# A reader that starts late.


def test_a_reader_may_start_behind_what_became_visible_before_a_tick() -> None:
    line = Line()
    for tick in range(6):
        line.send(b"%d" % tick)
    reader = line.reader()
    reader.start_at(4)
    assert taken(reader) == [b"4", b"5"]


def test_a_reader_that_starts_late_sees_across_generations() -> None:
    line = Line()
    line.send(b"before")
    payloads = [b"small", bytes(FIRST_DATA * 2), b"x" * FIRST_DATA * 16, b"last"]
    line.send(*payloads)
    reader = line.reader()
    reader.start_at(1)
    assert taken(reader) == payloads


# A latched lane.


@pytest.mark.parametrize(("latch", "found"), [(True, [b"3", b"4", b"5"]), (False, [b"4", b"5"])])
def test_who_starts_to_listen_gets_the_last_message_before_that_first_where_the_lane_is_latched(
    latch: bool, found: list[bytes]
) -> None:
    line = Line(latch=latch)
    for tick in range(6):
        line.send(b"%d" % tick)
    assert line.late(4) == found
    assert line.late(100) == ([b"5"] if latch else [])


def test_who_listens_to_a_latched_lane_from_the_start_gets_each_message_once() -> None:
    line = Line(latch=True)
    reader = line.reader()
    reader.start_at(0)
    assert taken(reader) == []
    line.send(b"a")
    assert taken(reader) == [b"a"]
    assert taken(reader) == []
    line.send(b"b", b"c")
    assert taken(reader) == [b"b", b"c"]
    assert reader.dropped == 0


@pytest.mark.parametrize("latch", [True, False])
@pytest.mark.parametrize("size", [FIRST_DATA, FIRST_DATA * 8], ids=["the ring comes round", "the next generation"])
def test_the_last_message_stays_though_everybody_has_read_it_and_the_next_one_takes_its_place(
    latch: bool, size: int
) -> None:
    """The next one is not committed: who starts to listen now gets the last one that is."""
    line = Line(latch=latch)
    one, two = line.reader(1), line.reader(2)
    line.release(None)
    line.send(b"map" * 100)
    for reader in (one, two, one, two):
        taken(reader)
    line.send(bytes(size), commit=False)
    assert line.late(100) == ([b"map" * 100] if latch else [])
    line.writer.commit()
    assert line.late(100) == ([bytes(size)] if latch else [])


def test_the_last_message_stays_when_a_lane_has_turned_over_many_times() -> None:
    line = Line(capacity=16, latch=True)
    one, two = line.reader(1), line.reader(2)
    for number in range(2000):
        payload = b"%d:" % number + bytes(number % 700)
        line.send(payload)
        if number % 3 == 0:
            taken(one), taken(two)
        assert line.late(line.tick) == [payload]
    assert line.lost == 0


def test_the_message_before_the_last_stays_while_the_last_is_not_visible_yet() -> None:
    """What a compute node sent, say: it is visible at its next release."""
    line = Line(latch=True)
    one, two = line.reader(1), line.reader(2)
    line.writer.put(RAW, b"old" * 100, 0, 0)
    line.writer.commit()
    line.writer.put(RAW, b"new" * 100, 1, 9)
    line.writer.commit()
    for reader in (one, two):
        assert taken(reader) == [b"old" * 100, b"new" * 100]
        taken(reader)
    line.writer.put(RAW, bytes(FIRST_DATA), 2, 12)  # not committed
    assert line.late(5, limit=5) == [b"old" * 100]
    assert line.late(5) == [b"old" * 100, b"new" * 100]
    assert line.late(10) == [b"new" * 100]


def test_a_new_writer_keeps_the_last_message_of_the_one_that_crashed(memory: Memory) -> None:
    line = Line(memory=memory, latch=True)
    one, two = line.reader(1), line.reader(2)
    line.send(b"map" * 100)
    for reader in (one, two, one, two):
        taken(reader)
    line.writer = line.new_writer()
    assert line.late(100) == [b"map" * 100]
    line.send(bytes(FIRST_DATA), commit=False)
    assert line.late(100) == [b"map" * 100]


# Torn entries.


def test_a_message_that_is_overwritten_while_it_is_read_is_not_returned() -> None:
    line = Line(capacity=16)
    line.release(1)
    line.release(2)
    observer = line.reader(None, capacity=FREE, observe=True)
    line.send(b"old" * 100)
    observer.open(EVERYTHING)

    def slow(encoding: int, payload: memoryview) -> bytes:
        if bytes(payload[:3]) == b"old":
            for _ in range(2000):
                line.send(b"new" * 100)
        return bytes(payload)

    assert observer.take(slow) == (False, None)
    assert observer.dropped == 1


def test_a_decoder_that_trips_over_torn_bytes_is_no_error() -> None:
    line = Line(capacity=16)
    line.release(1)
    line.release(2)
    observer = line.reader(None, capacity=FREE, observe=True)
    line.send(b"old")
    observer.open(EVERYTHING)

    def trips(encoding: int, payload: memoryview) -> bytes:
        for _ in range(2000):
            line.send(b"new" * 100)
        raise ValueError("not a message")

    assert observer.take(trips) == (False, None)

    def fails(encoding: int, payload: memoryview) -> bytes:
        raise ValueError("not a message")

    observer.open(EVERYTHING)
    with pytest.raises(ValueError, match="not a message"):
        observer.take(fails)


WRITER = """
import sys, zlib
sys.path.insert(0, sys.argv[2])
from horus_core.memory.control import Layout, open_control
from horus_core.memory.lane import LaneWriter
from horus_core.memory.shared import SharedMemory
memory = SharedMemory(sys.argv[1])
layout = Layout(3, 6, ((1, 2), (1, 2), (), (), (), ()))
writer = LaneWriter(memory, open_control(memory), layout, 0, 16)
large = int(sys.argv[3])
for at in range(60_000):
    body = at.to_bytes(8, "little") * (at % large)
    writer.put(1, zlib.crc32(body).to_bytes(4, "little") + at.to_bytes(8, "little") + body, at, at)
    if at % 3 == 0:
        writer.commit()
writer.commit()
"""


@pytest.mark.parametrize("large", [40, 2000], ids=["index wraps first", "data wraps first"])
def test_an_observer_of_a_writer_at_full_speed_never_gets_torn_data(large: int) -> None:
    memory = SharedMemory.new()
    try:
        line = Line(capacity=16, memory=memory)
        assert (line.layout.nodes, line.layout.lanes, line.layout.readers) == (3, 6, ((1, 2), (1, 2), (), (), (), ()))
        line.release(1)
        line.release(2)
        observer = line.reader(None, capacity=FREE, observe=True)
        received: list[int] = []
        with subprocess.Popen([sys.executable, "-c", WRITER, memory.graph, str(ROOT), str(large)]) as process:
            running = True
            while running:
                running = process.poll() is None
                for payload in taken(observer):
                    crc, body = int.from_bytes(payload[:4], "little"), payload[12:]
                    number = int.from_bytes(payload[4:12], "little")
                    assert crc == zlib.crc32(body)
                    assert body == number.to_bytes(8, "little") * (number % large)
                    received.append(number)
        assert process.returncode == 0
        assert received == sorted(set(received))
        assert received[-1] == 59_999
        assert len(received) + observer.dropped == 60_000
    finally:
        memory.remove_all()


# Arrays and views.


def test_payloads_with_arrays_lie_at_multiples_of_64_and_stay_valid_until_the_next_tick() -> None:
    line = Line()
    line.release(2)
    reader = line.reader()
    views = []
    for at in range(20):
        line.send(b"odd" * at)
        encoding, parts = Encoder("n", "t").encode(np.full(3000, at, dtype=np.float64))
        assert encoding == ARRAYS
        line.writer.put(encoding, parts, line.tick, line.tick)
        line.send()
    reader.open(EVERYTHING)
    while (found := reader.take(lambda encoding, payload: (encoding, payload)))[0]:
        if found[1][0] == ARRAYS:
            views.append(found[1][1])
    for at, view in enumerate(views):
        start = np.frombuffer(view, np.uint8).ctypes.data
        assert start % 64 == 0
        assert np.full(3000, at, dtype=np.float64).tobytes() in bytes(view)


@pytest.mark.parametrize("least", [0, 1, 2, 3, 63, 64, 65, (1 << 20) + 1])
def test_the_next_power_of_two(least: int) -> None:
    found = power_of_two(least)
    assert found >= max(least, 1)
    assert found & (found - 1) == 0
    assert found // 2 < max(least, 1)


def test_the_words_of_a_lane_say_what_it_holds() -> None:
    line = Line()
    line.send(b"a", b"b")
    line.send(b"c", commit=False)
    assert (line.control[line.row + L_HEAD], line.control[line.row + L_COMMIT]) == (3, 2)


def test_a_tap_says_up_to_which_tick_a_piece_of_a_size_goes() -> None:
    line = Line(recorded=True)
    drain = Drain(line.memory, line.control, line.layout, 0)
    assert drain.tick_within(1000) == FREE  # nothing is there
    for _ in range(6):
        line.send(bytes(60), bytes(40))  # 100 bytes a tick
    assert drain.tick_within(600) == FREE
    assert drain.tick_within(599) == 5  # five ticks and a part of the sixth, which stays whole
    assert drain.tick_within(250) == 1
    assert drain.tick_within(10) == 0  # a tick that is larger than the piece is taken all the same
    taken = list(iter(lambda: drain.take(drain.tick_within(250)), []))
    assert [len(rows) for slices in taken for rows, _ in slices] == [4, 4, 4]
    assert sum(len(payload) for slices in taken for _, payload in slices) == 600
