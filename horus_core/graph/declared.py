"""What a node says of itself: what was declared, to read."""

from __future__ import annotations

from horus_core.graph.policies import Failure, Miss
from horus_core.graph.restart import Restart
from horus_core.graph.spec import NodeSpec


class Declared:
    """The declaration of a node.

    Attributes:
        spec: it as data.
    """

    spec: NodeSpec

    @property
    def rate(self) -> float:
        """Ticks per second, in Hz."""
        return self.spec.rate

    @property
    def order(self) -> int:
        """Nodes that share a topic run in ascending order within a tick."""
        return self.spec.order

    @property
    def budget(self) -> float | None:
        """Seconds that a tick should take; None for 80 % of the period."""
        return self.spec.budget

    @property
    def deadline(self) -> float | None:
        """Seconds after the release at which outputs are due; None for what follows from the graph."""
        return self.spec.deadline

    @property
    def failure_policy(self) -> Failure | Restart:
        """What an exception or a crash does."""
        policy = Failure(self.spec.failure_policy)
        return self.spec.restart if policy is Failure.RESTART else policy

    @property
    def on_miss(self) -> Miss:
        """What a missed deadline does."""
        return Miss(self.spec.on_miss)

    @property
    def priority(self) -> int | None:
        """Its SCHED_FIFO priority with ``rt=True``, 1 to 99; None for none."""
        return self.spec.priority

    @property
    def core(self) -> int | None:
        """The core that it is to be pinned to; None for where the placement puts it."""
        return self.spec.core

    @property
    def pub_topics(self) -> tuple[str, ...]:
        """The topics that it publishes."""
        return tuple(self.publishers())

    @property
    def sub_topics(self) -> tuple[str, ...]:
        """The topics that it subscribes to."""
        return tuple(self.subscribers())

    def publishers(self) -> list[str]:
        """The topics that the node publishes."""
        return [topic.name for topic in self.spec.pubs]

    def subscribers(self) -> list[str]:
        """The topics that the node subscribes to."""
        return [topic.name for topic in self.spec.subs]
