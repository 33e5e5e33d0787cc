"""Events as lines of a log."""

from __future__ import annotations

import logging

import pytest

from horus_core.execution.eventlog import EventLog, words


def test_a_line_has_the_detail_but_not_the_traceback_and_stays_one_line() -> None:
    assert words("start", "", 0, {"nodes": ["a", "b"]}) == "event: start (tick 0, nodes a b)"
    assert words("error", "a", 3, {"traceback": "Trace\nback"}) == "event: error a (tick 3)"
    assert words("safe mode", "", 9, {"reason": "it\nbroke"}) == "event: safe mode (tick 9, reason it broke)"
    assert words("watchdog", "a", 1, {"limit": 0.30000000000000004}) == "event: watchdog a (tick 1, limit 0.3)"


def test_of_misses_there_is_a_line_in_ten_seconds_for_each_node(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "horus.events")
    now = [100.0]
    write = EventLog(lambda: now[0])
    for at, node in ((0.0, "a"), (0.1, "a"), (0.2, "b"), (9.9, "a"), (10.0, "a"), (10.1, "a")):
        now[0] = 100.0 + at
        write("miss", node, round(at * 10), {"deadline": 0.0095})
    write("crash", "a", 102, {})
    assert caplog.messages == [
        "event: miss a (tick 0, deadline 0.0095)",
        "event: miss b (tick 2, deadline 0.0095)",
        "event: miss a (tick 100, deadline 0.0095, misses since the last line 2)",
        "event: crash a (tick 102)",
    ]


def test_nobody_who_does_not_ask_gets_any(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    EventLog()("crash", "a", 1, {})
    assert caplog.messages == []
