"""Side inputs are found in the callbacks' code, whatever instructions this Python makes of it."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from horus_core.graph.samples import named_samples


def read() -> float:
    return 1.0


def plain(node: Any) -> None:
    node.sample("plain", read)


def with_more(node: Any, *rest: Any, **named: Any) -> None:
    node.sample("more", read, *rest, **named)


def by_keyword(node: Any) -> None:
    node.sample(name="keyword", function=read)


async def awaited(node: Any) -> None:
    await node.sample("awaited", read)


def in_a_comprehension(node: Any) -> list[Any]:
    return [node.sample("z in a comprehension", each) for each in (read, read)] + node.sample("after it", read)


def in_blocks(node: Any) -> str:
    if node.sample("if", read) and not node.sample("and", read):
        try:
            node.sample("try", read)
        finally:
            node.sample("finally", read)
    with open(node.sample("with", read)) as file:
        return f"{file} {node.sample('f-string', read)}"


def nested(node: Any) -> None:
    def inner() -> None:
        node.sample("nested", lambda: node.state.sample("deeper", read))

    inner()


def calls_another(node: Any) -> None:
    plain(node)


def not_a_constant(node: Any) -> None:
    name = "variable"
    node.sample(name + str(node), read)
    sample = node.sample
    sample("through a variable", read)
    node.send("sample", "sent")


class Driver:
    def tick(self, node: Any) -> None:
        node.sample("method", read)
        self.step(node)

    def step(self, node: Any) -> None:
        node.sample("its helper", read)

    def __call__(self, node: Any) -> None:
        node.sample("call", read)


@pytest.mark.parametrize(
    ("callback", "names"),
    [
        (plain, ["plain"]),
        (with_more, ["more"]),
        (by_keyword, ["keyword"]),
        (awaited, ["awaited"]),
        (in_a_comprehension, ["after it", "z in a comprehension"]),
        (in_blocks, ["and", "f-string", "finally", "if", "try", "with"]),
        (nested, ["deeper", "nested"]),
        (calls_another, ["plain"]),
        (not_a_constant, []),
        (Driver().tick, ["call", "its helper", "method"]),
        (Driver(), ["call"]),
        (functools.partial(plain), ["plain"]),
        (read, []),
    ],
)
def test_the_names_in_a_callback_are_found_and_sorted(callback: Any, names: list[str]) -> None:
    assert list(named_samples([callback])) == names


def test_several_callbacks_name_each_side_input_once() -> None:
    assert named_samples([with_more, plain, calls_another]) == ("more", "plain")
