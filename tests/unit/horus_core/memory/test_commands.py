"""The word of an order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from horus_core.memory import commands


@given(st.integers(0, 2**40), st.integers(0, 2**16 - 1), st.sampled_from((commands.STOP, commands.RESTART)))
def test_an_order_fits_a_word_and_comes_back(serial: int, position: int, what: int) -> None:
    word = commands.encode(serial, position, what)
    assert 0 <= word < 2**63
    assert commands.decode(word) == (position, what)


@given(st.integers(0, 2**30), st.integers(0, 100), st.integers(0, 100))
def test_the_next_order_is_another_word_whatever_it_says(serial: int, one: int, other: int) -> None:
    before = commands.encode(serial, one, commands.STOP)
    assert commands.following(before, other, commands.STOP) > before
