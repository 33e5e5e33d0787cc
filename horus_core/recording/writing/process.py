"""The recorder's process: polls until the graph has ended, and outlives a supervisor that was killed."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from horus_core.graph.spec import Graph
from horus_core.memory.control import (
    ENDED,
    H_EPOCH,
    H_RECORDER_LOOKED,
    H_RECORDER_STATE,
    H_STATE,
    N_PID,
    N_STATE,
    RECORDER_GAVE_UP,
    RECORDER_WRITES,
    W_DEAD,
    W_STOPPED,
    Layout,
    open_control,
)
from horus_core.memory.drain import release_all
from horus_core.memory.shared import SharedMemory
from horus_core.processes.family import end_family
from horus_core.processes.process import enter_child, pin
from horus_core.processes.shipping import load
from horus_core.recording.format.header import Header
from horus_core.recording.writing.recorder import FLUSH_BYTES, Recorder
from horus_core.recording.writing.request import RecorderBoot

POLL_SECONDS = 0.01
_HURRIED_POLL_SECONDS, _HURRY_SECONDS = 0.0005, 0.1
_EPOCH_SECONDS = 0.001
_ORPHANED_SECONDS = 0.3  # what the workers of a killed supervisor are given to be gone


def main() -> None:
    """Entry point of the process."""
    data, report, parent = enter_child(die_with_parent=False)
    for number in (signal.SIGTERM, signal.SIGHUP):  # sent to all when a service or a session ends: the graph ends first
        signal.signal(number, signal.SIG_IGN)
    boot: RecorderBoot = pickle.loads(data)
    sys.path[:] = boot.path
    memory = SharedMemory(boot.graph_id)
    hold = memory.hold()
    graph: Graph = load(boot.graph)
    control = open_control(memory)
    if boot.cores:
        pin(boot.cores)
    report("loaded")
    while not control[H_EPOCH]:  # the headers say when tick 0 was
        if os.getppid() != parent or control[H_STATE] == ENDED:  # the graph did not start
            report("closed")
            os._exit(0)
        time.sleep(_EPOCH_SECONDS)
    try:
        header = msgspec.json.decode(boot.header, type=Header)
        header = replace(header, graph=replace(header.graph, epoch_ns=int(control[H_EPOCH])))
        targets = [(Path(folder), options) for folder, options in boot.targets]
        recorder = Recorder(memory, control, Layout.of(graph), graph, targets, header)
    except (OSError, ValueError) as problem:
        control[H_RECORDER_STATE] = RECORDER_GAVE_UP
        release_all(control, Layout.of(graph))
        report("not started", str(problem))
        os._exit(1)
    control[H_RECORDER_STATE] = RECORDER_WRITES
    report("ready", [str(path) for path in recorder.paths])

    def looked() -> None:
        """It is not stuck: who waits for the disk is at work, too."""
        control[H_RECORDER_LOOKED] = time.monotonic_ns()

    orphaned = told = False
    hurry_until = 0.0
    while control[H_STATE] != ENDED:
        if os.getppid() != parent:
            orphaned = True
            time.sleep(_ORPHANED_SECONDS)
            _end_families(control, Layout.of(graph))
            break
        looked()
        new = recorder.poll()
        if recorder.failure is not None and not told:
            told = True
            report("failed", recorder.failure)
        if recorder.notice is not None:
            report("notice", recorder.notice)
            recorder.notice = None
        now = time.monotonic()
        if new >= FLUSH_BYTES:  # frames: there is more by now, or as soon as the node sees that it has room
            hurry_until = now + _HURRY_SECONDS
        else:
            time.sleep(_HURRIED_POLL_SECONDS if now < hurry_until else POLL_SECONDS)
    recorder.close(looked)
    if recorder.failure is not None and not told:
        report("failed", recorder.failure)
    report("closed")
    if orphaned:
        memory.remove_all()
    os.close(hold)
    os._exit(0 if recorder.failure is None else 1)


def _end_families(control: memoryview, layout: Layout) -> None:
    """The supervisor was killed, and its nodes with it; kills what those have forked."""
    for position in range(layout.nodes):
        row = layout.node(position)
        pid = int(control[row + N_PID])
        if pid <= 1 or control[row + N_STATE] in (W_DEAD, W_STOPPED):
            continue  # the supervisor has seen to that itself
        # A process group keeps its number as long as anybody is in it. If there is another leader by now, nobody was.
        with contextlib.suppress(OSError):
            leader = Path(f"/proc/{pid}/cmdline").read_bytes()
            if leader and not leader.startswith(b"horus:"):
                continue
        end_family(pid)
