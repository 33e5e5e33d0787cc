"""``horus run``, as a user runs it: in a pipe."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from horus_cli.running import RunSummary
from horus_core.recording.reading.reader import Session
from tests.horus_command import ENDLESS, PATIENCE, SMALL, horus, lines_of, refused, running, script, started
from tests.recordings import rows_of

GUARDED = SMALL.replace("scheduler.run(duration=0.3)", 'if __name__ == "__main__":\n    scheduler.run(duration=0.3)')
NO_GRAPH = "print('hello')\n"


def raises_in(tick: int, policy: str = "fatal") -> str:
    return f"""
import horus

def tick(node):
    if horus.tick() == {tick}:
        raise ValueError("no reading")

horus.run(horus.Node(name="sensor", tick=tick, rate=100, failure_policy={policy!r}), tick_rate=100, duration=0.3)
"""


@pytest.mark.parametrize("text", [SMALL, GUARDED], ids=["plain", "guarded"])
def test_a_script_runs_with_the_nodes_lines_and_a_table(tmp_path: Path, text: str) -> None:
    result = horus("run", script(tmp_path, text))
    out = result.out.splitlines()
    assert out[:3] == ["[sensor] at 0", "[sensor] at 10", "[sensor] at 20"]
    table = lines_of(
        "\n".join(out[3:]), ["node", "ticks", "rate", "busy p50", "p99", "max", "misses", "restarts", "messages"]
    )
    assert [row[:2] for row in table[1:]] == [["sensor", "30"], ["driver", "30"]]
    assert [row[6:9] for row in table[1:]] == [["0", "0", "30"], ["0", "0", "30"]]
    assert result.err == ""


def test_a_run_is_recorded_under_its_name(tmp_path: Path, recordings: Path) -> None:
    result = horus("run", "--record", "monday", script(tmp_path, SMALL))
    session = Session(recordings / "monday")
    assert session.state == "complete"
    assert sorted(session.nodes) == ["driver", "sensor"]
    assert result.out.splitlines()[-1].startswith("recorded monday: 30 ticks, ")


REAL_TIME = SMALL.replace(", deterministic=True", "")


def test_lockstep_runs_any_script_in_virtual_time_as_fast_as_it_goes(tmp_path: Path, recordings: Path) -> None:
    path = script(tmp_path, REAL_TIME)
    for name in ("a", "b"):  # 100 s each at the script's rate: more than the test has
        horus("run", "--record", name, "--lockstep", "--duration", "100", path)
    session = Session(recordings / "a")
    assert session.graph.deterministic
    assert session.last_tick() == 9999
    assert horus("record", "diff", "a", "b").out.startswith("equal: 20,000 messages")
    assert [row[0] for row in rows_of(session, "sensor")] == list(range(10_000))


def test_lockstep_can_keep_the_graphs_rate(tmp_path: Path) -> None:
    summary = horus("run", "--lockstep", "--pace", "--duration", "1", "--json", script(tmp_path, REAL_TIME)).json(
        RunSummary
    )
    assert (summary.ticks, summary.deadline_misses) == (100, 0)
    assert summary.seconds >= 0.98  # 99 periods between the first tick and the last
    assert "--pace goes with --lockstep" in refused("run", "--pace", script(tmp_path, REAL_TIME))


def test_a_run_records_the_topics_asked_for(tmp_path: Path, recordings: Path) -> None:
    path = script(tmp_path, SMALL)
    horus("run", "--record", "a", "--exclude", "sc*", path)
    assert Session(recordings / "a").left_out == [("sensor", "scan"), ("external", "scan")]
    assert rows_of(Session(recordings / "a"), "sensor") == []
    assert len(rows_of(Session(recordings / "a"), "driver")) == 30
    horus("run", "--record", "b", "--topics", "scan", path)
    assert Session(recordings / "b").left_out == [("driver", "speed"), ("external", "speed")]
    result = horus("run", "--record", "c", "--exclude", "spead", path, code=2)
    assert "did you mean 'speed'" in result.err
    assert not (recordings / "c").exists()


def test_a_name_that_is_taken_is_refused_before_the_script_begins(tmp_path: Path, recordings: Path) -> None:
    path = script(tmp_path, f"open({str(tmp_path / 'began')!r}, 'a').write('x')\n" + SMALL)
    horus("run", "--record", "monday", path)
    assert "a session named 'monday' exists already" in (said := refused("run", "--record", "monday", path))
    assert "--overwrite" in said
    assert (tmp_path / "began").read_text() == "x"
    before = Session(recordings / "monday").header.id
    horus("run", "--record", "monday", "--overwrite", path)
    assert Session(recordings / "monday").header.id != before


def test_the_date_is_filled_into_a_name(tmp_path: Path, recordings: Path) -> None:
    horus("run", "--inline", "--record", "day-{date}", script(tmp_path, SMALL))
    (folder,) = recordings.iterdir()
    assert folder.name.startswith("day-2")
    assert "{" not in folder.name


@pytest.mark.parametrize("name", ["../x", "", "x" * 300, "a\nb", "-x", "a/b", "  "], ids=ascii)
def test_a_name_that_no_session_may_have_is_refused_in_one_line(tmp_path: Path, recordings: Path, name: str) -> None:
    assert "the session name" in refused("run", f"--record={name}", script(tmp_path, SMALL))
    assert not recordings.exists()


def test_a_name_may_have_letters_of_any_language(tmp_path: Path, recordings: Path) -> None:
    horus("run", "--inline", "--record", "größer 走", script(tmp_path, SMALL))
    assert [each.name for each in recordings.iterdir()] == ["größer 走"]


def test_duration_and_rate_override_the_script(tmp_path: Path) -> None:
    text = SMALL.replace("rate=100", "rate=50")
    summary = horus("run", "--json", "--duration", "0.5", "--rate", "200", script(tmp_path, text)).json(RunSummary)
    assert (summary.tick_rate, summary.ticks) == (200.0, 100)
    assert [node.ticks for node in summary.nodes] == [25, 25]


def test_json_is_all_that_stands_on_standard_output(tmp_path: Path) -> None:
    result = horus("run", "--json", "--record", "monday", script(tmp_path, 'print("from the script")\n' + SMALL))
    summary = result.json(RunSummary)
    assert (summary.outcome, summary.error, summary.session, summary.ticks) == ("ended", "", "monday", 30)
    assert [(node.name, node.ticks, node.messages_sent) for node in summary.nodes] == [
        ("sensor", 30, 30),
        ("driver", 30, 30),
    ]
    assert summary.recorded_bytes > 0
    assert all(Path(path).is_file() for path in summary.files)
    assert "from the script" in result.err
    assert "[sensor] at 10" in result.err


def test_inline_runs_all_nodes_in_one_process(tmp_path: Path) -> None:
    text = """
