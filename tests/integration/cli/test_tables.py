"""Tables in a real terminal, from 40 columns on: whole headings, whole cells, and a line about what is left out."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Leftovers
from tests.horus_command import ENDLESS, environment, horus, lines_of, running, script, started
from tests.recordings import Recording
from tests.terminals import at_terminal, shown, tables_of, without_escapes

WIDTHS = (40, 60, 80, 100, 140)
CELL = re.compile(r"-|[\d.,]+( (ns|µs|ms|s|Hz|B|kB|MB|GB|%))?")  # what is measured is whole


@pytest.fixture
def sessions(recordings: Path) -> None:
    """Two sessions whose nodes, topics and fields have names as long as those of real robots."""
    for name, factor in (("monday_morning_run", 1.0), ("monday_after_the_change", 1.0000001)):
        made = Recording({"front_camera_driver": ["camera/front/state"], "localization": ["pose"]})
        made.add("front_camera_driver", "camera/front/state", [{"exposure": tick * 0.125} for tick in range(10)])
        made.add("localization", "pose", [{"position": {"x": tick / 3 * factor}} for tick in range(10)])
        made.write(recordings / name)


def check(lines: list[str], whole: list[list[list[str]]], columns: int) -> None:
    """Each table in `lines` shows whole columns of the one in `whole` (heading first), which a pipe gets."""
    assert max(map(len, lines)) <= columns
    found = tables_of(lines)
    assert len(found) == len(whole)
    for (headings, rows, said), (full, *full_rows) in zip(found, whole, strict=True):
        assert set(headings) <= set(full)
        left_out = [name for name in full if name not in headings]
        assert said == (f"not shown: {', '.join(left_out)}; --wide shows all" if left_out else "")
        assert len(headings) > 1
        places = [full.index(name) for name in headings]
        assert rows == [[row[place] for place in places] for row in full_rows]


def plain_tables(*blocks: str) -> list[list[list[str]]]:
    """Tables as a pipe gets them, in which no cell is empty."""
    return [lines_of(block) for block in blocks]


@pytest.mark.parametrize("columns", WIDTHS)
def test_recordings_are_listed(sessions: None, columns: int) -> None:
    line = ("record", "list", "--long")
    check(shown(*line, columns=columns), plain_tables(horus(*line).out), columns)


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_recording_is_described(sessions: None, columns: int) -> None:
    line = ("record", "info", "monday_morning_run")
    nodes, topics = horus(*line).out.strip().split("\n\n")[1:3]
    lines = shown(*line, columns=columns)
    check(
        lines[next(place for place, text in enumerate(lines) if "─" in text) - 1 :],
        plain_tables(nodes, topics),
        columns,
    )


@pytest.mark.parametrize("columns", WIDTHS)
def test_differences_are_shown(sessions: None, columns: int) -> None:
    lines = shown("record", "diff", "monday_morning_run", "monday_after_the_change", "--all", columns=columns, code=1)
    topics, fields, *_ = tables_of(lines)
    assert [dict(zip(topics[0], row, strict=True))["content"] for row in topics[1]] == [
        "equal",
        "differs from tick 1, in 9 ticks",
    ]
    (row,) = (dict(zip(fields[0], each, strict=True)) for each in fields[1])
    assert (row["topic"], row["field"], row["first tick"]) == ("pose", "position.x", "1")
    for name, value in (("monday_morning_run", 1 / 3), ("monday_after_the_change", 1 / 3 * 1.0000001)):
        if name in row:
            assert float(row[name]) == value
    assert ("--wide shows all" in fields[2]) == (columns < 140)


def test_wide_shows_all_columns_of_a_narrow_terminal(sessions: None) -> None:
    lines = shown("record", "list", "--long", "--wide", columns=40)
    text = "".join(lines)
    assert "not shown" not in text
    headings, *rows = lines_of(horus("record", "list", "--long").out)
    assert all(cell in text for row in (headings, *rows) for cell in row)


# A running graph.


@pytest.fixture(scope="module")
def graph(leftovers: Leftovers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a graph runs while the tests of this module do."""
    folder = tmp_path_factory.mktemp("graph")
    env = environment(
        XDG_RUNTIME_DIR=tempfile.mkdtemp(dir=leftovers.session),
        XDG_STATE_HOME=str(folder / "state"),
        HORUS_RECORDINGS=str(folder / "recordings"),
    )
    with started("run", script(folder, ENDLESS), env=env):
        running(env=env)
        yield env


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(
    "line", [("node", "list"), ("topic", "list"), ("top", "--once", "--interval", "0.2")], ids=" ".join
)
def test_a_running_graph_is_shown(graph: dict[str, str], line: tuple[str, ...], columns: int) -> None:
    words = {"node", "state", "topic", "type", "publishers", "subscribers"}
    lines = shown(*line, columns=columns, env=graph)
    assert max(map(len, lines)) <= columns
    full = [block[0] for block in map(lines_of, horus(*line, env=graph).out.split("\n\n"))]
    found = tables_of(lines)
    assert found
    for (headings, rows, said), plain in zip(found, full, strict=False):
        del plain
        assert rows[0][0] in ("sensor", "scan")
        assert rows[1][0] in ("driver", "speed")
        assert len(headings) >= 3
        for row in rows:
            assert all(CELL.fullmatch(cell) for name, cell in zip(headings, row, strict=True) if name not in words), row
        assert said.startswith("not shown: ") or not said


def test_top_has_a_footer_and_explains_itself(graph: dict[str, str]) -> None:
    terminal = at_terminal("top", "--interval", "0.2", columns=60, rows=16, env=graph)
    terminal.expect(r"\? help  q end  w all columns")
    frame = without_escapes(terminal.before)
    assert re.search(r"node +state +", frame)
    assert "w shows all" in " ".join(frame.split())
    terminal.send("?")
    terminal.expect("what is shown, and go on")  # of the key for that
    terminal.expect("ticks that were not done by their|share of a core|name of the node")
    terminal.send("?w")
    terminal.expect(r"state +pid +core")
    terminal.send("\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C")
    terminal.expect("memory")
    terminal.send(" ")
    terminal.expect("HELD")
    terminal.send("q")
    terminal.expect("\x1b\\[\\?1049l")
    terminal.wait()
    terminal.close()
    assert terminal.exitstatus == 0
