"""Ships a node's callables to its process: cloudpickle, and what it leaves open.

Structs that the script defines are shipped by their definition (cloudpickle's copy of such a class has no fields), open
files are refused (they would arrive as copies of their content), and what cannot be shipped is named with its path.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
import uuid
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import msgspec

from horus_core.errors import UnshippableCallable

_LARGE = 1 << 20
_struct_ids: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_structs_by_id: dict[str, type] = {}


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc,unused-ignore]
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and _lives_in_script(value):
            return _by_definition(value)
        if isinstance(value, io.IOBase) and value not in (sys.stdout, sys.stderr, sys.stdin):
            raise pickle.PicklingError(f"an open file ({getattr(value, 'name', '?')!r})")
        return super().reducer_override(value)


def dump(value: Any) -> bytes:
    """`value` as bytes for :func:`load` in another process; raises whatever does not pickle."""
    into = io.BytesIO()
    _Pickler(into, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return into.getvalue()


def load(data: bytes) -> Any:
    """What :func:`dump` was given."""
    return pickle.loads(data)


def dump_callbacks(node: str, callbacks: dict[str, Any]) -> bytes:
    """The callbacks of `node` as bytes.

    Raises:
        UnshippableCallable: one of them holds something that cannot go to another process; the message says what, where
            in the callable, and what to do instead.
    """
    try:
        return dump(callbacks)
    except Exception as problem:
        for role, callback in callbacks.items():
            culprit = _culprit(callback, role, set())
            if culprit is not None:
                raise UnshippableCallable(node, *culprit) from None
        raise UnshippableCallable(node, "its callbacks", f"not picklable ({problem})", "create it in init") from None


def large_parts(callbacks: dict[str, Any]) -> list[tuple[str, int]]:
    """The paths and sizes in bytes of arrays and byte strings over 1 MB that the callbacks carry along."""
    found: list[tuple[str, int]] = []
    for role, callback in callbacks.items():
        for path, value in _parts(callback, role):
            size = getattr(value, "nbytes", len(value) if isinstance(value, (bytes, bytearray)) else 0)
            if isinstance(size, int) and size > _LARGE:
                found.append((path, size))
    return found


def _lives_in_script(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    if kind.__module__ == "__main__" or module is None:
        return True
    found: Any = module
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is not kind


def _by_definition(kind: type) -> tuple[Callable[..., type], tuple[Any, ...]]:
    if kind not in _struct_ids:
        _struct_ids[kind] = uuid.uuid4().hex
    config = kind.__struct_config__  # type: ignore[attr-defined]
    options = {
        name: getattr(config, name)
        for name in ("frozen", "eq", "order", "array_like", "gc", "tag", "tag_field", "omit_defaults", "repr_omit_defaults",
                     "forbid_unknown_fields", "weakref", "dict", "cache_hash")
    }  # fmt: skip
    fields = []
    for each in msgspec.structs.fields(kind):
        if each.default is not msgspec.NODEFAULT:
            fields.append((each.name, each.type, msgspec.field(default=each.default, name=each.encode_name)))
        elif each.default_factory is not msgspec.NODEFAULT:
            fields.append(
                (each.name, each.type, msgspec.field(default_factory=each.default_factory, name=each.encode_name))
            )
        else:
            fields.append((each.name, each.type, msgspec.field(name=each.encode_name)))
    own = {
        name: value
        for name, value in vars(kind).items()
        if isinstance(value, (types.FunctionType, property, classmethod, staticmethod)) and not _of_msgspec(name)
    }
    return _defined_struct, (_struct_ids[kind], kind.__name__, fields, kind.__module__, kind.__doc__, options, own)


def _of_msgspec(name: str) -> bool:
    return name in vars(msgspec.Struct) and name != "__post_init__"


def _defined_struct(
    identity: str,
    name: str,
    fields: list[Any],
    module: str,
    doc: str | None,
    options: dict[str, Any],
    own: dict[str, Any],
) -> type:
    if identity not in _structs_by_id:
        namespace = {**own, "__doc__": doc}
        _structs_by_id[identity] = msgspec.defstruct(
            name, fields, module=module, namespace=namespace, kw_only=False, **options
        )
    return _structs_by_id[identity]


def _culprit(value: Any, path: str, seen: set[int], depth: int = 0) -> tuple[str, str, str] | None:
    """The path, the description and the remedy for the innermost part of `value` that does not pickle."""
    if id(value) in seen or depth > 12:
        return None
    seen.add(id(value))
    try:
        dump(value)
        return None
    except Exception:
        pass
    for inner, part in _inside(value, path):
        found = _culprit(part, inner, seen, depth + 1)
        if found is not None:
            return found
    kind = type(value)
    what = f"a {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    if isinstance(value, io.IOBase):
        return path, f"an open file ({getattr(value, 'name', '?')!r})", "open it in init and keep it in node.state"
    if isinstance(value, functools._lru_cache_wrapper):
        return (
            path,
            "a functools.lru_cache function of the script",
            "put it into a module beside the script, or cache in init",
        )
    return path, what, "create it in init and keep it in node.state"


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Everything that `value` carries along, with its path."""
    seen: set[int] = set()
    pending = [(path, value)]
    while pending:
        where, each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield where, each
        pending.extend(_inside(each, where))


def _inside(value: Any, path: str) -> list[tuple[str, Any]]:
    """The parts of `value` that a pickle of it would hold, with their paths."""
    if isinstance(value, functools.partial):
        return [(f"{path}.func", value.func), *((f"{path}.args[{i}]", each) for i, each in enumerate(value.args)),
                *((f"{path}.keywords[{name!r}]", each) for name, each in value.keywords.items())]  # fmt: skip
    if isinstance(value, types.MethodType):
        return [(f"{path}.__self__", value.__self__)]
    if isinstance(value, types.FunctionType):
        return _inside_function(value, path)
    if isinstance(value, dict):
        return [(f"{path}[{key!r}]", each) for key, each in value.items()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(f"{path}[{index}]", each) for index, each in enumerate(value)]
    if isinstance(value, (type, types.ModuleType, io.IOBase)) or not hasattr(value, "__dict__"):
        return []
    return [(f"{path}.{name}", each) for name, each in vars(value).items()]


def _inside_function(function: types.FunctionType, path: str) -> list[tuple[str, Any]]:
    inside = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            inside.append((f"{path}: closure variable {name!r}", cell.cell_contents))
        except ValueError:  # not filled yet
            continue
    by_value = function.__module__ == "__main__" or function.__module__ not in sys.modules
    if by_value or function.__closure__ or function.__name__ == "<lambda>":
        for name in _global_names(function.__code__):
            if name in function.__globals__:
                inside.append((f"{path}: global {name!r}", function.__globals__[name]))
    inside += [(f"{path}: default {index}", each) for index, each in enumerate(function.__defaults__ or ())]
    inside += [(f"{path}: default {name!r}", each) for name, each in (function.__kwdefaults__ or {}).items()]
    return inside


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names
