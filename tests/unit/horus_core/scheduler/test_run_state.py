"""The states of a scheduler, and who may end its run directly."""

from __future__ import annotations

import inspect
import threading

import pytest

from horus_core.scheduler.run_state import Run, RunState
from horus_core.scheduler.scheduler import Scheduler
from horus_core.scheduler.settings import Options

EXPECTED = {
    (RunState.IDLE, RunState.RUNNING),
    (RunState.IDLE, RunState.STOPPED),  # its first start failed
    (RunState.RUNNING, RunState.STEPPING),
    (RunState.STEPPING, RunState.RUNNING),
    (RunState.STEPPING, RunState.STOPPED),
    (RunState.STOPPED, RunState.RUNNING),
    (RunState.STOPPED, RunState.STOPPED),  # a later start failed
}


@pytest.mark.parametrize("before", RunState)
@pytest.mark.parametrize("after", RunState)
def test_a_state_follows_another_only_where_a_run_leads_there(before: RunState, after: RunState) -> None:
    run = Run(before)
    if (before, after) in EXPECTED:
        run.to(after)
        assert run.state is after
    else:
        with pytest.raises(RuntimeError, match="cannot be"):
            run.to(after)


@pytest.mark.parametrize(
    ("own_thread", "state", "asked"),
    [
        (None, RunState.IDLE, False),
        (True, RunState.STEPPING, False),
        (True, RunState.RUNNING, True),  # from within a tick: the loop above is to end
        (False, RunState.RUNNING, True),
        (False, RunState.STEPPING, True),
    ],
)
def test_a_stop_is_asked_for_where_it_cannot_be_done_here(
    own_thread: bool | None, state: RunState, asked: bool
) -> None:
    thread = None if own_thread is None else threading.get_ident() + (0 if own_thread else 1)
    assert Run(state, thread=thread).must_be_asked is asked


def test_run_takes_every_argument_of_a_scheduler() -> None:
    assert list(inspect.signature(Scheduler).parameters) == list(Options.__annotations__)
