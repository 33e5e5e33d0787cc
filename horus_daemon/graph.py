"""The process of a graph, started by the daemon and by nobody else.

It writes down who it is, puts its output into the graph's log, runs the script as ``horus run`` does, and writes down how that
ended. It needs the daemon for nothing after that.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import msgspec

from horus_core.errors import HorusError, UnknownNode
from horus_core.execution.eventlog import log as events
from horus_core.processes.process import set_title
from horus_core.project.manifest import read_project, session_of, unknown_node
from horus_core.recording.keeping.sessions import check_name, free_session_name, recordings_folder
from horus_core.scheduler.launch import Launch
from horus_core.scheduler.script import run_script
from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended
from horus_daemon.logfile import LogStream, RotatedFile
from horus_daemon.process import Boot, Identity, Run
from horus_daemon.state import write_atomically
from horus_daemon.wire import one_line, package_version


def main() -> None:
    """Entry point of the process."""
    boot = msgspec.json.decode(sys.stdin.buffer.read(), type=Boot)
    os.set_inheritable(boot.lock, False)  # else a process that outlives us would keep the graph locked
    identity = Identity.of(os.getpid())
    if identity is None:
        raise SystemExit("/proc is not mounted")
    run = Run(identity, package_version())
    write_atomically(Path(boot.run), msgspec.json.encode(run))
    set_title(ctypes.CDLL(None, use_errno=True), f"horus-graph:{boot.spec.name}")
    _redirect(Path(boot.log), boot.log_mode)
    code, why = 1, "it ended in an unforeseen way"
    try:
        code, why = _run(boot.spec, boot.starts)
    finally:
        with contextlib.suppress(OSError):
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        with contextlib.suppress(OSError):
            ended = Run(identity, run.horus, Ended(time.time_ns(), code, one_line(why)))
            write_atomically(Path(boot.run), msgspec.json.encode(ended))
    sys.exit(code)


def _redirect(path: Path, mode: int) -> None:
    """Sends all output to the log; descriptors 1 and 2 follow it through rotations."""

    def follow(descriptor: int) -> None:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)

    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    file = RotatedFile(path, mode, opened=follow)
    sys.stdout = io.TextIOWrapper(LogStream(file, 1), "utf-8", "backslashreplace", line_buffering=True)
    sys.stderr = io.TextIOWrapper(LogStream(file, 2), "utf-8", "backslashreplace", line_buffering=True)
    faulthandler.enable()
    handler = logging.StreamHandler(
        sys.stderr
    )  # what happens to nodes is in the log, whatever the script does with its own
    events.addHandler(handler)
    events.setLevel(logging.INFO)
    events.propagate = False


def _run(spec: GraphSpec, starts: int) -> tuple[int, str]:
    """Runs what `spec` says. Returns the exit code, and why it ended if there is anything to say."""
    try:
        script, launch = _launch(spec)
        print(f"start {starts + 1} of graph {spec.name}: {script}")
        run_script(script, spec.arguments, launch)
    except KeyboardInterrupt as problem:
        code = getattr(problem, "code", 130)  # horus.Interrupted knows which signal it was
        return (code if isinstance(code, int) else 130), "stopped by a signal"
    except SystemExit as problem:
        return _exit_code(problem.code)
    except HorusError as problem:
        text = str(_explained(spec, problem))
        print(f"horus: {text}", file=sys.stderr)
        return 1, text.split("\n", 1)[0]
    except BaseException as problem:
        traceback.print_exc()
        return 1, f"{type(problem).__name__}: {problem}"
    print("the script has ended")
    return 0, ""


def _explained(spec: GraphSpec, problem: HorusError) -> HorusError:
    """`problem`, or what is wrong in the project that it comes from."""
    if spec.project and isinstance(problem, UnknownNode):
        project = read_project(spec.project)
        if problem.args[1] in project.nodes:
            return unknown_node(project, problem)
    return problem


def _launch(spec: GraphSpec) -> tuple[Path, Launch]:
    """The script, and the terms for its first graph: the project's, and over them those of `spec`."""
    launch = Launch(name=spec.name, duration=spec.duration, tick_rate=spec.tick_rate, overwrite=spec.overwrite)
    script, record = Path(spec.script), spec.record
    if spec.project:
        project = read_project(spec.project)
        script = script if spec.script else project.script
        launch.tick_rate = launch.tick_rate or project.tick_rate
        launch.nodes = project.nodes
        record = record or session_of(project)
    if record is not None:
        launch.record = record if spec.overwrite else free_name(record)
    return script.resolve(), launch


def free_name(record: str) -> str:
    """A name for the session that is not taken: with the date behind it if need be, so that a restart is never refused."""
    name = check_name(record)
    return free_session_name(name) if (recordings_folder() / name).exists() else name


def _exit_code(given: object) -> tuple[int, str]:
    if given is None:
        return 0, ""
    if isinstance(given, int):
        return given & 0xFF, "" if given == 0 else f"it exited with code {given & 0xFF}"
    print(given, file=sys.stderr)
    return 1, str(given)
