"""Values as JSON text."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from horus_core.recording.export import moments

_MANY = 1000  # bytes of an array from which a table is worth its while


def json_text(value: Any) -> str | None:
    """`value` as JSON; None for None. Bytes become base64, NaN and infinities null, other values that JSON has not text.

    >>> json_text({"a": np.arange(3), "t": np.datetime64("2026-01-02T03:04:05")})
    '{"a":[0,1,2],"t":"2026-01-02T03:04:05"}'
    """
    if value is None:
        return None
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size >= _MANY and value.ndim <= _DEEPEST:
        return _bytes_text(value)
    try:
        return msgspec.json.encode(value, enc_hook=_for_json).decode()
    except (TypeError, ValueError, RecursionError):
        return msgspec.json.encode(str(value)).decode()


def _for_json(value: Any) -> Any:
    return plain(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else str(value)


def plain(array: np.ndarray) -> Any:
    """An array as lists of what JSON or Arrow takes: numbers, texts, bytes, and dicts for what is structured."""
    dtype = array.dtype
    if dtype.names:
        flat = array.reshape(-1)
        columns = [plain(flat[name]) for name in dtype.names]
        return _nested([dict(zip(dtype.names, row, strict=True)) for row in zip(*columns, strict=True)], array.shape)
    if dtype.kind in "Mm":
        return moments.texts(array)
    if dtype.kind == "V":
        return _nested([bytes(each) for each in array.reshape(-1)], array.shape)
    if dtype.kind == "c" or (dtype.kind == "f" and dtype.itemsize > np.dtype(np.float64).itemsize):
        return _nested([str(each) for each in array.reshape(-1)], array.shape)
    return array.tolist()


def _nested(items: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return items[0]
    for level in range(len(shape) - 1, 0, -1):
        extent = shape[level]
        items = [items[place * extent : (place + 1) * extent] for place in range(math.prod(shape[:level]))]
    return items


_DEEPEST = 3  # dimensions whose brackets fit beside three digits in the 8 bytes of a number


def _table() -> np.ndarray:
    """Each byte as text, 8 bytes wide: behind it a comma, or the end of one list, or of two, and the next one's begin."""
    between = ("", "]", "]]")
    words = [f"{byte}{each},{'[' * len(each)}".ljust(8, "\0") for each in between for byte in range(256)]
    return np.frombuffer("".join(words).encode(), np.uint64).reshape(len(between), 256)


_BYTES = _table()


def _bytes_text(array: np.ndarray) -> str:
    """An array of bytes, of up to three dimensions and not empty: a picture has a million."""
    flat = array.reshape(-1)
    words = _BYTES[0][flat]
    step = 1
    for level, extent in enumerate(array.shape[:0:-1], start=1):
        step *= extent
        words[step - 1 :: step] = _BYTES[level][flat[step - 1 :: step]]
    text = words.tobytes().translate(None, b"\0").decode()
    behind = array.ndim  # the comma, and the brackets of lists that do not begin
    return f"{'[' * array.ndim}{text[: len(text) - behind]}]"
