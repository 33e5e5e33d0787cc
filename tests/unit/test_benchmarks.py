"""The benchmarks' own arithmetic: rounds, ratios, goals, and the guard that compares them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import durability, guard, memory, program
from benchmarks.machine import Machine
from benchmarks.program import Measured, NotInstalled, ProgramFailed
from benchmarks.report import BEGIN, END, Goal, Report, Row, markdown, rows_of, write_readme
from benchmarks.rounds import Series, alternate
from benchmarks.runners.flow import recorded_numbers
from tests.recordings import Recording, file_of


def silent(_: str) -> None:
    pass


def test_everybody_has_a_go_in_each_round_and_each_begins_one() -> None:
    order: list[str] = []

    def go(name: str) -> Callable[[], Measured]:
        def measure() -> Measured:
            order.append(name)
            return Measured([1.0])

        return measure

    alternate({name: go(name) for name in "abc"}, 3, silent)
    assert order == [*"abc", *"bca", *"cab"]


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    ours, theirs = Series([[2.0, 2.0, 90.0], [30.0], [4.0]]), Series([[1.0], [10.0], [4.0]])
    assert ours.ratio_to(theirs) == 2.0
    assert ours.ratio_to(Series()) is None


def test_a_peer_that_is_missing_or_fails_is_a_row_that_says_so() -> None:
    def missing() -> Measured:
        raise NotInstalled("pip install it")

    def failing() -> Measured:
        raise ProgramFailed(["peer"], "it said\nno")

    series = alternate({"HORUS": lambda: Measured([1.0]), "one": missing, "other": failing}, 2, silent)
    rows = {row.subject: row for row in rows_of("b", "c", "µs", series)}
    assert (rows["one"].median, rows["one"].note) == (None, "pip install it")
    assert (rows["other"].ratio, rows["other"].note) == (None, "failed: it said no")
    assert rows["HORUS"].samples == 2


def test_horus_itself_may_not_fail() -> None:
    def failing() -> Measured:
        raise ProgramFailed(["ours"], "broken")

    with pytest.raises(ProgramFailed, match="broken"):
        alternate({"HORUS, recorded": failing}, 1, silent)


@pytest.mark.parametrize(
    ("goal", "ratio", "verdict"),
    [
        (Goal(1.3), 1.3, "met"),
        (Goal(1.3), 1.31, "missed"),
        (Goal(15, at_least=True), 14.9, "missed"),
        (Goal(15, at_least=True), 15.0, "met"),
        (Goal(1.3), None, ""),
    ],
)
def test_goals(goal: Goal, ratio: float | None, verdict: str) -> None:
    assert Row("b", "c", "peer", "µs", "lower", ratio=ratio, goal=goal).verdict == verdict


@pytest.mark.parametrize(
    ("better", "now", "failed"),
    [
        ("lower", 0.67, False),
        ("lower", 0.68, True),
        ("higher", 0.38, False),
        ("higher", 0.36, True),
        ("lower", 0.1, False),
    ],
)
def test_the_guard_fails_beyond_its_tolerance_only(better: str, now: float, failed: bool) -> None:
    then = [Row("b", "c", "peer", "µs", better, ratio=0.5)]
    measured = [Row("b", "c", "peer", "µs", better, ratio=now), Row("b", "c", "a new one", "µs", better, ratio=9.0)]
    assert [finding.failed for finding in guard.compare(then, measured)] == [failed]


def test_a_report_survives_its_file_and_fills_the_readme(tmp_path: Path) -> None:
    rows = [Row("wakeup", "one core", "pyzmq ipc", "µs", "lower", median=36.5, samples=9, ratio=1.2, goal=Goal(0.5))]
    report = Report(
        Machine("2026-01-02", "a processor", 2, 8.0, "Linux", "", 0.1, {}), "python -m benchmarks all", False, rows
    )
    report.save(tmp_path / "results.json")
    assert Report.load(tmp_path / "results.json") == report
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_readme(report, readme)
    assert readme.read_text() == f"before\n{BEGIN}\n\n{markdown(report)}\n\n{END}\nafter\n"
    assert "1.2 (ahead) | at most 0.5 ×: missed" in readme.read_text()


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ProgramFailed, match="exit code -9"):
        program.measure([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.3)


def test_what_a_program_prints_before_its_line_does_not_matter() -> None:
    code = 'print(\'hello\'); print(\'{"samples": [1, 2], "version": "3"}\')'
    assert program.measure([sys.executable, "-c", code]) == Measured([1, 2], {"version": "3"})


def test_the_memory_curve_has_a_limit_everywhere_and_a_ratio_to_the_longest() -> None:
    series = {f"{length} messages": Series([[peak]], {"seconds": 1.0}) for length, peak in ((1, 50), (2, 90), (3, 99))}
    rows = memory.rows_of_tool("record", series)
    assert [row.median for row in rows] == [50, 90, 99]
    assert [row.ratio for row in rows] == [99 / 50, 99 / 90, None]
    assert [row.verdict for row in rows] == ["met", "met", "met"]
    times = memory.times_of_tool("record", series)
    assert [(row.benchmark, row.subject, row.median, row.ratio) for row in times] == [
        ("time", f"{length} messages", 1.0, None) for length in (1, 2, 3)
    ]
    assert memory.rows_of_tool("record", {"1 messages": Series([[400.1]], {"seconds": 1.0})})[0].verdict == "missed"


def test_kills_are_judged_by_the_worst_of_each_victim() -> None:
    measured = Measured([0.0, 5.0, 900.0, 1005.0], {"victims": ["node", "node", "everything", "everything"]})
    rows = durability.rows_of_kills(measured)
    assert [(row.case, row.median, row.verdict) for row in rows] == [
        ("SIGKILL of node", 5.0, "missed"),
        ("SIGKILL of everything", 1005.0, "missed"),
    ]


def test_messages_of_a_flow_are_counted_by_what_they_say(tmp_path: Path) -> None:
    recording = Recording({"sender": ["flow"]}, batch=2)
    recording.add("sender", "flow", [{"number": number} for number in range(5)])
    path = file_of(recording.write(tmp_path / "flow"), "sender")
    assert recorded_numbers([str(path)]) == (5, 0)
    assert recorded_numbers([str(path), str(path)]) == (5, 5)
