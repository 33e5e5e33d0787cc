"""Nodes that do a little arithmetic on what they hear: what each sends depends on all that it received, and on its order.

Imports nothing but horus, so that the nodes' processes start fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import horus
from horus import Node, Pub, Sub

PRIME = 2_147_483_647


@dataclass(frozen=True)
class Drawn:
    """One node. `reads`: how it takes messages, `burst`: it sends up to that many, depending on its state."""

    name: str
    rate: int
    pubs: tuple[str, ...] = ()
    subs: tuple[str, ...] = ()
    order: int = 0
    compute: bool = False
    on: str | None = None
    reads: str = "all"  # all, one, latest
    burst: int = 1
    greets: bool = False  # sends in init
    capacity: int = 1024


def mix(state: int, *numbers: int) -> int:
    for number in numbers:
        state = (state * 48_271 + number + 1) % PRIME
    return state


def how_many(state: int, burst: int) -> int:
    return state % (burst + 1) if burst != 1 else 1


class Work:
    """The callbacks of a node, as the engine gets them."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn
        self.state = mix(7, len(drawn.name), *map(ord, drawn.name))

    def init(self, node: Node) -> None:
        for topic in self.drawn.pubs:
            node.send(topic, [self.drawn.name, -1, self.state])

    def tick(self, node: Node) -> None:
        drawn = self.drawn
        for topic in drawn.subs:
            if drawn.reads == "all":
                received = node.recv_all(topic)
            else:
                value = node.recv(topic) if drawn.reads == "one" else node.latest(topic)
                received = [] if value is None else [value]
            for name, number, value in received:
                self.state = mix(self.state, len(name), ord(name[-1]), number, value)
        self.state = mix(self.state, horus.tick())
        for topic in drawn.pubs:
            for number in range(how_many(self.state, drawn.burst)):
                node.send(topic, [drawn.name, number, mix(self.state, number)])


def as_node(drawn: Drawn) -> Node:
    work = Work(drawn)
    return Node(
        name=drawn.name,
        tick=work.tick,
        init=work.init if drawn.greets else None,
        rate=drawn.rate,
        pubs=[Pub(topic, capacity=drawn.capacity) for topic in drawn.pubs],
        subs=[Sub(topic, capacity=drawn.capacity) for topic in drawn.subs],
        order=drawn.order,
        compute=drawn.compute,
        on=drawn.on,
    )
