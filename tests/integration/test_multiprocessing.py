"""Python's own multiprocessing and subprocess in a node: as in a script, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.scripts import alive, children, run, start, wait_until, write_script

SCRIPT = """
import gc, multiprocessing as mp, os, signal, subprocess, sys, time
from dataclasses import dataclass
from multiprocessing import shared_memory
from horus import Node, Scheduler

@dataclass
class Point:
    x: int

def moved(point):
    return Point(point.x + 1)

def put(queue, value):
    queue.put(moved(value))

class Other(mp.get_context("fork").Process):
    def run(self):
        sys.exit(7)

SIGNALS = '''import signal
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler,
      *(signal.getsignal(each) == signal.SIG_DFL for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)),
      signal.pthread_sigmask(signal.SIG_BLOCK, []))'''

def pool(node, method):
    node.state["pool"] = mp.get_context(method).Pool(2)
    print("TOLD", node.state["pool"].map(moved, [Point(1), Point(5)]))

def fork_pool(node): pool(node, "fork")
def spawn_pool(node): pool(node, "spawn")
def forkserver_pool(node): pool(node, "forkserver")

def process(node, method):
    context = mp.get_context(method)
    queue = context.Queue()
    child = context.Process(target=put, args=(queue, Point(3)))
    child.start()
    print("TOLD", queue.get(timeout=30))
    child.join()

def fork_process(node): process(node, "fork")
def spawn_process(node): process(node, "spawn")

def subclass(node):
    child = Other()
    child.start()
    child.join()
    print("TOLD", child.exitcode)

def names(node):
    context = mp.get_context("spawn")
    node.state["kept"] = context.Lock(), context.Queue()
    node.state["segment"] = shared_memory.SharedMemory(create=True, size=64)
    print("TOLD", node.state["segment"].name, node.state["kept"][0]._semlock.name.lstrip("/"), flush=True)

def popen(node):
    out = subprocess.run([sys.executable, "-c", SIGNALS], capture_output=True, text=True)
    print("TOLD", out.stdout.strip())

def forked(node):
    pid = os.fork()
    if pid == 0:
        good = signal.getsignal(signal.SIGINT) is signal.default_int_handler and gc.isenabled()
        os._exit(0 if good else 1)
    print("TOLD", os.waitpid(pid, 0)[1])

def forked_signals(node):
    read, write = os.pipe()
    if os.fork() == 0:
        ours = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        os.write(write, repr(ours == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]).encode())
        os._exit(0)
    os.wait()
    print("TOLD", os.read(read, 100).decode())

def lingering(node):
    node.state["child"] = mp.get_context("fork").Process(target=time.sleep, args=(100,), daemon=True)
    node.state["child"].start()
    print("TOLD", node.state["child"].pid, flush=True)

if __name__ == "__main__":
    what, execution, duration = sys.argv[1:]
    once = globals()[what]
    def tick(node):
        if not node.state.get("done"):
            node.state["done"] = True
            once(node)
    scheduler = Scheduler(tick_rate=20, execution=execution, deterministic=True)
    scheduler.add(Node(name="a", tick=tick, rate=20))
    scheduler.run(duration=float(duration))
"""

SAID = {
    "fork_pool": "[Point(x=2), Point(x=6)]",
    "spawn_pool": "[Point(x=2), Point(x=6)]",
    "forkserver_pool": "[Point(x=2), Point(x=6)]",
    "fork_process": "Point(x=4)",
    "spawn_process": "Point(x=4)",
    "subclass": "7",
    "popen": "True True True True set()",
    "forked": "0",
    "forked_signals": "True",
}


def told(text: str) -> str:
    lines = [line.partition("TOLD ")[2] for line in text.splitlines() if "TOLD " in line]
    assert len(lines) == 1, text
    return lines[0]


def there(names: list[str]) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if any(each in name for each in names)]


@pytest.mark.parametrize("execution", ["process", "inline"])
@pytest.mark.parametrize("what", SAID)
def test_it_does_what_it_does_in_a_script(tmp_path: Path, what: str, execution: str) -> None:
    script = write_script(tmp_path, SCRIPT)
    if execution == "inline" and what == "forked":
        pytest.skip("the garbage of a script is the script's")
    ended = run(script, what, execution, "0.1")
    assert ended.returncode == 0, ended.stderr
    assert told(ended.stdout) == SAID[what]


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_what_a_node_has_not_taken_away_is_swept_at_its_end(tmp_path: Path, execution: str) -> None:
    ended = run(write_script(tmp_path, SCRIPT), "names", execution, "0.1")
    assert ended.returncode == 0, ended.stderr
    names = told(ended.stdout).split()
    assert len(names) == 2
    wait_until(lambda: not there(names), what="nothing left in /dev/shm")


def test_a_daemonic_process_ends_with_its_node(tmp_path: Path) -> None:
    ended = run(write_script(tmp_path, SCRIPT), "lingering", "process", "0.1")
    assert not alive(int(told(ended.stdout)))


def test_a_node_that_is_killed_leaves_nothing_either(tmp_path: Path) -> None:
    process = start(write_script(tmp_path, SCRIPT), "names", "process", "100", PYTHONUNBUFFERED="1")
    try:
        assert process.stdout is not None
        names = told(process.stdout.readline()).split()
        assert len(there(names)) == 2
        children(process.pid)["horus:a"].send_signal(signal.SIGKILL)
        process.wait(30)
        wait_until(lambda: not there(names), what="nothing left in /dev/shm")
    finally:
        process.kill()
        process.communicate()


def test_an_interrupt_leaves_a_node_alone(tmp_path: Path) -> None:
    source = SCRIPT.replace('print("TOLD", out', 'os.kill(os.getpid(), signal.SIGINT); print("TOLD", out')
    ended = run(write_script(tmp_path, source), "popen", "process", "0.3")
    assert (ended.returncode, told(ended.stdout)) == (0, SAID["popen"]), ended.stderr


def test_a_node_without_multiprocessing_does_not_import_it(tmp_path: Path) -> None:
    source = """
    import sys
    from horus import Node, Scheduler
    def tick(node): print("TOLD", "multiprocessing" in sys.modules)
    scheduler = Scheduler(tick_rate=20)
    scheduler.add(Node(name="a", tick=tick, rate=20))
    scheduler.run(duration=0.05)
    """
    assert told(run(write_script(tmp_path, source)).stdout) == "False"


def test_what_a_killed_node_has_forked_is_killed(tmp_path: Path) -> None:
    process = start(write_script(tmp_path, SCRIPT), "lingering", "process", "100", PYTHONUNBUFFERED="1")
    try:
        assert process.stdout is not None
        pid = int(told(process.stdout.readline()))
        assert alive(pid)
        children(process.pid)["horus:a"].send_signal(signal.SIGKILL)
        wait_until(lambda: not alive(pid), what="the end of its child")
    finally:
        process.kill()
        process.communicate()


def test_a_family_is_ended_but_for_its_tracker(tmp_path: Path) -> None:
    from horus_core.processes.family import end_family

    code = "import os; read, write = os.pipe(); from multiprocessing.resource_tracker import main;main(read)"
    leader = subprocess.Popen(["sleep", "100"], process_group=0)
    tracker = subprocess.Popen(["python3", "-c", code], process_group=leader.pid)
    try:
        wait_until(lambda: b"resource_tracker" in Path(f"/proc/{tracker.pid}/cmdline").read_bytes())
        end_family(leader.pid)
        assert leader.wait(10) == -signal.SIGKILL
        assert tracker.poll() is None
    finally:
        for process in (leader, tracker):
            process.kill()
            process.wait()
    end_family(leader.pid)
