"""The recorder's process: polls until the graph has ended, and outlives a supervisor that was killed."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from horus_core.control import (
    ENDED,
    H_EPOCH,
    H_RECORDER_STATE,
    H_STATE,
    RECORDER_GAVE_UP,
    RECORDER_WRITES,
    Layout,
    open_control,
)
from horus_core.graph import Graph
from horus_core.memory import SharedMemory
from horus_core.process import enter_child, pin
from horus_core.recording.header import Header
from horus_core.recording.recorder import Recorder
from horus_core.recording.request import RecorderBoot
from horus_core.recording.tap import release_all
from horus_core.shipping import load

POLL_SECONDS = 0.01
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
    orphaned = told = False
    while control[H_STATE] != ENDED:
        if os.getppid() != parent:
            orphaned = True
            time.sleep(_ORPHANED_SECONDS)
            break
        recorder.poll()
        if recorder.failure is not None and not told:
            told = True
            report("failed", recorder.failure)
        if recorder.notice is not None:
            report("notice", recorder.notice)
            recorder.notice = None
        time.sleep(POLL_SECONDS)
    recorder.close()
    if recorder.failure is not None and not told:
        report("failed", recorder.failure)
    report("closed")
    if orphaned:
        memory.remove_all()
    os.close(hold)
    os._exit(0 if recorder.failure is None else 1)
