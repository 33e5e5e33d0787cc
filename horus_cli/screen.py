"""The whole terminal as a window on lines that may be more and longer than it, and the keys that move it."""

from __future__ import annotations

from collections.abc import Sequence

from horus_cli.tables import places

_FOOTER = ("? help", "q end", "w all columns", "space hold", "↑↓←→ move")
_SIDEWAYS = 8

KEYS = (
    ("?", "this page, and back"),
    ("q", "end; so does Ctrl-C"),
    ("w", "all columns, or those that there is room for"),
    ("space", "hold what is shown, and go on"),
    ("↑ ↓", "move by a line"),
    ("← →", "move sideways, where all columns are shown"),
)


class Window:
    """What of the lines is seen, and what a person has asked for.

    Args:
        wide: all columns are shown.

    Attributes:
        wide: all columns are to be shown.
        held: what is shown is to stay.
        help: the page about keys is to be shown.
        over: the person wants to end.
    """

    def __init__(self, wide: bool = False) -> None:
        self.wide, self.held, self.help, self.over = wide, False, False, False
        self._down, self._right = 0, 0

    def press(self, key: str) -> None:
        """Does what `key` means, a key that means nothing is ignored."""
        if key in "qQ":
            self.over = True
        elif key in "?h":
            self.help, self._down = not self.help, 0
        elif key == "w":
            self.wide, self._right = not self.wide, 0
        elif key == " ":
            self.held = not self.held
        elif key in ("up", "down"):
            self._down = max(0, self._down + (1 if key == "down" else -1))
        elif key in ("left", "right"):
            self._right = max(0, self._right + (_SIDEWAYS if key == "right" else -_SIDEWAYS))

    def frame(self, lines: Sequence[str], columns: int, rows: int, keys: bool = True) -> list[str]:
        """What is seen of `lines` in so many columns and rows; with `keys`, the last row says what can be pressed."""
        high = max(rows - keys, 1)
        self._down = min(self._down, max(len(lines) - high, 0))
        longest = max(map(places, lines), default=0)
        self._right = min(self._right, max(longest - columns, 0))
        seen = [_piece(line, self._right, columns) for line in lines[self._down : self._down + high]]
        if not keys:
            return seen
        below = len(lines) - self._down - high
        return [*seen, *[""] * (high - len(seen)), self._footer(below, columns)]

    def _footer(self, below: int, columns: int) -> str:
        """As many keys as there is room for."""
        state = [*(["HELD"] if self.held else []), *([f"{below} more lines"] if below > 0 else [])]
        footer = ""
        for part in (*state, *_FOOTER):
            longer = f"{footer}  {part}" if footer else part
            if places(longer) > columns:
                break
            footer = longer
        return footer


def _piece(line: str, start: int, length: int) -> str:
    """What of `line` is seen in a window of `length` places that begins at `start`."""
    seen = line[start:]
    while places(seen) > length:
        seen = seen[: length - places(seen)]
    return seen
