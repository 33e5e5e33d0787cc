"""Sessions that are not whole: rings that dropped their beginning, files that are cut, gone or another's, lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import horus
from horus import Node, Recording, Scheduler
from horus_core.recording.reading.reader import Session
from tests import recordings as made
from tests.damage import say_in_headers
from tests.horus_command import Here

LOST = "b lost 40 messages"


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs run in this process, and what replays is as fast as it can."""
    monkeypatch.setenv("HORUS_EXECUTION", "inline")


def record(name: str, ticks: int, how: Recording | None = None, pace: bool = False) -> None:
    """Node a sends x in each tick, b answers with y, which nobody receives."""
    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=pace, execution="inline", recording=how or name)
    scheduler.add(Node(name="a", tick=lambda node: node.send("x", horus.tick()), rate=100, pubs=["x"]))
    scheduler.add(Node(name="b", tick=lambda node: node.send("y", node.recv("x")), rate=100, subs=["x"], pubs=["y"]))
    scheduler.run(duration=ticks / 100)


@pytest.fixture
def ring(recordings: Path) -> tuple[str, int]:
    """A ring of half a second out of two; its name and the first tick it holds."""
    record("", 200, Recording(name="ring", keep_seconds=0.5), pace=True)
    ticks = [
        tick
        for file in Session(recordings / "ring").files("scheduler")
        for batch in file.batches()
        for tick in batch.column("tick").to_pylist()
    ]
    assert min(ticks) > 50
    return "ring", min(ticks)


def test_a_ring_is_replayed_from_the_first_tick_that_it_holds(ring: tuple[str, int], here: Here) -> None:
    name, first = ring
    assert here.horus("record", "replay", name, "--speed", "0").out.startswith(
        f"replayed {name}: ticks {first} to 199 "
    )
    assert f"({first} to 199)" in here.horus("record", "info", name).out
    assert f"{200 - first} from {first}" in here.horus("record", "list").out
    held = f"the recording holds ticks {first} to 199"
    for bound in (("--start-tick", "0"), ("--start-tick", str(first - 1)), ("--stop-tick", str(first - 1))):
        assert held in here.refused("record", "replay", name, "--speed", "0", *bound)


def test_a_trimmed_session_is_replayed_from_its_first_tick(recordings: Path, here: Here) -> None:
    record("whole", 40)
    here.horus("record", "trim", "whole", "late", "--start-tick", "30")
    assert here.horus("record", "replay", "late", "--speed", "0").out.startswith("replayed late: ticks 30 to 39 ")
    assert "holds ticks 30 to 39" in here.refused("record", "replay", "late", "--start-tick", "29")


def test_every_command_says_what_a_cut_file_lacks(recordings: Path, tmp_path: Path, here: Here) -> None:
    record("s", 40)
    shutil.copytree(recordings / "s", recordings / "whole")
    path = Session(recordings / "s").node_files("b")[0].path
    os.truncate(path, path.stat().st_size // 2)
    for when in ("before", "after"):
        said = here.horus("record", "info", "s").out
        assert LOST in said, when
        assert "lost 0 " not in said
        assert "complete" not in said
        assert LOST in here.horus("record", "replay", "s", "--speed", "0").err
        assert LOST in here.horus("record", "diff", "s", "whole", code=1).err
        assert LOST in here.horus("record", "repair", "s").out
        listed = next(line for line in here.horus("record", "list").out.splitlines() if line.startswith("s "))
        assert "complete" not in listed.replace("partial", "")
    assert "partial: b lost 40" in listed


def test_a_session_that_claims_endless_ticks_is_refused(recordings: Path, here: Here) -> None:
    last = 1 << 39
    rows = [made.Tick(tick, "n") for tick in (0, 1, last)]
    made.Recording({"n": ["t"]}, ticks=rows).write(recordings / "endless")
    said = here.refused("record", "replay", "endless", "--speed", "0")
    assert f"it claims ticks 0 to {last}, and has 3 rows" in said
    here.horus("record", "info", "endless")
    here.horus("record", "list")


def test_rows_beyond_their_marks_are_not_read(recordings: Path) -> None:
    session = made.Recording({"n": ["t"]}).write(recordings / "s")
    path = made.file_of(session, "scheduler")
    batches = [batch for batch in session.files("scheduler")[0].batches() if batch.num_rows]
    writer = made.FileWriter(recordings / "s", made.replace_header(session.header, "scheduler"))
    for batch in batches:
        writer.write(batch, 0, 2)
    writer.close()
    damage = Session(recordings / "s").files("scheduler")[0]
    assert [batch.num_rows for batch in damage.batches() if batch.num_rows] == []
    assert "its ticks are not those of its mark" in str(damage.damage[0])
    assert path.exists()


def test_a_stranger_among_sessions_hides_none_of_the_others(recordings: Path, here: Here) -> None:
    record("other", 20)
    folder = made.Recording({"n": ["t"]}).write(recordings / "stranger").folder
    say_in_headers(folder, ("graph", "tick_rate"), 0)
    result = here.horus("record", "list")
    assert [line.split()[0] for line in result.out.splitlines()] == ["session", "other"]
    assert "makes no sense: the tick rate is 0" in result.err
    for command in ("info", "replay", "repair"):
        assert "the tick rate is 0" in here.refused("record", command, "stranger")
