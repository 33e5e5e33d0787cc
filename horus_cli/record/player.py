"""What a person sees and steers while a replay runs: one line with how far it is, and keys.

The scheduler runs in the main thread, which also takes the signals; a second thread reads keys and prints values. It starts
once the graph's processes are there, and has ended before they are gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Iterator

from horus_cli import show
from horus_cli.keys import Keys, can_read_keys, single_keys
from horus_cli.live import LiveLine
from horus_core.replay.playback import Sent
from horus_core.scheduler.scheduler import Scheduler

SPEEDS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 0.0)  # 0: as fast as possible
_POLL_SECONDS = 0.05
_VALUES_AT_ONCE = 1000  # then keys are looked at again
_HELP = "space pause, → step, ↑↓ speed, q end"


class Player:
    """Goes along with one run of a scheduler that replays; :meth:`started` and :meth:`ended` are for a Launch.

    Args:
        name: what is replayed.
        first_tick: where it starts.
        tick_rate: in Hz.
        speed: the speed it starts with.
        echo: values to print when their tick has been released.
        quiet: standard output is for programs: values are printed as JSON, a line each, and what nodes print goes to stderr.

    Attributes:
        seconds: how long it ran.
    """

    def __init__(
        self,
        name: str,
        first_tick: int,
        tick_rate: float,
        speed: float = 1.0,
        echo: Iterator[Sent] | None = None,
        quiet: bool = False,
    ) -> None:
        self.seconds = 0.0
        self._name, self._first, self._rate, self._speed = name, first_tick, tick_rate, speed
        self._echo, self._next = echo, None if echo is None else next(echo, None)
        self._quiet = quiet
        self._thread: threading.Thread | None = None
        self._problem: Exception | None = None
        self._terminal = contextlib.ExitStack()
        self._colours: dict[str, int] = {}

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.close()  # whatever happened

    # What the scheduler calls, in the main thread.

    def started(self, scheduler: Scheduler) -> None:
        """The graph is about to run."""
        show.log_harmlessly()
        self._scheduler = scheduler
        self._since = time.monotonic()
        keys = self._terminal.enter_context(single_keys()) if sys.stderr.isatty() and can_read_keys() else None
        help = _HELP if keys is not None else ""
        self._terminal.enter_context(LiveLine(lambda: self._line(show.columns() - 1, help)))
        self._wake, self._over = os.pipe()
        self._thread = threading.Thread(target=self._attend, args=(keys,), name="horus-player", daemon=True)
        self._thread.start()

    def ended(self, scheduler: Scheduler) -> None:
        """The run is over; prints what is still to be printed, and gives the terminal back.

        Raises:
            Exception: what went wrong in the other thread.
        """
        try:
            if self._thread is not None:
                self.seconds = time.monotonic() - self._since
                os.close(self._over)
                self._thread.join()
                os.close(self._wake)
                self._thread = None
        finally:
            self._terminal.close()
        if self._problem is not None:
            raise self._problem
        self._print_values(scheduler.current_tick() - 1)

    def print(self, node: str, line: str) -> None:
        """Prints what a node printed, with its name before it."""
        number = self._colours.setdefault(node, len(self._colours))
        show.say_for(node, number, line, err=self._quiet)

    # What the other thread does.

    def _attend(self, keys: int | None) -> None:
        taken = Keys()
        watched = [self._wake] if keys is None else [self._wake, keys]
        try:
            while True:
                ready, _, _ = select.select(watched, [], [], _POLL_SECONDS)
                if self._wake in ready:
                    return
                if keys is not None and keys in ready:
                    data = os.read(keys, 64)
                    if not data:  # the terminal is gone
                        watched.remove(keys)
                    for key in taken.named(data):
                        self._press(key)
                self._print_values(self._scheduler.current_tick() - 1, most=_VALUES_AT_ONCE)
        except Exception as problem:
            self._problem = problem
            self._stop()

    def _press(self, key: str) -> None:
        scheduler = self._scheduler
        if key == " ":
            scheduler.resume() if scheduler.paused else scheduler.pause()
        elif key == "right":
            if not scheduler.paused:
                scheduler.pause()
            scheduler.step()
        elif key in ("up", "down"):
            self._speed = next_speed(self._speed, faster=key == "up")
            scheduler.set_replay_speed(self._speed)
        elif key == "q":
            self._stop()

    def _stop(self) -> None:
        if self._scheduler.is_running():  # else it has ended by itself
            self._scheduler.stop()

    def _print_values(self, tick: int, most: int | None = None) -> None:
        """Prints the values up to `tick`, at most so many of them."""
        printed = 0
        while self._next is not None and self._next.tick <= tick and printed != most:
            assert self._echo is not None
            printed += 1
            self._print_value(self._next)
            self._next = next(self._echo, None)

    def _print_value(self, sent: Sent) -> None:
        if self._quiet:
            show.as_json_line({**sent._asdict(), "value": show.plain(sent.value)})
        else:
            show.say(f"{sent.tick}  {show.one_line(sent.topic)}  {show.value(sent.value)}")

    # The line.

    def _line(self, width: int, help: str) -> str:
        """The line, in `width` places."""
        scheduler = self._scheduler
        coming = scheduler.progress()["catching_up_to"]
        if coming is not None:
            return f"{show.one_line(self._name)}  catching up to tick {coming}  at tick {scheduler.current_tick()}"[
                :width
            ]
        last = scheduler.last_replay_tick
        total = max((self._first if last is None else last) - self._first + 1, 1)
        ticks = max(scheduler.current_tick() - self._first, 0)
        rounds = max(ticks - 1, 0) // total
        done = ticks - rounds * total
        parts = [
            f"tick {self._first + max(done - 1, 0)}/{self._first + total - 1}",
            f"{done / self._rate:.2f}/{total / self._rate:.2f} s",
            f"×{self._speed:g}" if self._speed else "as fast as it can",
        ]
        parts += [f"round {rounds + 1}"] if rounds else []
        parts += ["paused"] if scheduler.paused else []
        text = "  ".join(parts)
        room = width - len(self._name) - len(text) - len(help) - 8
        bar = _bar(done / total, min(room, 30)) if room >= 6 else ""
        line = "  ".join(part for part in (show.one_line(self._name), bar, text, help if bar else "") if part)
        return line[:width]


def next_speed(speed: float, faster: bool) -> float:
    """The next step from `speed`.

    >>> next_speed(1.0, faster=True), next_speed(0.3, faster=False), next_speed(100.0, faster=True)
    (2.0, 0.25, 0.0)
    """
    if not speed:
        return SPEEDS[-1] if faster else SPEEDS[-2]
    steps = [each for each in SPEEDS[:-1] if (each > speed if faster else each < speed)]
    if faster:
        return steps[0] if steps else SPEEDS[-1]
    return steps[-1] if steps else SPEEDS[0]


def _bar(share: float, width: int) -> str:
    full = round(min(share, 1.0) * width)
    return "█" * full + "░" * (width - full)
