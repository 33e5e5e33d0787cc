"""Callables on their way to another process: what arrives works, what cannot go is named with its place and the remedy."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from horus_core.errors import UnshippableCallable
from horus_core.processes.shipping import dump, dump_callbacks, large_parts, load

ROOT = Path(__file__).parents[4]


def script(source: str) -> dict[str, Any]:
    """The names that a script defines; as in a script they live in ``__main__``."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": "robot.py"}
    exec(compile(textwrap.dedent(source), "robot.py", "exec", dont_inherit=True), names)
    # Where msgspec looks for the classes that annotations name.
    vars(sys.modules["__main__"]).update({name: value for name, value in names.items() if isinstance(value, type)})
    return names


ELSEWHERE = """
import sys, pickle
sys.path.insert(0, sys.argv[1])
from horus_core.processes.shipping import load
found = []
for data, arguments in pickle.load(sys.stdin.buffer):
    try:
        found.append(("returned", repr(load(data)["tick"](*arguments))))
    except BaseException as problem:
        found.append(("raised", f"{type(problem).__name__}: {problem}"))
sys.stdout.buffer.write(pickle.dumps(found))
"""


def called_elsewhere(*calls: tuple[dict[str, Any], tuple[Any, ...]]) -> list[tuple[str, str]]:
    """What each tick returns, as a repr, in a process that knows nothing of this one."""
    shipped = [(dump_callbacks("n", callbacks), arguments) for callbacks, arguments in calls]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(ROOT)],
        input=pickle.dumps(shipped),
        stdout=subprocess.PIPE,
        check=True,
        timeout=50,
    )
    return pickle.loads(done.stdout)  # type: ignore[no-any-return]


WORKING: dict[str, tuple[str, tuple[Any, ...], Any]] = {
    "a function": (
        """
        def tick(x):
            return x + 1
        """,
        (1,),
        2,
    ),
    "a lambda": (
        "tick = lambda x: [x]",
        (1,),
        [1],
    ),
    "a global and a helper": (
        """
        K = 3
        def helper(x):
            return x * K
        def tick(x):
            return helper(x)
        """,
        (2,),
        6,
    ),
    "an imported module": (
        """
        import math
        import os.path
        def tick():
            return (math.floor(2.5), os.path.basename('a/b'))
        """,
        (),
        (2, "b"),
    ),
    "a closure": (
        """
        def make(n):
            def tick(x):
                return x + n
            return tick
        tick = make(5)
        """,
        (1,),
        6,
    ),
    "a closure that counts": (
        """
        def make():
            count = 0
            def tick():
                nonlocal count
                count += 1
                return count
            return lambda: [tick(), tick()]
        tick = make()
        """,
        (),
        [1, 2],
    ),
    "recursion": (
        """
        def tick(n):
            return n * tick(n - 1) if n else 1
        """,
        (5,),
        120,
    ),
    "mutual recursion": (
        """
        def even(n):
            return n == 0 or tick(n - 1)
        def tick(n):
            return n != 0 and even(n - 1)
        """,
        (7,),
        True,
    ),
    "a bound method": (
        """
        class Arm:
            def __init__(self, k):
                self.k = k
            def step(self, x):
                return x * self.k
        tick = Arm(3).step
        """,
        (4,),
        12,
    ),
    "a callable object": (
        """
        class Arm:
            k = 2
            def __call__(self, x):
                return x * self.k
        tick = Arm()
        """,
        (4,),
        8,
    ),
    "a class method": (
        """
        class Arm:
            k = 2
            @classmethod
            def step(cls):
                return cls.k
        tick = Arm.step
        """,
        (),
        2,
    ),
    "a static method": (
        """
        class Arm:
            @staticmethod
            def step():
                return 'static'
        tick = Arm.step
        """,
        (),
        "static",
    ),
    "super": (
        """
        class A:
            def f(self):
                return 'a'
        class B(A):
            def f(self):
                return super().f() + 'b'
        tick = B().f
        """,
        (),
        "ab",
    ),
    "a partial": (
        """
        import functools
        def add(a, b):
            return a + b
        tick = functools.partial(add, b=10)
        """,
        (1,),
        11,
    ),
    "defaults": (
        """
        def tick(a, b=[1], *, c={'k': 2}):
            return (a, b, c)
        """,
        (0,),
        (0, [1], {"k": 2}),
    ),
    "a dataclass": (
        """
        from dataclasses import dataclass
        @dataclass
        class P:
            x: int
            y: int = 2
        def tick():
            return (P(1) == P(1, 2), P(1))
        """,
        (),
        "(True, P(x=1, y=2))",
    ),
    "an enum": (
        """
        import enum
        class Mode(enum.Enum):
            ON = 1
        M = Mode.ON
        def tick():
            return (M is Mode.ON, M.name)
        """,
        (),
        (True, "ON"),
    ),
    "a named tuple": (
        """
        from collections import namedtuple
        P = namedtuple('P', 'x y')
        def tick():
            return P(1, 2).y
        """,
        (),
        2,
    ),
    "a coroutine": (
        """
        import asyncio
        async def work(x):
            await asyncio.sleep(0)
            return x
        def tick(x):
            return asyncio.run(work(x))
        """,
        (3,),
        3,
    ),
    "a logger": (
        """
        import logging
        log = logging.getLogger('robot')
        def tick():
            log.debug('x')
            return log.name
        """,
        (),
        "robot",
    ),
    "an array": (
        """
        import numpy as np
        table = np.arange(4)
        def tick():
            return int(table.sum())
        """,
        (),
        6,
    ),
    "a compiled pattern": (
        """
        import re
        R = re.compile('a+')
        def tick():
            return R.match('aab').group()
        """,
        (),
        "aa",
    ),
    "a decorated function": (
        """
        import functools
        def twice(f):
            @functools.wraps(f)
            def g(x):
                return f(f(x))
            return g
        @twice
        def tick(x):
            return x + 1
        """,
        (0,),
        2,
    ),
    "an exception class": (
        """
        class Stall(Exception):
            pass
        def tick():
            try:
                raise Stall('x')
            except Stall as e:
                return str(e)
        """,
        (),
        "x",
    ),
    "an annotation of a class of the script": (
        """
        class P:
            pass
        def tick(p: P=None) -> P | None:
            return p
        """,
        (),
        None,
    ),
}

