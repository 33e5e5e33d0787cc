"""The rooms of ``horus_core``: who imports whom, as ARCHITECTURE.md says, no circle anywhere, and who imports what is heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("horus", "horus_core", "horus_daemon", "horus_cli")
MOST_LINES, MOST_METHODS = 400, 25
FACADE = "Scheduler"


def modules() -> dict[str, Path]:
    """Every module of ours by its name; a package by its own."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it, also for types only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                full = f"{node.module}.{each.name}"
                found.add(full if full in MODULES else node.module)
    return found & MODULES.keys()


EDGES = {name: imports(path) - {name} for name, path in MODULES.items()}


def table() -> dict[str, list[str]]:
    """The rooms of ARCHITECTURE.md in their order, each with the modules that it names."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| [^|]+ \|$", text[text.index("| room |") :], re.MULTILINE)
    return {room: re.findall(r"`(\w+)`", named) for room, named in rows}


ROOMS = table()
RECORDING = ROOMS["recording"]


def room_of(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def test_the_table_names_every_room_and_every_module() -> None:
    there: dict[str, set[str]] = {}
    for module in MODULES:
        package, _, rest = module.partition(".")
        if package == "horus_core" and rest:
            room, _, inner = rest.partition(".")
            there.setdefault(room, set()).add(inner.partition(".")[0])
    assert {room: named - {""} for room, named in there.items()} == {room: set(named) for room, named in ROOMS.items()}


def test_a_room_imports_only_those_before_it() -> None:
    order = list(ROOMS)
    wrong = [
        f"{module} imports {other}"
        for module, others in EDGES.items()
        for other in others
        if module.startswith("horus_core.")
        and other.startswith("horus_core.")
        and order.index(room_of(other)) > order.index(room_of(module))
    ]
    assert not wrong


def test_a_room_of_recording_imports_only_those_before_it() -> None:
    def place(module: str) -> int | None:
        parts = module.split(".")
        return RECORDING.index(parts[2]) if parts[:2] == ["horus_core", "recording"] and len(parts) > 2 else None

    wrong = [
        f"{module} imports {other}"
        for module, others in EDGES.items()
        for other in others
        if (here := place(module)) is not None and (there := place(other)) is not None and there > here
    ]
    assert not wrong


def test_nothing_imports_in_a_circle() -> None:
    left = {module: set(others) for module, others in EDGES.items()}
    while ready := [module for module, others in left.items() if not others]:
        for module in ready:
            del left[module]
        for others in left.values():
            others.difference_update(ready)
    assert not left, f"in a circle, or above one: {sorted(left)}"


def test_no_module_is_longer_than_one_concept_needs() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: lines for module, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_class_but_the_facade_does_everything() -> None:
    methods = {
        f"{module}.{node.name}": sum(isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) for each in node.body)
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef) and node.name != FACADE
    }
    assert {name: count for name, count in methods.items() if count > MOST_METHODS} == {}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(("horus_core", "horus_daemon"))])
def test_a_module_says_its_one_concept_in_its_first_line(module: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_bytes())) or ""
    assert len(docstring.splitlines()[0] if docstring else "") > 15


HEAVY = {"pyarrow", "numpy", "zmq", "rich", "psutil", "matplotlib", "polars", "pandas"}


@pytest.mark.parametrize(
    ("started", "allowed"),
    [
        ("horus", {"numpy"}),  # values may be arrays
        ("horus_core.engine.worker", {"numpy"}),
        ("horus_core.execution.supervisor", {"numpy"}),
        ("horus_core.recording.writing.process", {"numpy", "pyarrow"}),
        ("horus_cli.main", set[str]()),
        ("horus_daemon.daemon", {"numpy", "zmq", "psutil"}),
    ],
)
def test_what_a_process_starts_with_imports_nothing_that_it_does_not_need(started: str, allowed: set[str]) -> None:
    code = f"import {started}, sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert HEAVY & set(done.stdout.split()) <= allowed


def test_a_nodes_process_imports_no_room_above_the_engine() -> None:
    code = (
        "import horus_core.engine.worker, horus, sys; print(*(name for name in sys.modules if 'horus_core.' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    rooms = {room_of(name) for name in done.stdout.split()}
    assert rooms <= set(list(ROOMS)[: list(ROOMS).index("engine") + 1])
