"""The graph as data: the order of nodes, which edge delivers when, deadlines, and what is refused."""

from __future__ import annotations

import itertools
import math
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.errors import DuplicateNode, EmptyGraph, InvalidValue, TopicConflict
from horus_core.graph.checks import positive_number
from horus_core.graph.spec import Graph, NodeSpec, TopicSpec, build_graph


def spec(name: str, pubs: str = "", subs: str = "", rate: float = 100.0, **more: object) -> NodeSpec:
    """A node; topics as words."""
    topics = {"pubs": tuple(map(TopicSpec, pubs.split())), "subs": tuple(map(TopicSpec, subs.split()))}
    return NodeSpec(name, rate, **topics, **more)  # type: ignore[arg-type]


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def lags(graph: Graph) -> dict[tuple[str, str], int]:
    """Per (publisher, subscriber): 0 for within the tick, 1 for the next."""
    found = {}
    for reader, inputs in enumerate(graph.inputs):
        for entry in inputs:
            lane = graph.lanes[entry.lane]
            if not lane.external:
                found[graph.nodes[lane.node].name, graph.nodes[reader].name] = entry.lag
    return found


def named(graph: Graph, positions: tuple[tuple[int, ...], ...]) -> dict[str, list[str]]:
    return {node.name: [graph.nodes[each].name for each in positions[at]] for at, node in enumerate(graph.nodes)}


# Order.


def test_a_publisher_comes_before_its_subscriber_however_they_were_added() -> None:
    chain = [spec("c", "", "b"), spec("b", "b", "a"), spec("a", "a")]
    for added in itertools.permutations(chain):
        assert names(build_graph(added, 1)) == ["a", "b", "c"]


def test_unrelated_nodes_stay_as_added() -> None:
    for added in itertools.permutations("pqrs"):
        assert names(build_graph([spec(each) for each in added], 1)) == list(added)


def test_order_comes_before_everything() -> None:
    graph = build_graph([spec("reader", "", "t", order=-1), spec("writer", "t", order=5), spec("other", order=0)], 1)
    assert names(graph) == ["reader", "other", "writer"]
    assert lags(graph) == {("writer", "reader"): 1}


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        # a and b hear each other: the one that was added first goes first, whatever hears them comes after.
        ([spec("a", "x", "y"), spec("b", "y", "x")], ["a", "b"]),
        ([spec("b", "y", "x"), spec("a", "x", "y")], ["b", "a"]),
        ([spec("after", "", "x"), spec("a", "x", "y"), spec("b", "y", "x")], ["a", "after", "b"]),
        ([spec("a", "x", "y in"), spec("b", "y", "x"), spec("before", "in")], ["before", "a", "b"]),
        # Two cycles, the second fed by the first.
        (
            [spec("c", "p", "q x"), spec("d", "q", "p"), spec("a", "x", "y"), spec("b", "y", "x")],
            ["a", "b", "c", "d"],
        ),
    ],
)
def test_a_cycle_starts_with_its_first_node_once_all_that_feeds_it_is_placed(
    added: list[NodeSpec], expected: list[str]
) -> None:
    assert names(build_graph(added, 1)) == expected


def test_a_node_that_hears_itself_is_placed_like_any_other() -> None:
    graph = build_graph([spec("loop", "state", "state"), spec("reader", "", "state")], 1)
    assert names(graph) == ["loop", "reader"]
    assert lags(graph) == {("loop", "loop"): 1, ("loop", "reader"): 0}


TOPICS = ["a", "b", "c", "d"]
SPECS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(TOPICS), max_size=2), st.sets(st.sampled_from(TOPICS), max_size=2), st.integers(0, 1)
    ),
    min_size=1,
    max_size=7,
).map(
    lambda drawn: [
        spec(f"n{at}", " ".join(sorted(pubs)), " ".join(sorted(subs)), order=order)
        for at, (pubs, subs, order) in enumerate(drawn)
    ]
)


def hears(reader: NodeSpec, writer: NodeSpec) -> bool:
    return bool({topic.name for topic in writer.pubs} & {topic.name for topic in reader.subs})


