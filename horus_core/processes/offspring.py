"""What a node starts itself, in the node's process: multiprocessing, subprocess and fork as in a plain script.

A node's ``__main__`` is not the user's script, a node ignores Ctrl-C, collects its garbage between ticks and ends without the
interpreter's last steps. None of that may be felt by what it starts:

* Functions and classes of the script travel to a pool or a process by their definition; the script is not run again.
* A child has Python's own handler for SIGINT, and its own garbage collection.
* When the node ends, its pools and daemonic processes end, others have a moment to, and shared memory and semaphores that
  multiprocessing knows of are taken away.

`family` has what is left to do if the node was killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import signal
import sys
import time
import types
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from horus_core.processes.shipping import dump, load
from horus_core.processes.signals import handle

JOIN_SECONDS = (
    2.0  # for processes that are not daemonic; a script would wait for ever, and the node could not start again
)
_TRACKER_SECONDS = 1.0
_REDUCTION = "multiprocessing.reduction"


def ignore_interrupts() -> None:
    """Ctrl-C is the supervisor's, it stops us in order. By a handler: what a child would inherit is SIG_IGN."""
    handle(signal.SIGINT, _ignore)


def _ignore(*_: Any) -> None:
    pass


def as_in_a_script() -> None:
    """Prepares this process, a node's, before its callbacks are there."""
    os.register_at_fork(after_in_child=_be_a_script)
    teach_multiprocessing()


def _be_a_script() -> None:
    gc.unfreeze()
    gc.enable()


def teach_multiprocessing() -> None:
    """Lets multiprocessing ship what the script defines; it is not imported for that, but met when it is."""
    if _REDUCTION in sys.modules:
        sys.modules[_REDUCTION].ForkingPickler.reducer_override = _reduce
    elif not any(isinstance(each, _WhenImported) for each in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported(MetaPathFinder):
    """Finds one module as everybody does, and has it taught when it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _REDUCTION:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                teach_multiprocessing()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _reduce(_: Any, value: Any) -> Any:
    """For ForkingPickler: what is of the script and cannot be found in ``__main__`` here goes by its definition."""
    if not isinstance(value, (types.FunctionType, type)) or value.__module__ != "__main__":
        return NotImplemented
    name = value.__qualname__
    if "<" in name or name.partition(".")[0] in vars(sys.modules["__main__"]):
        return NotImplemented
    return _arrive, (dump(value),)


def _arrive(data: bytes) -> Any:
    """What :func:`_reduce` took apart; from now on this process can send the like back."""
    teach_multiprocessing()
    return load(data)


def end_offspring() -> None:
    """What multiprocessing does when an interpreter ends, bounded in time; the node's process ends right after it."""
    with contextlib.suppress(Exception):
        if (util := sys.modules.get("multiprocessing.util")) is not None:
            util._run_finalizers(0)
            _end_processes()
            util._run_finalizers()
    with contextlib.suppress(OSError):
        _end_tracker()


def _end_processes() -> None:
    from multiprocessing import active_children

    deadline = time.monotonic() + JOIN_SECONDS
    for child in active_children():
        if child.daemon:
            child.terminate()
    for child in active_children():
        child.join(max(0.0, deadline - time.monotonic()))


def _end_tracker() -> None:
    """Lets the process that takes multiprocessing's names away do so, and waits for it."""
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    descriptor, pid = getattr(tracker, "_fd", None), getattr(tracker, "_pid", None)
    if descriptor is None or pid is None:
        return
    os.close(descriptor)
    deadline = time.monotonic() + _TRACKER_SECONDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.002)
