from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from horus_core.messages.encoding import Encoder
from horus_core.recording.reading.columns import Layout, by_layout
from horus_core.recording.reading.messages import Messages

numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(), st.booleans(), st.none(), st.text(max_size=5), st.binary(max_size=5)
)
arrays = st.one_of(
    st.lists(st.floats(width=32), max_size=8).map(lambda items: np.array(items, dtype=np.float32)),
    st.lists(st.integers(0, 255), min_size=6, max_size=6).map(
        lambda items: np.array(items, dtype=np.uint8).reshape(2, 3)
    ),
    st.integers(-100, 100).map(np.int16),
)
values = st.recursive(
    st.one_of(numbers, arrays),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=12,
)


def block(found: list[Any]) -> Messages:
    """Messages on one topic."""
    encoder = Encoder("n", "t")
    coded = [bytes(encoder.encode(value)[1]) for value in found]
    lengths = np.array([len(each) for each in coded], dtype=np.int64)
    zeros = np.zeros(len(coded), dtype=np.int64)
    columns = {"tick": zeros, "sequence": zeros, "time": zeros, "topic": zeros, "encoding": zeros}
    return Messages(
        ["t"],
        {**columns, "start": np.cumsum(lengths) - lengths, "length": lengths},
        np.frombuffer(b"".join(coded), np.uint8),
    )


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def same(found: Any, value: Any, kind: str) -> bool:
    if kind == "none":
        return value is None
    if kind == "map":
        return bool(value == {})
    if kind == "str":
        return found.tobytes().decode() == value
    if kind == "bytes":
        return bool(found.tobytes() == value)
    return np.array_equal(found, np.asarray(value), equal_nan=np.asarray(value).dtype.kind == "f")


@given(st.lists(values.filter(lambda value: not isinstance(value, bytes)), min_size=1, max_size=6))
def test_what_a_layout_reads_is_what_was_sent(found: list[Any]) -> None:
    messages = block(found)
    seen = []
    for layout, places, matrices in by_layout((messages, np.arange(len(found)))):
        seen += places.tolist()
        if layout is not None:
            for slot in layout.slots:
                column = slot.values(matrices[0])
                for row, place in enumerate(places.tolist()):
                    assert same(column[row], at(found[place], slot.path), slot.kind)
    assert sorted(seen) == list(range(len(found)))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_message_have_no_layout_or_one_that_fits(data: bytes) -> None:
    layout = Layout.of(data)
    if layout is not None:
        matrix = np.zeros((1, -(-len(data) // 8) * 8), np.uint8)
        matrix[0, : len(data)] = np.frombuffer(data, np.uint8)
        for slot in layout.slots:
            slot.values(matrix)


def test_messages_that_differ_in_numbers_only_share_a_layout() -> None:
    found = [{"x": place * 0.5, "list": [1.0, float(place)], "flag": place % 2 == 0} for place in range(1000)]
    (group,) = by_layout((block(found), np.arange(1000)))
    layout, places, (matrix,) = group
    assert layout is not None
    assert not layout.nested
    assert len(places) == 1000
    columns = {slot.path: slot.values(matrix) for slot in layout.slots}
    assert columns["x",].tolist() == [each["x"] for each in found]
    assert columns["list",].tolist() == [each["list"] for each in found]
    assert columns["flag",].tolist() == [each["flag"] for each in found]


def test_texts_that_are_not_ascii_and_keys_that_are_no_texts_have_no_layout() -> None:
    for value in ("é", {1: 2}):
        ((layout, places, _),) = by_layout((block([value] * 3), np.arange(3)))
        assert layout is None
        assert sorted(places.tolist()) == [0, 1, 2]


def test_many_different_forms_end_without_layout_instead_of_taking_for_ever() -> None:
    found = [{f"key{place:04}": place % 100} for place in range(2000)]
    without = [len(places) for layout, places, _ in by_layout((block(found), np.arange(2000))) if layout is None]
    assert sum(without) > 1900


def test_sides_with_different_layouts_are_kept_apart() -> None:
    one, other = block([{"x": 1.0}] * 4), block([{"x": 1.0}, {"x": 2}, {"y": 1.0}, {"x": 3.0}])
    found = {
        layout is not None: places.tolist()
        for layout, places, _ in by_layout((one, np.arange(4)), (other, np.arange(4)))
    }
    assert found[True] == [0, 3]
    assert sorted(found[False]) == [1, 2]
