"""What ``horus --help`` costs."""

from __future__ import annotations

import subprocess
import sys

from tests.horus_command import environment

HEAVY = (
    "pyarrow",
    "numpy",
    "zmq",
    "rich",
    "psutil",
    "msgspec",
    "cloudpickle",
    "horus",
    "horus_core.scheduler.scheduler",
)


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


def test_help_imports_little() -> None:
    """How long that takes is measured by ``python -m benchmarks startup``; here it is what the time goes into."""
    code = """
import sys
from horus_cli.main import run
run(["--help"])
print(len(sys.modules), *sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    ).stdout
    count, *others = out.splitlines()[-1].split()
    assert int(count) < 200
    assert {each for each in others if not each.startswith("_")} == {"click", "horus_cli", "horus_core"}
