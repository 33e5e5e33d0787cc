"""Stops and restarts nodes of a running graph from outside; how that is asked for is in ``memory.commands``."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

from horus_core.errors import NotRunning, SchedulerBusy, UnknownNode
from horus_core.inspection.running_graphs import RunningGraph, runtime_folder
from horus_core.inspection.topic import Attachment
from horus_core.memory.commands import RESTART, STOP, WORDS, following
from horus_core.memory.control import H_ANSWERED, H_ASKED, N_PID, N_STATE, W_DEAD, W_READY, W_STOPPED
from horus_core.processes.own_files import open_own

_ANSWER_SECONDS = 5.0
_DONE_SECONDS = 70.0  # a node that starts again has as long for its init as at the start of the graph
_POLL_SECONDS = 0.005


def stop_node(graph: RunningGraph, node: str) -> int:
    """Stops a node: its ``shutdown`` runs, and the graph goes on without it. Returns when its process has ended.

    Returns:
        The id of the process.

    Raises:
        UnknownNode: the graph has no such node.
        NotRunning: the graph has ended.
        SchedulerBusy: its supervisor does not answer, or the node does not end.
    """
    return _order(graph, node, STOP)[0]


def restart_node(graph: RunningGraph, node: str) -> tuple[int, int]:
    """Kills a node and starts it again, whatever its failure policy; one that was stopped is started. Returns when it is ready.

    Returns:
        The ids of its old and its new process.

    Raises:
        UnknownNode, NotRunning, SchedulerBusy: as for :func:`stop_node`.
    """
    return _order(graph, node, RESTART)


def _order(graph: RunningGraph, node: str, what: int) -> tuple[int, int]:
    names = [each.name for each in graph.nodes]
    if node not in names:
        raise UnknownNode(f"graph {graph.name!r}", node, tuple(names))
    position = names.index(node)
    attached = Attachment(graph)
    control, row = attached.control, attached.layout.node(position)
    asked = f"cannot {WORDS[what]} node {node!r}"
    try:
        lock = open_own(runtime_folder() / f"graph-{graph.id}.json")
    except FileNotFoundError:
        raise NotRunning(f"called {graph.name!r}", "it has just ended") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = int(control[row + N_PID])
        word = following(control[H_ANSWERED], position, what)
        control[H_ASKED] = word
        _wait(attached, lambda: control[H_ANSWERED] == word, _ANSWER_SECONDS, asked, "not answering")
    finally:
        os.close(lock)

    def stopped() -> bool:
        return control[row + N_STATE] in (W_STOPPED, W_DEAD) and not os.path.exists(f"/proc/{before}")

    def ready() -> bool:
        return control[row + N_STATE] == W_READY and control[row + N_PID] != before

    _wait(attached, stopped if what == STOP else ready, _DONE_SECONDS, asked, "still waiting for it")
    return before, int(control[row + N_PID])


def _wait(attached: Attachment, condition: Callable[[], bool], seconds: float, asked: str, else_: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if not attached.alive:
            raise NotRunning(f"called {attached.graph.name!r}", "it has ended")
        if time.monotonic() > deadline:
            raise SchedulerBusy(asked, f"{else_} after {seconds:g} s")
        time.sleep(_POLL_SECONDS)
