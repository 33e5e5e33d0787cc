"""Files and folders that are this user's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from horus_core.errors import UnsafeFolder
from horus_core.processes import own_files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    own_files.make_folder(tmp_path / "a" / "b")
    own_files.make_folder_in(tmp_path / "a" / "c")
    own_files.write_own(tmp_path / "a" / "data", b"123")
    own_files.copy_own(tmp_path / "a" / "data", tmp_path / "a" / "copy")
    assert [mode(tmp_path / each) for each in ("a", "a/b", "a/c")] == [0o700] * 3
    assert [mode(tmp_path / each) for each in ("a/data", "a/copy")] == [0o600] * 2
    assert (tmp_path / "a" / "copy").read_bytes() == b"123"


@pytest.mark.usefixtures("umask")
def test_in_a_folder_that_is_a_groups_alone_the_group_may_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    own_files.make_folder_in(tmp_path / "session")
    own_files.write_own(tmp_path / "session" / "data", b"123")
    assert (mode(tmp_path / "session"), mode(tmp_path / "session" / "data")) == (0o750, 0o640)


def test_in_a_folder_that_everybody_reads_nobody_else_reads_what_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    own_files.make_folder_in(tmp_path / "session")
    own_files.write_own(tmp_path / "data", b"123")
    assert (mode(tmp_path / "session"), mode(tmp_path / "data")) == (0o700, 0o600)


def test_a_file_that_was_open_to_others_is_closed_when_it_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"old")
    (tmp_path / "data").chmod(0o666)
    own_files.write_own(tmp_path / "data", b"new")
    assert (mode(tmp_path / "data"), (tmp_path / "data").read_bytes()) == (0o600, b"new")


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    own_files.make_folder(tmp_path)
    assert mode(tmp_path) == 0o755
    with pytest.raises(FileExistsError):
        own_files.make_folder(tmp_path, exist_ok=False)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        own_files.make_folder(tmp_path / "file")


def test_only_a_regular_file_of_ours_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    descriptor = own_files.open_own(tmp_path / "file")
    assert os.read(descriptor, 10) == b"123"
    os.close(descriptor)
    for name in ("link", "pipe", "folder", "nothing"):
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY):
            with pytest.raises(FileNotFoundError):
                own_files.open_own(tmp_path / name, flags)
        assert not own_files.is_own_file(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        own_files.open_own("/dev/null")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic link"):
        own_files.write_own(tmp_path / "link", b"new")
    assert (tmp_path / "file").read_bytes() == b"123"


def test_a_folder_of_ours_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    own_files.mind_folder(tmp_path, "choose another")
    assert mode(tmp_path) == 0o700


def test_a_folder_that_somebody_else_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name, why in (("link", "it is a link, or a file"), ("file", "File exists")):
        with pytest.raises(UnsafeFolder) as caught:
            own_files.mind_folder(tmp_path / name, "choose another")
        assert str(caught.value) == f"{tmp_path / name} cannot be used: {why}; choose another"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_another_users_file_and_folder_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        os.chown(tmp_path / name, 12345, 12345)
    assert not own_files.is_own_file(tmp_path / "file")
    assert not own_files.is_own_folder(tmp_path / "folder")
    with pytest.raises(FileNotFoundError):
        own_files.open_own(tmp_path / "file")
    with pytest.raises(UnsafeFolder, match="it belongs to user 12345, not 0"):
        own_files.mind_folder(tmp_path / "folder", "choose another")
