"""Which numbers a column holds, and which type holds them all.

Of integers it is noted whether there are negative ones, ones of 2**63 and more, and ones that no float64 equals; of a
column, whether there are floats too. Facts join by union, so the order in which values come does not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

# Facts, bits of a number: Flag's unions take a microsecond each, and there is one per value.
NEGATIVE = 1
LARGE = 2  # 2**63 or more
LONG = 4  # an integer that no float64 equals
FLOATS = 8
BEYOND = 16  # an integer beyond 2**53, so that those between may be long
_EXACT = 1 << 53


class Numbers(NamedTuple):
    """A kind of numbers; `fixed` is its NumPy dtype where all of them have one of less than 64 bits, or are float64."""

    facts: int
    fixed: str = ""

    @property
    def split(self) -> bool:
        """Whether there are floats, and integers that no float64 equals."""
        return bool(self.facts & FLOATS and self.facts & LONG)

    @property
    def no_type(self) -> bool:
        """Whether no type holds the integers among them: negative ones, and ones of 2**63 and more."""
        as_floats = self.facts & FLOATS and not self.facts & LONG
        return bool(self.facts & NEGATIVE and self.facts & LARGE and not as_floats)

    def arrow_type(self) -> pa.DataType:
        """The type of a column that holds them all."""
        if self.fixed:
            return pa.type_for_alias(self.fixed)
        if self.no_type or self.split:
            return pa.string()
        if self.facts & FLOATS:
            return pa.float64()
        return pa.uint64() if self.facts & LARGE else pa.int64()

    def integers(self) -> str:
        """The kind of the integers among them.

        >>> NUMBERS["long natural or float"].integers()
        'long natural'
        """
        return named(self.facts & ~FLOATS)


def named(facts: int) -> str:
    """The name of the kind with these facts.

    >>> named(NEGATIVE), named(LARGE | LONG | FLOATS)
    ('integer', 'long large or float')
    """
    return _NAMES[facts & ~BEYOND]


def _name(facts: int) -> str:
    kind = ("natural", "integer", "large", "negative or large")[facts & (NEGATIVE | LARGE)]
    return f"{'long ' if facts & LONG else ''}{kind}{' or float' if facts & FLOATS else ''}"


_NAMES = [_name(facts) for facts in range(BEYOND)]
_FIXED = {
    **{f"int{bits}": NEGATIVE for bits in (8, 16, 32)},
    **{f"uint{bits}": 0 for bits in (8, 16, 32)},
}
NUMBERS = {
    **{name: Numbers(facts) for facts, name in enumerate(_NAMES)},
    **{name: Numbers(facts, name) for name, facts in _FIXED.items()},
    **{name: Numbers(FLOATS, name) for name in ("float32", "float64")},
}


def join_numbers(a: str, b: str) -> str:
    """The kind that holds the numbers of both kinds, which are not the same.

    >>> join_numbers("int8", "uint8"), join_numbers("natural", "float32"), join_numbers("float32", "float64")
    ('int16', 'natural or float', 'float64')
    """
    if {a, b} == {"float32", "float64"}:
        return "float64"
    if a in _FIXED and b in _FIXED:
        found: str = np.promote_types(a, b).name
        return found if found in _FIXED else named(_FIXED[a] | _FIXED[b])
    return named(NUMBERS[a].facts | NUMBERS[b].facts)


def integer_facts(value: int) -> int:
    """The facts of one integer."""
    found = NEGATIVE if value < 0 else LARGE if value >= 1 << 63 else 0
    if -_EXACT <= value <= _EXACT:
        return found
    return found | BEYOND | (0 if int(float(value)) == value else LONG)


def facts_of(array: np.ndarray) -> int:
    """The facts of integers of 64 bits."""
    if not array.size:
        return 0
    found = integer_facts(int(array.min())) | integer_facts(int(array.max()))
    if found & BEYOND and not found & LONG and not _floats_equal(array):
        found |= LONG
    return found


def _floats_equal(array: np.ndarray) -> bool:
    """Whether a float64 equals each of these integers."""
    floats = array.astype(np.float64)
    inside = floats < (2.0**63 if array.dtype.kind == "i" else 2.0**64)  # what is rounded up to there is not equal
    return bool(inside.all() and (floats.astype(array.dtype) == array).all())
