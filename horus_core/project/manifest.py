"""``horus.toml``: what a project says about itself, how it runs, and what differs from its script.

Every error is one line that names the file, the key, what it is and what was expected.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from horus_core.errors import InvalidValue, UnknownNode, closest
from horus_core.graph.node import Node, checked_rate
from horus_core.recording.keeping.sessions import check_name, free_session_name

MANIFEST = "horus.toml"
DEFAULT_SCRIPT = "src/main.py"
_PACKAGE = ("name", "version", "description", "language")
_RUN = ("script", "tick_rate", "record")
NODE_FIELDS = (
    "rate",
    "order",
    "core",
    "priority",
    "budget",
    "deadline",
    "watchdog",
    "compute",
    "on_miss",
    "failure_policy",
)


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        folder: where its ``horus.toml`` is.
        script: the script that builds its graph.
        tick_rate: Hz; None leaves the script's.
        record: whether runs are recorded: a session's name, or True for one made of the project's name and the date.
        nodes: per node, what differs from the script: a rate in Hz, times in seconds.
        tolerances: per ``TOPIC.FIELD``, what its numbers may differ by in two sessions that are equal: absolute, relative.
    """

    folder: Path
    name: str
    version: str
    description: str
    script: Path
    tick_rate: float | None = None
    record: bool | str = False
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tolerances: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def manifest(self) -> Path:
        """Its ``horus.toml``."""
        return self.folder / MANIFEST


def read_project(folder: str | os.PathLike[str] = ".") -> Project:
    """The project in `folder`.

    Raises:
        InvalidValue: there is no ``horus.toml``, or it does not say what it must.
    """
    path = Path(folder) / MANIFEST
    content = _parsed(path)
    where = str(path)
    _known(where, content, ("package", "run", "nodes", "diff"))
    package, run = _section(where, content, "package"), _section(where, content, "run")
    if "package" not in content:
        raise InvalidValue(f"{where}: [package]", "missing", "a section with name and version")
    _known(f"{where}: [package]", package, _PACKAGE)
    _known(f"{where}: [run]", run, _RUN)
    texts = {key: _text(f"{where}: [package] {key}", package.get(key, ""), key == "name") for key in _PACKAGE}
    if texts["language"] not in ("", "python"):
        raise InvalidValue(f"{where}: [package] language", repr(texts["language"]), "'python'")
    return Project(
        folder=Path(folder),
        name=texts["name"],
        version=texts["version"],
        description=texts["description"],
        script=_script(where, Path(folder), run),
        tick_rate=_tick_rate(f"{where}: [run] tick_rate", run.get("tick_rate")),
        record=_record(f"{where}: [run] record", run.get("record", False)),
        nodes=_nodes(where, content.get("nodes", {})),
        tolerances=_tolerances(where, _section(where, content, "diff")),
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidValue(
            str(path), "not there", "a project's folder, or a script; 'horus new' makes a project"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidValue(str(path), f"not TOML ({problem})", "TOML: key = value in [sections]") from None


def _section(where: str, content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise InvalidValue(f"{where}: {name}", repr(found)[:80], f"a section, [{name}]")
    return found


def _known(where: str, found: Iterable[str], known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            raise InvalidValue(f"{where} {key}", "not known", f"one of {', '.join(known)}{closest(key, known)}")


def _text(what: str, value: Any, needed: bool) -> str:
    if not isinstance(value, str) or (needed and not value.strip()) or not value.isprintable():
        shown = repr(value)[:80] if value != "" else "missing"
        raise InvalidValue(what, shown, "text")
    return value


def _script(where: str, folder: Path, run: Mapping[str, Any]) -> Path:
    script = folder / _text(f"{where}: [run] script", run.get("script", DEFAULT_SCRIPT), True)
    if not script.is_file():
        what = f"{where}: [run] script" + ("" if "script" in run else f" (not given, so {DEFAULT_SCRIPT})")
        raise InvalidValue(what, f"{str(script)!r}, which is not there", "a Python file")
    return script


def _tick_rate(what: str, value: Any) -> float | None:
    return None if value is None else checked_rate(what, value)


def _record(what: str, value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    try:
        check_name(value if isinstance(value, str) else "")
    except InvalidValue as problem:
        raise InvalidValue(what, repr(value)[:80], f"true, false, or a session's name: {problem.args[2]}") from None
    return str(value)


def _nodes(where: str, found: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(found, dict):
        raise InvalidValue(f"{where}: nodes", repr(found)[:80], "sections, [nodes.NAME]")
    for name, changes in found.items():
        if not isinstance(changes, dict):
            raise InvalidValue(f"{where}: [nodes] {name}", repr(changes)[:80], f"a section, [nodes.{name}]")
        section = f"{where}: [nodes.{name}]"
        _known(section, changes, NODE_FIELDS)
        changes.update({key: _node_field(section, key, value) for key, value in changes.items()})
    return found


def _node_field(section: str, key: str, value: Any) -> Any:
    """`value` as a node has it: what the constructor accepts is right, and nothing else."""
    if key == "compute" and not isinstance(value, bool):
        raise InvalidValue(f"{section} {key}", repr(value)[:80], "true or false")
    try:
        return getattr(Node(name="any", tick=_nothing, **{key: value}).spec, key)
    except InvalidValue as problem:
        _, shown, expected = problem.args
        raise InvalidValue(f"{section} {key}", shown, expected) from None


def _tolerances(where: str, diff: dict[str, Any]) -> dict[str, tuple[float, float]]:
    _known(f"{where}: [diff]", diff, ("tolerance",))
    found = {}
    for name, value in _section(f"{where}: [diff]", diff, "tolerance").items():
        both = value if isinstance(value, list) else [value, 0]
        if len(both) != 2 or not all(type(each) in (int, float) and each >= 0 for each in both):
            expected = "a number of at least 0, or two: absolute and relative; the name in quotes"
            raise InvalidValue(f"{where}: [diff.tolerance] {name}", repr(value)[:80], expected)
        found[name] = (both[0], both[1])
    return found


def _nothing() -> None:
    pass


def unknown_node(project: Project, problem: UnknownNode) -> InvalidValue:
    """The error for a node that the project changes and its graph does not have."""
    _, name, known = problem.args
    expected = f"a node of the graph: {', '.join(known)}{closest(name, known)}"
    return InvalidValue(f"{project.manifest}: [nodes.{name}]", "not in the graph", expected)


def session_of(project: Project) -> str | None:
    """The name of the session that a run of `project` records, None if it records none."""
    if project.record is True:
        return free_session_name(project.name)
    return str(project.record) if project.record else None
