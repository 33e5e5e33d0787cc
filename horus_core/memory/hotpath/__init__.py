"""What every tick does, in the fastest form that this machine has.

Two implementations with the same names and the same behaviour: ``native.c``, compiled when HORUS is installed where a C
compiler is, and ``pure``. ``HORUS_NATIVE=0`` in the environment chooses the second; the tests run with both.

``WriterCore``, ``ReaderCore``
    the usual case of a lane's two ends; `lane` has what is rare: new segments, growth, readers that lag
``TickCore``
    what a node's tick begins and ends with, and its ``send`` and ``recv``; `runner` has the rest
``Turn``
    when it is a node's turn, and who is next; `worker` has the rest
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from horus_core.memory.hotpath.topics import Inbox, Outlet
from horus_core.memory.hotpath.turn import FAILED, MISSED, ORPHAN, RAISED, READY, SAFE, STALE, STOP

NATIVE = False
WHY_NOT = ""
if TYPE_CHECKING or os.environ.get("HORUS_NATIVE") == "0":
    from horus_core.memory.hotpath.pure import ReaderCore, TickCore, Turn, WriterCore

    WHY_NOT = "HORUS_NATIVE=0 is set"
else:
    from horus_core.memory.hotpath import words

    try:
        from horus_core.memory.hotpath import native
    except ImportError as problem:
        native = None
        WHY_NOT = "it was not compiled, for lack of a C compiler" if "native" in str(problem) else str(problem)
    else:
        if stale := words.difference(getattr(native, "WORDS", None)):
            native = None
            WHY_NOT = f"it was compiled for another version ({stale}); build it anew: pip install -e . (or install HORUS again)"
    if native is None:
        from horus_core.memory.hotpath.pure import ReaderCore, TickCore, Turn, WriterCore
    else:
        from horus_core.memory.hotpath.native import ReaderCore, TickCore, Turn, WriterCore

        NATIVE = True

__all__ = [
    "FAILED",
    "MISSED",
    "NATIVE",
    "ORPHAN",
    "RAISED",
    "READY",
    "SAFE",
    "STALE",
    "STOP",
    "WHY_NOT",
    "Inbox",
    "Outlet",
    "ReaderCore",
    "TickCore",
    "Turn",
    "WriterCore",
]
