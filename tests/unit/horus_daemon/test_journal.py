"""The daemon's log in the journal's form, and in its file."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from horus_daemon.journal import log, read_by_journal, start_log


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    before, propagate, level, raises = log.handlers[:], log.propagate, log.level, logging.raiseExceptions
    yield
    log.handlers[:], log.propagate = before, propagate
    log.setLevel(level)
    logging.raiseExceptions = raises


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[TextIO]:
    with (tmp_path / "stderr").open("w+") as file:
        yield file


def name_of(stream: TextIO) -> str:
    found = os.fstat(stream.fileno())
    return f"{found.st_dev}:{found.st_ino}"


def test_the_journal_gets_priorities_on_each_line_and_no_time(
    tmp_path: Path, stream: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", name_of(stream))
    file = start_log(tmp_path / "horusd.log", 0o600, stream)
    log.info("ready")
    log.warning("careful\nvery")
    log.error("bad %d", 3)
    log.debug("not said")
    file.close()
    stream.seek(0)
    assert stream.read() == "<6>ready\n<4>careful\n<4>very\n<3>bad 3\n"


def test_another_stderr_and_the_file_get_the_time_and_the_level(tmp_path: Path, stream: TextIO) -> None:
    file = start_log(tmp_path / "horusd.log", 0o600, stream)
    log.warning("careful")
    file.close()
    stream.seek(0)
    text = stream.read()
    assert text.split(" ", 1)[1] == "WARNING careful\n"
    assert (tmp_path / "horusd.log").read_text() == text


def test_the_journal_is_known_by_its_device_and_inode(stream: TextIO) -> None:
    assert read_by_journal(stream, {"JOURNAL_STREAM": name_of(stream)})
    assert not read_by_journal(stream, {"JOURNAL_STREAM": "1:2"})
    assert not read_by_journal(stream, {})
    assert not read_by_journal(io.StringIO(), {"JOURNAL_STREAM": name_of(stream)})


def test_a_reader_that_has_gone_does_not_stop_the_daemon(tmp_path: Path) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    with os.fdopen(writable, "w") as stream:
        file = start_log(tmp_path / "horusd.log", 0o600, stream)
        log.error("nobody reads this there")
        file.close()
        with pytest.raises(BrokenPipeError):
            stream.close()
    assert "nobody reads this there" in (tmp_path / "horusd.log").read_text()
