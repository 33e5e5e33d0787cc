"""Entry point of ``horusd``: the daemon, in the foreground. ``horus daemon start`` starts it in the background."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from horus_core.errors import HorusError
from horus_daemon.wire import package_version


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the daemon until SIGTERM, SIGINT or ``horus daemon stop``."""
    parser = argparse.ArgumentParser(
        prog="horusd", description="Owns graphs: starts them, watches them, starts them again."
    )
    parser.add_argument(
        "--system",
        action="store_true",
        help="serve the group horus from /run/horus, /var/lib/horus and /var/log/horus (or where systemd says)",
    )
    parser.add_argument("--background", action="store_true", help="log into the file only, not to stderr")
    parser.add_argument("--version", action="version", version=f"horusd {package_version()}")
    given = parser.parse_args(arguments)
    sys.exit(serve(given.system, given.background))


def serve(system: bool, background: bool = False) -> int:
    """Runs the daemon. Returns the exit code."""
    import zmq

    from horus_daemon.daemon import Daemon
    from horus_daemon.places import system_places, user_places

    try:
        daemon = Daemon(system_places() if system else user_places(), background)
    except (HorusError, OSError, zmq.ZMQError) as problem:
        print(f"horusd: {problem}", file=sys.stderr)
        return 1
    daemon.run()
    return 0


if __name__ == "__main__":
    main()
