"""``horus record inject``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from horus_core.recording.reading.reader import Session
from horus_core.trials.inject import InjectionResult
from tests.control_loop import BOLDER, SCRIPT, TICKS, reading, recorded
from tests.horus_command import Here, Result, horus, lines_of, refused, script

RAISES = SCRIPT.replace('    node.send("ctrl.cmd"', '    assert horus.tick() < 50, "too far"\n    node.send("ctrl.cmd"')


@pytest.fixture
def main(recordings: Path) -> Path:
    """The script of session "base"."""
    return recorded(recordings)


def inject(*arguments: str | Path, code: int = 0) -> Result:
    """At full speed."""
    return horus("record", "inject", "base", "--speed", "0", *arguments, code=code)


def copied(main: Path, recordings: Path, tmp_path: Path, text: str | None) -> Path:
    """Records again from a script of the test's own, which then becomes `text` (None: is gone)."""
    path = script(tmp_path, SCRIPT)
    horus("run", "--record", "base", "--overwrite", path)
    path.unlink()
    if text is not None:
        path.write_text(text)
    return path


def test_the_unchanged_node_sends_what_was_recorded(main: Path, recordings: Path) -> None:
    (recordings / ".injected-4194305").mkdir()  # left by a process that was killed; no process has such a number
    result = inject("--nodes", "sensor")
    assert result.out.startswith("[controller] controlling\n")
    assert "live:     controller of" in result.out
    assert ["ctrl.cmd", "controller", "200", "200", "equal"] in lines_of(result.out)
    assert result.out.splitlines()[-1] == "the live nodes sent what was recorded"
    assert result.err == "building the graph\n"
    assert [path.name for path in recordings.iterdir()] == ["base"]


def test_another_script_differs_from_a_tick_on(main: Path, tmp_path: Path, recordings: Path) -> None:
    result = inject("--nodes", "sensor", "--script", script(tmp_path, BOLDER), "--record", "bolder")
    assert ["ctrl.cmd", "controller", "200", "200", "differs from tick 1, in 199 ticks"] in lines_of(result.out)
    assert result.out.splitlines()[-1] == "different from tick 1 on"
    assert Session(recordings / "bolder").header.script == str(tmp_path / "main.py")
    said = horus("record", "diff", "base", "bolder", "--all", code=1).out
    assert ["sensor.reading", "sensor", "200", "200", "equal"] in lines_of(said)


def test_nodes_may_be_patterns(main: Path) -> None:
    result = inject("--nodes", "sen*", "--json").json(InjectionResult)
    assert (result.replayed, result.live, result.equal) == (["sensor"], ["controller"], True)
    result = inject("--all-but", "c?ntroller", "--json").json(InjectionResult)
    assert (result.replayed, result.live) == (["sensor"], ["controller"])
    assert "no node 'x*'" in refused("record", "inject", "base", "--nodes", "x*")


def test_inline_runs_the_live_nodes_in_the_same_process(main: Path, tmp_path: Path) -> None:
    text = SCRIPT.replace(
        '    node.send("ctrl.cmd"', '    import os; print("in", os.getpid())\n    node.send("ctrl.cmd"'
    )
    text = text.replace(
        "import horus\n", "import horus\nimport os, sys\nprint('main', os.getpid(), file=sys.stderr)\n", 1
    )
    result = inject("--nodes", "sensor", "--script", script(tmp_path, text), "--inline")
    (main_process,) = {line.split()[1] for line in result.err.splitlines() if line.startswith("main ")}
    said = {line.split()[-1] for line in result.out.splitlines() if re.fullmatch(r"(\[controller\] )?in \d+", line)}
    assert said == {main_process}
    assert result.out.splitlines()[-1] == "the live nodes sent what was recorded"


def test_all_but_names_what_runs_live(main: Path) -> None:
    result = inject("--all-but", "controller", "--json").json(InjectionResult)
    assert (result.replayed, result.live, result.left_out) == (["sensor"], ["controller"], [])
    assert (result.equal, result.first_tick, result.last_tick, result.recorded_as) == (True, 0, TICKS - 1, "")
    assert result.script_state == "unchanged"
    assert result.failure == ""


def test_check_turns_a_difference_into_an_exit_code(main: Path, tmp_path: Path) -> None:
    inject("--nodes", "sensor", "--check")
    inject("--nodes", "sensor", "--check", "--script", script(tmp_path, BOLDER), code=1)