STRUCTS: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "plain": (
        """
        class P(msgspec.Struct):
            x: int
            y: float = 0.5
        def tick():
            return P(1)
        """,
        (),
        "P(x=1, y=0.5)",
    ),
    "fields": (
        """
        class P(msgspec.Struct):
            x: int
        def tick():
            return (P.__struct_fields__, P.__name__)
        """,
        (),
        "(('x',), 'P')",
    ),
    "frozen, ordered": (
        """
        class P(msgspec.Struct, frozen=True, order=True):
            x: int
        def tick():
            return (P(1) < P(2), hash(P(1)) == hash(P(1)))
        """,
        (),
        "(True, True)",
    ),
    "encoded and decoded": (
        """
        class P(msgspec.Struct):
            x: int
        def tick():
            return msgspec.msgpack.decode(msgspec.msgpack.encode(P(4)), type=P)
        """,
        (),
        "P(x=4)",
    ),
    "nested": (
        """
        class P(msgspec.Struct):
            x: int
        class Q(msgspec.Struct):
            p: P
            ps: list[P] = []
        def tick():
            return Q(P(1), [P(2)])
        """,
        (),
        "Q(p=P(x=1), ps=[P(x=2)])",
    ),
    "of itself": (
        """
        class Link(msgspec.Struct):
            x: int
            next: 'Link | None' = None
        def tick():
            return msgspec.convert({'x': 1, 'next': {'x': 2}}, Link)
        """,
        (),
        "Link(x=1, next=Link(x=2, next=None))",
    ),
    "renamed": (
        """
        class P(msgspec.Struct, rename='camel'):
            long_name: int
        def tick():
            return msgspec.json.encode(P(1))
        """,
        (),
        "b'{\"longName\":1}'",
    ),
    "tagged": (
        """
        class P(msgspec.Struct, tag='p'):
            x: int
        def tick():
            return msgspec.json.encode(P(1))
        """,
        (),
        'b\'{"type":"p","x":1}\'',
    ),
    "array-like": (
        """
        class P(msgspec.Struct, array_like=True):
            x: int
            y: int
        def tick():
            return msgspec.json.encode(P(1, 2))
        """,
        (),
        "b'[1,2]'",
    ),
    "keyword only": (
        """
        class P(msgspec.Struct, kw_only=True):
            x: int = 1
            y: int
        def tick():
            return P(y=2)
        """,
        (),
        "P(x=1, y=2)",
    ),
    "inherited": (
        """
        class A(msgspec.Struct):
            x: int = 1
            def f(self):
                return 'f'
        class B(A):
            y: int = 2
        def tick():
            return (B(), isinstance(B(), A), B().f())
        """,
        (),
        "(B(x=1, y=2), True, 'f')",
    ),
    "methods": (
        """
        class P(msgspec.Struct):
            x: int
            def f(self):
                return self.x + K
            @property
            def g(self):
                return -self.x
            @classmethod
            def h(cls):
                return cls(9)
            @staticmethod
            def i():
                return 'i'
        K = 5
        def tick():
            return (P(1).f(), P(1).g, P.h(), P.i())
        """,
        (),
        "(6, -1, P(x=9), 'i')",
    ),
    "super": (
        """
        class A(msgspec.Struct):
            x: int
            def f(self):
                return 'a'
        class B(A):
            def f(self):
                return super().f() + 'b'
        def tick():
            return B(1).f()
        """,
        (),
        "'ab'",
    ),
    "its own name in a method": (
        """
        class P(msgspec.Struct):
            x: int
            def more(self):
                return P(self.x + 1)
        def tick():
            return P(1).more()
        """,
        (),
        "P(x=2)",
    ),
    "post init": (
        """
        class P(msgspec.Struct):
            x: int
            def __post_init__(self):
                self.x *= 2
        def tick():
            return P(4)
        """,
        (),
        "P(x=8)",
    ),
    "operators": (
        """
        class V(msgspec.Struct):
            x: float
            def __add__(self, o):
                return V(self.x + o.x)
        def tick():
            return V(1.0) + V(2.0)
        """,
        (),
        "V(x=3.0)",
    ),
    "own repr": (
        """
        class V(msgspec.Struct):
            x: float
            def __repr__(self):
                return f'<{self.x}>'
        def tick():
            return V(1.0)
        """,
        (),
        "<1.0>",
    ),
    "a constant": (
        """
        from typing import ClassVar
        class P(msgspec.Struct):
            MOST: ClassVar[int] = 7
            x: int = 0
        def tick():
            return (P.MOST, P().MOST)
        """,
        (),
        "(7, 7)",
    ),
    "a factory": (
        """
        class P(msgspec.Struct):
            x: list = msgspec.field(default_factory=lambda: [1])
        def tick():
            P().x.append(2)
            return P()
        """,
        (),
        "P(x=[1])",
    ),
    "an instance": (
        """
        class P(msgspec.Struct):
            x: int
        p = P(3)
        def tick():
            return (p, type(p) is P)
        """,
        (),
        "(P(x=3), True)",
    ),
    "in a closure": (
        """
        def make():
            class P(msgspec.Struct):
                x: int
            return lambda: P(5)
        tick = make()
        """,
        (),
        "make.<locals>.P(x=5)|P(x=5)",
    ),
    "meta": (
        """
        from typing import Annotated
        class P(msgspec.Struct):
            x: Annotated[int, msgspec.Meta(ge=0)]
        def tick():
            try:
                msgspec.convert({'x': -1}, P)
            except msgspec.ValidationError:
                return 'refused'
        """,
        (),
        "'refused'",
    ),
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[str, str]]:
    """All of them, in one process; what could not even be sent, with its error."""
    cases = {name: (source, arguments) for name, (source, arguments, _) in WORKING.items()}
    cases |= {
        f"struct {name}": ("import msgspec\n" + textwrap.dedent(source), arguments)
        for name, (source, arguments, _) in STRUCTS.items()
    }
    found, calls = {}, {}
    for name, (source, arguments) in cases.items():
        callbacks = {"tick": script(source)["tick"]}
        try:
            dump_callbacks("n", callbacks)
        except Exception as problem:
            found[name] = ("not sent", f"{type(problem).__name__}: {problem}")
        else:
            calls[name] = (callbacks, arguments)
    found.update(zip(calls, called_elsewhere(*calls.values()), strict=True))
    return found


