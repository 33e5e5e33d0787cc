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
import typing
import uuid
import weakref
from collections.abc import Iterator
from typing import Any

import cloudpickle
import msgspec

from horus_core.errors import UnshippableCallable

_LARGE = 1 << 20
_struct_ids: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_structs_by_id: dict[str, type] = {}


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc,unused-ignore]
    def __init__(self, into: io.BytesIO) -> None:
        super().__init__(into, protocol=pickle.HIGHEST_PROTOCOL)
        self._structs: set[type] = set()  # that this pickle holds, or is about to

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and _lives_in_script(value):
            return _by_definition(value, self._structs)
        if isinstance(
            value, types.CodeType
        ):  # cloudpickle 3.1.3 leaves out which file it is from, which tracebacks need
            _, arguments = self.dispatch_table[types.CodeType](value)
            return _code, (arguments, value.co_filename)
        if isinstance(value, msgspec.Meta):
            return _meta, ({name: found for name in _META if (found := getattr(value, name)) is not None},)
        if isinstance(value, io.IOBase) and value not in (sys.stdout, sys.stderr, sys.stdin):
            raise pickle.PicklingError(f"an open file ({getattr(value, 'name', '?')!r})")
        return super().reducer_override(value)


def _code(arguments: tuple[Any, ...], filename: str) -> types.CodeType:
    return types.CodeType(*arguments).replace(co_filename=filename)


def _meta(given: dict[str, Any]) -> msgspec.Meta:
    return msgspec.Meta(**given)


def dump(value: Any) -> bytes:
    """`value` as bytes for :func:`load` in another process; raises whatever does not pickle."""
    into = io.BytesIO()
    _Pickler(into).dump(value)
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


def _by_definition(kind: type, under_way: set[type]) -> tuple[Any, ...]:
    """How to rebuild a Struct class: its fields first, then what may refer to the class itself (methods, constants)."""
    identity = _struct_ids.setdefault(kind, uuid.uuid4().hex)
    config = kind.__struct_config__  # type: ignore[attr-defined]
    options = {name: getattr(config, name) for name in _STRUCT_OPTIONS}
    own = vars(kind).get("__annotations__", {})
    positional = set(kind.__match_args__)  # type: ignore[attr-defined]
    under_way.add(kind)
    fields = [
        (
            each.name,
            _without_cycles(each.type, under_way),
            each.default is not msgspec.NODEFAULT,
            None if each.default is msgspec.NODEFAULT else each.default,
            None if each.default_factory is msgspec.NODEFAULT else each.default_factory,
            each.encode_name,
            each.name not in positional,
        )
        for each in msgspec.structs.fields(kind)
        if each.name in own
    ]
    names = {each[0] for each in fields}
    rest = {
        name: value
        for name, value in vars(kind).items()
        if name not in names and name not in _MADE_BY_MSGSPEC and not isinstance(value, types.MemberDescriptorType)
    }
    bases = tuple(base for base in kind.__bases__ if base is not msgspec.Struct)
    arguments = (identity, kind.__name__, kind.__qualname__, bases, fields, options, "__post_init__" in rest)
    return _defined_struct, arguments, rest, None, None, _complete_struct


def _without_cycles(annotation: Any, under_way: set[type]) -> Any:
    """`annotation` with the classes that are just being shipped as forward references."""
    if isinstance(annotation, type) and annotation in under_way:
        return typing.ForwardRef(annotation.__name__)
    inner = typing.get_args(annotation)
    if not inner or not any(_mentions(each, under_way) for each in inner):
        return annotation
    replaced = tuple(_without_cycles(each, under_way) for each in inner)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return typing.Union[replaced]  # noqa: UP007 - built from a tuple
    return origin[replaced if len(replaced) > 1 else replaced[0]] if origin is not None else annotation


def _mentions(annotation: Any, under_way: set[type]) -> bool:
    if isinstance(annotation, type) and annotation in under_way:
        return True
    return any(_mentions(each, under_way) for each in typing.get_args(annotation))


def _defined_struct(
    identity: str,
    name: str,
    qualname: str,
    bases: tuple[type, ...],
    fields: list[tuple[str, Any, bool, Any, Any, str, bool]],
    options: dict[str, Any],
    post_init: bool,
) -> type:
    if identity in _structs_by_id:
        return _structs_by_id[identity]
    namespace = {"__post_init__": _post_init} if post_init else {}
    positional = [_field(each) for each in fields if not each[6]]
    keyword = [_field(each) for each in fields if each[6]]
    kind: type
    if keyword and positional:
        under = msgspec.defstruct(name, positional, bases=bases or None, module="__main__", **options)
        kind = msgspec.defstruct(
            name, keyword, bases=(under,), module="__main__", namespace=namespace, kw_only=True, **options
        )
    else:
        kind = msgspec.defstruct(
            name,
            [*positional, *keyword],
            bases=bases or None,
            module="__main__",
            namespace=namespace,
            kw_only=bool(keyword),
            **options,
        )
    kind.__qualname__ = qualname
    _structs_by_id[identity] = kind
    # Where forward references are looked up.
    sys.modules["__main__"].__dict__[name] = kind
    return kind


def _field(each: tuple[str, Any, bool, Any, Any, str, bool]) -> tuple[str, Any, Any]:
    name, kind, has_default, default, factory, encode_name, _ = each
    given: dict[str, Any] = (
        {"default_factory": factory} if factory is not None else {"default": default} if has_default else {}
    )
    return name, kind, msgspec.field(name=encode_name, **given)


def _post_init(self: Any) -> None:
    """msgspec looks for ``__post_init__`` when the class is made; the class's own arrives after that."""
    self._horus_post_init()


def _complete_struct(kind: type, rest: dict[str, Any]) -> None:
    for name, value in rest.items():
        type.__setattr__(kind, "_horus_post_init" if name == "__post_init__" else name, value)


_META = tuple(name for name in dir(msgspec.Meta) if not name.startswith("_"))
_STRUCT_OPTIONS = (
    "frozen",
    "eq",
    "order",
    "array_like",
    "gc",
    "tag",
    "tag_field",
    "omit_defaults",
    "repr_omit_defaults",
    "forbid_unknown_fields",
    "weakref",
    "dict",
    "cache_hash",
)
_MADE_BY_MSGSPEC = frozenset(vars(msgspec.defstruct("_Empty", ["field"], weakref=True, dict=True))) - {"__doc__"}


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
