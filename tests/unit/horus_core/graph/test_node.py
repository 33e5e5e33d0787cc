"""What a user declares: every form of topics and callbacks, and what a wrong argument gets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cloudpickle
import msgspec
import pytest

from horus_core.errors import HorusError, InvalidValue, SchedulerBusy, UnknownTopic
from horus_core.graph.declaration import Pub, Sub
from horus_core.graph.node import Node, takes_node
from horus_core.graph.policies import Failure, Miss
from horus_core.graph.restart import Restart
from horus_core.graph.spec import TopicSpec


class CmdVel(msgspec.Struct):
    linear: float
    angular: float


@dataclass
class LaserScan2D:
    ranges: list[float]


class HTTPStatus(msgspec.Struct):
    code: int


class Driver:
    def step(self, node: Node) -> None: ...

    def idle(self) -> None: ...

    def __call__(self, node: Node) -> None: ...


def tick(node: Node) -> None: ...


def nothing() -> None: ...


async def tick_async(node: Node) -> None: ...


def declared(node: Node) -> tuple[TopicSpec, ...]:
    return node.spec.pubs


# Topics.


@pytest.mark.parametrize(
    ("pubs", "expected"),
    [
        (None, ()),
        ([], ()),
        ({}, ()),
        ("cmd", (TopicSpec("cmd", None, 9),)),
        (["a", "b"], (TopicSpec("a", None, 9), TopicSpec("b", None, 9))),
        (("a", "b"), (TopicSpec("a", None, 9), TopicSpec("b", None, 9))),
        (CmdVel, (TopicSpec("cmd_vel", CmdVel, 9),)),
        ([CmdVel, "b"], (TopicSpec("cmd_vel", CmdVel, 9), TopicSpec("b", None, 9))),
        (LaserScan2D, (TopicSpec("laser_scan2_d", LaserScan2D, 9),)),
        (Pub("cmd"), (TopicSpec("cmd", None, 1024),)),
        ([Pub("cmd", CmdVel, capacity=3)], (TopicSpec("cmd", CmdVel, 3),)),
        ({"cmd": CmdVel, "any": None}, (TopicSpec("cmd", CmdVel, 9), TopicSpec("any", None, 9))),
        ({"cmd": {"type": CmdVel, "capacity": 4}}, (TopicSpec("cmd", CmdVel, 4),)),
        ({"cmd": {}}, (TopicSpec("cmd", None, 9),)),
        (["größe.温度/левый", "a b"], (TopicSpec("größe.温度/левый", None, 9), TopicSpec("a b", None, 9))),
        (["twice", "twice"], (TopicSpec("twice", None, 9),)),
    ],
)
def test_topics_may_be_declared_in_every_form(pubs: Any, expected: tuple[TopicSpec, ...]) -> None:
    node = Node(name="n", tick=tick, pubs=pubs, subs=pubs, default_capacity=9)
    assert node.spec.pubs == node.spec.subs == expected
    assert node.publishers() == node.subscribers() == [topic.name for topic in expected]


def test_the_defaults_are_those_that_are_documented() -> None:
    node = Node(name="n", tick=tick)
    assert (node.spec.rate, node.spec.order, node.spec.compute, node.spec.on) == (30.0, 0, False, None)
    assert (node.spec.budget, node.spec.deadline, node.spec.watchdog) == (None, None, None)
    assert (node.spec.on_miss, node.spec.failure_policy) == ("warn", "fatal")
    assert node.state == {}
    assert declared(Node(name="n", tick=tick, pubs="t"))[0].capacity == 1024


def test_a_node_without_a_name_gets_one_of_its_own() -> None:
    assert len({Node(tick=tick).name for _ in range(50)}) == 50


# Callbacks.


@pytest.mark.parametrize(
    "callback",
    [tick, nothing, tick_async, lambda: None, lambda node: None, Driver().step, Driver().idle, Driver(), partial(tick)],
)
def test_a_callback_may_be_anything_that_is_called_with_the_node_or_with_nothing(callback: Callable[..., Any]) -> None:
    for role in ("tick", "init", "shutdown", "safe_state"):
        node = Node(**{"name": "n", "tick": tick, role: callback})  # type: ignore[arg-type]
        assert node.callbacks[role] is callback


@pytest.mark.parametrize(
    ("callback", "takes"),
    [
        (tick, True),
        (nothing, False),
        (Driver().step, True),
        (Driver().idle, False),
        (lambda *_: None, True),
        (lambda node=None: None, True),
        (lambda each=3: None, False),  # a default is its owner's: the way to bind a loop's variable
        (lambda node, each=3: None, True),
        (lambda n: None, True),
        (lambda *, key=1: None, False),
        (print, True),
    ],
)
def test_who_can_take_the_node_gets_it(callback: Callable[..., Any], takes: bool) -> None:
    assert takes_node(callback, 1) is takes


@pytest.mark.parametrize("role", ["tick", "init", "shutdown", "safe_state"])
@pytest.mark.parametrize("wrong", [7, "tick", lambda node, more: None, lambda *, key: None, [tick]])
def test_what_cannot_be_called_so_is_refused(role: str, wrong: Any) -> None:
    with pytest.raises(InvalidValue, match=rf"node 'n': {role} is .*{role}\(node\) or {role}\(\)") as caught:
        Node(**{"name": "n", "tick": tick, role: wrong})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_node_without_a_tick_is_refused() -> None:
    with pytest.raises(InvalidValue, match="node 'n': tick is None"):
        Node(name="n")


@pytest.mark.parametrize("handler", [lambda node, error: None, lambda error: None])
def test_on_error_takes_the_exception_with_or_without_the_node(handler: Callable[..., Any]) -> None:
    assert Node(name="n", tick=tick, on_error=handler).callbacks["on_error"] is handler


@pytest.mark.parametrize("handler", [lambda: None, lambda a, b, c: None, 3])
def test_on_error_that_takes_no_exception_is_refused(handler: Any) -> None:
    with pytest.raises(InvalidValue, match="on_error"):
        Node(name="n", tick=tick, on_error=handler)


# What is refused: one line that names the node, the argument, its value and what is expected.

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rate": 0}, "rate is 0"),
    ({"rate": -5}, "rate is -5"),
    ({"rate": math.nan}, "rate is nan"),
    ({"rate": math.inf}, "rate is inf"),
    ({"rate": "100"}, "rate is '100'"),
    ({"rate": None}, "rate is None"),
    ({"rate": True}, "rate is True"),
    ({"rate": 1e9}, "at most 100000 Hz"),
    ({"order": 1.5}, "order is 1.5"),
    ({"order": "first"}, "order is 'first'"),
    ({"budget": 0}, "budget is 0"),
    ({"budget": -0.1}, "budget is -0.1"),
    ({"deadline": math.nan}, "deadline is nan"),
    ({"watchdog": 0}, "watchdog is 0"),
    ({"on_miss": "explode"}, "'warn', 'skip', 'safe_mode', 'stop'"),
    ({"failure_policy": "retry"}, "'fatal', 'restart', 'skip', 'ignore'"),
    ({"priority": 0}, "priority is 0"),
    ({"priority": 100}, "priority is 100"),
    ({"core": -1}, "core is -1"),
    ({"core": "all"}, "core is 'all'"),
    ({"default_capacity": 0, "pubs": "t"}, "capacity"),
    ({"pubs": 7}, "pubs is 7"),
    ({"pubs": [7]}, "a topic in pubs is 7"),
    ({"pubs": [""]}, "a topic in pubs is ''"),
    ({"pubs": ["a\nb"]}, r"a topic in pubs is 'a\nb'"),
    ({"pubs": ["x" * 201]}, "1 to 200"),
    ({"subs": {"t": "CmdVel"}}, "the type of topic 't' is 'CmdVel'"),
    ({"subs": {"t": {"kind": CmdVel}}}, "{'type': ..., 'capacity': ...}"),
    ({"subs": Sub("t", capacity=0)}, "capacity of topic 't' is 0"),
    ({"subs": Sub("t", capacity=1 << 30)}, "capacity of topic 't'"),
    ({"compute": True, "on": "t", "subs": "t"}, "only one of compute and on"),
    ({"compute": True, "tick": tick_async}, "async"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[str(each)[:50] for each, _ in WRONG])
def test_a_wrong_argument_is_named_with_what_is_expected(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Node(**{"name": "arm", "tick": tick, **arguments})
    text = str(caught.value)
    assert words in text
    assert "node 'arm'" in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["", " ", "a\tb", "x" * 101, 7, b"arm", "external", "scheduler", "events"])
def test_a_name_that_cannot_be_a_nodes_is_refused(name: Any) -> None:
    with pytest.raises(InvalidValue, match="a node's name is"):
        Node(name=name, tick=tick)


@pytest.mark.parametrize("name", ["arm", "左 arm/ü.1", "a" * 100, "-", ".hidden", "a b"])
def test_any_printable_name_will_do(name: str) -> None:
    assert Node(name=name, tick=tick).name == name


def test_a_node_that_runs_on_a_topic_must_hear_it() -> None:
    with pytest.raises(UnknownTopic, match=r"'scam'.*did you mean 'scan'"):
        Node(name="n", tick=tick, subs="scan", on="scam")


# The handle.

USES: list[Callable[[Node], Any]] = [
    lambda node: node.send("t", 1),
    lambda node: node.recv("t"),
    lambda node: node.recv_all("t"),
    lambda node: node.latest("t"),
    lambda node: node.has_msg("t"),
    lambda node: node.log_info("x"),
    lambda node: node.log_debug("x"),
    lambda node: node.log_warning("x"),
    lambda node: node.log_error("x"),
    lambda node: node.request_stop(),
]


@pytest.mark.parametrize("use", USES)
def test_a_handle_outside_its_callbacks_says_so(use: Callable[[Node], Any]) -> None:
    with pytest.raises(SchedulerBusy, match="node 'n' can use its topics and its log only in its own callbacks"):
        use(Node(name="n", tick=tick, pubs="t", subs="t"))


class Recorded:
    """A runtime that notes what the handle asks."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., str]:
        def call(*arguments: Any) -> str:
            self.calls.append((name, *arguments))
            return name

        return call


