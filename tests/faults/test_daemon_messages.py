"""Whatever arrives at the daemon's socket, it answers the next good request."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import psutil
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from horus_daemon.client_to_daemon import PROTOCOL, REQUEST_MOST, Down, GraphSpec, List, Restart, Status, Up
from horus_daemon.daemon_to_client import DaemonStatus, Refused
from horus_daemon.wire import encode, read_answer
from tests.daemons import Horusd, horusd
from tests.scripts import wait_until

PATIENCE_MS = 10_000
GOOD = [
    encode(Status(id=1)),
    encode(List(id=2)),
    encode(Up(id=3, graph=GraphSpec(name="x", script="/none.py", folder="/", python="/none"))),
    encode(Down(id=4, name="none")),
    encode(Restart(id=5, name="none")),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=50)
    | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
names = st.sampled_from(["x", "none", "", "../x", "a/b", "\0", "x" * 65, "ä", "a\n", "-x", "."]) | st.text(max_size=70)


def changed(data: bytes, at: int, to: int, cut: int) -> bytes:
    """`data` with a byte changed and its end cut off."""
    at %= len(data)
    return (data[:at] + bytes([to]) + data[at + 1 :])[: len(data) - cut % len(data)]


def of_kind(kind: str, fields: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode({"kind": kind, "version": PROTOCOL, "id": 9, **fields})


specs = st.fixed_dictionaries(
    {"name": names, "folder": st.just("/") | values, "python": st.just("/none") | values},
    optional={
        "script": st.just("/none.py") | values,
        "project": values,
        "arguments": values,
        "environment": values,
        "record": values,
        "duration": values,
        "tick_rate": values,
        "restart": values,
        "more": values,
    },
)
frames = st.one_of(
    st.binary(max_size=300),
    st.builds(changed, st.sampled_from(GOOD), st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000)),
    st.builds(
        of_kind, st.sampled_from(["status", "list", "up", "down", "restart", "x", ""]), st.dictionaries(names, values)
    ),
    st.builds(lambda graph: of_kind("up", {"graph": graph}), specs),
    st.builds(lambda name: of_kind("down", {"name": name}), names),
    st.builds(lambda kind: msgspec.msgpack.encode({"kind": kind, "version": 7}), names),
    values.map(msgspec.msgpack.encode),
    st.integers(1, 5000).map(lambda depth: b"\x91" * depth),  # nested lists
    st.integers(1, 5000).map(lambda depth: b"\x81\xa1x" * depth),  # nested maps
    st.sampled_from([REQUEST_MOST + 1, 2 * REQUEST_MOST]).map(lambda size: b"\xc6" + bytes(size)),
    st.just(b"\xdb\xff\xff\xff\xff"),  # a text of 4 GB that does not follow
    st.just(b"\xdd\xff\xff\xff\xff"),  # a list of 4 billion
)
messages = st.one_of(frames.map(lambda frame: [frame]), st.lists(frames, min_size=2, max_size=4), st.just([b""]))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, leftovers: Any) -> Iterator[Horusd]:
    import tempfile
    from pathlib import Path

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", tempfile.mkdtemp(dir=leftovers.session))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("HORUS_RECORDINGS", str(tmp_path_factory.mktemp("recordings")))
        assert Path(os.environ["XDG_RUNTIME_DIR"]).is_dir()
        with horusd() as running:
            yield running


@pytest.fixture(scope="module")
def dealer(daemon: Horusd) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as opened:
        opened.setsockopt(zmq.LINGER, 0)
        opened.connect(f"ipc://{daemon.places.control}")
        yield opened


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(message=messages)
def test_each_message_gets_one_answer_and_so_does_the_next_good_request(
    daemon: Horusd, dealer: zmq.Socket[bytes], message: list[bytes]
) -> None:
    dealer.send_multipart(message)
    dealer.send(encode(Status(id=77)))
    assert dealer.poll(PATIENCE_MS), message
    first = read_answer(dealer.recv())
    assert dealer.poll(PATIENCE_MS), message
    second = read_answer(dealer.recv())
    assert isinstance(second, DaemonStatus)
    assert second.id == 77
    if isinstance(first, Refused):
        assert first.why.isprintable()
        assert first.code != "internal", first
        assert len(encode(first)) < 2000
    assert daemon.process is not None
    assert second.pid == daemon.process.pid


def test_what_was_refused_is_in_the_log_and_nothing_failed(daemon: Horusd, dealer: zmq.Socket[bytes]) -> None:
    dealer.send(b"certainly not a request")
    assert dealer.poll(PATIENCE_MS)
    assert isinstance(read_answer(dealer.recv()), Refused)
    log = daemon.log()
    assert "refused (malformed): not a request" in log
    assert "Traceback" not in log


def test_a_frame_that_zmq_itself_cuts_off_harms_only_its_sender(daemon: Horusd) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as opened:
        opened.setsockopt(zmq.LINGER, 0)
        opened.connect(f"ipc://{daemon.places.control}")
        opened.send(bytes(17 * REQUEST_MOST))
        assert daemon.client.status().pid
        assert not opened.poll(100)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\xff" * 5000,
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(44) + b"\xff" * 999,
    ],
    ids=["nothing", "http", "noise", "a broken greeting"],
)
def test_what_does_not_even_speak_zmq_harms_nobody(daemon: Horusd, said: bytes) -> None:
    for path in (daemon.places.control, daemon.places.events):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
            raw.settimeout(2)
            raw.connect(str(path))
            with contextlib.suppress(OSError):
                raw.sendall(said)
                raw.shutdown(socket.SHUT_WR)
    assert daemon.client.status().pid


def test_a_client_that_never_reads_its_answers_holds_nobody_up(daemon: Horusd) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as opened:
        opened.setsockopt(zmq.LINGER, 0)
        opened.setsockopt(zmq.RCVHWM, 1)
        opened.connect(f"ipc://{daemon.places.control}")
        request = encode(List())
        for _ in range(3000):
            if not opened.poll(1000, zmq.POLLOUT):
                break
            opened.send(request)
        assert daemon.client.status().pid


def test_clients_that_come_and_go_leave_nothing_open(daemon: Horusd) -> None:
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    daemon.client.status()
    before = process.num_fds()
    for number in range(50):
        with zmq.Context() as context, context.socket(zmq.DEALER) as opened:
            opened.setsockopt(zmq.LINGER, 0)
            opened.connect(f"ipc://{daemon.places.control}")
            opened.send(GOOD[number % 2])
            if number % 3:
                assert opened.poll(PATIENCE_MS)
    wait_until(lambda: process.num_fds() <= before + 2, what="the daemon to close what was theirs")
    assert len(process.threads()) < 10
