"""The daemon and its client, with real graphs."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from horus_core.recording.reading.reader import Session
from horus_daemon.background import stop_daemon
from horus_daemon.client import Client
from horus_daemon.client_to_daemon import PROTOCOL, Status
from horus_daemon.daemon_to_client import DaemonStatus, Done, Refused
from horus_daemon.errors import DaemonForbidden, DaemonNotRunning, DaemonRefused, DaemonSilent, GraphFailed
from horus_daemon.events import Event, GraphEvent, LogLine, NodeEvent
from horus_daemon.places import Places, system_places, user_places
from horus_daemon.wire import encode, read_answer
from tests.daemons import Horusd, end_graphs, horusd, robot, supervisors
from tests.scripts import ROOT, alive, children, wait_until


@pytest.fixture
def daemon() -> Iterator[Horusd]:
    with horusd() as running:
        yield running


def until(events: Iterator[Event], what: type[Event], **facts: object) -> list[Event]:
    """The events up to the first that is `what` with these facts."""
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, what) and all(getattr(event, name) == value for name, value in facts.items()):
            return seen
    raise AssertionError(f"{what.__name__} with {facts} is not among {seen}")


def segments() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if "horus-" in name}


# A graph's life.


def test_a_graph_runs_until_it_is_down(daemon: Horusd, tmp_path: Path) -> None:
    graph = daemon.up(robot(tmp_path), record="monday")
    assert (graph.name, graph.state, graph.wanted, graph.starts, graph.session) == (
        "robot",
        "running",
        True,
        1,
        "monday",
    )
    assert [(node.name, node.state) for node in graph.nodes] == [("sensor", "ready"), ("driver", "ready")]
    assert {f"horus:{node.name}": node.pid for node in graph.nodes}.items() <= {
        name: process.pid for name, process in children(graph.pid).items()
    }.items()
    assert graph.tick_rate == 100
    wait_until(lambda: daemon.client.graph("robot").tick > graph.tick, what="ticks")
    ended = daemon.down("robot")
    assert ended is not None
    assert (ended.state, ended.wanted, ended.pid) == ("stopped", False, 0)
    assert ended.ended is not None
    assert ended.ended.code == 143
    assert [node.state for node in ended.nodes] == ["dead", "dead"]
    assert [event.event for event in ended.recent if event.event != "slip"] == ["ready", "ready", "start", "end"]
    assert Session(Path(os.environ["HORUS_RECORDINGS"], "monday")).state == "complete"
    assert not any(graph.id in name for name in segments())


def test_what_happens_is_published(daemon: Horusd, tmp_path: Path) -> None:
    with Client(daemon.places) as listener:
        events = listener.events("robot/", timeout=20)
        daemon.client.up(daemon.spec(robot(tmp_path)))
        first = until(events, GraphEvent, state="running")
        assert [each.state for each in first if isinstance(each, GraphEvent)] == ["starting", "running"]
        assert {each.node for each in first if isinstance(each, NodeEvent) and each.event == "ready"} == {
            "sensor",
            "driver",
        }
        until(events, LogLine, node="driver", text="at 50")
        daemon.client.down("robot")
        rest = until(events, GraphEvent, state="stopped")
        assert [each.state for each in rest if isinstance(each, GraphEvent)] == ["stopping", "stopped"]
        assert [each.event for each in rest if isinstance(each, NodeEvent) and each.event != "slip"] == ["end"]
        sequences = [each.sequence for each in first + rest]
        assert sequences == sorted(set(sequences))


def test_a_listener_gets_what_it_asked_for_from_its_call_on(daemon: Horusd, tmp_path: Path) -> None:
    script = robot(tmp_path, "")
    for name in ("a", "b", "c"):
        with Client(daemon.places) as listener:
            events, others = listener.events(f"{name}/graph", timeout=20), listener.events("x/", timeout=0)
            daemon.client.up(daemon.spec(script, name=name, restart="no"))
            assert [each.state for each in until(events, GraphEvent, state="ended")] == ["starting", "ended"]
            assert list(others) == []


def test_one_that_fails_is_started_again_and_says_why(daemon: Horusd, tmp_path: Path) -> None:
    script = robot(tmp_path, "import os\nraise SystemExit('no camera at ' + os.getcwd())")
    with pytest.raises(GraphFailed, match="did not start: no camera at"):
        daemon.up(script)
    graph = daemon.state_of("robot", "waiting")
    assert graph.ended is not None
    assert graph.ended.code == 1
    assert graph.again_in is not None
    assert graph.again_in <= 1.0
    robot(tmp_path)
    graph = daemon.state_of("robot", "running")
    assert graph.starts == 2
    assert "no camera" in (log := daemon.log("robot"))
    assert "horusd: no camera" in log
    assert "starting it again in 1 s" in log


def test_one_whose_node_fails_tells_which_and_why(daemon: Horusd, tmp_path: Path) -> None:
    source = """
        import horus

        def tick(node):
            if horus.tick() == 5:
                raise ValueError("no reading")

        horus.run(horus.Node(name="sensor", tick=tick, rate=100), tick_rate=100, deterministic=True)
    """
    daemon.client.up(daemon.spec(robot(tmp_path, source), restart="no"))
    graph = daemon.state_of("robot", "failed")
    assert graph.ended is not None
    assert graph.ended.code == 1
    assert graph.ended.why.startswith("node 'sensor' raised an exception in tick 5")
    assert [node.event for node in graph.nodes] == ["error"]
    assert "ValueError: no reading" in daemon.log("robot")


def test_one_that_was_killed_is_started_again_and_leaves_nothing(daemon: Horusd, tmp_path: Path) -> None:
    graph = daemon.up(robot(tmp_path))
    processes = children(graph.pid)
    os.kill(graph.pid, signal.SIGKILL)
    again = wait_until(
        lambda: found if (found := daemon.client.graph("robot")).starts == 2 and found.state == "running" else None,
        what="the graph to run again",
    )
    assert again.pid != graph.pid
    assert again.ended.code == 137
    wait_until(lambda: not any(alive(each.pid) for each in processes.values()), what="its nodes to end")
    wait_until(lambda: not any(graph.id in name for name in segments()), what="its shared memory to go")


def test_what_a_killed_ones_nodes_and_script_have_started_ends_with_it(daemon: Horusd, tmp_path: Path) -> None:
    """A camera that is still held by an orphan would keep the next start from running."""
    source = """
        import pathlib, subprocess
        import horus

        def start(name):
            child = subprocess.Popen(["sleep", "300"])
            pathlib.Path(__file__).with_name(name).write_text(str(child.pid))
            return child

        def init(node):
            node.state["child"] = start("nodes")

        own = start("scripts")
        horus.run(horus.Node(name="n", tick=lambda: None, init=init, rate=100), tick_rate=100, deterministic=True)
    """
    script = robot(tmp_path, source)
    graph = daemon.up(script, restart="no")
    started = [int((tmp_path / name).read_text()) for name in ("nodes", "scripts")]
    assert all(alive(pid) for pid in started)
    os.kill(graph.pid, signal.SIGKILL)
    daemon.state_of("robot", "failed")
    wait_until(lambda: not any(alive(pid) for pid in started), what="their end")


def test_what_happened_is_in_ps_over_all_starts_and_in_the_log_and_misses_leave_room_for_it(
    daemon: Horusd, tmp_path: Path
) -> None:
    source = """
        import os, time
        import horus

        def arm(node):
            if horus.tick() == 3:
                os._exit(5)

        def late(node):
            time.sleep(0.012)

        def quit(node):
            if horus.tick() == 150:
                raise ValueError("done")

        horus.run(
            horus.Node(name="arm", tick=arm, rate=100, failure_policy="skip"), horus.Node(name="late", tick=late, rate=100),
            horus.Node(name="quit", tick=quit, rate=100), tick_rate=100, duration=2,
        )
    """
    daemon.client.up(daemon.spec(robot(tmp_path, source)))
    wait_until(lambda: daemon.client.graph("robot").starts == 2, what="a second start")
    graph = daemon.state_of("robot", "running")
    told = [(event.event, event.node) for event in graph.recent if event.event not in ("ready", "miss", "slip")]
    first = [("start", ""), ("crash", "arm"), ("skip", "arm"), ("error", "quit"), ("safe mode", ""), ("end", "")]
    assert told[: len(first)] == first
    assert 40 <= len([event for event in graph.recent if event.event == "miss"]) <= 50
    lines = [line.split("Z ")[1] for line in daemon.log("robot").splitlines() if "Z event: " in line]
    kinds = [line.split()[1] for line in lines]
    assert [kind for kind in kinds if kind not in ("ready", "miss", "slip")][: len(first)] == [
        kind.split()[0] for kind, _ in first
    ]
    assert "event: crash arm (tick 3, reason exited with code 5)" in lines
    assert sum(line.startswith("event: miss late ") for line in lines[: kinds.index("end")]) == 1


def test_one_that_ignores_sigterm_is_killed_in_its_time(daemon: Horusd, tmp_path: Path) -> None:
    source = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf")
        while True:
            time.sleep(1)
    """
    daemon.client.up(daemon.spec(robot(tmp_path, source)))
    wait_until(lambda: "deaf" in daemon.log("robot"), what="the script to begin")
    daemon.client.down("robot", 0.3)
    graph = daemon.state_of("robot", "stopped")
    assert graph.ended is not None
    assert graph.ended.code == 137
    assert "has not ended in its time: killed" in daemon.log()