import os, horus
pids = []
nodes = [horus.Node(name=name, tick=lambda: pids.append(os.getpid()), rate=100) for name in ("a", "b")]
horus.run(*nodes, tick_rate=100, duration=0.02)
print("processes:", len(set(pids)), os.getpid() in pids)
"""
    assert "processes: 1 True" in horus("run", "--inline", script(tmp_path, text)).out


def test_a_node_that_ends_the_graph_gives_exit_code_1_and_its_own_traceback(tmp_path: Path) -> None:
    path = script(tmp_path, raises_in(5))
    result = horus("run", path, code=1)
    assert "horus: node 'sensor' raised an exception in tick 5; the graph has ended\n" in result.err
    assert "ValueError: no reading" in result.err
    frames = [line for line in result.err.splitlines() if line.lstrip().startswith("File ")]
    assert len(frames) == 1
    assert str(path) in frames[0]


def test_a_failed_run_says_so_in_json(tmp_path: Path) -> None:
    summary = horus("run", "--json", script(tmp_path, raises_in(5)), code=1).json(RunSummary)
    assert summary.outcome == "failed"
    assert summary.error.startswith("node 'sensor' raised an exception in tick 5")


def test_a_node_that_does_not_start_gives_exit_code_1(tmp_path: Path) -> None:
    text = "import horus\ndef init(node): raise OSError('no port')\nhorus.run(horus.Node(name='a', tick=lambda: 0, init=init))"
    result = horus("run", "--record", "monday", script(tmp_path, text), code=1)
    assert "horus: node 'a' did not start: OSError: no port" in result.err
    assert result.out == ""


def test_a_restarted_node_is_in_the_table(tmp_path: Path) -> None:
    summary = horus(
        "run", "--json", script(tmp_path, raises_in(5, "restart").replace("tick_rate", "deterministic=True, tick_rate"))
    )
    (node,) = summary.json(RunSummary).nodes
    assert (node.restarts, node.errors) == (1, 1)


def test_a_script_that_fails_shows_its_own_traceback(tmp_path: Path) -> None:
    path = script(tmp_path, "def outer():\n    return 1 / 0\n\nouter()\n")
    result = horus("run", path, code=1)
    frames = [line.split(",")[1].strip() for line in result.err.splitlines() if line.startswith("  File ")]
    assert frames == ["line 4", "line 2"]
    assert result.err.rstrip().endswith("ZeroDivisionError: division by zero")


def test_misuse_in_the_script_names_its_line(tmp_path: Path) -> None:
    path = script(tmp_path, "import horus\n\nhorus.Node(name='a', tick=lambda: 0, rate=-1)\n")
    assert refused("run", path).endswith("main.py:3: node 'a': rate is -1; expected a number above 0 Hz")


@pytest.mark.parametrize(
    ("ending", "code"), [("raise SystemExit(3)", 3), ("raise SystemExit", 0), ("raise SystemExit('no')", 1)]
)
def test_the_scripts_own_exit_code_stands(tmp_path: Path, ending: str, code: int) -> None:
    horus("run", script(tmp_path, ending), code=code)


def test_there_must_be_such_a_script(tmp_path: Path) -> None:
    assert "nowhere.py'; expected the path of a Python file" in refused("run", tmp_path / "nowhere.py")


@pytest.mark.parametrize("option", ["--record=x", "--duration=1", "--rate=10", "--inline"])
def test_an_option_without_a_run_to_apply_it_to_is_misuse(tmp_path: Path, option: str) -> None:
    result = horus("run", option, script(tmp_path, NO_GRAPH), code=2)
    assert result.err.count("\n") == 1
    assert "ran no graph" in result.err


def test_a_script_without_a_graph_may_run_all_the_same(tmp_path: Path) -> None:
    result = horus("run", script(tmp_path, NO_GRAPH))
    assert result.out == "hello\n"
    assert "ran no graph" in result.err


@pytest.mark.parametrize(
    "wrong", ["--duration=0", "--duration=nan", "--duration=x", "--rate=-1", "--rate=inf", "--nothing"]
)
def test_a_wrong_option_is_refused_in_one_line(tmp_path: Path, wrong: str) -> None:
    assert wrong.partition("=")[0] in refused("run", wrong, script(tmp_path, SMALL))


def test_what_stands_behind_the_dashes_is_the_scripts(tmp_path: Path) -> None:
    path = script(tmp_path, "import sys\nprint(sys.argv)\n")
    assert horus("run", path, "--", "--record", "x", "--", "y").out.strip() == str(
        [str(path), "--record", "x", "--", "y"]
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_run_in_order_and_keeps_the_recording(
    tmp_path: Path, recordings: Path, number: signal.Signals, code: int
) -> None:
    with started("run", "--record", "monday", script(tmp_path, ENDLESS)) as process:
        assert process.stdout is not None
        while "at 10" not in process.stdout.readline():
            pass
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert f"horus: stopped by {number.name} after tick" in err
    assert "recorded monday: " in out
    assert Session(recordings / "monday").state == "complete"


def test_a_running_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = script(tmp_path, ENDLESS)
    with started("run", "--record", "monday", path):
        running()
        assert "still recording it" in refused("run", "--record", "monday", "--overwrite", path)


def test_a_reader_that_has_gone_does_not_end_the_run(tmp_path: Path, recordings: Path) -> None:
    with started("run", "--record", "monday", script(tmp_path, SMALL.replace("0.3", "1.0"))) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(PATIENCE)
        assert process.stderr.read() == ""
        process.stderr.close()
    assert Session(recordings / "monday").state == "complete"
    assert len(horus("log", "sensor", "--session", "monday").out.splitlines()) == 10


def test_sending_leaves_nothing_behind(tmp_path: Path) -> None:
    with started("run", script(tmp_path, ENDLESS)):
        running()
        horus("topic", "pub", "scan", '{"distance": 1.0}')
    assert list((Path(os.environ["XDG_RUNTIME_DIR"]) / "horus").iterdir()) == []