def test_a_script_that_has_changed_is_used_and_said(main: Path, recordings: Path, tmp_path: Path) -> None:
    path = copied(main, recordings, tmp_path, BOLDER)
    result = inject("--nodes", "sensor")
    assert f"{path} has changed since base was recorded" in result.err
    assert "different from tick 1 on" in result.out


def test_a_script_that_is_gone_is_replaced_by_the_copy_in_the_session(
    main: Path, recordings: Path, tmp_path: Path
) -> None:
    path = copied(main, recordings, tmp_path, None)
    result = inject("--nodes", "sensor")
    assert f"{path} is gone; the copy in the session runs" in result.err
    assert "the live nodes sent what was recorded" in result.out
    (copy,) = (recordings / "base" / "source").iterdir()
    copy.write_text(BOLDER)
    result = inject("--nodes", "sensor")
    assert "the copy in the session runs, which is not what was recorded" in result.err
    assert "different from tick 1 on" in result.out


def test_without_any_script_one_must_be_named(main: Path, recordings: Path, tmp_path: Path) -> None:
    copied(main, recordings, tmp_path, None)
    for path in (recordings / "base" / "source").iterdir():
        path.unlink()
    assert "script" in refused("record", "inject", "base", "--nodes", "sensor")


def test_a_range_an_override_and_the_scripts_arguments(main: Path) -> None:
    override = 'sensor.sensor.reading={"value": 2.0}'
    result = inject(
        "--nodes", "sensor", "--start-tick", "100", "--stop-tick", "101", "--override", override, "--", "-v", "fast"
    )
    assert result.out.startswith("[controller] controlling -v fast\n")
    assert "ticks:    100 to 101" in result.out
    row = next(row for row in lines_of(result.out) if row[:3] == ["ctrl.cmd", "output", "100"])
    total = sum(reading(tick) for tick in range(101)) * 0.01
    assert float(row[3]) == pytest.approx(0.5 * reading(100) + total)
    assert float(row[4]) == pytest.approx(0.5 * 2.0 + 101 * 2.0 * 0.01), "it has lived through the ticks before"


def test_from_the_middle_the_live_node_has_lived_through_the_ticks_before_or_starts_cold(main: Path) -> None:
    result = inject("--nodes", "sensor", "--start-tick", "100", "--check")
    assert "ticks:    100 to" in result.out
    cold = inject("--nodes", "sensor", "--start-tick", "100", "--cold")
    assert "with nothing behind them" in cold.err
    row = next(row for row in lines_of(cold.out) if row[:3] == ["ctrl.cmd", "output", "100"])
    assert float(row[4]) == pytest.approx(0.5 * reading(100) + reading(100) * 0.01), "its sum begins in tick 100"


def test_a_live_node_that_fails_ends_it_with_1_and_is_compared_up_to_there(main: Path, tmp_path: Path) -> None:
    result = inject("--nodes", "sensor", "--script", script(tmp_path, RAISES), code=1)
    assert "node 'controller' raised an exception in tick 50" in result.err
    assert "too far" in result.err
    assert ["ctrl.cmd", "controller", "51", "50", "differs from tick 50, in 1 tick, 1 only in recorded"] in lines_of(
        result.out
    )


def test_a_script_that_fails_ends_it_with_its_own_traceback(main: Path, tmp_path: Path, recordings: Path) -> None:
    result = inject("--nodes", "sensor", "--script", script(tmp_path, "1 / 0\n"), code=1)
    assert "ZeroDivisionError" in result.err
    assert "horus_core" not in result.err
    assert (
        "did not run a graph" in inject("--nodes", "sensor", "--script", script(tmp_path, "exit('no')\n"), code=1).err
    )
    assert "runs a Scheduler" in inject("--nodes", "sensor", "--script", script(tmp_path, ""), code=2).err
    assert [path.name for path in recordings.iterdir()] == ["base"]


def test_a_topic_that_nobody_hears_is_pointed_out(main: Path, tmp_path: Path) -> None:
    deaf = script(
        tmp_path, SCRIPT.replace('recv("sensor.r', 'recv("sensor.R').replace('subs=["sensor.r', 'subs=["sensor.R')
    )
    result = inject("--nodes", "sensor", "--script", deaf)
    assert "no live node hears what is replayed (sensor.reading); they subscribe to sensor.Reading" in result.err


