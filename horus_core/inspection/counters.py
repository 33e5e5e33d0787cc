"""The counters of a graph, read from its control segment: what ``Scheduler`` tells, and tools that look at it from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from horus_core.memory.control import (
    BUCKETS,
    FREE,
    H_RECORDED_BYTES,
    H_RECORDED_LOST,
    H_RECORDER_BACKLOG,
    H_RECORDER_STATE,
    H_SLIPS,
    N_BUSY,
    N_BUSY_LAST,
    N_BUSY_MAX,
    N_BUSY_MIN,
    N_DROPPED,
    N_ERRORS,
    N_FINISHED,
    N_MISSES,
    N_OVERRUNS,
    N_PID,
    N_RECEIVED,
    N_RESTARTS,
    N_SENT,
    N_SENT_BYTES,
    N_STATE,
    N_TICKS,
    NODE_WORDS,
    RECORDER_GAVE_UP,
    Layout,
)
from horus_core.memory.tick_rows import bucket_start

STATES = ("starting", "ready", "stopped", "failed", "dead")


def node_counters(control: memoryview, layout: Layout, position: int) -> dict[str, Any]:
    """The counters of the node at `position`; durations in milliseconds."""
    row, start = layout.node(position), layout.histogram(position)
    return _named(control[row : row + NODE_WORDS].tolist(), control[start : start + BUCKETS].tolist())


def no_counters() -> dict[str, Any]:
    """The counters of a node that has not run."""
    return {**_named([0] * NODE_WORDS, [0] * BUCKETS), "state": "idle"}


def _named(row: Sequence[int], histogram: Sequence[int]) -> dict[str, Any]:
    ticks = row[N_TICKS]
    return {
        "pid": row[N_PID],
        "state": STATES[row[N_STATE]],
        "total_ticks": ticks,
        "successful_ticks": max(0, ticks - row[N_ERRORS]),
        "failed_ticks": row[N_ERRORS],
        "errors_count": row[N_ERRORS],
        "last_tick": row[N_FINISHED],
        "deadline_misses": row[N_MISSES],
        "budget_overruns": row[N_OVERRUNS],
        "restarts": row[N_RESTARTS],
        "messages_sent": row[N_SENT],
        "bytes_sent": row[N_SENT_BYTES],
        "messages_received": row[N_RECEIVED],
        "messages_dropped": row[N_DROPPED],
        "avg_tick_duration_ms": row[N_BUSY] / ticks * 1e-6 if ticks else 0.0,
        "min_tick_duration_ms": row[N_BUSY_MIN] * 1e-6 if ticks else 0.0,
        "max_tick_duration_ms": row[N_BUSY_MAX] * 1e-6,
        "last_tick_duration_ms": row[N_BUSY_LAST] * 1e-6,
        "p50_tick_duration_ms": min(percentile(histogram, 0.5), row[N_BUSY_MAX]) * 1e-6,
        "p99_tick_duration_ms": min(percentile(histogram, 0.99), row[N_BUSY_MAX]) * 1e-6,
    }


def percentile(histogram: Sequence[int], share: float) -> float:
    """The duration in ns below which `share` of the ticks stayed, from a histogram with four buckets per power of two."""
    total = sum(histogram)
    seen = 0
    for bucket, count in enumerate(histogram):
        seen += count
        if total and seen >= share * total:
            return (bucket_start(bucket) + bucket_start(bucket + 1)) / 2
    return 0.0


def graph_counters(control: memoryview, layout: Layout) -> dict[str, int]:
    """The counters of the graph: sums over its nodes, and the recorder's; a few words per node, so cheap to ask for often."""
    rows = [layout.node(position) for position in range(layout.nodes)]
    return {
        "deadline_misses": sum(control[row + N_MISSES] for row in rows),
        "restarts": sum(control[row + N_RESTARTS] for row in rows),
        "errors": sum(control[row + N_ERRORS] for row in rows),
        "messages_dropped": sum(control[row + N_DROPPED] for row in rows),
        "late_releases": control[H_SLIPS],
        "recorded_bytes": control[H_RECORDED_BYTES],
        "recorded_lost": control[H_RECORDED_LOST],
        "recorder_backlog": control[H_RECORDER_BACKLOG],
        "recording_ended": int(control[H_RECORDER_STATE] == RECORDER_GAVE_UP),
    }


def unread(control: memoryview, committed: int, floor: int) -> int:
    """Messages between a reader's floor and the commit word, 0 for a reader that has no floor now."""
    held = control[floor]
    return 0 if held == FREE else max(0, control[committed] - held)
