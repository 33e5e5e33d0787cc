"""Names of files, and whether a recorder holds one. Imports no pyarrow."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

FILE_NAME = re.compile(r"^(?P<stem>.+)@(?P<id>[0-9a-f]{1,64})(?:\.(?P<part>\d{1,9}))?\.arrow$", re.DOTALL)

STARTING = ".starting"  # in the folder of a session whose recorder has not begun yet; locked by who starts it


def file_stem(node: str) -> str:
    """The name that a node's file starts with: the node's own name, with what a file name cannot hold as ``%XX``.

    >>> file_stem("arm/left")
    'arm%2Fleft'
    """
    plain = "".join(
        each if each.isalnum() or each in "._- " else "".join(f"%{byte:02X}" for byte in each.encode()) for each in node
    )
    if plain in ("scheduler", "events") or plain.startswith("."):
        plain = f"%{ord(plain[0]):02X}{plain[1:]}"
    return plain


def file_name(stem: str, identity: str, part: int) -> str:
    """The name of a file.

    >>> file_name("sensor", "0a1b", 0), file_name("sensor", "0a1b", 3)
    ('sensor@0a1b.arrow', 'sensor@0a1b.3.arrow')
    """
    return f"{stem}@{identity}.{part}.arrow" if part else f"{stem}@{identity}.arrow"


def open_regular(path: Path) -> int:
    """Opens without waiting for a FIFO's other end and without following a symbolic link."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def is_being_written(path: Path) -> bool:
    """Whether a recorder holds the lock of this file."""
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
