"""The places of the words that ``native.c`` reads and writes, to compare with those that it was compiled with."""

from __future__ import annotations

from horus_core.memory import control
from horus_core.messages import encoding

_CONTROL = """
    VERSION H_RELEASED H_STOP H_STOP_ASKED H_EXTERNAL H_ADMITTED H_SAFE_MODE H_RELAY
    N_FINISHED N_EXCUSED N_CURRENT N_STARTED N_TICKS N_BUSY N_BUSY_MAX N_BUSY_MIN N_BUSY_LAST
    N_SENT N_SENT_BYTES N_RECEIVED N_DROPPED N_OVERRUNS N_STOP BUCKETS
"""


def table() -> dict[str, int]:
    """Each word by its name."""
    found = {name: getattr(control, name) for name in _CONTROL.split()}
    found.update({name: getattr(encoding, name) for name in ("MSGPACK", "RAW", "ARRAYS")})
    return found
