"""Two decoded values: where they differ, and how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from horus_core.messages.value_offsets import Path

ABSENT = object()
_SHOWN = 32  # items or bytes of a value that are shown


class Tolerance(NamedTuple):
    """Two numbers are taken as equal if they differ by at most ``max(absolute, relative * the larger magnitude)``."""

    absolute: float = 0.0
    relative: float = 0.0

    def exceeded(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which elements differ, and by how much. NaN equals NaN."""
        unequal = a != b
        if a.dtype.kind in "fc" or b.dtype.kind in "fc":
            unequal &= ~((a != a) & (b != b))
        if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc" or not unequal.any():
            return unequal, np.zeros(unequal.shape)
        kind = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
        with np.errstate(invalid="ignore", over="ignore"):
            one, other = a.astype(kind), b.astype(kind)
            size = np.abs(one - other)
            if self.absolute or self.relative:
                margin = np.maximum(self.absolute, self.relative * np.maximum(np.abs(one), np.abs(other)))
                unequal &= ~((size <= margin) & np.isfinite(size))
        return unequal, size


class Leaf(NamedTuple):
    """One place where two values differ."""

    path: Path
    what: str
    a: Any
    b: Any
    size: float | None


def leaves(a: Any, b: Any, tolerance: Tolerance) -> Iterator[Leaf]:
    """Where `a` and `b` differ."""
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
                yield from _array(path, np.array(one), np.array(other), tolerance)
                continue
            both = list(zip(one, other, strict=False))
            waiting.extend(((*path, place), *both[place]) for place in reversed(range(len(both))))
        else:
            yield from _leaf(path, one, other, tolerance)


def _leaf(path: Path, a: Any, b: Any, tolerance: Tolerance) -> Iterator[Leaf]:
    if a is ABSENT or b is ABSENT:
        yield Leaf(path, "only in b" if a is ABSENT else "only in a", a, b, None)
    elif _is_number(a) and _is_number(b):
        yield from _number(path, a, b, tolerance)
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        yield from _array(path, a, b, tolerance)
    elif isinstance(a, bytes) and isinstance(b, bytes):
        yield from _bytes(path, a, b)
    elif type(a) is not type(b):
        yield Leaf(path, "type", a, b, None)
    elif a != b:
        yield Leaf(path, "value", a, b, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _number(path: Path, a: Any, b: Any, tolerance: Tolerance) -> Iterator[Leaf]:
    if a == b or (a != a and b != b):
        return
    try:
        size = float(abs(a - b) if type(a) is type(b) is int else abs(float(a) - float(b)))
        margin = max(tolerance.absolute, tolerance.relative * max(abs(float(a)), abs(float(b))))
    except TypeError:  # complex
        size, margin = float(abs(complex(a) - complex(b))), tolerance.absolute
    if not (size <= margin and math.isfinite(size)) or margin == 0.0:
        yield Leaf(path, "value", a, b, size)


def _array(path: Path, a: np.ndarray, b: np.ndarray, tolerance: Tolerance) -> Iterator[Leaf]:
    if a.dtype != b.dtype:
        yield Leaf(path, "type", f"array of {a.dtype}", f"array of {b.dtype}", None)
    elif a.shape != b.shape:
        yield Leaf(path, "shape", f"shape {a.shape}", f"shape {b.shape}", None)
    else:
        unequal, size = tolerance.exceeded(a, b)
        if unequal.any():
            place = tuple(int(each) for each in np.argwhere(unequal)[0])
            largest = float(size[unequal].max()) if a.dtype.kind in "biufc" else None
            yield Leaf((*path, *place), "value", a[place], b[place], largest)


def _bytes(path: Path, a: bytes, b: bytes) -> Iterator[Leaf]:
    if len(a) != len(b):
        yield Leaf(path, "length", a, b, None)
    elif a != b:
        place = int(np.argmax(np.frombuffer(a, np.uint8) != np.frombuffer(b, np.uint8)))
        yield Leaf((*path, place), "value", a, b, None)


def field_name(path: Path) -> str:
    """The name of the field that `path` leads to, whatever the places in lists.

    >>> field_name(("objects", 3, "x")), field_name(("ranges", 17)), field_name(())
    ('objects[].x', 'ranges', 'value')
    """
    steps = list(path)
    while steps and isinstance(steps[-1], int):
        steps.pop()
    return _joined(tuple(steps), lambda place: "[]")


def place_name(path: Path) -> str:
    """The same with the places.

    >>> place_name(("objects", 3, "x")), place_name((2,))
    ('objects[3].x', 'value[2]')
    """
    return _joined(path, lambda place: f"[{place}]")


def _joined(path: Path, index: Callable[[int], str]) -> str:
    name = ""
    for step in path:
        separator = "." if name else ""
        name = (name or "value") + index(step) if isinstance(step, int) else f"{name}{separator}{step}"
    return name or "value"


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
