from __future__ import annotations

import base64
import json
import math
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from horus_core.errors import InvalidValue, OutputFailed, UnknownNode
from horus_core.recording.export import export
from horus_core.recording.export.column_types import ListOf, StructOf, arrow_type, join, join_all, kind_of
from horus_core.recording.reading.reader import Session
from tests.recordings import EPOCH, Message, Recording, cut, file_of

FORMATS = ["csv", "parquet", "jsonl", "arrow"]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    recording = Recording({"sensor": ["odom", "status"], "driver": ["cmd"]}, tick_rate=100.0)
    recording.add("sensor", "odom", [{"pose": {"x": tick * 0.5, "n": tick}, "ok": tick % 2 == 0} for tick in range(10)])
    recording.add("sensor", "status", ["idle", 'drivé, "fast"', "idle"])
    recording.add(
        "driver",
        "cmd",
        [{"speed": tick if tick < 5 else tick + 0.5, "ranges": [1.0, float(tick)]} for tick in range(10)],
    )
    return recording.write(tmp_path / "monday")


def table(session: Session, **options: Any) -> pa.Table:
    output = session.folder.parent / "out.parquet"
    export(session, output, **options)
    return pq.read_table(output)


def column(values: list[Any], folder: Path, name: str = "value") -> pa.ChunkedArray:
    """The column that messages with these values on one topic make."""
    return table(Recording({"n": ["t"]}).add("n", "t", values).write(folder / "s"))[name]


def test_rows_hold_tick_time_node_topic_and_fields_in_the_order_of_ticks(session: Session) -> None:
    found = table(session)
    assert found.column_names == [
        "tick", "time", "node", "topic", "pose.x", "pose.n", "ok", "value", "speed", "ranges",
    ]  # fmt: skip
    assert found.num_rows == 23
    assert found["tick"].to_pylist() == sorted([*range(10), *range(10), *range(3)])
    first = found.slice(0, 3).to_pylist()
    assert [(row["node"], row["topic"]) for row in first] == [
        ("sensor", "odom"),
        ("sensor", "status"),
        ("driver", "cmd"),
    ]
    assert first[0] == {
        "tick": 0, "time": pd.Timestamp(EPOCH, unit="ns", tz="UTC"), "node": "sensor", "topic": "odom",
        "pose.x": 0.0, "pose.n": 0, "ok": True, "value": None, "speed": None, "ranges": None,
    }  # fmt: skip
    assert first[1]["value"] == "idle"
    types = {name: str(kind) for name, kind in zip(found.column_names, found.schema.types, strict=True)}
    assert types["time"] == "timestamp[ns, tz=UTC]"
    assert (types["pose.x"], types["pose.n"], types["ok"]) == ("double", "int64", "bool")
    assert (types["speed"], types["value"]) == ("double", "string")
    assert found["speed"].drop_null().to_pylist() == [0, 1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5, 9.5]
    assert found["ranges"].drop_null().to_pylist()[3] == [1.0, 3.0]


def test_the_report_says_what_was_written(session: Session, tmp_path: Path) -> None:
    found = export(session, tmp_path / "x.csv")
    (file,) = found.files
    assert (file.path, file.rows, found.rows) == (str(tmp_path / "x.csv"), 23, 23)
    assert file.size == (tmp_path / "x.csv").stat().st_size
    assert file.columns[:2] == ["tick", "time"]
    assert (found.undecodable, found.damage) == (0, [])


