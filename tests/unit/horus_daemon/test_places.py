"""The daemon's folders, their modes, and which daemon a client talks to."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from horus_daemon import places as places_module
from horus_daemon.errors import UnsafeFolder
from horus_daemon.places import Places, answers, find_places, system_places, user_places


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A system's daemon somewhere else than in /run and /var."""
    base = Path(os.environ["XDG_RUNTIME_DIR"], "system")
    for name in ("RUNTIME", "STATE", "LOGS"):
        monkeypatch.setenv(f"{name}_DIRECTORY", str(base / name.lower()))
    return system_places()


@pytest.fixture
def listening() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def listen(path: Path, opened: list[socket.socket]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    opened.append(listener)


def test_a_users_folders_are_for_that_user_alone() -> None:
    places = user_places()
    places.prepare()
    assert [mode(each) for each in (places.runtime, places.state, places.supervisors, places.logs)] == [0o700] * 4
    assert (places.socket_mode, places.log_mode) == (0o600, 0o600)
    assert places.runtime == Path(os.environ["XDG_RUNTIME_DIR"], "horus")
    assert places.state == Path(os.environ["XDG_STATE_HOME"], "horus")


def test_the_systems_folders_let_the_group_command_and_read_logs(system: Places) -> None:
    system.prepare()
    assert [mode(each) for each in (system.runtime, system.state, system.supervisors, system.logs)] == [
        0o770,
        0o700,
        0o700,
        0o750,
    ]
    assert (system.socket_mode, system.log_mode) == (0o660, 0o640)


def test_the_systems_folders_are_the_usual_ones_without_systemd() -> None:
    places = system_places({})
    assert (places.runtime, places.state, places.logs) == tuple(
        map(Path, ("/run/horus", "/var/lib/horus", "/var/log/horus"))
    )


def test_the_first_of_several_folders_that_systemd_names_is_taken() -> None:
    assert system_places({"STATE_DIRECTORY": "/var/lib/horus:/var/lib/more"}).state == Path("/var/lib/horus")


def test_a_folder_that_was_open_to_others_is_closed() -> None:
    places = user_places()
    for folder in (places.runtime, places.state, places.logs):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    places.prepare()
    assert [mode(each) for each in (places.runtime, places.state, places.logs)] == [0o700] * 3


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runtime").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFolder, match="it is a link"):
        Places(tmp_path / "runtime", tmp_path / "state", tmp_path / "logs").prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    os.chown(tmp_path / "runtime", 12345, 12345)
    with pytest.raises(UnsafeFolder, match="it belongs to user 12345, not 0"):
        Places(tmp_path / "runtime", tmp_path / "state", tmp_path / "logs").prepare()


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFolder, match="no room for a socket's"):
        Places(tmp_path / ("x" * 100), tmp_path / "state", tmp_path / "logs").prepare()


def test_a_socket_answers_while_somebody_listens(tmp_path: Path, listening: list[socket.socket]) -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"], "s")
    assert not answers(path)
    listen(path, listening)
    assert answers(path)
    listening.pop().close()
    assert path.exists()
    assert not answers(path)
    path.unlink()
    path.write_text("stale")
    assert not answers(path)


def test_a_client_talks_to_the_users_daemon_first(system: Places, listening: list[socket.socket]) -> None:
    listen(user_places().control, listening)
    listen(system.control, listening)
    assert not find_places().shared


def test_a_client_talks_to_the_systems_daemon_if_only_that_runs(system: Places, listening: list[socket.socket]) -> None:
    listen(system.control, listening)
    assert find_places() == system


def test_a_client_that_finds_none_means_the_users(system: Places) -> None:
    assert find_places() == user_places()


def test_a_system_daemon_that_may_not_be_used_is_not_meant(system: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def answering(path: Path) -> bool:
        if path == system.control:
            raise PermissionError
        return False

    monkeypatch.setattr(places_module, "answers", answering)
    assert find_places() == user_places()


@pytest.mark.parametrize(("said", "shared"), [("user", False), ("system", True)])
def test_the_environment_or_the_caller_decides(
    said: str, shared: bool, monkeypatch: pytest.MonkeyPatch, listening: list[socket.socket]
) -> None:
    listen(user_places().control, listening)
    monkeypatch.setenv("HORUS_DAEMON", said)
    assert find_places().shared == shared
    assert find_places(not shared).shared == (not shared)
