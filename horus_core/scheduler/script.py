"""Runs a script as ``python SCRIPT`` would, in this process; or takes the graph that it would run."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from horus_core.errors import HorusError, InvalidValue, ScriptFailed
from horus_core.scheduler.launch import Captured, Launch, launched
from horus_core.scheduler.scheduler import Scheduler


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
