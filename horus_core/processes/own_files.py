"""Files and folders that are this user's alone, whatever the umask says and whoever can make a name beside them.

A folder is made with mode 0700 and a file with 0600. One exception, for a system's daemon and who may read its recordings: what
is made in a folder that is a group's and nobody else's (0750) is that group's to read, too. What is opened is a regular file
of this user, through no link; anything else of that name is as good as absent.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from horus_core.errors import UnsafeFolder

_GROUPS_ALONE = 0o050


def is_own_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file of this user at `path`; a link is none."""
    try:
        return _is_own_file(os.lstat(path))
    except OSError:
        return False


def is_own_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of this user at `path`; a link is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def open_own(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """Opens a regular file of this user; never waits for the other end of a pipe. `flags` as for :func:`os.open`.

    Raises:
        FileNotFoundError: there is nothing of that name, or it is a link, a pipe, a device, a folder or another user's.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.EISDIR, errno.EACCES, errno.ENXIO):
            raise _absent(path) from None
        raise
    if not _is_own_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise _absent(path)
    return descriptor


def _is_own_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _absent(path: str | os.PathLike[str]) -> OSError:
    return FileNotFoundError(errno.ENOENT, "there is no regular file of yours", os.fspath(path))


def make_folder(path: Path, exist_ok: bool = True) -> None:
    """Makes a private folder, and those above it that are missing.

    Raises:
        FileExistsError: it is there, and must not be; or something else is.
    """
    if not path.parent.is_dir():
        make_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not exist_ok or not path.is_dir():
            raise


def make_folder_in(path: Path, exist_ok: bool = False) -> None:
    """Makes a folder in one that exists: private, or the group's to read if that one is; raises as :func:`make_folder`."""
    mode = 0o700 | _for_group(path.parent)
    made = exist_ok is False or not path.is_dir()
    make_folder(path, exist_ok)
    if made and mode != 0o700:
        path.chmod(mode)


def file_mode(folder: str | os.PathLike[str]) -> int:
    """The mode of a file that is made in `folder`: 0600, or 0640 if that is a group's alone."""
    return 0o600 | (_for_group(folder) & 0o040)


def _for_group(folder: str | os.PathLike[str]) -> int:
    mode = stat.S_IMODE(os.stat(folder).st_mode)
    return _GROUPS_ALONE if mode & 0o057 == _GROUPS_ALONE else 0


def opener(path: str, flags: int) -> int:
    """For :func:`open`: what is made is private (see :func:`file_mode`), what is there is not reached through a link."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    mode = file_mode(os.path.dirname(path) or ".")
    if flags & os.O_CREAT and stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)
    return descriptor


def write_own(path: Path, data: bytes | memoryview) -> None:
    """Writes a private file (see :func:`opener`)."""
    with open(path, "wb", opener=opener) as file:
        file.write(data)


def copy_own(source: str | os.PathLike[str], target: Path) -> None:
    """Copies the bytes of a file into a private one (see :func:`opener`)."""
    with open(source, "rb") as old, open(target, "wb", opener=opener) as new:
        shutil.copyfileobj(old, new, 1 << 20)


def mind_folder(folder: Path, remedy: str) -> None:
    """Makes a private folder, or mends the mode of one that is this user's and open to others.

    Args:
        folder: where.
        remedy: what to try if it cannot be used.

    Raises:
        UnsafeFolder: it is another user's, a link or a file, or cannot be made.
    """
    try:
        make_folder(folder)
        found = folder.lstat()
    except OSError as problem:
        raise UnsafeFolder(str(folder), problem.strerror or str(problem), remedy) from None
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolder(str(folder), "it is a link, or a file", remedy)
    if found.st_uid != os.geteuid():
        raise UnsafeFolder(str(folder), f"it belongs to user {found.st_uid}, not {os.geteuid()}", remedy)
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
