"""The word by which somebody outside asks that a node stops, or is started again.

An order is one word of the control segment, H_ASKED: a serial number, the node's position, and what to do. Who gives one
(``intervene``) holds the lock of the graph's runtime file until it is answered, so one is under way at a time. The
supervisor compares the word with H_ANSWERED whenever it looks after its processes, carries it out, and stores the same
value in H_ANSWERED. Who asked waits for that. One who is killed before leaves at worst an order that is carried out and
nobody waits for.
"""

from __future__ import annotations

STOP, RESTART = range(2)
WORDS = ("stop", "restart")
_POSITIONS = 1 << 16


def encode(serial: int, position: int, what: int) -> int:
    """The word of an order."""
    return (serial * _POSITIONS + position) * 2 + what


def following(answered: int, position: int, what: int) -> int:
    """The word of the order after `answered`, which differs from all before it."""
    return encode(answered // (2 * _POSITIONS) + 1, position, what)


def decode(word: int) -> tuple[int, int]:
    """The position and what to do, of an order's word.

    >>> decode(encode(7, 3, RESTART)) == (3, RESTART)
    True
    """
    return word // 2 % _POSITIONS, word % 2
