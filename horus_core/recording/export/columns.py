"""Values of one field as an Arrow column."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from horus_core.recording.export import moments
from horus_core.recording.export.column_types import (
    JSON,
    NOTHING,
    Kind,
    ListOf,
    StructOf,
    arrow_type,
    kind_of_all,
    kind_of_array,
)
from horus_core.recording.export.json_text import json_text, plain

Values = Any  # a NumPy array, a pyarrow array of texts or bytes, or a list of anything: one item per row


def kind_of_values(values: Values) -> Kind:
    """The kind of a column."""
    if isinstance(values, np.ndarray):
        return kind_of_array(values)
    if isinstance(values, list):
        return kind_of_all(values)
    if pa.types.is_null(values.type):
        return NOTHING
    return "text" if pa.types.is_string(values.type) else "bytes"


def arrow_column(values: Values, kind: Kind) -> pa.Array:
    """`values` as a column of the kind that was found to hold all of the field's values."""
    if kind == JSON:
        return pa.array([json_text(value) for value in _plain(values)], type=pa.string())
    if isinstance(values, np.ndarray):
        return _from_array(values, kind)
    if not isinstance(values, list):
        return values.cast(arrow_type(kind))
    arrays = _from_arrays(values, kind) if isinstance(kind, ListOf) else None
    return arrays if arrays is not None else pa.array([_fitted(each, kind) for each in values], type=arrow_type(kind))


def integers_and_floats(values: Values) -> tuple[Values, Values]:
    """The integers among numbers, and the floats: each null where the other has a value."""
    if isinstance(values, np.ndarray):
        nothing = pa.nulls(len(values))
        return (nothing, values) if values.dtype.kind == "f" else (values, nothing)
    if not isinstance(values, list):
        return values, values  # nothing but nulls
    whole = [isinstance(value, (int, np.integer)) for value in values]
    pairs = list(zip(values, whole, strict=True))
    return [each if is_whole else None for each, is_whole in pairs], [
        None if is_whole else each for each, is_whole in pairs
    ]


def _plain(values: Values) -> list[Any]:
    if isinstance(values, list):
        return values
    found: list[Any] = plain(values) if isinstance(values, np.ndarray) else values.to_pylist()
    return found


def _fitted(value: Any, kind: Kind) -> Any:
    """A value as pyarrow takes it for a column of that kind, which holds it."""
    if value is None:
        return None
    if kind == JSON:
        return json_text(value)
    if isinstance(value, np.ndarray):
        value = list(value) if value.ndim else value[()]
    if isinstance(kind, ListOf):
        return [_fitted(each, kind.item) for each in value]
    if isinstance(kind, StructOf):
        names = (value.dtype.names or ()) if isinstance(value, np.void) else value
        return {str(name): _fitted(value[name], kind.fields[str(name)]) for name in names}
    if kind in moments.TYPES:
        return moments.number(value, kind)
    if isinstance(value, np.generic):
        value = moments.texts(np.asarray(value)) if value.dtype.kind in "Mm" else plain(np.asarray(value))
    return float(value) if pa.types.is_floating(arrow_type(kind)) else value


def _from_array(array: np.ndarray, kind: Kind) -> pa.Array:
    leaf, lengths = kind, array.shape[1:]
    for _ in lengths:
        assert isinstance(leaf, ListOf)
        leaf = leaf.item
    found = _items(array.reshape(-1), leaf)
    for depth in range(len(lengths) - 1, -1, -1):
        count = len(array) * math.prod(lengths[:depth])
        found = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * lengths[depth]), found)
    return found.cast(arrow_type(kind)) if found.type != arrow_type(kind) else found


def _items(flat: np.ndarray, leaf: Kind) -> pa.Array:
    """The items of an array with one dimension."""
    wanted = arrow_type(leaf)
    if leaf == NOTHING:
        return pa.nulls(len(flat), wanted)
    if isinstance(leaf, StructOf):
        names = flat.dtype.names or ()
        columns = [
            _field(flat[name], kind) if name in names else pa.nulls(len(flat), arrow_type(kind))
            for name, kind in leaf.fields.items()
        ]
        return pa.StructArray.from_arrays(columns, fields=list(wanted))
    if isinstance(leaf, str) and leaf in moments.TYPES:
        return moments.column(flat, leaf)
    if leaf in ("text", "bytes"):
        return pa.array(plain(flat), type=wanted)
    return pa.array(flat.astype(wanted.to_pandas_dtype(), copy=False), type=wanted)


def _field(array: np.ndarray, kind: Kind) -> pa.Array:
    """One field of a structured array: a row per item."""
    if kind == JSON:
        return arrow_column(array, kind)
    return _from_array(array, kind)


def _from_arrays(values: list[Any], kind: ListOf) -> pa.Array | None:
    """A column of NumPy arrays, which may be None; None where `values` are anything else."""
    leaf, depth = kind.item, 1
    while isinstance(leaf, ListOf):
        leaf, depth = leaf.item, depth + 1
    there = [value for value in values if value is not None]
    if not all(isinstance(value, np.ndarray) and value.ndim == depth for value in there) or leaf == JSON:
        return None
    found = _concatenated([value.reshape(-1) for value in there], leaf)
    for level in range(depth - 1, 0, -1):
        counts = [math.prod(value.shape[:level]) for value in there]
        lengths = np.repeat([value.shape[level] for value in there], counts)
        found = pa.ListArray.from_arrays(_offsets(lengths), found)
    missing = np.array([*(value is None for value in values), False])
    lengths = np.array([0 if value is None else len(value) for value in values], dtype=np.int64)
    return pa.ListArray.from_arrays(_offsets(lengths, missing if missing.any() else None), found)


def _offsets(lengths: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.array(offsets, mask=missing)


def _concatenated(arrays: list[np.ndarray], leaf: Kind) -> pa.Array:
    if len({array.dtype for array in arrays}) == 1:
        return _items(arrays[0] if len(arrays) == 1 else np.concatenate(arrays), leaf)
    return pa.concat_arrays([_items(array, leaf) for array in arrays] or [pa.nulls(0, arrow_type(leaf))])