@pytest.mark.parametrize("format", FORMATS)
def test_pandas_reads_the_right_types(session: Session, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"out.{format}"
    export(session, path)
    found = {
        "csv": lambda: pd.read_csv(path, parse_dates=["time"]),
        "parquet": lambda: pd.read_parquet(path),
        "jsonl": lambda: pd.read_json(path, lines=True).assign(time=lambda frame: pd.to_datetime(frame["time"])),
        "arrow": lambda: pd.read_feather(path),
    }[format]()
    check_frame(found)


def check_frame(found: pd.DataFrame) -> None:
    assert len(found) == 23
    assert found["tick"].dtype == "int64"
    assert isinstance(found["time"].dtype, pd.DatetimeTZDtype)
    assert found["time"].iloc[0].value == EPOCH
    odom = found[found["topic"] == "odom"]
    assert odom["pose.x"].tolist() == [tick * 0.5 for tick in range(10)]
    assert odom["pose.x"].dtype == found["speed"].dtype == "float64"
    assert odom["pose.n"].tolist() == list(range(10))
    assert [bool(value) for value in odom["ok"]] == [tick % 2 == 0 for tick in range(10)]
    assert found[found["topic"] == "status"]["value"].tolist() == ["idle", 'drivé, "fast"', "idle"]
    assert found["speed"].dropna().tolist() == [0, 1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5, 9.5]


@pytest.mark.parametrize("format", FORMATS)
def test_polars_reads_the_right_types(session: Session, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"out.{format}"
    export(session, path)
    found = {
        "csv": lambda: pl.read_csv(path, try_parse_dates=True),
        "parquet": lambda: pl.read_parquet(path),
        "jsonl": lambda: pl.read_ndjson(path, infer_schema_length=None).with_columns(
            pl.col("time").str.to_datetime("%+", time_unit="ns")
        ),
        "arrow": lambda: pl.read_ipc(path),
    }[format]()
    assert found.schema["tick"] == pl.Int64
    assert isinstance(found.schema["time"], pl.Datetime)
    assert (found.schema["pose.x"], found.schema["speed"], found.schema["pose.n"]) == (pl.Float64, pl.Float64, pl.Int64)
    assert found.schema["ok"] == pl.Boolean
    assert found["time"][0] == datetime.fromtimestamp(EPOCH / 1e9, UTC)
    assert found["speed"].drop_nulls().to_list() == [0, 1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5, 9.5]
    assert found.filter(pl.col("topic") == "status")["value"].to_list() == ["idle", 'drivé, "fast"', "idle"]
    if format in ("parquet", "arrow", "jsonl"):
        assert found["ranges"].drop_nulls().to_list()[3] == [1.0, 3.0]


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_duckdb_reads_the_right_types(session: Session, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"out.{format}"
    export(session, path)
    source = {
        "csv": f"read_csv('{path}')",
        "parquet": f"'{path}'",
        "jsonl": f"read_json('{path}')",
    }[format]
    with duckdb.connect() as base:
        base.execute("SET TimeZone = 'UTC'")
        kinds = dict(base.execute(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {source})").fetchall())
        rows = base.execute(f"SELECT speed FROM {source} WHERE topic = 'cmd' ORDER BY tick").fetchall()
        moment = base.execute(f"SELECT CAST(min(time) AS VARCHAR) FROM {source}").fetchall()
    assert kinds["tick"] == "BIGINT"
    assert kinds["time"].startswith("TIMESTAMP") or format == "jsonl", "older versions read nanoseconds in JSON as text"
    assert (kinds["pose.x"], kinds["speed"], kinds["ok"], kinds["value"]) == ("DOUBLE", "DOUBLE", "BOOLEAN", "VARCHAR")
    assert [speed for (speed,) in rows] == [0, 1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5, 9.5]
    assert moment[0][0].replace("T", " ").startswith("2023-11-14 22:13:20")


def test_only_what_is_asked_for_is_exported(session: Session) -> None:
    assert set(table(session, nodes=["driver"])["topic"].to_pylist()) == {"cmd"}
    found = table(session, topics=["odom", "status"], start_tick=2, stop_tick=4)
    assert [(row["tick"], row["topic"]) for row in found.to_pylist()] == [
        (2, "odom"),
        (2, "status"),
        (3, "odom"),
        (4, "odom"),
    ]
    assert "speed" not in found.column_names


def test_a_folder_gets_a_file_per_topic(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    found = export(session, f"{folder}/", format="parquet")
    assert sorted(os.listdir(folder)) == ["cmd.parquet", "odom.parquet", "status.parquet"]
    assert found.rows == 23
    odom = pq.read_table(folder / "odom.parquet")
    assert odom.column_names == ["tick", "time", "node", "topic", "pose.x", "pose.n", "ok"]
    assert odom["pose.n"].to_pylist() == list(range(10))
    assert sorted(Path(file.path).name for file in export(session, folder, format="csv").files) == [
        "cmd.csv",
        "odom.csv",
        "status.csv",
    ]


def test_names_of_topics_are_no_paths(tmp_path: Path) -> None:
    recording = Recording({"n": ["../evil", "a/b"]}).add("n", "../evil", [1]).add("n", "a/b", [2])
    session = recording.write(tmp_path / "s")
    export(session, f"{tmp_path}/out/", format="csv")
    assert sorted(os.listdir(tmp_path / "out")) == ["%2E.%2Fevil.csv", "a%2Fb.csv"]


def test_a_wide_table_has_a_row_per_tick(tmp_path: Path) -> None:
    recording = Recording({"a": ["x", "y"], "b": ["y"]}, tick_rate=30.0, batch=2)
    recording.messages["a"] = [Message(1, "x", {"v": 1}), Message(1, "x", {"v": 2}), Message(4, "y", 7)]
    recording.messages["b"] = [Message(4, "y", {"w": 8}), Message(5, "y", {"w": 9})]
    found = table(recording.write(tmp_path / "s"), wide=True)
    assert found.to_pylist() == [
        {
            "tick": tick,
            "time": pd.Timestamp(EPOCH + round(tick * 1e9 / 30), unit="ns", tz="UTC"),
            "x.v": x,
            "a:y": y,
            "b:y.w": w,
        }
        for tick, x, y, w in [(1, 2, None, None), (4, None, 7, 8), (5, None, None, 9)]
    ]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2.5, None], "double", [1.0, 2.5, None]),
        ([1, -2, 70000], "int64", [1, -2, 70000]),
        ([1, 2**64 - 1], "uint64", [1, 2**64 - 1]),
        ([-1, 2**64 - 1], "string", ["-1", str(2**64 - 1)]),
        ([2**53, 0.5], "double", [float(2**53), 0.5]),
        ([2**60, 0.5, -3], "double", [float(2**60), 0.5, -3.0]),
        ([2**53 + 1, 0.5], "int64", [2**53 + 1, None]),
        ([0.5, 2**64 - 1], "uint64", [None, 2**64 - 1]),
        ([-1, 0.5, 2**64 - 1], "string", ["-1", "0.5", str(2**64 - 1)]),
        ([True, False], "bool", [True, False]),
        ([True, 1], "string", ["true", "1"]),
        (["a", 1, None], "string", ['"a"', "1", None]),
        ([b"\x00\xff", b""], "binary", [b"\x00\xff", b""]),
        ([None, None], "string", [None, None]),
        ([[1, 2], [], None, [3]], "list<element: int64>", [[1, 2], [], None, [3]]),
        ([[1, 2], [0.5]], "list<element: double>", [[1, 2], [0.5]]),
        ([[1, "a"], [2]], "string", ['[1,"a"]', "[2]"]),
        ([[], []], "list<element: string>", [[], []]),
        ([[[1], [2, 3]], [[]]], "list<element: list<element: int64>>", [[[1], [2, 3]], [[]]]),
        ([[{"x": 1}], [{"x": 0.5, "y": "a"}]], "list<element: struct<x: double, y: string>>",
         [[{"x": 1.0, "y": None}], [{"x": 0.5, "y": "a"}]]),
        (
            [[{"x": [0, False]}], [{"x": None}]],
            "list<element: struct<x: string>>",
            [[{"x": "[0,false]"}], [{"x": None}]],
        ),
        ([[], [[]], [[[1]]]], "list<element: list<element: list<element: int64>>>", [[], [[]], [[[1]]]]),
        ([[[2**60, 0.5]]], "list<element: list<element: double>>", [[[float(2**60), 0.5]]]),
        ([np.float32(0.5), np.float32(2)], "float", [0.5, 2.0]),
        ([np.arange(3, dtype=np.uint8)] * 2, "list<element: uint8>", [[0, 1, 2]] * 2),
        ([np.arange(2000, dtype=np.int16), None, np.arange(3, dtype=np.int16)], "list<element: int16>",
         [list(range(2000)), None, [0, 1, 2]]),
        ([np.eye(2), np.eye(2)], "list<element: list<element: double>>", [[[1, 0], [0, 1]]] * 2),
        ([np.ones((200, 3)), np.ones((1, 3))], "list<element: list<element: double>>", [[[1.0] * 3] * 200, [[1.0] * 3]]),
        ([np.arange(2, dtype=np.int8), np.arange(2, dtype=np.int32)], "list<element: int32>", [[0, 1], [0, 1]]),
        ([np.arange(2, dtype=np.uint16), [70000]], "list<element: int64>", [[0, 1], [70000]]),
        ([np.array([True, False])] * 2, "list<element: bool>", [[True, False]] * 2),
        ([np.array([1 + 2j])], "string", None),
        ([datetime(2024, 2, 29, tzinfo=UTC)], "timestamp[us, tz=UTC]", [datetime(2024, 2, 29, tzinfo=UTC)]),
        ([math.nan, math.inf], "double", None),
        (["é", "ab", ""], "string", ["é", "ab", ""]),
    ],
)  # fmt: skip
def test_values_become_columns_of_their_type(
    tmp_path: Path, values: list[Any], kind: str, expected: list[Any] | None
) -> None:
    for name, found in (
        ("value", column(values, tmp_path)),
        ("f", column([{"f": each} for each in values], tmp_path / "d", "f")),
    ):
        assert str(found.type).replace("item:", "element:").replace(" not null", "") == kind, name
        if expected is not None:
            assert found.to_pylist() == expected, name


def test_floats_beside_integers_that_they_cannot_equal_have_a_column_of_their_own(tmp_path: Path) -> None:
    values = [{"f": {"m": each}} for each in (2**53 + 1, 0.5, -7, None)]
    session = Recording({"n": ["t"]}).add("n", "t", values).write(tmp_path / "s")
    found = table(session)
    assert found["f.m"].to_pylist() == [2**53 + 1, None, -7, None]
    assert found["f.m.float"].to_pylist() == [None, 0.5, None, None]
    export(session, tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line.get("f.m") for line in lines] == [2**53 + 1, 0.5, -7, None]
    assert all("f.m.float" not in line for line in lines)


def test_dates_and_structured_arrays_keep_their_types(tmp_path: Path) -> None:
    rows = np.array([(1, 2.5), (-3, 0.5)], dtype=[("id", "i2"), ("v", "f4")])
    value = {
        "day": np.datetime64("2026-01-02"), "at": np.array(["2026-01-02T03:04:05", "NaT"], "M8[ms]"),
        "took": np.timedelta64(1500, "us"), "rows": rows, "far": np.array([1, -1]).astype("M8[ps]"),
    }  # fmt: skip
    session = Recording({"n": ["t"]}).add("n", "t", [value]).write(tmp_path / "s")
    found = table(session)
    types = {
        name: str(kind).replace("item:", "element:")
        for name, kind in zip(found.column_names, found.schema.types, strict=True)
    }
    assert (types["day"], types["took"], types["far"]) == ("date32[day]", "duration[us]", "string")
    assert types["at"] == "list<element: timestamp[ms]>"
    assert types["rows"] == "list<element: struct<id: int16, v: float>>"
    assert found["rows"].to_pylist() == [[{"id": 1, "v": 2.5}, {"id": -3, "v": 0.5}]]
    assert found["at"].to_pylist() == [[datetime(2026, 1, 2, 3, 4, 5), None]]
    assert found.schema.field("far").metadata[b"holds"] == b"JSON text"
    export(session, tmp_path / "x.jsonl")
    line = json.loads((tmp_path / "x.jsonl").read_text())
    assert line["rows"] == [{"id": 1, "v": 2.5}, {"id": -3, "v": 0.5}]
    assert (line["day"], line["at"], line["took"]) == ("2026-01-02", ["2026-01-02T03:04:05.000", None], "1500 us")
    assert line["far"] == ["1970-01-01T00:00:00.000000000001", "1969-12-31T23:59:59.999999999999"]


def test_empty_arrays_keep_the_type_of_their_items(tmp_path: Path) -> None:
    found = column([np.zeros(0, np.float32), np.ones(2, np.float32)], tmp_path / "a")
    assert (found.type.value_type, found.to_pylist()) == (pa.float32(), [[], [1.0, 1.0]])
    assert column([np.zeros((0, 3), np.uint8)], tmp_path / "b").type.value_type.value_type == pa.uint8()
    assert column([np.zeros(0, np.int64)] * 3, tmp_path / "c").type.value_type == pa.int64()


def test_an_empty_dict_is_not_taken_for_nothing(tmp_path: Path) -> None:
    values = [{"f": {}}, {"f": {"x": 1}}, None]
    session = Recording({"n": ["t"]}).add("n", "t", values).write(tmp_path / "s")
    found = table(session)
    assert (found["f"].to_pylist(), found["f.x"].to_pylist()) == (["{}", None, None], [None, 1, None])


def test_json_lines_hold_each_value_as_it_was_sent(tmp_path: Path) -> None:
    recording = Recording({"n": ["p", "q"]})
    sent = [("p", {"mode": "auto", "v": 1}), ("q", {"mode": True, "v": [1, 2.5, {"a": None}]})]
    recording.messages["n"] = [Message(tick, *each) for tick, each in enumerate(sent)]
    export(recording.write(tmp_path / "s"), tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [{name: line[name] for name in ("mode", "v")} for line in lines] == [value for _, value in sent]


def test_every_reader_of_csv_takes_nan_for_a_number(tmp_path: Path) -> None:
    values = [{"x": math.nan, "t": 'a,"b"'}, {"x": -math.inf, "t": ""}, {"x": 1.5, "t": "é"}]
    session = Recording({"n": ["t"]}).add("n", "t", values).write(tmp_path / "s")
    path = tmp_path / "x.csv"
    export(session, path)
    assert pl.read_csv(path, try_parse_dates=True).schema["x"] == pl.Float64
    assert pd.read_csv(path)["x"].dtype == "float64"
    assert pl.read_csv(path)["t"].to_list() == ['a,"b"', "", "é"]
    with duckdb.connect() as base:
        assert base.execute(f"SELECT typeof(x) FROM read_csv('{path}')").fetchone() == ("DOUBLE",)
    export(Recording({"n": ["t"]}).add("n", "t", [{**each, "x": 0.5} for each in values]).write(tmp_path / "p"), path)
    plain = path.read_text().splitlines()
    export(session, path)
    for one, other in zip(path.read_text().splitlines(), plain, strict=True):
        assert re.sub("NaN|-inf|1.5", "0.5", one) == other, "the same but for the numbers"


def test_one_value_that_comes_late_changes_the_type_of_all(tmp_path: Path) -> None:
    values = [{"f": place} for place in range(300)] + [{"f": 0.5}] + [{"f": "x"}]
    assert column(values[:301], tmp_path / "a", "f").type == pa.float64()
    assert column(values, tmp_path / "b", "f").to_pylist() == [*(str(place) for place in range(300)), "0.5", '"x"']


def test_fields_that_are_named_like_other_columns_get_another_name(tmp_path: Path) -> None:
    found = table(
        Recording({"n": ["t"]}).add("n", "t", [{"tick": 7, "time": 1.5, "a.b": 1, "a": {"b": 2}}]).write(tmp_path / "s")
    )
    assert found.column_names == ["tick", "time", "node", "topic", "tick_", "time_", "a.b", "a.b_"]
    assert [found[name][0].as_py() for name in ("tick", "tick_", "time_", "a.b", "a.b_")] == [0, 7, 1.5, 1, 2]


def test_keys_without_end_become_one_column(tmp_path: Path) -> None:
    found = table(
        Recording({"n": ["t"]}).add("n", "t", [{f"id{place}": place} for place in range(1500)]).write(tmp_path / "s")
    )
    assert found.column_names == ["tick", "time", "node", "topic", "value"]
    assert json.loads(found["value"][1200].as_py()) == {"id1200": 1200}


def test_messages_that_do_not_decode_are_counted(tmp_path: Path) -> None:
    session = Recording({"n": ["t"]}).add("n", "t", [1, 2, 3]).write(tmp_path / "s")
    rewrite_payload(session, 1, b"\xc1")
    report = export(session, tmp_path / "out.parquet")
    assert (report.rows, report.undecodable) == (3, 1)
    assert pq.read_table(tmp_path / "out.parquet")["value"].to_pylist() == [1, None, 3]


def rewrite_payload(session: Session, row: int, payload: bytes) -> None:
    """Writes a node's file anew with another payload, one byte long as it was, and a fitting checksum."""
    from horus_core.recording.reading.file import RecordingFile
    from horus_core.recording.writing.writer import FileWriter

    path = file_of(session, "n")
    file = RecordingFile(path)
    batches = list(file.batches())
    path.unlink()
    writer = FileWriter(session.folder, file.header)
    for batch in batches:
        if batch.num_rows:
            payloads = batch.column("payload").to_pylist()
            payloads[row] = payload
            columns = [*batch.columns[:-1], pa.array(payloads, type=pa.large_binary())]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=batch.schema), 0, 9)
    writer.close()


