"""Names of topics and nodes, chosen by patterns: ``*`` stands for any letters, ``?`` for one. Imports no pyarrow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache


def is_pattern(name: str) -> bool:
    """Whether `name` is a pattern, and not a name alone."""
    return "*" in name or "?" in name


def fits(name: str, pattern: str) -> bool:
    """Whether `name` is `pattern`, or one of the names that it stands for.

    >>> fits("camera/left", "camera/*"), fits("camera/left", "cam?"), fits("a[0]", "a[0]")
    (True, False, True)
    """
    return name == pattern or (is_pattern(pattern) and _compiled(pattern).fullmatch(name) is not None)


def expanded(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """`names` with the known ones in the place of each pattern, each name once.

    What fits no known name stays as it is, so that whoever checks the names can say which is wrong. A known name that looks
    like a pattern stands for itself.

    >>> expanded(["cam*", "odom", "lidar?"], ["cam0", "cam1", "odom"])
    ['cam0', 'cam1', 'odom', 'lidar?']
    """
    all_known = list(dict.fromkeys(known))
    found: dict[str, None] = {}
    for name in names:
        fitting = [name] if name in all_known else [each for each in all_known if fits(each, name)]
        found.update(dict.fromkeys(fitting or [name]))
    return list(found)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), re.DOTALL)
