"""What a scheduler was given, checked: the arguments of ``Scheduler`` and ``run``."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from horus_core.engine.placement import usable_cores
from horus_core.errors import InvalidValue
from horus_core.execution.plan import Output, print_line
from horus_core.graph.checks import positive_number
from horus_core.graph.node import checked_rate
from horus_core.recording.writing.options import Recording

DEFAULT_TICK_RATE = 1000.0
EXECUTIONS = ("process", "inline")


class Options(TypedDict, total=False):
    """The keyword arguments of :class:`Scheduler`, which says what each means."""

    tick_rate: float
    rt: bool
    deterministic: bool
    blackbox_mb: int
    watchdog_ms: float
    recording: bool | str | Recording
    recording_overflow: str | None
    name: str | None
    cores: Sequence[int] | None
    max_deadline_misses: int | None
    verbose: bool
    execution: str | None
    pace: bool
    seed: int


@dataclass
class Settings:
    """How a scheduler runs its graph; a launch may change it before the first run.

    Attributes:
        recording: whether, or under which name, to record.
        how: how to record.
        launched: where ``horus run --record`` wants the recording, None if it does not say.
    """

    tick_rate: float
    rt: bool
    deterministic: bool
    blackbox_mb: int
    watchdog: float
    recording: bool | str | Recording
    how: Recording
    name: str
    cores: Sequence[int]
    cores_given: bool
    max_misses: int | None
    execution: str
    paced: bool
    seed: int
    output: Output = print_line
    launched: str | Path | None = None
    overwrite: bool = False

    @classmethod
    def of(cls, given: Options) -> Settings:
        """Checks what the caller gave.

        Raises:
            InvalidValue: an argument is not what it must be.
        """
        execution = given.get("execution") or os.environ.get("HORUS_EXECUTION") or "process"
        if execution not in EXECUTIONS:
            raise InvalidValue("Scheduler execution", repr(execution), "'process' or 'inline'")
        deterministic, paced = given.get("deterministic", False), given.get("pace", True)
        if not paced and not deterministic:
            raise InvalidValue("Scheduler pace", "False without deterministic=True", "both, or real time")
        watchdog, misses = given.get("watchdog_ms", 0), given.get("max_deadline_misses")
        recording, overflow = given.get("recording", False), given.get("recording_overflow")
        how = recording if isinstance(recording, Recording) else Recording()
        if given.get("verbose", False):
            logging.getLogger("horus").setLevel(logging.DEBUG)
        cores = given.get("cores")
        return cls(
            tick_rate=checked_rate("Scheduler tick_rate", given.get("tick_rate", DEFAULT_TICK_RATE)),
            rt=given.get("rt", False),
            deterministic=deterministic,
            blackbox_mb=_count("Scheduler blackbox_mb", given.get("blackbox_mb", 0)),
            watchdog=positive_number("Scheduler watchdog_ms", watchdog, "(milliseconds)") / 1e3
            if watchdog != 0
            else 0.0,
            recording=recording,
            how=how if overflow is None else replace(how, overflow=overflow),
            name=given.get("name") or "horus",
            cores=usable_cores(cores),
            cores_given=bool(cores),
            max_misses=None if misses is None else _count("Scheduler max_deadline_misses", misses),
            execution=execution,
            paced=paced,
            seed=given.get("seed", 0),
        )

    @property
    def wanted_session(self) -> bool | str | Path | Recording:
        """What is to be recorded: by a launch, the environment, or the script."""
        return self.launched or os.environ.get("HORUS_RECORD") or self.recording

    @property
    def has_blackbox(self) -> bool:
        """A graph in this process ends with it, and so would its flight recorder: it has none."""
        return self.blackbox_mb > 0 and self.execution == "process"


def _count(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue(what, repr(value), "a whole number, 0 or more")
    return value
