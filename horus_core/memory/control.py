"""The control segment: what coordinator, workers and recorder tell each other, in 64-bit words.

Semaphores only wake; these words tell. Each word has one writer at a time (named below), is aligned and is stored whole, so
a reader sees the old or the new value, never a mix. Signed, little-endian.

    header | a row per node | a row per lane | floors, one word per lane and reader | histograms, one per node
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import posix_ipc

from horus_core.graph.spec import Graph
from horus_core.memory.shared import Memory

MAGIC, VERSION = 0x5355524F48, 2
FREE = 1 << 62  # a floor that holds nothing; an excuse for all ticks to come
NEVER = -1

# Header. Written by the supervisor unless a line says otherwise.
(
    H_MAGIC,
    H_VERSION,
    H_STATE,  # STARTING ... ENDED
    H_RELEASED,  # the latest tick that was released (by a worker, within H_RELAY)
    H_EPOCH,  # when tick 0 was released (or would have been), ns since 1970
    H_EPOCH_MONOTONIC,  # the same on the monotonic clock
    H_STOP,  # 1: workers end after the tick that they are in
    H_STOP_ASKED,  # a node: 1 + the tick in which it asked to end
    H_SUPERVISOR,  # pid
    H_EXTERNAL,  # counts messages from outside; their senders, under a lock
    H_ADMITTED,  # of these, those that were committed at a release
    H_RECORDER_LOOKED,  # the recorder: when it last looked into the lanes, monotonic ns (the supervisor: 0 while it starts)
    H_RECORDED_BYTES,  # the recorder: size of its files
    H_RECORDED_LOST,  # the recorder: messages that lanes had pushed out before it took them
    H_RECORDER_BACKLOG,  # the recorder: bytes taken and not yet written
    H_RECORDER_STATE,  # the recorder: NEVER before it is ready, then RECORDER_WRITES or RECORDER_GAVE_UP
    H_SLIPS,  # releases that came more than a period late
    H_LOCKSTEP,  # 1: nobody is ever late
    H_SAFE_MODE,  # 1 + the tick in which safe mode began
    H_ASKED,  # a command from outside, see `commands`; its giver, under a lock
    H_ANSWERED,  # the command that was carried out last
    H_RELAY,  # up to this tick the node that ends every tick may release the next one itself
) = range(22)
HEADER_WORDS = 64
STARTING, RUNNING, STOPPING, ENDED = range(4)
RECORDER_WRITES, RECORDER_GAVE_UP = 1, 2

# A node's row. Written by the node's worker unless a line says otherwise.
(
    N_FINISHED,  # the last tick whose outputs are committed (the coordinator, for a late one)
    N_EXCUSED,  # supervisor: nobody waits for this node in ticks up to this one
    N_LATE_DONE,  # the tick that it ended after its deadline
    N_RESUME,  # supervisor: the tick from which a late or restarted node takes part again
    N_STATE,  # W_STARTING ... W_DEAD
    N_PID,  # supervisor
    N_CURRENT,  # the tick that it runs, NEVER between ticks
    N_STARTED,  # when it began that, monotonic ns
    N_TICKS,
    N_BUSY,  # ns in all ticks
    N_BUSY_MAX,
    N_BUSY_MIN,
    N_BUSY_LAST,
    N_SENT,
    N_SENT_BYTES,
    N_RECEIVED,
    N_DROPPED,
    N_ERRORS,
    N_MISSES,  # supervisor
    N_RESTARTS,  # supervisor
    N_CORE,  # supervisor: NEVER if it is not pinned to one
    N_OVERRUNS,
    N_BUDGET,  # supervisor: ns, 0 for none
    N_STOP,  # supervisor: 1: this worker ends after the tick that it is in
    N_BACK,  # supervisor: the tick from which a restarted node took part again, NEVER
) = range(25)
NODE_WORDS = 32
W_STARTING, W_READY, W_STOPPED, W_FAILED, W_DEAD = range(5)

# A lane's row. Written by its publisher unless a line says otherwise.
(
    L_GENERATION,  # the newest segment; NEVER: none yet
    L_HEAD,  # messages written
    L_COMMIT,  # messages whose tick has ended (the coordinator, for late and external ones)
    L_LOST,  # messages pushed out before every reader had them
) = range(4)
LANE_WORDS = 8

BUCKETS = 128  # of a histogram of busy times: four per power of two ns


@dataclass(frozen=True)
class Layout:
    """Where each row lies, as an index of 64-bit words.

    Besides the graph's lanes there is one per node for its tick rows, the trace, number ``len(graph.lanes) + position``,
    and a last one for the supervisor's events.
    """

    nodes: int
    lanes: int
    readers: tuple[tuple[int, ...], ...]
    floors: tuple[int, ...] = field(init=False)

    @classmethod
    def of(cls, graph: Graph) -> Layout:
        """The layout for `graph`."""
        unread: list[tuple[int, ...]] = [() for _ in (*graph.nodes, "events")]
        return cls(len(graph.nodes), len(graph.lanes) + len(unread), (*(lane.readers for lane in graph.lanes), *unread))

    def __post_init__(self) -> None:
        floors, at = [], HEADER_WORDS + self.nodes * NODE_WORDS + self.lanes * LANE_WORDS
        for readers in self.readers:
            floors.append(at)
            at += len(readers) + 1
        object.__setattr__(self, "floors", (*floors, at))

    @property
    def events(self) -> int:
        """The lane of the supervisor's events."""
        return self.lanes - 1

    def node(self, position: int) -> int:
        """The first word of a node's row."""
        return HEADER_WORDS + position * NODE_WORDS

    def lane(self, index: int) -> int:
        """The first word of a lane's row."""
        return HEADER_WORDS + self.nodes * NODE_WORDS + index * LANE_WORDS

    def floor(self, lane: int, reader: int | None) -> int:
        """The word with the oldest sequence that `reader` (a position; None: the recorder) may still need of `lane`."""
        readers = self.readers[lane]
        return self.floors[lane] + (len(readers) if reader is None else readers.index(reader))

    def floor_words(self, lane: int) -> range:
        """All floors of `lane`, the recorder's last."""
        return range(self.floors[lane], self.floors[lane] + len(self.readers[lane]) + 1)

    def histogram(self, position: int) -> int:
        """The first word of a node's histogram."""
        return self.floors[-1] + position * BUCKETS

    @property
    def words(self) -> int:
        """The size of the segment."""
        return self.floors[-1] + self.nodes * BUCKETS


