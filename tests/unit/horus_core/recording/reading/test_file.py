from __future__ import annotations

import os
import random
import socket
import struct
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from horus_core.errors import NotARecording, RecordingDamaged, RecordingError, RecordingMissing, RecordingTooNew
from horus_core.recording.format.schemas import CHECK, FORMAT, MARK, MESSAGES, mark, sealed, with_header
from horus_core.recording.reading.file import RecordingFile
from horus_core.recording.reading.reader import Session
from tests.recordings import Recording, cut, file_of, flip, replace_header, rows_of


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Ten messages in batches of 4, 4 and 2, behind the empty one that every file begins with."""
    return (
        Recording({"sensor": ["scan"]})
        .add("sensor", "scan", [{"v": tick * 0.5} for tick in range(10)])
        .write(tmp_path / "one")
    )


def payloads(path: Path) -> list[tuple[int, bytes]]:
    file = RecordingFile(path)
    return [
        pair
        for batch in file.batches()
        for pair in zip(batch.column("tick").to_pylist(), batch.column("payload").to_pylist(), strict=True)
    ]


def expected(ticks: range) -> list[tuple[int, bytes]]:
    return [(tick, msgspec.msgpack.encode({"v": tick * 0.5})) for tick in ticks]


def batch_ends(path: Path) -> list[int]:
    """Where each batch of a whole file ends, found by pyarrow's own reader of messages."""
    source = pa.BufferReader(path.read_bytes())
    source.seek(8)
    ends = []
    while True:
        try:
            message = pa.ipc.read_message(source)
        except (EOFError, pa.ArrowInvalid):
            return ends
        if message.type == "record batch":
            ends.append(source.tell())


def refusal(path: Path) -> str:
    """Why the file is not opened, '' if it is."""
    try:
        RecordingFile(path)
    except RecordingError as problem:
        return str(problem)
    return ""


def test_a_whole_file_gives_all_rows_and_no_damage(session: Session) -> None:
    path = file_of(session, "sensor")
    file = RecordingFile(path)
    assert file.complete
    assert sum(batch.num_rows for batch in file.batches()) == 10
    assert file.damage == []
    assert payloads(path) == expected(range(10))


def test_bodies_hold_what_batches_hold(session: Session) -> None:
    for stem in ("sensor", "scheduler"):
        file = RecordingFile(file_of(session, stem))
        for batch, (body, names) in zip(file.batches(), file.bodies(), strict=True):
            assert body.rows == batch.num_rows
            assert body.values("tick").cast("B").cast("q").tolist() == batch.column("tick").to_pylist()
            column = "topic" if stem == "sensor" else "node"
            places = body.values(column).cast("B").cast("h").tolist()
            assert [names.lists[column][place] for place in places] == batch.column(column).to_pylist()
            if stem == "sensor":
                bounds, data = body.offsets_and_bytes("payload")
                found = [data[a:b].tobytes() for a, b in pairwise(bounds.cast("B").cast("q").tolist())]
                assert found == batch.column("payload").to_pylist()


@pytest.mark.slow
def test_a_file_cut_at_any_byte_gives_its_whole_batches_and_says_what_is_missing(
    session: Session, tmp_path: Path
) -> None:
    path = file_of(session, "sensor")
    whole, ends = path.read_bytes(), batch_ends(path)
    short = tmp_path / "short.arrow"
    header_end = ends[0] - 1
    for size in range(len(whole)):
        short.write_bytes(whole[:size])
        rows = [0, 4, 8, 10][max(sum(end <= size for end in ends) - 1, 0)]
        if size <= header_end and (refused := refusal(short)):
            assert str(short) in refused
            continue
        file = RecordingFile(short)
        found = [tick for batch in file.batches() for tick in batch.column("tick").to_pylist()]
        assert found == list(range(rows)), f"cut after {size} bytes"
        assert not file.complete
        assert file.damage, f"cut after {size} bytes"
        assert all(str(short) in str(each) for each in file.damage)


def test_a_cut_between_two_batches_does_not_look_like_an_end(session: Session) -> None:
    path = file_of(session, "sensor")
    cut(path, batch_ends(path)[2])
    file = RecordingFile(path)
    assert [tick for batch in file.batches() for tick in batch.column("tick").to_pylist()] == list(range(8))
    (damage,) = file.damage
    assert (damage.first, damage.last) == (7, -1)
    assert "after tick 7" in str(damage)


def test_a_file_that_shrinks_while_it_is_read_is_a_cut(tmp_path: Path) -> None:
    big = Recording({"n": ["t"]}, batch=2).add("n", "t", [bytes(200_000)] * 10).write(tmp_path / "big")
    file = RecordingFile(file_of(big, "n"))
    batches = file.batches()
    found = [next(batches), next(batches)]
    cut(file.path, 500_000)
    found += batches
    assert [tick for batch in found for tick in batch.column("tick").to_pylist()] == [0, 1]
    assert file.damage