def placed_by_the_words(specs: list[NodeSpec]) -> list[str]:
    """By order; of those left, the first that hears no other; else the first that reaches all that reaches it."""
    placed: list[str] = []
    for order in sorted({each.order for each in specs}):
        left = [each for each in specs if each.order == order]
        while left:
            above = {(a.name, b.name) for a in left for b in left if a is not b and hears(b, a)}
            for via, one, other in itertools.product(left, left, left):  # Warshall: `via` in the outermost loop
                if (one.name, via.name) in above and (via.name, other.name) in above:
                    above.add((one.name, other.name))
            free = [each for each in left if not any((other.name, each.name) in above for other in left)]
            first = [
                each
                for each in left
                if all((each.name, other.name) in above for other in left if (other.name, each.name) in above)
            ]
            chosen = (free or first)[0]
            placed.append(chosen.name)
            left.remove(chosen)
    return placed


@given(SPECS)
def test_any_graph_is_placed_by_the_words_of_the_rule(specs: list[NodeSpec]) -> None:
    assert names(build_graph(specs, 1)) == placed_by_the_words(specs)


@given(SPECS)
def test_an_edge_delivers_within_the_tick_exactly_if_it_goes_along_the_order(specs: list[NodeSpec]) -> None:
    graph = build_graph(specs, 1)
    place = {name: at for at, name in enumerate(names(graph))}
    expected = {
        (writer.name, reader.name): int(place[writer.name] >= place[reader.name])
        for writer in specs
        for reader in specs
        if hears(reader, writer)
    }
    assert lags(graph) == expected
    within = {edge for edge, lag in expected.items() if lag == 0}
    after = {edge for edge, lag in expected.items() if lag == 1 and edge[0] != edge[1]}
    waits, feeds, delayed = (named(graph, each) for each in (graph.waits, graph.feeds, graph.delayed))
    assert {(writer, reader) for reader, writers in waits.items() for writer in writers} == within
    assert {(writer, reader) for writer, readers in feeds.items() for reader in readers} == within
    assert {(writer, reader) for writer, readers in delayed.items() for reader in readers} == after


# Lanes.


def test_a_topic_has_a_lane_per_publisher_and_one_from_outside() -> None:
    graph = build_graph([spec("one", "t"), spec("two", "t u"), spec("reader", "", "t")], 1)
    lanes = [(lane.topic, "outside" if lane.external else graph.nodes[lane.node].name) for lane in graph.lanes]
    assert sorted(lanes) == [("t", "one"), ("t", "outside"), ("t", "two"), ("u", "outside"), ("u", "two")]
    assert [lane.index for lane in graph.lanes] == list(range(5))
    for lane in graph.lanes:
        assert lane.readers == ((2,) if lane.topic == "t" else ())
    assert named(graph, graph.waits)["reader"] == ["one", "two"]


def test_a_node_reads_its_lanes_in_the_order_of_their_publishers_what_comes_from_outside_first() -> None:
    graph = build_graph([spec("one", "t"), spec("two", "t"), spec("reader", "", "t"), spec("late", "t", order=9)], 1)
    reader = names(graph).index("reader")
    publishers = [graph.lanes[entry.lane].node for entry in graph.inputs[reader]]
    assert publishers == [-1, 0, 1, 3]
    assert [entry.lag for entry in graph.inputs[reader]] == [0, 0, 0, 1]


def test_the_largest_declared_capacity_holds() -> None:
    writer = NodeSpec("w", 1, pubs=(TopicSpec("t", capacity=3),))
    reader = NodeSpec("r", 1, subs=(TopicSpec("t", capacity=70),))
    assert {lane.capacity for lane in build_graph([writer, reader], 1).lanes} == {70}


def test_a_type_that_one_side_declares_is_that_of_the_topic() -> None:
    writer = NodeSpec("w", 1, pubs=(TopicSpec("t", float),))
    for kind in (None, float):
        assert {
            lane.kind for lane in build_graph([writer, NodeSpec("r", 1, subs=(TopicSpec("t", kind),))], 1).lanes
        } == {float}


