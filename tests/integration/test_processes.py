"""Each node is a process of its own: where it runs, what it is called, how it starts, and how a run ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import horus
from horus import Interrupted, Node, Scheduler, SchedulerBusy
from horus_core.inspection.topic import Topic
from tests.plain_arrow import events, sent, values
from tests.scripts import alive, children, run, start, wait_until, write_script

CORES = sorted(os.sched_getaffinity(0))


def where_am_i(node: Node) -> None:
    """Its pid, process group, cores, scheduling class and name, once."""
    if horus.tick() == 0:
        node.send(
            node.publishers()[0],
            {
                "pid": os.getpid(),
                "parent": os.getppid(),
                "group": os.getpgrp(),
                "cores": sorted(os.sched_getaffinity(0)),
                "title": Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode(),
                "comm": Path("/proc/self/comm").read_text().strip(),
                "seed": os.environ.get("PYTHONHASHSEED"),
                "argv": sys.argv,
            },
        )


def found_by(files: list[str], *nodes: str) -> dict[str, dict[str, Any]]:
    return {name: values(files, name)[0][1] for name in nodes}


def test_every_node_has_a_process_named_after_it_on_the_core_that_was_asked_for() -> None:
    names = ["chain_a", "chain_b", "branch", "pinned"]
    scheduler = Scheduler(tick_rate=100, recording=True, name="robot", deterministic=True)
    scheduler.add(Node(name="chain_a", tick=where_am_i, pubs=["a"], rate=100))
    scheduler.add(Node(name="chain_b", tick=where_am_i, pubs=["b"], subs=["a"], rate=100))
    scheduler.add(Node(name="branch", tick=where_am_i, pubs=["c"], rate=100))
    scheduler.add(Node(name="pinned", tick=where_am_i, pubs=["d"], subs=["a"], rate=100, core=CORES[-1]))
    before = os.sched_getaffinity(0)
    scheduler.run(duration=0.2)
    assert os.sched_getaffinity(0) == before, "the script's thread has its cores back"
    found = found_by(scheduler.stop_recording(), *names)
    pids = {name: facts["pid"] for name, facts in found.items()}
    assert len({*pids.values(), os.getpid()}) == 5
    for name, facts in found.items():
        assert facts["parent"] == os.getpid()
        assert facts["group"] == facts["pid"], "a process group of its own"
        assert facts["title"] == f"horus:{name}"
        assert facts["comm"] == f"horus:{name}"[:15]
        assert facts["seed"] == "0"
        assert facts["argv"] == sys.argv
        assert len(facts["cores"]) == 1
        stats = scheduler.get_node_stats(name)
        assert (stats["pid"], [stats["core"]]) == (pids[name], facts["cores"])
    assert found["pinned"]["cores"] == [CORES[-1]]
    assert found["chain_a"]["cores"] == found["chain_b"]["cores"]
    if len(CORES) > 1:
        assert found["branch"]["cores"] != found["chain_a"]["cores"]
    assert not any(alive(pid) for pid in pids.values())


@pytest.mark.skipif(len(CORES) < 2, reason="one core is all there is")
def test_only_the_cores_that_were_given_are_used() -> None:
    scheduler = Scheduler(tick_rate=100, recording=True, cores=[CORES[1]], deterministic=True)
    for name in "ab":
        scheduler.add(Node(name=name, tick=where_am_i, pubs=[name], rate=100))
    scheduler.run(duration=0.05)
    assert {tuple(facts["cores"]) for facts in found_by(scheduler.stop_recording(), "a", "b").values()} == {(CORES[1],)}


def test_a_core_that_is_not_there_is_a_degradation_not_a_failure() -> None:
    scheduler = Scheduler(tick_rate=100, deterministic=True).add(Node(name="a", tick=lambda: None, rate=100, core=4711))
    scheduler.run(duration=0.05)
    assert scheduler.get_node_stats("a")["total_ticks"] == 5
    assert any("4711" in line and line.startswith("a: ") for line in scheduler.degradations())


INTERRUPTS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
ENDLESS = """
import os, sys, horus
from horus import Node, Scheduler

