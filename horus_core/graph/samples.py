"""The side inputs of a node: those that it declares, and those that its callbacks name.

``node.sample("gps", read_gps)`` needs a lane before the graph starts, so the names are looked for in the callbacks' code: the
string constants that are the first argument of a call of ``sample``, in a callback and in the functions of its module that it
calls. A name that is not a constant is declared: ``Node(samples=["gps"])``.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def named_samples(callbacks: Iterable[Callable[..., Any]]) -> tuple[str, ...]:
    """The side inputs that `callbacks` name, by name: the order of the code differs from one Python to the next.

    >>> def tick(node):
    ...     return node.sample("gps", lambda: 1.0)
    >>> named_samples([tick])
    ('gps',)
    """
    found: set[str] = set()
    for code in _codes(callbacks):
        if "sample" in code.co_names:
            found.update(_named_in(code))
    return tuple(sorted(found))


def _codes(callbacks: Iterable[Callable[..., Any]]) -> Iterator[types.CodeType]:
    """The code of the callbacks, of what is defined in them, and of the functions that they find by name."""
    seen: set[int] = set()
    pending: list[Any] = list(callbacks)
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, types.CodeType):
            yield each
            pending.extend(constant for constant in each.co_consts if isinstance(constant, types.CodeType))
        elif isinstance(each, types.MethodType):
            pending.append(each.__func__)
            pending.extend(
                value for value in vars(type(each.__self__)).values() if isinstance(value, types.FunctionType)
            )
        elif isinstance(each, types.FunctionType):
            pending.append(each.__code__)
            pending.extend(_reached(each))
        elif hasattr(each, "func"):  # functools.partial
            pending.append(each.func)
        elif isinstance(found := getattr(type(each), "__call__", None), types.FunctionType):  # noqa: B004
            pending.append(found)


def _reached(function: types.FunctionType) -> list[Any]:
    """The functions that `function` finds in its module and in its closure."""
    names = set(function.__code__.co_names)
    cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    found = [value for name, value in function.__globals__.items() if name in names]
    methods = [
        method
        for value in (*found, *cells)
        if not isinstance(value, (type, types.ModuleType, types.FunctionType)) and _is_users(type(value))
        for name, method in vars(type(value)).items()
        if name in names
    ]
    return [
        value
        for value in (*found, *cells, *methods)
        if isinstance(value, (types.FunctionType, types.MethodType)) and _is_users(value)
    ]


def _is_users(value: Any) -> bool:
    return (value.__module__ or "").partition(".")[0] not in ("horus", "horus_core", "builtins")


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _named_in(code: types.CodeType) -> Iterator[str]:
    instructions = [each for each in dis.get_instructions(code) if each.opname != "CACHE"]
    for place, each in enumerate(instructions):
        if each.argval == "sample" and each.opname in ("LOAD_METHOD", "LOAD_ATTR"):
            behind = instructions[place + 1 :]
            first, *following = behind[1:] if behind[0].opname == "PUSH_NULL" else behind
            literal = first.opname.startswith("LOAD_CONST") and isinstance(first.argval, str)
            if literal and _is_whole_argument(following):
                yield first.argval


def _is_whole_argument(following: Sequence[dis.Instruction]) -> bool:
    """Whether a constant that was loaded stays as it is until the call: nothing before that takes it off the stack."""
    depth = 1  # of the stack, the constant and what is above it
    for each in following:
        if each.opname.startswith(("CALL", "PRECALL", "KW_NAMES")) and depth == 2:
            return True
        effect = dis.stack_effect(each.opcode, each.arg, jump=False)
        takes_the_top = each.opname in ("LOAD_METHOD", "LOAD_ATTR", "FORMAT_VALUE", "FORMAT_SIMPLE", "CONVERT_VALUE")
        depth += effect
        if depth < 2 or (takes_the_top and depth - effect == 1):
            return False
    return False
