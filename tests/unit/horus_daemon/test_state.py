"""The state file: whole or not at all, and never in the way of a start."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_daemon.client_to_daemon import GraphSpec
from horus_daemon.daemon_to_client import Ended
from horus_daemon.state import FORMAT, Entry, load, save, write_atomically


def entry(name: str, **fields: Any) -> Entry:
    return Entry(GraphSpec(name=name, script=f"/{name}.py", folder="/", python="/python"), **fields)


ENTRIES = [entry("arm", wanted=True, starts=3, since_ns=7), entry("leg", ended=Ended(5, None, "?"), stopped=True)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graphs.json"


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("graphs.json.unreadable-*"))


def test_what_was_saved_is_loaded(path: Path) -> None:
    save(path, ENTRIES)
    assert load(path) == ENTRIES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_is_no_graphs(path: Path) -> None:
    assert load(path) == []
    assert aside(path) == []


def test_a_file_cut_anywhere_is_put_aside(path: Path) -> None:
    save(path, ENTRIES[:1])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert load(path) == []
        (kept,) = aside(path)
        assert kept.read_bytes() == whole[:size]
        assert not path.exists()
        kept.unlink()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"null", b'{"format": "1"}', b'{"format": 1, "graphs": 5}', b"\xff" * 50, b"[" * 100_000],
)
def test_a_file_that_is_something_else_is_put_aside(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert load(path) == []
    assert len(aside(path)) == 1


def test_a_file_of_a_later_format_is_put_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(msgspec.json.encode({"format": FORMAT + 1, "graphs": []}))
    with caplog.at_level("ERROR", "horusd"):
        assert load(path) == []
    assert f"format {FORMAT + 1}, this version reads {FORMAT}" in caplog.text
    assert aside(path)


def test_one_bad_graph_does_not_take_the_others_with_it(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(path, ENTRIES)
    content = msgspec.json.decode(path.read_bytes())
    content["graphs"].insert(1, {"spec": {"name": "../x"}})
    path.write_bytes(msgspec.json.encode(content))
    with caplog.at_level("ERROR", "horusd"):
        assert load(path) == ENTRIES
    assert "a graph in it" in caplog.text
    assert aside(path)


def test_a_folder_in_its_place_does_not_stop_a_start(path: Path) -> None:
    path.mkdir()
    assert load(path) == []
    save(path, ENTRIES)
    assert load(path) == ENTRIES


def test_a_failed_write_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, ENTRIES)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(path, [])
    monkeypatch.undo()
    assert load(path) == ENTRIES
    assert [each.name for each in path.parent.iterdir()] == ["graphs.json"]


def test_the_new_file_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), replace(a, b))[1])
    write_atomically(tmp_path / "a", b"x")
    assert done == [str(tmp_path / "a.new"), "rename", str(tmp_path)]


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.new").write_bytes(b"half a fi")
    write_atomically(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert not (tmp_path / "a.new").exists()
