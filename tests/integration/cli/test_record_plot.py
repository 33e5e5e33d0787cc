"""``horus record plot``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.horus_command import Here, environment, horus
from tests.recordings import Recording

drawn = pytest.mark.skipif(not importlib.util.find_spec("plotext"), reason="the extra 'plot' is not installed")
pictured = pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="the extra 'plot' is not installed")


@pytest.fixture(autouse=True)
def sessions(recordings: Path) -> None:
    for name, offset in (("a", 0), ("b", 1)):
        made = Recording({"sensor": ["scan.front"]})
        values = [{"x": tick + offset * (tick >= 6), "near": [1.0, tick], "name": "s"} for tick in range(10)]
        made.add("sensor", "scan.front", values).write(recordings / name)


@drawn
def test_numbers_are_drawn_in_the_terminal() -> None:
    said = horus("record", "plot", "a", "scan.front").out
    assert "scan.front.x" in said
    assert "tick" in said
    assert "\x1b" not in said


@drawn
def test_two_sessions_overlay_with_the_first_differing_tick(here: Here) -> None:
    said = here.horus("record", "plot", "a", "scan.front.x", "--with", "b").out
    assert "scan.front.x in a" in said
    assert "scan.front.x in b" in said
    assert said.splitlines()[-1] == "different from tick 6 on"
    assert here.horus("record", "plot", "a", "scan.front.near[1]", "--with", "b").out.splitlines()[-1] == "equal"


@pictured
@pytest.mark.parametrize(
    ("name", "start"), [("out.png", b"\x89PNG"), ("out.svg", b"<?xml"), ("out.html", b"<!doctype html>")]
)
def test_a_picture_is_written(tmp_path: Path, name: str, start: bytes, here: Here) -> None:
    said = here.horus("record", "plot", "a", "scan.front.x", "--with", "b", "-o", tmp_path / name).out
    assert said.splitlines() == [f"wrote {tmp_path / name}", "different from tick 6 on"]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path: Path, here: Here) -> None:
    assert "did you mean 'scan.front'" in here.refused("record", "plot", "a", "scan.frnt")
    assert "did you mean 'x'" in here.refused("record", "plot", "a", "scan.front.xx")
    assert "a field with numbers" in here.refused("record", "plot", "a", "scan.front.name")
    assert "out.gif" in here.refused("record", "plot", "a", "scan.front.x", "-o", tmp_path / "out.gif")


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    for name in ("plotext", "matplotlib"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')\n")
    hidden = environment(PYTHONPATH=f"{tmp_path}:{environment()['PYTHONPATH']}")
    for arguments in ([], ["-o", str(tmp_path / "x.png")]):
        result = horus("record", "plot", "a", "scan.front.x", *arguments, code=2, env=hidden)
        assert "pip install 'horus-supervisor[plot]'" in result.err
        assert result.err.count("\n") == 1