def test_a_tail_of_zeros_is_a_cut(session: Session) -> None:
    path = file_of(session, "sensor")
    end, size = batch_ends(path)[2], path.stat().st_size
    path.write_bytes(path.read_bytes()[:end] + bytes(size - end))
    file = RecordingFile(path)
    assert [tick for batch in file.batches() for tick in batch.column("tick").to_pylist()] == list(range(8))
    (damage,) = file.damage
    assert (damage.start, damage.stop) == (end, size)


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_flipped_bit_is_found_or_harmless(session: Session, tmp_path: Path, compression: str | None) -> None:
    path = file_of(session, "sensor")
    if compression:
        recompress(path, compression)
    whole, broken = path.read_bytes(), tmp_path / "broken.arrow"
    bits = random.Random(20240229).sample(range(len(whole) * 8), 1500 if compression is None else 500)
    for bit in bits:
        broken.write_bytes(whole)
        flip(broken, bit)
        if refused := refusal(broken):
            assert str(broken) in refused
            continue
        file = RecordingFile(broken)
        found = [
            pair
            for batch in file.batches()
            for pair in zip(batch.column("tick").to_pylist(), batch.column("payload").to_pylist(), strict=True)
        ]
        if found != expected(range(10)):
            assert set(found) < set(expected(range(10))), f"bit {bit}"
            assert any(each.first >= 0 for each in file.damage), f"bit {bit}: {file.damage}"
            assert len(found) >= 6, f"bit {bit}: one bit costs one batch at most"


def recompress(path: Path, compression: str) -> None:
    """Writes a file anew with compressed batches."""
    file = RecordingFile(path)
    batches = list(file.batches())
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(str(path), with_header(MESSAGES, file.header), options=options) as writer:
        for batch in batches:
            ticks = batch.column("tick").to_pylist() or [0]
            writer.write_batch(batch, custom_metadata=mark(batch, min(ticks), max(ticks)))


def test_a_compressed_file_reads(session: Session) -> None:
    path = file_of(session, "sensor")
    for compression in ("lz4", "zstd"):
        recompress(path, compression)
        assert RecordingFile(path).codec() == compression
        assert payloads(path) == expected(range(10))
        assert sum(body.rows for body, _ in RecordingFile(path).bodies()) == 10


def test_a_damaged_batch_is_named_by_its_ticks_and_the_rest_reads(session: Session) -> None:
    path = file_of(session, "sensor")
    flip(path, (batch_ends(path)[2] - 20) * 8)  # in the payload of the second batch with rows
    file = RecordingFile(path)
    assert [tick for batch in file.batches() for tick in batch.column("tick").to_pylist()] == [0, 1, 2, 3, 8, 9]
    (damage,) = file.damage
    assert (damage.first, damage.last, damage.rows) == (4, 7, 4)
    assert "in ticks 4 to 7" in str(damage)


def test_a_frame_whose_start_is_lost_does_not_hide_those_behind_it(session: Session) -> None:
    path = file_of(session, "sensor")
    data = bytearray(path.read_bytes())
    start = batch_ends(path)[1]
    data[start : start + 8] = bytes(8)
    path.write_bytes(data)
    file = RecordingFile(path)
    assert [tick for batch in file.batches() for tick in batch.column("tick").to_pylist()] == [0, 1, 2, 3, 8, 9]
    assert [(each.first, each.last) for each in file.damage] == [(3, 8)]


def test_damaged_names_of_topics_are_taken_from_the_header(session: Session) -> None:
    path = file_of(session, "sensor")
    data = bytearray(path.read_bytes())
    place = data.index(b"scan", batch_ends(path)[0] - 600)
    data[place : place + 4] = b"scam"
    path.write_bytes(data)
    file = RecordingFile(path)
    assert {topic for batch in file.batches() for topic in batch.column("topic").to_pylist()} == {"scan"}
    assert len(file.damage) == 1


def test_ticks_out_of_range_are_skipped(session: Session) -> None:
    file = RecordingFile(file_of(session, "sensor"))
    assert [tick for batch in file.batches(5, 6) for tick in batch.column("tick").to_pylist()] == [4, 5, 6, 7]
    assert sum(body.rows for body, _ in file.bodies(9)) == 2


def test_reading_twice_notes_damage_once(session: Session) -> None:
    path = file_of(session, "sensor")
    cut(path, path.stat().st_size - 40)
    file = RecordingFile(path)
    list(file.batches())
    list(file.batches())
    assert len(file.damage) == len(set(file.damage))


def test_a_flipped_bit_in_the_header_is_found(session: Session) -> None:
    path = file_of(session, "sensor")
    data = path.read_bytes()
    place = data.index(b'"tick_rate":100')
    flip(path, (place + len(b'"tick_rate":1')) * 8)
    with pytest.raises(RecordingDamaged, match="at its start"):
        RecordingFile(path)


def write_with(path: Path, metadata: dict[bytes, bytes]) -> None:
    with pa.ipc.new_file(str(path), MESSAGES.with_metadata(metadata)):
        pass


