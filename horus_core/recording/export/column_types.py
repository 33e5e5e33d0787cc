"""The type of a column, found value by value: what it must be to hold all of them.

Integers and floats together are floats, integers of any size the type that holds them all. Values that no type holds
together (a number here, a text there) become JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

NOTHING, JSON = "nothing", "json"
_DEEPEST = 16
_MOST_FIELDS = 1000  # of a dict in a list
_INTEGERS = {"natural", "integer", "large"}  # 0 to 2**63 - 1, with negatives, with 2**63 and more
_FIXED_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)}
_FLOATS = {"float32", "float64"}
_TYPES = {
    NOTHING: pa.string(),
    JSON: pa.string(),
    "bool": pa.bool_(),
    "natural": pa.int64(),
    "integer": pa.int64(),
    "large": pa.uint64(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "time": pa.timestamp("us", tz="UTC"),
    **{name: pa.type_for_alias(name) for name in _FIXED_INTEGERS | _FLOATS},
}


class ListOf(msgspec.Struct, frozen=True):
    """Lists of items of one kind."""

    item: Kind


class StructOf(msgspec.Struct, frozen=True):
    """Dicts in lists."""

    fields: dict[str, Kind]


Kind = str | ListOf | StructOf


def arrow_type(kind: Kind) -> pa.DataType:
    """The Arrow type of a column of that kind."""
    if isinstance(kind, ListOf):
        return pa.list_(arrow_type(kind.item))
    if isinstance(kind, StructOf):
        return pa.struct([pa.field(name, arrow_type(each)) for name, each in kind.fields.items()])
    return _TYPES[kind]


def join(a: Kind, b: Kind) -> Kind:
    """The kind that holds the values of both.

    >>> join("natural", "float64"), join("natural", "integer"), join("text", "bool")
    ('float64', 'integer', 'json')
    """
    if a == b or b == NOTHING:
        return a
    if a == NOTHING:
        return b
    if isinstance(a, ListOf) and isinstance(b, ListOf):
        item = join(a.item, b.item)
        return JSON if item == JSON else ListOf(item)
    if isinstance(a, StructOf) and isinstance(b, StructOf):
        fields = {name: join(a.fields.get(name, NOTHING), b.fields.get(name, NOTHING)) for name in a.fields | b.fields}
        return StructOf(fields) if 0 < len(fields) <= _MOST_FIELDS else JSON
    if isinstance(a, str) and isinstance(b, str):
        return _join_numbers(a, b)
    return JSON


def _join_numbers(a: str, b: str) -> str:
    both = {a, b}
    if not both <= _INTEGERS | _FIXED_INTEGERS | _FLOATS:
        return JSON
    if both & _FLOATS:
        return "float64"
    if both <= _FIXED_INTEGERS:
        found = np.promote_types(a, b).name
        return found if found in _FIXED_INTEGERS else "integer"
    both = {each if each in _INTEGERS else "natural" if each[0] == "u" else "integer" for each in both}
    if both == {"integer", "large"}:
        return JSON
    return "large" if "large" in both else "integer" if "integer" in both else "natural"


def join_all(kinds: Iterable[Kind]) -> Kind:
    """The kind that holds the values of all."""
    found: Kind = NOTHING
    for kind in kinds:
        found = join(found, kind)
    return found


def kind_of(value: Any, depth: int = 0) -> Kind:
    """The kind of one decoded value."""
    simple = _SIMPLE.get(type(value))
    if simple is not None:
        return simple
    if isinstance(value, int):
        return "integer" if value < 0 else "natural" if value < 1 << 63 else "large"
    if isinstance(value, (np.ndarray, np.generic)):
        return kind_of_array(np.asarray(value), 0)
    if depth < _DEEPEST:
        if isinstance(value, list):
            item = kind_of_all(value, depth + 1)
            return JSON if item == JSON else ListOf(item)
        if isinstance(value, dict) and 0 < len(value) <= _MOST_FIELDS:
            return StructOf({str(key): kind_of(each, depth + 1) for key, each in value.items()})
    return JSON


_SIMPLE = {type(None): NOTHING, bool: "bool", float: "float64", str: "text", bytes: "bytes", datetime: "time"}


def kind_of_all(values: list[Any], depth: int = 0) -> Kind:
    """The kind that holds all of `values`."""
    types = set(map(type, values))
    if all(each in _SIMPLE for each in types):
        return join_all(_SIMPLE[each] for each in types)
    if types == {int}:
        return join(kind_of(min(values)), kind_of(max(values)))
    return join_all(kind_of(value, depth) for value in values)


def kind_of_array(array: np.ndarray, rows: int = 1) -> Kind:
    """The kind of the values of an array.

    Args:
        array: numbers or booleans.
        rows: how many of its dimensions count rows: what is beyond makes lists.
    """
    found: Kind
    if array.ndim > rows and array.size == 0:
        found = NOTHING
    elif array.dtype.kind == "b":
        found = "bool"
    elif array.dtype.kind == "f":
        found = "float64" if array.dtype.itemsize >= 8 else "float32"
    elif array.dtype.kind in "iu":
        small = array.dtype.itemsize < 8
        found = array.dtype.name if small else join(kind_of(int(array.min())), kind_of(int(array.max())))
    else:
        return JSON
    for _ in range(array.ndim - rows):
        found = ListOf(found)
    return found
