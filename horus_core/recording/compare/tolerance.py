"""What two numbers may differ by: of all fields, or of single ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from horus_core.errors import InvalidValue, closest
from horus_core.recording.compare.field_names import names_of

NUMERIC = "iufc"  # dtypes that a tolerance goes for; True and False are no numbers
Given = float | tuple[float, float]  # an absolute one, or an absolute and a relative one
_LARGEST = (1 << 64) - 1


class Tolerance(NamedTuple):
    """Two numbers are taken as equal if they differ by at most ``max(absolute, relative * the larger magnitude)``.

    Integers are compared as integers, however large: 2**60 and 2**60 + 1 are 1 apart.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def exceeded(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which elements of two arrays differ, and by how much. NaN equals NaN, NaT equals NaT."""
        unequal = np.asarray(a != b)
        kinds = a.dtype.kind + b.dtype.kind
        if kinds in ("mm", "MM"):
            unequal &= ~(np.isnat(a) & np.isnat(b))
        elif "f" in kinds or "c" in kinds:
            unequal &= ~((a != a) & (b != b))
        if not all(kind in NUMERIC for kind in kinds) or not unequal.any():
            return unequal, np.zeros(unequal.shape)
        if kinds in ("ii", "uu"):
            return self._integers(a, b, unequal)
        kind = np.complex128 if "c" in kinds else np.float64
        with np.errstate(invalid="ignore", over="ignore"):
            one, other = a.astype(kind), b.astype(kind)
            size = np.abs(one - other)
            if self.absolute or self.relative:
                margin = np.maximum(self.absolute, self.relative * np.maximum(np.abs(one), np.abs(other)))
                unequal &= ~((size <= margin) & np.isfinite(size))
        return unequal, size

    def _integers(self, a: np.ndarray, b: np.ndarray, unequal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = np.int64 if a.dtype.kind == "i" else np.uint64
        one, other = a.astype(wide), b.astype(wide)
        size = np.maximum(one, other).view(np.uint64) - np.minimum(one, other).view(np.uint64)  # modulo 2**64: exact
        if self.absolute:
            unequal &= size > np.uint64(min(math.floor(min(self.absolute, _LARGEST)), _LARGEST))
        sizes = size.astype(np.float64)
        if self.relative:
            largest = np.maximum(np.abs(one.astype(np.float64)), np.abs(other.astype(np.float64)))
            unequal &= sizes > self.relative * largest
        return unequal, sizes

    def apart(self, a: Any, b: Any) -> tuple[bool, float]:
        """Whether two numbers differ, and by how much."""
        if a == b or (a != a and b != b):
            return False, 0.0
        one, other = _exact(a), _exact(b)
        if isinstance(one, complex) or isinstance(other, complex):
            size, largest = float(abs(one - other)), 0.0
        elif isinstance(one, int) and isinstance(other, int):
            size, largest = abs(one - other), max(abs(one), abs(other))
        else:
            size, largest = abs(float(one) - float(other)), max(abs(float(one)), abs(float(other)))
        within = size <= self.absolute or (self.relative > 0 and size <= self.relative * largest)
        return not (within and math.isfinite(size)) or not (self.absolute or self.relative), float(size)


def _exact(value: Any) -> Any:
    """A number as Python's own; a float that is whole as the integer that it equals."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, np.longdouble):
        plain = float(plain)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


class Tolerances:
    """What numbers may differ by, field by field.

    Args:
        default: of all fields that nothing else is said of.
        fields: by name, as ``TOPIC.FIELD`` or ``TOPIC``, with what is below it; ``*`` and ``?`` stand for any letters. The
            last that fits a field goes for it.

    Raises:
        InvalidValue: a tolerance is negative.
    """

    def __init__(self, default: Given, fields: Mapping[str, Given] | None = None) -> None:
        self.default = _checked("the tolerance", default)
        self._fields = {name: _checked(f"the tolerance of {name!r}", given) for name, given in (fields or {}).items()}

    @property
    def differ(self) -> bool:
        """Whether some fields have one of their own."""
        return bool(self._fields)

    def of(self, topic: str, field: str) -> Tolerance:
        """What goes for a field of a topic."""
        names = [topic, *(f"{topic}.{name}" for name in names_of(field))]
        fitting = [
            found for pattern, found in self._fields.items() if any(fnmatchcase(name, pattern) for name in names)
        ]
        return fitting[-1] if fitting else self.default


def check_fields(names: Iterable[str], topics: Sequence[str]) -> None:
    """Checks that each of `names` fits one of `topics`: a misspelt one would go unnoticed.

    Raises:
        InvalidValue: one does not.
    """
    for name in names:
        heads = [name[:place] for place, each in enumerate(f"{name}.") if each == "."]
        if not any(fnmatchcase(topic, head) for topic in topics for head in heads):
            meant = closest(name.split(".")[0], topics)
            raise InvalidValue(
                "the tolerance", f"of {name!r}{meant}", f"of TOPIC.FIELD, TOPIC one of {', '.join(topics)}"
            )


def _checked(what: str, given: Given) -> Tolerance:
    found = Tolerance(*given) if isinstance(given, tuple) else Tolerance(given)
    if not (found.absolute >= 0 and found.relative >= 0):
        raise InvalidValue(what, repr(given), "numbers of at least 0")
    return found
