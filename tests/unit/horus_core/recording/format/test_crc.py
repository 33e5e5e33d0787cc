"""The checksum of recordings is zlib's CRC32, whoever computes it."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from horus_core.recording.format.crc import crc32

SOME = random.Random(5).randbytes(70_000)


def test_the_check_value_of_the_standard() -> None:
    assert crc32(b"123456789") == 0xCBF43926


@pytest.mark.parametrize("size", [*range(300), 4095, 4096, 4097, 65_536, 70_000])
def test_every_length_and_alignment(size: int) -> None:
    for start in (0, 1, 7):
        piece = memoryview(SOME)[start : start + size]
        assert crc32(piece) == zlib.crc32(piece)
        assert crc32(piece, 0xDEADBEEF) == zlib.crc32(piece, 0xDEADBEEF)


@given(st.lists(st.binary(max_size=200)))
def test_pieces_add_up_to_the_whole(pieces: list[bytes]) -> None:
    value = 0
    for piece in pieces:
        value = crc32(piece, value)
    assert value == zlib.crc32(b"".join(pieces))


def test_what_is_not_bytes_is_refused() -> None:
    with pytest.raises(TypeError):
        crc32("text")  # type: ignore[arg-type]
