"""What a graph is to be: made from a path and options by a client, checked by the daemon before it starts it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from horus_core.errors import InvalidValue
from horus_core.project.manifest import MANIFEST, read_project
from horus_core.recording.keeping.sessions import check_name
from horus_daemon.client_to_daemon import GraphSpec

_TAKEN_ALONG = ("HORUS_", "PYTHON")  # variables that a graph gets from who brings it up
_NOT_TAKEN_ALONG = ("HORUS_DAEMON",)


def graph_spec(
    path: str | os.PathLike[str] = ".",
    *,
    name: str | None = None,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    record: str | None = None,
    overwrite: bool = False,
    duration: float | None = None,
    tick_rate: float | None = None,
    restart: str = "on-failure",
) -> GraphSpec:
    """The graph of a script or a project, to be run by this interpreter.

    Args:
        path: a script, or a folder with ``horus.toml``, which is then the graph's working directory too.
        name: the graph's; if not given the project's, or the script's (its folder's if it is called ``main.py``).
        environment: variables on top of the daemon's, and of ours that begin with ``HORUS_`` or ``PYTHON``.
        arguments, record, overwrite, duration, tick_rate, restart: see GraphSpec.

    Raises:
        InvalidValue: there is no such script or project, or a value is not what it must be.

    >>> graph_spec("examples/record_replay/main.py").name
    'record_replay'
    """
    place = Path(os.path.abspath(path))
    project = read_project(place) if place.is_dir() else None
    if project is None and not place.is_file():
        raise InvalidValue("the script", repr(str(path)), "the path of a Python file, or of a project's folder")
    found = project.name if project else place.parent.name if place.stem == "main" else place.stem
    taken = {
        variable: value
        for variable, value in os.environ.items()
        if variable.startswith(_TAKEN_ALONG) and variable not in _NOT_TAKEN_ALONG
    }
    spec = GraphSpec(
        name=name if name is not None else re.sub(r"[^A-Za-z0-9_.-]+", "-", found).strip("_.-")[:64] or "graph",
        script="" if project else str(place),
        project=str(place) if project else "",
        folder=str(place) if project else os.getcwd(),
        python=sys.executable,
        arguments=list(arguments),
        environment={**taken, **(environment or {})},
        record=record,
        overwrite=overwrite,
        duration=duration,
        tick_rate=tick_rate,
        restart=restart,  # type: ignore[arg-type]  # checked below
    )
    try:
        msgspec.convert(msgspec.to_builtins(spec), GraphSpec)
    except msgspec.ValidationError as problem:
        if name is not None and "$.name" in str(problem):
            expected = "at most 64 letters, digits, '_', '-' and '.', the first a letter or digit"
            raise InvalidValue("the graph's name", repr(name)[:80], expected) from None
        raise InvalidValue("the graph", f"not as it must be ({problem})", "other values") from None
    check_spec(spec)
    return spec


def check_spec(spec: GraphSpec) -> None:
    """Checks what can be checked before a graph starts.

    Raises:
        InvalidValue: it could not start.
    """
    for what, value in (
        ("folder", spec.folder),
        ("python", spec.python),
        ("script", spec.script),
        ("project", spec.project),
    ):
        if value and not os.path.isabs(value):
            raise InvalidValue(f"the graph's {what}", repr(value), "an absolute path")
    texts = [spec.script, spec.project, spec.folder, spec.python, *spec.arguments, *spec.environment.values()]
    if any("\0" in text for text in texts) or any(not name or "=" in name or "\0" in name for name in spec.environment):
        raise InvalidValue("the graph", "with a zero byte, or a variable's name that is none,", "neither")
    if not spec.script and not spec.project:
        raise InvalidValue("the graph", "without a script", "a script, or a project's folder")
    if spec.script and not Path(spec.script).is_file():
        raise InvalidValue("the script", repr(spec.script), "the path of a Python file")
    if not spec.script and not Path(spec.project, MANIFEST).is_file():
        raise InvalidValue("the project", repr(spec.project), f"a folder with {MANIFEST}")
    if not Path(spec.folder).is_dir():
        raise InvalidValue("the graph's folder", repr(spec.folder), "a folder")
    if not os.access(spec.python, os.X_OK):
        raise InvalidValue("the graph's python", repr(spec.python), "a program that may be run")
    if spec.record is not None:
        check_name(spec.record)
