"""Which side inputs the callbacks of a node name."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from horus import Failure, InvalidValue, Miss, Node
from horus_core.graph.samples import named_samples


def read() -> float:
    return 1.0


def helper(node: Node) -> Any:
    return node.sample("from the helper", read)


def caller_of_helper(node: Node) -> Any:
    return helper(node)


def one(node: Node, left: int) -> Any:
    return node.sample("one", read) if left else other(node, left - 1)


def other(node: Node, left: int) -> Any:
    return node.sample("other", read) if left else one(node, left - 1)


def not_called(node: Node) -> Any:
    return node.sample("not called", read)


NAME = "a variable"


def test_a_name_is_found_in_a_callback_whatever_it_reads_with() -> None:
    def tick(node: Node) -> None:
        node.sample("gps", read)
        node.sample("lambda", lambda: 2.0)
        node.send("cmd", [node.sample("in a list", read), {"x": node.sample("in a dict", functools.partial(read))}])

    assert set(named_samples([tick])) == {"gps", "lambda", "in a list", "in a dict"}


def test_a_name_is_found_in_what_is_defined_in_a_callback() -> None:
    def tick(node: Node) -> None:
        def inner() -> Any:
            def innermost() -> Any:
                return node.sample("innermost", read)

            return innermost(), (lambda: node.sample("in a lambda", read))()

        inner()
        assert [node.sample("in a comprehension", read) for _ in range(2)]

    assert set(named_samples([tick])) == {"innermost", "in a lambda", "in a comprehension"}


def test_a_name_is_found_in_an_async_callback() -> None:
    async def tick(node: Node) -> None:
        await node.sample("gps", read)

    assert named_samples([tick]) == ("gps",)


def test_a_name_is_found_in_the_helpers_of_the_module_and_in_those_that_they_call() -> None:
    def tick(node: Node) -> None:
        caller_of_helper(node)

    assert named_samples([tick]) == ("from the helper",)
    assert named_samples([caller_of_helper]) == ("from the helper",)


def test_helpers_that_call_each_other_are_looked_at_once() -> None:
    assert set(named_samples([one])) == {"one", "other"}


def test_a_name_is_found_in_a_helper_of_the_closure() -> None:
    def local(node: Node) -> Any:
        return node.sample("local", read)

    def tick(node: Node) -> None:
        local(node)

    assert named_samples([tick]) == ("local",)


def test_a_helper_that_is_not_there_yet_is_no_error() -> None:
    def make() -> Any:
        def tick(node: Node) -> None:
            node.sample("gps", read)
            later(node)

        found = named_samples([tick])

        def later(node: Node) -> None: ...

        return found

    assert make() == ("gps",)


class Driver:
    def tick(self, node: Node) -> None:
        node.sample("in the method", read)
        self._more(node)

    def _more(self, node: Node) -> None:
        node.sample("in another method", read)

    def __call__(self, node: Node) -> None:
        node.sample("in the call", read)


def test_a_name_is_found_in_a_method_and_in_the_others_of_its_class() -> None:
    assert set(named_samples([Driver().tick])) >= {"in the method", "in another method"}


def test_a_name_is_found_in_an_object_that_is_called_and_in_a_partial() -> None:
    def with_more(more: int, node: Node) -> None:
        node.sample("in a partial", read)

    assert named_samples([Driver()]) == ("in the call",)
    assert named_samples([functools.partial(with_more, 3)]) == ("in a partial",)


def test_a_name_that_is_no_literal_is_not_found() -> None:
    def tick(node: Node) -> None:
        which = "gps"
        node.sample(which, read)
        node.sample(NAME, read)
        node.sample(f"{which} left", read)
        for each in ("left", "right"):
            node.sample(each, read)

    assert named_samples([tick]) == ()


def test_what_is_not_called_or_only_looks_like_it_is_not_found() -> None:
    def tick(node: Node) -> None:
        sample = "a word"
        node.send("sample", sample)
        node.recv("gps")

    assert named_samples([tick]) == ()


def test_a_builtin_has_no_code_to_look_into() -> None:
    assert named_samples([print, len]) == ()


def test_a_node_has_those_that_it_declares_and_those_that_any_callback_names_each_once() -> None:
    def tick(node: Node) -> None:
        node.sample("gps", read)
        node.sample(NAME, read)

    def init(node: Node) -> None:
        node.sample("boot", read)
        node.sample("gps", read)

    node = Node(name="driver", tick=tick, init=init, samples=[NAME, "gps"])
    assert sorted(node.spec.samples) == ["a variable", "boot", "gps"]


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 101, 3])
def test_a_name_that_is_none_is_refused_with_the_node(name: Any) -> None:
    with pytest.raises(InvalidValue, match="node 'driver': a side input"):
        Node(name="driver", tick=lambda node: None, samples=[name])


class _Device:
    def read(self, node: Node) -> Any:
        return node.sample("of a device", read)


DEVICE = _Device()


def test_a_name_is_found_in_the_method_of_an_object_of_the_module() -> None:
    def tick(node: Node) -> None:
        DEVICE.read(node)

    assert named_samples([tick]) == ("of a device",)


def test_what_is_computed_from_a_constant_is_not_a_name() -> None:
    def tick(node: Node, parts: list[str]) -> None:
        node.sample("".join(parts), read)
        node.sample("a" + parts[0], read)
        node.sample(f"gps{parts}", read)
        node.sample("imu", functools.partial(read))
        node.sample("sonar", lambda: len("x" + "y"))

    assert set(named_samples([tick])) == {"imu", "sonar"}


def test_one_name_may_stand_alone_and_each_policy_has_its_own_kind() -> None:
    assert Node(tick=lambda: None, samples="gps").spec.samples == ("gps",)
    with pytest.raises(InvalidValue, match="on_miss"):
        Node(tick=lambda: None, on_miss=Failure.SKIP)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="failure_policy"):
        Node(tick=lambda: None, failure_policy=Miss.STOP)  # type: ignore[arg-type]
    assert Node(tick=lambda: None, on_miss="stop").on_miss is Miss.STOP
