"""Machines and users that have little: no standard streams, no home, a full /dev/shm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.horus_command import COMMAND, ROOT
from tests.plain_arrow import values
from tests.scripts import run, write_script

GRAPH = """
import os
from horus import Node, Scheduler
scheduler = Scheduler(tick_rate=100, deterministic=True, {options})
scheduler.add(Node(name="a", tick=lambda node: node.send("x", 1), rate=100, pubs=["x"]))
scheduler.run(duration=0.1)
{after}
"""


@pytest.mark.parametrize("execution", ["process", "inline"])
@pytest.mark.parametrize("closed", [(0, 1), (0, 1, 2), (0,), (1,)])
def test_a_run_without_standard_streams_records_as_ever(
    tmp_path: Path, recordings: Path, closed: tuple[int, ...], execution: str
) -> None:
    links = (
        f"open({str(tmp_path / 'fds')!r}, 'w').write(' '.join(os.readlink(f'/proc/self/fd/{{n}}') for n in {closed}))"
    )
    options = f"recording='s', execution={execution!r}"
    script = write_script(tmp_path, GRAPH.format(options=options, after=links))

    def close() -> None:
        for each in closed:
            os.close(each)

    ended = subprocess.run(
        [sys.executable, str(script)],
        preexec_fn=close,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=50,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0
    assert (tmp_path / "fds").read_text().split() == ["/dev/null"] * len(closed)
    files = [str(path) for path in (recordings / "s").glob("a@*.arrow")]
    assert [value for _, value in values(files, "a")] == [1] * 10


NAMELESS = ("unshare", "--user", "--map-user=54321", "--map-group=54321")


def _may(*command: str) -> bool:
    return (
        shutil.which(command[0]) is not None and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    )


def nameless(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs as a user without a name or a home, who can read what we can."""
    return subprocess.run(
        [*NAMELESS, *command],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
    )


needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can have mounts of its own"
)


@pytest.mark.skipif(not _may(*NAMELESS), reason="it takes the right to make a user namespace")
def test_a_user_without_a_home_runs_graphs_and_is_told_why_none_is_recorded(tmp_path: Path) -> None:
    plain = write_script(tmp_path, GRAPH.format(options="", after=""))
    recorded = write_script(tmp_path, GRAPH.format(options="recording='s'", after=""), "recorded.py")
    for command in (
        (sys.executable, str(plain)),
        (*COMMAND, "record", "list"),
        (*COMMAND, "doctor"),
        (*COMMAND, "run", str(plain)),
    ):
        ended = nameless(tmp_path, *command)
        assert (ended.returncode, ended.stderr) == (0, ""), command
    ended = nameless(tmp_path, *COMMAND, "run", "--record", "s", str(plain))
    words = "horus: cannot write session 's': this user has no home folder; set HORUS_RECORDINGS to a folder\n"
    assert (ended.returncode, ended.stderr) == (2, words)
    assert nameless(tmp_path, sys.executable, str(recorded)).stderr == words
    assert not Path("/nonexistent").exists()
    daemon = nameless(tmp_path, sys.executable, "-m", "horus_daemon.main")
    assert (daemon.returncode, daemon.stderr.count("\n")) == (1, 1), daemon.stderr
    assert "this user has no home folder; set XDG_STATE_HOME to a folder" in daemon.stderr


@needs_mounts
@pytest.mark.parametrize("left", [4096, 131_072])
def test_a_full_dev_shm_is_one_line_with_what_is_needed(tmp_path: Path, left: int) -> None:
    script = write_script(tmp_path, GRAPH.format(options="", after=""))
    shell = (
        "mount --make-rprivate / && mount -t tmpfs -o size=1m none /dev/shm && "
        f'head -c {(1 << 20) - left} /dev/zero >/dev/shm/full; "$@"; code=$?; ls /dev/shm; exit $code'
    )
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", shell, "sh", sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ended.returncode, ended.stdout) == (1, "full\n")
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("horus: /dev/shm is too small for this graph: needed ")
    assert f"available {left:,};" in ended.stderr


def test_an_error_of_the_scripts_own_still_shows_where(tmp_path: Path) -> None:
    ended = run(write_script(tmp_path, "import horus_core.errors as e\ne.TooFewFiles(1, 2)\nraise ValueError('mine')"))
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "ValueError: mine"
