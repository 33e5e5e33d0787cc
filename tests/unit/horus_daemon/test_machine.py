"""Whether the machine stops: what systemd says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from horus_daemon import machine
from horus_daemon.machine import machine_is_stopping


def systemctl(folder: Path, script: str) -> dict[str, str]:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("answer", "stops"),
    [("echo stopping; exit 1", True), ("echo running", False), ("echo degraded; exit 1", False), ("exit 1", False)],
)
def test_systemd_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, stops: bool) -> None:
    monkeypatch.setenv("PATH", systemctl(tmp_path, answer)["PATH"])
    assert machine_is_stopping(user=False) == stops


def test_the_users_systemd_is_asked_for_a_users_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", systemctl(tmp_path, '[ "$1" = --user ] && echo stopping || echo running')["PATH"])
    assert machine_is_stopping(user=True)
    assert not machine_is_stopping(user=False)


def test_without_systemd_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not machine_is_stopping(user=False)


def test_a_systemd_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", systemctl(tmp_path, "exec sleep 60")["PATH"])
    monkeypatch.setattr(machine, "_ASK_SECONDS", 0.1)
    assert not machine_is_stopping(user=False)
