"""HORUS: a multi-process robotics runtime with record and replay.

This package is the public API and nothing else: everything here comes from ``horus_core``.
"""

from __future__ import annotations

import sys

if not sys.platform.startswith("linux"):
    raise ImportError(f"HORUS runs on Linux only (x86-64 and aarch64), this is {sys.platform}")

from horus_core.clock import budget_remaining, dt, elapsed, ms, now, restarted, rng_float, tick, timestamp_ns, us
from horus_core.errors import (
    DuplicateNode,
    EmptyGraph,
    HorusError,
    InvalidValue,
    NodeFailed,
    NotARecording,
    NotRunning,
    RecorderFailed,
    RecordingDamaged,
    RecordingError,
    RecordingExists,
    RecordingMissing,
    RecordingTooNew,
    ReplayRange,
    SchedulerBusy,
    ScriptFailed,
    SharedMemoryFull,
    StartFailed,
    TopicConflict,
    UndecodableMessage,
    UnknownNode,
    UnknownTopic,
    UnsendableValue,
    UnshippableCallable,
)
from horus_core.node import Node, Pub, Sub
from horus_core.policy import Restart
from horus_core.recording.options import Recording
from horus_core.scheduler import Interrupted, Scheduler, run
from horus_core.topic import Topic

__all__ = [
    "DuplicateNode",
    "EmptyGraph",
    "HorusError",
    "Interrupted",
    "InvalidValue",
    "Node",
    "NodeFailed",
    "NotARecording",
    "NotRunning",
    "Pub",
    "RecorderFailed",
    "Recording",
    "RecordingDamaged",
    "RecordingError",
    "RecordingExists",
    "RecordingMissing",
    "RecordingTooNew",
    "ReplayRange",
    "Restart",
    "Scheduler",
    "SchedulerBusy",
    "ScriptFailed",
    "SharedMemoryFull",
    "StartFailed",
    "Sub",
    "Topic",
    "TopicConflict",
    "UndecodableMessage",
    "UnknownNode",
    "UnknownTopic",
    "UnsendableValue",
    "UnshippableCallable",
    "budget_remaining",
    "dt",
    "elapsed",
    "ms",
    "now",
    "restarted",
    "rng_float",
    "run",
    "tick",
    "timestamp_ns",
    "us",
]
