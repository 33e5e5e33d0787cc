"""The snippets in docs/recording-format.md, run as they stand there on a recording."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import horus
from horus import Node, Scheduler

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recording-format.md"

IMAGE = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
CLOUD = np.linspace(0, 1, 1500, dtype=np.float32).reshape(500, 3)
VALUES: list[tuple[str, Any]] = [
    ("state", {"x": 1.5, "names": ["a", "b"], "none": None}),  # encoding 0
    ("state", {"small": np.array([[1, 2], [3, 4]], dtype=np.int16), "scalar": np.float32(0.5)}),  # 0, extension 1
    ("raw", b"\x00\xff" * 10),  # 1
    ("image", {"image": IMAGE, "cloud": CLOUD, "stamp": 7}),  # 2
]


def send(node: Node) -> None:
    topic, value = VALUES[horus.tick()]
    node.send(topic, value)


@pytest.fixture
def folder(recordings: Path) -> Path:
    """The folder of a session with a message of each encoding."""
    sensor = Node(name="sensor", tick=send, rate=100, pubs=["state", "raw", "image"])
    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, execution="inline", recording="run")
    scheduler.add(sensor).run(duration=len(VALUES) / 100)
    return recordings / "run"


def run_snippet(folder: Path, word: str) -> dict[str, Any]:
    """Runs the snippet of the section that holds `word`, on the sensor's file; its names."""
    section = PAGE.read_text(encoding="utf-8").partition("## Reading it without HORUS")[2]
    (snippet,) = [text for text in re.findall(r"```python\n(.*?)```", section, re.DOTALL) if word in text]
    (file,) = folder.glob("sensor@*.arrow")
    assert "sensor@5f0c2b1a.arrow" in snippet
    names: dict[str, Any] = {}
    exec(compile(snippet.replace("sensor@5f0c2b1a.arrow", str(file)), str(PAGE), "exec"), names)
    return names


def test_polars_and_msgspec_give_every_value_that_was_sent(folder: Path) -> None:
    names = run_snippet(folder, "polars")
    assert names["messages"]["encoding"].to_list() == [0, 0, 1, 2]
    plain, small, raw, large = names["values"]
    assert (plain, raw) == (VALUES[0][1], VALUES[2][1])
    for found, sent in ((small["small"], VALUES[1][1]["small"]), (large["image"], IMAGE), (large["cloud"], CLOUD)):
        assert found.dtype == sent.dtype
        np.testing.assert_array_equal(found, sent)
    assert (small["scalar"], large["stamp"]) == (np.float32(0.5), 7)


def test_duckdb_reads_what_pyarrow_opened(folder: Path) -> None:
    assert run_snippet(folder, "duckdb")["counts"] == [("image", 1), ("raw", 1), ("state", 2)]
