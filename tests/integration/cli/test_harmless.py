"""Names, logs and values, whoever chose them, do not drive the terminal: not in any command, in no format."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tests.horus_command import ROOT, horus, script

EVIL = "a\x1b]0;owned\x07b\x9b31mc\u202ed\x1b[2Je\x7f\r"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

GRAPH = f"""
from horus import Node, Scheduler
evil = {EVIL!r}

def tick(node):
    node.send("x", {{"v": evil, evil: 1, "n": 1.5}})
    print("out " + evil)
    node.log_info(evil)
    if END:
        raise ValueError(evil)

scheduler = Scheduler(tick_rate=50, deterministic=True, name="g")
scheduler.add(Node(name="a", pubs=["x"], tick=tick, rate=50))
scheduler.run(duration=0.1)
"""

COMMANDS = [
    ("record", "info", "s"),
    ("record", "info", "s", "--json"),
    ("record", "list"),
    ("record", "list", "--json"),
    ("record", "diff", "s", "s"),
    ("record", "diff", "s", "s", "--json"),
    ("record", "plot", "s", "x.n"),
    ("record", "replay", "s", "--echo", "x", "--speed", "0"),
    ("record", "replay", "s", "--echo", "x", "--speed", "0", "--json"),
    ("log", "-s", "s", "a"),
    ("log", "-s", "s", EVIL),
    ("record", "info", EVIL),
    (EVIL,),
    ("topic", "echo", EVIL),
    ("run", "bad.py"),
    ("run", "bad.py", "--json"),
    ("check", "bad.py"),
]


def assert_harmless(text: str) -> None:
    found = FORBIDDEN.search(text)
    assert found is None, ascii(text[max(0, found.start() - 60) : found.end() + 20])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"folder": tmp_path_factory.mktemp("harmless")}


@pytest.fixture
def folder(ran: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scripts and the session "s", recorded once."""
    folder = ran["folder"]
    monkeypatch.setenv("HORUS_RECORDINGS", str(folder / "recordings"))
    if not (folder / "good.py").exists():
        script(folder, GRAPH.replace("END", "False"), "good.py")
        script(folder, GRAPH.replace("END", "True"), "bad.py")
        ended = horus("run", "--record", "s", "good.py", cwd=folder)
        assert "out a\\x1b]0;owned" in ended.out
        assert_harmless(ended.out + ended.err)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: " ".join(each).replace(EVIL, "EVIL"))
def test_no_control_character_gets_through(folder: Path, command: tuple[str, ...]) -> None:
    ended = horus(*command, code=None, cwd=folder)
    assert ended.out + ended.err
    assert "Traceback" not in ended.err or command[:2] == ("run", "bad.py")
    assert_harmless(ended.out + ended.err)


def test_json_still_says_the_value_as_it_is(folder: Path) -> None:
    shown = horus("record", "replay", "s", "--echo", "x", "--speed", "0", "--json", cwd=folder).out
    rows = [msgspec.json.decode(line) for line in shown.splitlines()]
    values = [row["value"] for row in rows if isinstance(row, dict) and "value" in row]
    assert values
    assert all(value == {"v": EVIL, EVIL: 1, "n": 1.5} for value in values)


def test_commands_print_through_one_module() -> None:
    direct = re.compile(r"click\.(echo|secho|echo_via_pager)\(|(?<![\w.])print\(|sys\.std(out|err)\.write\(")
    found = {
        str(path.relative_to(ROOT)): line.strip()
        for path in (ROOT / "horus_cli").rglob("*.py")
        for line in path.read_text().splitlines()
        if direct.search(line.replace("def print(", "")) and path != ROOT / "horus_cli" / "show.py"
    }
    assert not found
