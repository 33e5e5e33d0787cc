"""The snippets in docs/recording-format.md, run as they stand there on a recording."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import horus
from horus import Node, Pub, Scheduler
from horus_core.recording.keeping.edit import trim
from horus_core.recording.keeping.sessions import find_session

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


def run_snippet(folder: Path, word: str, opens: str = "sensor@5f0c2b1a.arrow") -> dict[str, Any]:
    """Runs the snippet of the page that holds `word`, on the file that stands for the one that it `opens`; its names."""
    page = PAGE.read_text(encoding="utf-8")
    (snippet,) = [text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if word in text]
    (file,) = folder.glob(f"{opens.partition('@')[0]}@*.arrow")
    assert opens in snippet
    names: dict[str, Any] = {}
    exec(compile(snippet.replace(opens, str(file)), str(PAGE), "exec"), names)
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


def test_a_side_input_that_raised_reads_as_what_it_raised(recordings: Path) -> None:
    def read() -> float:
        if horus.tick() == 1:
            raise OSError(5, "no fix")
        return 0.5

    def ask(node: Node) -> None:
        try:
            node.sample("gps", read)
        except OSError:
            node.log_debug("as it should")

    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, execution="inline", recording="run")
    scheduler.add(Node(name="sensor", tick=ask, rate=100)).run(duration=0.03)
    names = run_snippet(recordings / "run", "polars")
    assert names["messages"].select("tick", "topic", "encoding").rows() == [
        (0, "sensor~gps", 0), (1, "sensor~gps", 3), (2, "sensor~gps", 0),
    ]  # fmt: skip
    raised = {"raised": "builtins.OSError", "text": "[Errno 5] no fix", "args": [5, "no fix"]}
    assert names["values"] == [0.5, raised, 0.5]


def test_messages_that_stand_before_a_file_can_be_left_out(recordings: Path) -> None:
    def survey(node: Node) -> None:
        if horus.tick() in (1, 4):
            node.send("map", horus.tick())

    surveyor = Node(name="surveyor", tick=survey, rate=100, pubs=[Pub("map", latch=True)])
    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, execution="inline", recording="run")
    scheduler.add(surveyor).run(duration=0.06)
    trim(find_session("run"), "cut", 3, 5)
    names = run_snippet(recordings / "cut", "own_batches", "surveyor@5f0c2b1a.1.arrow")
    assert names["messages"].column("tick").to_pylist() == [4]
    (file,) = (recordings / "cut").glob("surveyor@*.arrow")
    with names["pyarrow"].ipc.open_file(file) as whole:
        assert whole.read_all().column("tick").to_pylist() == [1, 4], "a plain reader sees the one before as well"
