"""NumPy's dates and durations as columns.

Units that Arrow has not are turned into ones that it has where that loses nothing. What Python's own types
cannot hold (dates before the year 1 or after 9999), and units finer than a nanosecond, stay text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

_UNITS = ("s", "ms", "us", "ns")
DURATIONS = frozenset(f"duration {unit}" for unit in _UNITS)
TYPES = {
    "date": pa.date32(),
    **{f"datetime {unit}": pa.timestamp(unit) for unit in _UNITS},
    **{f"duration {unit}": pa.duration(unit) for unit in _UNITS},
}
_DTYPES = {
    "date": "M8[D]",
    **{f"datetime {unit}": f"M8[{unit}]" for unit in _UNITS},
    **{f"duration {unit}": f"m8[{unit}]" for unit in _UNITS},
}
_NEAREST = {"Y": "D", "M": "D", "W": "D", "D": "D", "h": "s", "m": "s"}
_LONGEST = np.timedelta64(999_999_998, "D")  # what Python's own type holds
_FIRST, _LAST = np.datetime64("0001-01-01", "D"), np.datetime64("9999-12-31", "D")


def kind_of(array: np.ndarray) -> str | None:
    """The kind of dates or durations; None where no type holds them."""
    unit = np.datetime_data(array.dtype)[0]
    dates = array.dtype.kind == "M"
    if unit == "generic":  # only NaT has no unit
        return ("datetime " if dates else "duration ") + "s"
    if not dates and unit in "YM":
        return None
    unit = _NEAREST.get(unit, unit)
    if unit == "D" and not dates:
        unit = "s"
    kind = "date" if unit == "D" else f"{'datetime' if dates else 'duration'} {unit}"
    if kind not in _DTYPES:
        return None
    there = array[~np.isnat(array)]
    days = there.astype("M8[D]" if dates else "m8[D]")
    first, last = (_FIRST, _LAST) if dates else (-_LONGEST, _LONGEST)
    if there.size and not (days.min() >= first and days.max() <= last):
        return None
    found = there.astype(_DTYPES[kind])
    return kind if (found.astype(array.dtype) == there).all() else None


def column(flat: np.ndarray, kind: str) -> pa.Array:
    """Dates or durations as a column of the kind that holds them; NaT is null."""
    return pa.array(flat.astype(_DTYPES[kind]), type=TYPES[kind])


def number(value: Any, kind: str) -> int | None:
    """One date or duration as the integer that a column of that kind holds; None for NaT."""
    return None if np.isnat(value) else int(value.astype(_DTYPES[kind]).astype(np.int64))


def texts(array: np.ndarray) -> Any:
    """Dates as ISO 8601 text, durations as ``"1500 ms"``, in lists as deep as `array` has dimensions; NaT as None.

    >>> texts(np.array([1500, "NaT"], "m8[ms]")), texts(np.array("2026-01-02", "M8[D]"))
    (['1500 ms', None], '2026-01-02')
    """
    if array.dtype.kind == "M":
        words = np.datetime_as_string(array.reshape(-1)).tolist()
    else:
        unit, step = np.datetime_data(array.dtype)
        words = [f"{count * step} {unit}" for count in array.reshape(-1).astype(np.int64).tolist()]
    found = np.empty(array.shape, dtype=object)
    found.reshape(-1)[:] = [
        None if missing else word for word, missing in zip(words, np.isnat(array.reshape(-1)), strict=True)
    ]
    return found.tolist()
