"""``horus doctor`` and ``clean``, the frame of the command, and what it says of misuse."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from horus_cli.main import COMMANDS
from horus_core.project.doctor import Finding
from tests.horus_command import COMMAND, ENDLESS, ROOT, environment, horus, refused, running, script, started, wait_for

SHARED_MEMORY = Path("/dev/shm")


# doctor


def test_the_doctor_says_what_this_machine_grants() -> None:
    findings = {each.name: each for each in horus("doctor", "--json").json(list[Finding])}
    assert findings["cores"].value.startswith(f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}")
    assert os.uname().release in findings["kernel"].value
    for name in ("real-time priority", "memory lock", "/dev/shm", "clock source", "python", "pyarrow", "recordings"):
        assert findings[name].value
    assert all(each.advice for each in findings.values() if each.grade != "ok")


def test_the_doctor_for_people_has_a_line_for_each() -> None:
    lines = horus("doctor").out.splitlines()
    assert lines[0].split() == ["what", "here", "what", "helps"]
    assert any(line.strip().startswith("/dev/shm") for line in lines)


def test_a_runtime_folder_that_cannot_be_made_keeps_graphs_from_running(tmp_path: Path) -> None:
    (tmp_path / "horus").write_text("in the way")
    result = horus("doctor", code=1, env=environment(XDG_RUNTIME_DIR=str(tmp_path)))
    assert any(line.startswith("X ") and "runtime folder" in line for line in result.out.splitlines())


# clean


@pytest.fixture
def dead_graph() -> Iterator[str]:
    """What a graph leaves that was killed together with its recorder."""
    graph = secrets.token_hex(6)
    names = [SHARED_MEMORY / f"horus-{graph}-{what}" for what in ("ctl", "0.0", "1.0")]
    names.append(SHARED_MEMORY / f"sem.horus-{graph}-go0")
    for name in names:
        name.write_bytes(b"\0" * 64)
    yield graph
    for name in names:
        name.unlink(missing_ok=True)


def of_graph(graph: str) -> set[str]:
    return {path.name for path in SHARED_MEMORY.iterdir() if graph in path.name}


def test_clean_removes_what_dead_graphs_left_and_only_that(tmp_path: Path, dead_graph: str) -> None:
    with started("run", script(tmp_path, ENDLESS)):
        (facts,) = running()
        before = of_graph(facts["id"])
        other = SHARED_MEMORY / f"horus-not-a-graph-{secrets.token_hex(4)}"
        other.write_bytes(b"")

        def swept() -> list[str]:
            # Every graph that starts sweeps too, the one above and those of others: leave something new.
            for what in ("ctl", "7.0"):
                (SHARED_MEMORY / f"horus-{dead_graph}-{what}").write_bytes(b"\0" * 64)
            found: list[str] = json.loads(horus("clean", "--shm", "--json").out)["swept"]
            return found

        try:
            wait_for(lambda: dead_graph in swept(), "clean to say what it removed")
            assert other.exists()
        finally:
            other.unlink()
        assert of_graph(dead_graph) == set()
        assert of_graph(facts["id"]) >= before
        assert dead_graph not in horus("clean", "--shm").out


def test_clean_wants_to_be_told_what() -> None:
    assert "say what to clean: --shm" in refused("clean")


# The frame.


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_all_commands(arguments: list[str]) -> None:
    out = horus(*arguments).out
    listed = re.findall(r"^  ([a-z]+)  ", out.split("Commands:")[1], re.MULTILINE)
    assert listed == list(COMMANDS)
    assert {"run", "record", "topic", "node", "top", "log", "new", "check", "doctor", "clean", "completion"} <= set(
        listed
    )


def test_every_command_that_is_listed_is_there() -> None:
    modules = {path.stem for path in (ROOT / "horus_cli" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("group", ["topic", "node", "record"])
def test_a_group_without_a_command_shows_its_help(group: str) -> None:
    assert horus(group).out.startswith(f"Usage: horus {group} ")


def test_the_version_is_shown() -> None:
    assert horus("--version").out.startswith("horus ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reccord"], "No such command 'reccord'; did you mean 'record'? ('horus --help' shows how)"),
        (["topic", "ehco"], "No such command 'ehco'; did you mean 'echo'? ('horus topic --help' shows how)"),
        (["--nothing"], "--nothing"),
        (["topic", "echo"], "Missing argument 'TOPIC'"),
        (["node", "stop", "a", "b"], "Got unexpected extra argument (b)"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (["topic", "hz", "x", "--window", "0"], "0 is not a number above 0 (seconds)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_is_one_line(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    import subprocess

    with started("run", script(tmp_path, ENDLESS)):
        running()
        echo = subprocess.Popen(
            [*COMMAND, "topic", "echo", "scan"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert echo.stdout is not None
        assert echo.stderr is not None
        echo.stdout.readline()
        echo.stdout.close()
        assert echo.stderr.read() == ""
        assert echo.wait(20) == 1
        echo.stderr.close()
