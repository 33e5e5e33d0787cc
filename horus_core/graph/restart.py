"""What happens to a node that fails: how often, and how soon, it is started again."""

from __future__ import annotations

from dataclasses import dataclass

from horus_core.errors import InvalidValue


@dataclass(frozen=True)
class Restart:
    """A failure policy: start the node again; ``Node(failure_policy=Restart(times=10))``. "restart" means the defaults.

    Args:
        times: how often within `window`; the failure after that ends the graph.
        window: seconds.
        first: seconds before the first restart in a window; each further one waits twice as long.
        most: seconds that it waits at most.

    Raises:
        InvalidValue: an argument is negative.

    Example:
        >>> [Restart().delay(earlier) for earlier in (0, 1, 2)]
        [0.1, 0.2, 0.4]
    """

    times: int = 5
    window: float = 60.0
    first: float = 0.1
    most: float = 10.0

    def __post_init__(self) -> None:
        for name in ("times", "window", "first", "most"):
            if getattr(self, name) < 0:
                raise InvalidValue(f"Restart {name}", repr(getattr(self, name)), "0 or more")

    def delay(self, earlier: int) -> float:
        """Seconds to wait after `earlier` restarts in the window."""
        return min(self.first * 2.0 ** min(earlier, 64), self.most)


DEFAULT_RESTART = Restart()


def ordinal(number: int) -> str:
    """A number as one counts.

    >>> [ordinal(each) for each in (1, 2, 3, 6, 11, 12, 21, 102)]
    ['1st', '2nd', '3rd', '6th', '11th', '12th', '21st', '102nd']
    """
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
