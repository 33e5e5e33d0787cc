"""The hot path in Python: what runs where ``native.c`` was not compiled, and says in few words what that does."""

from horus_core.memory.hotpath.pure.lane_ends import ReaderCore, WriterCore
from horus_core.memory.hotpath.pure.tick import TickCore
from horus_core.memory.hotpath.pure.turn import Turn

__all__ = ["ReaderCore", "TickCore", "Turn", "WriterCore"]