def test_two_types_for_a_topic_are_refused() -> None:
    writer, reader = NodeSpec("w", 1, pubs=(TopicSpec("t", float),)), NodeSpec("r", 1, subs=(TopicSpec("t", int),))
    with pytest.raises(TopicConflict, match=r"'t'.*float.*int"):
        build_graph([writer, reader], 1)


# Rates and deadlines.


@pytest.mark.parametrize(
    ("tick_rate", "rates", "graph_rate"), [(100, [30, 7], 100), (10, [30, 7], 30), (1, [1000, 100], 1000)]
)
def test_the_graph_runs_at_the_larger_of_tick_rate_and_the_fastest_node(
    tick_rate: float, rates: list[float], graph_rate: float
) -> None:
    graph = build_graph([spec(f"n{rate}", rate=rate) for rate in rates], tick_rate)
    assert graph.tick_rate == graph_rate
    assert [node.rate for node in graph.nodes] == rates


def test_an_event_driven_node_may_run_in_any_tick_and_speeds_nothing_up() -> None:
    graph = build_graph([spec("source", "t", rate=10), spec("handler", "", "t", rate=500, on="t")], 50)
    assert graph.tick_rate == 50
    handler = graph.position("handler")
    assert all(graph.schedules[handler].active(tick) for tick in range(20))


def test_outputs_are_due_before_the_shortest_period_of_the_node_and_its_hearers() -> None:
    graph = build_graph(
        [
            spec("slow", "s", rate=10),
            spec("fast", "", "s", rate=100),
            spec("alone", rate=20),
            spec("back", "b", "s", rate=50, order=2),
            spec("front", "", "b", rate=200, order=-2),
        ],
        200,
    )
    due = {node.name: seconds for node, seconds in zip(graph.nodes, graph.deadlines, strict=True)}
    assert due["slow"] == pytest.approx(0.95 / 100)
    assert due["fast"] == pytest.approx(0.95 / 100)
    assert due["alone"] == pytest.approx(0.95 / 20)
    assert due["back"] == pytest.approx(0.95 / 200)  # 'front' hears it one tick later, and waits for it there


def test_a_deadline_of_the_nodes_own_holds_up_to_its_period() -> None:
    graph = build_graph(
        [spec("own", deadline=0.002), spec("long", deadline=9.0), spec("planner", compute=True, rate=5)], 100
    )
    assert list(graph.deadlines) == [0.002, 0.01, 0.2]


def test_nobody_waits_for_a_compute_node() -> None:
    graph = build_graph([spec("driver", "map", "plan"), spec("planner", "plan", "map", compute=True, rate=20)], 100)
    assert named(graph, graph.waits) == {"driver": [], "planner": ["driver"]}
    assert named(graph, graph.delayed) == {"driver": [], "planner": []}
    assert lags(graph)["driver", "planner"] == 0
    assert lags(graph)["planner", "driver"] == 0


# What is refused, and what is promised.


def test_no_nodes_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(EmptyGraph, match="no nodes"):
        build_graph([], 100)
    with pytest.raises(DuplicateNode, match="'a'"):
        build_graph([spec("a"), spec("b"), spec("a")], 100)


@pytest.mark.parametrize("value", [0, -1, -0.0, math.nan, math.inf, -math.inf, True, "10", None, 1j, [1]])
def test_what_is_no_positive_number_is_refused_with_its_value(value: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        positive_number("the rate", value, "Hz")
    assert repr(value) in str(caught.value)
    assert "Hz" in str(caught.value)


def test_a_graph_is_frozen_and_crosses_processes() -> None:
    graph = build_graph([spec("a", "t"), spec("b", "u", "t u")], 100)
    with pytest.raises(FrozenInstanceError):
        graph.tick_rate = 1.0  # type: ignore[misc]
    other = pickle.loads(pickle.dumps(graph))
    assert (other.nodes, other.lanes, other.waits, other.inputs) == (
        graph.nodes,
        graph.lanes,
        graph.waits,
        graph.inputs,
    )
    assert graph.position("b") == 1
    with pytest.raises(KeyError):
        graph.position("c")
