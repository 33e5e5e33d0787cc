"""What a wait for one's turn, and a series of ticks, can end with; the same numbers in ``native.c``."""

READY = 1  # it is the node's turn
STOP = 0  # the graph, or this worker, is to end
SAFE = 2  # safe mode has begun
ORPHAN = 3  # the supervisor is gone
STALE = 4  # the node was declared late before its tick began, and its next one is released already
MISSED = 5  # it was declared late while its tick ran
FAILED = 6  # its callback raised, and nothing took it

RAISED = 2  # what a series says of its last tick instead of True: the callback ran and raised
