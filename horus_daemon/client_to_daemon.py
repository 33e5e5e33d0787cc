"""What a client may ask of the daemon.

A request is one message of one frame: a msgpack map with ``kind``, ``version``, ``id`` and the fields of the class below whose
tag is ``kind``. The daemon answers each with exactly one message of :mod:`horus_daemon.daemon_to_client` that repeats ``id``.
``version`` is the protocol's; a daemon of another one answers ``refused`` with the code ``version``, in a form that never
changes. What this version does not know (a kind, a field) is refused, not ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PROTOCOL = 1
REQUEST_MOST = 1 << 18  # bytes

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]
_Text = Annotated[str, Meta(max_length=4096)]
_Seconds = Annotated[float, Meta(gt=0, le=1e9)]

RESTART_POLICIES = ("no", "on-failure", "always")


class GraphSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A graph that the daemon is to run: a script, on the terms of ``horus run``.

    Attributes:
        name: what it is called; letters, digits, ``_``, ``-`` and ``.``, at most 64, used in file names.
        script: the absolute path of the script; empty to take the project's.
        project: the absolute path of a folder with ``horus.toml``, which is read anew at each start; empty for none.
        folder: the working directory.
        python: the interpreter.
        arguments: the script's ``sys.argv[1:]``.
        environment: variables on top of the daemon's own.
        record: name of the session to record; one that exists gets the date behind it. None leaves it to the project or script.
        overwrite: replace a session of that name instead.
        duration: seconds; None for the script's.
        tick_rate: Hz; None for the project's or the script's.
        restart: whether it is started again when it ends by itself: never (``no``, and not when the machine starts either),
            unless its exit code was 0 (``on-failure``), or ``always``.
    """

    name: Name
    script: _Text = ""
    project: _Text = ""
    folder: _Text
    python: _Text
    arguments: Annotated[list[_Text], Meta(max_length=256)] = []
    environment: Annotated[dict[_Text, _Text], Meta(max_length=256)] = {}
    record: _Text | None = None
    overwrite: bool = False
    duration: _Seconds | None = None
    tick_rate: _Seconds | None = None
    restart: Literal["no", "on-failure", "always"] = "on-failure"


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    version: int = PROTOCOL
    id: int = 0


class Status(_Request, frozen=True, kw_only=True, tag="status"):
    """How is the daemon? Answer: DaemonStatus."""


class List(_Request, frozen=True, kw_only=True, tag="list"):
    """Which graphs are there? Answer: Graphs.

    Attributes:
        names: only these; empty for all.
    """

    names: Annotated[list[str], Meta(max_length=256)] = []


class Up(_Request, frozen=True, kw_only=True, tag="up"):
    """Run this graph, from now on. Answer: Graphs, with this one; refused with ``exists`` if one of that name runs."""

    graph: GraphSpec


class Down(_Request, frozen=True, kw_only=True, tag="down"):
    """Stop this graph in order, and do not start it again. Answer: Graphs, with this one, which may not have ended yet.

    Attributes:
        seconds: what it gets to end in order; killed after that.
        forget: drop it from the list once it has ended.
    """

    name: Name
    seconds: _Seconds = 15.0
    forget: bool = False


class Restart(_Request, frozen=True, kw_only=True, tag="restart"):
    """Stop this graph if it runs, and start it. Answer: Graphs, with this one."""

    name: Name
    seconds: _Seconds = 15.0


class Shutdown(_Request, frozen=True, kw_only=True, tag="shutdown"):
    """End, daemon. Graphs go on, and the next daemon takes them over. Answer: Done.

    Attributes:
        graphs: stop all graphs first; the next daemon starts them again.
    """

    graphs: bool = False


Request = Status | List | Up | Down | Restart | Shutdown