@pytest.mark.parametrize("name", WORKING)
def test_a_callable_of_a_script_works_in_another_process(name: str, outcomes: dict[str, tuple[str, str]]) -> None:
    expected = WORKING[name][2]
    assert outcomes[name] == (
        "returned",
        expected if isinstance(expected, str) and "P(" in expected else repr(expected),
    )


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_of_a_script_works_in_another_process(name: str, outcomes: dict[str, tuple[str, str]]) -> None:
    how, text = outcomes[f"struct {name}"]
    assert (how, text in STRUCTS[name][2].split("|")) == ("returned", True), text


def test_a_class_is_one_class_however_often_it_arrives() -> None:
    kind = script("import msgspec\nclass P(msgspec.Struct):\n x: int")["P"]
    one, other = load(dump(kind)), load(dump({"again": [kind]}))["again"][0]
    assert one is other


def test_callbacks_that_share_an_object_share_it_there_too() -> None:
    names = script("seen = []\ndef init(): seen.append(1)\ndef tick(): return seen")
    there = load(dump_callbacks("n", {"init": names["init"], "tick": names["tick"]}))
    there["init"]()
    there["init"]()
    assert there["tick"]() == [1, 1]
    assert names["seen"] == []


CULPRITS = [
    (
        """
        import threading
        lock = threading.Lock()
        def tick():
            lock
        """,
        "tick: global 'lock'",
        "lock",
    ),
    (
        """
        import threading
        lock = threading.Lock()
        def helper():
            lock
        def tick():
            helper()
        """,
        "global 'helper': global 'lock'",
        "lock",
    ),
    (
        """
        import threading
        def make():
            mutex = threading.RLock()
            return lambda: mutex
        tick = make()
        """,
        "tick: closure variable 'mutex'",
        "RLock",
    ),
    (
        """
        import socket
        s = socket.socket()
        s.close()
        class Arm:
            def __init__(self):
                self.port = {'a': [s]}
            def step(self):
                pass
        tick = Arm().step
        """,
        "tick.__self__.port['a'][0]",
        "socket.socket",
    ),
    (
        """
        import threading
        class Arm:
            def __init__(self):
                self.event = threading.Event()
            def __call__(self):
                pass
        tick = Arm()
        """,
        "tick.event",
        "lock",
    ),
    (
        """
        import threading, functools
        def f(a, b):
            pass
        tick = functools.partial(f, 1, b=threading.Lock())
        """,
        "tick.keywords['b']",
        "lock",
    ),
    (
        """
        import threading
        def tick(x=threading.Lock()):
            pass
        """,
        "tick: default 0",
        "lock",
    ),
    (
        """
        import threading
        def tick(*, x=[threading.Lock()]):
            pass
        """,
        "tick: default 'x'[0]",
        "lock",
    ),
    (
        """
        import threading
        worker = threading.Thread()
        def tick():
            worker
        """,
        "tick: global 'worker'",
        "",
    ),
    (
        """
        import queue
        q = queue.Queue()
        def tick():
            q
        """,
        "tick: global 'q'",
        "",
    ),
    (
        """
        def numbers():
            yield 1
        g = numbers()
        def tick():
            next(g)
        """,
        "tick: global 'g'",
        "generator",
    ),
    (
        """
        import mmap
        m = mmap.mmap(-1, 10)
        def tick():
            m
        """,
        "tick: global 'm'",
        "mmap",
    ),
    (
        """
        import posix_ipc
        s = posix_ipc.Semaphore(None, posix_ipc.O_CREX)
        s.unlink()
        def tick():
            s
        """,
        "tick: global 's'",
        "Semaphore",
    ),
    (
        """
        import functools
        @functools.lru_cache
        def f():
            pass
        def tick():
            f()
        """,
        "tick: global 'f'",
        "lru_cache",
    ),
]


