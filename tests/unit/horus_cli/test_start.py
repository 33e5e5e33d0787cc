"""What ``horus --help`` costs."""

from __future__ import annotations

import subprocess
import sys
import time

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
    out = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "LOADED []"


def test_help_takes_less_than_150_ms() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], env=environment(), stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    # The best of some: what other processes take of the machine is not its cost.
    assert min(seconds() for _ in range(8)) < 0.15
