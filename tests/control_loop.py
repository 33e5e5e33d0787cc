"""A sensor and a controller, recorded once for many tests: two seconds at 100 Hz in virtual time."""

from __future__ import annotations

import atexit
import math
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.horus_command import PATIENCE, environment

TICKS = 200
SCRIPT = """
import math
import sys

import horus
from horus import Node, Scheduler

GAIN = 0.5


def sense(node):
    tick = node.state.get("tick", 0)
    node.send("sensor.reading", {"value": 10.0 * math.sin(0.02 * tick), "tick": tick})
    node.state["tick"] = tick + 1


def control(node):
    reading = node.recv("sensor.reading")
    if reading is None:
        return
    node.state["sum"] = node.state.get("sum", 0.0) + reading["value"] * horus.dt()
    node.send("ctrl.cmd", {"output": GAIN * reading["value"] + node.state["sum"]})
    if horus.tick() % 50 == 0:
        print("controlling", *sys.argv[1:])


print("building the graph")
scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, recording=True)
scheduler.add(Node(name="sensor", tick=sense, rate=100, pubs=["sensor.reading"]))
scheduler.add(Node(name="controller", tick=control, rate=100, subs=["sensor.reading"], pubs=["ctrl.cmd"]))
scheduler.run(duration=2.0)
"""
BOLDER = SCRIPT.replace("GAIN = 0.5", "GAIN = 0.6")


def reading(tick: int) -> float:
    """The value that the sensor sends in a tick."""
    return 10.0 * math.sin(0.02 * tick)


@cache
def _recorded() -> Path:
    """A folder with the recordings of one run, and the script; made once."""
    folder = Path(tempfile.mkdtemp(prefix="horus-test-loop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "main.py").write_text(SCRIPT)
    changes = {"HORUS_RECORDINGS": str(folder / "recordings"), "HORUS_RECORD": "base", "XDG_RUNTIME_DIR": str(folder)}
    subprocess.run(
        [sys.executable, "main.py"],
        cwd=folder,
        env=environment(**changes),
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    return folder


def recorded(recordings: Path) -> Path:
    """Puts the session "base" into `recordings`; returns the script it was recorded from."""
    made = _recorded()
    shutil.copytree(made / "recordings", recordings, dirs_exist_ok=True)
    return made / "main.py"
