"""Every number that C and Python must agree on, by its name, to compare with those that ``native.c`` was compiled with."""

from __future__ import annotations

from types import ModuleType

from horus_core.memory import control, segment, tick_rows
from horus_core.memory.hotpath import topics, turn
from horus_core.messages import encoding

TURN_FIELDS = 14  # arguments of pure.Turn

_SHARED: tuple[tuple[ModuleType, str], ...] = (
    (
        control,
        """
        VERSION H_RELEASED H_STOP H_STOP_ASKED H_EXTERNAL H_ADMITTED H_SAFE_MODE H_RELAY
        N_FINISHED N_EXCUSED N_CURRENT N_STARTED N_TICKS N_BUSY N_BUSY_MAX N_BUSY_MIN N_BUSY_LAST
        N_SENT N_SENT_BYTES N_RECEIVED N_DROPPED N_OVERRUNS N_STOP BUCKETS NEVER
        """,
    ),
    (
        segment,
        """
        S_FIRST S_SLOTS S_DATA S_SEALED HEADER_WORDS ENTRY_WORDS ALIGN
        E_SEQUENCE E_TICK E_VISIBLE E_TIME E_POSITION E_LENGTH E_ENCODING E_SPARE
        """,
    ),
    (encoding, "MSGPACK RAW ARRAYS"),
    (turn, "STOP READY SAFE ORPHAN STALE MISSED FAILED RAISED"),
    (tick_rows, "STATUS_OK STATUS_ERROR ROW_HEAD ROW_INPUT"),
)


def table() -> dict[str, int]:
    """Each number by its name."""
    found = {name: int(getattr(module, name)) for module, names in _SHARED for name in names.split()}
    return found | {
        "OUTLET_FIELDS": len(topics.Outlet._fields),
        "INBOX_FIELDS": len(topics.Inbox._fields),
        "TURN_FIELDS": TURN_FIELDS,
    }


def difference(compiled: object) -> str:
    """What a compiled module holds otherwise than this code, in a few words; "" for nothing."""
    ours = table()
    if not isinstance(compiled, dict):
        return "it has no table of words"
    wrong = [name for name in ours if compiled.get(name) != ours[name]] + [
        name for name in compiled if name not in ours
    ]
    return f"{wrong[0]} is {compiled.get(wrong[0])} there and {ours.get(wrong[0])} here" if wrong else ""
