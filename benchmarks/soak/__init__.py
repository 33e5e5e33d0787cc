"""Kills processes of recorded graphs at random, again and again, and looks at what holds.

``python -m benchmarks soak`` runs it long, tests/faults/test_soak.py short. `graph` is the graph, in a process of its own;
`watched` sees it from outside; `harm` decides who gets what; `episode` is the life of one graph, which ends when its supervisor
or a node whose failure is fatal is hit, and then the next begins; `judge` reads what it recorded.
"""

from __future__ import annotations

from benchmarks.soak.episode import soak
from benchmarks.soak.outcome import Outcome

__all__ = ["Outcome", "soak"]
