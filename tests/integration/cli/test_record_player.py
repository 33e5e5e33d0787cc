"""``horus record replay`` at a terminal: the line, the keys, and the terminal afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.control_loop import SCRIPT, recorded
from tests.horus_command import COMMAND, PATIENCE, environment, horus, script, wait_for

RIGHT, UP, DOWN = "\x1b[C", "\x1b[A", "\x1b[B"


@pytest.fixture(autouse=True)
def session(recordings: Path) -> None:
    recorded(recordings)


@contextlib.contextmanager
def person(*arguments: str | Path, width: int = 140) -> Iterator[pexpect.spawn]:
    """Starts ``horus record ...`` for a person who sees `width` columns; it is over at the end of the block."""
    line = [*COMMAND[1:], "record", *map(str, arguments)]
    terminal = environment(TERM="xterm")
    del terminal["COLUMNS"]
    child = pexpect.spawn(COMMAND[0], line, env=terminal, timeout=PATIENCE, encoding="utf-8", dimensions=(30, width))
    try:
        yield child
    finally:
        if child.isalive():
            child.kill(signal.SIGTERM)
        child.close()


def modes(child: pexpect.spawn) -> int:
    """The local modes of its terminal."""
    return int(termios.tcgetattr(child.child_fd)[3])


def ended(child: pexpect.spawn) -> int | None:
    """Reads to the end; the exit code, negative for a signal."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus if child.signalstatus is None else -child.signalstatus


def press(child: pexpect.spawn, key: str, pattern: str) -> re.Match[str]:
    """Presses a key and waits for what shows."""
    child.send(key)
    child.expect(pattern)
    assert isinstance(child.match, re.Match)
    return child.match


def test_the_line_shows_tick_time_and_speed_and_keys_steer() -> None:
    with person("replay", "base", "--speed", "0.1") as child:
        child.expect(r"base  [█░]+  tick \d+/199  \d+\.\d\d/2\.00 s  ×0\.1")
        tick = int(press(child, " ", r"tick (\d+)/199[^\r]*paused")[1])
        for _ in range(2):
            tick += 1
            press(child, RIGHT, rf"tick {tick}/199[^\r]*paused")
        press(child, UP, r"×0\.25  paused")
        press(child, DOWN + DOWN, r"×0\.05  paused")
        press(child, UP * 11, "as fast as it can  paused")
        press(child, " ", r"replayed base: ticks 0 to 199 in")
        assert ended(child) == 0


def test_the_right_arrow_pauses_a_replay_that_runs() -> None:
    with person("replay", "base", "--speed", "0.05") as child:
        child.expect("tick ")
        press(child, RIGHT, "paused")
        press(child, "q", "replayed base: ticks 0 to")
        assert ended(child) == 0


@pytest.mark.parametrize(
    ("how", "code"),
    [("q", 0), ("its end", 0), ("Ctrl-C", 130), ("SIGTERM", 130), ("SIGHUP", 130), ("SIGQUIT", -signal.SIGQUIT)],
)
def test_the_terminal_is_as_before(how: str, code: int) -> None:
    with person("replay", "base", "--speed", "10" if how == "its end" else "0.05") as child:
        before = modes(child)
        assert before & termios.ECHO
        assert before & termios.ICANON
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
        assert ended(child) == code
    if how == "SIGQUIT":  # it had no time to remove its memory
        horus("clean", "--shm")


def test_keys_work_again_after_the_shell_had_the_terminal() -> None:
    with person("replay", "base", "--speed", "0.05") as child:
        child.expect("tick ")
        taken = termios.tcgetattr(child.child_fd)
        child.kill(signal.SIGSTOP)
        cooked = [*taken[:3], taken[3] | termios.ECHO | termios.ICANON, *taken[4:]]
        termios.tcsetattr(child.child_fd, termios.TCSADRAIN, cooked)
        child.kill(signal.SIGCONT)
        wait_for(lambda: modes(child) == taken[3], "single keys")
        press(child, "q", "replayed base")
        assert ended(child) == 0


def test_the_terminal_is_as_before_when_a_live_node_does_not_start(tmp_path: Path) -> None:
    broken = SCRIPT.replace('name="controller", ', 'name="controller", init=lambda node: 1 / 0, ')
    with person("inject", "base", "--nodes", "sensor", "--script", script(tmp_path, broken)) as child:
        before = modes(child)
        child.expect("did not start")
        child.expect(pexpect.EOF)
        assert modes(child) == before
        assert ended(child) == 1


def test_values_appear_above_the_line() -> None:
    with person("replay", "base", "--speed", "5", "--echo", "ctrl.cmd", width=60) as child:
        child.expect(r'0  ctrl\.cmd  \{"output": 0\.0\}\r\n')
        child.expect("replayed base: ticks 0 to 199")
        assert ended(child) == 0


def test_inject_shows_the_line_and_takes_keys() -> None:
    with person("inject", "base", "--nodes", "sensor", "--speed", "0.2") as child:
        child.expect(r"tick \d+/199")
        press(child, "q", "ticks:.*0 to ")
        child.expect("the live nodes sent what was recorded")
        assert ended(child) == 0
