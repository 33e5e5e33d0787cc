"""Scripts as users write them: unguarded, with modules beside them, with callables of every kind; each a real process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plain_arrow import file_of, values
from tests.scripts import run, wait_until, write_script


def files_of(folder: Path, session: str) -> list[str]:
    return sorted(map(str, (folder / session).glob("*.arrow")))


def test_nodes_may_be_any_kind_of_callable_of_the_script(tmp_path: Path, recordings: Path) -> None:
    script = write_script(
        tmp_path,
        """
        import asyncio, enum, functools, logging, sys
        from dataclasses import dataclass, field
        import msgspec
        import horus
        from horus import Node, Scheduler

        GAIN = 2
        log = logging.getLogger("robot")
        out = sys.stdout

        class Mode(enum.Enum):
            HOLD = "hold"

        class CmdVel(msgspec.Struct):
            linear: float
            angular: float = 0.0
            def doubled(self):
                return CmdVel(self.linear * GAIN, self.angular * GAIN)

        @dataclass
        class Pose:
            x: float
            tags: list = field(default_factory=list)

        def helper(x):
            return x * GAIN

        def function(node):
            node.send("function", helper(horus.tick()))

        def make_counter(step):
            count = 0
            def closure(node):
                nonlocal count
                count += step
                node.send("closure", count)
            return closure

        class Arm:
            def __init__(self, offset):
                self.offset = offset
                self.calls = 0
            def step(self, node):
                self.calls += 1
                node.send("method", [self.calls, self.offset])
            def __call__(self, node):
                node.send("object", [type(self).__name__, Mode.HOLD.value])

        class Base:
            def tick(self, node):
                node.send("super", "base")
        class Derived(Base):
            def tick(self, node):
                super().tick(node)

        def scaled(factor, node):
            node.send("partial", horus.tick() * factor)

        async def coroutine(node):
            await asyncio.sleep(0)
            node.send("async", horus.tick())

        def driver(node):
            node.send("cmd", CmdVel(float(horus.tick()), -0.5).doubled())
            node.send("pose", Pose(0.5, ["a"]))

        def listener(node):
            command, pose = node.recv("cmd"), node.recv("pose")
            kinds = [type(command) is CmdVel, type(pose) is Pose]
            node.send("typed", [*kinds, command.linear, command.angular, pose.x, pose.tags])
            print("printed", file=out)
            log.debug("not shown")

        nodes = [
            Node(name="function", tick=function, pubs="function", rate=10),
            Node(name="lambda", tick=lambda node: node.send("lambda", GAIN), pubs="lambda", rate=10),
            Node(name="closure", tick=make_counter(3), pubs="closure", rate=10),
            Node(name="method", tick=Arm(7).step, pubs="method", rate=10),
            Node(name="object", tick=Arm(7), pubs="object", rate=10),
            Node(name="super", tick=Derived().tick, pubs="super", rate=10),
            Node(name="partial", tick=functools.partial(scaled, 5), pubs="partial", rate=10),
            Node(name="async", tick=coroutine, pubs="async", rate=10),
            Node(name="driver", tick=driver, pubs={"cmd": CmdVel, "pose": Pose}, rate=10),
            Node(name="listener", tick=listener, subs={"cmd": CmdVel, "pose": Pose}, pubs="typed", rate=10),
        ]
        scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording="kinds", execution=sys.argv[1])
        for node in nodes:
            scheduler.add(node)
        scheduler.run(duration=0.3)
        """,
    )
    done = run(script, "process")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "[listener] printed\n" * 3
    files = files_of(recordings, "kinds")
    expected = {
        "function": [0, 2, 4],
        "lambda": [2, 2, 2],
        "closure": [3, 6, 9],
        "method": [[1, 7], [2, 7], [3, 7]],
        "object": [["Arm", "hold"]] * 3,
        "super": ["base"] * 3,
        "partial": [0, 5, 10],
        "async": [0, 1, 2],
        "listener": [[True, True, tick * 2.0, -1.0, 0.5, ["a"]] for tick in range(3)],
    }
    assert {name: [value for _, value in values(files, name)] for name in expected} == expected


def test_modules_beside_the_script_are_found_in_every_process(tmp_path: Path, recordings: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "parts" / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    write_script(
        project,
        """
        TABLE = [1, 2, 3]
        def tick(node):
            from parts.deep import inner
            node.send("t", inner.value())
        """,
        "sensors.py",
    )
    write_script(project / "parts", "", "__init__.py")
    write_script(project / "parts" / "deep", "", "__init__.py")
    write_script(project / "parts" / "deep", "import sensors\ndef value(): return sum(sensors.TABLE)\n", "inner.py")
    write_script(project, "import msgspec\nclass Reading(msgspec.Struct):\n    value: int\n", "messages.py")
    script = write_script(
        project,
        """
        import os, sys
        import sensors
        from messages import Reading
        import horus
        from horus import Node
        def listen(node):
            node.send("seen", type(node.recv("r")).__module__)
        os.chdir(sys.argv[1])
        horus.run(
            Node(name="module", tick=sensors.tick, pubs="t", rate=10),
            Node(name="typed", tick=lambda node: node.send("r", Reading(4)), pubs={"r": Reading}, rate=10),
            Node(name="ear", tick=listen, subs={"r": Reading}, pubs="seen", rate=10),
            duration=0.2, tick_rate=10, deterministic=True, pace=False, recording="modules",
        )
        """,
    )
    done = run(script, str(elsewhere))
    assert done.returncode == 0, done.stderr
    files = files_of(recordings, "modules")
    assert values(files, "module") == [(0, 6), (1, 6)]
    assert values(files, "ear") == [(0, "messages"), (1, "messages")]


def test_a_callback_that_names_its_own_node_means_the_one_that_runs(tmp_path: Path, recordings: Path) -> None:
    script = write_script(
        tmp_path,
        """
        import horus
        def tick():
            arm.state["n"] = arm.state.get("n", 0) + 1
            arm.send("t", arm.state["n"])
        arm = horus.Node(name="arm", tick=tick, pubs="t", rate=10)
        horus.run(arm, duration=0.3, tick_rate=10, deterministic=True, pace=False, recording="own")
        print(arm.state)
        """,
    )
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert values(files_of(recordings, "own"), "arm") == [(0, 1), (1, 2), (2, 3)]
    assert done.stdout == "{}\n", "its state lives in its process"


def test_several_runs_in_one_script_each_have_their_recording(tmp_path: Path, recordings: Path) -> None:
    script = write_script(
        tmp_path,
        """
        import horus
        from horus import Node, Scheduler
        node = Node(name="n", tick=lambda node: node.send("t", horus.tick()), pubs="t", rate=10)
        for _ in range(2):
            scheduler = Scheduler(tick_rate=10, deterministic=True, pace=False, recording=True)
            scheduler.add(node).run(duration=0.2)
            print(scheduler.stop_recording()[0])
        print(*scheduler.list_recordings())
        """,
    )
    done = run(script)
    assert done.returncode == 0, done.stderr
    *files, names = done.stdout.splitlines()
    assert len(set(files)) == 2
    assert all(re.search(r"/robot_\d{8}_\d{6}(_\d+)?/scheduler@", path) for path in files), "named after the script"
    assert names.split() == sorted(Path(path).parent.name for path in files)
    for path in files:
        assert values(files_of(recordings, Path(path).parent.name), "n") == [(0, 0), (1, 1)]


def test_a_script_that_ends_without_stopping_ends_its_graph_in_order(tmp_path: Path, recordings: Path) -> None:
    script = write_script(
        tmp_path,
        """
        import horus
        from horus import Node, Scheduler
        scheduler = Scheduler(tick_rate=10, deterministic=True, recording="left")
        node = Node(name="n", tick=lambda node: node.send("t", horus.tick()), shutdown=lambda: print("down"), pubs="t", rate=10)
        scheduler.add(node)
        for _ in range(3):
            scheduler.tick_once()
        """,
    )
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "[n] down\n"
    path = file_of(files_of(recordings, "left"), "n")
    wait_until(lambda: Path(path).read_bytes().endswith(b"ARROW1"), what="the recorder's end")
    assert values([path], "n") == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (
            "x = 1 / 0",
            1,
            ["ZeroDivisionError: division by zero", "node 'bad' raised an exception in tick 0", "robot.py", "in tick"],
        ),
        ("import sys; sys.exit(3)", 1, ["node 'bad'", "in tick 0"]),
        ("import os; os._exit(9)", 1, ["node 'bad' exited with code 9 in tick 0"]),
    ],
)
def test_a_node_that_fails_ends_the_script_with_an_error_that_says_where(
    tmp_path: Path, body: str, code: int, words: list[str]
) -> None:
    script = write_script(
        tmp_path,
        f"""
        import horus
        def tick(node):
            {body}
        horus.run(horus.Node(name="bad", tick=tick, rate=10), duration=1, tick_rate=10)
        """,
    )
    done = run(script)
    assert done.returncode == code
    assert all(word in done.stderr for word in words), done.stderr
    assert "runner.py" not in done.stderr.split("NodeFailed")[-1], "the node's traceback is the node's alone"
