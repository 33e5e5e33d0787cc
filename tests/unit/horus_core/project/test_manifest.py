"""``horus.toml``: every mistake is one line with the file, the key, what it is and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from horus_core.errors import InvalidValue
from horus_core.project.manifest import read_project, session_of

GOOD = """
[package]
name = "robot"
version = "1.2"
description = "walks"
language = "python"

[run]
script = "walk.py"
tick_rate = 250
record = "walk_{date}"

[nodes.left]
rate = 50
core = 1
order = -2
failure_policy = "restart"
on_miss = "skip"
budget = 0.01
deadline = 0.02
watchdog = 1
priority = 80
compute = true

[nodes."a b"]
"""


def read(folder: Path, text: str) -> object:
    (folder / "walk.py").write_text("")
    (folder / "horus.toml").write_text(text)
    return read_project(folder)


def test_everything_that_a_project_can_say(tmp_path: Path) -> None:
    project = read(tmp_path, GOOD)
    assert (project.name, project.version, project.description) == ("robot", "1.2", "walks")
    assert (project.script, project.tick_rate, project.record) == (tmp_path / "walk.py", 250.0, "walk_{date}")
    assert project.nodes == {
        "left": {
            "rate": 50.0,
            "core": 1,
            "order": -2,
            "failure_policy": "restart",
            "on_miss": "skip",
            "budget": 0.01,
            "deadline": 0.02,
            "watchdog": 1.0,
            "priority": 80,
            "compute": True,
        },
        "a b": {},
    }


def test_the_least_that_a_project_must_say(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("")
    (tmp_path / "horus.toml").write_text('[package]\nname = "x"\n')
    project = read_project(tmp_path)
    assert (project.script, project.tick_rate, project.record, project.nodes) == (
        tmp_path / "src/main.py",
        None,
        False,
        {},
    )
    assert session_of(project) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('name = "robot"', "name = 3"), "[package] name is 3; expected text"),
        (('name = "robot"', ""), "[package] name is missing; expected text"),
        (('name = "robot"', 'name = " "'), "[package] name is ' '; expected text"),
        (
            ("version =", "verison ="),
            "[package] verison is not known; expected one of name, version, description, language",
        ),
        (("version =", "verison ="), "did you mean 'version'?"),
        (('language = "python"', 'language = "rust"'), "[package] language is 'rust'; expected 'python'"),
        (
            ("[package]", "[pakage]"),
            " pakage is not known; expected one of package, run, nodes, diff; did you mean 'package'?",
        ),
        (('script = "walk.py"', 'script = "run.py"'), "run.py', which is not there; expected a Python file"),
        (('script = "walk.py"', ""), "[run] script (not given, so src/main.py)"),
        (("tick_rate = 250", "tick_rate = 0"), "[run] tick_rate is 0; expected a number above 0 Hz"),
        (("tick_rate = 250", 'tick_rate = "fast"'), "[run] tick_rate is 'fast'; expected a number above 0 Hz"),
        (("tick_rate = 250", "tick_rate = inf"), "[run] tick_rate is inf; expected a number above 0 Hz"),
        (
            ('record = "walk_{date}"', 'record = "../x"'),
            "[run] record is '../x'; expected true, false, or a session's name",
        ),
        (('record = "walk_{date}"', "record = 1"), "[run] record is 1; expected true, false, or a session's name"),
        (("rate = 50", "rate = -50"), "[nodes.left] rate is -50; expected a number above 0 Hz"),
        (("core = 1", "core = -1"), "[nodes.left] core is -1; expected a whole number, 0 or more"),
        (("order = -2", "order = 1.5"), "[nodes.left] order is 1.5; expected a whole number"),
        (("order = -2", "orders = 1"), "[nodes.left] orders is not known; expected one of rate, order, core"),
        (('"restart"', '"resart"'), "[nodes.left] failure_policy is 'resart'; expected one of"),
        (("priority = 80", "priority = 100"), "[nodes.left] priority is 100; expected a whole number from 1 to 99"),
        (("compute = true", "compute = 1"), "[nodes.left] compute is 1; expected true or false"),
        (('[nodes."a b"]', "[nodes]\nright = 1"), "[nodes] right is 1; expected a section, [nodes.right]"),
        (("[run]", "[[run]]"), "run is [{"),
        (("[run]", "[run"), "is not TOML ("),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(InvalidValue) as caught:
        read(tmp_path, GOOD.replace(change[0], change[1], 1))
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "horus.toml"))
    assert said in message
    assert "\n" not in message


def test_bytes_that_are_no_text_are_no_toml(tmp_path: Path) -> None:
    (tmp_path / "horus.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidValue, match="is not TOML"):
        read_project(tmp_path)
