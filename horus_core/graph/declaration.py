"""How a node declares its topics: ``Pub``, ``Sub``, and the shorter forms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from horus_core.errors import InvalidValue
from horus_core.graph.checks import whole
from horus_core.graph.spec import TopicSpec


class Pub:
    """Declares that a node publishes a topic.

    Args:
        topic: its name.
        msg_type: the type of its values: a dataclass, a ``msgspec.Struct`` or a builtin; None for any value.
        capacity: messages that a slow subscriber may fall behind before the oldest are dropped.
        latch: the last message is the first that a subscriber gets when it starts to listen: when it is started again, in a
            replay from the middle, from ``horus topic echo``. For what is sent once, a map or a calibration.
    """

    def __init__(self, topic: str, msg_type: Any = None, capacity: int = 1024, latch: bool = False) -> None:
        self.topic, self.msg_type, self.capacity, self.latch = topic, msg_type, capacity, bool(latch)

    def __repr__(self) -> str:
        latch = ", latch=True" if self.latch else ""
        return f"{type(self).__name__}({self.topic!r}, {self.msg_type!r}, {self.capacity}{latch})"


class Sub(Pub):
    """Declares that a node subscribes to a topic; arguments as for :class:`Pub`. Whether it is latched, its publisher says."""

    def __init__(self, topic: str, msg_type: Any = None, capacity: int = 1024) -> None:
        super().__init__(topic, msg_type, capacity)


Topics = str | type | Pub | Sequence[str | type | Pub] | dict[str, Any] | None


def declared_topics(where: str, role: str, topics: Topics, capacity: int) -> tuple[TopicSpec, ...]:
    """The topics that a node declared, in whatever form.

    Args:
        where: names the node in errors.
        role: "pubs" or "subs".
        topics: a name, a type, a :class:`Pub`, a list of these, or a dict.
        capacity: of those that do not give their own.

    Raises:
        InvalidValue: a declaration is not what it must be.
    """
    capacity = whole(f"{where} default_capacity", capacity, 1)
    if topics is None:
        entries: list[TopicSpec] = []
    elif isinstance(topics, dict):
        entries = [_from_dict(where, role, name, kind, capacity) for name, kind in topics.items()]
    elif isinstance(topics, (str, type, Pub)):
        entries = [_topic(where, role, topics, capacity)]
    else:
        try:
            entries = [_topic(where, role, each, capacity) for each in topics]
        except TypeError:
            raise InvalidValue(
                f"{where} {role}", repr(topics), "a topic name, a type, or a list or dict of these"
            ) from None
    for entry in entries:
        name = entry.name
        if not isinstance(name, str) or not name or len(name) > 200 or not name.isprintable():
            raise InvalidValue(
                f"{where} a topic in {role}", repr(name)[:220], "a name of 1 to 200 printable characters"
            )
        whole(f"{where} capacity of topic {name!r}", entry.capacity, 1, 1 << 20)
    return tuple({entry.name: entry for entry in entries}.values())


def _topic(where: str, role: str, topic: Any, capacity: int) -> TopicSpec:
    if isinstance(topic, str):
        return TopicSpec(topic, None, capacity)
    if isinstance(topic, Pub):
        return TopicSpec(topic.topic, _kind(where, topic.topic, topic.msg_type), topic.capacity, topic.latch)
    if isinstance(topic, type):
        return TopicSpec(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", topic.__name__).lower(), topic, capacity)
    raise InvalidValue(f"{where} a topic in {role}", repr(topic), "a name, a type, or a Pub or Sub")


def _from_dict(where: str, role: str, name: str, kind: Any, capacity: int) -> TopicSpec:
    if isinstance(kind, dict):
        forms = ("type", "capacity", "latch") if role == "pubs" else ("type", "capacity")
        unknown = set(kind) - set(forms)
        if unknown:
            raise InvalidValue(
                f"{where} topic {name!r} in {role}",
                repr(kind),
                "a type, or {" + ", ".join(f"{each!r}: ..." for each in forms) + "}",
            )
        latch = role == "pubs" and bool(kind.get("latch", False))
        return TopicSpec(name, _kind(where, name, kind.get("type")), kind.get("capacity", capacity), latch)
    return TopicSpec(name, _kind(where, name, kind), capacity)


def _kind(where: str, topic: str, kind: Any) -> Any:
    if kind is None or isinstance(kind, type):
        return kind
    raise InvalidValue(
        f"{where} the type of topic {topic!r}", repr(kind), "a class (dataclass, msgspec.Struct, builtin) or None"
    )
