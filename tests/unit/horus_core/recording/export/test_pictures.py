from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from horus_core.errors import OutputFailed
from horus_core.recording.export import export
from horus_core.recording.export.json_text import json_text
from horus_core.recording.export.pictures import Pictures, is_picture, png
from tests.recordings import Message, Recording

PIL = pytest.importorskip("PIL.Image")  # comes with matplotlib, of the extra "plot"

GREY = np.arange(40 * 30, dtype=np.uint8).reshape(40, 30)
COLOUR = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)
DEPTH = np.arange(40 * 30, dtype=np.uint16).reshape(30, 40) * 50


@pytest.mark.parametrize("picture", [GREY, COLOUR, np.dstack([COLOUR, GREY.reshape(-1)[: 24 * 32].reshape(24, 32)])])
def test_a_png_holds_the_picture(tmp_path: Path, picture: np.ndarray) -> None:
    (tmp_path / "x.png").write_bytes(png(picture))
    with PIL.open(tmp_path / "x.png") as read:
        assert np.array_equal(np.asarray(read), picture)


def test_16_bits_stay_16_bits(tmp_path: Path) -> None:
    for picture in (DEPTH, DEPTH.astype(">u2"), DEPTH.T):
        (tmp_path / "x.png").write_bytes(png(picture))
        with PIL.open(tmp_path / "x.png") as read:
            assert np.array_equal(np.asarray(read), picture)


def test_what_is_a_picture() -> None:
    assert all(map(is_picture, (GREY, COLOUR, DEPTH, np.zeros((64, 64, 1), np.uint8))))
    for other in (
        GREY[:10],
        GREY.astype(np.int16),
        GREY.reshape(-1),
        np.zeros((30, 40, 5), np.uint8),
        np.ones((50, 50)),
    ):
        assert not is_picture(other)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "arrow"])
def test_pictures_go_beside_the_table(tmp_path: Path, format: str) -> None:
    recording = Recording({"cam": ["image/raw"]})
    recording.messages["cam"] = [
        Message(tick, "image/raw", {"left": COLOUR + np.uint8(tick), "stamp": tick}) for tick in (0, 3, 3)
    ]
    (tmp_path / "out").mkdir()
    report = export(recording.write(tmp_path / "s"), tmp_path / "out" / f"x.{format}", images=tmp_path / "pictures")
    assert report.pictures == 3
    names = [f"cam.image%2Fraw.left.{name}.png" for name in ("00000000", "00000003", "00000003-2")]
    assert sorted(os.listdir(tmp_path / "pictures")) == sorted(names)
    with PIL.open(tmp_path / "pictures" / names[1]) as read:
        assert np.array_equal(np.asarray(read), COLOUR + np.uint8(3))
    if format == "csv":
        found = pd.read_csv(tmp_path / "out" / "x.csv")["left"].tolist()
        assert [(tmp_path / "out" / each).resolve() for each in found] == [
            tmp_path / "pictures" / name for name in names
        ]


def test_pictures_that_could_not_be_written_are_gone_with_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Recording({"cam": ["image"]}).add("cam", "image", [GREY] * 3).write(tmp_path / "s")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("horus_core.recording.export.formats.ParquetFile._write", full)
    with pytest.raises(OutputFailed, match="No space left"):
        export(session, tmp_path / "x.parquet", images=tmp_path / "pictures")
    assert os.listdir(tmp_path / "pictures") == []


def test_a_large_array_is_its_shape_in_csv_and_all_its_numbers_elsewhere(tmp_path: Path) -> None:
    large, small = np.arange(12_000, dtype=np.float32).reshape(4, 3000), np.arange(4, dtype=np.float32).reshape(2, 2)
    session = Recording({"n": ["t"]}).add("n", "t", [{"a": large, "b": small}]).write(tmp_path / "s")
    for format in ("csv", "jsonl", "parquet"):
        export(session, tmp_path / f"x.{format}")
    row = pd.read_csv(tmp_path / "x.csv").iloc[0]
    assert (row["a"], json.loads(row["b"])) == ("float32 4x3000", [[0, 1], [2, 3]])
    assert json.loads((tmp_path / "x.jsonl").read_text())["a"] == large.tolist()
    assert pq.read_table(tmp_path / "x.parquet")["a"].to_pylist() == [large.tolist()]


@pytest.mark.parametrize(
    "shape", [(1500,), (20, 100), (3, 500), (500, 1, 3), (10, 10, 10), (1, 1, 1200), (2, 10, 10, 10)]
)
def test_the_text_of_bytes_is_json(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    assert json.loads(json_text(array) or "") == array.tolist()
    assert json.loads(json_text(array[::-1]) or "") == array[::-1].tolist()


def test_names_are_as_seen_from_the_table(tmp_path: Path) -> None:
    beside = Pictures(tmp_path / "pictures", tmp_path / "tables" / "x.csv", False)
    assert beside.text("cam.image", 7, GREY) == "../pictures/cam.image.00000007.png"
    assert Pictures("pictures", None, False).text("cam.image", 7, GREY) == "pictures/cam.image.00000007.png"
    assert beside.text("cam.image", 7, GREY[:3]) is None
    assert not (tmp_path / "pictures").exists()


@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from horus_core.recording.export import export\n"
        "from horus_core.recording.reading.reader import Session\n"
        "export(Session(sys.argv[1]), sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    peaks = []
    for count in (100, 400):
        recording = Recording({"n": ["t"]}, batch=20).add("n", "t", [picture] * count)
        recording.write(tmp_path / f"s{count}")
        command = [sys.executable, "-c", code, str(tmp_path / f"s{count}"), str(tmp_path / "x.parquet")]
        peaks.append(int(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    assert peaks[1] < 1.2 * peaks[0], peaks