def tick(node):
    node.send("t", {"tick": horus.tick(), "pid": os.getpid()})
    if horus.tick() == 20:
        print("running", flush=True)

def shutdown(node):
    print("shut down", node.name, flush=True)

scheduler = Scheduler(tick_rate=100, recording="kept")
scheduler.add(Node(name="sensor", tick=tick, shutdown=shutdown, pubs="t", rate=100))
scheduler.add(Node(name="ear", tick=lambda node: node.recv("t"), shutdown=shutdown, subs="t", rate=100))
MODE
"""


@INTERRUPTS
def test_an_interrupted_run_stops_in_order_and_keeps_its_recording(
    tmp_path: Path, recordings: Path, number: int, code: int
) -> None:
    process = start(write_script(tmp_path, ENDLESS.replace("MODE", "scheduler.run()\nprint('not reached')")))
    try:
        wait_until(lambda: "running" in process.stdout.readline(), what="the 20th tick")
        workers = children(process.pid)
        assert set(workers) == {"horus:sensor", "horus:ear", "horus:recorder"}
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == code
    assert "not reached" not in out
    assert "Traceback" not in err
    assert re.search(rf"stopped by {signal.Signals(number).name} after tick \d+; the recording is kept: \S*kept", err)
    assert sorted(re.findall(r"shut down (\w+)", out)) == ["ear", "sensor"]
    assert not any(alive(worker.pid) for worker in workers.values())
    files = sorted(map(str, (recordings / "kept").glob("*.arrow")))
    found = values(files, "sensor")
    assert [tick for tick, _ in found] == [value["tick"] for _, value in found]
    last = int(re.findall(r"after tick (\d+)", err)[0])
    missed = {event.tick for event in events(files, "miss") if event.node == "sensor"}  # the machine may be busy
    assert len(found) > 20 or missed
    assert found[-1][0] == last or any(tick >= found[-1][0] for tick in missed)
    assert 20 <= found[-1][0] <= last == events(files, "end")[0].tick


def test_an_interrupted_run_can_be_caught_and_told_from_a_finished_one(tmp_path: Path) -> None:
    mode = (
        "try:\n    scheduler.run()\nexcept KeyboardInterrupt as problem:\n"
        "    print('caught', type(problem).__name__, problem.code, len(scheduler.stop_recording()))"
    )
    process = start(write_script(tmp_path, ENDLESS.replace("MODE", mode)))
    try:
        wait_until(lambda: "running" in process.stdout.readline(), what="the 20th tick")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert re.search(r"caught Interrupted 130 [1-9]", out)
    assert issubclass(Interrupted, KeyboardInterrupt)


SLOW_START = """
import pathlib, time, horus
from horus import Node

def init(node):
    pathlib.Path("in init").touch()
    time.sleep(60)

horus.run(Node(name="a", tick=lambda: None, init=init, rate=10), tick_rate=10, recording="never")
"""


@INTERRUPTS
def test_an_interrupt_before_all_nodes_are_ready_ends_it_with_one_line(
    tmp_path: Path, recordings: Path, number: int, code: int
) -> None:
    process = start(write_script(tmp_path, SLOW_START))
    try:
        wait_until(lambda: (tmp_path / "in init").exists() or process.poll() is not None, what="its init")
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == code
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"horus: stopped by {signal.Signals(number).name} before its nodes were ready"
    assert not (recordings / "never").exists()


def test_a_stop_from_another_thread_before_all_nodes_are_ready_ends_the_run(tmp_path: Path) -> None:
    def init() -> None:
        (tmp_path / "in init").touch()
        time.sleep(60)

    scheduler = Scheduler(tick_rate=100).add(Node(name="a", tick=lambda: None, init=init, rate=100))
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        wait_until((tmp_path / "in init").exists, what="its init")
    finally:
        scheduler.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert (scheduler.status(), scheduler.current_tick()) == ("stopped", 0)
    assert children(os.getpid()) == {}


TWICE = """
import horus
from horus import Node, Scheduler

def shutdown(node):
    import time
    print("shutting down", flush=True)
    time.sleep(60)

