"""The life of a node's process: which state follows which, and what is forgotten with each."""

from __future__ import annotations

from typing import Any

import pytest

from horus_core.execution.node_output import NodeOutput
from horus_core.execution.worker_record import FOLLOWING, Leaving, Life, Why, WorkerRecord
from horus_core.graph.spec import NodeSpec

CHILD: Any = object()
# What may happen to a process, told without the table: from each state, the states that one event leads to.
EXPECTED = {
    Life.NEW: {Life.STARTING},
    Life.STARTING: {Life.READY, Life.LEAVING, Life.WAITING, Life.GONE},  # ready, told to end, died twice over
    Life.READY: {Life.LEAVING, Life.WAITING, Life.GONE},
    Life.LEAVING: {Life.LEAVING, Life.WAITING, Life.GONE},  # asked for while it leaves; ended
    Life.WAITING: {Life.STARTING, Life.WAITING, Life.GONE},  # due; asked for at once; asked to stop
    Life.GONE: {Life.WAITING, Life.GONE},  # asked for; asked to stop once more
}


def record(life: Life = Life.NEW) -> WorkerRecord:
    return WorkerRecord(0, NodeSpec("arm", 100.0), NodeOutput("arm", lambda node, line: None), life)


@pytest.mark.parametrize("before", Life)
@pytest.mark.parametrize("after", Life)
def test_a_state_follows_another_only_where_something_leads_there(before: Life, after: Life) -> None:
    worker = record(before)
    if after in EXPECTED[before]:
        worker.to(after)
        assert worker.life is after
    else:
        with pytest.raises(RuntimeError, match=r"'arm' is .* cannot be"):
            worker.to(after)
        assert worker.life is before


def test_the_table_has_a_line_for_every_state() -> None:
    assert set(FOLLOWING) == set(Life)


def test_from_every_state_a_process_can_be_gone_and_from_there_started_again() -> None:
    def reach(life: Life) -> set[Life]:
        found, pending = {life}, [life]
        while pending:
            for each in FOLLOWING[pending.pop()] - found:
                found.add(each)
                pending.append(each)
        return found

    assert all({Life.GONE, Life.STARTING, Life.READY} <= reach(life) for life in Life)


def test_a_start_counts_and_the_second_is_a_restart() -> None:
    worker = record()
    worker.started(CHILD, 1.0)
    assert (worker.starts, worker.restarted) == (1, False)
    worker.to(Life.GONE)
    worker.wait(2.0)
    worker.started(CHILD, 3.0)
    assert (worker.starts, worker.restarted, worker.failures) == (2, True, [])


def test_the_first_reason_to_leave_counts_unless_somebody_asks() -> None:
    worker = record(Life.READY)
    worker.leave(Leaving(Why.RAISED, 7, trace="..."))
    worker.leave(Leaving(Why.STOPPED))
    assert worker.leaving == Leaving(Why.RAISED, 7, trace="...")
    worker.leave(Leaving(Why.RESTART))
    assert worker.leaving == Leaving(Why.RESTART)


def test_why_it_left_is_forgotten_with_the_process() -> None:
    worker = record(Life.READY)
    worker.leave(Leaving(Why.STOP))
    worker.kill_at = 1.0
    worker.to(Life.GONE)
    assert (worker.leaving, worker.kill_at) == (None, None)
