"""A new project: a small graph that runs, records and tests at once, to be changed into one's own."""

from __future__ import annotations

import re
from pathlib import Path

from horus_core.errors import InvalidValue

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")

_MANIFEST = """\
[package]
name = "{name}"
version = "0.1.0"
description = "What this robot does"
language = "python"

[run]
script = "src/main.py"
# record = "{name}_{{date}}"    # record every run

# What differs here from the script:
# [nodes.sensor]
# rate = 50
"""

_SCRIPT = '''\
"""A sensor, and a controller that answers to it: change them into your own."""

import math

import horus
from horus import Node

RATE = 100  # Hz


def read_sensor(node: Node) -> None:
    node.send("sensor.reading", {"value": 10.0 * math.sin(2.0 * horus.elapsed())})


def start_controller(node: Node) -> None:
    node.state = {"integral": 0.0}


def control(node: Node) -> None:
    reading = node.recv("sensor.reading")
    if reading is None:
        return
    error = -reading["value"]
    integral = node.state["integral"] + error * horus.dt()
    node.state["integral"] = min(10.0, max(-10.0, integral))  # no wind-up while the error lasts
    node.send("control.output", {"output": 0.5 * error + 0.1 * node.state["integral"]})


def nodes() -> list[Node]:
    """The graph: sensor, then controller."""
    return [
        Node(name="sensor", tick=read_sensor, rate=RATE, pubs=["sensor.reading"]),
        Node(
            name="controller",
            tick=control,
            init=start_controller,
            rate=RATE,
            subs=["sensor.reading"],
            pubs=["control.output"],
        ),
    ]


if __name__ == "__main__":
    horus.run(*nodes(), tick_rate=RATE)
'''

_TEST = '''\
"""Runs the graph in this process, in virtual time: the same on every machine, and as fast as it can."""

import sys
from pathlib import Path

import horus
from horus import Node

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import main


def outputs(seconds: float) -> list[dict]:
    """What the controller sends in a run of `seconds`."""
    heard: list[dict] = []
    listener = Node(
        name="listener",
        tick=lambda node: heard.extend(node.recv_all("control.output")),
        rate=main.RATE,
        subs=["control.output"],
    )
    horus.run(
        *main.nodes(),
        listener,
        duration=seconds,
        tick_rate=main.RATE,
        execution="inline",
        deterministic=True,
        pace=False,
    )
    return heard


def test_the_controller_answers_in_every_tick() -> None:
    assert len(outputs(1.0)) == main.RATE


def test_the_output_is_against_the_reading() -> None:
    assert outputs(0.5)[-1]["output"] < 0  # after half a second the sine is well above zero


def test_two_runs_are_equal() -> None:
    assert outputs(2.0) == outputs(2.0)
'''

_IGNORED = """\
__pycache__/
.pytest_cache/
.venv/
*.arrow
"""


def make_project(folder: Path) -> list[Path]:
    """Makes a project in `folder`, which is new or empty; it is called as the folder is.

    Returns:
        The files.

    Raises:
        InvalidValue: the name is no name for a project, or something is there.
    """
    name = folder.name
    if not _NAME.match(name):
        expected = "1 to 100 letters, digits, '_', '-' and '.', starting with a letter or digit"
        raise InvalidValue("the project's name", repr(name)[:120], expected)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidValue("the project's folder", f"{str(folder)!r}, where something is", "a new or an empty one")
    texts = {
        "horus.toml": _MANIFEST.format(name=name),
        "src/main.py": _SCRIPT,
        "tests/test_graph.py": _TEST,
        ".gitignore": _IGNORED,
    }
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return [folder / path for path in texts]
