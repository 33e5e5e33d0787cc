"""``horus run`` and ``horus top`` at a terminal, and what the shell completes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from horus_core.recording.reading.reader import Session
from tests.horus_command import (
    COMMAND,
    ENDLESS,
    PATIENCE,
    SMALL,
    environment,
    horus,
    running,
    script,
    started,
    wait_for,
)

ERASE = r"\r\x1b\[K"


def at_terminal(*arguments: str | Path, **changes: str) -> pexpect.spawn:
    return pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *map(str, arguments)],
        env={
            name: value
            for name, value in {**environment(TERM="xterm-256color"), **changes}.items()
            if name != "COLUMNS"
        },
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(40, 160),
    )


def test_a_live_line_shows_how_the_run_goes(tmp_path: Path) -> None:
    terminal = at_terminal("run", "--record", "monday", script(tmp_path, ENDLESS))
    terminal.expect(r"tick \d+  [\d.]+ Hz of 100 Hz  misses 0  restarts 0  dropped 0  recorded [\d.]+ kB")
    terminal.expect(r"\r[^\r\n]*tick \d+")  # drawn again, in the same place
    terminal.sendintr()
    terminal.expect("horus: stopped by SIGINT after tick")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130


def test_ctrl_c_is_not_written_into_the_line_and_the_terminal_is_as_before(tmp_path: Path) -> None:
    terminal = at_terminal("run", script(tmp_path, ENDLESS))
    terminal.expect(r"tick \d+  [\d.]+ Hz of 100 Hz")
    echoes = termios.tcgetattr(terminal.child_fd)[3] & termios.ECHOCTL
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    assert "^C" not in terminal.before
    assert "horus: stopped by SIGINT after tick" in terminal.before
    assert not echoes
    assert termios.tcgetattr(terminal.child_fd)[3] & termios.ECHOCTL
    terminal.close()


def test_what_nodes_print_stands_above_the_line_with_a_coloured_name(tmp_path: Path) -> None:
    terminal = at_terminal("run", script(tmp_path, ENDLESS))
    terminal.expect(r"misses 0")
    terminal.expect(ERASE + r"\x1b\[36m\[sensor\]\x1b\[0m at \d+\r\n")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)


def test_what_the_script_prints_stands_above_the_line(tmp_path: Path) -> None:
    text = ENDLESS.replace('print(f"at {horus.tick()}")', 'print("in ", end=""); print("two parts")')
    terminal = at_terminal("run", "--inline", script(tmp_path, text))
    terminal.expect(r"misses 0")
    terminal.expect(ERASE + r"in two parts\r\n")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)


def test_at_the_end_the_line_is_gone_and_a_table_is_drawn(tmp_path: Path) -> None:
    terminal = at_terminal("run", script(tmp_path, SMALL.replace("0.3", "0.8")))
    terminal.expect("misses 0")
    terminal.expect(pexpect.EOF)
    shown = re.sub(r"\x1b\[[\d;]*[mK]", "", terminal.before)
    table = re.search(
        r" node +ticks +rate +busy p50[^\n]+\n ─+[^\n]+\n( sensor +80 [^\n]+\n driver +80 .*)", shown, re.DOTALL
    )
    assert table is not None, shown
    assert "misses 0" not in table[1]
    terminal.close()
    assert terminal.exitstatus == 0


def test_a_terminal_that_is_none_gets_plain_lines(tmp_path: Path) -> None:
    terminal = pexpect.spawn(
        COMMAND[0], [*COMMAND[1:], "run", str(script(tmp_path, SMALL))], env=environment(TERM="dumb"), encoding="utf-8"
    )
    terminal.expect(pexpect.EOF)
    assert "\x1b" not in terminal.before
    assert "[sensor] at 10" in terminal.before


def test_colours_can_be_turned_off(tmp_path: Path) -> None:
    terminal = at_terminal("run", script(tmp_path, SMALL), NO_COLOR="1")
    terminal.expect(r"\[sensor\] at 20")
    assert "\x1b[36m" not in terminal.before + terminal.after


def test_top_draws_nodes_and_topics_until_q(tmp_path: Path) -> None:
    with started("run", script(tmp_path, ENDLESS)):
        running()
        terminal = at_terminal("top", "--interval", "0.2")
        terminal.expect(r"graph horus \([0-9a-f]{12}\)")
        terminal.expect(r"sensor\s+ready")
        terminal.expect(r"scan\s")
        terminal.expect(r"of 100 Hz")  # drawn a second time
        terminal.send("q")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0


def test_top_ends_with_the_graph(tmp_path: Path) -> None:
    with started("run", script(tmp_path, ENDLESS)) as process:
        running()
        terminal = at_terminal("top", "--interval", "0.1")
        terminal.expect(r"sensor\s+ready")
        process.send_signal(2)
        terminal.expect("graph horus has ended")
        terminal.expect(pexpect.EOF)


def test_a_terminal_that_is_closed_ends_the_run_in_order(tmp_path: Path, recordings: Path) -> None:
    path = script(tmp_path, ENDLESS.replace("subs=[", "shutdown=lambda: print('brakes on'), subs=["))
    terminal = at_terminal("run", "--record", "monday", path)
    terminal.expect(r"misses 0")
    os.close(terminal.child_fd)
    terminal.closed, terminal.child_fd = True, -1
    wait_for(lambda: not terminal.isalive(), "the run to end")
    assert terminal.exitstatus == 128 + signal.SIGHUP
    assert Session(recordings / "monday").state == "complete"
    assert horus("log", "driver", "--session", "monday").out == "brakes on\n"


# Completion.


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with ``horus`` in it, for the shell to find."""
    path = script(tmp_path, f'#!/bin/sh\nexec {sys.executable} -m horus_cli "$@"\n', "bin/horus")
    path.chmod(0o755)
    return path.parent


