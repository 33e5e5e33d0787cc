"""``horus topic``, ``node``, ``top`` and ``log``: looking inside a graph that runs."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_core.inspection.observer import GraphView, NodeView, TopicView
from horus_core.inspection.tap import Measure
from tests.conftest import Leftovers
from tests.horus_command import (
    ENDLESS,
    PATIENCE,
    Result,
    environment,
    horus,
    lines_of,
    refused,
    running,
    script,
    started,
    wait_for,
)

BUSY = 0.6  # by how much a rate may be off on a machine that has other things to do

# A third node hears what the driver sends and what comes from outside.
WATCHED = """
import dataclasses
import numpy as np
import horus
from horus import Node, Scheduler

@dataclasses.dataclass
class Goal:
    x: float

def read(node):
    node.send("scan", {"distance": 0.5, "tick": horus.tick()})
    node.send("image", np.zeros((40, 30), np.uint8))

def listen(node):
    node.latest("scan")
    for goal in node.recv_all("goal"):
        node.log_info(f"goal {goal!r}")
        node.send("seen", goal.x)

sensor = Node(name="sensor", tick=read, rate=100, pubs=["scan", "image"])
driver = Node(name="driver", tick=listen, rate=50, subs={"goal": Goal, "scan": None}, pubs=["seen"], order=2)
Scheduler(tick_rate=100, deterministic=True, name="robot").add(sensor).add(driver).run()
"""


@dataclass(frozen=True)
class Graph:
    """A graph that runs while the tests of this module do, in folders of its own."""

    env: dict[str, str]
    facts: Any

    def horus(self, *arguments: str, code: int | None = 0) -> Result:
        return horus(*arguments, code=code, env=self.env)

    def refused(self, *arguments: str) -> str:
        result = self.horus(*arguments, code=2)
        assert (result.out, result.err.count("\n")) == ("", 1), result
        return result.err.removeprefix("horus: ").rstrip("\n")


@pytest.fixture(scope="module")
def graph(leftovers: Leftovers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    folder = tmp_path_factory.mktemp("graph")
    env = environment(
        XDG_RUNTIME_DIR=tempfile.mkdtemp(dir=leftovers.session),
        XDG_STATE_HOME=str(folder / "state"),
        HORUS_RECORDINGS=str(folder / "recordings"),
    )
    with started("run", script(folder, WATCHED), env=env):
        (facts,) = running(env=env)
        yield Graph(env, facts)


# Topics.


def test_topics_are_listed_with_who_publishes_and_who_hears(graph: Graph) -> None:
    rows = lines_of(
        graph.horus("topic", "list").out, ["topic", "type", "publishers", "subscribers", "messages", "rate"]
    )
    assert [row[:4] for row in rows[1:]] == [
        ["scan", "any", "sensor", "driver"],
        ["image", "any", "sensor", "-"],
        ["seen", "any", "driver", "-"],
        ["goal", "Goal", "-", "driver"],
    ]


def test_topics_as_json(graph: Graph) -> None:
    topics = {topic.name: topic for topic in graph.horus("topic", "list", "--json").json(list[TopicView])}
    assert topics["scan"].rate_hz == pytest.approx(100, rel=BUSY)
    assert topics["scan"].messages > 0
    assert (topics["goal"].publishers, topics["goal"].rate_hz) == ([], None)


def test_a_topic_in_full(graph: Graph) -> None:
    out = graph.horus("topic", "info", "goal").out
    assert "type:        Goal\n" in out
    assert "subscribers: driver\n" in out
    assert "publishers:  none\n" in out
    assert graph.horus("topic", "info", "scan", "--json").json(TopicView).subscribers == ["driver"]


def test_echo_prints_every_message_in_order(graph: Graph) -> None:
    lines = graph.horus("topic", "echo", "scan", "-n", "20").out.splitlines()
    ticks = [int(line.split()[0]) for line in lines]
    assert ticks == list(range(ticks[0], ticks[0] + 20))
    assert lines[0] == f'{ticks[0]}  sensor  {{"distance": 0.5, "tick": {ticks[0]}}}'


def test_echo_as_json_has_a_line_per_message(graph: Graph) -> None:
    lines = graph.horus("topic", "echo", "scan", "-n", "3", "--json").out.splitlines()
    messages = [msgspec.json.decode(line) for line in lines]
    assert [set(message) for message in messages] == [{"topic", "node", "tick", "time_ns", "size", "value"}] * 3
    assert messages[0]["value"] == {"distance": 0.5, "tick": messages[0]["tick"]}


def test_echo_says_what_an_array_is_and_json_has_all_of_it(graph: Graph) -> None:
    assert graph.horus("topic", "echo", "image", "-n", "1").out.rstrip().endswith('"array of 40x30 uint8"')
    (line,) = graph.horus("topic", "echo", "image", "-n", "1", "--json").out.splitlines()
    assert msgspec.json.decode(line)["value"] == [[0] * 30] * 40


def test_echo_shows_the_digits_that_a_person_reads_and_full_shows_all(graph: Graph) -> None:
    graph.horus("topic", "pub", "goal", '{"x": 0.30000000000000004}')
    line = ["topic", "echo", "goal", "--latest", "-n", "1"]
    assert graph.horus(*line).out.split("  ")[2] == '{"x": 0.3}\n'
    assert graph.horus(*line, "--full").out.split("  ")[2] == '{"x": 0.30000000000000004}\n'
    assert graph.horus("topic", "echo", "image", "-n", "1", "--full").out.count("0, 0") > 100


def test_echo_ends_after_its_duration(graph: Graph) -> None:
    assert graph.horus("topic", "echo", "goal", "--duration", "0.1").out == ""


def test_hz_measures_the_rate(graph: Graph) -> None:
    measure = graph.horus("topic", "hz", "scan", "--duration", "1", "--json").json(Measure)
    assert measure.rate_hz == pytest.approx(100, rel=BUSY)
    assert measure.period_mean_ms == pytest.approx(1000 / measure.rate_hz)
    assert measure.period_min_ms <= measure.period_mean_ms <= measure.period_max_ms
    assert re.match(
        r"[\d.]+ Hz   between two: mean [\d.]+ ms, min ", graph.horus("topic", "hz", "scan", "--duration", "1.1").out
    )


def test_bw_measures_bytes(graph: Graph) -> None:
    measure = graph.horus("topic", "bw", "image", "--duration", "0.5", "--json").json(Measure)
    assert 1200 < measure.size_min == measure.size_max < 1400
    assert measure.bytes_per_second == pytest.approx(measure.size_mean * 100, rel=BUSY)
    assert "/s   a message: mean 1." in graph.horus("topic", "bw", "image", "--duration", "1.1").out


def test_hz_of_a_silent_topic(graph: Graph) -> None:
    measure = graph.horus("topic", "hz", "goal", "--duration", "0.1", "--json").json(Measure)
    assert (measure.messages, measure.rate_hz, measure.size_mean) == (0, None, None)


def test_pub_reaches_the_nodes_that_subscribe(graph: Graph) -> None:
    assert graph.horus("topic", "pub", "goal", '{"x": 41.5}').out == "sent 1 message on goal\n"
    wait_for(lambda: "goal Goal(x=41.5)" in graph.horus("log", "driver").out, "the driver to log the goal")
    info = graph.horus("topic", "info", "goal", "--json").json(TopicView)
    assert info.messages == info.external >= 1


def test_pub_sends_again_and_again(graph: Graph) -> None:
    before = graph.horus("topic", "info", "goal", "--json").json(TopicView).external
    assert (
        graph.horus("topic", "pub", "goal", '{"x": 1.0}', "-n", "3", "--rate", "200").out == "sent 3 messages on goal\n"
    )
    assert graph.horus("topic", "info", "goal", "--json").json(TopicView).external == before + 3


def test_echo_shows_the_latest_message_of_a_slow_topic(graph: Graph) -> None:
    graph.horus("topic", "pub", "goal", '{"x": 7.25}')
    line = graph.horus("topic", "echo", "goal", "--latest", "-n", "1").out
    assert line.split(maxsplit=1)[1] == 'external  {"x": 7.25}\n'


@pytest.mark.parametrize("value", ["x", "hex:0", "{", ""])
def test_pub_refuses_what_is_no_value(graph: Graph, value: str) -> None:
    assert "VALUE is" in graph.refused("topic", "pub", "goal", value)


def test_an_unknown_topic_is_named_with_the_nearest(graph: Graph) -> None:
    for command in (["info"], ["echo"], ["hz"], ["bw"]):
        assert "topic is 'scn'; expected one of" in (said := graph.refused("topic", *command, "scn"))
        assert "did you mean 'scan'?" in said
    assert "did you mean 'goal'?" in graph.refused("topic", "pub", "gaol", "1")


# Nodes.


def test_nodes_are_listed_in_the_graphs_order_with_their_place(graph: Graph) -> None:
    rows = lines_of(
        graph.horus("node", "list").out, ["node", "state", "pid", "core", "rate", "held", "ticks", "misses"]
    )
    assert [row[:2] for row in rows[1:]] == [["sensor", "ready"], ["driver", "ready"]]
    assert [row[4] for row in rows[1:]] == ["0", "2"]
    assert all(int(row[3]) in os.sched_getaffinity(0) for row in rows[1:])


def test_nodes_as_json_are_the_processes_that_run(graph: Graph) -> None:
    nodes = graph.horus("node", "list", "--json").json(list[NodeView])
    for node in nodes:
        assert Path(f"/proc/{node.pid}/cmdline").read_bytes().startswith(f"horus:{node.name}".encode())
        assert node.memory_bytes > 1_000_000
    assert [(node.publishes, node.subscribes) for node in nodes] == [
        (["scan", "image"], []),
        (["seen"], ["scan", "goal"]),
    ]


def test_a_node_in_full(graph: Graph) -> None:
    out = graph.horus("node", "info", "driver").out
    assert "subscribes to:      scan, goal\n" in out
    assert "failure policy:     fatal\n" in out
    assert graph.horus("node", "info", "sensor", "--json").json(NodeView).rate_held_hz == pytest.approx(100, rel=BUSY)


def test_an_unknown_node_is_named_with_the_nearest(graph: Graph) -> None:
    for command in ("info", "stop", "restart"):
        said = graph.refused("node", command, "sensr")
        assert said == "graph 'robot' has no node 'sensr' (it has: 'sensor', 'driver'); did you mean 'sensor'?"


def test_top_once(graph: Graph) -> None:
    out = graph.horus("top", "--once", "--interval", "0.3").out
    assert out.startswith(f"graph robot ({graph.facts['id']})   process {graph.facts['pid']}   tick ")
    assert "sensor  ready" in out
    assert "\nscan " in out


def test_top_as_json(graph: Graph) -> None:
    view = graph.horus("top", "--once", "--json", "--interval", "0.5").json(GraphView)
    assert (view.name, view.id, view.session, view.tick_rate) == ("robot", graph.facts["id"], "", 100.0)
    assert view.rate_held_hz == pytest.approx(100, rel=BUSY)
    assert [node.rate_held_hz for node in view.nodes] == [pytest.approx(100, rel=BUSY), pytest.approx(50, rel=BUSY)]


def test_looking_leaves_no_trace_in_the_graph(graph: Graph) -> None:
    before = graph.horus("node", "list", "--json").json(list[NodeView])
    graph.horus("topic", "hz", "scan", "--duration", "0.3", "--json")
    graph.horus("topic", "echo", "image", "-n", "5")
    after = graph.horus("node", "list", "--json").json(list[NodeView])
    for earlier, later in zip(before, after, strict=True):
        assert (later.pid, later.messages_dropped, later.deadline_misses) == (earlier.pid, earlier.messages_dropped, 0)
    topics = graph.horus("topic", "list", "--json").json(list[TopicView])
    assert [topic.lost for topic in topics] == [0, 0, 0, 0]


# Stop and restart.


def test_a_node_is_stopped_and_the_graph_goes_on(tmp_path: Path) -> None:
    text = ENDLESS.replace("subs=[", 'shutdown=lambda: print("brakes on"), subs=[')
    with started("run", script(tmp_path, text)) as process:
        (facts,) = running()
        before = {node.name: node for node in horus("node", "list", "--json").json(list[NodeView])}
        assert horus("node", "stop", "driver").out == f"driver is stopped (it was process {before['driver'].pid})\n"
        assert not Path(f"/proc/{before['driver'].pid}").exists()
        assert horus("node", "info", "driver", "--json").json(NodeView).state == "stopped"
        assert "brakes on" in horus("log", "driver").out
        since = horus("node", "info", "sensor", "--json").json(NodeView).ticks
        wait_for(
            lambda: horus("node", "info", "sensor", "--json").json(NodeView).ticks > since + 5, "the sensor to go on"
        )
        horus("node", "restart", "driver")
        after = horus("node", "info", "driver", "--json").json(NodeView)
        assert (after.state, after.restarts) == ("ready", 1)
        assert after.pid != before["driver"].pid
        wait_for(
            lambda: horus("node", "info", "driver", "--json").json(NodeView).ticks > after.ticks, "the driver to run"
        )
        assert process.poll() is None
        assert facts["pid"] == process.pid


def test_a_node_is_restarted_whatever_its_failure_policy(tmp_path: Path) -> None:
    with started("run", script(tmp_path, ENDLESS.replace("deterministic=True", "deterministic=False"))) as process:
        running()
        pids = [horus("node", "info", "sensor", "--json").json(NodeView).pid]
        for _ in range(6):  # more often than a failing node may be
            horus("node", "restart", "sensor")
            pids.append(horus("node", "info", "sensor", "--json").json(NodeView).pid)
        assert len(set(pids)) == 7
        found = horus("node", "info", "sensor", "--json").json(NodeView)
        assert (found.failure_policy, found.state, found.restarts) == ("fatal", "ready", 6)
        assert process.poll() is None


def test_a_node_that_does_not_end_when_it_is_stopped_is_killed(tmp_path: Path) -> None:
    text = ENDLESS.replace("subs=[", "shutdown=lambda: __import__('time').sleep(600), subs=[")
    with started("run", script(tmp_path, text)):
        running()
        pid = horus("node", "info", "driver", "--json").json(NodeView).pid
        horus("node", "stop", "driver")
        assert not Path(f"/proc/{pid}").exists()


# Logs.


def test_a_log_can_be_followed_to_the_end_of_the_graph(tmp_path: Path) -> None:
    with started("run", script(tmp_path, ENDLESS)) as run:
        running()
        with started("log", "sensor", "--follow", "-n", "0") as follower:
            assert follower.stdout is not None
            first = int(follower.stdout.readline().removeprefix("at "))
            second = int(follower.stdout.readline().removeprefix("at "))
            assert second == first + 10
            run.send_signal(2)
            rest, _ = follower.communicate(timeout=PATIENCE)
            assert follower.returncode == 0
            assert all(line.startswith("at ") for line in rest.splitlines())


def test_the_log_of_a_recorded_graph_is_in_its_session(tmp_path: Path, recordings: Path) -> None:
    path = script(tmp_path, ENDLESS.replace("scheduler.run()", "scheduler.run(duration=0.3)"))
    horus("run", "--record", "monday", path)
    assert horus("log", "sensor", "--session", "monday").out == "at 0\nat 10\nat 20\n"
    assert horus("log", "sensor", "--session", "monday", "-n", "1").out == "at 20\n"
    newest = horus("log", "sensor")
    assert newest.out == "at 0\nat 10\nat 20\n"
    assert str(recordings / "monday" / "logs") in newest.err
    assert "'driver', 'sensor'" in refused("log", "senso", "--session", "monday")


def test_the_log_of_a_graph_that_is_not_recorded_is_kept(tmp_path: Path) -> None:
    horus("run", script(tmp_path, ENDLESS), "--duration", "0.3")
    assert horus("log", "sensor").out == "at 0\nat 10\nat 20\n"
    assert horus("log", "driver").out == ""


# Which graph.


@pytest.mark.parametrize(
    "command",
    [["topic", "list"], ["topic", "echo", "x"], ["node", "list"], ["node", "stop", "x"], ["top"], ["log", "x", "-f"]],
)
def test_without_a_running_graph_it_says_so(command: list[str]) -> None:
    assert "no running graph to talk to; running now: none" in refused(*command)


def test_of_two_graphs_one_must_be_named(tmp_path: Path) -> None:
    one, two = (ENDLESS.replace("tick_rate=100", f"tick_rate=100, name={name!r}") for name in ("one", "two"))
    with started("run", script(tmp_path, one, "one.py")), started("run", script(tmp_path, two, "two.py")):
        facts = {each["name"]: each for each in running(2)}
        said = refused("topic", "list")
        assert facts["one"]["id"] in said
        assert facts["two"]["id"] in said
        assert horus("top", "--graph", "two", "--once", "--json", "--interval", "0.1").json(GraphView).name == "two"
        by_id = horus("top", "-g", facts["one"]["id"], "--once", "--json", "--interval", "0.1").json(GraphView)
        assert by_id.pid == facts["one"]["pid"]
        assert "called 'three'" in refused("node", "list", "--graph", "three")
