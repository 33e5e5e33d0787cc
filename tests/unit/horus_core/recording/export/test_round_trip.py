"""What is read back from an export equals what was sent, or the column says that it holds something else: JSON text."""

from __future__ import annotations

import base64
import contextlib
import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from horus_core.recording.export import export
from tests.recordings import Recording

DTYPES = ["i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8", ">f8", ">i2", "g", "c16", "?", "U3", "S2", "V3"]
UNITS = ["Y", "W", "D", "h", "s", "ms", "us", "ns", "ps"]
STRUCTURED = [("id", "i4"), ("v", "f8"), ("at", "M8[us]"), ("p", "f4", (2,)), ("name", "U2"), ("in", [("k", "u8")])]


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays of any dtype and of up to three dimensions, empty ones among them, out of random bytes."""
    dtype = np.dtype(
        draw(
            st.sampled_from(
                [*DTYPES, *(f"{kind}8[{unit}]" for kind in "Mm" for unit in UNITS), np.dtype(STRUCTURED), "M8[25s]"]
            )
        )
    )
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = math.prod(shape)
    if dtype.names is not None:
        rows = np.zeros(size, dtype)
        for name in dtype.names:
            field = rows[name].reshape(-1)
            if name == "in":
                field["k"] = random.integers(0, 2**64, size, np.uint64)
            else:
                field[:] = random.integers(0, 99, field.size)
                rows[name] = field.reshape(rows[name].shape)
        return rows.reshape(shape)
    if dtype.kind in "Mm":
        counts = random.integers(-(2**40), 2**40, size) if draw(st.booleans()) else random.integers(-500, 500, size)
        found = counts.view(dtype)
        found[random.random(size) < 0.1] = "NaT"
        return found.reshape(shape)
    if dtype.kind == "U":
        return np.array(["ab"[: place % 3] for place in range(size)], dtype).reshape(shape)
    if dtype.kind in "gfc" and dtype.itemsize > 8:
        return (random.random(size).astype(dtype) / 3).reshape(shape)
    if dtype.kind == "b":
        return (random.random(size) < 0.5).reshape(shape)
    return np.frombuffer(random.bytes(size * dtype.itemsize), dtype).reshape(shape).copy()


numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.integers(-3, 3), st.floats(), st.sampled_from([2**53, 2**53 + 1, 2**60])
)
single = st.one_of(
    st.none(), numbers, st.booleans(), st.text("aé\",\n", max_size=3), st.binary(max_size=3), arrays(),
    arrays().filter(lambda array: array.size > 0).map(lambda array: array.reshape(-1)[0]),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda time: time.replace(tzinfo=UTC)),
)  # fmt: skip
nested = st.recursive(
    single, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner))
)
columns = st.one_of(
    st.lists(nested, min_size=1, max_size=5),
    st.lists(numbers, min_size=1, max_size=8),
    st.lists(st.lists(numbers, max_size=3), min_size=1, max_size=4),
    arrays().flatmap(lambda array: st.lists(st.sampled_from([array, None, array[:1], array[1:]]), min_size=1)),
)


def leaves(value: Any, name: str = "f") -> dict[str, Any]:
    """The fields of a value: nested names joined with dots."""
    if isinstance(value, dict) and value:
        return {key: each for inner, below in value.items() for key, each in leaves(below, f"{name}.{inner}").items()}
    return {name: value}


def same(found: Any, sent: Any, text: bool = False) -> bool:
    """Whether `found` is `sent`; as JSON has it if `text`: bytes as base64, no NaN and no infinities."""
    if isinstance(found, Text):
        return same(found.value, sent, True)
    if isinstance(sent, np.ndarray):
        return same(found, [*sent] if sent.ndim else sent[()], text)
    if isinstance(sent, np.void) and sent.dtype.names:
        return same(found, {name: sent[name] for name in sent.dtype.names}, text)
    if isinstance(sent, dict) and isinstance(found, dict):
        return all(same(found.get(name), sent.get(name), text) for name in {*found, *sent})
    if isinstance(sent, list) and isinstance(found, list):
        return len(found) == len(sent) and all(same(one, other, text) for one, other in zip(found, sent, strict=True))
    if isinstance(sent, (np.datetime64, np.timedelta64, datetime)):
        return same_time(found, sent)
    if isinstance(sent, np.longdouble) or (text and isinstance(sent, (np.float16, np.float32)) and np.isfinite(sent)):
        return bool(type(sent)(found) == sent)
    if isinstance(sent, complex):
        return complex(found) == sent or (math.isnan(abs(sent)) and math.isnan(abs(complex(found))))
    if isinstance(sent, (np.generic)):
        return same(found, bytes(sent) if isinstance(sent, np.void) else sent.item(), text)
    if isinstance(sent, bytes):
        return bool(found == (base64.b64encode(sent).decode() if text else sent))
    if isinstance(sent, float) and not math.isfinite(sent):
        return found is None if text else found == sent or (math.isnan(sent) and math.isnan(found))
    return isinstance(found, bool) == isinstance(sent, bool) and bool(found == sent)


def same_time(found: Any, sent: Any) -> bool:
    if isinstance(sent, (np.datetime64, np.timedelta64)) and np.isnat(sent):
        return found is None
    if isinstance(sent, np.timedelta64) and isinstance(found, str):
        count, unit = found.split()
        return bool(np.timedelta64(int(count), unit) == sent)
    if isinstance(sent, datetime):
        return bool((datetime.fromisoformat(found) if isinstance(found, str) else found) == sent)
    if isinstance(sent, np.datetime64):
        return bool(np.datetime64(getattr(found, "asm8", found)) == sent)
    return bool(np.timedelta64(getattr(found, "asm8", found)) == sent)


def exported(values: list[Any], folder: Path, format: str) -> Path:
    session = Recording({"n": ["t"]}, last_tick=len(values)).add("n", "t", [{"f": each} for each in values])
    session_folder = folder / "s"
    export(session.write(session_folder), folder / f"x.{format}")
    return folder / f"x.{format}"


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The fields of each row."""
    rows = []
    for row in table.to_pylist():
        fields = {}
        for field in table.schema:
            value = told(row[field.name], field)
            if value is not None and field.name.startswith("f"):
                fields[field.name.removesuffix(".float")] = value
        rows.append(fields)
    return rows


