"""The hot path in C and in Python: the same words, the same behaviour, and bounds that hold against what memory says."""

from __future__ import annotations

import inspect
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.engine.relay import Relay, relay_of
from horus_core.graph.schedule import NodeSchedule
from horus_core.graph.spec import Graph, NodeSpec, TopicSpec, build_graph
from horus_core.memory import hotpath
from horus_core.memory.control import (
    FREE,
    H_ADMITTED,
    H_EXTERNAL,
    H_RELAY,
    H_RELEASED,
    H_SAFE_MODE,
    H_STOP,
    H_STOP_ASKED,
    N_EXCUSED,
    N_FINISHED,
    N_STOP,
    NEVER,
    Layout,
    create_control,
)
from horus_core.memory.hotpath import ORPHAN, READY, SAFE, STOP, pure, words
from horus_core.memory.segment import E_LENGTH, E_POSITION, Segment
from horus_core.memory.shared import LocalMemory, SharedMemory
from horus_core.messages.encoding import MSGPACK, RAW

ROOT = Path(__file__).parents[5]
BOTH = [pytest.param(pure, id="python")]
if hotpath.NATIVE:
    from horus_core.memory.hotpath import native

    BOTH.append(pytest.param(native, id="c"))


def test_this_machine_has_a_compiler_so_the_native_part_is_there() -> None:
    if os.environ.get("HORUS_NATIVE") != "0":
        assert hotpath.NATIVE, hotpath.WHY_NOT


@pytest.mark.skipif(not hotpath.NATIVE, reason="there is no native part")
def test_the_native_part_was_compiled_with_the_words_of_the_control_segment() -> None:
    assert words.table() == native.WORDS


def test_a_module_that_was_compiled_for_other_numbers_is_told_apart_by_the_first_of_them() -> None:
    ours = words.table()
    assert words.difference(ours) == ""
    assert words.difference(ours | {"E_LENGTH": 9}) == f"E_LENGTH is 9 there and {ours['E_LENGTH']} here"
    assert words.difference({name: value for name, value in ours.items() if name != "READY"}).startswith(
        "READY is None"
    )
    assert words.difference(None) == "it has no table of words"


def test_the_arguments_of_a_turn_are_as_many_as_both_sides_say() -> None:
    assert len(inspect.signature(pure.Turn).parameters) == words.TURN_FIELDS


@pytest.mark.timeout(180)
def test_what_is_exercised_below_passes_without_the_native_part() -> None:
    """The lanes, the tick engine and inline graphs once more, in Python."""
    names = ["memory/test_lane.py", "engine/test_runner.py", "execution/test_inline.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", *(f"tests/unit/horus_core/{name}" for name in names)],
        cwd=ROOT,
        env={**os.environ, "HORUS_NATIVE": "0"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-3000:]


# Lanes.


class Ring:
    """One segment in local memory, with a writer and a reader of one implementation."""

    def __init__(self, core: ModuleType, slots: int = 64, data: int = 4096) -> None:
        self.control = memoryview(bytearray(8 * 64)).cast("q")
        self.segment = Segment.create(LocalMemory(), 0, 0, 0, slots, data)
        self.control[2] = 0  # the generation

        class Writer(core.WriterCore):  # type: ignore[name-defined, misc]
            def _make_room(self, size: int) -> None:
                raise BufferError(size)

        class Reader(core.ReaderCore):  # type: ignore[name-defined, misc]
            segment = self.segment

            def follow(self) -> None:
                self._generation = 0
                self._attach(self.segment.words, self.segment.data)

            def _select(self, sequence: int) -> None:
                self._stop = sequence + 1

        self.writer = Writer(self.control, 0, 1)
        self.writer._attach(self.segment.words, self.segment.data)
        self.writer._slots_end, self.writer._room_end = slots, data
        self.reader = Reader(self.control, 1, 2, 3, FREE)

    def word(self, sequence: int, which: int) -> int:
        return self.segment.entry(sequence) + which


def as_is(encoding: int, payload: memoryview) -> tuple[int, bytes]:
    return encoding, bytes(payload)


@pytest.mark.parametrize("core", BOTH)
@given(messages=st.lists(st.tuples(st.sampled_from([MSGPACK, RAW]), st.binary(max_size=60)), max_size=30))
def test_what_is_put_is_taken(core: ModuleType, messages: list[tuple[int, bytes]]) -> None:
    ring = Ring(core)
    for tick, (encoding, payload) in enumerate(messages):
        assert ring.writer.put(encoding, payload, tick, tick) == len(payload)
    assert not ring.reader.open(FREE)  # nothing is committed yet
    ring.writer.commit()
    assert ring.reader.open(FREE) == bool(messages)
    assert [ring.reader.take(as_is) for _ in messages] == [(True, message) for message in messages]
    assert ring.reader.take(as_is) == (False, None)


