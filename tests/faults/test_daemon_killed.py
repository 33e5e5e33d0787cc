"""The daemon is killed, and started again, and what it owns does not notice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from horus_core.inspection.running_graphs import running_graphs
from horus_core.inspection.topic import Attachment
from horus_core.memory.control import H_RELEASED, H_SLIPS
from horus_core.recording.reading.reader import Session
from horus_daemon.client import Client
from horus_daemon.errors import DaemonNotRunning, DaemonSilent
from tests.daemons import Horusd, horusd, robot, supervisors
from tests.scripts import children, wait_until

# A node that notices a tick that is not the next one, and that counts them all in a file at its end.
COUNTING = """
    import pathlib
    import horus

    def begin(node):
        node.state = {"next": 0}

    def count(node):
        if horus.tick() != node.state["next"]:
            raise AssertionError(f"tick {horus.tick()} came in the place of {node.state['next']}")
        node.state["next"] += 1
        node.send("count", horus.tick())

    def end(node):
        pathlib.Path("counted").write_text(str(node.state["next"]))

    def follow(node):
        found = node.recv_all("count")
        assert found == [horus.tick()], (found, horus.tick())

    counter = horus.Node(name="counter", tick=count, init=begin, shutdown=end, rate=100, pubs=["count"])
    follower = horus.Node(name="follower", tick=follow, rate=100, subs=["count"])
    horus.run(counter, follower, tick_rate=100, deterministic=True, name="counting")
"""


@pytest.fixture
def daemon() -> Iterator[Horusd]:
    with horusd() as running:
        yield running


def pids(supervisor: int) -> dict[str, int]:
    return {"supervisor": supervisor, **{name: process.pid for name, process in children(supervisor).items()}}


def test_killed_ten_times_under_a_running_graph_it_costs_not_one_tick(
    daemon: Horusd, tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = daemon.up(robot(tmp_path, COUNTING), record="counted")
    before = pids(graph.pid)
    assert set(before) == {"supervisor", "horus:counter", "horus:follower", "horus:recorder"}
    (running,) = running_graphs()
    control = Attachment(running).control
    for _ in range(10):
        tick = int(control[H_RELEASED])
        daemon.kill()
        wait_until(lambda tick=tick: control[H_RELEASED] > tick + 3, what="ticks without a daemon")
        daemon.start()
        assert daemon.client.status().adopted == 1
        found = daemon.client.graph("robot")
        assert (found.pid, found.starts, found.id) == (graph.pid, 1, graph.id)
        assert [node.misses + node.errors + node.restarts for node in found.nodes] == [0, 0]
    assert pids(graph.pid) == before
    ended = daemon.down("robot")
    assert ended is not None
    assert ended.ended is not None
    assert ended.ended.code == 143
    released = int(control[H_RELEASED]) + 1
    assert (tmp_path / "counted").read_text() == str(released)
    session = Session(recordings / "counted")
    assert session.state == "complete"
    assert released > 10 * 4
    # Nobody was waited for: the ticks came when they were due, but for what a busy machine made late.
    seconds = (ended.ended.time_ns - ended.recent[-1].time_ns) * 1e-9
    assert seconds < 5
    assert control[H_SLIPS] <= released / 10


def test_killed_while_graphs_start_and_stop_it_loses_and_doubles_none(daemon: Horusd, tmp_path: Path) -> None:
    """Kills at any moment of `up` and `down`: what was answered holds, and no graph ever runs twice."""
    script = robot(tmp_path, "import time\nwhile True: time.sleep(1)")
    for round_ in range(5):
        name = f"g{round_}"
        spec = daemon.spec(script, name=name, restart="always")
        killer = threading.Timer(0.004 * round_, lambda process=daemon.process: process.kill())
        killer.start()
        answered = False
        try:
            daemon.client.up(spec)
            answered = True
        except (DaemonSilent, DaemonNotRunning):
            pass
        killer.join()
        daemon.kill()
        daemon.start()
        known = {graph.name for graph in daemon.client.graphs()}
        assert name in known or not answered
        if name in known:
            wait_until(lambda name=name: daemon.client.graph(name).pid, what=f"{name} to have its process")
    graphs = [graph for graph in daemon.client.graphs() if graph.pid]
    wait_until(lambda: len(supervisors(daemon.places)) == len(graphs), what="each to write down who it is")
    assert {process.pid for process in supervisors(daemon.places)} == {graph.pid for graph in graphs}
    for graph in graphs:
        daemon.client.down(graph.name, 5)
        daemon.kill()
        daemon.start()
    for graph in graphs:
        assert daemon.state_of(graph.name, "stopped").wanted is False
    assert supervisors(daemon.places) == []


def test_a_graph_that_ends_while_the_daemon_is_stopped_is_started_again_when_it_goes_on(
    daemon: Horusd, tmp_path: Path
) -> None:
    graph = daemon.up(robot(tmp_path))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    os.kill(graph.pid, signal.SIGKILL)
    daemon.process.send_signal(signal.SIGCONT)
    again = wait_until(
        lambda: found if (found := daemon.client.graph("robot")).starts == 2 and found.state == "running" else None,
        what="the graph to run again",
    )
    assert again.pid != graph.pid


def test_events_go_on_with_the_next_daemon_and_none_is_told_twice(daemon: Horusd, tmp_path: Path) -> None:
    source = """
        import os, time
        import horus

        def tick(node):
            if os.path.exists("fail"):
                os.remove("fail")
                raise ValueError("asked to")

        horus.run(horus.Node(name="sensor", tick=tick, rate=100, failure_policy="restart"), tick_rate=100, deterministic=True)
    """
    spec = daemon.spec(robot(tmp_path, source))
    daemon.client.up(msgspec.structs.replace(spec, folder=str(tmp_path)))
    daemon.client.wait_for("robot")
    daemon.kill()
    daemon.start()
    with Client(daemon.places) as listener:
        events = listener.events("robot/node", timeout=20)
        (tmp_path / "fail").touch()
        seen = []
        for event in events:
            if event.event != "slip":  # type: ignore[union-attr]  # the machine may be busy
                seen.append((event.event, event.node))  # type: ignore[union-attr]
            if seen[-1:] == [("ready", "sensor")]:
                break
    assert seen == [("error", "sensor"), ("restart", "sensor"), ("ready", "sensor")]
    graph = daemon.client.graph("robot")
    recent = [event.event for event in graph.recent if event.event != "slip"]
    assert recent[:5] == ["ready", "start", "error", "restart", "ready"]
    assert graph.nodes[0].restarts == 1
