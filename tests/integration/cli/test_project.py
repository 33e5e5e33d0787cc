"""``horus new``, ``check``, and ``run`` of a project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from horus_cli.running import RunSummary
from horus_core.project.preview import GraphPreview, Hearing
from horus_core.recording.reading.reader import Session
from tests.horus_command import SMALL, environment, horus, lines_of, refused, script

MANIFEST = """
[package]
name = "small"
version = "0.2.0"

[run]
script = "main.py"
"""

# A feedback loop of three nodes, one of them slow, one with a misspelt topic.
LOOP = """
import horus
from horus import Node, Scheduler

open("began", "a").write("x")
scheduler = Scheduler(tick_rate=100, cores=[0])
scheduler.add(Node(name="planner", tick=lambda: None, rate=5, subs=["pose"], pubs=["goal"], compute=True))
scheduler.add(Node(name="control", tick=lambda: None, rate=100, subs=["goal", "pose", "scna"], pubs=["cmd"]))
scheduler.add(Node(name="drive", tick=lambda: None, rate=100, subs=["cmd"], pubs=["pose", "scan"], order=1))
scheduler.run()
open("ended", "a").write("x")
"""


def project(folder: Path, manifest: str = MANIFEST, text: str = SMALL) -> Path:
    script(folder, text)
    (folder / "horus.toml").write_text(manifest)
    return folder


# new


def test_a_new_project_checks_runs_records_and_passes_its_tests(tmp_path: Path, recordings: Path) -> None:
    out = horus("new", "my-robot", cwd=tmp_path).out
    folder = tmp_path / "my-robot"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [".gitignore", "horus.toml", "src/main.py", "tests/test_graph.py"]
    assert "next: cd my-robot; " in out
    assert horus("check", cwd=folder).out.startswith("my-robot 0.1.0: src/main.py, 100 Hz\n")
    horus("run", "--duration", "0.2", "--record", "first", cwd=folder)
    assert sorted(Session(recordings / "first").nodes) == ["controller", "sensor"]
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout
    assert "3 passed" in tests.stdout


@pytest.mark.parametrize("name", ["", "..", "x y", "x" * 300, "a\nb", "ü", "/"], ids=ascii)
def test_a_name_that_no_project_may_have_is_refused(tmp_path: Path, name: str) -> None:
    assert refused("new", name, cwd=tmp_path).startswith("the project's ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    script(tmp_path, "mine", "robot/src/main.py")
    assert "where something is" in refused("new", "robot", cwd=tmp_path)
    assert (tmp_path / "robot/src/main.py").read_text() == "mine"


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused("new", "file/robot", cwd=tmp_path).endswith("Not a directory")


# check


def test_the_graph_is_shown_in_its_order_with_who_hears_whom(tmp_path: Path) -> None:
    out = horus("check", script(tmp_path, LOOP), cwd=tmp_path).out
    table = lines_of("\n".join(out.splitlines()[1:4]), [])
    assert [row[:6] for row in table[1:]] == [
        ["0", "planner", "5 Hz compute", "0", "0", "200 ms"],
        ["1", "control", "100 Hz", "0", "0", "9.5 ms"],
    ]
    assert "goal from planner, when it is done; pose from drive, a tick later" in out
    assert "note: no node publishes 'scna', which control hears; did you mean 'scan'?\n" in out


def test_the_graph_as_json(tmp_path: Path) -> None:
    found = horus("check", "--json", script(tmp_path, LOOP), cwd=tmp_path).json(GraphPreview)
    planner, control, drive = found.nodes
    assert control.hears == [
        Hearing(topic="goal", node="planner", lag=-1),
        Hearing(topic="pose", node="drive", lag=1),
    ]
    assert drive.hears == [Hearing(topic="cmd", node="control", lag=0)]
    assert [node.feeds for node in (planner, control, drive)] == [["control"], ["drive"], ["planner", "control"]]
    assert (planner.compute, planner.deadline_ms, drive.order) == (True, pytest.approx(200), 1)


def test_checking_runs_the_script_only_up_to_its_graph(tmp_path: Path) -> None:
    horus("check", script(tmp_path, LOOP), cwd=tmp_path)
    assert (tmp_path / "began").exists()
    assert not (tmp_path / "ended").exists()


def test_what_stands_behind_the_dashes_is_the_scripts(tmp_path: Path) -> None:
    path = script(tmp_path, SMALL.replace('name="sensor"', "name=__import__('sys').argv[1]"))
    assert horus("check", path, "--", "lidar").out.splitlines()[2].split()[1] == "lidar"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('subs=["scan"]', 'subs={"scan": int}'), ""),
        (('pubs=["speed"]', 'pubs={"scan": str}, on="scan"'), ""),
        (("rate=100, subs", "rate=-5, subs"), "rate is -5; expected a number above 0 Hz"),
        (('name="driver"', 'name="sensor"'), "a node named 'sensor' is in the graph already"),
        (("def decide(node):", "def decide(node, lock=__import__('threading').Lock()):"), "cannot be sent to its process"),
        (("scheduler.add(sensor).add(driver)", ""), "the scheduler has no nodes"),
        (("scheduler.run(duration=0.3)", ""), "expected one that runs a Scheduler"),
    ],
)  # fmt: skip
def test_what_would_not_run_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = script(tmp_path, SMALL.replace(*change))
    assert path.read_text() != SMALL
    if said:
        assert said in refused("check", path)
    else:
        horus("check", path)


def test_a_script_that_fails_shows_its_traceback(tmp_path: Path) -> None:
    result = horus("check", script(tmp_path, "1 / 0"), code=1)
    assert result.err.rstrip().endswith("ZeroDivisionError: division by zero")


# run, and horus.toml


def test_the_project_in_this_folder_runs_with_what_its_manifest_says(tmp_path: Path, recordings: Path) -> None:
    manifest = MANIFEST + 'tick_rate = 200\nrecord = "day"\n[nodes.driver]\nrate = 50\norder = 3\n'
    summary = horus("run", "--json", cwd=project(tmp_path, manifest)).json(RunSummary)
    assert (summary.tick_rate, summary.ticks, summary.session) == (200.0, 60, "day")
    assert [(node.name, node.rate_hz, node.ticks) for node in summary.nodes] == [
        ("sensor", 100.0, 30),
        ("driver", 50.0, 15),
    ]
    session = Session(recordings / "day")
    assert [(node.name, node.order) for node in session.graph.nodes] == [("sensor", 0), ("driver", 3)]
    assert "day" in refused("run", cwd=tmp_path)


def test_the_command_line_overrides_the_manifest(tmp_path: Path) -> None:
    folder = project(tmp_path, MANIFEST + 'tick_rate = 200\nrecord = "day"\n')
    summary = horus("run", "--json", "--record", "night", "--rate", "100", folder).json(RunSummary)
    assert (summary.tick_rate, summary.session) == (100.0, "night")


def test_record_true_makes_a_name_of_the_projects_and_the_date(tmp_path: Path, recordings: Path) -> None:
    horus("run", "--inline", project(tmp_path, MANIFEST + "record = true\n"))
    (folder,) = recordings.iterdir()
    assert folder.name.startswith("small_2")


def test_a_manifest_beside_a_named_script_does_not_count(tmp_path: Path) -> None:
    folder = project(tmp_path, MANIFEST + "[nodes.driver]\nrate = 50\n")
    summary = horus("run", "--json", "--inline", folder / "main.py").json(RunSummary)
    assert [node.ticks for node in summary.nodes] == [30, 30]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_node_that_the_graph_has_not_is_named_with_file_and_key(tmp_path: Path, command: str) -> None:
    folder = project(tmp_path, MANIFEST + "[nodes.drivr]\nrate = 50\n")
    assert refused(command, cwd=folder) == (
        "horus.toml: [nodes.drivr] is not in the graph; expected a node of the graph: sensor, driver; did you mean 'driver'?"
    )


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_folder_without_a_project_says_what_to_do(tmp_path: Path, command: str) -> None:
    said = refused(command, cwd=tmp_path)
    assert said == "horus.toml is not there; expected a project's folder, or a script; 'horus new' makes a project"
