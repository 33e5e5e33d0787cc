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
    said = horus("record", "diff", "a", "b", code=0).out
    assert lines_of(said)[1] == ["scan", "sensor", "10", "10", "equal"]
    assert said.splitlines()[-1] == "equal"


def test_a_difference_is_shown_with_its_first_tick_both_values_and_its_size(recordings: Path, here: Here) -> None:
    write(recordings / "a")
    write(recordings / "b", lambda tick: {"x": tick * 0.5 + (tick >= 4) * tick, "on": True})
    said = here.horus("record", "diff", "a", "b", code=1).out
    assert lines_of(said)[1] == ["scan", "sensor", "10", "10", "differs from tick 4, in 6 ticks"]
    heading, row = lines_of(said.split("\n\n")[1])
    assert heading == ["topic", "field", "first tick", "a", "b", "ticks", "largest difference"]
    assert row == ["scan", "x", "4", "2.0", "6.0", "6", "9 in tick 9"]
    assert said.splitlines()[-1] == "different from tick 4 on"


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


@pytest.mark.parametrize("tolerance", ["x", "-1", "1,x", "nan", "1,2,3"])
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
