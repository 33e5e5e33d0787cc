"""HORUS: a multi-process robotics runtime with record and replay.

This package is the public API and nothing else: everything here comes from ``horus_core``. What runs a graph is imported when
it is first asked for: the process of a node that only wants to know the time has no need of it.
"""

from __future__ import annotations

import importlib
import sys
import typing

if not sys.platform.startswith("linux"):
    raise ImportError(f"HORUS runs on Linux only (x86-64 and aarch64), this is {sys.platform}")

from horus_core.engine.clock import budget_remaining, dt, elapsed, ms, now, restarted, rng_float, tick, timestamp_ns, us
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
    SampleMissing,
    SchedulerBusy,
    ScriptFailed,
    SharedMemoryFull,
    StartFailed,
    TopicConflict,
    UndecodableMessage,
    UnknownNode,
    UnknownSample,
    UnknownTopic,
    UnsendableValue,
    UnshippableCallable,
)
from horus_core.graph.declaration import Pub, Sub
from horus_core.graph.node import Node
from horus_core.graph.policies import Failure, Miss
from horus_core.graph.restart import Restart

if typing.TYPE_CHECKING:
    from horus_core.inspection.topic import Topic
    from horus_core.recording.writing.options import Recording
    from horus_core.scheduler.scheduler import Interrupted, Scheduler, run

_LATER = dict.fromkeys(("Interrupted", "Scheduler", "run"), "horus_core.scheduler.scheduler") | {
    "Topic": "horus_core.inspection.topic",
    "Recording": "horus_core.recording.writing.options",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "DuplicateNode",
    "EmptyGraph",
    "Failure",
    "HorusError",
    "Interrupted",
    "InvalidValue",
    "Miss",
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
    "SampleMissing",
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
    "UnknownSample",
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
