"""Pieces of lanes, cut to a range of ticks."""

from __future__ import annotations

import numpy as np

from horus_core.memory.drain import Slice
from horus_core.memory.segment import E_LENGTH, E_TICK


def in_range(slices: list[Slice], first_tick: int) -> list[Slice]:
    """What was sent from `first_tick` on."""
    found = [_from(each, first_tick) for each in slices]
    return [each for each in found if len(each[0])]


def _from(piece: Slice, tick: int) -> Slice:
    """The rows from `tick` on; rows are in the order of their ticks."""
    rows, payload = piece
    if rows[0, E_TICK] >= tick:
        return piece
    first = int(np.searchsorted(rows[:, E_TICK], tick))
    return rows[first:], payload[int(rows[:first, E_LENGTH].sum()) :]


def after(piece: Slice, tick: int) -> Slice:
    """The rows of a trace after `tick`; they all have one length."""
    rows, payload = piece
    keep = rows[:, E_TICK] > tick
    return rows[keep], payload.reshape(len(rows), -1)[keep].reshape(-1)
