"""Reads what a graph has recorded, and says what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from horus_core.recording.reading.reader import Session

_KILLED = ("killed by SIG", "killed by its watchdog")


def judge(folder: Path, whole: bool, crashes: dict[str, int] | None) -> tuple[int, list[str]]:
    """Reads a recording.

    Args:
        folder: of the session.
        whole: its recorder was never killed, so every file is closed.
        crashes: per node, how often its process was killed; None if the supervisor was, which may not have said the last.

    Returns:
        How many messages there are, and what is wrong.
    """
    session, problems, messages = Session(folder), [], 0
    for node in session.nodes:
        seen: dict[str, list[int]] = {}
        for file in session.node_files(node):
            for batch in file.batches():
                for topic, sequence in zip(
                    batch.column("topic").to_pylist(), batch.column("sequence").to_pylist(), strict=True
                ):
                    seen.setdefault(topic, []).append(sequence)
            problems += [
                f"{file.path.name}: {each.what}" for each in file.damage if whole or "not closed" not in each.what
            ]
        for topic, sequences in seen.items():
            messages += len(sequences)
            if sequences != list(range(len(sequences))):
                lost, twice = max(sequences) + 1 - len(set(sequences)), len(sequences) - len(set(sequences))
                problems.append(f"{topic} of {node}: {lost} messages are missing, {twice} repeated, or out of order")
    if crashes is not None:
        found = _deaths(session)
        problems += [
            f"{node} was killed {count} times, and {found[node]} deaths of it are recorded"
            for node, count in crashes.items()
            if found[node] != count
        ]
    return messages, problems


def _deaths(session: Session) -> Counter[str]:
    """Per node, how often it ended because it was hit: it crashed by a signal or by its watchdog, which the reason must name;
    or it was stopped for good, and the graph ended before its watchdog saw that. One that its watchdog killed while it
    computed, and nobody hit, got no turn on a core for all that time: a busy machine does that."""
    found: Counter[str] = Counter()
    for event in session.events():
        name, node, detail = event["event"], event["node"], json.loads(event["detail"])
        if name == "crash":
            found[node] += any(each in detail["reason"] for each in _KILLED)
        elif name == "signal":
            found[node] += detail["signal"] == "SIGKILL"
        elif name == "watchdog":
            found[node] -= detail["process"].startswith("computes")
    return found