def test_a_project_may_stand_for_its_script(main: Path, tmp_path: Path) -> None:
    script(tmp_path, SCRIPT)
    manifest = '[package]\nname = "loop"\nversion = "1"\n[run]\nscript = "main.py"\n[nodes.controller]\nrate = 50\n'
    (tmp_path / "horus.toml").write_text(manifest)
    result = inject("--nodes", "sensor", "--script", tmp_path)
    assert "controller runs at 50 Hz now, and ran at 100 Hz when it was recorded" in result.err
    assert "node controller ran in 100 ticks only in recorded" in result.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either --nodes"),
        (["--nodes", "sensor", "--all-but", "controller"], "either --nodes"),
        (["--nodes", "sensr"], "did you mean 'sensor'"),
        (["--nodes", "sensor", "--script", "no-such.py"], "no-such.py"),
        (["--nodes", "sensor", "--start-tick", "900"], "ticks 0 to 199"),
        (["--nodes", "sensor", "--record", "a/b"], "the session name"),
    ],
)
def test_what_cannot_be_is_refused_before_the_script_runs(
    main: Path, arguments: list[str], said: str, here: Here
) -> None:
    assert said in here.refused("record", "inject", "base", *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nodes", "sensor,controller"], "left to run live"),
        (["--all-but", "contoller"], "did you mean 'controller'"),
        (["--nodes", "sensor", "--override", "controller.ctrl.cmd=1"], "no node 'controller'"),
        (["--nodes", "sensor", "--record", "base"], "exists already"),
    ],
)
def test_what_the_script_shows_to_be_impossible_is_refused(main: Path, arguments: list[str], said: str) -> None:
    result = inject(*arguments, code=2)
    assert said in result.err
    assert result.err.count("\n") == 2


TYPED = """
import msgspec
import sys
import horus
from horus import Node, Pub, Sub, run

class Wheels(msgspec.Struct):
    left: float
    right: float

def send(node):
    node.send("wheels", Wheels(1.0, horus.tick() * 0.5))

def steer(node):
    wheels = node.recv("wheels")
    node.send("u", wheels.left + wheels.right)
    assert "fail" not in sys.argv or horus.tick() < 9, "sensor gone"

run(
    Node(name="src", tick=send, rate=100, pubs=[Pub("wheels", Wheels)]),
    Node(name="ctl", tick=steer, rate=100, subs=[Sub("wheels", Wheels)], pubs=["u"]),
    duration=0.1, tick_rate=100, deterministic=True, pace=False,
)
"""


@pytest.fixture
def typed(recordings: Path, tmp_path: Path) -> Path:
    """The script of session "base", whose topic has a type."""
    path = script(tmp_path, TYPED)
    horus("run", "--record", "base", path)
    return path


@pytest.mark.parametrize(
    ("value", "said"),
    [('{"lefty": 0}', "`left`"), ('{"left": 1, "right": 2, "lefty": 0}', "did you mean 'left'"), ("5", "a Wheels")],
)
def test_an_override_of_another_shape_is_refused_before_the_start(typed: Path, value: str, said: str) -> None:
    error = refused("record", "inject", "base", "--nodes", "src", "--speed", "0", "--override", f"src.wheels={value}")
    assert said in error
    assert "'wheels' of 'src'" in error


def test_a_replay_refuses_a_field_that_no_message_has(typed: Path) -> None:
    error = refused("record", "replay", "base", "--speed", "0", "--override", 'src.wheels={"left": 1, "lefty": 0}')
    assert "did you mean 'left'" in error


def test_a_run_that_failed_in_its_last_tick_is_not_equal(typed: Path) -> None:
    result = inject("--nodes", "src", "--", "fail", code=1)
    assert "the run failed in tick 9" in result.out
    assert "sent what was recorded" not in result.out
    assert "sensor gone" in result.err


def test_what_is_within_a_tolerance_is_what_was_recorded(main: Path, tmp_path: Path) -> None:
    bolder = script(tmp_path, BOLDER)
    inject("--nodes", "sensor", "--check", "--script", bolder, "--tolerance", "ctrl.cmd.output=2")
    inject("--nodes", "sensor", "--check", "--script", bolder, "--tolerance", "ctrl.cmd.output=0.5", code=1)
    assert "did you mean 'ctrl" in refused(
        "record", "inject", "base", "--nodes", "sensor", "--tolerance", "ctrl.cmdd.output=2"
    )
