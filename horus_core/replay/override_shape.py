"""Whether an override can be what it stands for, checked before the graph starts.

Where a live node declares the topic's type, the value must be one of that type, without fields that it has not. Where only
the recording knows that the topic had a type, the first recorded message shows its fields. Topics without a type take
anything, as bytes and functions are taken as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from horus_core.errors import InvalidValue, UndecodableMessage, UnsendableValue, closest
from horus_core.graph.spec import Graph
from horus_core.messages.encoding import Decoder, Encoder
from horus_core.recording.reading.messages import read_messages
from horus_core.recording.reading.reader import Session

_BYTES = (bytes, bytearray, memoryview)


def check_overrides(overrides: Mapping[tuple[str, str], Any], sessions: Mapping[str, Session], graph: Graph) -> None:
    """Checks what replayed nodes are to send in the place of what was recorded.

    Args:
        overrides: per (node, topic), what to send.
        sessions: per replayed node, its session.
        graph: the graph that is to run.

    Raises:
        InvalidValue: a value is not of the topic's type, or has a field that its messages have not.
    """
    kinds = {lane.topic: lane.kind for lane in graph.lanes if lane.kind is not None}
    for (node, topic), value in overrides.items():
        if isinstance(value, _BYTES) or callable(value):
            continue
        what = f"the override of topic {topic!r} of {node!r}"
        if topic in kinds:
            _check_type(what, node, topic, kinds[topic], value)
        elif node in sessions and any(lane.type for lane in sessions[node].graph.lanes if lane.topic == topic):
            for message in _first_message(sessions[node], node, topic):
                _check_like(what, message, value)


def _check_type(what: str, node: str, topic: str, kind: Any, value: Any) -> None:
    try:
        Encoder(node, topic, kind).encode(value)
    except UnsendableValue as problem:
        why = str(problem.args[-1]).rstrip(".")
        raise InvalidValue(what, repr(value)[:80], f"a {kind.__name__}; {why}") from None
    try:
        fields = msgspec.inspect.type_info(kind)
    except TypeError:  # a class that only this program knows
        return
    for path, names in _unknown(fields, value, ()):
        raise InvalidValue(what, f"with a field {'.'.join(path)!r}{closest(path[-1], names)}", _one_of(names))


def _one_of(names: list[str]) -> str:
    return f"fields out of {', '.join(names)}"


def _unknown(kind: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The fields of `value` that its type has not, each with those that there are."""
    if isinstance(kind, msgspec.inspect.UnionType):
        with_fields = [each for each in kind.types if hasattr(each, "fields")]
        kind = with_fields[0] if len(with_fields) == 1 else None
    if isinstance(value, dict) and hasattr(kind, "fields"):
        fields = {field.encode_name: field.type for field in kind.fields}
        for name, below in value.items():
            if name in fields:
                yield from _unknown(fields[name], below, (*path, name))
            else:
                yield (*path, str(name)), list(fields)
    elif isinstance(value, list) and hasattr(kind, "item_type"):
        for below in value:
            yield from _unknown(kind.item_type, below, path)


def _first_message(session: Session, node: str, topic: str) -> Iterator[Any]:
    """The first message that was recorded; nothing where none was, or it does not decode."""
    for block in read_messages(session, node, [], [topic]):
        with contextlib.suppress(UndecodableMessage):
            yield Decoder(topic).decode(int(block.encoding[0]), block.payload(0))
        return


def _check_like(what: str, message: Any, value: Any) -> None:
    if isinstance(message, dict) != isinstance(value, dict):
        shape = f"a dict with {', '.join(map(str, message))}" if isinstance(message, dict) else _kind(message)
        raise InvalidValue(what, repr(value)[:80], f"{shape}, as what was recorded")
    if isinstance(message, dict):
        names = [str(name) for name in message]
        for name in value:
            if str(name) not in names:
                raise InvalidValue(what, f"with a field {str(name)!r}{closest(str(name), names)}", _one_of(names))


def _kind(message: Any) -> str:
    return "a number" if isinstance(message, (int, float)) else f"a {type(message).__name__}"
