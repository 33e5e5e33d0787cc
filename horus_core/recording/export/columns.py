"""Values of one field as an Arrow column."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

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

Values = Any  # a NumPy array of numbers, a pyarrow array of texts or bytes, or a list of anything: one item per row


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


def json_text(value: Any) -> str | None:
    """`value` as JSON; None for None. Bytes become base64, NaN and infinities null."""
    if value is None:
        return None
    try:
        return msgspec.json.encode(value, enc_hook=_for_json).decode()
    except (TypeError, ValueError, RecursionError):
        return msgspec.json.encode(str(value)).decode()


def _for_json(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)


def _plain(values: Values) -> list[Any]:
    found: list[Any] = values if isinstance(values, list) else getattr(values, "to_pylist", values.tolist)()
    return found


def _fitted(value: Any, kind: Kind) -> Any:
    """A value as pyarrow takes it for a column of that kind, which holds it."""
    if value is None:
        return None
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(kind, ListOf):
        return [_fitted(each, kind.item) for each in value]
    if isinstance(kind, StructOf):
        return {str(key): _fitted(each, kind.fields[str(key)]) for key, each in value.items()}
    if kind == JSON:
        return json_text(value)
    return float(value) if kind in ("float32", "float64") else value


def _from_array(array: np.ndarray, kind: Kind) -> pa.Array:
    leaf, lengths = kind, array.shape[1:]
    for _ in lengths:
        assert isinstance(leaf, ListOf)
        leaf = leaf.item
    found = _numbers(array.reshape(-1), leaf)
    for depth in range(len(lengths) - 1, -1, -1):
        count = len(array) * math.prod(lengths[:depth])
        found = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * lengths[depth]), found)
    return found.cast(arrow_type(kind)) if found.type != arrow_type(kind) else found


def _numbers(flat: np.ndarray, leaf: Kind) -> pa.Array:
    wanted = arrow_type(leaf)
    if not len(flat) or leaf == NOTHING:
        return pa.nulls(len(flat), wanted)
    return pa.array(flat.astype(wanted.to_pandas_dtype(), copy=False), type=wanted)


def _from_arrays(values: list[Any], kind: ListOf) -> pa.Array | None:
    """A column of NumPy arrays with one dimension, which may be None; None where `values` are anything else."""
    if isinstance(kind.item, ListOf) or not all(
        value is None or (isinstance(value, np.ndarray) and value.ndim == 1) for value in values
    ):
        return None
    there = [value for value in values if value is not None]
    lengths = np.array([0 if value is None else len(value) for value in values])
    flat = _numbers(np.concatenate(there) if there else np.empty(0), kind.item)
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    empty = np.array([value is None for value in values] + [False])
    return pa.ListArray.from_arrays(pa.array(offsets, mask=empty if empty.any() else None), flat)