@pytest.fixture
def bash(tmp_path: Path, commands: Path) -> Iterator[pexpect.spawn]:
    """A bash that has loaded the completion, in a folder where a session and a graph are."""
    horus("run", "--inline", "--record", "monday", script(tmp_path, SMALL))
    completion = script(tmp_path, horus("completion", "bash").out, "completion")
    rc = script(tmp_path, f"PS1='READY> '\nbind 'set bell-style none'\nsource {completion}\n", "rc")
    path = f"{commands}:/usr/bin:/bin"
    with started("run", script(tmp_path, ENDLESS)):
        running()
        shell = pexpect.spawn(
            "bash",
            ["--noprofile", "--rcfile", str(rc), "-i"],
            env=environment(PATH=path, TERM="xterm"),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 160),
        )
        shell.expect_exact("READY> ")
        yield shell
        shell.close(force=True)


def test_bash_completes_commands_options_and_names(bash: pexpect.spawn) -> None:
    for typed, completed in [
        ("horus comp", "letion "),
        ("horus run --over", "write "),
        ("horus log --session mon", "day "),
        ("horus topic echo sc", "an "),
        ("horus node restart dri", "ver "),
        ("horus completion fi", "sh "),
        ("horus record info mon", "day"),
    ]:
        bash.send(typed)
        bash.expect_exact(typed)
        bash.send("\t")
        bash.expect_exact(completed)
        bash.sendcontrol("u")
        bash.sendline("")
        bash.expect_exact("READY> ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_without_its_shell(shell: str) -> None:
    text = horus("completion", shell, env=environment(PATH="/nowhere")).out
    assert "_HORUS_COMPLETE" in text
    if shutil.which(shell):
        import subprocess

        subprocess.run([shell, "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize("shell", ["bash_complete", "zsh_complete", "fish_complete"])
def test_each_shell_gets_the_names_of_running_nodes(tmp_path: Path, shell: str) -> None:
    with started("run", script(tmp_path, ENDLESS)):
        running()
        words = {"COMP_WORDS": "horus node info d", "COMP_CWORD": "d" if shell == "fish_complete" else "3"}
        assert "driver" in horus(env=environment(_HORUS_COMPLETE=shell, **words), code=None).out
