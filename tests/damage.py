"""Accidents that happen to recorded sessions, and lies that strangers' sessions tell: each drawn by a seed."""

from __future__ import annotations

import json
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

Accident = Callable[[Path, Path, random.Random], None]


def _pick(folder: Path, chance: random.Random) -> Path:
    return chance.choice([each for each in sorted(folder.glob("*.arrow")) if each.is_file() and not each.is_symlink()])


def cut(folder: Path, other: Path, chance: random.Random) -> None:
    """A file loses its end."""
    path = _pick(folder, chance)
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def flip(folder: Path, other: Path, chance: random.Random) -> None:
    """Some bits turn over."""
    path = _pick(folder, chance)
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def blank(folder: Path, other: Path, chance: random.Random) -> None:
    """A stretch becomes zeros, as after a power cut."""
    path = _pick(folder, chance)
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data))
    size = min(chance.randrange(1, 4096), len(data) - start)
    data[start : start + size] = bytes(size)
    path.write_bytes(data)


def take_out(folder: Path, other: Path, chance: random.Random) -> None:
    """A stretch is gone, or there twice."""
    path = _pick(folder, chance)
    data = bytearray(path.read_bytes())
    start, size = chance.randrange(len(data)), chance.randrange(1, 2000)
    if chance.random() < 0.5:
        del data[start : start + size]
    else:
        data[start:start] = data[start : start + size]
    path.write_bytes(data)


def remove(folder: Path, other: Path, chance: random.Random) -> None:
    """A file is gone."""
    _pick(folder, chance).unlink()


def empty(folder: Path, other: Path, chance: random.Random) -> None:
    """A file is empty, or holds text."""
    _pick(folder, chance).write_bytes(chance.choice([b"", b"hello\n" * 20]))


def swap(folder: Path, other: Path, chance: random.Random) -> None:
    """Two files have each other's names."""
    one, two = _pick(folder, chance), _pick(folder, chance)
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


def exchange(folder: Path, other: Path, chance: random.Random) -> None:
    """A file is that of another session, under the name of ours."""
    path = _pick(folder, chance)
    stem = path.name.partition("@")[0]
    theirs = sorted(other.glob(f"{stem}@*.arrow"))
    if theirs:
        shutil.copyfile(chance.choice(theirs), path)


def no_file(folder: Path, other: Path, chance: random.Random) -> None:
    """A file is a folder or a link."""
    path = _pick(folder, chance)
    path.unlink()
    if chance.random() < 0.5:
        path.mkdir()
    else:
        path.symlink_to(chance.choice(["/dev/zero", "nowhere", str(other)]))


ACCIDENTS: dict[str, Accident] = {
    each.__name__: each for each in (cut, flip, blank, take_out, remove, empty, swap, exchange, no_file)
}

_NUMBERS = (0, -1, 1, -5, 2**26, 2**31, 2**62, 2**63 - 1, 2**64, 10**30, 1e300, -1e300, 1e-300, 0.5)
_ABSURD: tuple[Any, ...] = (*_NUMBERS, None, "fast", "", "x" * 1_000_000, [], {}, True)


def lie_in_headers(folder: Path, other: Path, chance: random.Random) -> None:
    """All headers say something absurd, with right checksums."""
    header = msgspec.json.decode(pa.ipc.open_file(str(_pick(folder, chance))).schema.metadata[b"horus"])
    places = [*_places(header), ("graph", "tick_rate"), ("graph", "first_tick")]
    say_in_headers(folder, chance.choice(places), chance.choice(_ABSURD))


def say_in_headers(folder: Path, place: tuple[Any, ...], value: Any) -> None:
    """Writes `value` to a place in the headers of all files, such as ``("graph", "nodes", 0, "rate")``."""
    for path in sorted(folder.glob("*.arrow")):
        _rewrite(path, lambda header: _put(header, place, value), lambda mark: None)


def lie_in_marks(folder: Path, other: Path, chance: random.Random) -> None:
    """The batches of a file say something absurd of themselves, with right checksums."""
    what, number = chance.choice(["rows", "first", "last"]), chance.choice(_NUMBERS)

    def lie(mark: dict[str, Any]) -> None:
        if chance.random() < 0.5:
            mark[what] = number

    _rewrite(_pick(folder, chance), lambda header: None, lie)


def lie_in_rows(folder: Path, other: Path, chance: random.Random) -> None:
    """The rows of a file hold absurd numbers, with right checksums and marks."""
    from horus_core.recording.reading.file import RecordingFile
    from horus_core.recording.writing.writer import FileWriter

    path = _pick(folder, chance)
    file = RecordingFile(path)
    batches = [batch for batch in file.batches() if batch.num_rows]
    column = chance.choice([name for name, kind in _types(batches).items() if kind == pa.int64()] or ["tick"])
    number = chance.choice([-1, 2**31, 2**62, 2**63 - 1, -(2**63)])
    target = folder / "lies"
    target.mkdir()
    writer = FileWriter(target, file.header)
    for batch in batches:
        places = batch.column(column).to_pylist()
        places[chance.randrange(len(places))] = number
        at = batch.schema.get_field_index(column)
        lied = batch.set_column(at, batch.schema.field(at), pa.array(places, pa.int64()))
        ticks = lied.column("tick").to_pylist()
        writer.write(lied, min(ticks), max(ticks))
    writer.close()
    writer.path.replace(path)
    target.rmdir()


def _types(batches: list[pa.RecordBatch]) -> dict[str, pa.DataType]:
    return {field.name: field.type for batch in batches[:1] for field in batch.schema}


LIES: dict[str, Accident] = {each.__name__: each for each in (lie_in_headers, lie_in_marks, lie_in_rows)}


def _rewrite(path: Path, in_header: Callable[[Any], None], in_mark: Callable[[Any], None]) -> None:
    """Writes a file anew, with what the two functions change in its header and in its batches' marks."""
    file = pa.ipc.open_file(pa.py_buffer(path.read_bytes()))
    header = msgspec.json.decode(file.schema.metadata[b"horus"])
    in_header(header)
    schema = file.schema.with_metadata(_sealed(header))
    with pa.ipc.new_file(str(path) + ".new", schema) as writer:
        for place in range(file.num_record_batches):
            found = file.get_batch_with_custom_metadata(place)
            mark = msgspec.json.decode(dict(found.custom_metadata)[b"horus"])
            in_mark(mark)
            writer.write_batch(found.batch, custom_metadata=pa.KeyValueMetadata(_sealed(mark)))
    Path(str(path) + ".new").replace(path)


def _sealed(said: Any) -> dict[bytes, bytes]:
    raw = json.dumps(said, separators=(",", ":")).encode()  # of numbers of any size
    return {b"horus": raw, b"horus.crc32": str(zlib.crc32(raw)).encode()}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a header has values."""
    if isinstance(value, dict):
        return [place for key, each in value.items() for place in _places(each, (*path, key))]
    if isinstance(value, list) and value:
        return [place for key, each in enumerate(value) for place in _places(each, (*path, key))]
    return [path]


def _put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new
