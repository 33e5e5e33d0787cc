"""Signal handlers of ours, which a child that is forked meanwhile does not inherit: in it a signal does what it did before.

Else SIGTERM would not end the workers of a pool that a node keeps: the pool would wait for them for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
_before: dict[int, Any] = {}  # what is to be in place in a child


@contextlib.contextmanager
def handling(handlers: Mapping[int, Handler]) -> Iterator[None]:
    """Installs `handlers` for the block; for the main thread."""
    before = {number: handle(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
            _before.pop(number, None)


def handle(number: int, handler: Handler) -> Any:
    """Installs a handler for this process, but for none that it forks. Returns the one before."""
    _before[number] = signal.getsignal(number)
    return signal.signal(number, handler)


def _restore() -> None:
    for number, handler in _before.items():
        signal.signal(number, handler)
    _before.clear()


os.register_at_fork(after_in_child=_restore)