def test_a_later_format_is_refused_by_name(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "new.arrow"
    header = msgspec.structs.replace(replace_header(session.header, "node", "sensor"), format=FORMAT + 1)
    write_with(path, sealed(header))
    with pytest.raises(RecordingTooNew):
        RecordingFile(path)


@pytest.mark.parametrize("node", ["../../etc/passwd", "a\0b", "x" * 100_000])
def test_names_in_a_header_are_no_paths(session: Session, tmp_path: Path, node: str) -> None:
    path = tmp_path / "hostile.arrow"
    write_with(path, sealed(replace_header(session.header, "node", node)))
    assert RecordingFile(path).header.node == node
    (tmp_path / "two").mkdir()
    for name in os.listdir(session.folder):
        (tmp_path / "two" / name).write_bytes((session.folder / name).read_bytes())
    os.replace(path, tmp_path / "two" / file_of(session, "sensor").name)
    with pytest.raises(RecordingDamaged, match="it is the file of"):
        Session(tmp_path / "two").node_files("sensor")


def test_a_session_id_that_is_no_number_is_refused(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "hostile.arrow"
    header = msgspec.structs.replace(replace_header(session.header, "node", "sensor"), id="../../x")
    write_with(path, sealed(header))
    with pytest.raises(RecordingDamaged, match="hexadecimal"):
        RecordingFile(path)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"format":' * 5000, b"\xff\xfe", b"", b"{}", b'{"format": 1e400}'])
def test_a_header_that_is_nonsense_is_one_clear_error(tmp_path: Path, raw: bytes) -> None:
    import zlib

    path = tmp_path / "hostile.arrow"
    write_with(path, {MARK: raw, CHECK: str(zlib.crc32(raw)).encode()})
    with pytest.raises(RecordingDamaged) as problem:
        RecordingFile(path)
    assert "\n" not in str(problem.value)


def test_what_is_not_a_recording_is_said(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello, world, this is text")
    with pytest.raises(NotARecording, match="not an Arrow file"):
        RecordingFile(text)
    other = tmp_path / "other.arrow"
    with pa.ipc.new_file(str(other), pa.schema([("a", pa.int64())])):
        pass
    with pytest.raises(NotARecording, match="not of HORUS"):
        RecordingFile(other)
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(NotARecording, match="empty"):
        RecordingFile(empty)
    with pytest.raises(NotARecording, match="folder"):
        RecordingFile(tmp_path)
    with pytest.raises(RecordingMissing):
        RecordingFile(tmp_path / "nothing")
    with pytest.raises(RecordingMissing):
        RecordingFile(tmp_path / "a\0b")


def test_fifo_device_socket_and_link_are_refused_at_once(session: Session, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "link"
    link.symlink_to(file_of(session, "sensor"))
    for path in (fifo, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(NotARecording, match="not a regular file"):
            RecordingFile(path)
    with pytest.raises(NotARecording, match="symbolic link"):
        RecordingFile(link)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(RecordingMissing):
            RecordingFile(tmp_path / "s")


def test_lengths_that_exceed_the_file_are_not_believed(session: Session, tmp_path: Path) -> None:
    path = file_of(session, "sensor")
    data = bytearray(path.read_bytes())
    start = batch_ends(path)[1]
    for length in (2**31 - 1, 2**30, -1, 2**24):
        struct.pack_into("<i", data, start + 4, length)
        broken = tmp_path / "broken.arrow"
        broken.write_bytes(data)
        file = RecordingFile(broken)
        assert [tick for batch in file.batches() for tick in batch.column("tick").to_pylist()] == [0, 1, 2, 3, 8, 9]


def test_a_decompression_bomb_is_not_opened(session: Session) -> None:
    path = file_of(session, "sensor")
    header = RecordingFile(path).header
    size = 600 << 20
    payload = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 1, [None, pa.py_buffer(struct.pack("<qq", 0, size)), pa.py_buffer(bytes(size))]
    )
    numbers = [pa.array([0], kind) for kind in (pa.int64(), pa.int64(), pa.int64(), pa.timestamp("ns", tz="UTC"))]
    topic = pa.DictionaryArray.from_arrays(pa.array([0], pa.int16()), pa.array(["scan"]))
    batch = pa.RecordBatch.from_arrays([*numbers, topic, pa.array([0], pa.uint8()), payload], schema=MESSAGES)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(str(path), with_header(MESSAGES, header), options=options) as writer:
        writer.write_batch(batch, custom_metadata=mark(batch, 0, 0))
    del batch, payload
    assert path.stat().st_size < 1 << 20
    before = pa.total_allocated_bytes()
    file = RecordingFile(path)
    assert list(file.batches()) == []
    assert pa.total_allocated_bytes() - before < 1 << 20
    assert "512 MiB" in str(file.damage[0])


def test_values_nested_beyond_reason_do_not_break_a_reader(tmp_path: Path) -> None:
    deep = b"\x91" * 100_000 + b"\x00"
    session = Recording({"n": ["t"]}).add("n", "t", [deep]).write(tmp_path / "deep")
    assert [payload for *_, payload in rows_of(session, "n")] == [deep]
