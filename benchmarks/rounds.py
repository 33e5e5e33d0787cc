"""Runs the participants of a comparison in turn, round after round, and gathers what they measured.

The machine's mood (heat, neighbours, caches) changes by the minute. So everybody has a go in every round, each round begins
with another one, and a ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.program import Measured, NotInstalled, ProgramFailed

Go = Callable[[], Measured]


@dataclass
class Series:
    """What one participant measured.

    Attributes:
        rounds: the samples of each round.
        facts: what it said besides, of the last round.
        missing: why it has no samples, "" if it has.
    """

    rounds: list[list[float]] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    missing: str = ""

    @property
    def samples(self) -> list[float]:
        """All rounds together."""
        return [sample for samples in self.rounds for sample in samples]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def percentile(self, share: float) -> float:
        """The sample below which `share` of them lie.

        >>> Series([[3.0, 1.0], [2.0]]).percentile(0.99)
        3.0
        """
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def ratio_to(self, other: Series) -> float | None:
        """The median over the rounds of this one's median by the other's; None if either is missing.

        >>> Series([[2.0], [6.0], [4.0]]).ratio_to(Series([[1.0], [2.0], [2.0]]))
        2.0
        """
        pairs = zip(self.rounds, other.rounds, strict=False)
        found = [statistics.median(ours) / statistics.median(theirs) for ours, theirs in pairs]
        return statistics.median(found) if found else None


def alternate(
    participants: Mapping[str, Go], rounds: int, say: Callable[[str], None] | None = None
) -> dict[str, Series]:
    """Lets each participant measure once per round.

    Args:
        participants: by name.
        rounds: how often each has a go.
        say: told about the progress; by default it goes to the terminal.

    Raises:
        ProgramFailed: HORUS did not do its work. A peer that does not is left out, and its row says so.
    """
    say = say or _to_terminal
    names = list(participants)
    found = {name: Series() for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            series = found[name]
            if series.missing:
                continue
            say(f"    round {number + 1} of {rounds}: {name}")
            try:
                measured = participants[name]()
            except NotInstalled as problem:
                series.missing = str(problem)
                continue
            except ProgramFailed as problem:
                if name.startswith("HORUS"):
                    raise
                series.missing = f"failed: {problem.reason}"
                continue
            series.rounds.append(list(measured.samples))
            series.facts = measured.facts
    say("")
    return found


def _to_terminal(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def thinned(samples: Sequence[float], most: int) -> list[float]:
    """Every n-th of `samples`, at most `most` of them."""
    return list(samples[:: -(-len(samples) // most) or 1])
