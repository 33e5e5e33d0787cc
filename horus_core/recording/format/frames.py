"""Where the messages of an Arrow IPC file lie, found without trusting any of them.

An Arrow file is ``ARROW1\\0\\0``, then frames, then an end mark of 8 bytes, a footer and ``ARROW1``. A frame is::

    0xFFFFFFFF | int32 length of metadata | metadata (a flatbuffer) | body

Metadata and body are multiples of 8 bytes, so frames start at multiples of 8. Arrow's own readers stop at the first frame
that does not read; :func:`walk` goes on with the next one that does, and says what lies between. All numbers come from the
file and may be anything: each is checked against the file's size before it is used, and nothing is allocated by them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from operator import add

import msgspec
import numpy as np

from horus_core.recording.format.file_bytes import FileContent
from horus_core.recording.format.metadata import BATCH, DICTIONARY, SCHEMA, Form, Forms

PREFIX = 8  # the magic and its padding
_CONTINUATION = 0xFFFFFFFF
_HEAD = struct.Struct("<Ii")
_SEARCH_STEP = 1 << 20
_LARGEST_METADATA = 64 << 20
_LARGEST_PADDING = 64


class Frame(msgspec.Struct, frozen=True):
    """A message of the file.

    Attributes:
        kind: SCHEMA, DICTIONARY or BATCH.
        start: its place in the file.
        body: where its body starts.
        stop: where the next one starts.
        rows: of a batch or dictionary.
        buffers: offset in the body and length of each buffer, one after the other.
        codec: how each buffer is compressed: "lz4", "zstd" or "" for not at all.
        metadata: its custom metadata.
    """

    kind: int
    start: int
    body: int
    stop: int
    rows: int = 0
    buffers: tuple[int, ...] = ()
    codec: str = ""
    metadata: dict[bytes, bytes] = {}


class Gap(msgspec.Struct, frozen=True):
    """Bytes in which no frame was found."""

    start: int
    stop: int


def ends_before(content: FileContent, stop: int) -> bool:
    """Whether the mark that ends the frames stands right before `stop`."""
    place = stop - _HEAD.size
    return place >= PREFIX and content.read(place, stop) == _HEAD.pack(_CONTINUATION, 0)


def walk(content: FileContent, stop: int, is_intact: Callable[[Frame], bool] | None = None) -> Iterator[Frame | Gap]:
    """The frames of a file from its start to `stop`, and the gaps between those that read.

    Args:
        content: the file.
        stop: where the frames must have ended: the place of the footer, or the size of a file without one.
        is_intact: whether a frame is a batch that holds what was written; asked only of one that no frame follows. If
            it is not, its length may be wrong, and frames that it seems to hold are looked for.
    """
    end = stop - _HEAD.size if ends_before(content, stop) else stop
    place, forms = PREFIX, Forms()
    while place < end:
        frame = read_frame(content, place, end, forms)
        if frame is not None and (_is_followed(content, frame, end) or is_intact is None or is_intact(frame)):
            yield frame
            place = frame.stop
            continue
        found = _next_batch(content, place + _HEAD.size, end)
        if frame is not None and found >= frame.stop:
            yield frame
            place = frame.stop
            continue
        yield Gap(place, found)
        place = found


def _is_followed(content: FileContent, frame: Frame, end: int) -> bool:
    return frame.stop == end or content.read(frame.stop, frame.stop + 4) == _HEAD.pack(_CONTINUATION, 0)[:4]


def read_frame(content: FileContent, place: int, stop: int, forms: Forms | None = None) -> Frame | None:
    """The frame at `place`, or None where there is none that is whole before `stop`.

    Args:
        content: the file.
        place: where the frame starts.
        stop: where it must have ended.
        forms: forms of metadata that were met before; new ones are added.
    """
    metadata = _metadata_at(content, place, stop)
    if metadata is None:
        return None
    try:
        form = forms.of(metadata) if forms is not None else Form(metadata)
        return _frame(form, metadata, place, place + _HEAD.size + len(metadata), stop)
    except (struct.error, IndexError, ValueError):
        return None


def _metadata_at(content: FileContent, place: int, stop: int) -> bytes | None:
    start = place + _HEAD.size
    head = content.read(place, start)
    if len(head) < _HEAD.size:
        return None
    mark, length = _HEAD.unpack(head)
    if mark != _CONTINUATION or not 0 < length <= min(stop - start, _LARGEST_METADATA):
        return None
    return bytes(content.read(start, start + length))


def read_torn_frame(content: FileContent, place: int, stop: int) -> Frame | None:
    """The batch at `place` whose metadata is whole before `stop`, whatever its body is: what it says of itself, no more."""
    metadata = _metadata_at(content, place, stop)
    if metadata is None:
        return None
    try:
        form = Form(metadata)
        return Frame(
            form.kind, place, place + _HEAD.size + len(metadata), stop, metadata=form.custom_metadata(metadata)
        )
    except (struct.error, IndexError, ValueError):
        return None


def _frame(form: Form, metadata: bytes, place: int, body: int, stop: int) -> Frame | None:
    size = form.body_size(metadata)
    if form.kind not in (SCHEMA, DICTIONARY, BATCH) or not 0 <= size <= stop - body or size % 8 or body % 8:
        return None
    if form.kind == SCHEMA:
        return Frame(SCHEMA, place, body, body + size)
    buffers = form.buffers(metadata)
    if not 0 <= size - _extent(buffers) < _LARGEST_PADDING:
        return None  # the size of a damaged frame would hide the frames behind it
    return Frame(
        form.kind, place, body, body + size, form.rows(metadata), buffers, form.codec, form.custom_metadata(metadata)
    )


def _extent(buffers: tuple[int, ...]) -> int:
    """Where the last buffer ends."""
    if buffers and min(buffers) < 0:
        raise ValueError("a buffer before its body")
    return max(map(add, buffers[::2], buffers[1::2]), default=0)


def _next_batch(content: FileContent, place: int, stop: int) -> int:
    """Where the next batch with custom metadata starts, as those of a recording have it; `stop` if there is none."""
    for chunk in range(place, stop - _HEAD.size + 1, _SEARCH_STEP):
        data = content.read(chunk, min(chunk + _SEARCH_STEP, stop))
        words = np.frombuffer(data[: len(data) // _HEAD.size * _HEAD.size], dtype="<u4").reshape(-1, 2)
        likely = (words[:, 0] == _CONTINUATION) & (words[:, 1] > 0) & (words[:, 1] <= _LARGEST_METADATA)
        for index in np.flatnonzero(likely):
            found = chunk + int(index) * _HEAD.size
            frame = read_frame(content, found, stop)
            if frame is not None and frame.kind == BATCH and frame.metadata:
                return found
    return stop


def decompressed_size(frame: Frame, body: memoryview) -> int:
    """What the body of a batch or dictionary claims to take in memory once it is decompressed; 0 if it is not compressed."""
    if not frame.codec:
        return 0
    total = 0
    for offset, size in zip(frame.buffers[::2], frame.buffers[1::2], strict=True):
        if size >= 8:
            total += max(int.from_bytes(body[offset : offset + 8], "little", signed=True), size)
    return total
