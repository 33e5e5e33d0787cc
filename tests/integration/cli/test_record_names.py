"""Names that no session has, names that the shell completes, and how fast help is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.horus_command import COMMAND, Here, environment, refused
from tests.recordings import Recording

HOSTILE = ["../x", "", "x" * 300, "a\nb", "-x", "größe", "..", "~nobody", "a\x1b[31mb", "/etc", "x/y"]
COMMANDS = [
    ["info"],
    ["replay"],
    ["inject", "--nodes", "sensor"],
    ["diff", "monday"],
    ["export", "-o", "never.csv"],
    ["trim", "--start-tick", "1", "new"],
    ["merge", "monday", "new"],
    ["repair"],
    ["rename", "new"],
    ["delete", "--yes"],
    ["plot", "scan"],
]
NEW_NAMES = ["../x", "", "x" * 300, "a\nb", "-x", "..", "a/b", " a", ".a"]


@pytest.fixture(autouse=True)
def session(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Recording({"sensor": ["scan"], "driver": ["speed"]}).add("sensor", "scan", [1, 2]).write(recordings / "monday")


def placed(command: list[str], name: str) -> list[str]:
    """The command line with `name` for its session."""
    place = 1 if command[0] in ("trim", "rename", "plot") else len(command)
    return ["record", *command[:place], name, *command[place:]]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_session_that_cannot_be_gets_one_line(command: list[str], name: str, here: Here) -> None:
    assert "\x1b" not in here.refused(*placed(command, name))


@pytest.mark.parametrize("name", NEW_NAMES, ids=ascii)
@pytest.mark.parametrize(
    "command",
    [
        ["trim", "monday", "--start-tick=1", "--", None],
        ["rename", "monday", "--", None],
        ["replay", "monday", "--speed=0", None],
    ],
    ids=lambda command: command[0],
)
def test_a_new_name_that_cannot_be_gets_one_line(
    command: list[str | None], name: str, recordings: Path, here: Here
) -> None:
    given = f"--record={name}" if command[0] == "replay" else name
    said = here.refused("record", *(given if each is None else each for each in command))
    assert said.startswith("the session name is ")
    assert [path.name for path in recordings.iterdir()] == ["monday"]


def test_a_mistyped_name_names_the_closest() -> None:
    assert "did you mean 'monday'" in refused("record", "info", "mondey")


@pytest.mark.skipif(os.getuid() == 0, reason="root may enter every folder")
def test_a_folder_without_permission_gets_one_line(recordings: Path) -> None:
    (recordings / "monday").chmod(0)
    try:
        assert "ermission denied" in refused("record", "info", "monday")
    finally:
        (recordings / "monday").chmod(0o755)


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'pyarrow', 'numpy', 'zmq', 'rich', 'psutil', 'cloudpickle', 'matplotlib', 'plotext'}"
    code = f"import sys; from horus_cli.main import run; run(sys.argv[1:]); print({heavy} & set(sys.modules))"
    names = [
        "",
        "list",
        "info",
        "replay",
        "inject",
        "diff",
        "export",
        "plot",
        "trim",
        "merge",
        "repair",
        "rename",
        "delete",
        "clean",
    ]
    for name in names:
        line = ["record", *filter(None, [name]), "--help"]
        ended = subprocess.run(
            [sys.executable, "-c", code, *line], env=environment(), capture_output=True, text=True, timeout=30
        )
        assert ended.stdout.startswith("Usage: horus record"), ended
        assert ended.stdout.endswith("set()\n"), ended


def completions(*words: str) -> list[str]:
    """What bash would offer behind `words`, the last of which is not whole yet."""
    line = environment(
        _HORUS_COMPLETE="bash_complete", COMP_WORDS=" ".join(["horus", *words]), COMP_CWORD=str(len(words))
    )
    ended = subprocess.run(COMMAND, env=line, capture_output=True, text=True, timeout=30)
    assert ended.stderr == ""
    return [entry.partition(",")[2] for entry in ended.stdout.splitlines()]


def test_the_shell_completes_sessions_nodes_and_topics(recordings: Path) -> None:
    Recording({"other": ["else"]}).write(recordings / "moon")
    assert completions("record", "info", "mo") == ["monday", "moon"]
    assert completions("record", "inject", "monday", "--nodes", "s") == ["sensor"]
    assert completions("record", "inject", "monday", "--nodes", "sensor,d") == ["sensor,driver"]
    assert completions("record", "replay", "monday", "--topics", "s") == ["scan", "speed"]
    assert completions("record", "plot", "moon", "e") == ["else"]
    assert completions("record", "trim", "monday", "new", "--topics", "scan,sp") == ["scan,speed"]
    assert completions("record", "list", "--sort", "d") == ["date", "duration"]
    assert completions("run", "--record", "monday", "--overwrite", "--exclude", "sp") == ["speed"]
    assert completions("record", "re") == ["replay", "repair", "rename"]