def create_control(memory: Memory, layout: Layout, first_tick: int, recorded: bool) -> memoryview:
    """Makes the control segment; every word as it is before the first tick.

    Returns:
        The segment as signed 64-bit words.
    """
    words = memory.create_control(layout.words * 8).cast("q")
    words[H_VERSION], words[H_RELEASED] = VERSION, first_tick - 1
    words[H_RECORDER_STATE] = words[H_RELAY] = NEVER
    for position in range(layout.nodes):
        row = layout.node(position)
        for word in (N_LATE_DONE, N_CURRENT, N_CORE, N_BACK):
            words[row + word] = NEVER
        words[row + N_FINISHED] = words[row + N_EXCUSED] = first_tick - 1
        words[row + N_BUSY_MIN] = FREE
        words[row + N_RESUME] = first_tick
    for lane in range(layout.lanes):
        words[layout.lane(lane) + L_GENERATION] = NEVER
        for word in layout.floor_words(lane):
            words[word] = 0
        if not recorded:
            words[layout.floor(lane, None)] = FREE
    words[H_MAGIC] = MAGIC
    return words


def open_control(memory: Memory) -> memoryview:
    """The control segment as signed 64-bit words."""
    return memory.open("ctl").cast("q")


class Fence:
    """Orders stores before stores and loads before loads on processors that don't by themselves (ARM).

    x86-64 keeps both orders, there it does nothing. Elsewhere it is a post and a wait on a semaphore of our own, which the
    C library implements with acquire and release operations.
    """

    def __init__(self) -> None:
        self._ordered = os.uname().machine in ("x86_64", "AMD64", "i686")
        if not self._ordered:
            self._semaphore = posix_ipc.Semaphore(None, posix_ipc.O_CREX, initial_value=1)
            self._semaphore.unlink()

    def __call__(self) -> None:
        if not self._ordered:
            self._semaphore.acquire()
            self._semaphore.release()


fence = Fence()
