"""A node's callbacks as functions of the node, whatever they take, async or not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from horus_core.graph.node import takes_node

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class EventLoop:
    """The event loop of a node, made with the first async callback."""

    def __init__(self) -> None:
        self._loop: AbstractEventLoop | None = None

    def run(self, waiting: Coroutine[Any, Any, Any]) -> Any:
        """What `waiting` returns."""
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(waiting)

    def close(self) -> None:
        """Closes the loop, if there is one."""
        if self._loop is not None:
            self._loop.close()


def adapted(callback: Callable[..., Any], role: str, loop: EventLoop) -> Callable[..., Any]:
    """The callback for `role` as a function of the node (and the exception), whatever it takes, async or not."""
    full = takes_node(callback, 2 if role == "on_error" else 1)
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
        return lambda *arguments: loop.run(callback(*(arguments if full else arguments[1:])))
    return callback if full else lambda *arguments: callback(*arguments[1:])
