"""Whether the machine (or the user's session) is being stopped, which the daemon's graphs then are too, in order."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

_ASK_SECONDS = 2.0


def machine_is_stopping(user: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd is on its way down.

    Args:
        user: ask the user's systemd too, not only the system's.
    """
    return (user and _is_stopping(["--user"], environ)) or _is_stopping([], environ)


def _is_stopping(which: list[str], environ: Mapping[str, str]) -> bool:
    command = ["systemctl", *which, "is-system-running"]
    try:
        done = subprocess.run(
            command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == b"stopping"
