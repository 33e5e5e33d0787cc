"""Messages as bytes: what is a request, and what is refused and why."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_daemon.client_to_daemon import PROTOCOL, REQUEST_MOST, Down, GraphSpec, List, Restart, Shutdown, Status, Up
from horus_daemon.daemon_to_client import DaemonStatus, Done, Ended, GraphInfo, Graphs, NodeState, PastEvent, Refused
from horus_daemon.events import DaemonEvent, GraphEvent, LogLine, Missed, NodeEvent, subject
from horus_daemon.wire import encode, one_line, package_version, read_answer, read_event, read_request, refusal

SPEC = GraphSpec(
    name="robot", script="/robot.py", folder="/", python="/bin/python", arguments=["-v"], environment={"A": "1"}
)
REQUESTS = [
    Status(id=1),
    List(id=2, names=["a", "b"]),
    Up(id=3, graph=SPEC),
    Down(id=4, name="robot", seconds=2.5, forget=True),
    Restart(id=5, name="robot"),
    Shutdown(id=2**63, graphs=True),
]
GRAPH = GraphInfo(
    name="robot", state="running", wanted=True, restart="always", script="/robot.py", log="/robot.log", since_ns=5, pid=7,
    ended=Ended(3, None, "?"), nodes=[NodeState("n", 1, "ready", 2, 3, 4, 5, 6, "miss")],
    recent=[PastEvent(1, 2, "n", "miss", {"deadline": 0.5})],
)  # fmt: skip
ANSWERS = [
    refusal("invalid", "no", 9),
    Done(id=1),
    Graphs(id=2, graphs=[GRAPH]),
    DaemonStatus(
        id=3, pid=1, server="0", started_ns=2, graphs={"robot": "ended"}, adopted=1, requests=2, refused=3, lost_events=4,
        state_file="/s", logs="/l",
    ),
]  # fmt: skip
EVENTS = [
    DaemonEvent(what="ready", pid=1),
    GraphEvent(graph="robot", state="running", pid=3),
    NodeEvent(graph="robot", tick=4, node="n", event="miss", detail={"deadline": 0.01}),
    LogLine(graph="robot", node="n", text="hello"),
    Missed(graph="robot", what="events", count=3),
]


def packed(**fields: Any) -> bytes:
    return msgspec.msgpack.encode({"version": PROTOCOL, "id": 7, **fields})


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_a_request_arrives_as_it_was_sent(request_: Any) -> None:
    assert read_request([encode(request_)]) == request_


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: type(each).__name__)
def test_an_answer_arrives_as_it_was_sent(answer: Any) -> None:
    assert read_answer(encode(answer)) == answer


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: type(each).__name__)
def test_an_event_arrives_as_it_was_sent(event: Any) -> None:
    assert read_event(encode(event)) == event


def test_the_subject_of_an_event_names_its_graph_and_kind() -> None:
    assert [subject(event) for event in EVENTS] == [
        b"/daemon",
        b"robot/graph",
        b"robot/node",
        b"robot/log",
        b"robot/missed",
    ]


@pytest.mark.parametrize(
    ("frames", "code", "words"),
    [
        ([], "malformed", "one frame, not 0"),
        ([b"", encode(Status())], "malformed", "one frame, not 2"),
        ([b""], "malformed", "not a request"),
        ([b"hello"], "malformed", "not a request"),
        ([b"\x91" * 100_000], "malformed", "not a request"),
        ([b"x" * (REQUEST_MOST + 1)], "oversized", f"at most {REQUEST_MOST} bytes, not {REQUEST_MOST + 1}"),
        ([packed(kind="explode")], "unknown", "no request 'explode'"),
        ([packed(kind="ex\nplode")], "unknown", "no request 'ex\\nplode'"),
        ([packed()], "unknown", "no request ''"),
        ([packed(kind="status", version=PROTOCOL + 1)], "version", f"the client version {PROTOCOL + 1}"),
        ([packed(kind="explode", version=0)], "version", "the client version 0"),
        ([packed(kind="status", more=1)], "malformed", "unknown field `more`"),
        ([packed(kind="down")], "malformed", "missing required field `name`"),
        ([packed(kind="down", name="../x")], "malformed", "$.name"),
        ([packed(kind="down", name="x\n")], "malformed", "$.name"),
        ([packed(kind="down", name="x" * 65)], "malformed", "$.name"),
        ([packed(kind="down", name="x", seconds=-1)], "malformed", "$.seconds"),
        ([packed(kind="down", name="x", seconds=float("nan"))], "malformed", "$.seconds"),
        ([packed(kind="up", graph={"name": "x"})], "malformed", "$.graph"),
        ([encode(Status())[:-1]], "malformed", "truncated"),
        ([encode(Status()) + b"\x01"], "malformed", "trailing"),
    ],
)
def test_what_is_no_request_is_refused_and_said_why(frames: list[bytes], code: str, words: str) -> None:
    answer = read_request(frames)
    assert isinstance(answer, Refused)
    assert answer.code == code
    assert words in answer.why
    assert answer.why.isprintable()


def test_a_refusal_repeats_the_id_where_there_was_one() -> None:
    assert [read_request([packed(kind=kind)]).id for kind in ("explode", "down", "status")] == [7, 7, 7]


def test_a_refusal_for_the_version_names_both_and_is_read_by_any_client() -> None:
    answer = read_request([packed(kind="status", version=9)])
    assert isinstance(answer, Refused)
    assert package_version() in answer.why
    later = msgspec.structs.replace(answer, version=PROTOCOL + 5)
    assert read_answer(encode(later)) == later


def test_an_answer_of_another_version_is_not_read() -> None:
    with pytest.raises(ValueError, match=f"version {PROTOCOL + 1} of the protocol"):
        read_answer(encode(Done(version=PROTOCOL + 1)))


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_no_bytes_make_reading_fail(frames: list[bytes]) -> None:
    answer = read_request(frames)
    assert isinstance(answer, Refused)
    encode(answer)
    for data in frames:
        for read in (read_answer, read_event):
            with contextlib.suppress(ValueError):
                raise AssertionError(f"{data!r} was read as {read(data)}")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.sampled_from(["status", "list", "up", "down", "restart", "shutdown", "?"]),
    st.dictionaries(
        st.sampled_from(["version", "id", "name", "names", "graph", "seconds", "forget", "graphs", "x"]), values
    ),
)
def test_no_fields_make_reading_fail(kind: str, fields: dict[str, Any]) -> None:
    answer = read_request([msgspec.msgpack.encode({"kind": kind, "version": PROTOCOL, **fields})])
    assert encode(answer)
    if isinstance(answer, Refused):
        assert answer.code in ("malformed", "unknown", "version")


def test_one_line_is_one_line_and_not_endless() -> None:
    assert one_line("a\r\n\x1b[31mb") == "a\\r\\n\\x1b[31mb"
    assert len(one_line("x" * 100_000)) <= 500
