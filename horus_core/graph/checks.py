"""Checks of what a user gives, each with an error that names the thing and what was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from horus_core.errors import InvalidValue


def positive_number(what: str, value: Any, unit: str = "") -> float:
    """`value` as a float, if it is a finite number above 0.

    Raises:
        InvalidValue: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise InvalidValue(what, repr(value), f"a number above 0{' ' + unit if unit else ''}")
    return float(value)


def whole(what: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """`value`, if it is a whole number within the bounds.

    Raises:
        InvalidValue: it is not.
    """
    wrong = isinstance(value, bool) or not isinstance(value, int)
    if wrong or (least is not None and value < least) or (most is not None and value > most):
        bounds = f" from {least} to {most}" if most is not None else f", {least} or more" if least is not None else ""
        raise InvalidValue(what, repr(value), f"a whole number{bounds}")
    return int(value)


def one_of(what: str, value: Any, allowed: Sequence[str]) -> str:
    """`value`, if it is one of `allowed`.

    Raises:
        InvalidValue: it is not.
    """
    if value not in allowed:
        raise InvalidValue(what, repr(value), "one of " + ", ".join(repr(each) for each in allowed))
    return str(value)
