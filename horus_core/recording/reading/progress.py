"""How much of recordings was read so far, for whoever waits for what does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_watcher: ContextVar[Callable[[int], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(by: Callable[[int], None]) -> Iterator[None]:
    """Calls `by` with the bytes of each batch that is read meanwhile, in this thread.

    >>> read = []
    >>> with watched(read.append):
    ...     note(1000)
    >>> read
    [1000]
    """
    token = _watcher.set(by)
    try:
        yield
    finally:
        _watcher.reset(token)


def note(size: int) -> None:
    """Tells the one who watches, if anybody, that a batch of `size` bytes was read."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(size)
