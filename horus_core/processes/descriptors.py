"""Open files that a graph's processes need, and the limit on them."""

from __future__ import annotations

import os
import resource

from horus_core.errors import TooFewFiles

_PER_NODE = 4  # its output, its reports, its process, its log
_PER_FILE = 2  # of a recording: what writes, and what syncs
_PASSING = 16  # while a process is started, a folder is listed or a module is imported


def files_needed(nodes: int, recorded: bool) -> int:
    """How many descriptors the process of a graph that needs the most of them needs, with those that are open now."""
    supervisor = len(os.listdir("/proc/self/fd")) + _PER_NODE * nodes + (3 if recorded else 1) + _PASSING
    recorder = _PER_FILE * (nodes + 2) + _PASSING if recorded else 0
    return max(supervisor, recorder)


def mind_open_files(nodes: int, recorded: bool) -> None:
    """Raises this process's own limit, which its children inherit, if a graph needs more.

    Args:
        nodes: how many it has.
        recorded: whether it is.

    Raises:
        TooFewFiles: more than may be had.
    """
    needed = files_needed(nodes, recorded)
    raise_limit(needed)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise TooFewFiles(needed, limit)


def raise_limit(wanted: int) -> int:
    """Lets this process open `wanted` files, or as many as it may. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
