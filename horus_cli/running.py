"""What a person, or a program, sees of a run: the nodes' output, one live line, and a table or JSON at the end."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec

from horus_cli import show
from horus_cli.live import LiveLine
from horus_cli.tables import Column, table
from horus_core.scheduler.scheduler import Scheduler

_RATE_SECONDS = 1.0  # of the rate in the live line


class NodeRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a node's run went; durations in milliseconds."""

    name: str
    ticks: int
    rate_hz: float
    rate_held_hz: float
    busy_p50_ms: float
    busy_p99_ms: float
    busy_max_ms: float
    deadline_misses: int
    budget_overruns: int
    restarts: int
    errors: int
    messages_sent: int
    bytes_sent: int
    messages_received: int
    messages_dropped: int


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How a run went.

    Attributes:
        outcome: "ended", "interrupted" or "failed".
        error: what ended it, if it failed.
        ticks: that were released.
        session: that was recorded, '' if none was.
        recorded_lost: messages that are not in the recording.
    """

    outcome: str
    error: str
    graph: str
    tick_rate: float
    ticks: int
    seconds: float
    rate_held_hz: float
    deadline_misses: int
    restarts: int
    errors: int
    messages_dropped: int
    late_releases: int
    session: str
    recorded_bytes: int
    recorded_lost: int
    files: list[str]
    nodes: list[NodeRun]


class RunView:
    """Goes along with the first run of a script; its methods are the hooks of a ``Launch``.

    Args:
        quiet: nothing but the result goes to standard output.

    Attributes:
        summary: how the run went, once it has ended.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._colours: dict[str, int] = {}
        self._line = contextlib.ExitStack()
        self._first = 0
        self._seen: list[tuple[float, int]] = []
        self.summary: RunSummary | None = None

    def started(self, scheduler: Scheduler) -> None:
        """The graph is about to run."""
        show.log_harmlessly()
        self._first = scheduler.current_tick()
        self._line.enter_context(LiveLine(lambda: self._status(scheduler)))

    def output(self, node: str, line: str) -> None:
        """A node has printed `line`."""
        number = self._colours.setdefault(node, len(self._colours))
        show.say_for(node, number, line, err=self._quiet)

    def ended(self, scheduler: Scheduler) -> None:
        """The run has ended, however it did."""
        self._line.close()
        progress = scheduler.progress()
        if not progress["tick_rate"]:  # it did not even start
            return
        files = scheduler.stop_recording() if scheduler.is_recording() else []
        self.summary = summary_of(scheduler, progress, self._first, files)
        if not self._quiet:
            with contextlib.suppress(OSError):  # nobody reads it any more
                print_summary(self.summary)

    def _status(self, scheduler: Scheduler) -> str:
        """The live line."""
        now, progress = time.monotonic(), scheduler.progress()
        tick = progress["tick"]
        self._seen = [each for each in self._seen if now - each[0] < _RATE_SECONDS] + [(now, tick)]
        since, before = self._seen[0]
        held = (tick - before) / (now - since) if now > since else None
        parts = [
            f"tick {max(tick - 1, 0)}",
            f"{show.rate(held)} of {show.rate(progress['tick_rate'])}" if held is not None else "",
            f"misses {progress['deadline_misses']}",
            f"restarts {progress['restarts']}",
            f"dropped {progress['messages_dropped']}",
        ]
        if scheduler.is_recording():
            lost = f", {progress['recorded_lost']} lost" if progress["recorded_lost"] else ""
            ended = ", then recording ENDED" if progress["recording_ended"] else ""
            parts.append(f"recorded {show.size(progress['recorded_bytes'])}{lost}{ended}")
        return "  ".join([show.duration(progress["seconds"]), *filter(None, parts)])


def summary_of(scheduler: Scheduler, progress: dict[str, Any], first: int, files: list[str]) -> RunSummary:
    """What `scheduler` says of its last run."""
    seconds = progress["seconds"]
    ticks = progress["tick"] - first
    counters = (
        "deadline_misses",
        "restarts",
        "errors",
        "messages_dropped",
        "late_releases",
        "recorded_bytes",
        "recorded_lost",
    )
    return RunSummary(
        outcome="ended",
        error="",
        graph=scheduler.scheduler_name(),
        tick_rate=progress["tick_rate"],
        ticks=ticks,
        seconds=seconds,
        rate_held_hz=ticks / seconds if seconds else 0.0,
        session=Path(files[0]).parent.name if files else "",
        files=files,
        nodes=[_node_run(facts, seconds) for facts in scheduler.get_all_nodes()],
        **{name: int(progress[name]) for name in counters},
    )


def _node_run(facts: dict[str, Any], seconds: float) -> NodeRun:
    return NodeRun(
        name=facts["name"],
        ticks=facts["total_ticks"],
        rate_hz=facts["rate_hz"],
        rate_held_hz=facts["total_ticks"] / seconds if seconds else 0.0,
        busy_p50_ms=facts["p50_tick_duration_ms"],
        busy_p99_ms=facts["p99_tick_duration_ms"],
        busy_max_ms=facts["max_tick_duration_ms"],
        deadline_misses=facts["deadline_misses"],
        budget_overruns=facts["budget_overruns"],
        restarts=facts["restarts"],
        errors=facts["errors_count"],
        messages_sent=facts["messages_sent"],
        bytes_sent=facts["bytes_sent"],
        messages_received=facts["messages_received"],
        messages_dropped=facts["messages_dropped"],
    )


def print_summary(summary: RunSummary) -> None:
    """Prints the table of nodes, and what was recorded."""
    table(
        (
            Column("node", 10),
            Column(">ticks", 8),
            Column(">rate", 6),
            Column(">busy p50", 5),
            Column(">p99", 4),
            Column(">max", 3),
            Column(">misses", 9),
            Column(">restarts", 7),
            Column(">messages", 2),
            Column(">sent", 1),
        ),
        [
            (
                node.name,
                node.ticks,
                show.rate(node.rate_held_hz),
                show.duration(node.busy_p50_ms / 1e3),
                show.duration(node.busy_p99_ms / 1e3),
                show.duration(node.busy_max_ms / 1e3),
                node.deadline_misses,
                node.restarts,
                node.messages_sent,
                show.size(node.bytes_sent),
            )
            for node in summary.nodes
        ],
    )
    if summary.late_releases:
        show.say(f"ticks released more than a period late: {summary.late_releases}")
    if summary.session:
        lost = f", {summary.recorded_lost} messages lost" if summary.recorded_lost else ""
        show.say(f"recorded {summary.session}: {summary.ticks} ticks, {show.size(summary.recorded_bytes)}{lost}")
