from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from horus_core.errors import InvalidValue, UnknownNode
from horus_core.recording.compare import Comparison, FieldDifference, compare
from horus_core.recording.compare.fields import field_filter
from horus_core.recording.compare.tolerance import Tolerance
from horus_core.recording.format.header import TopicRecord
from horus_core.recording.reading.reader import Session
from tests.recordings import Message, Recording, Tick, cut, file_of


class Pair:
    """Two sessions of one node and topic."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def compared(self, a: list[Any], b: list[Any], batch: int = 3, **options: Any) -> Comparison:
        """Compares two recordings whose values are sent one per tick."""
        return compare(self.session(a, 4), self.session(b, batch), **options)

    def session(self, values: list[Any], batch: int = 4) -> Session:
        self.count += 1
        recording = Recording({"n": ["t"]}, batch=batch, last_tick=max(len(values) - 1, 9))
        return recording.add("n", "t", values).write(self.folder / f"s{self.count}")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def field(found: Comparison) -> FieldDifference:
    (difference,) = found.topics[0].fields
    return difference


def test_a_session_equals_itself_and_its_copy_in_other_batches(pair: Pair) -> None:
    values = [{"x": place * 0.1, "name": f"n{place}", "list": [1.0] * place} for place in range(50)]
    found = pair.compared(values, values, batch=7)
    assert found.equal
    assert found.first_tick is None
    (topic,) = found.topics
    assert (topic.messages_a, topic.messages_b, topic.differing, topic.fields) == (50, 50, 0, [])
    assert (found.ticks[0].both, found.ticks[0].only_a, found.ticks[0].only_b) == (50, 0, 0)


def test_the_first_tick_both_values_and_the_largest_difference_are_told(pair: Pair) -> None:
    a = [{"x": float(place), "y": 1} for place in range(30)]
    b = [{"x": place + (0.25 if place in (7, 9, 20) else 0.0) * place, "y": 1} for place in range(30)]
    found = pair.compared(a, b)
    assert not found.equal
    assert found.first_tick == 7
    difference = field(found)
    assert (difference.field, difference.where, difference.first_tick, difference.what) == ("x", "x", 7, "value")
    assert (difference.a, difference.b, difference.ticks) == (7.0, 7.0 + 0.25 * 7, 3)
    assert (difference.largest, difference.largest_tick) == (5.0, 20)
    assert (found.topics[0].differing, found.topics[0].ticks, found.topics[0].first_tick) == (3, 3, 7)


@pytest.mark.parametrize(
    ("a", "b", "name", "where", "what"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b", "a.b", "value"),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}, "a", "a[1]", "value"),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, "a", "a", "length"),
        ({"o": [{"x": 1}, {"x": 2}]}, {"o": [{"x": 1}, {"x": 3}]}, "o[].x", "o[1].x", "value"),
        ({"a": np.arange(6.0).reshape(2, 3)}, {"a": np.array([[0, 1, 2], [3, 9, 5.0]])}, "a", "a[1][1]", "value"),
        ({"a": np.arange(3.0)}, {"a": np.arange(4.0)}, "a", "a", "shape"),
        ({"a": np.arange(3.0)}, {"a": np.arange(3)}, "a", "a", "type"),
        ({"a": np.arange(999.0)}, {"a": np.arange(999.0) + (np.arange(999) == 5)}, "a", "a[5]", "value"),
        ({"a": 1}, {"a": "1"}, "a", "a", "type"),
        ({"a": True}, {"a": 1}, "a", "a", "type"),
        ({"a": None}, {"a": 0}, "a", "a", "type"),
        ({"a": 1, "b": 2}, {"a": 1}, "b", "b", "only in a"),
        ({"a": 1}, {"a": 1, "c": 2}, "c", "c", "only in b"),
        ({"a": "x"}, {"a": "y"}, "a", "a", "value"),
        ({"a": "é"}, {"a": "è"}, "a", "a", "value"),
        (b"abc", b"abd", "value", "value[2]", "value"),
        (b"abc", b"abcd", "value", "value", "length"),
        (1, 2, "value", "value", "value"),
        ([1, 2], [1, 3], "value", "value[1]", "value"),
        (b"\x00", 1, "value", "value", "type"),
        ({"a": 2**63}, {"a": 2**64 - 1}, "a", "a", "value"),
        ({"a": 2**53}, {"a": 2**53 + 1}, "a", "a", "value"),
        ({"a": 1.0}, {"a": math.inf}, "a", "a", "value"),
        ({"a": math.nan}, {"a": 1.0}, "a", "a", "value"),
        ({1: 2}, {1: 3}, "1", "1", "value"),
    ],
)
def test_every_kind_of_difference_has_a_name(pair: Pair, a: Any, b: Any, name: str, where: str, what: str) -> None:
    found = field(pair.compared([a] * 3, [a, b, a]))
    assert (found.field, found.where, found.what, found.first_tick, found.ticks) == (name, where, what, 1, 1)


@pytest.mark.parametrize(
    ("a", "b"), [(1, 1.0), ({"a": math.nan}, {"a": math.nan}), (0.0, -0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
)
def test_what_is_equal_though_its_bytes_differ_is_no_difference(pair: Pair, a: Any, b: Any) -> None:
    assert pair.compared([a] * 3, [b] * 3).equal


def test_nan_in_arrays_equals_nan(pair: Pair) -> None:
    a, b = np.array([1.0, math.nan, 2.0]), np.array([1.0, -math.nan, 2.5])
    found = field(pair.compared([{"a": a, "big": np.tile(a, 300)}], [{"a": b, "big": np.tile(a, 300)}]))
    assert (found.where, found.largest) == ("a[2]", 0.5)


@pytest.mark.parametrize(
    ("tolerance", "equal"),
    [(0.0, False), (0.1, True), (0.01, False), ((0.0, 0.001), True), ((0.0, 1e-5), False), ((0.01, 0.001), True)],
)
@pytest.mark.parametrize("wrap", [lambda x: {"x": x}, lambda x: [x, 1], lambda x: {"x": np.full(500, x)}])
def test_numbers_within_the_tolerance_are_equal(pair: Pair, tolerance: Any, equal: bool, wrap: Any) -> None:
    found = pair.compared([wrap(100.0)] * 3, [wrap(100.05)] * 3, tolerance=tolerance)
    assert found.equal is equal


def test_nodes_and_topics_may_be_patterns(pair: Pair) -> None:
    found = compare(pair.session([1]), pair.session([2]), nodes=["*"], topics=["*"])
    assert [topic.equal for topic in found.topics] == [False]
    with pytest.raises(InvalidValue, match=r"'nothing\*'"):
        compare(pair.session([1]), pair.session([2]), topics=["nothing*"])


@pytest.mark.parametrize(
    "wrap", [lambda n: n, lambda n: {"a": [n]}, lambda n: np.array([n]), lambda n: {"s": np.int64(n)}]
)
def test_integers_are_compared_as_integers(pair: Pair, wrap: Callable[[int], Any]) -> None:
    a, b = [wrap(2**60)] * 3, [wrap(2**60 + 100)] * 3
    assert not pair.compared(a, b, tolerance=99.9).equal
    assert pair.compared(a, b, tolerance=100).equal
    assert not pair.compared(a, b, tolerance=(0.0, 1e-17)).equal
    assert pair.compared(a, b, tolerance=(0.0, 1e-15)).equal


def test_the_ends_of_64_bits_are_as_far_apart_as_they_are() -> None:
    ends = np.array([-(2**63), 2**63 - 1])
    unequal, size = Tolerance(2**64 - 2).exceeded(ends, ends[::-1])
    assert (unequal.tolist(), size.tolist()) == ([True, True], [2.0**64] * 2)
    assert not Tolerance(2**64 - 1).exceeded(ends, ends[::-1])[0].any()
    large = np.array([2**64 - 1], np.uint64)
    assert Tolerance(1).exceeded(large, large - np.uint64(2))[0].all()
    assert not Tolerance(2).exceeded(large, large - np.uint64(2))[0].any()
    assert Tolerance(1).apart(2**60, float(2**60 + 256)) == (True, 256.0)
    assert Tolerance(2**53).apart(0, 2**53 + 1) == (True, float(2**53))


def test_true_and_false_are_no_numbers_within_a_tolerance(pair: Pair) -> None:
    for wrap in (lambda flag: flag, lambda flag: [flag] * 3, lambda flag: np.array([flag]), lambda flag: {"x": flag}):
        assert not pair.compared([wrap(True)] * 3, [wrap(False)] * 3, tolerance=5).equal


def test_what_is_no_time_equals_itself_and_structured_arrays_are_compared_field_by_field(pair: Pair) -> None:
    dtype = [("id", "i8"), ("v", "f4"), ("at", "M8[s]")]
    one = {"a": np.array([(2**60, math.nan, "NaT")], dtype), "t": np.datetime64("NaT", "s"), "n": 1}
    other = {"a": np.array([(2**60 + 5, math.nan, "NaT")], dtype), "t": np.datetime64("NaT", "s"), "n": 1}
    found = pair.compared([one], [other])
    ((field,),) = [topic.fields for topic in found.topics]
    assert (field.where, field.largest) == ("a.id[0]", 5.0)
    assert pair.compared([one], [other], tolerance=5).equal
    assert pair.compared([one], [other], tolerances={"t.a.id": 5}).equal


def test_the_last_tolerance_that_fits_a_field_goes(pair: Pair) -> None:
    a, b = [{"p": {"x": 1.0, "y": [1.0]}}], [{"p": {"x": 1.1, "y": [1.2]}}]
    for tolerances, names in (
        ({"t": 0.5}, []),
        ({"t.p": 0.15}, ["p.y"]),
        ({"*.y": 0.5}, ["p.x"]),
        ({"t.p": 0.5, "t.p.x": 0.0}, ["p.x"]),
        ({"t.p.x": 0.0, "t.p": 0.5}, []),
        ({"u": 9.0}, ["p.x", "p.y"]),
    ):
        found = pair.compared(a, b, tolerances=tolerances)
        assert sorted(field.field for topic in found.topics for field in topic.fields) == names


def test_infinities_are_within_no_tolerance(pair: Pair) -> None:
    assert not pair.compared([{"x": math.inf}], [{"x": -math.inf}], tolerance=(1e300, 1.0)).equal
    assert pair.compared([{"x": math.inf}], [{"x": math.inf}], tolerance=(0.1, 0.1)).equal


def test_ignored_fields_do_not_count(pair: Pair) -> None:
    a, b = [{"head": {"stamp": 1}, "x": 1}], [{"head": {"stamp": 2}, "x": 1}]
    assert not pair.compared(a, b).equal
    for name in ("head", "head.stamp", "*.stamp", "t.head.stamp", "t.head", "head.*"):
        assert pair.compared(a, b, ignore=[name]).equal, name
    for name in ("stamp", "hea", "x", "u.head"):
        assert not pair.compared(a, b, ignore=[name]).equal, name


def test_a_field_filter_takes_what_is_below_a_name() -> None:
    counts = field_filter("odom", ["objects"])
    assert not counts("objects[].x")
    assert counts("objects_seen")


def test_missing_messages_are_counted_and_do_not_shift_those_behind_them(tmp_path: Path) -> None:
    def session(name: str, left_out: set[int]) -> Session:
        recording = Recording({"n": ["t", "u"]}, last_tick=99, batch=11)
        for tick in range(100):
            recording.messages.setdefault("n", []).append(Message(tick, "u", tick))
            if tick not in left_out:
                recording.messages["n"].append(Message(tick, "t", {"x": tick}))
        return recording.write(tmp_path / name)

    found = compare(session("a", {60}), session("b", {20, 21}))
    on_t, on_u = found.topics
    assert (on_t.only_a, on_t.only_b, on_t.differing, on_t.first_tick, on_t.ticks) == (2, 1, 0, 20, 3)
    assert (on_t.messages_a, on_t.messages_b) == (99, 98)
    assert on_u.equal
    assert found.first_tick == 20


def test_several_messages_in_a_tick_stand_against_each_other_in_order(tmp_path: Path) -> None:
    def session(name: str, values: list[int]) -> Session:
        recording = Recording({"n": ["t"]}, batch=2)
        recording.messages["n"] = [Message(5, "t", value) for value in values] + [Message(6, "t", 0)]
        return recording.write(tmp_path / name)

    (topic,) = compare(session("a", [1, 2, 3]), session("b", [1, 9])).topics
    assert (topic.differing, topic.only_a, topic.only_b, topic.ticks) == (1, 1, 0, 1)
    assert (topic.fields[0].a, topic.fields[0].b) == (2, 9)


def test_a_node_on_one_side_only_is_a_difference(tmp_path: Path) -> None:
    a = Recording({"n": ["t"], "m": ["u"]}).add("m", "u", [1, 2]).write(tmp_path / "a")
    b = Recording({"n": ["t"], "k": []}).write(tmp_path / "b")
    found = compare(a, b)
    assert (found.equal, found.nodes_only_a, found.nodes_only_b) == (False, ["m"], ["k"])
    assert [(topic.topic, topic.messages_a, topic.only_a) for topic in found.topics if topic.messages_a] == [
        ("u", 2, 2)
    ]
    assert compare(a, b, nodes=["n"]).equal


def test_ticks_in_one_session_only_are_counted_per_node(tmp_path: Path) -> None:
    def session(name: str, ticks: list[int]) -> Session:
        return Recording({"n": ["t"]}, ticks=[Tick(tick, "n") for tick in ticks], batch=3).write(tmp_path / name)

    found = compare(session("a", [0, 1, 2, 3, 7, 8]), session("b", [0, 1, 3, 4, 5, 7]))
    (ticks,) = found.ticks
    assert (ticks.both, ticks.only_a, ticks.only_b, ticks.first_tick) == (4, 2, 2, 2)
    assert (found.equal, found.first_tick) == (False, 2)


def test_timing_is_told_but_is_no_difference(tmp_path: Path) -> None:
    def session(name: str, duration: int, late: int) -> Session:
        ticks = [Tick(tick, "n", duration, "late" if tick == late else "ok") for tick in range(10)]
        return Recording({"n": ["t"]}, ticks=ticks).write(tmp_path / name)

    found = compare(session("a", 100, 3), session("b", 400, 5))
    assert found.equal
    (timing,) = found.timing
    assert (timing.p50, timing.largest, timing.status_differs, timing.first_status_tick) == (
        (100, 400),
        (100, 400),
        2,
        3,
    )


def test_rows_of_a_node_that_was_late_are_matched_however_late_they_were_written(tmp_path: Path) -> None:
    rows = [Tick(tick, node) for tick in range(40) for node in ("n", "m")]
    shuffled = [row for row in rows if row.node == "n"] + [row for row in rows if row.node == "m"]
    recording = Recording({"n": [], "m": []}, ticks=rows, batch=4)
    found = compare(
        recording.write(tmp_path / "a"), Recording({"n": [], "m": []}, ticks=shuffled, batch=5).write(tmp_path / "b")
    )
    assert found.equal
    assert [each.both for each in found.ticks] == [40, 40]


def replayed(folder: Path, recording: Recording, node: str) -> Session:
    """The session with `node` as one that was replayed: it knows no types."""
    session = recording.write(folder)
    graph = msgspec.structs.replace(
        session.graph,
        nodes=[
            msgspec.structs.replace(each, replayed=each.name == node, pubs=[TopicRecord("t", "")])
            for each in session.graph.nodes
        ],
    )
    session.header = msgspec.structs.replace(session.header, graph=graph)
    return session


def test_ticks_in_which_a_replayed_node_had_nothing_to_do_are_no_difference(tmp_path: Path) -> None:
    def recording(ticks: list[int]) -> Recording:
        return Recording({"n": ["t"]}, ticks=[Tick(tick, "n") for tick in ticks], types={"t": "Reading"})

    missed, all_of_them = [0, 1, 2, 6, 7], list(range(8))
    a = recording(missed).write(tmp_path / "a")
    b = replayed(tmp_path / "b", recording(all_of_them), "n")
    for found in (compare(a, b), compare(b, a)):
        assert (found.equal, found.first_tick, found.settings) == (True, None, [])
    live = recording(all_of_them).write(tmp_path / "live")
    assert compare(a, live).first_tick == 3
    c = replayed(tmp_path / "c", recording(missed), "n")
    assert compare(live, c).first_tick == 3, "the node that ran live had something to do"


def test_who_published_from_outside_is_no_node(tmp_path: Path) -> None:
    a = Recording({"n": ["t"]}).add("n", "t", [1, 2]).write(tmp_path / "a")
    b = Recording({"n": ["t"], "external": ["button"]}, ticks=[Tick(tick, "n") for tick in range(10)]).add(
        "n", "t", [1, 2]
    )
    found = compare(a, b.write(tmp_path / "b"))
    assert (found.equal, found.nodes_only_b, [each.node for each in found.topics]) == (True, [], ["n"])
    b.add("external", "button", [True], first_tick=4)
    found = compare(a, b.write(tmp_path / "c"))
    assert (found.equal, found.first_tick) == (False, 4)


def test_settings_that_differ_are_told_but_are_no_difference(tmp_path: Path) -> None:
    a = Recording({"n": ["t"]}, tick_rate=100.0).write(tmp_path / "a")
    b = Recording({"n": ["t"]}, tick_rate=50.0).write(tmp_path / "b")
    found = compare(a, b)
    assert found.equal
    assert {(each.node, each.setting) for each in found.settings} == {("", "tick_rate"), ("n", "rate")}


def test_only_the_ticks_asked_for_are_compared(pair: Pair) -> None:
    a, b = list(range(20)), [value + (value == 3) for value in range(20)]
    assert not pair.compared(a, b).equal
    assert pair.compared(a, b, start_tick=4).equal
    assert pair.compared(a, b, stop_tick=2).equal
    found = pair.compared(a, b, start_tick=3, stop_tick=3)
    assert (found.topics[0].messages_a, found.ticks[0].both, found.first_tick) == (1, 1, 3)


def test_unknown_nodes_and_topics_and_bad_tolerances_are_refused(pair: Pair) -> None:
    with pytest.raises(UnknownNode, match="'m'"):
        pair.compared([1], [1], nodes=["m"])
    with pytest.raises(InvalidValue, match="'tt'; did you mean 't'"):
        pair.compared([1], [1], topics=["tt"])
    for tolerance in (-1.0, (0.0, -0.5), math.nan):
        with pytest.raises(InvalidValue, match="tolerance"):
            pair.compared([1], [1], tolerance=tolerance)


def test_fields_beyond_the_limit_are_counted(pair: Pair) -> None:
    a, b = {f"k{place}": place for place in range(20)}, {f"k{place}": -place - 1 for place in range(20)}
    (topic,) = pair.compared([a], [b], limit=3).topics
    assert (len(topic.fields), topic.more_fields) == (3, 17)


def test_damage_is_told_for_each_side(pair: Pair) -> None:
    a, b = pair.session([1] * 20), pair.session([1] * 20)
    path = file_of(b, "n")
    cut(path, path.stat().st_size // 2)
    found = compare(a, Session(b.folder))
    assert not found.equal
    assert found.damage_a == []
    assert len(found.damage_b) == 1
    assert found.topics[0].only_a > 0


def test_a_comparison_is_json(pair: Pair) -> None:
    found = pair.compared(
        [{"a": b"\x01" * 99, "b": math.inf, "c": [1]}], [{"a": b"\x02", "b": 1.0, "c": [np.float32(2)]}]
    )
    plain = msgspec.json.decode(msgspec.json.encode(found))
    shown = {each["field"]: (each["a"], each["b"]) for each in plain["topics"][0]["fields"]}
    assert shown == {"a": ("hex:" + "01" * 32 + "... (99 bytes)", "hex:02"), "b": ("inf", 1.0), "c": (1, 2.0)}


leaf = st.one_of(
    st.integers(-300, 70_000),
    st.floats(allow_nan=True, width=64),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.binary(max_size=3),
)
value = st.recursive(
    leaf,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=6,
)
entry = st.tuples(st.integers(0, 8), st.sampled_from("tu"), value)
messages = st.lists(entry, max_size=20).map(lambda found: sorted(found, key=lambda each: each[0]))


def equal_values(a: Any, b: Any) -> bool:
    """What the comparison should take as equal, by another way."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal_values(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal_values, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and isinstance(a, bool) == isinstance(b, bool):
        return a == b or (a != a and b != b)
    return type(a) is type(b) and a == b


