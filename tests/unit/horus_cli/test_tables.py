"""Tables at any width: what is shown, what is left out, and what is said about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_cli.tables import Column, lines, places, table

GRAPH = (Column("node", 9), Column(">pid", 1), Column(">misses", 8), Column("hears", 5, folds=True))
ROWS = [("sensor", 1234, 3, "scan from lidar; image from camera"), ("driver", 5, 0, "")]


def test_a_pipe_gets_every_column_aligned_and_a_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", ">count", "what"), [("a", 1, "x"), ("longer", 100, "")], title="All")
    assert capsys.readouterr().out == "All\nname    count  what\na           1  x\nlonger    100\n"


def test_a_table_may_be_empty(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", ">count"), [])
    table((), [])
    assert capsys.readouterr().out == "name  count\n"


def test_cells_and_headings_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table(("na\x1bme",), [("\x1b[2Jgone\n",)])
    assert capsys.readouterr().out == "na\\x1bme\n\\x1b[2Jgone\\n\n"


def test_where_there_is_room_everything_is_on_a_line() -> None:
    assert lines(GRAPH, ROWS, 80) == [
        " node     pid  misses  hears",
        " " + "─" * 56,
        " sensor  1234       3  scan from lidar; image from camera",
        " driver     5       0",
    ]


def test_words_fold_before_a_column_is_left_out() -> None:
    assert lines(GRAPH, ROWS, 44) == [
        " node     pid  misses  hears",
        " ───────────────────────────────────────────",
        " sensor  1234       3  scan from lidar;",
        "                       image from camera",
        " driver     5       0",
    ]


def test_the_columns_that_matter_least_go_first_and_one_line_says_which() -> None:
    drawn = lines(GRAPH, ROWS, 38, hint="; --wide shows all")
    assert drawn == [
        " node    misses  hears",
        " ─────────────────────────────────────",
        " sensor       3  scan from lidar;",
        "                 image from camera",
        " driver       0",
        "not shown: pid; --wide shows all",
    ]
    assert lines(GRAPH, ROWS, 24)[-1] == "not shown: pid, hears"


def test_of_columns_that_matter_alike_the_last_goes_first() -> None:
    assert lines(("aaaa", "bbbb", "cccc"), [("1", "2", "3")], 12)[0] == " aaaa  bbbb"


def test_a_name_is_cut_in_its_middle_where_it_takes_too_much_and_that_is_said() -> None:
    drawn = lines((Column("topic", 9), Column(">misses", 8)), [("a" * 30 + "b" * 30, 3)], 43)
    assert drawn[2] == f" {'a' * 17}…{'b' * 16}       3"
    assert drawn[-1] == "cut short: topic"


def test_a_name_of_32_places_is_whole_in_40() -> None:
    drawn = lines((Column("topic", 9), Column(">misses", 8)), [("a" * 32, 3)], 40)
    assert drawn == [" topic", " " + "─" * 32, " " + "a" * 32, "not shown: misses"]


def test_characters_of_two_places_and_of_none_are_counted_as_such() -> None:
    drawn = lines(("name", ">n"), [("時刻", 1), ("e\u0301", 2)], None)
    assert drawn[2:] == [" 時刻  1", " e\u0301     2"]


@given(
    room=st.integers(12, 160),
    columns=st.lists(
        st.tuples(
            st.text("abc", min_size=1, max_size=9), st.integers(0, 9), st.booleans(), st.text("xyz ", max_size=40)
        ),
        min_size=1,
        max_size=9,
    ),
)
def test_no_line_is_longer_than_the_terminal_and_less_never_hides_more(
    room: int, columns: list[tuple[str, int, bool, str]]
) -> None:
    made = [Column(f"{name}{place}", weight, folds) for place, (name, weight, folds, _) in enumerate(columns)]
    drawn = lines(made, [[cell.strip() for *_, cell in columns]], room)
    assert max(map(places, drawn)) <= room
    heading = drawn[0].split()
    weights = {column.name: column.weight for column in made}
    hidden = set(weights) - set(heading)
    assert len(heading) > 1 or heading[0].rstrip("…")[:5] in max(weights, key=lambda name: weights[name])
    assert max((weights[name] for name in hidden), default=0) <= min(weights.get(name, 9) for name in heading)
    if hidden:
        said = " ".join(line for line in drawn if not line.startswith(" "))
        assert all(name in said for name in hidden)
