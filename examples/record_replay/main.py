#!/usr/bin/env python3
"""Record a control loop for five seconds, then replay it: all, a part, with a live controller, with a stuck sensor."""

from __future__ import annotations

import math
from pathlib import Path

import horus
from horus import Node, Scheduler

RATE = 100  # Hz
SECONDS = 5.0


# The sensor: a slow sine, with a spike in every 73rd sample as a loose contact would give.


def start_sensor(node: Node) -> None:
    node.state = {"samples": 0}


def read_sensor(node: Node) -> None:
    sample = node.state["samples"]
    value = 10.0 * math.sin(2.0 * sample / RATE)
    if sample % 73 == 0:
        value += 5.0
    node.send("sensor.reading", {"value": value, "tick": sample})
    node.state["samples"] = sample + 1


# The controller: proportional and integral, towards a reading of zero.


def start_controller(node: Node) -> None:
    node.state = {"integral": 0.0, "largest": 0.0}


def control(node: Node) -> None:
    reading = node.recv("sensor.reading")
    if reading is None:
        return
    error = -reading["value"]
    integral = node.state["integral"] + error * horus.dt()
    integral = min(10.0, max(-10.0, integral))  # no wind-up while the error lasts
    output = 0.5 * error + 0.1 * integral
    node.send("ctrl.cmd", {"output": output, "integral": integral})
    node.state = {"integral": integral, "largest": max(node.state["largest"], abs(output))}


def stop_controller(node: Node) -> None:
    node.log_info(f"largest output {node.state['largest']:.2f}, integral at the end {node.state['integral']:.2f}")


sensor = Node(name="sensor", tick=read_sensor, init=start_sensor, rate=RATE, pubs=["sensor.reading"])
controller = Node(
    name="controller",
    tick=control,
    init=start_controller,
    shutdown=stop_controller,
    rate=RATE,
    subs=["sensor.reading"],
    pubs=["ctrl.cmd"],
)


def record() -> list[str]:
    """Runs the loop and records it; returns the session's files."""
    scheduler = Scheduler(tick_rate=RATE, recording=True)
    scheduler.add(sensor).add(controller)
    scheduler.run(duration=SECONDS)
    files = scheduler.stop_recording()
    for path in files:
        print(f"  wrote {path}")
    print(f"  sessions here: {', '.join(scheduler.list_recordings())}")
    return files


def replay_all(session: str) -> None:
    """Publishes in each tick what was recorded in it; ends when the recording does."""
    Scheduler.replay_from(session).run()


def travel(session: str) -> None:
    """Replays two seconds out of the middle, in slow motion."""
    replay = Scheduler.replay_from(session)
    replay.start_at_tick(200).stop_at_tick(400).set_replay_speed(0.5)
    replay.run()


def try_controller(sensor_file: str) -> None:
    """The recorded sensor drives a live controller: what it logs equals what it logged in the recorded run."""
    mixed = Scheduler(tick_rate=RATE)
    mixed.add_replay(sensor_file, priority=0)
    mixed.add(controller)
    mixed.run(duration=SECONDS)


def what_if(session: str) -> None:
    """How would the controller have answered to a sensor that is stuck? As fast as it can be computed."""
    replay = Scheduler.replay_from(session)
    replay.set_replay_override("sensor", "sensor.reading", {"value": 9.0, "tick": 0})
    replay.add(controller)  # live, in place of the recorded one
    replay.set_replay_speed(0)
    replay.run()


def file_of(files: list[str], node: str) -> str:
    return next(path for path in files if Path(path).name.startswith(f"{node}@"))


def main() -> None:
    print(f"=== Record {SECONDS:g} seconds")
    files = record()
    session = file_of(files, "scheduler")
    print("=== Replay all of it")
    replay_all(session)
    print("=== Time travel: ticks 200 to 400 at half speed")
    travel(session)
    print("=== Mixed replay: recorded sensor, live controller")
    try_controller(file_of(files, "sensor"))
    print("=== What if the sensor had been stuck?")
    what_if(session)


if __name__ == "__main__":
    main()