def expected_counts(a: list[Any], b: list[Any]) -> dict[str, tuple[int, int, int, int | None]]:
    """For each topic: only in a, only in b, differing, first tick."""
    found = {}
    for topic in "tu":
        only_a = only_b = differing = 0
        first = None
        for tick in range(9):
            one = [value for at, name, value in a if (at, name) == (tick, topic)]
            other = [value for at, name, value in b if (at, name) == (tick, topic)]
            only_a += max(len(one) - len(other), 0)
            only_b += max(len(other) - len(one), 0)
            unequal = sum(not equal_values(*each) for each in zip(one, other, strict=False))
            differing += unequal
            if first is None and (unequal or len(one) != len(other)):
                first = tick
        found[topic] = only_a, only_b, differing, first
    return found


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages, messages, st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_any_two_recordings_compare_as_by_hand(
    tmp_path_factory: pytest.TempPathFactory, a: list[Any], b: list[Any], batch_a: int, batch_b: int, chance: Any
) -> None:
    b = [each if chance.random() < 0.3 else mine for each, mine in zip(b, a, strict=False)] + b[len(a) :]
    b.sort(key=lambda each: each[0])
    folder = tmp_path_factory.mktemp("pair")
    sessions = []
    for name, found, batch in (("a", a, batch_a), ("b", b, batch_b)):
        recording = Recording({"n": ["t", "u"]}, batch=batch)
        recording.messages["n"] = [Message(*each) for each in found]
        sessions.append(recording.write(folder / name))
    found = compare(*sessions)
    counts = {topic.topic: (topic.only_a, topic.only_b, topic.differing, topic.first_tick) for topic in found.topics}
    assert counts == expected_counts(a, b)
    assert found.equal == all(each[:3] == (0, 0, 0) for each in counts.values())
    assert compare(sessions[0], sessions[0]).equal
