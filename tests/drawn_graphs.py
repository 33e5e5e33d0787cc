"""Random graphs of arithmetic nodes, and a model of the rules that computes what each of them must send.

The model is written from the rules in words, with fractions and lists, and shares no code with the engine:

* Job j of a node with rate r belongs to tick ceil(j * R / r); an event-driven node runs in each tick in which its topic has
  something that was not there in the tick before.
* Nodes stand in a row: by order, then the first that hears nobody left; where all left hear each other in circles, the first
  that reaches everyone who reaches it. Along the row a message is there in its own tick, against it in the next; a compute
  node's messages are there from its next job on.
* A node that is more than a topic's capacity behind when its tick starts loses the oldest, by lane.
* Messages of several senders come by tick, then by the senders' places, then as sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.arithmetic_nodes import Drawn, how_many, mix

# The model.


def in_a_row(nodes: Sequence[Drawn]) -> list[Drawn]:
    row: list[Drawn] = []
    for order in sorted({node.order for node in nodes}):
        left = [node for node in nodes if node.order == order]
        while left:
            edges = {(a.name, b.name) for a in left for b in left if a is not b and set(a.pubs) & set(b.subs)}
            for via, one, other in itertools.product(left, repeat=3):
                if (one.name, via.name) in edges and (via.name, other.name) in edges:
                    edges.add((one.name, other.name))
            hears_nobody = [node for node in left if not any((other.name, node.name) in edges for other in left)]
            in_first_circle = [
                node
                for node in left
                if all((node.name, other.name) in edges for other in left if (other.name, node.name) in edges)
            ]
            chosen = (hears_nobody or in_first_circle)[0]
            row.append(chosen)
            left.remove(chosen)
    return row


def job_ticks(rate: int, graph_rate: int, ticks: int) -> list[int]:
    """The ticks of a node, up to the first one behind the run."""
    found: list[int] = []
    for job in itertools.count():
        at = Fraction(job) * graph_rate / rate
        found.append(int(-(-at // 1)))
        if found[-1] >= ticks:
            return found
    raise AssertionError


@dataclass
class _Message:
    tick: int
    visible: int
    value: list[Any]


def expected(nodes: Sequence[Drawn], tick_rate: int, ticks: int) -> dict[str, list[tuple[int, str, list[Any]]]]:
    """Per node, in order, what it sends: tick, topic, value."""
    graph_rate = max([tick_rate, *(node.rate for node in nodes if node.on is None)])
    row = in_a_row(nodes)
    place = {node.name: at for at, node in enumerate(row)}
    jobs = {node.name: job_ticks(graph_rate if node.on else node.rate, graph_rate, ticks) for node in nodes}
    capacity: dict[str, int] = {}
    for node in nodes:
        for topic in (*node.pubs, *node.subs):
            capacity[topic] = max(capacity.get(topic, 1), node.capacity)
    lanes: dict[tuple[str, str], list[_Message]] = {(node.name, topic): [] for node in nodes for topic in node.pubs}
    read: dict[tuple[str, str, str], int] = {}  # reader, sender, topic: how many it has behind it
    seen: dict[tuple[str, str, str], int] = {}  # reader, sender, topic: how many were there in its last tick
    sent: dict[str, list[tuple[int, str, list[Any]]]] = {node.name: [] for node in nodes}
    state = {node.name: mix(7, len(node.name), *map(ord, node.name)) for node in nodes}

    def put(node: Drawn, tick: int, topic: str, value: list[Any], visible: int) -> None:
        lanes[node.name, topic].append(_Message(tick, visible, value))
        sent[node.name].append((tick, topic, value))

    for node in row:
        if node.greets:
            first = jobs[node.name][0]
            for topic in node.pubs:
                put(node, first, topic, [node.name, -1, state[node.name]], first)

    for tick in range(ticks):
        for node in row:
            if tick not in jobs[node.name]:
                continue
            there: dict[tuple[str, str], int] = {}
            for (sender, topic), lane in lanes.items():
                if topic in node.subs:
                    from_compute = next(each for each in nodes if each.name == sender).compute
                    lag = 0 if from_compute or place[sender] < place[node.name] else 1
                    there[sender, topic] = sum(1 for message in lane if message.visible <= tick - lag)
            new = any(
                count > seen.get((node.name, sender, topic), 0)
                for (sender, topic), count in there.items()
                if topic == node.on
            )
            for (sender, topic), count in there.items():
                key = (node.name, sender, topic)
                seen[key] = count
                read[key] = max(read.get(key, 0), count - capacity[topic])
            if node.on and not new:
                continue
            for topic in node.subs:
                unread = sorted(
                    (lanes[sender, topic][number].tick, place[sender], number, sender)
                    for (sender, named), count in there.items()
                    if named == topic
                    for number in range(read[node.name, sender, topic], count)
                )
                if node.reads == "latest" and unread:
                    newest = max(unread, key=lambda each: (each[0], each[1], each[2]))
                    taken = [newest]
                    for _, _, number, sender in unread:
                        read[node.name, sender, topic] = max(read[node.name, sender, topic], number + 1)
                else:
                    taken = unread if node.reads == "all" else unread[:1]
                    for _, _, number, sender in taken:
                        read[node.name, sender, topic] = number + 1
                for _, _, number, sender in taken:
                    name, index, value = lanes[sender, topic][number].value
                    state[node.name] = mix(state[node.name], len(name), ord(name[-1]), index, value)
            state[node.name] = mix(state[node.name], tick)
            following = next(each for each in jobs[node.name] if each > tick)
            for topic in node.pubs:
                for number in range(how_many(state[node.name], node.burst)):
                    value = [node.name, number, mix(state[node.name], number)]
                    put(node, tick, topic, value, following if node.compute else tick)
    return sent


# Drawing.

TOPICS = ("a", "b", "c", "d")


@st.composite
def graphs(draw: st.DrawFn, most: int = 6) -> tuple[list[Drawn], int]:
    """Nodes in the order they are added, and the tick rate."""
    count = draw(st.integers(1, most))
    nodes = []
    for at in range(count):
        pubs = tuple(sorted(draw(st.sets(st.sampled_from(TOPICS), max_size=2))))
        subs = tuple(sorted(draw(st.sets(st.sampled_from(TOPICS), max_size=3))))
        kind = draw(st.sampled_from(["plain", "plain", "plain", "compute", "on"]))
        nodes.append(
            Drawn(
                name=f"n{at}",
                rate=draw(st.sampled_from([1000, 500, 333, 100, 30, 7])),
                pubs=pubs,
                subs=subs,
                order=draw(st.sampled_from([0, 0, 0, 1, -1])),
                compute=kind == "compute",
                on=draw(st.sampled_from(subs)) if kind == "on" and subs else None,
                reads=draw(st.sampled_from(["all", "one", "latest"])),
                burst=draw(st.sampled_from([1, 1, 0, 2, 5])),
                greets=kind == "plain" and draw(st.booleans()),
                capacity=draw(st.sampled_from([1024, 1024, 3, 1])),
            )
        )
    return nodes, draw(st.sampled_from([1, 100, 1000]))