def test_an_attached_handle_passes_everything_on() -> None:
    runtime, node = Recorded(), Node(name="n", tick=tick, pubs="t", subs="t")
    node.attach(runtime)  # type: ignore[arg-type]
    for use in USES:
        use(node)
    assert [call[0] for call in runtime.calls] == [
        "send", "recv", "recv_all", "latest", "has_msg", "log", "log", "log", "log", "request_stop",
    ]  # fmt: skip
    assert [call[1] for call in runtime.calls if call[0] == "log"] == ["info", "debug", "warning", "error"]
    node.attach(None)
    with pytest.raises(HorusError):
        node.send("t", 1)


def test_a_copy_of_a_node_is_the_handle_of_that_name_and_carries_no_state() -> None:
    node = Node(name="far away", tick=tick, pubs="t")
    node.state["socket"] = open  # whatever it holds stays here
    other = cloudpickle.loads(cloudpickle.dumps(node))
    assert other.name == "far away"
    assert other.state == {}
    with pytest.raises(SchedulerBusy, match="'far away'"):
        other.send("t", 1)


def test_a_node_shows_itself() -> None:
    assert (
        repr(Node(name="n", tick=tick, rate=12.5, pubs="p", subs=["s"]))
        == "Node('n', rate=12.5, pubs=['p'], subs=['s'])"
    )
    assert repr(Pub("t", None, 3)) == "Pub('t', None, 3)"
    assert repr(Sub("t")) == "Sub('t', None, 1024)"


def test_a_node_says_of_itself_what_was_declared() -> None:
    node = Node(
        name="arm", tick=lambda: None, rate=50, pubs=["pose"], subs=["goal", "scan"], order=3, budget=0.01, deadline=0.015,
        priority=40, core=1, failure_policy="skip", on_miss=Miss.STOP,
    )  # fmt: skip
    said = node.rate, node.order, node.budget, node.deadline, node.priority, node.core
    assert said == (50.0, 3, 0.01, 0.015, 40, 1)
    assert (node.pub_topics, node.sub_topics) == (("pose",), ("goal", "scan"))
    assert node.failure_policy is Failure.SKIP
    assert node.spec.on_miss == "stop"


def test_a_policy_of_restarts_is_told_with_its_numbers() -> None:
    rule = Restart(times=2, window=5.0)
    assert Node(tick=lambda: None, failure_policy=rule).failure_policy == rule
    assert Node(tick=lambda: None, failure_policy=Failure.RESTART).failure_policy == Restart()
    assert Node(tick=lambda: None).failure_policy is Failure.FATAL
