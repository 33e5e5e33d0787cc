"""Runs scripts as a user does: as processes of their own, in a folder of their own, with a time limit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]


def write_script(folder: Path, source: str, name: str = "robot.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return path


def start(script: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The running script; its output is piped."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(script), *arguments],
        cwd=script.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: Path, *arguments: str, timeout: float = 50, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished script."""
    process = start(script, *arguments, **environment)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the script still ran after {timeout} s\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "the condition") -> Any:
    """What `condition` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def children(pid: int) -> dict[str, psutil.Process]:
    """The processes of a supervisor by the name that ps shows; ``horus:recorder`` without its session."""
    found = {}
    try:
        for child in psutil.Process(pid).children():
            title = child.cmdline()[0] if child.cmdline() else ""
            if title.startswith("horus:"):
                found["horus:recorder" if title.startswith("horus:recorder:") else title] = child
    except psutil.Error:
        pass
    return found
