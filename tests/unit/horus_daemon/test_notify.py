"""What systemd is told, at a real datagram socket."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from horus_daemon.notify import Notifier

Listen = Callable[[str], socket.socket]


@pytest.fixture
def listen() -> Iterator[Listen]:
    opened = []

    def at(address: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.settimeout(5)
        listener.bind("\0" + address[1:] if address.startswith("@") else address)
        opened.append(listener)
        return listener

    yield at
    for listener in opened:
        listener.close()


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, leftovers: object) -> str:
    path = Path(os.environ["XDG_RUNTIME_DIR"], "notify")
    return str(path) if request.param == "path" else f"@horus-test-{secrets.token_hex(4)}"


def told(listener: socket.socket) -> list[str]:
    return listener.recv(4096).decode().split("\n")


def test_each_state_is_told_in_a_message_of_its_own(address: str, listen: Listen) -> None:
    listener, notifier = listen(address), Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("2 running")
    notifier.status("1 running")
    notifier.stopping("ending")
    notifier.stopping("stopping all graphs", 2.5)
    assert [told(listener) for _ in range(4)] == [
        ["READY=1", f"MAINPID={os.getpid()}", "STATUS=2 running"],
        ["STATUS=1 running"],
        ["STOPPING=1", "STATUS=ending"],
        ["STOPPING=1", "STATUS=stopping all graphs", "EXTEND_TIMEOUT_USEC=2500000"],
    ]
    notifier.close()


def test_reloading_carries_the_time_of_the_monotonic_clock(address: str, listen: Listen) -> None:
    listener, notifier = listen(address), Notifier({"NOTIFY_SOCKET": address})
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    first, second = told(listener)
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= after
    notifier.close()


def test_the_watchdog_is_fed_twice_in_its_time(address: str, listen: Listen) -> None:
    listener = listen(address)
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.watchdog == 2.0
    for now in (100.0, 100.4, 100.9, 101.0, 101.5, 101.99, 102.0):
        notifier.alive(now)
    listener.setblocking(False)
    assert [told(listener) for _ in range(3)] == [["WATCHDOG=1"]] * 3
    with pytest.raises(BlockingIOError):
        listener.recv(10)
    notifier.close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "many"},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
    ],
)
def test_there_is_no_watchdog_unless_one_waits_for_this_process(environ: dict[str, str]) -> None:
    assert Notifier(environ).watchdog is None


def test_without_systemd_nothing_is_sent() -> None:
    notifier = Notifier({})
    assert not notifier.active
    assert not notifier.send("READY=1")
    notifier.close()


def test_a_socket_that_is_gone_is_no_error(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not notifier.send("READY=1")
    notifier.close()


def test_a_socket_that_nobody_reads_holds_nobody_up(address: str, listen: Listen) -> None:
    listen(address)
    notifier = Notifier({"NOTIFY_SOCKET": address})
    began = time.monotonic()
    sent = [notifier.send("STATUS=" + "x" * 1000) for _ in range(5000)]
    assert sent[0]
    assert not sent[-1]
    assert time.monotonic() - began < 5
    notifier.close()