@pytest.mark.parametrize(("source", "place", "kind"), CULPRITS, ids=[place for _, place, _ in CULPRITS])
def test_what_cannot_go_is_named_with_its_place_and_the_remedy(source: str, place: str, kind: str) -> None:
    tick = script(source)["tick"]
    with pytest.raises(UnshippableCallable) as caught:
        dump_callbacks("gripper", {"init": print, "tick": tick})
    text = str(caught.value)
    assert "node 'gripper'" in text
    assert place in text
    assert kind in text
    assert "init" in text
    assert "\n" not in text


def test_the_callback_that_holds_the_culprit_is_named() -> None:
    names = script("import threading\nlock = threading.Lock()\ndef tick(): pass\ndef shutdown(): lock")
    with pytest.raises(UnshippableCallable, match="shutdown: global 'lock'"):
        dump_callbacks("n", {"tick": names["tick"], "shutdown": names["shutdown"]})


@pytest.mark.parametrize("mode", ["r", "rb", "w", "r+b", "a"])
def test_an_open_file_is_refused_in_every_mode(tmp_path: Path, mode: str) -> None:
    (tmp_path / "log.csv").write_text("1,2\n")
    with (tmp_path / "log.csv").open(mode) as file:
        names = script("def tick(): file")
        names["file"] = file
        with pytest.raises(UnshippableCallable, match=r"tick: global 'file'.*an open file \('.*log.csv'\).*init"):
            dump_callbacks("n", {"tick": names["tick"]})


