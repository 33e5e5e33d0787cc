"""``horus record diff``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from horus_core.recording.compare import Comparison
from tests.horus_command import Here, horus, lines_of
from tests.recordings import Recording

Values = Callable[[int], Any]


def write(folder: Path, value: Values = lambda tick: {"x": tick * 0.5, "on": True}, **changes: Any) -> None:
    """A sensor that sends a value in each of ten ticks."""
    changes = {"topics": {"sensor": ["scan"]}, **changes}
    Recording(**changes).add("sensor", "scan", [value(tick) for tick in range(10)]).write(folder)


def test_equal_sessions_end_with_0(recordings: Path) -> None:
    write(recordings / "a")
    write(recordings / "b")
    assert horus("record", "diff", "a", "b", code=0).out == "equal: 10 messages on 1 topic\n"


def test_the_rest_is_shown_when_it_is_asked_for(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b")
    said = here.horus("record", "diff", "a", "b", "--all", code=0).out
    assert said.startswith("equal: ")
    assert ["scan", "sensor", "10", "10", "equal"] in lines_of(said)
    assert "Time per tick" in said


def test_a_difference_is_shown_with_its_first_tick_both_values_and_its_size(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b", lambda tick: {"x": tick * 0.5 + (tick >= 4) * tick, "on": True})
    said = here.horus("record", "diff", "a", "b", code=1).out
    assert said.splitlines()[0] == "different from tick 4 on: 1 of 1 topic"
    assert lines_of(said)[2] == ["scan", "sensor", "10", "10", "differs from tick 4, in 6 ticks"]
    heading, row = lines_of(said.split("\n\n")[1])
    assert heading == ["topic", "field", "first tick", "a", "b", "ticks", "largest difference"]
    assert row == ["scan", "x", "4", "2.0", "6.0", "6", "9 in tick 9"]


def test_only_what_differs_is_shown(recordings: Path, here: Here) -> None:
    for name, last in (("a", 0), ("b", 1)):
        made = Recording({"sensor": ["scan", "status"]}).add("sensor", "scan", list(range(10)))
        made.add("sensor", "status", [0] * 9 + [last]).write(recordings / name)
    said = here.horus("record", "diff", "a", "b", code=1).out
    assert said.splitlines()[0] == "different from tick 9 on: 1 of 2 topics"
    assert "scan" not in said
    assert "Time per tick" not in said


def test_json_is_the_comparison(recordings: Path) -> None:
    write(recordings / "a")
    write(recordings / "b", lambda tick: {"x": tick * 0.5 + (tick >= 4), "on": True})
    found = horus("record", "diff", "a", "b", "--json", code=1).json(Comparison)
    assert (found.equal, found.first_tick, found.topics[0].fields[0].field) == (False, 4, "x")


def test_a_tolerance_takes_small_differences_for_none(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b", lambda tick: {"x": tick * 0.5 + 1e-4 * tick, "on": True})
    here.horus("record", "diff", "a", "b", code=1)
    here.horus("record", "diff", "a", "b", "--tolerance", "1e-3", code=0)
    here.horus("record", "diff", "a", "b", "--tolerance", "0,1e-3", code=0)
    here.horus("record", "diff", "a", "b", "--tolerance", "0,1e-5", code=1)


def test_a_field_has_a_tolerance_of_its_own(recordings: Path, here: Here) -> None:
    write(recordings / "a", lambda tick: {"stamp": 2**60 + tick, "pose": {"x": 1.0}, "v": 1.0})
    write(recordings / "b", lambda tick: {"stamp": 2**60 + tick + 100, "pose": {"x": 1.01}, "v": 1.0})
    here.horus("record", "diff", "a", "b", "--tolerance", "99", code=1)
    both = ["--tolerance", "scan.stamp=100", "--tolerance", "scan.pose=0,0.02"]
    here.horus("record", "diff", "a", "b", *both, code=0)
    here.horus("record", "diff", "a", "b", *both, "--tolerance", "scan.pose=0", code=1)
    said = here.horus("record", "diff", "a", "b", *both[:2], code=1).out
    assert "pose.x" in said
    assert "stamp" not in said
    assert "did you mean 'scan'" in here.refused("record", "diff", "a", "b", "--tolerance", "scn.stamp=1")


def test_the_manifest_has_tolerances_too(recordings: Path, tmp_path: Path) -> None:
    write(recordings / "a", lambda tick: {"x": 1.0, "y": 1})
    write(recordings / "b", lambda tick: {"x": 1.5, "y": 1})
    (tmp_path / "main.py").write_text("")
    head = '[package]\nname = "robot"\n[run]\nscript = "main.py"\n'
    (tmp_path / "horus.toml").write_text(f'{head}[diff.tolerance]\n"scan.x" = [0, 0.5]\n"other.z" = 1\n')
    horus("record", "diff", "a", "b", cwd=tmp_path, code=0)
    horus("record", "diff", "a", "b", "--tolerance", "scan.x=0.1", cwd=tmp_path, code=1)
    (tmp_path / "horus.toml").write_text(f"{head}[diff.tolerance]\nscan.x = 1\n")
    assert "[diff.tolerance] scan" in horus("record", "diff", "a", "b", cwd=tmp_path, code=2).err


@pytest.mark.parametrize("tolerance", ["x", "-1", "1,x", "nan", "1,2,3", "scan.x=", "scan.x=-1", "=1"])
def test_a_tolerance_that_is_none_is_refused(recordings: Path, tolerance: str, here: Here) -> None:
    write(recordings / "a")
    assert "--tolerance" in here.refused("record", "diff", "a", "a", f"--tolerance={tolerance}")


def test_an_ignored_field_does_not_count(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b", lambda tick: {"x": tick * 0.5, "on": False})
    here.horus("record", "diff", "a", "b", "--ignore", "on", code=0)
    here.horus("record", "diff", "a", "b", "--ignore", "x", code=1)


def test_a_node_that_one_side_lacks_is_a_difference(recordings: Path, here: Here) -> None:
    write(recordings / "a", topics={"sensor": ["scan"], "driver": ["speed"]})
    write(recordings / "b")
    said = here.horus("record", "diff", "a", "b", code=1).out
    assert "only in a: node driver" in said
    here.horus("record", "diff", "a", "b", "--nodes", "sensor", code=0)


def test_only_the_ticks_asked_for_are_compared(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b", lambda tick: {"x": tick * 0.5 + (tick >= 4), "on": True})
    here.horus("record", "diff", "a", "b", "--stop-tick", "3", code=0)
    assert "from tick 6 on" in here.horus("record", "diff", "a", "b", "--start-tick", "6", code=1).out


def test_fields_beyond_the_limit_are_counted(recordings: Path, here: Here) -> None:
    write(recordings / "a", lambda tick: dict.fromkeys("abcdef", 0))
    write(recordings / "b", lambda tick: dict.fromkeys("abcdef", 1))
    said = here.horus("record", "diff", "a", "b", "--limit", "2", code=1).out
    assert "scan: 4 further fields differ" in said


def test_what_neither_session_knows_is_refused(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    assert "did you mean 'sensor'" in here.refused("record", "diff", "a", "a", "--nodes", "sensr")
    assert "did you mean 'scan'" in here.refused("record", "diff", "a", "a", "--topics", "scn")
    assert "did you mean 'a'" not in here.refused("record", "diff", "a", "zzz")