def test_csv_and_jsonl_write_bytes_as_base64_and_lists_as_json(tmp_path: Path) -> None:
    value = {"b": b"\x00\xff", "l": [1.5, 2.0], "o": [{"x": 1}], "n": None, "nan": math.nan}
    session = Recording({"n": ["t"]}).add("n", "t", [value]).write(tmp_path / "s")
    export(session, tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert row == {
        "tick": 0, "time": "2023-11-14T22:13:20.000000000Z", "node": "n", "topic": "t",
        "b": base64.b64encode(b"\x00\xff").decode(), "l": [1.5, 2.0], "o": [{"x": 1}], "nan": None,
    }  # fmt: skip
    export(session, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv").iloc[0]
    assert (found["b"], json.loads(found["l"]), json.loads(found["o"])) == ("AP8=", [1.5, 2.0], [{"x": 1}])


def test_the_format_follows_from_the_name_or_is_asked_for(session: Session, tmp_path: Path) -> None:
    export(session, tmp_path / "data.bin", format="csv")
    assert (tmp_path / "data.bin").read_text().startswith('"tick","time"')
    export(session, tmp_path / "data.PARQUET")
    assert pq.read_table(tmp_path / "data.PARQUET").num_rows == 23
    for output, format in (
        (tmp_path / "x.xlsx", None),
        (tmp_path / "x.csv", "xlsx"),
        (tmp_path / "noname", None),
        (tmp_path, None),
    ):
        with pytest.raises(InvalidValue, match=r"arrow, .*csv, .*jsonl, .*parquet"):
            export(session, output, format=format)
    with pytest.raises(InvalidValue, match="wide"):
        export(session, tmp_path, format="csv", wide=True)
    with pytest.raises(UnknownNode):
        export(session, tmp_path / "x.csv", nodes=["sensr"])
    with pytest.raises(InvalidValue, match="did you mean 'odom'"):
        export(session, tmp_path / "x.csv", topics=["odon"])


@pytest.mark.parametrize("format", FORMATS)
def test_an_output_that_cannot_be_written_leaves_nothing_behind(session: Session, tmp_path: Path, format: str) -> None:
    with pytest.raises(OutputFailed, match="No such file"):
        export(session, tmp_path / "nowhere" / f"x.{format}")
    os.mkfifo(tmp_path / f"fifo.{format}")
    with pytest.raises(OutputFailed, match="not a regular file"):
        export(session, tmp_path / f"fifo.{format}")
    assert sorted(os.listdir(tmp_path)) == [f"fifo.{format}", "monday"]


def test_an_export_that_fails_leaves_the_old_file(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "x.csv"
    output.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("horus_core.recording.export.formats.CsvFile._write", full)
    with pytest.raises(OutputFailed, match="No space left"):
        export(session, output)
    assert output.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["monday", "x.csv"]


def test_an_empty_session_makes_an_empty_table(tmp_path: Path) -> None:
    session = Recording({"n": ["t"]}).write(tmp_path / "s")
    for format in FORMATS:
        assert export(session, tmp_path / f"x.{format}").rows == 0
    assert pq.read_table(tmp_path / "x.parquet").column_names == ["tick", "time", "node", "topic"]


def test_a_cut_session_is_exported_up_to_the_cut_and_says_so(session: Session, tmp_path: Path) -> None:
    path = file_of(session, "driver")
    cut(path, path.stat().st_size // 2)
    report = export(Session(session.folder), tmp_path / "x.parquet")
    assert 13 <= report.rows < 23
    assert len(report.damage) == 1


def test_messages_that_are_missing_are_told(tmp_path: Path) -> None:
    recording = Recording({"n": ["t"], "m": ["u"]}).add("m", "u", [0] * 3)
    recording.messages["n"] = [Message(tick, "t", tick, tick) for tick in (0, 1, 4, 5)]
    made = recording.write(tmp_path / "s")
    path = file_of(made, "n")
    content = bytearray(path.read_bytes())
    assert export(made, tmp_path / "x.csv").lost == [], "what nothing makes suspect is not counted"
    cut(path, len(content) - 10)
    report = export(Session(made.folder), tmp_path / "x.csv")
    assert [(loss.node, loss.messages) for loss in report.lost] == [("n", 2)]
    assert not report.whole
    assert export(Session(made.folder), tmp_path / "x.csv", nodes=["m"]).lost == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_session(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from horus_core.recording.export import export\n"
        "from horus_core.recording.reading.reader import Session\n"
        "export(Session(sys.argv[1]), sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for count in (20, 80):
        recording = Recording({"n": ["t"]}, batch=2)
        recording.add("n", "t", [{"frame": bytes(1_000_000)}] * count)
        recording.write(tmp_path / f"s{count}")
        command = [sys.executable, "-c", code, str(tmp_path / f"s{count}"), str(tmp_path / "x.parquet")]
        peaks.append(int(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    assert peaks[1] - peaks[0] < 30_000, peaks


simple_kinds = st.sampled_from(
    [
        "nothing",
        "json",
        "bool",
        "natural",
        "integer",
        "large",
        "text",
        "bytes",
        "time",
        "float32",
        "float64",
        "int8",
        "uint16",
    ]
)
kinds = st.recursive(
    simple_kinds,
    lambda inner: st.one_of(
        inner.map(ListOf), st.dictionaries(st.sampled_from("ab"), inner, min_size=1, max_size=2).map(StructOf)
    ),
    max_leaves=4,
)


@given(kinds, kinds)
def test_joining_kinds_is_symmetric_and_keeps_what_it_has(a: Any, b: Any) -> None:
    joined = join(a, b)
    assert joined == join(b, a)
    assert arrow_type(joined) is not None
    assert join(joined, a) == join(joined, b) == joined


def test_the_kind_of_many_values_is_that_of_all_of_them() -> None:
    assert join_all(map(kind_of, [1, None, -2])) == "integer"
    assert join_all([]) == "nothing"


plain = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.booleans(),
        st.none(),
        st.text(max_size=4),
        st.binary(max_size=4),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("tu"), plain), max_size=12))
def test_any_values_can_be_exported_in_every_format(tmp_path_factory: pytest.TempPathFactory, found: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("any")
    recording = Recording({"n": ["t", "u"]})
    recording.messages["n"] = [Message(tick, *each) for tick, each in enumerate(found)]
    session = recording.write(folder / "s")
    for format in FORMATS:
        report = export(session, folder / f"x.{format}")
        assert (report.rows, report.undecodable) == (len(found), 0)
        assert export(session, folder / f"w.{format}", wide=True).rows == len(found)
    assert pq.read_table(folder / "x.parquet")["tick"].to_pylist() == list(range(len(found)))
    with pa.OSFile(str(folder / "x.arrow")) as source:
        assert pa.ipc.open_file(source).read_all().num_rows == len(found)
    assert len((folder / "x.jsonl").read_bytes().splitlines()) == len(found)
