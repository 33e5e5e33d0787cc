"""What a graph needs before it starts, beside what it has when it has started."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from horus_core.errors import SharedMemoryFull, TooFewFiles
from horus_core.execution import needs
from horus_core.processes import descriptors
from tests.horus_command import ROOT
from tests.scripts import run, write_script

GRAPH = """
import os, sys
from pathlib import Path
from horus import Node, Scheduler
from horus_core.execution import needs

foreseen = []
measure = needs.shared_memory_needed
def remembered(*arguments):
    foreseen.append(measure(*arguments))
    return foreseen[-1]
needs.shared_memory_needed = remembered

lockstep = sys.argv[1] == "lockstep"
scheduler = Scheduler(tick_rate=100, deterministic=lockstep)
scheduler.add(Node(name="a", tick=lambda node: None, rate=100, pubs=["x", "y"]))
scheduler.add(Node(name="b", tick=lambda node: None, rate=50, subs=["x"], pubs=["z"]))
scheduler.add(Node(name="c", tick=lambda node: None, rate=50, subs=["y", "from outside"]))
scheduler.tick_once()
graph = scheduler._run.engine.memory.graph
there = [path.lstat().st_blocks * 512 for path in Path("/dev/shm").iterdir() if graph in path.name]
scheduler.stop()
print(foreseen[0], sum(there))
"""


@pytest.mark.parametrize("mode", ["lockstep", "real time"])
def test_what_is_foreseen_is_what_a_started_graph_has(tmp_path: Path, mode: str) -> None:
    ended = run(write_script(tmp_path, GRAPH), mode)
    assert ended.returncode == 0, ended.stderr
    foreseen, there = map(int, ended.stdout.split())
    assert foreseen == there


def test_too_small_a_dev_shm_is_said_with_what_the_whole_graph_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "shared_memory_needed", lambda *_: 5_000_000)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=1000, f_frsize=4096, f_blocks=16000))
    layout = SimpleNamespace(nodes=1)
    with pytest.raises(SharedMemoryFull, match="this graph: needed 5,000,000 bytes, available 4,096,000;"):
        needs.mind_needs(None, layout, True, False)  # type: ignore[arg-type]
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=4096, f_blocks=0))
    needs.mind_needs(None, layout, True, False)  # type: ignore[arg-type]


SCRIPT = """
from horus import Node, Scheduler
scheduler = Scheduler(tick_rate=100, {options})
scheduler.add(Node(name="a", tick=lambda node: node.send("x", 1), rate=100, pubs=["x"]))
scheduler.add(Node(name="b", tick=lambda node: node.recv("x"), rate=100, subs=["x"]))
scheduler.run(duration=0.2)
"""


def limited(script: Path, soft: int, hard: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize("options", ["", "recording='s'"])
def test_sixteen_open_files_are_too_few_and_the_number_that_is_named_is_enough(tmp_path: Path, options: str) -> None:
    script = write_script(tmp_path, SCRIPT.format(options=options))
    ended = limited(script, 16, 16)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("horus: the graph needs ")
    needed = int(ended.stderr.split()[4])
    assert needed > 16
    ended = limited(write_script(tmp_path, SCRIPT.format(options=options and "recording='t'")), needed, needed)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_soft_limit_is_raised_where_that_is_allowed(tmp_path: Path) -> None:
    ended = limited(write_script(tmp_path, SCRIPT.format(options="")), 16, 200)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_more_than_the_hard_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    asked = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    monkeypatch.setattr(descriptors, "files_needed", lambda *_: 500)
    with pytest.raises(TooFewFiles, match="needs 500 open files in one process, and the limit is 64"):
        descriptors.mind_open_files(3, True)
    assert asked == [(128, 128)]
