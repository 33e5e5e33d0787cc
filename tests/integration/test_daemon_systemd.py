"""The units, and the daemon as systemd sees it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from horus_daemon.places import user_places
from tests.daemons import Horusd, end_graphs, horusd, robot
from tests.scripts import ROOT, alive, wait_until

UNITS = [
    ROOT / "systemd" / name
    for name in ("horusd.service", "horus@.service", "user/horusd.service", "user/horus@.service")
]
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT / "systemd"))


# The units.


@pytest.mark.skipif(
    SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed (Debian: apt-get install systemd)"
)
@pytest.mark.parametrize("unit", UNITS, ids=named)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    # The programs must be there for it, so the units' paths are replaced by those of two that are.
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("horus", "horusd"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    text, count = re.subn(
        r"(?<=^ExecStart=)(/opt/horus|%h/\.local)/bin", str(programs), unit.read_text(), flags=re.MULTILINE
    )
    assert count == 1
    copy = tmp_path / unit.name
    copy.write_text(text)
    assert SYSTEMD_ANALYZE is not None
    scope = ["--user"] if "user" in unit.parts else ["--system"]
    done = subprocess.run(
        [SYSTEMD_ANALYZE, *scope, "--man=no", "verify", str(copy)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(
    SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed (Debian: apt-get install systemd)"
)
def test_that_check_notices_a_wrong_line(tmp_path: Path) -> None:
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nKilMode=process\n")
    assert SYSTEMD_ANALYZE is not None
    done = subprocess.run(
        [SYSTEMD_ANALYZE, "--man=no", "verify", str(unit)], capture_output=True, text=True, timeout=30, check=False
    )
    assert "KilMode" in done.stderr


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_user_and_its_groups_can_be_made() -> None:
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", str(ROOT / "systemd" / "horus.sysusers.conf")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def settings_of(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", [each for each in UNITS if each.name == "horusd.service"], ids=named)
def test_a_daemons_unit_lets_graphs_outlive_the_daemon(unit: Path) -> None:
    settings = settings_of(unit)
    assert settings["Type"] == ["notify"]
    assert settings["KillMode"] == ["process"]
    assert settings["Restart"] == ["on-failure"]
    assert int(settings["WatchdogSec"][0]) > 0
    assert settings.get("RuntimeDirectoryPreserve", ["yes"]) == ["yes"]
    assert "PrivateTmp" not in settings


@pytest.mark.parametrize("unit", [each for each in UNITS if "user" not in each.parts], ids=named)
def test_nodes_reach_their_devices_and_real_time(unit: Path) -> None:
    settings = settings_of(unit)
    closing = {
        "PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "ProtectKernelTunables", "RestrictRealtime",
        "MemoryDenyWriteExecute", "RestrictAddressFamilies", "PrivateNetwork", "PrivateIPC",
    }  # fmt: skip
    assert closing.isdisjoint(settings)
    assert settings["AmbientCapabilities"] == ["CAP_SYS_NICE"]
    assert settings["LimitRTPRIO"] == ["99"]
    assert settings["LimitMEMLOCK"] == ["infinity"]
    assert settings["NoNewPrivileges"] == ["yes"]


# The daemon under systemd.


class Systemd:
    """The socket that a service tells its state to."""

    def __init__(self) -> None:
        self.path = str(Path(os.environ["XDG_RUNTIME_DIR"], "notify"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.bind(self.path)
        self.seen: list[dict[str, str]] = []

    def until(self, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """The next message that is `wanted`."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))
            self.seen.append(message)
            if wanted(message):
                return message
        raise AssertionError(f"systemd was not told in time; the last was {self.seen[-1]}")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    listening = Systemd()
    yield listening
    listening.close()


def has(name: str) -> Callable[[dict[str, str]], bool]:
    return lambda message: name in message


