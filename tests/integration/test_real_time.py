"""``rt=True``: what was asked for is granted, or said not to be."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts import ROOT, write_script

SOURCE = """
    import json, os, re
    import horus
    from horus import Node, Scheduler

    def init(node):
        locked = re.search(r"VmLck:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
        facts = [os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, int(locked)]
        open(f"{node.name}.json", "w").write(json.dumps(facts))

    scheduler = Scheduler(tick_rate=100, rt=True)
    for name, priority in (("low", 7), ("high", 9)):
        scheduler.add(Node(name=name, tick=lambda: None, init=init, rate=100, priority=priority))
    scheduler.run(duration=0.1)
    print(json.dumps(scheduler.degradations()))
"""
_PR_CAPBSET_DROP, _CAP_IPC_LOCK, _CAP_SYS_NICE = 24, 14, 23


def refuse_everything() -> None:
    """In the script's process, before it begins: neither the right nor a limit that would do in its place."""
    for capability in (_CAP_IPC_LOCK, _CAP_SYS_NICE):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    for limit in (resource.RLIMIT_RTPRIO, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(limit, (0, 0))


def run(folder: Path, refused: bool) -> list[str]:
    """The degradations."""
    done = subprocess.run(
        [sys.executable, str(write_script(folder, SOURCE))], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=50, check=True,
        preexec_fn=refuse_everything if refused else None,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("refused", [False, True], ids=["as the machine grants it", "refused"])
def test_each_node_has_its_priority_and_its_memory_locked_or_it_is_said_that_it_has_not(
    tmp_path: Path, refused: bool
) -> None:
    problems = run(tmp_path, refused)
    for name, priority in (("low", 7), ("high", 9)):
        policy, found, locked = json.loads((tmp_path / f"{name}.json").read_text())
        unscheduled = [each for each in problems if each.startswith(f"{name}: no SCHED_FIFO priority {priority}")]
        assert len(unscheduled) == ((policy, found) != (os.SCHED_FIFO, priority))
        unlocked = [each for each in problems if each.startswith(f"{name}: memory is not locked")]
        assert len(unlocked) == (locked == 0)
        if refused:
            assert (policy, found, locked) == (os.SCHED_OTHER, 0, 0)
    assert len(problems) <= 4
