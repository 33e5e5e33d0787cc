"""What commands print: tables, facts, values, units, errors."""

from __future__ import annotations

import dataclasses
import math

import msgspec
import numpy as np
import pytest

from horus_cli import show
from horus_core.errors import InvalidValue, NodeFailed


class Pose(msgspec.Struct):
    x: float


@dataclasses.dataclass
class Goal:
    pose: Pose


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("ü\n", '"ü\\n"'),
        (b"\x00\xff", '"hex:00ff"'),
        ({"a": [1, {"b": b""}], 2: 3}, '{"a": [1, {"b": "hex:"}], "2": 3}'),
        (Goal(Pose(1.0)), '{"pose": {"x": 1.0}}'),
        (np.float32(0.5), "0.5"),
        (np.arange(3), "[0, 1, 2]"),
        (np.zeros((480, 640, 3), np.uint8), '"array of 480x640x3 uint8"'),
        (bytes(1000), '"hex:' + "00" * 32 + '... (1,000 bytes)"'),
        (np.array([1 + 2j]), '["(1+2j)"]'),
        (float("nan"), "NaN"),
    ],
)
def test_a_value_is_one_line(value: object, text: str) -> None:
    assert show.value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (np.float32(0.1), "0.1"),  # 0.10000000149011612 as a float of Python's
        (math.pi / 2, "1.5708"),
        (-math.pi * 1000, "-3141.593"),
        (1_700_000_000.123456, "1700000000.123"),
        (1.23456789e-7, "1.23457e-07"),
        (5e-324, "5e-324"),
        (1e300, "1e+300"),
        (0.0, "0.0"),
        (float("-inf"), "-Infinity"),
        (2**62 + 1, "4611686018427387905"),
        ({"pose": [1 / 3, {"x": 2 / 3}], "on": True}, '{"pose": [0.333333, {"x": 0.666667}], "on": true}'),
    ],
)
def test_a_value_for_a_person_has_the_digits_that_are_read(value: object, text: str) -> None:
    assert show.value(value, readable=True) == text


def test_a_value_for_programs_is_whole() -> None:
    assert show.plain({"image": np.ones((2, 20)), "raw": bytes(40)}) == {
        "image": [[1.0] * 20] * 2,
        "raw": "hex:" + "00" * 40,
    }


def test_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show.facts({"name": "a\rb"})
    assert capsys.readouterr().out == "name: a\\rb\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ns"), (2e-9, "2 ns"), (1e-3, "1 ms"), (0.9999, "1 s"), (119, "119 s"), (125, "2:05"), (86400, "24:00:00")],
)
def test_durations(seconds: float, text: str) -> None:
    assert show.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999 B"), (999_600, "1 MB"), (2.5e12, "2.5 TB"), (1e15, "1000 TB")])
def test_sizes(count: float, text: str) -> None:
    assert show.size(count) == text


def test_errors_have_words_and_a_code() -> None:
    assert show.explain(InvalidValue("x", "1", "2")) == ("x is 1; expected 2", 2)
    assert show.explain(NodeFailed("a", 3, "raised", "trace\nback")) == (
        "node 'a' raised in tick 3; the graph has ended\ntrace\nback",
        1,
    )
    assert show.explain(PermissionError(13, "Permission denied", "/x")) == ("/x: Permission denied", 2)
    assert show.explain(KeyError("bug")) is None