class Text(NamedTuple):
    """A value that was JSON text."""

    value: Any


def told(value: Any, field: pa.Field) -> Any:
    """A value as its field says that it is to be taken."""
    if value is None:
        return None
    if (field.metadata or {}).get(b"holds") == b"JSON text":
        return Text(json.loads(value))
    if pa.types.is_list(field.type):
        return [told(each, field.type.value_field) for each in value]
    if pa.types.is_struct(field.type):
        return {each.name: told(value[each.name], each) for each in field.type}
    return value


def check(values: list[Any], rows: list[dict[str, Any]]) -> None:
    assert len(rows) == len(values)
    for sent, row in zip(values, rows, strict=True):
        for name, value in leaves(sent).items():
            found = row.pop(name, None)
            assert same(found, value), (name, value, found)
        assert not row


def read(path: Path, format: str) -> list[dict[str, Any]]:
    if format == "parquet":
        return rows_of(pq.read_table(path))
    if format == "arrow":
        with pa.OSFile(str(path)) as source:
            return rows_of(pa.ipc.open_file(source).read_all())
    lines = map(json.loads, path.read_text().splitlines())
    return [{name: Text(value) for name, value in line.items() if name.startswith("f")} for line in lines]


common = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
@common
@given(values=columns)
def test_what_comes_back_is_what_was_sent(
    tmp_path_factory: pytest.TempPathFactory, format: str, values: list[Any]
) -> None:
    check(values, read(exported(values, tmp_path_factory.mktemp("x"), format), format))


@common
@given(values=columns)
def test_a_csv_holds_what_was_sent(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    path = exported(values, tmp_path_factory.mktemp("x"), "csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(values)
    for sent, row in zip(values, rows, strict=True):
        for name, value in leaves(sent).items():
            assert any(fits(found, value) for found in readings(row.get(name, ""), value)), (name, value, row)


def fits(found: Any, value: Any) -> bool:
    with contextlib.suppress(ValueError, TypeError):  # not even a number, or a date
        return same(found, value)
    return False


def readings(cell: str, value: Any) -> list[Any]:
    """What a cell may mean: CSV does not tell types."""
    found: list[Any] = [Text(cell)]
    if cell == "":
        found += [None, Text(None)]
    if isinstance(value, (float, np.floating)) and cell in ("NaN", "inf", "-inf"):
        found.append(float(cell))
    with contextlib.suppress(ValueError):
        found.append(Text(json.loads(cell)))
    return found
