"""What a missed deadline and a failure do, by name; the strings mean the same."""

from __future__ import annotations

from enum import StrEnum


class Miss(StrEnum):
    """What a missed deadline does: ``Node(on_miss=Miss.STOP)``."""

    WARN = "warn"  # says so once
    SKIP = "skip"  # counts it
    SAFE_MODE = "safe_mode"  # safe mode begins
    STOP = "stop"  # the graph ends


class Failure(StrEnum):
    """What an exception or a crash of a node does: ``Node(failure_policy=Failure.SKIP)``."""

    FATAL = "fatal"  # the graph ends
    RESTART = "restart"  # the node is started again, see :class:`Restart`
    SKIP = "skip"  # the graph goes on without the node
    IGNORE = "ignore"  # an exception is logged, and the node goes on