def tick(node):
    if horus.tick() == 20:
        print("running", flush=True)

Scheduler(tick_rate=100).add(Node(name="stuck", tick=tick, shutdown=shutdown, rate=100)).run()
"""


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    process = start(write_script(tmp_path, TWICE))
    try:
        wait_until(lambda: "running" in process.stdout.readline(), what="the 20th tick")
        (worker,) = children(process.pid).values()
        process.send_signal(signal.SIGINT)
        wait_until(lambda: "shutting down" in process.stdout.readline(), what="the shutdown callback")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=2)
    finally:
        process.kill()
    assert process.returncode not in (0, None)
    wait_until(lambda: not alive(worker.pid), what="the worker's end")


def test_two_graphs_of_the_same_names_at_once_do_not_meet(tmp_path: Path, recordings: Path) -> None:
    script = write_script(
        tmp_path,
        """
        import sys, horus
        from horus import Node, Scheduler
        mine = int(sys.argv[1])
        scheduler = Scheduler(tick_rate=200, recording=f"graph{mine}", name="robot")
        def sense(node):
            node.send("reading", [mine, horus.tick()])
        def control(node):
            node.send("cmd", node.recv_all("reading"))
        scheduler.add(Node(name="sensor", tick=sense, pubs="reading", rate=200))
        scheduler.add(Node(name="controller", tick=control, subs="reading", pubs="cmd", rate=200))
        scheduler.run(duration=1.5)
        """,
    )
    processes = {mine: start(script, str(mine)) for mine in (1, 2, 3)}
    for process in processes.values():
        _, err = process.communicate(timeout=50)
        assert process.returncode == 0, err
    for mine in processes:
        files = sorted(map(str, (recordings / f"graph{mine}").glob("*.arrow")))
        sensed = values(files, "sensor")
        assert {value[0] for _, value in sensed} == {mine}
        heard = [reading for _, readings in values(files, "controller") for reading in readings]
        assert heard == [value for _, value in sensed][: len(heard)]
        assert len(heard) > 100


def test_a_graph_that_is_just_starting_is_not_swept() -> None:
    """Every start sweeps what dead graphs left; here somebody does nothing else."""
    code = "from horus_core.memory.shared import sweep\nprint('sweeping', flush=True)\nwhile True: sweep()"
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE) as sweeper:
        try:
            assert sweeper.stdout is not None
            assert sweeper.stdout.readline() == b"sweeping\n"
            for _ in range(4):
                scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False)
                scheduler.add(Node(name="a", tick=lambda: None, rate=100))
                scheduler.run(duration=0.1)
                assert scheduler.current_tick() == 10
        finally:
            sweeper.kill()


def test_what_a_node_prints_comes_out_with_its_name_before_it(
    capfd: pytest.CaptureFixture[str], recordings: Path
) -> None:
    def tick(node: Node) -> None:
        if horus.tick() == 3:
            print("to stdout: größe")
            print("to stderr", file=sys.stderr)
            os.write(1, b"from below\nwithout an end")
            node.log_warning("by the log")
            node.log_debug("into the file only")

    scheduler = Scheduler(tick_rate=100, recording="r", deterministic=True)
    scheduler.add(Node(name="talker", tick=tick, rate=100)).run(duration=0.1)
    out = capfd.readouterr().out
    for line in ("to stdout: größe", "to stderr", "from below", "without an end"):
        assert f"[talker] {line}\n" in out
    assert re.search(r"\[talker\] warning \(tick 3\): by the log\n", out)
    assert "into the file only" not in out
    log = (recordings / "r" / "logs" / "talker.log").read_text()
    for line in ("to stdout: größe", "to stderr", "from below", "without an end", "by the log", "into the file only"):
        assert line in log


def test_init_and_shutdown_run_in_the_nodes_process_with_its_state(recordings: Path) -> None:
    def init(node: Node) -> None:
        node.state["lock"] = threading.Lock()  # what could not be shipped
        node.state["pids"] = [os.getpid()]

    def tick(node: Node) -> None:
        with node.state["lock"]:
            node.state["pids"].append(os.getpid())

    def shutdown(node: Node) -> None:
        node.log_info(json.dumps(node.state["pids"]))

    scheduler = Scheduler(tick_rate=100, recording="r", deterministic=True, pace=False)
    scheduler.add(Node(name="n", tick=tick, init=init, shutdown=shutdown, rate=100)).run(duration=0.05)
    log = (recordings / "r" / "logs" / "n.log").read_text()
    pids = json.loads(re.findall(r"\[.*\]", log)[-1])
    assert len(pids) == 6
    assert set(pids) == {scheduler.get_node_stats("n")["pid"]}


def test_stepping_keeps_the_processes_until_the_end() -> None:
    pids: list[set[int]] = []
    with Scheduler(tick_rate=100, recording=True) as scheduler:
        scheduler.add(Node(name="a", tick=lambda node: node.send("t", [os.getpid(), horus.tick()]), pubs="t", rate=100))
        for _ in range(3):
            scheduler.tick_once()
            pids.append({child.pid for child in psutil.Process().children()})
        assert scheduler.current_tick() == 3
        scheduler.tick_for(0.05)
        assert scheduler.current_tick() == 8
        with pytest.raises(SchedulerBusy, match="stepping"):
            scheduler.add(Node(name="b", tick=lambda: None))
        files = scheduler.stop_recording()
    assert pids[0] == pids[1] == pids[2]
    found = values(files, "a")
    assert [value[1] for _, value in found] == list(range(8))
    assert len({value[0] for _, value in found}) == 1
    assert scheduler.status() == "stopped"


def test_a_run_on_another_thread_can_be_watched_and_stopped_from_this_one() -> None:
    scheduler = Scheduler(tick_rate=100, name="watched", recording="r")
    scheduler.add(Node(name="a", tick=lambda node: node.send("t", horus.tick()), pubs="t", rate=100))
    scheduler.add(Node(name="b", tick=lambda node: node.recv("t"), subs="t", rate=100))
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        wait_until(lambda: scheduler.current_tick() > 30, what="the 30th tick")
        assert scheduler.is_running()
        assert scheduler.is_recording()
        assert scheduler.status() == "running"
        with pytest.raises(SchedulerBusy, match="running already"):
            scheduler.run()
        with pytest.raises(SchedulerBusy):
            scheduler.tick_once()
        with pytest.raises(SchedulerBusy):
            scheduler.stop_recording()
        stats = scheduler.get_node_stats("a")
        assert stats["total_ticks"] >= 30
        assert stats["messages_sent"] == stats["total_ticks"] or abs(stats["messages_sent"] - stats["total_ticks"]) <= 1
        assert alive(stats["pid"])
        topic = Topic("t", graph="watched")
        assert topic.recv(timeout=5) is not None
    finally:
        scheduler.stop()
        thread.join(20)
    assert not thread.is_alive()
    assert not scheduler.is_running()
    assert len(sent(scheduler.stop_recording(), "a")) >= 30


def test_a_node_may_ask_for_the_end() -> None:
    def tick(node: Node) -> None:
        node.send("t", horus.tick())
        if horus.tick() == 11:
            node.request_stop()

    for options in ({"deterministic": True, "pace": False}, {}):
        scheduler = Scheduler(tick_rate=200, recording=True, **options)
        scheduler.add(Node(name="a", tick=tick, pubs="t", rate=200)).run(duration=30)
        found = [tick for tick, _ in values(scheduler.stop_recording(), "a")]
        if options:
            assert found == list(range(12))
        else:
            assert found[:12] == list(range(12))
            assert len(found) <= 14, "a tick that was released already may still run"


def test_a_script_that_does_not_guard_its_code_starts_nothing_twice(tmp_path: Path) -> None:
    script = write_script(
        tmp_path,
        """
        import os, horus
        print("main", os.getpid(), flush=True)
        horus.run(horus.Node(name="n", tick=lambda: print("tick", os.getpid()), rate=100), duration=0.03, tick_rate=100)
        """,
    )
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("main") == 1
    assert done.stdout.count("tick") == 3
