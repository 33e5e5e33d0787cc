"""Side inputs of a node: what a function returned is recorded, and in a replay given back without a call."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from horus_core.errors import UnknownSample
from horus_core.memory.hotpath import Outlet
from horus_core.messages.encoding import RAISED, Decoder


class Recorded(Protocol):
    """The side inputs that a node read when it was recorded."""

    def next(self, name: str, tick: int) -> tuple[int, memoryview]:
        """The encoding and the payload of the next one called `name` that was read in `tick`.

        Raises:
            SampleMissing: there is none.
        """


class Sampling:
    """The side inputs of one node.

    Args:
        node: its name.
        outlets: per name, its lane and how to encode.
        put: sends an encoding and a payload in the tick that runs, into an outlet.
        recorded: what was read when the node was recorded; None to read.
    """

    def __init__(
        self,
        node: str,
        outlets: Mapping[str, Outlet],
        put: Callable[[Outlet, int, Any], None],
        recorded: Recorded | None,
    ) -> None:
        self._node, self._outlets, self._put, self._recorded = node, outlets, put, recorded
        self._decoders = {name: Decoder(name, None) for name in outlets}

    def take(self, name: str, function: Callable[[], Any], tick: int) -> Any:
        """See :meth:`Node.sample`."""
        if name not in self._outlets:
            raise UnknownSample(self._node, name, tuple(self._outlets))
        if self._recorded is None:
            try:
                value = function()
            except Exception as problem:
                self._keep(name, RAISED, raised(problem))
                raise
            return self._awaited(name, value) if inspect.isawaitable(value) else self._kept(name, value)
        encoding, payload = self._recorded.next(name, tick)
        self._keep(name, encoding, bytes(payload))
        given = self._given(name, encoding, payload)
        return _ready(given) if inspect.iscoroutinefunction(function) else given()

    async def _awaited(self, name: str, waiting: Any) -> Any:
        try:
            value = await waiting
        except Exception as problem:
            self._keep(name, RAISED, raised(problem))
            raise
        return self._kept(name, value)

    def _kept(self, name: str, value: Any) -> Any:
        encoding, payload = self._outlets[name].encode(value)
        data = bytes(payload)
        self._keep(name, encoding, data)
        return self._decoders[name].decode(encoding, memoryview(data))

    def _keep(self, name: str, encoding: int, data: bytes) -> None:
        self._put(self._outlets[name], encoding, data)

    def _given(self, name: str, encoding: int, payload: memoryview) -> Callable[[], Any]:
        def give() -> Any:
            if encoding == RAISED:
                raise exception_of(bytes(payload))
            return self._decoders[name].decode(encoding, payload)

        return give


async def _ready(give: Callable[[], Any]) -> Any:
    return give()


class SampleRaised(RuntimeError):
    """What a side input raised when it was recorded, of a type that is not known here."""


def raised(problem: BaseException) -> bytes:
    """An exception as the payload of a message: its type, its words, and its arguments where they are plain."""
    kind, given = type(problem), problem.args
    if isinstance(problem, OSError) and problem.filename is not None:
        given = (problem.errno, problem.strerror, problem.filename)  # its args are without the name
    try:
        arguments = msgspec.msgpack.decode(msgspec.msgpack.encode(given))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        arguments = None
    return msgspec.msgpack.encode(
        {"raised": f"{kind.__module__}.{kind.__qualname__}", "text": str(problem), "args": arguments}
    )


def exception_of(payload: bytes) -> Exception:
    """The exception that :func:`raised` wrote down.

    Nothing is imported for it and nothing else is called than the constructor of an exception type that is loaded here already.
    """
    facts = msgspec.msgpack.decode(payload)
    module, _, name = str(facts["raised"]).rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and facts["args"] is not None:
        with contextlib.suppress(Exception):  # of a constructor that wants something else
            return kind(*facts["args"])
    return SampleRaised(f"{facts['raised']}: {facts['text']}")
