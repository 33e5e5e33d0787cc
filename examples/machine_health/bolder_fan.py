#!/usr/bin/env python3
"""The graph of main.py with another controller: the fan follows the demand at once, without steps.

Try it on what was recorded with the other one: horus record inject SESSION --nodes machine --script bolder_fan.py
"""

from __future__ import annotations

from horus import Node

from main import RATE, demand, main, raise_alarms


def start_fan(node: Node) -> None:
    node.state = {"alarms": set()}


def run_fan(node: Node) -> None:
    level = node.recv("machine.level")
    if level is None:
        return
    node.send("fan.speed", min(100, round(1.5 * demand(level))))
    raise_alarms(node, level)


fan = Node(name="fan", tick=run_fan, init=start_fan, rate=RATE, subs=["machine.level"], pubs=["fan.speed", "fan.alarm"])

if __name__ == "__main__":
    main(fan)
