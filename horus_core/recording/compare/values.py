"""Two decoded values: where they differ, and how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from horus_core.messages.value_offsets import Path
from horus_core.recording.compare.tolerance import NUMERIC, Tolerance

Allowed = Callable[[Path], Tolerance]  # what two numbers at that place may differ by

ABSENT = object()
_SHOWN = 32  # items or bytes of a value that are shown


class Leaf(NamedTuple):
    """One place where two values differ."""

    path: Path
    what: str
    a: Any
    b: Any
    size: float | None


def leaves(a: Any, b: Any, allowed: Allowed) -> Iterator[Leaf]:
    """Where `a` and `b` differ by more than is allowed there."""
    waiting: list[tuple[Path, Any, Any]] = [((), a, b)]
    while waiting:
        path, one, other = waiting.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            keys = {**dict.fromkeys(one), **dict.fromkeys(other)}
            below = [((*path, str(key)), one.get(key, ABSENT), other.get(key, ABSENT)) for key in keys]
            waiting.extend(reversed(below))
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                yield Leaf(path, "length", f"{len(one)} items", f"{len(other)} items", None)
            elif len(one) > _SHOWN and set(map(type, one)) == set(map(type, other)) == {float}:
                yield from _array(path, np.array(one), np.array(other), allowed)
                continue
            both = list(zip(one, other, strict=False))
            waiting.extend(((*path, place), *both[place]) for place in reversed(range(len(both))))
        else:
            yield from _leaf(path, one, other, allowed)


def _leaf(path: Path, a: Any, b: Any, allowed: Allowed) -> Iterator[Leaf]:
    if a is ABSENT or b is ABSENT:
        yield Leaf(path, "only in b" if a is ABSENT else "only in a", a, b, None)
    elif _is_number(a) and _is_number(b):
        unequal, size = allowed(path).apart(a, b)
        if unequal:
            yield Leaf(path, "value", a, b, size)
    elif isinstance(a, (np.ndarray, np.void)) and isinstance(b, (np.ndarray, np.void)):
        yield from _array(path, np.asarray(a), np.asarray(b), allowed)
    elif isinstance(a, bytes) and isinstance(b, bytes):
        yield from _bytes(path, a, b)
    elif type(a) is not type(b):
        yield Leaf(path, "type", a, b, None)
    elif a != b and not (isinstance(a, (np.datetime64, np.timedelta64)) and np.isnat(a) and np.isnat(b)):
        yield Leaf(path, "value", a, b, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.timedelta64))


def _array(path: Path, a: np.ndarray, b: np.ndarray, allowed: Allowed) -> Iterator[Leaf]:
    if a.dtype != b.dtype:
        yield Leaf(path, "type", f"array of {a.dtype}", f"array of {b.dtype}", None)
    elif a.shape != b.shape:
        yield Leaf(path, "shape", f"shape {a.shape}", f"shape {b.shape}", None)
    elif a.dtype.names:
        for name in a.dtype.names:
            yield from _array((*path, name), a[name], b[name], allowed)
    else:
        unequal, size = allowed(path).exceeded(a, b)
        if unequal.any():
            place = tuple(int(each) for each in np.argwhere(unequal)[0])
            largest = float(size[unequal].max()) if a.dtype.kind in NUMERIC else None
            yield Leaf((*path, *place), "value", a[place], b[place], largest)


def _bytes(path: Path, a: bytes, b: bytes) -> Iterator[Leaf]:
    if len(a) != len(b):
        yield Leaf(path, "length", a, b, None)
    elif a != b:
        place = int(np.argmax(np.frombuffer(a, np.uint8) != np.frombuffer(b, np.uint8)))
        yield Leaf((*path, place), "value", a, b, None)


def shown(value: Any) -> Any:
    """`value` as JSON can hold it, cut where it is long."""
    if value is ABSENT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        more = f"... ({len(value)} bytes)" if len(value) > _SHOWN else ""
        return f"hex:{bytes(value[:_SHOWN]).hex()}{more}"
    text = str(value)
    return text if len(text) <= 4 * _SHOWN else f"{text[: 4 * _SHOWN]}... ({len(text)} characters)"
