"""The layers: who imports whom, and that every public name has one place."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import horus

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"horus", "horus_core", "horus_daemon", "horus_cli"}
ALLOWED = {
    "horus": {"horus_core"},
    "horus_core": set(),
    "horus_daemon": {"horus_core"},
    "horus_cli": {"horus", "horus_core", "horus_daemon"},
    "examples": {"horus"},
}


def imported(tree: ast.AST, package: str) -> set[str]:
    """The packages of ours that a module of `package` imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found.update(each.name.partition(".")[0] for each in names)
            case ast.ImportFrom(module=module, level=level):
                found.add(package if level else (module or "").partition(".")[0])
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")):
                found.update(str(each.value).partition(".")[0] for each in node.args if isinstance(each, ast.Constant))
    return found & PACKAGES


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    assert sources(package), f"no sources under {ROOT / package}"
    wrong = {
        str(path.relative_to(ROOT)): sorted(above)
        for path in sources(package)
        if (above := imported(ast.parse(path.read_bytes(), path.name), package) - ALLOWED[package] - {package})
    }
    assert not wrong


@pytest.mark.parametrize(
    "source",
    [
        "import horus_cli",
        "import horus_cli.main as main",
        "from horus_cli import main",
        "from horus_cli.main import main",
        "def late():\n    import horus_cli",
        "if TYPE_CHECKING:\n    from horus_cli import main",
        "importlib.import_module('horus_cli.main')",
        "__import__('horus_cli')",
    ],
)
def test_every_form_of_import_is_seen(source: str) -> None:
    assert imported(ast.parse(source), "horus_core") == {"horus_cli"}


def test_what_only_looks_like_one_of_ours_is_not_seen() -> None:
    assert imported(ast.parse("import horusx\nfrom os import path\nx = 'import horus_cli'"), "horus_core") == set()


def test_every_public_name_is_listed_once_and_there() -> None:
    listed = Counter(horus.__all__)
    assert [name for name, times in listed.items() if times > 1] == []
    assert [name for name in listed if not hasattr(horus, name)] == []


def test_every_public_name_surfaces_in_all() -> None:
    public = {
        name
        for name, value in vars(horus).items()
        if not name.startswith("_") and not inspect.ismodule(value) and type(value).__module__ != "__future__"
    }
    assert public - set(horus.__all__) == set()


def test_no_object_surfaces_under_two_names() -> None:
    names: dict[int, list[str]] = {}
    for name in horus.__all__:
        names.setdefault(id(getattr(horus, name)), []).append(name)
    assert [each for each in names.values() if len(each) > 1] == []


def test_the_facade_defines_no_class_and_no_function_of_its_own() -> None:
    wrong = {
        name: value.__module__
        for name in horus.__all__
        if (inspect.isclass(value := getattr(horus, name)) or inspect.isfunction(value))
        and not value.__module__.startswith("horus_core.")
    }
    assert not wrong


def test_a_node_that_wants_to_know_the_time_does_not_import_what_runs_a_graph() -> None:
    code = "import horus, sys; horus.now; print(*(name for name in sys.modules if name.startswith('horus_core')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert "horus_core.engine.clock" in done.stdout.split()
    assert {
        "horus_core.scheduler.scheduler",
        "horus_core.execution.supervisor",
        "horus_core.inspection.topic",
    }.isdisjoint(done.stdout.split())