def test_an_object_that_refuses_to_be_pickled_says_why() -> None:
    names = script(
        "class Port:\n def __reduce__(self): raise RuntimeError('the port is not data')\nport = Port()\ndef tick(): port"
    )
    with pytest.raises(UnshippableCallable, match="tick: global 'port'"):
        dump_callbacks("n", {"tick": names["tick"]})


def test_an_endless_structure_with_a_culprit_is_an_error_not_a_hang() -> None:
    names = script(
        "import threading\nloop = {}\nloop['self'] = loop\nloop['lock'] = [threading.Lock()]\ndef tick(): loop"
    )
    with pytest.raises(UnshippableCallable, match=r"global 'loop'\['lock'\]\[0\]"):
        dump_callbacks("n", {"tick": names["tick"]})


def test_what_is_carried_along_and_large_is_found_with_its_place() -> None:
    names = script("import numpy as np\ntable = np.zeros(300_000)\nsmall = np.zeros(3)\ndef tick(): table, small")
    assert large_parts({"tick": names["tick"]}) == [("tick: global 'table'", 2_400_000)]


def test_the_logger_module_is_carried_by_name(caplog: pytest.LogCaptureFixture) -> None:
    names = script("import logging\nlog = logging.getLogger('arm')\ndef tick(): log.warning('stall')")
    with caplog.at_level(logging.WARNING):
        load(dump(names["tick"]))()
    assert [record.message for record in caplog.records] == ["stall"]


def test_nothing_is_executed_but_what_the_pickle_needs() -> None:
    names = script("import os\ndef tick(): os.environ['HORUS_TEST_RAN'] = '1'")
    load(dump(names["tick"]))
    assert "HORUS_TEST_RAN" not in os.environ


def test_a_function_keeps_the_name_of_its_file_for_tracebacks() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def outer():\n    def inner(): ...\n    return inner\n", "/robot/arm.py", "exec"), space)
    shipped = load(dump(space["outer"]))
    assert shipped.__code__.co_filename == "/robot/arm.py"
    assert shipped().__code__.co_filename == "/robot/arm.py"
