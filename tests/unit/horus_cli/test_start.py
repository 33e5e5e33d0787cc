"""What ``horus --help`` costs."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.horus_command import COMMAND, environment

HEAVY = ("pyarrow", "numpy", "zmq", "rich", "psutil", "msgspec", "cloudpickle", "horus", "horus_core.scheduler")


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from horus_cli.main import run
run(["--help"])
run(["record", "--help"])
run(["topic", "--help"])
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
"""
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "LOADED []"


def test_help_takes_less_than_150_ms() -> None:
    def seconds() -> float:
        """Of the processor: what other processes take of the machine meanwhile is not its cost."""
        process = subprocess.Popen([*COMMAND, "--help"], env=environment(), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime

    assert min(seconds() for _ in range(5)) < 0.15
