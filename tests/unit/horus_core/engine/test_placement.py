"""Which core gets which node: a chain stays on one, branches spread, and `core=` is obeyed."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.engine.placement import Placement, place, usable_cores
from horus_core.errors import InvalidValue
from horus_core.graph.spec import NodeSpec, TopicSpec, build_graph
from horus_core.processes.topology import Topology


def spec(name: str, pubs: str = "", subs: str = "", rate: float = 100.0, **more: object) -> NodeSpec:
    topics = {"pubs": tuple(map(TopicSpec, pubs.split())), "subs": tuple(map(TopicSpec, subs.split()))}
    return NodeSpec(name, rate, **topics, **more)  # type: ignore[arg-type]


def placed(specs: list[NodeSpec], cores: list[int]) -> tuple[dict[str, int], Placement]:
    graph = build_graph(specs, 1)
    placement = place(graph, cores)
    return {node.name: core for node, core in zip(graph.nodes, placement.nodes, strict=True)}, placement


CHAIN = [spec("a", "t1"), spec("b", "t2", "t1"), spec("c", "t3", "t2"), spec("d", "", "t3")]


@pytest.mark.parametrize("cores", [[0], [0, 1], [2, 5, 7]])
def test_a_chain_and_the_coordinator_share_a_core(cores: list[int]) -> None:
    nodes, placement = placed(CHAIN, cores)
    assert len(set(nodes.values())) == 1
    assert placement.coordinator == nodes["a"]


def test_the_recorder_keeps_off_the_busiest_core() -> None:
    nodes, placement = placed(CHAIN, [0, 1, 2])
    assert set(placement.recorder) == {0, 1, 2} - {nodes["a"]}
    assert placed(CHAIN, [4])[1].recorder == (4,)


def test_branches_of_a_diamond_spread() -> None:
    nodes, _ = placed(
        [spec("source", "s"), spec("left", "l", "s"), spec("right", "r", "s"), spec("sink", "", "l r")], [0, 1]
    )
    assert nodes["left"] != nodes["right"]


def test_unrelated_nodes_spread_by_their_rates() -> None:
    nodes, _ = placed(
        [spec("fast", rate=1000), spec("one", rate=100), spec("two", rate=100), spec("three", rate=100)], [0, 1]
    )
    assert {nodes["one"], nodes["two"], nodes["three"]} == {1 - nodes["fast"]}


def test_a_compute_node_leaves_the_core_of_the_chain_that_feeds_it() -> None:
    nodes, _ = placed(
        [spec("camera", "i"), spec("planner", "p", "i", rate=20, compute=True), spec("driver", "", "p i")], [0, 1]
    )
    assert nodes["planner"] != nodes["camera"]
    assert nodes["driver"] == nodes["camera"]


def test_core_is_obeyed_whatever_the_rest_does() -> None:
    specs = [spec("a", "t", core=3), spec("b", "", "t", core=1), spec("c", "", "t")]
    nodes, _ = placed(specs, [0, 1])
    assert (nodes["a"], nodes["b"]) == (3, 1)


@given(st.lists(st.integers(0, 63), min_size=1, max_size=8, unique=True), st.integers(1, 12))
def test_everything_is_placed_on_cores_that_are_there(cores: list[int], count: int) -> None:
    specs = [spec(f"n{each}", f"t{each}", f"t{each // 2}" if each else "") for each in range(count)]
    nodes, placement = placed(specs, sorted(cores))
    assert set(nodes.values()) <= set(cores)
    assert placement.coordinator in cores
    assert placement.recorder
    assert set(placement.recorder) <= set(cores)


def test_cores_that_are_not_here_are_refused_by_name() -> None:
    here = sorted(os.sched_getaffinity(0))
    assert usable_cores(None) == here
    assert usable_cores([here[0], here[0]]) == [here[0]]
    with pytest.raises(InvalidValue, match=r"cores is \[4711\]; expected cores out of"):
        usable_cores([4711])


def test_branches_go_to_whole_cores_before_second_hardware_threads() -> None:
    pairs = {0: frozenset({0, 1}), 1: frozenset({0, 1}), 2: frozenset({2, 3}), 3: frozenset({2, 3})}
    graph = build_graph([spec("one"), spec("two")], 1)
    assert place(graph, [0, 1, 2, 3], Topology(siblings=pairs)).nodes == (0, 2)


def test_equally_busy_cores_are_taken_where_the_cache_is_shared_with_the_first_node() -> None:
    near = {0: frozenset({0, 3}), 1: frozenset({1, 2}), 2: frozenset({1, 2}), 3: frozenset({0, 3})}
    graph = build_graph([spec("one"), spec("two")], 1)
    assert place(graph, [0, 1, 2, 3], Topology(caches=near)).nodes == (0, 3)


def test_the_core_of_a_node_that_spins_is_kept_free_of_all_others() -> None:
    specs = [spec("camera", "i"), spec("filter", "f", "i", core=1, spin=0.001), spec("driver", "", "f"), spec("other")]
    nodes, placement = placed(specs, [0, 1])
    assert nodes == {"camera": 0, "filter": 1, "driver": 0, "other": 0}
    assert (placement.coordinator, placement.recorder) == (0, (0,))
    reserved = dict(zip(nodes, placement.reserved, strict=True))
    assert reserved == {"camera": False, "filter": True, "driver": False, "other": False}


def test_two_nodes_that_want_one_core_for_themselves_have_none() -> None:
    specs = [spec("a", core=1, spin=0.001), spec("b", core=1, spin=0.001)]
    assert placed(specs, [0, 1])[1].reserved == (False, False)
    assert placed([spec("a", core=0, spin=0.001)], [0])[1].reserved == (False,)  # the coordinator has no other
