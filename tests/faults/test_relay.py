"""The node that releases the next tick itself, and others of its graph, die, stop or get orders in the middle of that."""

from __future__ import annotations

import random
import signal
import threading
import time
from typing import Any

import psutil
import pytest

import horus
from horus import Node, Restart, Scheduler
from tests.plain_arrow import events, ran, values

AGAIN: dict[str, Any] = {"rate": 1000, "failure_policy": Restart(times=1000, first=0.01, most=0.02)}


def chain(**options: Any) -> Scheduler:
    """Three nodes, of which the last ends every tick."""

    def source(node: Node) -> None:
        node.send("a", horus.tick())
        time.sleep(0.0003)  # its work, so that the graph does not make millions of ticks meanwhile

    def double(node: Node) -> None:
        node.send("b", [2 * each for each in node.recv_all("a")])

    def last(node: Node) -> None:
        node.send("c", node.recv_all("b"))

    scheduler = Scheduler(tick_rate=1000, deterministic=True, pace=False, recording=True, **options)
    scheduler.add(Node("source", source, pubs="a", **AGAIN))
    scheduler.add(Node("double", double, subs="a", pubs="b", **AGAIN))
    return scheduler.add(Node("last", last, subs="b", pubs="c", **AGAIN))


class Killer(threading.Thread):
    """Kills one of the graph's nodes while it runs, or lets it stand still, a number of times; then stops the graph."""

    def __init__(self, scheduler: Scheduler, title: str, how: signal.Signals, times: int) -> None:
        super().__init__(daemon=True)
        self.scheduler, self.title, self.how, self.times, self.done = scheduler, title, how, times, 0
        self._chance = random.Random(f"{title} {how}")

    def run(self) -> None:
        deadline = time.monotonic() + 30
        while self.scheduler.current_tick() < 100 and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        while self.done < self.times and time.monotonic() < deadline:
            threading.Event().wait(self._chance.uniform(0.001, 0.03))
            for child in psutil.Process().children():
                try:
                    if child.cmdline()[:1] != [self.title]:
                        continue
                    child.send_signal(self.how)
                    if self.how == signal.SIGSTOP:
                        threading.Event().wait(self._chance.uniform(0.001, 0.05))
                        child.send_signal(signal.SIGCONT)
                    self.done += 1
                except (psutil.Error, IndexError):
                    continue
        goal = self.scheduler.current_tick() + 200  # a node that dies in the last tick misses it
        while self.scheduler.current_tick() < goal and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        self.scheduler.stop()


@pytest.mark.parametrize("victim", ["source", "double", "last"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_every_tick_is_released_once_whoever_dies_or_stands_still(victim: str, how: signal.Signals) -> None:
    scheduler = chain()
    killer = Killer(scheduler, f"horus:{victim}", how, 6)
    killer.start()
    scheduler.run()
    killer.join(1)
    files = scheduler.stop_recording()
    assert killer.done == killer.times
    ticks = scheduler.current_tick()
    others = [name for name in ("source", "double", "last") if name != victim or how == signal.SIGSTOP]
    for name in others:  # a victim misses the tick in which it died
        assert [row.tick for row in ran(files, name)] == list(range(ticks))
    restarts = len(events(files, "restart"))
    missed = set(range(ticks)) - {row.tick for row in ran(files, victim)}
    if how == signal.SIGKILL:  # some hit it before it was ready again
        assert 0 < restarts <= killer.done
        assert len(missed) <= restarts
    else:
        assert (restarts, missed) == (0, set())
    if victim == "last" and how == signal.SIGSTOP:
        assert [value for _, value in values(files, "last")] == [[[2 * tick]] for tick in range(ticks)]


def test_without_kills_each_tick_has_what_the_tick_before_it_in_the_chain_sent() -> None:
    scheduler = chain()
    scheduler.run(duration=2.0)
    files = scheduler.stop_recording()
    assert values(files, "double") == [(tick, [2 * tick]) for tick in range(2000)]
    assert values(files, "last") == [(tick, [[2 * tick]]) for tick in range(2000)]


def test_a_node_that_asks_to_stop_ends_the_graph_after_that_very_tick() -> None:
    def ask(node: Node) -> None:
        if horus.tick() == 777:
            node.request_stop()
        node.send("a", horus.tick())

    scheduler = Scheduler(tick_rate=1000, deterministic=True, pace=False, recording=True)
    scheduler.add(Node("ask", ask, pubs="a", rate=1000))
    scheduler.add(Node("ear", lambda node: node.recv("a"), subs="a", rate=1000))
    scheduler.run(duration=5.0)
    files = scheduler.stop_recording()
    for name in ("ask", "ear"):
        assert [row.tick for row in ran(files, name)] == list(range(778))


def test_messages_from_outside_are_admitted_between_two_ticks_each_in_its_own_order() -> None:
    def ear(node: Node) -> None:
        for value in node.recv_all("orders"):
            node.send("heard", [horus.tick(), value])
            if value == 19:
                node.request_stop()

    scheduler = Scheduler(tick_rate=1000, deterministic=True, pace=False, recording=True, name="relayed")
    scheduler.add(Node("ear", ear, subs="orders", pubs="heard", rate=1000))

    def speak() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                topic = horus.Topic("orders", graph="relayed")
            except horus.HorusError:
                threading.Event().wait(0.01)
                continue
            for number in range(20):
                topic.send(number)
                threading.Event().wait(0.002)
            return

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    scheduler.run(duration=1e5)
    speaker.join(5)
    found = values(scheduler.stop_recording(), "ear")
    assert [number for _, (_, number) in found] == list(range(20))
    assert all(sent_in == tick for sent_in, (tick, _) in found)
    assert [tick for tick, _ in found] == sorted(tick for tick, _ in found)
