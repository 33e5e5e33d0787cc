"""What a mistake gets: one line, of a type of ours, that names the thing and the remedy; and what a failing node does."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import horus
from horus import (
    DuplicateNode,
    EmptyGraph,
    HorusError,
    InvalidValue,
    Node,
    NodeFailed,
    NotARecording,
    RecordingDamaged,
    RecordingExists,
    RecordingMissing,
    RecordingTooNew,
    Scheduler,
    SchedulerBusy,
    SharedMemoryFull,
    StartFailed,
    TopicConflict,
    UnknownNode,
    UnknownTopic,
    UnsendableValue,
    UnshippableCallable,
)
from tests.plain_arrow import events, file_of, ran, values

EXECUTIONS = ["process", "inline"]


def nothing() -> None: ...


def one_line(problem: BaseException, *words: str) -> None:
    text = str(problem)
    assert isinstance(problem, HorusError)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def inline(**options: Any) -> Scheduler:
    return Scheduler(**{"tick_rate": 100, "execution": "inline", "deterministic": True, "pace": False, **options})


@pytest.fixture
def recorded() -> list[str]:
    scheduler = inline(recording="session")
    scheduler.add(Node(name="sensor", tick=lambda node: node.send("t", horus.tick()), pubs="t", rate=100)).run(
        duration=0.1
    )
    return scheduler.stop_recording()


# Declaring.


def test_two_nodes_of_one_name() -> None:
    with pytest.raises(DuplicateNode) as caught:
        inline().add(Node(name="arm", tick=nothing)).add(Node(name="arm", tick=nothing))
    one_line(caught.value, "'arm'", "its own name=")


@pytest.mark.parametrize("rate", [0, -1, math.nan, "fast", None])
def test_a_rate_that_is_none(rate: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        Node(name="arm", tick=nothing, rate=rate)
    one_line(caught.value, "node 'arm'", "rate", repr(rate), "above 0")
    with pytest.raises(InvalidValue) as caught:
        inline().add(Node(name="arm", tick=nothing)).set_node_rate("arm", rate)
    one_line(caught.value, "'arm'", repr(rate))
    if rate is not None:
        with pytest.raises(InvalidValue) as caught:
            Scheduler(tick_rate=rate)
        one_line(caught.value, "tick_rate", repr(rate))


@pytest.mark.parametrize("tick", [None, "tick", 3, lambda a, b: None])
def test_a_tick_that_cannot_be_called_with_the_node_or_nothing(tick: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        Node(name="arm", tick=tick)
    one_line(caught.value, "node 'arm'", "tick(node) or tick()")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"watchdog_ms": -1}, ["watchdog_ms", "-1"]),
        ({"blackbox_mb": 0.5}, ["blackbox_mb", "0.5"]),
        ({"max_deadline_misses": "3"}, ["max_deadline_misses", "'3'"]),
        ({"cores": [4711]}, ["cores", "4711"]),
        ({"execution": "thread"}, ["execution", "'thread'"]),
        ({"pace": False, "deterministic": False}, ["pace", "deterministic=True"]),
    ],
)
def test_a_scheduler_with_a_wrong_argument(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidValue) as caught:
        Scheduler(**options)
    one_line(caught.value, *words)


def test_what_is_no_node() -> None:
    with pytest.raises(InvalidValue) as caught:
        inline().add(nothing)  # type: ignore[arg-type]
    one_line(caught.value, "horus.Node")


def test_a_topic_of_two_types() -> None:
    scheduler = (
        inline().add(Node(name="a", tick=nothing, pubs={"t": int})).add(Node(name="b", tick=nothing, subs={"t": str}))
    )
    with pytest.raises(TopicConflict) as caught:
        scheduler.run(duration=0.1)
    one_line(caught.value, "'t'", "int", "str")


def test_asking_for_a_node_that_is_not_there() -> None:
    scheduler = inline().add(Node(name="controller", tick=nothing))
    for ask in (
        scheduler.get_node_stats,
        lambda name: scheduler.set_tick_budget(name, 5),
        lambda name: scheduler.set_node_rate(name, 5),
    ):
        with pytest.raises(UnknownNode) as caught:
            ask("controler")
        one_line(caught.value, "'controler'", "did you mean 'controller'?")
    assert scheduler.get_node_info("controler") is None
    assert not scheduler.has_node("controler")


# Running.


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_run_without_nodes(execution: str) -> None:
    scheduler = Scheduler(execution=execution, recording=True)
    with pytest.raises(EmptyGraph) as caught:
        scheduler.run(duration=1)
    one_line(caught.value, "no nodes", "add(Node(")
    with pytest.raises(EmptyGraph):
        horus.run(duration=1)


@pytest.mark.parametrize("duration", [0, -1, math.nan, math.inf, "5", True])
def test_a_duration_that_is_none(duration: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        inline().add(Node(name="a", tick=nothing)).run(duration=duration)
    one_line(caught.value, "duration", repr(duration), "seconds")


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_scheduler_that_has_run_may_run_again(execution: str) -> None:
    """Start after stop: a run is a graph of its own, with its own recording."""
    scheduler = Scheduler(tick_rate=100, execution=execution, deterministic=True, pace=False, recording=True)
    scheduler.add(Node(name="a", tick=lambda node: node.send("t", horus.tick()), pubs="t", rate=100))
    sessions = []
    for _ in range(2):
        scheduler.run(duration=0.05)
        files = scheduler.stop_recording()
        assert values(files, "a") == [(tick, tick) for tick in range(5)]
        sessions.append(Path(files[0]).parent)
    assert len(set(sessions)) == 2
    assert sorted(path.name for path in sessions) == scheduler.list_recordings()


def test_a_run_within_a_run() -> None:
    caught: list[BaseException] = []

    def tick() -> None:
        for again in (scheduler.run, scheduler.tick_once):
            try:
                again()
            except HorusError as problem:
                caught.append(problem)

    scheduler = inline()
    scheduler.add(Node(name="a", tick=tick, rate=100)).run(duration=0.01)
    assert [type(each) for each in caught] == [SchedulerBusy, SchedulerBusy]
    for problem in caught:
        one_line(problem, "running already")


def test_changing_a_graph_that_runs() -> None:
    caught: list[BaseException] = []

    def tick() -> None:
        for change in (
            lambda: scheduler.add(Node(name="b", tick=nothing)),
            lambda: scheduler.set_node_rate("a", 5),
            lambda: scheduler.set_tick_budget("a", 5),
            scheduler.stop_recording,
        ):
            try:
                change()
            except HorusError as problem:
                caught.append(problem)

    scheduler = inline(recording=True)
    scheduler.add(Node(name="a", tick=tick, rate=100)).run(duration=0.01)
    assert [type(each) for each in caught] == [SchedulerBusy] * 4
    for problem in caught:
        one_line(problem, "running")


# A callable that cannot go, a value that cannot.


def test_a_callable_that_cannot_be_shipped_starts_nothing() -> None:
    lock = threading.Lock()

    def tick() -> None:
        with lock:
            pass

    scheduler = Scheduler(recording="r").add(Node(name="arm", tick=tick))
    with pytest.raises(UnshippableCallable) as caught:
        scheduler.run(duration=1)
    one_line(caught.value, "node 'arm'", "tick: closure variable 'lock'", "lock", "init")
    assert scheduler.list_recordings() == [], "no empty session is left"
    inline().add(Node(name="arm", tick=tick, rate=100)).run(duration=0.02)


MISTAKES: list[tuple[Callable[[Node], Any], type[HorusError], list[str]]] = [
    (
        lambda node: node.send("cmd.vell", 1),
        UnknownTopic,
        ["'arm'", "'cmd.vell'", "'cmd.vel'", "did you mean 'cmd.vel'?"],
    ),
    (lambda node: node.recv("scam"), UnknownTopic, ["'arm'", "'scam'", "did you mean 'scan'?"]),
    (lambda node: node.send("cmd.vel", {1, object()}), UnsendableValue, ["'arm'", "'cmd.vel'", "set"]),
    (lambda node: node.send("cmd.vel", 2**64), UnsendableValue, ["'arm'", "'cmd.vel'", "int", "2**64"]),
]


def test_a_mistake_in_a_nodes_own_code_ends_the_graph_with_its_line_and_its_traceback() -> None:
    for use, kind, words in MISTAKES:

        def tick(node: Node, use: Callable[[Node], Any] = use) -> None:
            use(node)

        scheduler = inline().add(Node(name="arm", tick=lambda node: tick(node), pubs="cmd.vel", subs="scan", rate=100))
        with pytest.raises(NodeFailed) as caught:
            scheduler.run(duration=0.1)
        assert isinstance(caught.value.__cause__, kind)
        one_line(caught.value.__cause__, *words)
        head, *trace = str(caught.value).splitlines()
        assert head == "node 'arm' raised an exception in tick 0; the graph has ended"
        assert any(kind.__name__ in line for line in trace)
        assert any("test_errors.py" in line for line in trace)


# A node that fails, in processes.


def failing(at: int) -> Callable[[Node], None]:
    def work(depth: int) -> float:
        return 1 / depth

    def tick(node: Node) -> None:
        node.send("t", horus.tick())
        if horus.tick() == at:
            work(0)

    return tick


@pytest.mark.parametrize("deterministic", [True, False])
def test_an_exception_ends_the_graph_under_fatal_and_the_recording_has_all_it_sent(
    deterministic: bool, recordings: Path
) -> None:
    def shutdown(node: Node) -> None:
        node.log_info("ended in order")

    scheduler = Scheduler(tick_rate=100, deterministic=deterministic, recording="r")
    scheduler.add(Node(name="bad", tick=failing(7), pubs="t", rate=100))
    scheduler.add(Node(name="good", tick=lambda node: node.recv_all("t"), shutdown=shutdown, subs="t", rate=100))
    with pytest.raises(NodeFailed) as caught:
        scheduler.run(duration=10)
    head, *trace = str(caught.value).splitlines()
    assert head == "node 'bad' raised an exception in tick 7; the graph has ended"
    assert trace[0].startswith("Traceback")
    assert trace[-1] == "ZeroDivisionError: division by zero"
    assert any("in work" in line for line in trace)
    assert not any("runner.py" in line or "worker.py" in line for line in trace)
    files = scheduler.stop_recording()
    assert values(files, "bad") == [(tick, tick) for tick in range(8)]
    (event,) = events(files, "error")
    assert (event.node, event.tick) == ("bad", 7)
    assert "ZeroDivisionError" in event.detail["traceback"]
    assert [row.status for row in ran(files, "bad")] == ["ok"] * 7 + ["error"]
    assert events(files, "end")[0].detail["reason"] == "failure"
    assert "ended in order" in (recordings / "r" / "logs" / "good.log").read_text()


def test_on_error_and_ignore_go_on_skip_goes_on_without_it(caplog: pytest.LogCaptureFixture, recordings: Path) -> None:
    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, recording="r")
    scheduler.add(
        Node(
            name="handled",
            tick=failing(3),
            pubs="t",
            rate=100,
            on_error=lambda node, problem: node.log_error(f"took {problem}"),
        )
    )
    scheduler.add(Node(name="ignored", tick=failing(4), pubs="t", rate=100, failure_policy="ignore"))
    scheduler.add(Node(name="skipped", tick=failing(5), pubs="t", rate=100, failure_policy="skip"))
    scheduler.add(
        Node(name="ear", tick=lambda node: node.send("heard", node.recv_all("t")), subs="t", pubs="heard", rate=100)
    )
    scheduler.run(duration=0.2)
    files = scheduler.stop_recording()
    assert [tick for tick, _ in values(files, "handled")] == list(range(20))
    assert [tick for tick, _ in values(files, "ignored")] == list(range(20))
    assert [tick for tick, _ in values(files, "skipped")] == list(range(6))
    heard = [each for _, found in values(files, "ear") for each in found]
    assert sorted(heard) == sorted([*range(20), *range(20), *range(6)]), "what was sent before the failure is heard"
    assert "took division by zero" in (recordings / "r" / "logs" / "handled.log").read_text()
    assert "ZeroDivisionError" in (recordings / "r" / "logs" / "ignored.log").read_text()
    assert "node 'skipped' raised an exception in tick 5" in caplog.text
    assert (
        scheduler.get_node_stats("handled")["errors_count"] == scheduler.get_node_stats("ignored")["errors_count"] == 1
    )
    assert [event.node for event in events(files, "skip")] == ["skipped"]


def test_restart_starts_a_new_process_with_a_fresh_state(caplog: pytest.LogCaptureFixture) -> None:
    def init(node: Node) -> None:
        node.state["own"] = 0

    def tick(node: Node) -> None:
        node.send("t", [os.getpid(), node.state["own"]])
        node.state["own"] += 1
        if horus.tick() == 5:
            raise RuntimeError("stall")

    scheduler = Scheduler(tick_rate=100, deterministic=True, pace=False, recording=True)
    scheduler.add(Node(name="n", tick=tick, init=init, pubs="t", rate=100, failure_policy="restart"))
    scheduler.add(
        Node(name="ear", tick=lambda node: node.send("heard", node.recv_all("t")), subs="t", pubs="heard", rate=100)
    )
    scheduler.run(duration=0.2)
    files = scheduler.stop_recording()
    found = values(files, "n")
    pids = list(dict.fromkeys(value[0] for _, value in found))
    assert len(pids) == 2
    before, after = ([(tick, value[1]) for tick, value in found if value[0] == pid] for pid in pids)
    assert before == [(tick, tick) for tick in range(6)]
    assert [count for _, count in after] == list(range(len(after)))
    assert after[-1][0] == 19
    assert scheduler.get_node_stats("n")["restarts"] == 1
    assert [each for _, heard in values(files, "ear") for each in heard] == [value for _, value in found]
    assert [event.event for event in events(files) if event.node == "n" and event.event in ("error", "restart")] == [
        "error",
        "restart",
    ]
    assert "restarting it" in caplog.text


# Starting.


@pytest.mark.parametrize(
    ("init", "words"),
    [
        (lambda: [].pop(), ["IndexError: pop from empty list"]),
        (lambda: os._exit(4), ["exited with code 4"]),
        (lambda: os.kill(os.getpid(), 9), ["SIGKILL"]),
        (lambda: (_ for _ in ()).throw(SystemExit(2)), ["SystemExit"]),
    ],
    ids=["raises", "_exit", "is killed", "exits"],
)
def test_an_init_that_fails_starts_nothing_and_says_which_and_why(init: Callable[[], Any], words: list[str]) -> None:
    scheduler = Scheduler(tick_rate=100, recording="r")
    scheduler.add(Node(name="good", tick=lambda node: node.send("t", 1), pubs="t", rate=100))
    scheduler.add(Node(name="bad", tick=lambda: None, init=init, rate=100))
    with pytest.raises(StartFailed) as caught:
        scheduler.run(duration=10)
    head = str(caught.value).splitlines()[0]
    assert head.startswith("node 'bad' did not start: ")
    assert head.endswith("; the graph was not started")
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert scheduler.status() == "stopped"
    with_files = [path for path in (scheduler.stop_recording() or []) if "@" in path]
    assert not with_files or values(with_files, "good") == []


def test_a_full_dev_shm_is_named_with_what_is_needed_when_the_graph_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SharedMemoryFull) as caught:
        Scheduler().add(Node(name="a", tick=nothing)).run(duration=1)
    one_line(caught.value, "/dev/shm", "needed", "available", "--shm-size", "remount")


# Recordings.


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (None, RecordingMissing, ["no recording at"]),
        (b"tick,value\n1,2\n", NotARecording, ["not an Arrow file"]),
        (b"", NotARecording, ["an empty file"]),
        (b"ARROW1", RecordingDamaged, ["damaged"]),
        ("cut", RecordingDamaged, ["damaged"]),
        ("newer", RecordingTooNew, ["format 99", "upgrade"]),
        ("foreign", NotARecording, ["not of HORUS"]),
    ],
    ids=["missing", "text", "empty", "magic alone", "cut in its header", "newer", "foreign"],
)
def test_a_file_that_cannot_be_replayed(
    recorded: list[str], content: Any, kind: type[HorusError], words: list[str]
) -> None:
    path = Path(recorded[0])
    whole = path.read_bytes()
    path.unlink()
    if content == "cut":
        path.write_bytes(whole[:300])
    elif content in ("newer", "foreign"):
        write_with_format(path, whole, content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(kind) as caught:
        Scheduler.replay_from(str(path))
    one_line(caught.value, str(path), *words)


def write_with_format(path: Path, whole: bytes, what: str) -> None:
    """The same file as a later version would write it, or as another program."""
    import zlib

    original = pa.ipc.open_file(whole)
    metadata = dict(original.schema.metadata)
    if what == "newer":
        header = json.loads(metadata[b"horus"]) | {"format": 99}
        raw = json.dumps(header).encode()
        metadata = {b"horus": raw, b"horus.crc32": str(zlib.crc32(raw)).encode()}
    else:
        metadata = {b"pandas": b"{}"}
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, original.schema.with_metadata(metadata)) as writer:
        for batch in range(original.num_record_batches):
            writer.write_batch(original.get_batch(batch))


def test_a_cut_file_is_replayed_up_to_the_cut(recorded: list[str]) -> None:
    """Cut behind its last batch: no footer. It opens by itself and says so."""
    for path in map(Path, recorded):
        path.write_bytes(path.read_bytes()[:-30])
    heard: list[Any] = []
    scheduler = Scheduler.replay_from(recorded[0], execution="inline").set_replay_speed(0)
    scheduler.add(Node(name="ear", tick=lambda node: heard.extend(node.recv_all("t")), subs="t", rate=100))
    scheduler.run()
    assert heard == list(range(10))


def test_a_session_of_that_name_exists(recorded: list[str]) -> None:
    with pytest.raises(RecordingExists) as caught:
        inline(recording="session").add(Node(name="a", tick=nothing)).run(duration=0.1)
    one_line(caught.value, "'session'", "another name")
    assert len(values(recorded, "sensor")) == 10, "and stays as it was"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 200, "a\nb"])
def test_a_session_name_that_is_none(name: str) -> None:
    scheduler = inline(recording=name).add(Node(name="a", tick=nothing, rate=100))
    if not name:
        scheduler.run(duration=0.01)  # no recording was asked for
        return
    with pytest.raises(InvalidValue) as caught:
        scheduler.run(duration=0.1)
    one_line(caught.value, "session name")
    with pytest.raises(InvalidValue):
        scheduler.delete_recording(name)


def test_a_recording_is_deleted_once(recorded: list[str]) -> None:
    scheduler = inline(recording=True)
    assert scheduler.list_recordings() == ["session"]
    assert scheduler.delete_recording("session") is True
    assert scheduler.delete_recording("session") is False
    assert scheduler.list_recordings() == []
    assert not Path(recorded[0]).exists()


# The reference text's table.


def test_list_recordings_is_empty_without_recording_and_says_why(
    recorded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert inline().list_recordings() == []
    (record,) = caplog.records
    assert "recording=True was not set in Scheduler" in record.getMessage()


def test_stop_recording_is_empty_if_no_tick_ran_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert inline(recording=True).add(Node(name="a", tick=nothing)).stop_recording() == []
    (record,) = caplog.records
    assert "did not run" in record.getMessage()
    assert "run(duration=" in record.getMessage()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        scheduler = inline().add(Node(name="a", tick=nothing, rate=100))
        scheduler.run(duration=0.01)
        assert scheduler.stop_recording() == []
    (record,) = caplog.records
    assert "recording=True was not set" in record.getMessage()


def test_inject_of_a_topic_of_another_case_hears_nothing_and_a_close_name_is_told(recorded: list[str]) -> None:
    """Topic names must match exactly: case-sensitive, dot-separated."""
    heard: list[Any] = []
    scheduler = Scheduler(execution="inline").add_replay(file_of(recorded, "sensor")).set_replay_speed(0)
    scheduler.add(Node(name="ear", tick=lambda node: heard.extend(node.recv_all("T")), subs="T", rate=100))
    scheduler.run()
    assert heard == []


# Errors that a program may tell apart.


def test_everything_that_is_refused_is_a_horus_error() -> None:
    for name in horus.__all__:
        kind = getattr(horus, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, HorusError), name
