"""Somebody else's terms for a script's first run: what ``horus run`` and ``horus record inject`` set for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Launch:
    """Settings for the first scheduler that runs in this process; None leaves the script's own.

    Attributes:
        name: the graph's, '' for the script's own.
        record: session name to record under, or the folder to record into, wherever it is.
        overwrite: replace a session of that name.
        record_topics, record_exclude: topics to record, and not to; see
            :class:`horus_core.recording.writing.options.Recording`.
        duration: seconds.
        tick_rate: Hz.
        execution: "process" or "inline".
        lockstep: virtual time, as ``Scheduler(deterministic=True)``.
        pace: with `lockstep`: at the graph's rate; else as fast as it goes.
        nodes: per node name, fields of NodeSpec to replace (rate in Hz, core, order, failure_policy, ...).
        output: called with node and line instead of printing.
        capture: do not run: ``script.capture_graph`` takes the scheduler.
        started: called with the :class:`Scheduler` once its graph is about to run.
        ended: called with the scheduler once its run has ended, however it ended.
    """

    name: str = ""
    record: str | Path | None = None
    overwrite: bool = False
    record_topics: Sequence[str] | None = None
    record_exclude: Sequence[str] = ()
    duration: float | None = None
    tick_rate: float | None = None
    execution: str | None = None
    lockstep: bool = False
    pace: bool = False
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: Callable[[str, str], None] | None = None
    capture: bool = False
    started: Callable[[Any], None] | None = None
    ended: Callable[[Any], None] | None = None
    used: bool = False


class Captured(BaseException):
    """Ends a script whose graph was wanted, not its run. Args: the scheduler."""


_pending: Launch | None = None


def take() -> Launch | None:
    """The settings for a scheduler that is about to run; once."""
    global _pending
    launch, _pending = _pending, None
    if launch is not None:
        launch.used = True
    return launch


@contextmanager
def launched(launch: Launch | None) -> Iterator[None]:
    """Sets `launch` for the first scheduler that runs in the block."""
    global _pending
    _pending = launch
    try:
        yield
    finally:
        _pending = None
