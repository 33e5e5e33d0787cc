"""What every test gets: its own folders for recordings and run-time files; and a look at what the tests left behind."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

settings.register_profile("horus", deadline=None)  # starting processes takes as long as the machine needs
settings.load_profile("horus")

SHARED_MEMORY = Path("/dev/shm")
PATIENCE = 5.0  # seconds for what is on its way out when the last test ends


_OWN_SHM = ("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(SHARED_MEMORY))
_CLONE_NEWNS = 0x00020000  # <sched.h>


def pytest_xdist_auto_num_workers() -> int:
    """Two files are tested at a time if each can have a /dev/shm of its own, for which it takes the right to mount.

    Else one: a graph that starts removes what dead ones have left there, and some tests leave something to look at it.
    """
    may = (
        subprocess.run(["unshare", "--mount", *_OWN_SHM], capture_output=True, check=False)
        if shutil.which("unshare")
        else None
    )
    return 2 if may is not None and may.returncode == 0 else 0


def pytest_configure(config: pytest.Config) -> None:
    """Keys are tested in children: a shell that started the tests in the background has them ignored, and they inherit that."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    if hasattr(config, "workerinput"):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "no mounts of its own")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(_OWN_SHM, check=True)


def shared_names() -> set[str]:
    """Segments and semaphores of HORUS, whoever made them."""
    return {entry.name for entry in SHARED_MEMORY.iterdir() if "horus" in entry.name}


def held(name: str) -> bool:
    """Whether the graph of this name runs: its `ctl` is locked. One of the tests' own shows as a process anyway."""
    found = re.search(r"horus-[0-9a-f]{12}-", name)
    if found is None:
        return False
    try:
        descriptor = os.open(SHARED_MEMORY / f"{found[0]}ctl", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def processes_of(session: Path) -> set[psutil.Process]:
    """What the tests started: the processes below this one, and orphans whose run-time folder is under `session`."""
    found = set(psutil.Process().children(recursive=True))
    for process in psutil.process_iter():
        try:
            if process.environ().get("XDG_RUNTIME_DIR", "").startswith(str(session)):
                found.add(process)
        except psutil.Error:
            continue
    return {process for process in found - {psutil.Process()} if is_alive(process)}


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def described(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({' '.join(process.cmdline()) or process.name()})"
    except psutil.Error:
        return f"process {process.pid}"


class Leftovers:
    """Remembers after which test a name in shared memory was first seen."""

    def __init__(self, session: Path) -> None:
        self.session = session
        self.known = shared_names()
        self.seen_after: dict[str, str] = {}

    def note(self, test: str) -> None:
        for name in shared_names() - self.known:
            self.seen_after.setdefault(name, test)

    def left(self) -> list[str]:
        """What is there still and does not go away; a run of someone else's is not counted."""
        deadline = time.monotonic() + PATIENCE
        names, processes = shared_names() - self.known, processes_of(self.session)
        while (names or processes) and time.monotonic() < deadline:
            time.sleep(0.05)
            names = {name for name in names & shared_names() if not held(name)}
            processes = {process for process in processes if is_alive(process)}
        paths = [f"{SHARED_MEMORY / name}, first seen after {self.seen_after.get(name, '?')}" for name in sorted(names)]
        return paths + [described(process) for process in processes]


@pytest.fixture(scope="session")
def leftovers() -> Iterator[Leftovers]:
    # Not under pytest's own folder: a Unix socket's path has room for 107 bytes.
    session = Path(tempfile.mkdtemp(prefix="horus-test-"))
    found = Leftovers(session)
    yield found
    left = found.left()
    shutil.rmtree(session, ignore_errors=True)
    assert not left, "the tests left behind:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def own_folders(
    leftovers: Leftovers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Recordings and run-time files of each test go where no other test, and no graph of the machine, has any."""
    runtime = Path(tempfile.mkdtemp(dir=leftovers.session))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("HORUS_RECORDINGS", str(tmp_path / "recordings"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("HORUS_EXECUTION", raising=False)
    yield
    leftovers.note(request.node.nodeid)
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def recordings() -> Path:
    """The test's folder of recordings; it need not exist yet."""
    return Path(os.environ["HORUS_RECORDINGS"])
