#!/usr/bin/env python3
"""Watch this machine: read its load 50 times a second, smooth it, decide on a fan speed, raise alarms.

machine --machine.reading--> filter --machine.level--> fan --fan.speed, fan.alarm-->
"""

from __future__ import annotations

import argparse
import math

import psutil

import horus
from horus import Node

RATE = 50  # Hz

# ---- machine: the numbers as the kernel gives them -------------------------------------------------------------------


def start_machine(node: Node) -> None:
    psutil.cpu_percent(percpu=True)  # each call gives the load since the call before it
    node.state = {"readings": 0, "temperature": None}


def read_machine(node: Node) -> None:
    if node.state["readings"] % RATE == 0:  # once a second: some thermometers take milliseconds to answer
        node.state["temperature"] = hottest()
    node.state["readings"] += 1
    disk = psutil.disk_io_counters(nowrap=False)  # None on a machine without disks
    network = psutil.net_io_counters(nowrap=False)
    node.send(
        "machine.reading",
        {
            "time": horus.elapsed(),
            "cores": psutil.cpu_percent(percpu=True),  # %
            "memory": psutil.virtual_memory().percent,  # %
            "disk": disk.read_bytes + disk.write_bytes if disk else 0,  # bytes since the machine started
            "network": network.bytes_sent + network.bytes_recv if network else 0,
            "temperature": node.state["temperature"],  # °C, None where there is no thermometer
        },
    )


def hottest() -> float | None:
    sensors = psutil.sensors_temperatures()
    return max((reading.current for group in sensors.values() for reading in group), default=None)


# ---- filter: exponential smoothing -----------------------------------------------------------------------------------
# The kernel counts busy time in hundredths of a second, so at 50 Hz a core reads about 0, 50 or 100 %. Levels start
# from 0, so that one such reading at the start raises no alarm.

TIME_CONSTANT = 0.5  # seconds


def start_filter(node: Node) -> None:
    node.state = {"last": None, "level": {}}


def smooth(node: Node) -> None:
    reading = node.recv("machine.reading")
    if reading is None:
        return
    level = node.state["level"]
    share = 1.0 - math.exp(-horus.dt() / TIME_CONSTANT)
    for name, value in measures(reading, node.state["last"]).items():
        before = level.get(name, 0.0)
        level[name] = before + share * (value - before)
    node.state["last"] = reading
    node.send("machine.level", level)


def measures(reading: dict, last: dict | None) -> dict[str, float]:
    cores = reading["cores"]
    values = {"load": sum(cores) / len(cores), "busiest": max(cores), "memory": reading["memory"]}
    if reading["temperature"] is not None:
        values["temperature"] = reading["temperature"]
    if last is not None:
        seconds = reading["time"] - last["time"]
        for name in ("disk", "network"):
            values[name] = (reading[name] - last[name]) / seconds  # bytes/s
    return values


# ---- fan: a speed in steps, with hysteresis, and alarms --------------------------------------------------------------

STEPS = [(0, 0), (25, 40), (50, 70), (75, 100)]  # from this demand on (%): this speed (%)
LIMITS = {"busiest": 95, "memory": 90, "temperature": 85}
MARGIN = 5  # how far a value falls below what raised a step or an alarm before it is taken back


def start_fan(node: Node) -> None:
    node.state = {"step": 0, "alarms": set()}


def run_fan(node: Node) -> None:
    level = node.recv("machine.level")
    if level is None:
        return
    step, wanted = node.state["step"], demand(level)
    if step + 1 < len(STEPS) and wanted >= STEPS[step + 1][0]:
        step += 1
    elif wanted < STEPS[step][0] - MARGIN:
        step -= 1
    if step != node.state["step"]:
        node.log_info(f"demand {wanted:.0f} %: fan to {STEPS[step][1]} %")
    node.state["step"] = step
    node.send("fan.speed", STEPS[step][1])
    raise_alarms(node, level)


def demand(level: dict[str, float]) -> float:
    """How much cooling is asked for, in %: by the load, or by a temperature from 40 °C (0 %) to 90 °C (100 %)."""
    return max(level["load"], 2.0 * (level.get("temperature", 40.0) - 40.0))


def raise_alarms(node: Node, level: dict[str, float]) -> None:
    alarms = node.state["alarms"]
    for name, limit in LIMITS.items():
        value = level.get(name, 0.0)
        if name not in alarms and value >= limit:
            alarms.add(name)
            node.log_warning(f"{name} is {value:.1f}, the limit is {limit}")
            node.send("fan.alarm", {"name": name, "raised": True, "value": value})
        elif name in alarms and value < limit - MARGIN:
            alarms.remove(name)
            node.send("fan.alarm", {"name": name, "raised": False, "value": value})


# ---- the graph -------------------------------------------------------------------------------------------------------

machine = Node(name="machine", tick=read_machine, init=start_machine, rate=RATE, pubs=["machine.reading"])
smoother = Node(
    name="filter", tick=smooth, init=start_filter, rate=RATE, subs=["machine.reading"], pubs=["machine.level"]
)
fan = Node(name="fan", tick=run_fan, init=start_fan, rate=RATE, subs=["machine.level"], pubs=["fan.speed", "fan.alarm"])


def main(controller: Node) -> None:
    parser = argparse.ArgumentParser(description="Watch this machine and decide on a fan speed.")
    parser.add_argument("--seconds", type=float, help="how long to run; until Ctrl-C if not given")
    arguments = parser.parse_args()
    horus.run(machine, smoother, controller, duration=arguments.seconds, tick_rate=RATE)


if __name__ == "__main__":
    main(fan)
