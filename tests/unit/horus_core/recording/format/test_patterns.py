"""Names chosen by patterns."""

from __future__ import annotations

import pytest

from horus_core.recording.format.patterns import expanded, fits


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("camera/left", "camera/*", True),
        ("camera/left/raw", "camera/*", True),
        ("camera", "camera/*", False),
        ("cam1", "cam?", True),
        ("cam12", "cam?", False),
        ("a.b", "a?b", True),
        ("axb", "a.b", False),
        ("scan[3]", "scan[3]", True),  # brackets are letters
        ("scan3", "scan[3]", False),
        ("two\nlines", "two*", True),
        ("Cam", "cam*", False),
    ],
)
def test_what_a_pattern_fits(name: str, pattern: str, expected: bool) -> None:
    assert fits(name, pattern) is expected


def test_each_name_comes_once_in_the_order_asked_for() -> None:
    assert expanded(["b*", "a1", "*1"], ["a1", "b1", "b2"]) == ["b1", "b2", "a1"]


def test_a_name_that_looks_like_a_pattern_stands_for_itself() -> None:
    assert expanded(["a*"], ["a*", "ab"]) == ["a*"]


def test_what_fits_nothing_is_left_for_whoever_checks_names() -> None:
    assert expanded(["x*", "y"], ["a"]) == ["x*", "y"]
