"""The type of a column, found value by value: what it must be to hold all of them.

Integers and floats together are floats where floats hold the integers, else two columns. Values that no type holds
together (a number here, a text there) become JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from horus_core.recording.export import moments
from horus_core.recording.export.number_kinds import BEYOND, NUMBERS, facts_of, integer_facts, join_numbers, named

NOTHING, JSON = "nothing", "json"
JSON_TEXT = {"holds": "JSON text"}  # what a schema says of texts that are JSON
_DEEPEST = 16
_MOST_FIELDS = 1000  # of a dict in a list
_TYPES = {
    NOTHING: pa.string(),
    JSON: pa.string(),
    "bool": pa.bool_(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "time": pa.timestamp("us", tz="UTC"),
    **moments.TYPES,
}


class ListOf(msgspec.Struct, frozen=True):
    """Lists of items of one kind."""

    item: Kind


class StructOf(msgspec.Struct, frozen=True):
    """Dicts in lists, and the rows of structured arrays."""

    fields: dict[str, Kind]


Kind = str | ListOf | StructOf


def arrow_type(kind: Kind) -> pa.DataType:
    """The Arrow type of a column of that kind; of one that takes two columns, that of JSON text."""
    if isinstance(kind, ListOf):
        return pa.list_(arrow_type(kind.item))
    if isinstance(kind, StructOf):
        return pa.struct([arrow_field(name, each) for name, each in kind.fields.items()])
    if kind in _TYPES:
        return _TYPES[kind]
    return NUMBERS[kind].arrow_type()


def arrow_field(name: str, kind: Kind) -> pa.Field:
    """A column of that kind, or a field of a struct."""
    return pa.field(name, arrow_type(kind), metadata=JSON_TEXT if kind == JSON else None)


def is_split(kind: Kind) -> bool:
    """Whether the values are integers and floats that no type holds together: they take two columns."""
    return isinstance(kind, str) and kind in NUMBERS and NUMBERS[kind].split


def settled(kind: Kind, as_text: bool) -> Kind:
    """What a column of that kind is written as, once all values are known.

    Args:
        kind: what was found.
        as_text: the file has text only: what is nested is JSON there, and a duration a text.
    """
    if isinstance(kind, ListOf):
        item = settled(kind.item, False)
        return JSON if as_text or item == JSON or is_split(item) else ListOf(item)
    if isinstance(kind, StructOf):
        fields = {name: settled(each, False) for name, each in kind.fields.items()}
        return JSON if as_text else StructOf({name: JSON if is_split(each) else each for name, each in fields.items()})
    if as_text and kind in moments.DURATIONS:
        return "text"
    numbers = NUMBERS.get(kind)
    return JSON if numbers is not None and (numbers.no_type or (as_text and numbers.split)) else kind


def join(a: Kind, b: Kind) -> Kind:
    """The kind that holds the values of both.

    >>> join("float32", "float64"), join("natural", "integer"), join("text", "bool")
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
    if isinstance(a, str) and isinstance(b, str) and a in NUMBERS and b in NUMBERS:
        return join_numbers(a, b)
    return JSON


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
    if isinstance(value, (np.ndarray, np.generic)):
        return kind_of_array(np.asarray(value), 0)
    if isinstance(value, int):
        return named(integer_facts(value))
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
        ends = integer_facts(min(values)) | integer_facts(max(values))
        return named(ends) if not ends & BEYOND else join_all(map(kind_of, values))
    return join_all(kind_of(value, depth) for value in values)


def kind_of_array(array: np.ndarray, rows: int = 1) -> Kind:
    """The kind of the values of an array.

    Args:
        array: of any dtype that holds data.
        rows: how many of its dimensions count rows: what is beyond makes lists.
    """
    found = _kind_of_items(array)
    if found == JSON:
        return JSON
    for _ in range(array.ndim - rows):
        found = ListOf(found)
    return found


def _kind_of_items(array: np.ndarray) -> Kind:
    if array.dtype.names:
        flat = array.reshape(-1)
        return StructOf({name: kind_of_array(flat[name]) for name in array.dtype.names})
    kind = array.dtype.kind
    if kind in "Mm":
        return moments.kind_of(array) or JSON
    if kind == "f":
        return {2: "float32", 4: "float32", 8: "float64"}.get(array.dtype.itemsize, JSON)
    if kind in "iu":
        return array.dtype.name if array.dtype.itemsize < 8 else named(facts_of(array))
    return {"b": "bool", "U": "text", "S": "bytes", "V": "bytes"}.get(kind, JSON)
