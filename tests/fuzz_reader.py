"""Feeds damaged recordings to the reader for as long as asked: ``python -m tests.fuzz_reader --seconds 60``.

Whatever the bytes are, opening and reading ends with an error of ours or with rows that were written, soon, in bounded
memory. A counterexample is kept in the current folder and its name printed; exit code 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
import zlib
from pathlib import Path

from horus_core.errors import HorusError
from horus_core.recording.reading.file import RecordingFile
from tests.recordings import Message, Recording

SLOWEST_SECONDS = 5.0
MOST_MEMORY_MB = 600


def _originals(folder: Path) -> dict[str, bytes]:
    """Small recordings of several shapes, by name."""
    found = {}
    for shape in range(3):
        values = [{"n": n, "body": bytes(n % 40) * shape} for n in range(60)]
        messages = {"a": [Message(n // 2, "x", value) for n, value in enumerate(values)]}
        recording = Recording(topics={"a": ["x"]}, messages=messages)
        session = recording.write(folder / f"shape{shape}")
        for path in sorted(session.folder.glob("*.arrow")):
            found[f"{shape}-{path.name}"] = path.read_bytes()
    return found


def _rows(path: Path) -> list[tuple[int, int, int]] | None:
    """Tick, sequence and checksum of each message that reads; None for a file of another kind."""
    file = RecordingFile(path)
    rows = []
    for batch in file.batches():
        if "payload" not in batch.schema.names:
            continue
        columns = [batch.column(name).to_pylist() for name in ("tick", "sequence", "payload")]
        rows += [(tick, sequence, zlib.crc32(payload)) for tick, sequence, payload in zip(*columns, strict=True)]
    return rows


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """`data` after one to four accidents."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(broken) or 1)
        kind = chance.randrange(7)
        if kind == 0 and broken:
            broken[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del broken[at:]
        elif kind == 2:
            value = chance.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, chance.getrandbits(32)])
            broken[at : at + 4] = value.to_bytes(4, "little")
        elif kind == 3:
            del broken[at : at + chance.randrange(1, 200)]
        elif kind == 4:
            broken[at:at] = broken[at : at + chance.randrange(1, 200)]
        elif kind == 5:
            broken[at : at + chance.randrange(1, 64)] = bytes(chance.randrange(1, 64))
        else:
            broken[at:at] = chance.randbytes(chance.randrange(1, 64))
    return bytes(broken)


def fuzz(seconds: float, seed: int) -> str | None:
    """Tries for `seconds`; returns what went wrong, None if nothing did."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        originals = _originals(Path(name))
        path = Path(name) / "broken.arrow"
        written = {}
        for each, data in originals.items():
            path.write_bytes(data)
            written[each] = set(_rows(path) or [])
        until, tried = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            each = chance.choice(list(originals))
            broken = _damaged(originals[each], chance)
            path.write_bytes(broken)
            problem = _try(path, written[each])
            if problem is not None:
                kept = Path(f"fuzz-{seed}-{tried}.arrow")
                kept.write_bytes(broken)
                return f"{problem} ({kept}, from {each}, seed {seed})"
            tried += 1
    print(f"{tried} damaged recordings, nothing found (seed {seed})")
    return None


def _try(path: Path, written: set[tuple[int, int, int]]) -> str | None:
    began = time.monotonic()
    try:
        rows = _rows(path) or []
    except HorusError:
        rows = []
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"
    if not written.issuperset(rows):
        return "rows came back that were never written"
    if time.monotonic() - began > SLOWEST_SECONDS:
        return f"it took {time.monotonic() - began:.1f} s"
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_MEMORY_MB * 1024:
        return "it took too much memory"
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    outcome = fuzz(given.seconds, random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed)
    if outcome is not None:
        sys.exit(outcome)
