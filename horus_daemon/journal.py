"""The daemon's own log: to stderr, in the journal's form if the journal reads that, and into its rotated file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from horus_daemon.logfile import RotatedFile

log = logging.getLogger("horusd")

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # of syslog


def priority(level: int) -> int:
    """The journal's number for a level of logging.

    >>> priority(logging.WARNING), priority(logging.INFO)
    (4, 6)
    """
    return next(number for least, number in _PRIORITIES if level >= least)


def read_by_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the journal reads `stream`: ``$JOURNAL_STREAM`` names its device and inode."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class JournalFormatter(logging.Formatter):
    """Puts ``<priority>`` before each line, and no time: the journal has its own."""

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record.levelno)}>"
        return "\n".join(mark + line for line in super().format(record).split("\n"))


class _FileHandler(logging.Handler):
    def __init__(self, file: RotatedFile) -> None:
        super().__init__()
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        self.file.write(f"{self.format(record)}\n".encode(errors="replace"))


def start_log(path: Path, mode: int, stream: TextIO | None) -> RotatedFile:
    """Sends the daemon's log into the file at `path`, and to `stream`, if there is one.

    Returns:
        The file, to be reopened on SIGHUP.
    """
    logging.raiseExceptions = False  # a reader of stderr that has gone must not end the daemon
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    plain.converter = time.gmtime
    file = RotatedFile(path, mode)
    handlers: list[logging.Handler] = [_FileHandler(file)]
    handlers[0].setFormatter(plain)
    if stream is not None:
        handlers.append(logging.StreamHandler(stream))
        handlers[1].setFormatter(JournalFormatter("%(message)s") if read_by_journal(stream) else plain)
    log.handlers[:] = handlers
    log.setLevel(logging.INFO)
    log.propagate = False
    return file
