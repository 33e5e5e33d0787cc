"""Some of the sessions of ``python -m tests.fuzz_commands``, which tries as many as there is time for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.horus_command import environment


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [9, 1006, 2125, 22172])
def test_no_command_fails_or_believes_a_damaged_session(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-m", "tests.fuzz_commands", "--seconds", "240", "--sessions", "4", "--seed", str(seed)]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=290)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("4 damaged sessions, nothing found")
