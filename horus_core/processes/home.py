"""Where a user's data lies, for users without a home folder, too: containers run under numbers that nobody has a name for."""

from __future__ import annotations

import os
from pathlib import Path

NO_HOME = Path("/nonexistent")  # what Debian gives users without one; it can be looked for, and is never made


def user_folder(variable: str, below_home: str) -> Path:
    """The folder of ``horus`` in that which the environment variable names, else in that below the home folder.

    >>> os.environ["XDG_STATE_HOME"] = "/srv/state"
    >>> str(user_folder("XDG_STATE_HOME", ".local/state"))
    '/srv/state/horus'
    """
    return expanded(os.environ.get(variable) or f"~/{below_home}") / "horus"


def expanded(path: str | os.PathLike[str]) -> Path:
    """`path` with ``~`` as the home folder; `NO_HOME` if there is none."""
    found = Path(path)
    try:
        return found.expanduser()
    except RuntimeError:  # neither HOME nor an entry among the users; or ~name of nobody's
        return NO_HOME.joinpath(*found.parts[1:])


def has_no_home(path: Path) -> bool:
    """Whether :func:`expanded` found no home for `path`."""
    return NO_HOME in path.parents