@pytest.mark.parametrize("core", BOTH)
def test_a_reader_sees_what_is_visible_in_its_tick_and_no_more(core: ModuleType) -> None:
    ring = Ring(core)
    for tick in range(5):
        ring.writer.put(RAW, bytes([tick]), tick, tick)
    ring.writer.commit()
    for tick in range(5):
        assert ring.reader.open(tick)
        assert ring.reader.take(as_is) == (True, (RAW, bytes([tick])))
        assert ring.reader.take(as_is) == (False, None)
    assert ring.control[3] == 4  # its floor: what it had read when it last opened


@pytest.mark.parametrize("core", BOTH)
@pytest.mark.parametrize(
    ("which", "value"),
    [
        (E_LENGTH, 1 << 40),
        (E_LENGTH, 4097),
        (E_LENGTH, -1),
        (E_LENGTH, -(1 << 63)),
        (E_LENGTH, (1 << 63) - 1),
        (E_POSITION, 4095),
    ],
)
def test_an_entry_that_points_outside_of_its_ring_counts_as_lost(core: ModuleType, which: int, value: int) -> None:
    ring = Ring(core)
    for each in (b"first", b"second", b"third"):
        ring.writer.put(RAW, each, 0, 0)
    ring.writer.commit()
    ring.segment.words[ring.word(1, which)] = value
    ring.reader.open(0)
    assert [ring.reader.take(as_is) for _ in range(3)] == [
        (True, (RAW, b"first")),
        (True, (RAW, b"third")),
        (False, None),
    ]
    assert ring.reader.dropped == 1


@pytest.mark.parametrize("core", BOTH)
def test_a_message_without_room_asks_for_it_and_one_that_gets_none_is_not_written(core: ModuleType) -> None:
    ring = Ring(core, data=64)
    ring.writer.put(RAW, bytes(60), 0, 0)
    with pytest.raises(BufferError, match="5"):
        ring.writer.put(RAW, bytes(5), 0, 0)
    assert ring.writer.head == 1


@pytest.mark.parametrize("core", BOTH)
def test_a_message_that_is_overwritten_while_it_is_decoded_counts_as_lost(core: ModuleType) -> None:
    ring = Ring(core)
    ring.writer.put(RAW, b"a", 0, 0)
    ring.writer.put(RAW, b"b", 0, 0)
    ring.writer.commit()
    ring.reader.open(0)

    def decode(encoding: int, payload: memoryview) -> bytes:
        if payload == b"a":
            ring.segment.words[ring.word(0, 0)] = 0
            raise ValueError("torn")
        return bytes(payload)

    assert ring.reader.take(decode) == (True, b"b")
    assert ring.reader.dropped == 1


