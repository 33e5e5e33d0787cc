"""What a graph is to be: made by a client, checked by the daemon."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_core.errors import InvalidValue
from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.specs import check_spec, graph_spec


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "arm.py").write_text("")
    return tmp_path / "arm.py"


def project(folder: Path, name: str = "my robot") -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.py").write_text("")
    (folder / "horus.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.1.0"\n')
    return folder


def test_a_script_is_called_by_its_name_and_runs_where_the_caller_is(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(script.parent)
    spec = graph_spec("arm.py", arguments=["-v"])
    assert (spec.name, spec.script, spec.project, spec.folder) == ("arm", str(script), "", str(script.parent))
    assert (spec.python, spec.arguments, spec.restart) == (sys.executable, ["-v"], "on-failure")


def test_a_main_script_is_called_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "leg").mkdir()
    (tmp_path / "leg" / "main.py").write_text("")
    assert graph_spec(tmp_path / "leg" / "main.py").name == "leg"


def test_a_project_is_called_by_its_name_and_runs_in_its_folder(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    spec = graph_spec(folder)
    assert (spec.name, spec.script, spec.project, spec.folder) == ("my-robot", "", str(folder), str(folder))


@pytest.mark.parametrize(("name", "called"), [("Ärm 7", "rm-7"), ("...", "graph"), ("x" * 99, "x" * 64), ("-a-", "a")])
def test_any_projects_name_gives_one_that_is_allowed(tmp_path: Path, name: str, called: str) -> None:
    assert graph_spec(project(tmp_path / "p", name)).name == called


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x" * 65, "a\n", "ä", "a/b"])
def test_a_name_that_cannot_be_is_refused(script: Path, name: str) -> None:
    with pytest.raises(InvalidValue, match="the graph's name is"):
        graph_spec(script, name=name)


def test_variables_of_horus_and_python_go_along_and_others_do_not(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HORUS_RECORDINGS", "/r")
    monkeypatch.setenv("HORUS_DAEMON", "user")
    monkeypatch.setenv("PYTHONPATH", "/p")
    monkeypatch.setenv("SECRET", "s")
    environment = graph_spec(script, environment={"PYTHONPATH": "/q", "DISPLAY": ":0"}).environment
    assert environment["HORUS_RECORDINGS"] == "/r"
    assert environment["PYTHONPATH"] == "/q"
    assert environment["DISPLAY"] == ":0"
    assert "SECRET" not in environment
    assert "HORUS_DAEMON" not in environment


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"script": "arm.py"}, "the graph's script is 'arm.py'; expected an absolute path"),
        ({"folder": "."}, "the graph's folder is '.'"),
        ({"python": "python3"}, "the graph's python is 'python3'"),
        ({"script": ""}, "expected a script, or a project's folder"),
        ({"script": "/none.py"}, "the script is '/none.py'"),
        ({"script": "", "project": "/none"}, "the project is '/none'"),
        ({"folder": "/none"}, "the graph's folder is '/none'; expected a folder"),
        ({"python": "/etc/passwd"}, "expected a program that may be run"),
        ({"arguments": ["a\0b"]}, "with a zero byte"),
        ({"environment": {"A=B": "1"}}, "a variable's name that is none"),
        ({"environment": {"": "1"}}, "a variable's name that is none"),
        ({"record": "../x"}, "the session name is '../x'"),
    ],
)
def test_what_could_not_start_is_refused(script: Path, changes: dict[str, Any], words: str) -> None:
    spec = msgspec.structs.replace(graph_spec(script), **changes)
    with pytest.raises(InvalidValue) as caught:
        check_spec(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"duration": -1.0}, {"tick_rate": 0.0}, {"restart": "sometimes"}, {"arguments": ["x"] * 300}]
)
def test_a_client_notices_what_the_daemon_would_not_take(script: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="the graph is not as it must be"):
        graph_spec(script, **options)


def test_what_is_no_script_and_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"nix\.py"):
        graph_spec(tmp_path / "nix.py")
    with pytest.raises(InvalidValue, match=r"horus\.toml is not there"):
        graph_spec(tmp_path)


def test_a_spec_survives_its_way_into_the_state_file(script: Path) -> None:
    spec = graph_spec(script, record="monday", duration=2.5, tick_rate=50, restart="always")
    assert msgspec.json.decode(msgspec.json.encode(spec), type=GraphSpec) == spec