def test_a_project_runs_with_what_its_file_says_now(daemon: Horusd, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    robot(folder / "src", name="main.py")
    manifest = folder / "horus.toml"
    text = '[package]\nname = "legs"\nversion = "1"\n[run]\nrecord = "walk"\n'
    manifest.write_text(text)
    assert daemon.up(folder).session == "walk"
    manifest.write_text(text + "tick_rate = 200\n")
    daemon.client.restart("legs")
    daemon.client.wait_until_started("legs", 1, 20)
    graph = daemon.client.wait_for("legs")
    assert graph.tick_rate == 200
    assert graph.session.startswith("walk_20")  # a name that is taken gets the date behind it
    manifest.write_text(text + "[nodes.nix]\nrate = 5\n")
    daemon.client.restart("legs")
    graph = daemon.state_of("legs", "waiting")
    assert graph.ended is not None
    assert "nix" in graph.ended.why


def test_a_script_that_ends_well_has_ended(daemon: Horusd, tmp_path: Path) -> None:
    graph = daemon.up(robot(tmp_path), duration=0.2, restart="no")
    graph = daemon.state_of("robot", "ended")
    assert graph.ended is not None
    assert (graph.ended.code, graph.wanted) == (0, False)
    assert [node.ticks for node in graph.nodes] == [20, 20]


# A daemon that comes back.


def test_after_a_reboot_what_should_run_starts_again(daemon: Horusd, tmp_path: Path) -> None:
    names = {"robot": "on-failure", "once": "no", "done": "on-failure", "downed": "always"}
    for name, restart in names.items():
        options = {"duration": 0.1} if name == "done" else {}
        daemon.client.up(daemon.spec(robot(tmp_path), name=name, restart=restart, **options))
    daemon.state_of("done", "ended")
    daemon.down("downed")
    for name in ("robot", "once"):
        daemon.state_of(name, "running")
    daemon.kill()
    for process in supervisors(daemon.places):
        process.kill()
        process.wait(10)
    daemon.start()
    assert daemon.state_of("robot", "running").starts == 2
    assert {graph.name: graph.state for graph in daemon.client.graphs()} == {
        "robot": "running",
        "once": "failed",
        "done": "ended",
        "downed": "stopped",
    }
    assert daemon.client.status().adopted == 0


def test_one_that_ended_while_no_daemon_ran_is_known_to_have(daemon: Horusd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nraise SystemExit(3)"
    daemon.client.up(daemon.spec(robot(tmp_path, source), restart="no"))
    (process,) = wait_until(lambda: supervisors(daemon.places), what="the script's process")
    daemon.kill()
    go.touch()
    process.wait(10)
    daemon.start()
    graph = daemon.client.graph("robot")
    assert graph.ended is not None
    assert (graph.state, graph.ended.code, graph.ended.why) == ("failed", 3, "it exited with code 3")


def test_stopping_the_daemon_with_its_graphs_and_starting_it_brings_them_back(daemon: Horusd, tmp_path: Path) -> None:
    first = daemon.up(robot(tmp_path))
    daemon.client.shutdown(graphs=True)
    assert daemon.ended() == 0
    assert not alive(first.pid)
    daemon.start()
    assert daemon.state_of("robot", "running").starts == 2


# One daemon.


def test_a_second_daemon_says_so_and_ends(daemon: Horusd) -> None:
    assert daemon.process is not None
    second = subprocess.run(
        [sys.executable, "-m", "horus_daemon.main"], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert second.returncode == 1
    assert second.stderr == (
        f"horusd: horusd runs already, with pid {daemon.process.pid} ({daemon.places.runtime}); there is one for each user\n"
    )
    assert daemon.client.status().pid == daemon.process.pid


def test_one_with_the_same_state_and_other_sockets_says_so_too(daemon: Horusd) -> None:
    elsewhere = Path(os.environ["XDG_RUNTIME_DIR"], "elsewhere")
    elsewhere.mkdir()
    second = subprocess.run(
        [sys.executable, "-m", "horus_daemon.main"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(elsewhere)},
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert second.returncode == 1
    assert "horusd runs already" in second.stderr


def test_what_an_earlier_daemon_left_does_not_stop_a_start() -> None:
    places = user_places()
    places.prepare()
    for path in places.locks:
        path.write_text("4194305\n")
    places.control.write_text("stale")
    os.mkfifo(places.events)
    places.graphs.write_bytes(b'{"format": 1, "graphs": [{')
    (places.graphs.parent / "graphs.json.new").write_bytes(b"half")
    (places.supervisors / "robot.run").write_bytes(b"\0" * 100)
    with horusd() as daemon:
        assert daemon.client.graphs() == []
        assert "cannot be used" in daemon.log()
        daemon.kill()
        assert places.control.is_socket()
        daemon.start()


def test_a_user_has_a_daemon_and_the_system_has_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = _system(monkeypatch)
    with horusd() as own, horusd(system, "--system") as other:
        own.up(robot(tmp_path), name="mine")
        other.up(robot(tmp_path), name="robot")
        assert [graph.name for graph in own.client.graphs()] == ["mine"]
        assert [graph.name for graph in other.client.graphs()] == ["robot"]


def _system(monkeypatch: pytest.MonkeyPatch) -> Places:
    base = Path(os.environ["XDG_RUNTIME_DIR"], "system")
    for name in ("RUNTIME", "STATE", "LOGS"):
        monkeypatch.setenv(f"{name}_DIRECTORY", str(base / name.lower()))
    return system_places()


# Files.


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


def test_nothing_of_a_users_daemon_can_be_entered_read_or_written_by_others(daemon: Horusd, tmp_path: Path) -> None:
    before = segments()
    graph = daemon.up(robot(tmp_path))
    places = daemon.places
    for folder in (places.runtime, places.state, places.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes(places.runtime)["control.sock"] == modes(places.runtime)["events.sock"] == 0o600
    for path in (*places.locks, places.graphs, places.daemon_log, Path(graph.log), *places.supervisors.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    made = segments() - before
    assert made
    assert {stat.S_IMODE(os.stat(f"/dev/shm/{name}").st_mode) for name in made if graph.id in name} == {0o600}


def test_of_the_systems_daemon_the_group_has_the_sockets_and_the_logs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system = _system(monkeypatch)
    before = os.umask(0o077)
    try:
        with horusd(system, "--system") as daemon:
            graph = daemon.up(robot(tmp_path))
            assert {
                each.name: stat.S_IMODE(each.stat().st_mode) for each in (system.runtime, system.state, system.logs)
            } == {
                "runtime": 0o770,
                "state": 0o700,
                "logs": 0o750,
            }
            assert modes(system.runtime)["control.sock"] == modes(system.runtime)["events.sock"] == 0o660
            assert {stat.S_IMODE(path.stat().st_mode) for path in (system.daemon_log, Path(graph.log))} == {0o640}
            assert stat.S_IMODE(system.graphs.stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_cannot_talk_to_it(daemon: Horusd) -> None:
    probe = (
        "import os, sys; from pathlib import Path; from horus_daemon.places import answers\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        f"try: answers(Path({str(daemon.places.control)!r}))\n"
        "except PermissionError: sys.exit(42)"
    )
    assert subprocess.run([sys.executable, "-c", probe], env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 42


# The client.


def test_without_a_daemon_a_client_says_how_to_start_it() -> None:
    with Client(user_places()) as client, pytest.raises(DaemonNotRunning, match="start it with 'horus daemon start'"):
        client.status()
    with Client(user_places()) as client, pytest.raises(DaemonNotRunning):
        client.events()


def test_a_client_that_may_not_is_told_of_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr("horus_daemon.client.answers", forbidden)
    with Client(user_places()) as client, pytest.raises(DaemonForbidden, match="in the group 'horus'"):
        client.status()


def test_a_daemon_that_hangs_is_not_waited_for_and_its_late_answers_are_not_mixed_up(daemon: Horusd) -> None:
    assert daemon.process is not None
    with Client(daemon.places, timeout=0.2) as client:
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(DaemonSilent, match=r"'status' within 0\.2 s"):
                client.status()
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        assert wait_until(daemon.answers)
        assert client.graphs() == []
        assert isinstance(client.status(), DaemonStatus)


def test_one_client_outlives_daemons(daemon: Horusd) -> None:
    first = daemon.client.status().pid
    daemon.kill()
    with pytest.raises(DaemonNotRunning):
        daemon.client.status()
    daemon.start()
    assert daemon.client.status().pid != first


def test_a_client_of_another_version_is_told(daemon: Horusd) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{daemon.places.control}")
        socket.send(encode(Status(id=7, version=PROTOCOL + 1)))
        assert socket.poll(5000)
        answer = read_answer(socket.recv())
    assert isinstance(answer, Refused)
    assert (answer.id, answer.code) == (7, "version")
    assert f"speaks version {PROTOCOL} of its protocol, the client version {PROTOCOL + 1}" in answer.why


def test_a_daemon_of_another_version_is_noticed() -> None:
    places = user_places()
    places.prepare()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket, Client(places, timeout=5) as client:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(f"ipc://{places.control}")

        class Later(Done, frozen=True, kw_only=True, tag="done"):
            news: int = 1

        client._connected().send(encode(Status(id=1)))
        address, _ = socket.recv_multipart()
        socket.send_multipart([address, encode(Later(id=1, version=PROTOCOL + 1))])
        with pytest.raises(DaemonRefused, match=f"speaks version {PROTOCOL + 1}"):
            client._answer_to(1, "status")


def test_a_program_waits_until_a_daemon_is_gone(daemon: Horusd) -> None:
    status = stop_daemon(daemon.client, seconds=10)
    assert not alive(status.pid)
    assert daemon.ended() == 0
    daemon.start()


# Many.


def test_twenty_graphs_are_looked_after_at_little_cost(daemon: Horusd, tmp_path: Path) -> None:
    """Scripts that only wait, so that what is measured is the daemon."""
    script = robot(tmp_path, "import time\nwhile True: time.sleep(60)")
    for number in range(20):
        daemon.client.up(daemon.spec(script, name=f"g{number}", restart="no"))
    assert set(daemon.client.status().graphs.values()) == {"starting"}
    wait_until(lambda: len(supervisors(daemon.places)) == 20, what="twenty processes")
    end_graphs(daemon.places)
    wait_until(lambda: set(daemon.client.status().graphs.values()) == {"failed"}, what="all to have ended")
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    assert process.num_fds() < 60
    for number in range(20):
        daemon.client.down(f"g{number}", forget=True)
    wait_until(lambda: not daemon.client.graphs(), what="all to be forgotten")
    assert process.num_fds() < 30
