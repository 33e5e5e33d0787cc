"""The names of fields: keys joined with dots, ``value`` for a whole message."""

from __future__ import annotations

from collections.abc import Callable

from horus_core.messages.value_offsets import Path


def names_of(field: str) -> list[str]:
    """The name of a field and of all that it is part of.

    >>> names_of("objects[].x")
    ['objects', 'objects[]', 'objects[].x']
    """
    return [field[:end] for end in (*(place for place, each in enumerate(field) if each in ".["), len(field))]


def field_name(path: Path) -> str:
    """The name of the field that `path` leads to, whatever the places in lists.

    >>> field_name(("objects", 3, "x")), field_name(("ranges", 17)), field_name(())
    ('objects[].x', 'ranges', 'value')
    """
    steps = list(path)
    while steps and isinstance(steps[-1], int):
        steps.pop()
    return _joined(tuple(steps), lambda place: "[]")


def place_name(path: Path) -> str:
    """The same with the places.

    >>> place_name(("objects", 3, "x")), place_name((2,))
    ('objects[3].x', 'value[2]')
    """
    return _joined(path, lambda place: f"[{place}]")


def _joined(path: Path, index: Callable[[int], str]) -> str:
    name = ""
    for step in path:
        separator = "." if name else ""
        name = (name or "value") + index(step) if isinstance(step, int) else f"{name}{separator}{step}"
    return name or "value"
