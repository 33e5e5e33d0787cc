"""Yardsticks in C, compiled on the spot with the machine's ``cc``."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.program import Measured, NotInstalled, measure

_HERE = Path(__file__).resolve().parent
_folder = tempfile.TemporaryDirectory(prefix="horus-bench-native-")


@functools.cache
def compiled(name: str) -> str:
    """The path of the program made from ``name.c``.

    Raises:
        NotInstalled: there is no compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotInstalled("needs a C compiler: apt install gcc")
    program = Path(_folder.name, name)
    subprocess.run([compiler, "-O2", "-o", program, _HERE / f"{name}.c", "-pthread"], check=True)
    return str(program)


def run(name: str, *arguments: object) -> Measured:
    """Runs the program made from ``name.c``."""
    return measure([compiled(name), *map(str, arguments)])
