"""``horus record export``: what it writes is tested with the function; here, what is typed and said."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from horus_core.recording.export import ExportReport
from horus_core.recording.reading.reader import Session
from tests.horus_command import Here, horus
from tests.recordings import Recording, file_of


@pytest.fixture(autouse=True)
def session(recordings: Path) -> None:
    made = Recording({"sensor": ["scan"], "driver": ["speed"]})
    made.add("sensor", "scan", [{"x": tick * 0.5, "pose": {"yaw": -tick}} for tick in range(10)])
    made.add("driver", "speed", list(range(10))).write(recordings / "monday")


def test_a_table_for_pandas(tmp_path: Path) -> None:
    said = horus("record", "export", "monday", "--output", "data.csv", "--format", "csv", cwd=tmp_path).out
    assert said.startswith("wrote data.csv: 20 rows, ")
    table = pandas.read_csv(tmp_path / "data.csv")
    scans = table[table["topic"] == "scan"]
    assert scans["x"].tolist() == [tick * 0.5 for tick in range(10)]
    assert scans["pose.yaw"].tolist() == [-tick for tick in range(10)]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "arrow"])
def test_the_format_follows_from_the_name(tmp_path: Path, ending: str, here: Here) -> None:
    here.horus("record", "export", "monday", "-o", tmp_path / f"data.{ending}")
    assert (tmp_path / f"data.{ending}").stat().st_size > 0


def test_nodes_topics_and_ticks_are_chosen(tmp_path: Path, here: Here) -> None:
    arguments = ["--nodes", "sensor", "--topics", "scan", "--start-tick", "2", "--stop-tick", "4", "--json"]
    report = here.horus("record", "export", "monday", "-o", tmp_path / "x.csv", *arguments).json(ExportReport)
    assert report.rows == 3


def test_a_folder_gets_a_file_per_topic(tmp_path: Path, here: Here) -> None:
    said = here.horus("record", "export", "monday", "-o", f"{tmp_path}/out/", "-f", "parquet").out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scan.parquet", "speed.parquet"]
    assert said.count("\n") == 2


def test_a_wide_table_has_a_row_per_tick(tmp_path: Path, here: Here) -> None:
    here.horus("record", "export", "monday", "-o", tmp_path / "wide.csv", "--wide")
    table = pandas.read_csv(tmp_path / "wide.csv")
    assert len(table) == 10
    assert "scan.pose.yaw" in table


def test_standard_output_gets_json_lines_or_what_is_asked_for(here: Here) -> None:
    lines = here.horus("record", "export", "monday", "-o", "-", "--topics", "speed").out.splitlines()
    assert [json.loads(line)["value"] for line in lines] == list(range(10))
    table = here.horus("record", "export", "monday", "-o", "-", "--format", "csv", "--topics", "scan").out
    assert pandas.read_csv(io.StringIO(table))["x"].tolist() == [tick * 0.5 for tick in range(10)]
    assert "give one of them" in here.refused("record", "export", "monday", "-o", "-", "--json")


def test_a_parquet_file_goes_through_a_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "horus_cli", "record", "export", "monday", "-o", "-", "-f", "parquet"]
    (tmp_path / "here").mkdir()
    found = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path / "here", timeout=60)
    assert pandas.read_parquet(io.BytesIO(found.stdout))["x"].dropna().tolist() == [tick * 0.5 for tick in range(10)]
    assert os.listdir(tmp_path / "here") == []


def test_a_reader_that_goes_ends_the_export_without_a_word(recordings: Path, tmp_path: Path) -> None:
    Recording({"n": ["t"]}).add("n", "t", ["x" * 1000] * 2000).write(recordings / "long")
    command = [sys.executable, "-m", "horus_cli", "record", "export", "long", "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_pictures_go_into_a_folder(recordings: Path, tmp_path: Path, here: Here) -> None:
    Recording({"cam": ["image"]}).add("cam", "image", [np.zeros((32, 32), np.uint8)] * 3).write(recordings / "seen")
    said = here.horus("record", "export", "seen", "-o", tmp_path / "x.csv", "--images", tmp_path / "png").out
    assert "and 3 pictures beside" in said
    assert len(os.listdir(tmp_path / "png")) == 3


def test_what_is_damaged_ends_with_1_and_the_rest_is_written(recordings: Path, tmp_path: Path, here: Here) -> None:
    path = file_of(Session(recordings / "monday"), "driver")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = here.horus("record", "export", "monday", "-o", tmp_path / "x.csv", code=1)
    assert "damaged" in result.err
    assert 10 <= len(pandas.read_csv(tmp_path / "x.csv")) < 20


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, here: Here) -> None:
    assert "x.foo" in here.refused("record", "export", "monday", "-o", tmp_path / "x.foo")
    assert "no-such" in here.refused("record", "export", "monday", "-o", tmp_path / "no-such" / "x.csv")
    assert "did you mean 'scan'" in here.refused(
        "record", "export", "monday", "-o", tmp_path / "x.csv", "--topics", "scn"
    )
    assert "--output" in here.refused("record", "export", "monday")
