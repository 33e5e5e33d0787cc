"""Other users of the machine: they cannot lock us out, and cannot read what we record."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.horus_command import horus
from tests.scripts import run, write_script

GRAPH = """
from horus import Node, Scheduler

def tick(node):
    node.send("x", 1)
    print("hello")

scheduler = Scheduler(tick_rate=50, {options})
scheduler.add(Node(name="a", tick=tick, rate=50, pubs=["x"]))
scheduler.run(duration=0.1)
"""


def everything_under(*folders: Path) -> dict[str, int]:
    return {
        str(path): stat.S_IMODE(path.lstat().st_mode) for folder in folders for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.parametrize("execution", ["process", "inline"])
def test_what_a_run_writes_is_its_users_alone(tmp_path: Path, recordings: Path, execution: str) -> None:
    recorded = write_script(tmp_path, GRAPH.format(options=f"recording='s', execution={execution!r}"))
    plain = write_script(tmp_path, GRAPH.format(options=f"execution={execution!r}"), "plain.py")
    before = os.umask(0)
    try:
        for script in (recorded, plain):
            assert run(script).returncode == 0
        horus("record", "trim", "s", "t", "--start-tick", "1")
    finally:
        os.umask(before)
    folders = [recordings, *([tmp_path / "state"] if execution == "process" else [])]
    modes = everything_under(*folders)
    assert len([name for name in modes if name.endswith(".arrow")]) >= 6
    assert any("/source/" in name for name in modes)
    assert {mode for name, mode in modes.items() if Path(name).is_dir()} == {0o700}
    assert {mode for name, mode in modes.items() if not Path(name).is_dir()} == {0o600}


def test_recordings_in_a_groups_folder_are_the_groups_to_read(tmp_path: Path, recordings: Path) -> None:
    recordings.mkdir()
    recordings.chmod(0o750)
    assert run(write_script(tmp_path, GRAPH.format(options="recording='s'"))).returncode == 0
    modes = everything_under(recordings / "s")
    assert {mode for name, mode in modes.items() if Path(name).is_dir()} == {0o750}
    assert {mode for name, mode in modes.items() if not Path(name).is_dir()} == {0o640}


def test_a_runtime_folder_that_somebody_else_made_is_one_line(tmp_path: Path) -> None:
    folder = Path(os.environ["XDG_RUNTIME_DIR"]) / "horus"
    folder.symlink_to(tmp_path)
    words = f"{folder} cannot be used: it is a link, or a file; set XDG_RUNTIME_DIR to a folder of yours"
    ended = run(write_script(tmp_path, GRAPH.format(options="")))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"horus: {words}"
    assert "Traceback" not in ended.stderr
    assert horus("topic", "list", code=2).err == f"horus: {words}\n"


def test_a_log_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path, recordings: Path) -> None:
    assert run(write_script(tmp_path, GRAPH.format(options="recording='s'"))).returncode == 0
    logs = recordings / "s" / "logs"
    (logs / "b.log").symlink_to("/etc/passwd")
    os.mkfifo(logs / "c.log")
    os.mkfifo(logs / "a.log.1")
    assert "hello" in horus("log", "-s", "s", "a").out
    for name in ("b", "c"):
        horus("log", "-s", "s", name, code=2)
