"""Standard input, output and error of a process that was started without them, by cron or an init script.

A closed standard descriptor is the next file's that is opened: a recording, or a graph's memory. What prints writes into that
then, and a child takes it for its own output. So each that is closed becomes /dev/null before anything else is opened.
"""

from __future__ import annotations

import os


def open_standard_streams() -> None:
    """Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed; Python's own streams stay as they are."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # always the lowest that is free
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
