"""A graph's process: known again, and no other taken for it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended
from horus_daemon.process import GraphFiles, GraphProcess, Identity, Run, is_held
from tests.scripts import ROOT, wait_until

SLEEP = "import sys; sys.stdin.read()"


@pytest.fixture
def files(tmp_path: Path) -> GraphFiles:
    return GraphFiles(tmp_path, "robot", tmp_path / "robot.log", 0o600)


@contextlib.contextmanager
def sleeper(**options: object) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SLEEP], stdin=subprocess.PIPE, **options) as process:  # type: ignore[call-overload]
        yield process
        process.kill()


def write_run(files: GraphFiles, identity: Identity, ended: Ended | None = None) -> None:
    files.run.write_bytes(msgspec.json.encode(Run(identity, "0", ended)))


def test_a_process_is_known_by_its_start_too() -> None:
    with sleeper() as process:
        identity = Identity.of(process.pid)
        assert identity is not None
        assert identity.alive
        assert not msgspec.structs.replace(identity, started=identity.started - 1).alive
        assert not msgspec.structs.replace(identity, boot="another").alive
    assert not identity.alive
    assert Identity.of(process.pid) is None


def test_a_zombie_is_not_alive() -> None:
    with sleeper() as process:
        identity = Identity.of(process.pid)
        assert identity is not None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not identity.alive


def test_a_running_process_is_adopted_and_its_end_is_seen(files: GraphFiles) -> None:
    with sleeper() as process:
        identity = Identity.of(process.pid)
        assert identity is not None
        write_run(files, identity)
        adopted = GraphProcess.adopt(files)
        assert adopted is not None
        assert adopted.pid == process.pid
        assert not adopted.ours
        assert adopted.ended() is None
        adopted.signal(signal.SIGTERM)
        process.wait(10)
        ended = adopted.ended()
        assert ended is not None
        assert ended.code is None
        assert "killed, or crashed" in ended.why
        write_run(files, identity, Ended(5, 3, "said so"))
        assert adopted.ended() == Ended(5, 3, "said so")
        adopted.signal(signal.SIGTERM)  # nobody is there any more
        adopted.close()


def test_another_process_with_that_pid_is_not_adopted(files: GraphFiles) -> None:
    with sleeper() as process:
        identity = Identity.of(process.pid)
        assert identity is not None
        write_run(files, msgspec.structs.replace(identity, started=identity.started + 1))
        assert GraphProcess.adopt(files) is None


@pytest.mark.parametrize(
    "data", [None, b"", b"{", b"[]", b'{"identity": {"pid": -1, "started": 0, "boot": ""}, "horus": ""}']
)
def test_a_run_file_that_says_nothing_is_no_process(files: GraphFiles, data: bytes | None) -> None:
    if data is not None:
        files.run.write_bytes(data)
    assert GraphProcess.adopt(files) is None


def spec(tmp_path: Path, source: str) -> GraphSpec:
    (tmp_path / "script.py").write_text(source)
    return GraphSpec(name="robot", script=str(tmp_path / "script.py"), folder=str(tmp_path), python=sys.executable)


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def end_of(process: GraphProcess) -> Ended:
    ended = wait_until(process.ended, what="the graph's process to end")
    process.close()
    assert isinstance(ended, Ended)
    return ended


def started(files: GraphFiles, spec: GraphSpec, starts: int = 0) -> GraphProcess:
    process = GraphProcess.start(files, spec, starts, environ())
    assert process is not None
    return process


def test_a_process_has_a_session_no_terminal_and_nothing_of_ours_open(files: GraphFiles, tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        source = """
            import json, os, sys
            print("printed")
            open("found", "w").write(json.dumps({
                "session": os.getsid(0) == os.getpid(),
                "in": os.readlink("/proc/self/fd/0"), "out": os.readlink("/proc/self/fd/1"),
                "err": os.readlink("/proc/self/fd/2"), "cwd": os.getcwd(), "argv": sys.argv,
                "open": [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if n not in "012"
                         and os.path.exists(f"/proc/self/fd/{n}")],
                "inherited": [n for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")
                              and os.get_inheritable(int(n))],
            }))
        """
        given = msgspec.structs.replace(spec(tmp_path, textwrap.dedent(source)), arguments=["-x", "1"])
        process = started(files, given)
        assert process.ours
        assert end_of(process).code == 0
    found = json.loads((tmp_path / "found").read_text())
    assert found["session"]
    assert (found["in"], found["out"], found["err"]) == ("/dev/null", str(files.log), str(files.log))
    assert found["cwd"] == str(tmp_path)
    assert found["argv"] == [given.script, "-x", "1"]
    assert str(tmp_path / "ours") not in found["open"]
    assert found["inherited"] == []
    assert "Z printed\n" in files.log.read_text()


@pytest.mark.parametrize(
    ("source", "code", "why"),
    [
        ("", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, "it exited with code 7"),
        ("raise SystemExit('no camera')", 1, "no camera"),
        ("raise ValueError('a\\nb')", 1, "ValueError: a\\nb"),
        ("import horus; horus.run()", 1, "the scheduler has no nodes; add one with add(Node(...)) before it runs"),
        ("import os; os._exit(9)", 9, "its process exited with code 9"),
        ("import os; os.kill(os.getpid(), 11)", 139, "its process was killed by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", 137, "its process was killed by SIGKILL"),
        ("def", 1, "SyntaxError: invalid syntax (script.py, line 1)"),
    ],
)
def test_how_a_script_ended_is_known(files: GraphFiles, tmp_path: Path, source: str, code: int, why: str) -> None:
    ended = end_of(started(files, spec(tmp_path, source)))
    assert (ended.code, ended.why) == (code, why)
    if code == 139:
        assert "Fatal Python error: Segmentation fault" in files.log.read_text()


def test_the_graph_is_locked_while_its_process_lives_and_only_then(files: GraphFiles, tmp_path: Path) -> None:
    assert not is_held(files)
    given = spec(tmp_path, "import time\nopen('begun', 'w')\nwhile True: time.sleep(1)")
    process = started(files, given)
    assert is_held(files)
    assert GraphProcess.start(files, given, 1, environ()) is None
    wait_until((tmp_path / "begun").exists, what="the script to begin")
    assert is_held(files)
    process.signal(signal.SIGKILL)
    assert end_of(process).code == 137
    assert not is_held(files)


def test_a_child_of_the_script_does_not_keep_the_lock(files: GraphFiles, tmp_path: Path) -> None:
    source = "import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid, file=open('child', 'w'))"
    end_of(started(files, spec(tmp_path, source)))
    child = int((tmp_path / "child").read_text())
    try:
        os.kill(child, 0)
        assert not is_held(files)
    finally:
        os.kill(child, signal.SIGKILL)


def test_an_interpreter_that_is_not_there_is_an_error_and_leaves_no_lock(files: GraphFiles, tmp_path: Path) -> None:
    given = msgspec.structs.replace(spec(tmp_path, ""), python=str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError):
        GraphProcess.start(files, given, 0, environ())
    assert not is_held(files)


def test_one_that_is_not_installed_runs_from_the_source_tree(files: GraphFiles, tmp_path: Path) -> None:
    process = GraphProcess.start(files, spec(tmp_path, "import horus; print(horus.__file__)"), 0, {})
    assert process is not None
    assert end_of(process).code == 0
    assert "horus/__init__.py" in files.log.read_text()


def test_files_of_a_project_do_not_stand_in_for_modules_of_ours(files: GraphFiles, tmp_path: Path) -> None:
    for name in ("msgspec.py", "horus_daemon.py", "re.py"):
        (tmp_path / name).write_text("raise RuntimeError('the wrong one')")
    ended = end_of(started(files, spec(tmp_path, "print('fine')")))
    assert (ended.code, ended.why) == (0, "")


def test_a_process_that_started_long_ago_keeps_its_log_small(files: GraphFiles, tmp_path: Path) -> None:
    source = """
import horus_daemon.logfile, sys
sys.stdout.buffer._file._limit = 1000
for number in range(300):
    print("line", number)
"""
    end_of(started(files, spec(tmp_path, source)))
    sizes = {each.name: each.stat().st_size for each in tmp_path.glob("robot.log*")}
    assert sorted(sizes) == ["robot.log", *(f"robot.log.{number}" for number in range(1, 6))]
    assert max(sizes.values()) <= 1000


def test_the_lock_is_taken_once(files: GraphFiles) -> None:
    lock = files.take_lock()
    assert lock is not None
    assert not os.get_inheritable(lock)
    assert files.take_lock() is None
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)
    assert replace(files, name="other").take_lock() is not None
