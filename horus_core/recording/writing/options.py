"""How a recording is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from horus_core.errors import InvalidValue, closest
from horus_core.graph.checks import positive_number
from horus_core.recording.format.patterns import fits, is_pattern

OVERFLOWS = ("drop", "block")
COMPRESSIONS = (None, "lz4", "zstd")
_GB = 1 << 30


@dataclass(frozen=True)
class Recording:
    """How a recording is made; ``Scheduler(recording=Recording(...))``.

    Args:
        name: the session's name, in which ``{date}`` stands for date and time; None: the script's name and the date.
        overwrite: replace a finished session of that name.
        split_mb, split_seconds: start a next part of the session after so many MB or seconds; None for never.
        keep_mb, keep_seconds: keep only about the last so many MB or seconds, by deleting the oldest parts.
        overflow: what happens when the disk falls `memory_mb` behind: "drop" leaves out whole ticks and writes the gap down,
            "block" holds the graph.
        memory_mb: what may wait for the disk in the recorder's memory.
        reserve_mb: what is left free on the disk; None for 1 GiB, or 5 % of the disk if that is less.
        compression: None, "lz4" or "zstd", per batch.
        record_topics: record only what is sent on these topics; None for all. In a name, ``*`` and ``?`` stand for any letters.
        record_exclude: do not record what is sent on these topics, which may be patterns too. A session says which were left
            out; in a replay of it they stay silent.

    Raises:
        InvalidValue: an argument is not what it must be.

    Example:
        >>> Recording(name="run_{date}", keep_seconds=600, record_exclude=["camera/*"]).records("camera/left")
        False
    """

    name: str | None = None
    overwrite: bool = False
    split_mb: float | None = None
    split_seconds: float | None = None
    keep_mb: float | None = None
    keep_seconds: float | None = None
    overflow: str = "drop"
    memory_mb: float = 512
    reserve_mb: float | None = None
    compression: str | None = None
    record_topics: Sequence[str] | None = None
    record_exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, unit in (
            ("split_mb", "MB"),
            ("split_seconds", "seconds"),
            ("keep_mb", "MB"),
            ("keep_seconds", "seconds"),
        ):
            value = getattr(self, name)
            if value is not None:
                positive_number(f"Recording {name}", value, f"({unit})")
        positive_number("Recording memory_mb", self.memory_mb, "(MB)")
        if self.reserve_mb != 0 and self.reserve_mb is not None:
            positive_number("Recording reserve_mb", self.reserve_mb, "(MB), or 0 for none")
        if self.overflow not in OVERFLOWS:
            raise InvalidValue("Recording overflow", repr(self.overflow), "'drop' or 'block'")
        if self.compression not in COMPRESSIONS:
            raise InvalidValue("Recording compression", repr(self.compression), "None, 'lz4' or 'zstd'")
        for name in ("record_topics", "record_exclude"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _names(name, value))

    def records(self, topic: str) -> bool:
        """Whether what is sent on `topic` is recorded."""
        wanted = self.record_topics is None or any(fits(topic, each) for each in self.record_topics)
        return wanted and not any(fits(topic, each) for each in self.record_exclude)

    def check(self, topics: Iterable[str]) -> None:
        """Checks that names in `record_topics` and `record_exclude` are among `topics`, those of the graph; a pattern need
        not fit any.

        Raises:
            InvalidValue: one is not.
        """
        known = sorted(set(topics))
        for argument in ("record_topics", "record_exclude"):
            for name in getattr(self, argument) or ():
                if name not in known and not is_pattern(name):
                    there = f"a topic of the graph ({', '.join(known) or 'it has none'})"
                    raise InvalidValue(f"Recording {argument}", f"{name!r}{closest(name, known)}", there)

    @property
    def part_bytes(self) -> float:
        """Size from which a next part begins; an eighth of what is kept, so that little more than that is kept."""
        sizes = [self.split_mb, None if self.keep_mb is None else self.keep_mb / 8]
        return min((size * 1e6 for size in sizes if size is not None), default=float("inf"))

    @property
    def part_seconds(self) -> float:
        """Age from which a next part begins."""
        ages = [self.split_seconds, None if self.keep_seconds is None else self.keep_seconds / 8]
        return min((age for age in ages if age is not None), default=float("inf"))

    @property
    def parted(self) -> bool:
        """Whether there may be more than one part."""
        return min(self.part_bytes, self.part_seconds) != float("inf")

    @property
    def ring(self) -> bool:
        """Whether old parts are deleted."""
        return self.keep_mb is not None or self.keep_seconds is not None

    def reserve(self, disk_bytes: int) -> float:
        """Bytes to leave free on a disk of `disk_bytes`."""
        return min(_GB, 0.05 * disk_bytes) if self.reserve_mb is None else self.reserve_mb * 1e6


def _names(argument: str, value: Sequence[str]) -> tuple[str, ...]:
    """`value`, if it is a list of names: text alone would be a list of letters."""
    if isinstance(value, str) or not all(isinstance(each, str) and each for each in value):
        raise InvalidValue(f"Recording {argument}", repr(value), "a list of topics, as in ['camera/*']")
    return tuple(value)
