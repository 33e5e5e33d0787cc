"""Syncs run beside the writing, one at a time; one that fails is told to the writer; no descriptor is left open."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from horus_core.recording import syncing
from horus_core.recording.syncing import Sync


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


def test_none_begins_while_one_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, synced = threading.Event(), []

    def slow(descriptor: int) -> None:
        assert go_on.wait(10)
        synced.append(descriptor)

    monkeypatch.setattr(syncing.os, "fdatasync", slow)
    sync, descriptors = Sync(0.0), [opened(tmp_path / "a"), opened(tmp_path / "b")]
    assert sync.due()
    sync.begin(descriptors)
    assert not sync.due()
    go_on.set()
    sync.join()
    assert synced == descriptors
    assert not any(is_open(each) for each in descriptors)
    assert sync.due()


def test_it_is_not_due_before_its_time() -> None:
    assert not Sync(3600.0).due()


def test_a_disk_that_fails_is_told_once_and_all_descriptors_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(syncing.os, "fdatasync", fail)
    sync, descriptors = Sync(0.0), [opened(tmp_path / "a"), opened(tmp_path / "b")]
    sync.begin(descriptors)
    sync.join()
    assert not any(is_open(each) for each in descriptors)
    with pytest.raises(OSError, match="gone"):
        sync.due()
    assert sync.due()
