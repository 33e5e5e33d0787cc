"""What stands in a table for large arrays: the path of a picture beside it, or their shape."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np

from horus_core.errors import OutputFailed
from horus_core.recording.format.names import file_stem

SMALLEST_PICTURE = 1024  # bytes; what is smaller is a mask or a matrix
_MANY = 10_000  # numbers from which an array has no place in a line of CSV
_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's names for grey, grey with alpha, RGB and RGBA
_LONGEST_NAME = 200


class Pictures:
    """Large arrays of a table.

    Args:
        folder: where pictures go, as PNG files; without it they stay arrays.
        table: the file that refers to them, None for none: paths are as seen from its folder.
        shapes: arrays of more than 10,000 numbers are given by their shape.

    Attributes:
        writing: whether pictures are written by now.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, table: Path | None, shapes: bool) -> None:
        self._folder = None if folder is None else Path(folder)
        self._shown = self._folder
        if self._folder is not None and table is not None:
            self._shown = Path(os.path.relpath(self._folder, table.parent))
        self._shapes = shapes
        self.writing = False
        self._written: set[Path] = set()

    def text(self, name: str, tick: int, array: np.ndarray) -> str | None:
        """What stands for an array; None where it stays one.

        Args:
            name: node, topic and field.
            tick: when it was sent.
            array: the array.

        Raises:
            OutputFailed: the picture cannot be written.
        """
        if self._folder is not None and self._shown is not None and is_picture(array):
            place = f"{name}.{tick:08d}"
            if self.writing:
                place = self._write(self._folder, place, array)
            return str(self._shown / f"{place}.png")
        if self._shapes and array.size > _MANY:
            return f"{array.dtype} {'x'.join(map(str, array.shape))}"
        return None

    def _write(self, folder: Path, place: str, array: np.ndarray) -> str:
        name, number = place, 1
        while (path := folder / f"{name}.png") in self._written:
            number += 1
            name = f"{place}-{number}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._written.add(path)
            path.write_bytes(png(array))
        except OSError as problem:
            raise OutputFailed(str(path), problem.strerror or str(problem)) from None
        return name

    @property
    def count(self) -> int:
        """How many were written."""
        return len(self._written)

    def discard(self) -> None:
        """Removes what was written."""
        for path in self._written:
            path.unlink(missing_ok=True)


def picture_name(*parts: str) -> str:
    """A file's name for node, topic and field.

    >>> picture_name("camera", "image/raw", "left")
    'camera.image%2Fraw.left'
    """
    return ".".join(file_stem(part) for part in parts if part).encode()[:_LONGEST_NAME].decode(errors="ignore")


def is_picture(array: np.ndarray) -> bool:
    """Whether an array is a picture: bytes or 16-bit numbers in rows and columns, with one to four values per pixel."""
    pixels = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _COLORS)
    return pixels and array.dtype.kind == "u" and array.dtype.itemsize <= 2 and array.nbytes >= SMALLEST_PICTURE


def png(picture: np.ndarray) -> bytes:
    """A picture as PNG, its values in the order in which they are in the array."""
    height, width = picture.shape[:2]
    colors = picture.shape[2] if picture.ndim == 3 else 1
    depth = picture.dtype.itemsize
    samples = np.ascontiguousarray(picture, dtype=f">u{depth}").view(np.uint8).reshape(height, -1)
    lines = np.zeros((height, 1 + samples.shape[1]), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = samples
    head = struct.pack(">IIBBBBB", width, height, 8 * depth, _COLORS[colors], 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
