"""``horus record replay`` at a terminal: the line, the keys, and the terminal afterwards."""

from __future__ import annotations

import os
import re
import signal
import termios
from pathlib import Path

import pexpect
import pytest

from tests.control_loop import recorded
from tests.horus_command import COMMAND, PATIENCE, environment, script
from tests.control_loop import SCRIPT

RIGHT, UP, DOWN = "\x1b[C", "\x1b[A", "\x1b[B"


@pytest.fixture(autouse=True)
def session(recordings: Path) -> None:
    recorded(recordings)


def at_terminal(*arguments: str | Path, width: int = 140) -> pexpect.spawn:
    """``horus record ...`` with a person, who sees `width` columns."""
    line = [*COMMAND[1:], "record", *map(str, arguments)]
    terminal = environment(TERM="xterm")
    terminal.pop("COLUMNS")
    return pexpect.spawn(COMMAND[0], line, env=terminal, timeout=PATIENCE, encoding="utf-8", dimensions=(30, width))


def modes(child: pexpect.spawn) -> int:
    """The local modes of its terminal."""
    return int(termios.tcgetattr(child.child_fd)[3])


def ended(child: pexpect.spawn) -> int | None:
    """Reads to the end; the exit code, None if a signal ended it."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def expect_key(child: pexpect.spawn, key: str, pattern: str) -> re.Match[str]:
    """Presses a key and waits for what shows."""
    child.send(key)
    child.expect(pattern)
    assert isinstance(child.match, re.Match)
    return child.match


def test_the_line_shows_tick_time_and_speed_and_keys_steer() -> None:
    child = at_terminal("replay", "base", "--speed", "0.1")
    child.expect(r"base  [█░]+  tick \d+/199  \d+\.\d\d/2\.00 s  ×0\.1")
    tick = int(expect_key(child, " ", r"tick (\d+)/199[^\r]*paused")[1])
    for _ in range(2):
        tick += 1
        expect_key(child, RIGHT, rf"tick {tick}/199[^\r]*paused")
    expect_key(child, UP, "×0.25  paused")
    expect_key(child, DOWN + DOWN, "×0.05  paused")
    expect_key(child, UP * 9, "as fast as it can  paused")
    expect_key(child, " ", r"replayed base: ticks 0 to 199 in")
    assert ended(child) == 0


def test_the_right_arrow_pauses_a_replay_that_runs() -> None:
    child = at_terminal("replay", "base", "--speed", "0.05")
    child.expect("tick ")
    expect_key(child, RIGHT, "paused")
    expect_key(child, "q", "replayed base: ticks 0 to")
    assert ended(child) == 0


@pytest.mark.parametrize("how", ["q", "its end", "Ctrl-C", "SIGTERM", "SIGQUIT"])
def test_the_terminal_is_as_before(how: str) -> None:
    child = at_terminal("replay", "base", "--speed", "10" if how == "its end" else "0.05")
    before = modes(child)
    assert before & termios.ECHO and before & termios.ICANON
    child.expect("tick ")
    if how == "q":
        assert not modes(child) & (termios.ECHO | termios.ICANON)
        child.send("q")
    elif how == "Ctrl-C":
        child.sendcontrol("c")
    elif how != "its end":
        os.kill(child.pid, getattr(signal, how))
    child.expect(pexpect.EOF)
    assert modes(child) == before
    child.close()
    expected = {"q": 0, "its end": 0, "Ctrl-C": 130, "SIGTERM": 130, "SIGQUIT": None}
    assert child.exitstatus == expected[how] or (how == "SIGTERM" and child.exitstatus == 143)


def test_the_terminal_is_as_before_when_a_live_node_does_not_start(tmp_path: Path) -> None:
    broken = SCRIPT.replace('name="controller", ', 'name="controller", init=lambda node: 1 / 0, ')
    child = at_terminal("inject", "base", "--nodes", "sensor", "--script", script(tmp_path, broken))
    before = modes(child)
    child.expect("did not start")
    child.expect(pexpect.EOF)
    assert modes(child) == before
    child.close()
    assert child.exitstatus == 1


def test_what_nodes_print_and_values_appear_above_the_line() -> None:
    child = at_terminal("replay", "base", "--speed", "5", "--echo", "ctrl.cmd", width=60)
    child.expect(r"(?:^|[\r\nK])0  ctrl.cmd  \{")
    child.expect("replayed base: ticks 0 to 199")
    assert ended(child) == 0


def test_inject_shows_the_line_and_takes_keys() -> None:
    child = at_terminal("inject", "base", "--nodes", "sensor", "--speed", "0.2")
    child.expect(r"tick \d+/199")
    expect_key(child, "q", "ticks:.*0 to ")
    child.expect("the live nodes sent what was recorded")
    assert ended(child) == 0
