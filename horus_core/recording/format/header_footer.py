"""How a file of a recording begins and ends: its header, and its footer."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import msgspec
import pyarrow as pa

from horus_core.errors import NotARecording, RecordingDamaged, RecordingTooNew
from horus_core.recording.format.file_bytes import FileContent
from horus_core.recording.format.frames import PREFIX, ends_before, read_frame
from horus_core.recording.format.metadata import SCHEMA
from horus_core.recording.format.raw_batches import KINDS
from horus_core.recording.format.sanity import absurd
from horus_core.recording.format.schemas import FORMAT, Header, unsealed

MAGIC = b"ARROW1"
PROBLEMS = (  # what pyarrow, msgspec and struct raise on bytes that make no sense
    pa.ArrowException,
    msgspec.MsgspecError,
    struct.error,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    NotImplementedError,
    MemoryError,
)
_TAIL = 4 + len(MAGIC)  # the footer's length and the magic
_ID = re.compile(r"[0-9a-f]{1,64}")


class _Version(msgspec.Struct):
    format: int


def read_header(content: FileContent, path: Path) -> tuple[pa.Schema, Header]:
    """The schema and the header of a file.

    Raises:
        NotARecording, RecordingTooNew, RecordingDamaged: see their words.
    """
    if content.read(0, len(MAGIC)) != MAGIC[: content.size]:
        raise NotARecording(str(path), "not an Arrow file", "give a recording's .arrow file")
    if content.size <= PREFIX:
        raise _bad_start(path, f"it was cut after {content.size} bytes, before any data")
    try:
        frame = read_frame(content, PREFIX, content.size)
        if frame is None or frame.kind != SCHEMA:
            raise ValueError("it is not whole")
        schema = pa.ipc.read_schema(pa.py_buffer(content.read(PREFIX, frame.stop)))
        raw = unsealed(schema.metadata or {})
        version = msgspec.json.decode(raw, type=_Version).format
        header = msgspec.json.decode(raw, type=Header) if version <= FORMAT else None
    except KeyError:
        raise NotARecording(str(path), "an Arrow file, but not of HORUS", "give a recording's .arrow file") from None
    except (*PROBLEMS, RecursionError) as problem:
        raise _bad_start(path, f"the header does not read ({first_line(problem)})") from None
    if header is None:
        raise RecordingTooNew(str(path), version, FORMAT)
    if header.kind not in KINDS or not schema.remove_metadata().equals(KINDS[header.kind]):
        raise _bad_start(path, f"its columns are not those of a {header.kind[:40]!r} file")
    if not _ID.fullmatch(header.id):
        raise _bad_start(path, f"its session's id is {header.id[:40]!r}, not a hexadecimal number")
    nonsense = absurd(header)
    if nonsense:
        raise _bad_start(path, f"its header makes no sense: {nonsense}")
    return schema, header


def _bad_start(path: Path, what: str) -> RecordingDamaged:
    return RecordingDamaged(str(path), "at its start", what)


def frames_stop(content: FileContent) -> int:
    """Where the frames must end: before the footer, or with the file."""
    if not has_footer(content):
        return content.size
    stop = _footer_start(content)
    return stop if stop < content.size - _TAIL and ends_before(content, stop) else content.size


def has_footer(content: FileContent) -> bool:
    """Whether the file ends as one that was closed."""
    return content.size > PREFIX + _TAIL and content.read(content.size - len(MAGIC), content.size) == MAGIC


def _footer_start(content: FileContent) -> int:
    end = content.size - _TAIL
    return end - int.from_bytes(content.read(end, end + 4), "little", signed=True)


def batches_listed(content: FileContent, schema: pa.Schema | None) -> int:
    """How many batches the footer lists.

    Raises:
        what is in PROBLEMS: it does not read, or tells of other columns than `schema`.
    """
    start = _footer_start(content)
    if not PREFIX <= start < content.size - _TAIL:
        raise ValueError("its length is wrong")
    # Arrow looks for the footer from the end, so the rest of the file may be missing here.
    file = pa.ipc.open_file(pa.py_buffer(MAGIC + bytes(2) + content.read(start, content.size)))
    if schema is not None and not file.schema.equals(schema, check_metadata=True):
        raise ValueError("footer and start disagree")
    listed: int = file.num_record_batches
    return listed


def first_line(problem: BaseException) -> str:
    """What an exception says, in a line."""
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]
