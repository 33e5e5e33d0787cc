"""Runs a script on somebody else's terms: what ``horus run`` and ``horus record inject`` set for the script's first run."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from horus_core.errors import HorusError, InvalidValue, ScriptFailed

if TYPE_CHECKING:
    from horus_core.scheduler.scheduler import Scheduler


@dataclass
class Launch:
    """Settings for the first scheduler that runs in this process; None leaves the script's own.

    Attributes:
        name: the graph's, '' for the script's own.
        record: session name to record under, or the folder to record into, wherever it is.
        overwrite: replace a session of that name.
        duration: seconds.
        tick_rate: Hz.
        execution: "process" or "inline".
        nodes: per node name, fields of NodeSpec to replace (rate in Hz, core, order, failure_policy, ...).
        output: called with node and line instead of printing.
        capture: do not run: :func:`capture_graph` takes the scheduler.
        started: called with the scheduler once its graph is about to run.
        ended: called with the scheduler once its run has ended, however it ended.
    """

    name: str = ""
    record: str | Path | None = None
    overwrite: bool = False
    duration: float | None = None
    tick_rate: float | None = None
    execution: str | None = None
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: Callable[[str, str], None] | None = None
    capture: bool = False
    started: Callable[[Scheduler], None] | None = None
    ended: Callable[[Scheduler], None] | None = None
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


def run_script(path: str | os.PathLike[str], arguments: Sequence[str] = (), launch: Launch | None = None) -> None:
    """Runs a Python script as ``python path arguments`` would, in this process, with `launch` for its first scheduler.

    Args:
        path: the script.
        arguments: its ``sys.argv[1:]``.
        launch: what to change.

    Raises:
        InvalidValue: there is no such script.
    """
    script = Path(path)
    if not script.is_file():
        raise InvalidValue("the script", repr(str(path)), "the path of a Python file")
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=str(script.resolve()), __builtins__=builtins, __cached__=None)
    # The module stays in place: callables of the script are shipped by value because they live in __main__.
    sys.modules["__main__"] = main
    sys.argv[:] = [str(path), *arguments]
    sys.path[0:0] = [str(script.resolve().parent)]
    with launched(launch):
        exec(compile(script.read_bytes(), str(script.resolve()), "exec"), main.__dict__)


def capture_graph(
    path: str | os.PathLike[str], arguments: Sequence[str] = (), launch: Launch | None = None
) -> Scheduler:
    """The first scheduler that a script would run, with all its nodes, without running it.

    Args:
        path, arguments: as for :func:`run_script`.
        launch: settings that it is to have.

    Raises:
        InvalidValue: the script runs no scheduler, or there is no such script.
        ScriptFailed: it ended before that, with an exception or an exit code.
    """
    try:
        run_script(path, arguments, replace(launch or Launch(), capture=True))
    except Captured as captured:
        scheduler: Scheduler = captured.args[0]
        return scheduler
    except HorusError:
        raise
    except SystemExit as problem:
        raise ScriptFailed(str(path), f"it exited with {problem.code!r}", "") from None
    except Exception as problem:
        raise ScriptFailed(str(path), f"{type(problem).__name__}: {problem}", _trace(problem)) from problem
    raise InvalidValue("the script", repr(str(path)), "one that runs a Scheduler, or calls horus.run()")


def _trace(problem: Exception) -> str:
    """The traceback of `problem`, from the script on."""
    frame = problem.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(problem), problem, frame)).rstrip()
