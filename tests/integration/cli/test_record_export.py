"""``horus record export``: what it writes is tested with the function; here, what is typed and said."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from horus_core.recording.export import ExportReport
from tests.horus_command import Here, horus
from tests.recordings import Recording


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


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, here: Here) -> None:
    assert "x.foo" in here.refused("record", "export", "monday", "-o", tmp_path / "x.foo")
    assert "no-such" in here.refused("record", "export", "monday", "-o", tmp_path / "no-such" / "x.csv")
    assert "did you mean 'scan'" in here.refused(
        "record", "export", "monday", "-o", tmp_path / "x.csv", "--topics", "scn"
    )
    assert "--output" in here.refused("record", "export", "monday")
