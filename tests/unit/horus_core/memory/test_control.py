"""The control segment: no two words share a place, and every word starts as nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.graph.spec import NodeSpec, TopicSpec, build_graph
from horus_core.memory import control
from horus_core.memory.control import FREE, NEVER, Fence, Layout, create_control, open_control
from horus_core.memory.shared import LocalMemory


def layout_of(nodes: int = 3) -> Layout:
    specs = [NodeSpec("source", 10, pubs=(TopicSpec("t"), TopicSpec("u")))]
    specs += [NodeSpec(f"reader{each}", 10, subs=(TopicSpec("t"),)) for each in range(nodes - 1)]
    return Layout.of(build_graph(specs, 10))


@given(st.integers(1, 5), st.lists(st.lists(st.integers(0, 4), unique=True, max_size=4).map(tuple), max_size=6))
def test_no_word_has_two_meanings(nodes: int, readers: list[tuple[int, ...]]) -> None:
    layout = Layout(nodes, len(readers), tuple(readers))
    used = list(range(control.HEADER_WORDS))
    for position in range(nodes):
        used += range(layout.node(position), layout.node(position) + control.NODE_WORDS)
        used += range(layout.histogram(position), layout.histogram(position) + control.BUCKETS)
    for lane, positions in enumerate(readers):
        used += range(layout.lane(lane), layout.lane(lane) + control.LANE_WORDS)
        floors = [layout.floor(lane, each) for each in (*positions, None)]
        assert list(layout.floor_words(lane)) == floors
        used += floors
    assert sorted(used) == list(range(layout.words))


def test_there_is_room_for_every_word_that_has_a_name() -> None:
    for prefix, room in (("H_", control.HEADER_WORDS), ("N_", control.NODE_WORDS), ("L_", control.LANE_WORDS)):
        words = [value for name, value in vars(control).items() if name.startswith(prefix) and isinstance(value, int)]
        assert sorted(words) == list(range(len(words)))
        assert len(words) <= room


def test_besides_its_lanes_a_graph_has_a_trace_per_node_and_one_for_events() -> None:
    layout = layout_of(3)
    topics = 2 + 2  # of the source; from outside
    assert layout.lanes == topics + 3 + 1
    assert layout.events == layout.lanes - 1
    assert layout.readers[topics:] == ((),) * 4
    assert layout.readers[0] == (1, 2)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("first_tick", [0, 200])
def test_before_the_first_tick_nothing_is_released_finished_or_written(recorded: bool, first_tick: int) -> None:
    memory, layout = LocalMemory(), layout_of()
    words = create_control(memory, layout, first_tick, recorded)
    assert len(words) == layout.words
    assert words[control.H_MAGIC].to_bytes(8, "little").rstrip(b"\0") == b"HORUS"
    assert words[control.H_RELEASED] == first_tick - 1
    for position in range(layout.nodes):
        row = layout.node(position)
        assert words[row + control.N_FINISHED] == words[row + control.N_EXCUSED] == first_tick - 1
        assert words[row + control.N_RESUME] == first_tick
        assert words[row + control.N_CURRENT] == words[row + control.N_LATE_DONE] == NEVER
        assert words[row + control.N_TICKS] == words[row + control.N_MISSES] == 0
    for lane in range(layout.lanes):
        assert words[layout.lane(lane) + control.L_GENERATION] == NEVER
        assert words[layout.lane(lane) + control.L_HEAD] == words[layout.lane(lane) + control.L_COMMIT] == 0
        assert words[layout.floor(lane, None)] == (0 if recorded else FREE)
    words[control.H_STOP] = 1
    assert open_control(memory)[control.H_STOP] == 1


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_fence_never_waits(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    fence = Fence()
    for _ in range(3):
        fence()
