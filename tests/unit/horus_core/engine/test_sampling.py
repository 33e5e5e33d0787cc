"""Side inputs: what is read is recorded, what was recorded is given back, and what was raised is raised again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from horus_core.engine.sampling import SampleRaised, Sampling, exception_of, raised
from horus_core.errors import SampleMissing, UndecodableMessage, UnknownSample, UnsendableValue
from horus_core.memory.hotpath import Outlet
from horus_core.messages.encoding import MSGPACK, RAISED, RAW, Encoder


class Flood(Exception):
    """Of a type that its process has loaded."""


class Store:
    """Takes what a node reads, and gives what it read then."""

    def __init__(self, recorded: list[tuple[str, int, int, bytes]] | None = None) -> None:
        self.kept: list[tuple[str, int, bytes]] = []
        encoder = {name: Encoder("driver", f"driver~{name}") for name in ("gps", "imu")}
        outlets = {
            name: Outlet(None, each.encode, each.pack, each.arrays, each.rest)  # type: ignore[arg-type]
            for name, each in encoder.items()
        }
        names = {id(outlet): name for name, outlet in outlets.items()}
        self._waiting = recorded or []
        self.sampling = Sampling(
            "driver",
            outlets,
            lambda outlet, encoding, payload: self.kept.append((names[id(outlet)], encoding, payload)),
            None if recorded is None else self,
        )

    def next(self, name: str, tick: int) -> tuple[int, memoryview]:
        for each in self._waiting:
            if each[:2] == (name, tick):
                self._waiting.remove(each)
                return each[2], memoryview(each[3])
        raise SampleMissing("driver", tick, name, "monday")


def never() -> Any:
    raise AssertionError("it is not read in a replay")


async def never_awaited() -> Any:
    raise AssertionError("it is not read in a replay")


def raises(problem: BaseException) -> Callable[[], Any]:
    def read() -> Any:
        raise problem

    return read


# Live.


def test_what_is_read_is_kept_and_given_as_a_topic_delivers_it() -> None:
    store = Store()
    assert store.sampling.take("gps", lambda: (48.1, {"sats": 7}), 3) == [48.1, {"sats": 7}]
    assert store.sampling.take("imu", lambda: b"\x01\x02", 3) == b"\x01\x02"
    assert store.kept == [("gps", MSGPACK, msgspec.msgpack.encode([48.1, {"sats": 7}])), ("imu", RAW, b"\x01\x02")]


def test_what_is_raised_is_kept_and_raised_on() -> None:
    store, problem = Store(), OSError(5, "no fix")
    with pytest.raises(OSError, match="no fix") as caught:
        store.sampling.take("gps", raises(problem), 3)
    assert caught.value is problem
    ((name, encoding, payload),) = store.kept
    assert (name, encoding) == ("gps", RAISED)
    assert msgspec.msgpack.decode(payload) == {
        "raised": "builtins.OSError", "text": "[Errno 5] no fix", "args": [5, "no fix"],
    }  # fmt: skip


def test_an_async_read_is_awaited_and_kept_when_it_is_there() -> None:
    async def read() -> tuple[int, int]:
        await asyncio.sleep(0)
        return 1, 2

    async def fail() -> None:
        raise ValueError("late")

    store = Store()
    waiting = store.sampling.take("gps", read, 3)
    assert store.kept == []
    assert asyncio.run(_value(waiting)) == [1, 2]
    with pytest.raises(ValueError, match="late"):
        asyncio.run(_value(store.sampling.take("imu", fail, 3)))
    assert [(name, encoding) for name, encoding, _ in store.kept] == [("gps", MSGPACK), ("imu", RAISED)]


async def _value(waiting: Any) -> Any:
    return await waiting


def test_what_ends_a_process_is_no_value() -> None:
    store = Store()
    with pytest.raises(KeyboardInterrupt):
        store.sampling.take("gps", raises(KeyboardInterrupt()), 3)
    assert store.kept == []


def test_a_name_that_was_not_declared_and_a_value_that_cannot_be_sent_are_refused() -> None:
    store = Store()
    with pytest.raises(UnknownSample, match="'driver' did not declare the side input 'gsp'"):
        store.sampling.take("gsp", lambda: 1, 3)
    with pytest.raises(UnsendableValue, match="driver~gps"):
        store.sampling.take("gps", object, 3)
    assert store.kept == []


# In a replay.


def test_what_was_read_then_is_given_in_its_tick_and_order_without_a_call_and_kept_again() -> None:
    one, two, other = (msgspec.msgpack.encode(value) for value in ("one", "two", 7))
    store = Store(
        [("gps", 3, MSGPACK, one), ("imu", 3, MSGPACK, other), ("gps", 3, MSGPACK, two), ("gps", 4, RAW, b"x")]
    )
    take = store.sampling.take
    assert [take("gps", never, 3), take("gps", never, 3), take("imu", never, 3), take("gps", never, 4)] == [
        "one", "two", 7, b"x",
    ]  # fmt: skip
    assert store.kept == [("gps", MSGPACK, one), ("gps", MSGPACK, two), ("imu", MSGPACK, other), ("gps", RAW, b"x")]


def test_what_was_raised_then_is_raised_without_a_call_and_kept_again() -> None:
    payload = msgspec.msgpack.encode({"raised": "builtins.OSError", "text": "[Errno 5] no fix", "args": [5, "no fix"]})
    store = Store([("gps", 3, RAISED, payload)])
    with pytest.raises(OSError, match=r"\[Errno 5\] no fix") as caught:
        store.sampling.take("gps", never, 3)
    assert (caught.value.errno, caught.value.strerror) == (5, "no fix")
    assert store.kept == [("gps", RAISED, payload)]


def test_an_async_read_is_awaited_in_a_replay_too() -> None:
    payload = msgspec.msgpack.encode({"raised": "builtins.ValueError", "text": "late", "args": ["late"]})
    store = Store([("gps", 3, MSGPACK, b"\x07"), ("gps", 4, RAISED, payload)])
    assert asyncio.run(_value(store.sampling.take("gps", never_awaited, 3))) == 7
    waiting = store.sampling.take("gps", never_awaited, 4)  # raises where the live one does: when it is awaited
    with pytest.raises(ValueError, match="late"):
        asyncio.run(_value(waiting))


def test_what_was_not_read_then_is_said_with_node_tick_and_name() -> None:
    store = Store([("gps", 3, MSGPACK, b"\x07")])
    with pytest.raises(SampleMissing, match="node 'driver' reads side input 'gps' in tick 4"):
        store.sampling.take("gps", never, 4)
    assert store.kept == []


def test_bytes_that_are_no_message_are_said_to_be() -> None:
    with pytest.raises(UndecodableMessage, match="gps"):
        Store([("gps", 3, MSGPACK, b"\xc1")]).sampling.take("gps", never, 3)


# Exceptions as bytes.


@pytest.mark.parametrize(
    ("problem", "kind", "arguments"),
    [
        (ValueError("no fix"), ValueError, ("no fix",)),
        (ValueError(), ValueError, ()),
        (KeyError("gps"), KeyError, ("gps",)),
        (OSError(5, "no fix"), OSError, (5, "no fix")),
        (FileNotFoundError(2, "gone"), FileNotFoundError, (2, "gone")),
        (TimeoutError("2 s"), TimeoutError, ("2 s",)),
        (Flood("at", 3, None), Flood, ("at", 3, None)),
        (Flood((1, 2), {"a": b"x"}), Flood, ([1, 2], {"a": b"x"})),  # as a topic delivers them
    ],
)
def test_an_exception_of_a_known_type_comes_back_with_its_arguments(
    problem: Exception, kind: type[Exception], arguments: tuple[Any, ...]
) -> None:
    found = exception_of(raised(problem))
    assert type(found) is kind
    assert found.args == arguments


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (json.JSONDecodeError("no brace", "{", 1), "json.decoder.JSONDecodeError: no brace: line 1 column 2 (char 1)"),
        (ValueError(object), "builtins.ValueError: <class 'object'>"),  # arguments that are no data
        (ValueError(1 << 80), f"builtins.ValueError: {1 << 80}"),
    ],
)
def test_one_that_its_arguments_do_not_make_anew_comes_back_as_words(problem: Exception, words: str) -> None:
    found = exception_of(raised(problem))
    assert type(found) is SampleRaised
    assert str(found) == words


def test_one_of_a_class_within_a_function_comes_back_as_words() -> None:
    class Local(Exception):
        pass

    found = exception_of(raised(Local("here")))
    assert type(found) is SampleRaised
    assert str(found).endswith("Local: here")


def test_one_of_a_module_that_is_not_loaded_comes_back_as_words_and_loads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "receiver_of_mine.py").write_text("class NoFix(Exception):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    payload = msgspec.msgpack.encode({"raised": "receiver_of_mine.NoFix", "text": "no fix", "args": ["no fix"]})
    before = set(sys.modules)
    found = exception_of(payload)
    assert set(sys.modules) == before
    assert type(found) is SampleRaised
    assert str(found) == "receiver_of_mine.NoFix: no fix"
    assert isinstance(found, RuntimeError)


@pytest.mark.parametrize("name", ["os.system", "builtins.exec", "builtins.SystemExit", "builtins.open", "os", ""])
def test_nothing_is_called_but_the_constructor_of_an_exception(name: str, tmp_path: Path) -> None:
    argument = f"touch {tmp_path}/called" if name == "os.system" else f"open({str(tmp_path / 'called')!r}, 'w')"
    found = exception_of(msgspec.msgpack.encode({"raised": name, "text": "x", "args": [argument]}))
    assert type(found) is SampleRaised
    assert list(tmp_path.iterdir()) == []