def test_systemd_is_told_ready_status_signs_of_life_reloading_and_stopping(systemd: Systemd, tmp_path: Path) -> None:
    with horusd(NOTIFY_SOCKET=systemd.path, WATCHDOG_USEC="200000") as daemon:
        assert daemon.process is not None
        assert systemd.until(has("READY")) == {"READY": "1", "MAINPID": str(daemon.process.pid), "STATUS": "no graphs"}
        began = time.monotonic()
        for _ in range(5):
            systemd.until(has("WATCHDOG"))
        assert 0.25 < time.monotonic() - began < 1.5
        daemon.up(robot(tmp_path))
        systemd.until(lambda message: message.get("STATUS") == "1 running")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        daemon.process.send_signal(signal.SIGHUP)
        reloading = systemd.until(has("RELOADING"))
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert systemd.until(has("READY"))["STATUS"] == "1 running"
        assert daemon.end() == 0
        assert systemd.until(has("STOPPING"))["STOPPING"] == "1"
    assert not any(has("READY")(message) and message.get("STATUS") is None for message in systemd.seen)


def test_ready_is_told_when_what_runs_has_been_taken_over(systemd: Systemd, tmp_path: Path) -> None:
    with horusd() as first:
        first.up(robot(tmp_path))
        first.kill()
        second = Horusd(None, NOTIFY_SOCKET=systemd.path)
        try:
            second.start()
            assert systemd.until(has("READY"))["STATUS"] == "1 running"
            second.end()
        finally:
            second.client.close()
        first.start()


def test_what_systemd_tells_the_daemon_alone_is_not_passed_on(systemd: Systemd, tmp_path: Path) -> None:
    script = robot(
        tmp_path, "import os; print('notify', os.environ.get('NOTIFY_SOCKET'), os.environ.get('WATCHDOG_USEC'))"
    )
    with horusd(NOTIFY_SOCKET=systemd.path, WATCHDOG_USEC="10000000") as daemon:
        daemon.client.up(daemon.spec(script, restart="no"))
        daemon.state_of("robot", "ended")
        assert "notify None None" in daemon.log("robot")


@pytest.mark.parametrize(("answer", "runs"), [("stopping", False), ("running", True)])
def test_when_the_machine_stops_graphs_end_in_order_and_start_with_it(
    systemd: Systemd, tmp_path: Path, answer: str, runs: bool
) -> None:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    with horusd(NOTIFY_SOCKET=systemd.path, PATH=path) as daemon:
        graph = daemon.up(robot(tmp_path))
        assert daemon.end() == 0
        assert alive(graph.pid) == runs
        if not runs:
            assert systemd.until(has("EXTEND_TIMEOUT_USEC"))["STOPPING"] == "1"
            assert "stopped by SIGTERM" in daemon.log("robot")
        daemon.start()
        assert daemon.state_of("robot", "running").starts == (1 if runs else 2)


def test_the_journal_gets_the_daemons_words_and_the_graphs_lines(tmp_path: Path) -> None:
    places = user_places()
    with (tmp_path / "journal").open("w") as journal:
        found = os.fstat(journal.fileno())
        process = subprocess.Popen(
            [sys.executable, "-m", "horus_daemon.main"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"},
            stderr=journal,
        )
    daemon = Horusd(places)
    daemon.process = process
    try:
        wait_until(daemon.answers, what="the daemon to answer")
        daemon.up(robot(tmp_path))
        wait_until(
            lambda: "<6>robot: [driver] at 0\n" in (tmp_path / "journal").read_text(), what="a line of the graph"
        )
        lines = (tmp_path / "journal").read_text().splitlines()
        assert all(re.match(r"<[0-7]>\S", line) for line in lines)
        assert any(re.fullmatch(r"<6>graph robot started, pid \d+", line) for line in lines)
    finally:
        daemon.end()
        daemon.client.close()
        end_graphs(places)


def test_sighup_opens_a_log_that_was_moved_away_anew(tmp_path: Path) -> None:
    with horusd() as daemon:
        assert daemon.process is not None
        daemon.places.daemon_log.rename(tmp_path / "moved")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in daemon.log(), what="a new log")
        assert "starts, pid" in (tmp_path / "moved").read_text()
