"""How a node sends and receives on a topic, as its tick sees it; the fields stand in this order in ``native.c``, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from horus_core.memory.hotpath.pure.lane_ends import ReaderCore, WriterCore


class Outlet(NamedTuple):
    """How a node sends on a topic.

    Attributes:
        writer: the lane.
        encode: makes the encoding and the payload of any value.
        pack: for an untyped topic, makes msgpack of a value; else None.
        arrays: the arrays that `pack` met.
        rest: goes on with what `pack` made, if there are any.
    """

    writer: WriterCore
    encode: Callable[[Any], tuple[int, Any]]
    pack: Callable[[Any], bytes] | None
    arrays: list[Any]
    rest: Callable[[bytes], tuple[int, Any]]


class Inbox(NamedTuple):
    """How a node receives on a topic.

    Attributes:
        readers: the lanes.
        decode: makes the value of an encoding and a payload.
        view: the same, with arrays as views of shared memory.
        unpack: for an untyped topic, reads a msgpack object; else None.
    """

    readers: tuple[ReaderCore, ...]
    decode: Callable[..., Any]
    view: Callable[..., Any]
    unpack: Callable[..., Any] | None
