"""``horus daemon``, ``up``, ``down``, ``ps``, ``restart``, ``logs`` and ``run --detach``, as a user types them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from horus_core.recording.reading.reader import Session
from horus_daemon.daemon_to_client import DaemonStatus, GraphInfo
from horus_daemon.places import user_places
from tests.daemons import ROBOT, Horusd, end_graphs, horusd, robot
from tests.horus_command import ENDLESS, horus, lines_of, refused, running, script, started
from tests.scripts import alive, wait_until
from tests.terminals import shown, tables_of


@pytest.fixture(autouse=True)
def users_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORUS_DAEMON", "user")


@pytest.fixture
def background() -> Iterator[int]:
    """The pid of a daemon that ``horus daemon start`` started."""
    horus("daemon", "start")
    pid = horus("daemon", "status", "--json").json(DaemonStatus).pid
    yield pid
    if alive(pid):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), what="the daemon to end")
    end_graphs(user_places())


@pytest.fixture
def daemon() -> Iterator[Horusd]:
    with horusd() as running:
        yield running


def test_without_a_daemon_each_command_says_how_to_start_it(tmp_path: Path) -> None:
    for line in (
        ["up", robot(tmp_path)],
        ["down", "x"],
        ["ps"],
        ["restart", "x"],
        ["run", "--detach", robot(tmp_path)],
    ):
        assert "start it with 'horus daemon start'" in refused(*line)
    assert "start it with 'systemctl start horusd'" in refused("ps", "--system")
    status = horus("daemon", "status", code=3)
    assert status.err.count("\n") == 1
    assert horus("daemon", "status", "--json", code=3).json() is None


def test_ps_without_a_daemon_lists_the_graphs_that_run(tmp_path: Path) -> None:
    with started("run", script(tmp_path, ENDLESS)):
        (graph,) = running()
        shown = horus("ps")
        assert "these graphs run without it" in shown.err
        assert shown.err.count("\n") == 1
        assert lines_of(shown.out)[1][:4] == [graph["name"], "running", str(graph["pid"]), "2"]
        (found,) = horus("ps", "--json").json(list[GraphInfo])
        assert (found.id, found.pid, found.tick_rate) == (graph["id"], graph["pid"], 100.0)
        assert [node.name for node in found.nodes] == ["sensor", "driver"]
        assert "start it with 'horus daemon start'" in refused("ps", "nobody")


def test_the_name_given_to_the_daemon_is_the_graphs_everywhere(daemon: Horusd, tmp_path: Path) -> None:
    horus("up", robot(tmp_path), "--name", "arm")  # the script's scheduler is called "robot"
    assert [graph["name"] for graph in running()] == ["arm"]
    assert lines_of(horus("ps").out)[1][0] == "arm"
    assert "scan" in horus("topic", "list", "-g", "arm").out
    assert "no running graph called 'robot'" in horus("topic", "list", "-g", "robot", code=2).err
    horus("down", "arm")


def test_a_daemon_is_started_in_the_background_looked_at_and_ended(background: int, tmp_path: Path) -> None:
    process = psutil.Process(background)
    assert os.getsid(background) == background
    assert process.cwd() == "/"
    assert "runs already, with pid" in refused("daemon", "start")
    status = dict(line.split(":", 1) for line in horus("daemon", "status").out.splitlines())
    assert status["pid"].strip() == str(background)
    assert status["for"].strip() == "you"
    assert status["graphs"].strip() == "none"
    assert horus("up", robot(tmp_path)).out.startswith("graph robot runs, pid ")
    graph = horus("ps", "--json").json(list[GraphInfo])[0]
    assert horus("daemon", "stop").out == "horusd has ended; 1 graphs go on without it\n"
    assert not alive(background)
    assert alive(graph.pid)
    assert horus("daemon", "start").out.endswith("; 1 graphs, 1 of them were running already\n")
    again = horus("daemon", "status", "--json").json(DaemonStatus)
    assert (again.adopted, again.graphs) == (1, {"robot": "running"})
    assert horus("daemon", "stop", "--graphs").out == "horusd has ended\n"
    assert not alive(graph.pid)
    log = horus("daemon", "logs").out
    assert log.count(" starts, pid ") == 2
    assert f"graph robot runs, pid {graph.pid}: taken over" in log


def test_a_daemon_that_cannot_start_says_why(tmp_path: Path) -> None:
    os.environ["XDG_STATE_HOME"] = str(tmp_path / "state")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "horus").write_text("a file")
    assert str(tmp_path / "state" / "horus") in refused("daemon", "start")


def test_a_graphs_life_in_commands(daemon: Horusd, tmp_path: Path) -> None:
    script = robot(tmp_path)
    assert horus("up", script, "--name", "arm").out.startswith("graph arm runs, pid ")
    assert "a graph 'arm' is running already" in refused("up", script, "--name", "arm")
    rows = lines_of(
        horus("ps").out, ["graph", "state", "pid", "nodes", "tick", "rate", "starts", "misses", "restarts", "ended"]
    )
    assert rows[1][:2] == ["arm", "running"]
    assert rows[1][3] == "2"
    shown = horus("ps", "arm").out
    assert "sensor" in shown
    assert "start" in shown
    wait_until(lambda: "at 50" in daemon.log("arm"), what="its driver to print")
    assert horus("restart", "arm").out.startswith("graph arm runs, pid ")
    assert daemon.client.graph("arm").starts == 2
    assert horus("down", "arm").out == "graph arm is down: stopped by a signal\n"
    assert lines_of(horus("ps").out)[1][:2] == ["arm", "stopped"]
    log = horus("logs", "arm").out
    assert log.count(" start 1 of graph arm") == 1
    assert "[driver] at 50" in log
    assert all("[driver]" in line for line in horus("logs", "arm", "--node", "driver").out.splitlines())
    assert "at 0" in horus("log", "driver").out  # of the newest start, which was a short one
    assert len(horus("logs", "arm", "-n", "1").out.splitlines()) == 1
    assert horus("log", "arm").out == log
    assert "graph arm started" in horus("log", "horusd").out
    assert "no node 'amr'" in refused("log", "amr")
    assert horus("down", "arm", "--forget").out == "graph arm is down\n"
    assert len(lines_of(horus("ps").out)) == 1
    assert refused("down", "arm") == "there is no graph 'arm' (there are: none)"
    assert "did you mean 'arm'?" in refused("logs", "amr")


def test_what_ps_prints_as_json_has_its_schema_running_and_ended(daemon: Horusd, tmp_path: Path) -> None:
    daemon.up(robot(tmp_path))
    daemon.client.up(daemon.spec(robot(tmp_path, "raise SystemExit(4)", "bad.py"), restart="no"))
    daemon.state_of("bad", "failed")
    running, bad = horus("ps", "--json").json(list[GraphInfo])
    assert [(node.name, node.state, node.event) for node in running.nodes] == [
        ("sensor", "ready", "ready"),
        ("driver", "ready", "ready"),
    ]
    # A slip is the machine's own: a loaded one may be late at any tick.
    assert [event.event for event in running.recent if event.event != "slip"] == ["ready", "ready", "start"]
    assert bad.ended is not None
    assert (bad.state, bad.ended.code, bad.ended.why) == ("failed", 4, "it exited with code 4")


def test_one_that_does_not_start_is_said_with_its_reason_and_code_1(daemon: Horusd, tmp_path: Path) -> None:
    script = robot(tmp_path, "raise RuntimeError('no camera')")
    result = horus("up", script, "--restart", "no", code=1)
    assert result.err.startswith("horus: graph 'robot' did not start: RuntimeError: no camera (its log: ")
    assert result.err.count("\n") == 1


def test_arguments_variables_and_names_reach_the_script(daemon: Horusd, tmp_path: Path) -> None:
    source = "import os, sys; open('found', 'w').write(repr((sys.argv[1:], os.environ['CAMERA'])))\n"
    folder = tmp_path / "arm"
    robot(folder, source, "main.py")
    result = horus(
        "up", "main.py", "--env", "CAMERA=/dev/video0=x", "--restart", "no", "--", "--fast", "-n", "3", cwd=folder
    )
    assert result.out.startswith("graph arm has run")
    assert (folder / "found").read_text() == "(['--fast', '-n', '3'], '/dev/video0=x')"
    assert "'CAMERA' is not NAME=VALUE" in refused("up", "main.py", "--env", "CAMERA", cwd=folder)
    assert "the graph's name is '../x'" in refused("up", "main.py", "--name", "../x", cwd=folder)
    assert "nix.py" in refused("up", "nix.py", cwd=folder)


def test_a_log_is_followed_until_ctrl_c(daemon: Horusd, tmp_path: Path) -> None:
    daemon.up(robot(tmp_path))
    with started("logs", "robot", "--follow", "--node", "driver") as following:
        assert following.stdout is not None
        seen = [following.stdout.readline().split("Z ")[1] for _ in range(2)]
    assert all(line.startswith("[driver] at ") for line in seen)


def test_run_detach_runs_it_once_with_its_session(daemon: Horusd, tmp_path: Path, recordings: Path) -> None:
    script = robot(tmp_path, ROBOT)
    said = horus("run", "--detach", "--record", "monday", "--duration", "0.2", script).out
    assert said.startswith("graph robot ")
    graph = daemon.state_of("robot", "ended")
    assert (graph.restart, graph.wanted) == ("no", False)
    session = Session(recordings / "monday")
    assert (session.state, session.last_tick()) == ("complete", 19)
    assert "a session named 'monday' exists already" in refused("run", "--detach", "--record", "monday", script)
    assert "neither --inline nor --json" in refused("run", "--detach", "--inline", script)
    assert "--name goes with --detach" in refused("run", "--name", "x", script)


def test_names_of_graphs_are_completed(daemon: Horusd, tmp_path: Path) -> None:
    script = robot(tmp_path, "")
    for name in ("arm", "armour", "leg"):
        daemon.client.up(daemon.spec(script, name=name, restart="no"))
    from click.shell_completion import ShellComplete

    from horus_cli.main import command

    complete = ShellComplete(command, {}, "horus", "_HORUS_COMPLETE")
    assert [item.value for item in complete.get_completions(["down"], "ar")] == ["arm", "armour"]
    daemon.end()
    assert complete.get_completions(["down"], "ar") == []


def test_help_of_every_command_needs_no_daemon_and_names_no_internals() -> None:
    for command in (
        "daemon",
        "up",
        "down",
        "ps",
        "restart",
        "logs",
        "daemon start",
        "daemon stop",
        "daemon status",
        "daemon logs",
    ):
        assert "Usage: horus" in horus(*command.split(), "--help").out


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 140])
def test_ps_fits_the_terminal(daemon: Horusd, tmp_path: Path, columns: int) -> None:
    daemon.up(robot(tmp_path))
    daemon.state_of("robot", "running")
    lines = shown("ps", "robot", columns=columns)
    (graphs, graph, said), (nodes, states, _), *_ = tables_of(lines)
    assert (graphs[:2], graph[0][:2]) == (["graph", "state"], ["robot", "running"])
    assert nodes[:2] == ["node", "state"]
    assert states
    assert said.startswith("not shown: ") == ("rate" not in graphs)  # which matters least
    facts = ("script:", "log:")  # paths, which are not in a table
    assert max(len(line) for line in lines if not line.startswith(facts)) <= columns