@pytest.mark.parametrize("core", BOTH)
def test_what_the_decoder_raises_for_a_message_that_is_whole_is_passed_on(core: ModuleType) -> None:
    ring = Ring(core)
    ring.writer.put(RAW, b"a", 0, 0)
    ring.writer.commit()
    ring.reader.open(0)
    with pytest.raises(ZeroDivisionError):
        ring.reader.take(lambda encoding, payload: 1 // 0)


@pytest.mark.skipif(not hotpath.NATIVE, reason="there is no native part")
@pytest.mark.parametrize(
    "call",
    [
        lambda: native.WriterCore(memoryview(bytearray(64)).cast("q"), 0, 8),
        lambda: native.WriterCore(memoryview(bytearray(64)).cast("q"), -1, 0),
        lambda: native.ReaderCore(memoryview(bytearray(64)).cast("q"), 0, 1, 99, 1),
        lambda: Ring(native).writer._attach(memoryview(bytearray(64 * 4)), memoryview(bytearray(64))),
        lambda: Ring(native).writer._attach(memoryview(bytearray(64 * 3)), memoryview(bytearray(63))),
        lambda: Ring(native).writer._attach(memoryview(bytearray(64)), memoryview(bytearray(64))),
    ],
)
def test_memory_of_the_wrong_size_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises((IndexError, ValueError)):
        call()


@pytest.mark.skipif(not hotpath.NATIVE, reason="there is no native part")
@pytest.mark.parametrize("method", ["send", "recv", "recv_all"])
def test_a_node_that_was_not_equipped_says_so(method: str) -> None:
    arguments = ("t", 1) if method == "send" else ("t",)
    with pytest.raises(RuntimeError, match="not equipped"):
        getattr(native.TickCore(), method)(*arguments)


@pytest.mark.parametrize("core", BOTH)
def test_tick_rows_are_packed_as_the_recorder_reads_them(core: ModuleType) -> None:
    """start, duration, status, visible, dropped, then first, stop and end per reader, as 64-bit words."""
    trace, inbox = Ring(core, data=8192), Ring(core)
    for number in range(3):
        inbox.writer.put(MSGPACK, msgspec.msgpack.encode(number), 7, 7)
    inbox.writer.commit()
    node, control = core.TickCore(), memoryview(bytearray(8 * 512)).cast("q")
    decode = msgspec.msgpack.Decoder().decode
    mailbox = ((inbox.reader,), lambda encoding, payload: decode(payload), None, decode)
    node._equip(control, 64, 128, 10, [(inbox.reader, 0)], [], [inbox.reader], [], [], trace.writer, {}, {"t": mailbox})
    assert node.begin(7, False, False)
    node.visible = 9
    assert (node.recv("t"), node.recv("t", copy=True)) == (0, 1)
    node.ended()
    node.conclude(2)
    trace.reader.open(9)
    row = struct.unpack("<8q", trace.reader.take(as_is)[1][1])
    assert row == (node.started, node.duration, 2, 9, 0, 0, 2, 3)


# Turns.


@pytest.fixture
def pair() -> Iterator[tuple[Graph, SharedMemory, memoryview, Layout]]:
    """A graph of two nodes, "a" before "b", in shared memory."""
    specs = [NodeSpec("a", 10, pubs=(TopicSpec("t"),)), NodeSpec("b", 10, subs=(TopicSpec("t"),))]
    graph = build_graph(specs, 10)
    memory, layout = SharedMemory.new(), Layout.of(graph)
    control = create_control(memory, layout, 0, False)
    for what in ("go0", "go1", "done", "ticket1"):
        memory.semaphore(what, create=True)
    yield graph, memory, control, layout
    memory.let_go()
    memory.remove_all()


def turn_of(
    core: ModuleType, pair: tuple[Graph, SharedMemory, memoryview, Layout], relay: bool = False, **more: Any
) -> Any:
    """The turn of "b"."""
    _, memory, control, layout = pair
    before = layout.node(0)
    return core.Turn(
        **{
            "control": control,
            "row": layout.node(1),
            "go": memory.semaphore("go1"),
            "ticket": None,
            "done": memory.semaphore("done"),
            "parent": os.getppid(),
            "poll_ns": 10_000_000,
            "spin_ns": 0,
            "needs": [(before + N_FINISHED, before + N_EXCUSED, 0, 0, 0)],
            "hearers": [],
            "sources": [memory.semaphore("go0")] if relay else [],
            "jobs": 1,
            "ticks": 1,
            "ends": True,
            **more,
        }
    )


@pytest.mark.parametrize("core", BOTH)
@pytest.mark.parametrize("spin_ns", [0, 1_000_000])
def test_it_is_a_nodes_turn_when_the_tick_is_released_and_those_before_it_are_done_or_excused(
    core: ModuleType, spin_ns: int, pair: Any
) -> None:
    control, before = pair[2], pair[3].node(0)
    turn = turn_of(core, pair, spin_ns=spin_ns)
    control[H_RELEASED], control[before + N_FINISHED] = 4, 4
    assert turn.wait(4, True) == READY
    control[H_RELEASED], control[before + N_FINISHED], control[before + N_EXCUSED] = 6, 3, 6
    assert turn.wait(6, True) == READY
    control[H_STOP] = 1
    assert turn.wait(7, True) == STOP  # not released
    control[before + N_EXCUSED] = 5
    assert turn.wait(6, True) == STOP  # released, but "a" is neither done nor excused
    control[H_STOP], control[pair[3].node(1) + N_STOP] = 0, 1
    assert turn.wait(7, True) == STOP
    control[H_SAFE_MODE] = 6 + 1
    assert turn.wait(7, True) == SAFE
    assert turn.wait(7, False) == STOP
    control[H_SAFE_MODE] = 7 + 1  # begins with a tick that is not released
    assert turn.wait(7, True) == STOP


@pytest.mark.parametrize("core", BOTH)
def test_a_node_whose_supervisor_is_gone_is_told_so(core: ModuleType, pair: Any) -> None:
    assert turn_of(core, pair, parent=1 if os.getppid() != 1 else 2).wait(0, True) == ORPHAN


@pytest.mark.parametrize("core", BOTH)
@pytest.mark.parametrize("rate", [10.0, 5.0, 3.0, 7.0, 1.0])
def test_a_node_waits_for_the_last_tick_in_which_a_slower_one_ran(core: ModuleType, rate: float, pair: Any) -> None:
    control, before = pair[2], pair[3].node(0)
    slower = NodeSchedule(rate, 10.0)
    jobs = (0, 0) if (slower.jobs, slower.ticks) == (1, 1) else (slower.jobs, slower.ticks)
    turn = turn_of(core, pair, needs=[(before + N_FINISHED, before + N_EXCUSED, *jobs, 0)])
    control[H_STOP] = 1  # so that what is not due ends the wait
    for tick in range(40):
        control[H_RELEASED] = tick
        last = max(each for each in range(tick + 1) if slower.active(each))
        control[before + N_FINISHED] = last - 1
        assert turn.wait(tick, True) == STOP
        control[before + N_FINISHED] = last
        assert turn.wait(tick, True) == READY


def posts(memory: SharedMemory, what: str) -> int:
    return int(memory.semaphore(what).value)


@pytest.mark.parametrize("core", BOTH)
def test_the_last_node_releases_the_next_tick_up_to_the_one_that_it_was_told(core: ModuleType, pair: Any) -> None:
    _, memory, control, layout = pair
    turn = turn_of(core, pair, relay=True)
    control[H_RELAY], control[H_RELEASED] = 5, 4
    turn.finish(4, True)
    assert (control[H_RELEASED], control[layout.node(1) + N_FINISHED]) == (5, 4)
    assert (posts(memory, "go0"), posts(memory, "done")) == (1, 0)
    turn.finish(5, True)
    assert (control[H_RELEASED], control[layout.node(1) + N_FINISHED]) == (5, 5)
    assert (posts(memory, "go0"), posts(memory, "done")) == (1, 1)


@pytest.mark.parametrize("core", BOTH)
@pytest.mark.parametrize("word", [H_STOP, H_STOP_ASKED, H_SAFE_MODE, H_EXTERNAL])
def test_what_has_to_happen_between_two_ticks_is_left_to_the_coordinator(
    core: ModuleType, word: int, pair: Any
) -> None:
    _, memory, control, layout = pair
    control[H_RELAY], control[H_RELEASED] = FREE, 4
    control[word] = 1
    turn_of(core, pair, relay=True).finish(4, True)
    assert (control[H_RELEASED], control[layout.node(1) + N_FINISHED]) == (4, 4)
    assert (posts(memory, "go0"), posts(memory, "done")) == (0, 1)


@pytest.mark.parametrize("core", BOTH)
def test_messages_from_outside_that_were_committed_do_not_hold_the_relay_up(core: ModuleType, pair: Any) -> None:
    control = pair[2]
    control[H_RELAY], control[H_RELEASED], control[H_EXTERNAL], control[H_ADMITTED] = FREE, 4, 3, 3
    turn_of(core, pair, relay=True).finish(4, True)
    assert control[H_RELEASED] == 5


@pytest.mark.parametrize("core", BOTH)
def test_without_a_relay_only_the_coordinator_releases(core: ModuleType, pair: Any) -> None:
    control = pair[2]
    assert control[H_RELAY] == NEVER
    control[H_RELEASED] = 4
    turn_of(core, pair, relay=True).finish(4, True)
    assert control[H_RELEASED] == 4


def graph_of(*specs: NodeSpec) -> Graph:
    return build_graph(specs, 10)


def spec(name: str, pubs: str = "", subs: str = "", rate: float = 10.0, **more: Any) -> NodeSpec:
    topics = {"pubs": tuple(map(TopicSpec, pubs.split())), "subs": tuple(map(TopicSpec, subs.split()))}
    return NodeSpec(name, rate, **topics, **more)


def test_a_graph_that_ends_in_one_node_has_a_relay() -> None:
    chain = graph_of(spec("a", "x"), spec("b", "y", "x"), spec("c", "", "y"))
    assert relay_of(chain) == Relay(2, (0,))
    joined = graph_of(spec("a", "x"), spec("b", "y"), spec("c", "", "x y"))
    assert relay_of(joined) == Relay(2, (0, 1))
    assert relay_of(graph_of(spec("alone"))) == Relay(0, (0,))
    loop = graph_of(spec("ping", "x", "y"), spec("pong", "y", "x"))
    assert relay_of(loop) == Relay(1, (0,))


def test_a_graph_whose_ticks_end_in_several_nodes_or_differ_has_none() -> None:
    assert relay_of(graph_of(spec("a", "x"), spec("b", "", "x"), spec("c", "", "x"))) is None
    assert relay_of(graph_of(spec("a", "x"), spec("b", "", "x", rate=5))) is None
    assert relay_of(graph_of(spec("a", "x"), spec("b", "", "x", compute=True))) is None
