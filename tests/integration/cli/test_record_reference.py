"""Every command line of the guide for Python, letter for letter, on a control loop recorded in real time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.control_loop import SCRIPT
from tests.horus_command import COMMAND, environment

IN_REAL_TIME = SCRIPT.replace("deterministic=True, pace=False, ", "").replace("duration=2.0", "duration=1.2")
LINES = """
horus record list --long
horus record info my_session
horus record replay my_session
horus record replay my_session --speed 0.5 --start-tick 100
horus record inject my_session --nodes sensor
horus record export my_session --output data.csv --format csv
horus record clean --max-age-days 30
horus record clean --max-age-days 7
"""


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder with the script as src/main.py, and ``horus`` on the path."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(IN_REAL_TIME)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "horus"
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    return tmp_path


def typed(folder: Path, line: str, code: int = 0) -> str:
    """Types a line in the shell; what it printed."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    ended = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert ended.returncode == code, ended
    assert "Traceback" not in ended.stderr
    return ended.stdout


@pytest.mark.timeout(120)
def test_every_line_works(shell: Path) -> None:
    typed(shell, "horus run --record my_session src/main.py")
    said = {line: typed(shell, line) for line in LINES.split("\n") if line}
    assert said["horus record list --long"].splitlines()[1].startswith("my_session")
    assert "ctrl.cmd" in said["horus record info my_session"]
    assert said["horus record replay my_session"].startswith("replayed my_session: ticks 0 to 119 in ")
    assert said["horus record replay my_session --speed 0.5 --start-tick 100"].startswith(
        "replayed my_session: ticks 100 to 119"
    )
    assert "sent what was recorded" in said["horus record inject my_session --nodes sensor"]
    assert (shell / "data.csv").read_text().count("\n") > 200
    for name in ("before_fix", "after_fix"):
        typed(shell, f"horus record inject my_session --nodes sensor --speed 0 --record {name}")
    assert typed(shell, "horus record diff before_fix after_fix").startswith("equal: ")
