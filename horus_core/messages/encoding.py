"""How a value becomes the bytes of a message, and back.

Three encodings, named by the number that stands in a lane's index and in a recording's ``encoding`` column:

``MSGPACK`` (0)
    One msgpack object. Small NumPy arrays and all NumPy scalars are extension 1: a msgpack list
    ``[dtype, shape, bytes]`` (``shape`` is None for a scalar).
``RAW`` (1)
    The bytes themselves: what ``bytes``, ``bytearray`` and ``memoryview`` values are sent as.
``ARRAYS`` (2)
    For values that hold a large array: 8 bytes little-endian length of the msgpack object, the object, then each array's
    bytes at the next multiple of 64. In the object an array is extension 2: ``[dtype, shape, offset]``, the offset counted
    from the first array's place. The payload itself starts at a multiple of 64 in its lane.

A receiver gets what was sent, but for what msgpack has no form for: tuples and sets arrive as lists, dataclasses and
Structs as dicts, unless the topic is typed. The values are the same in every execution mode and in a replay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from horus_core.errors import UndecodableMessage, UnsendableValue

if TYPE_CHECKING:
    import numpy as np

MSGPACK, RAW, ARRAYS, RAISED = 0, 1, 2, 3
EXT_ARRAY, _EXT_REFERENCE = 1, 2
_LARGE_ARRAY = 1024  # bytes from which an array goes beside the msgpack object
_ALIGN = 64
_WORD = 8

Decode = Callable[[memoryview], Any]


class Parts:
    """A value that holds large arrays, encoded but for the arrays, which are copied once, into the lane.

    Attributes:
        size: bytes of the whole payload.
    """

    __slots__ = ("arrays", "packed", "size")

    def __init__(self, packed: bytes, arrays: list[tuple[int, np.ndarray]], size: int) -> None:
        self.packed, self.arrays, self.size = packed, arrays, size

    def write(self, into: memoryview) -> None:
        """Writes the payload into `into`, which has `size` bytes."""
        import numpy as np

        head = len(self.packed)
        into[:_WORD] = head.to_bytes(_WORD, "little")
        into[_WORD : _WORD + head] = self.packed
        end = _WORD + head
        for offset, array in self.arrays:
            into[end:offset] = bytes(offset - end)
            end = offset + array.nbytes
            if array.nbytes:
                place = np.frombuffer(into[offset:end], dtype=array.dtype).reshape(array.shape)
                np.copyto(place, array)

    def __bytes__(self) -> bytes:
        whole = bytearray(self.size)
        self.write(memoryview(whole))
        return bytes(whole)


def _dtype_form(dtype: np.dtype) -> Any:
    if dtype.hasobject:
        raise TypeError("NumPy object arrays hold Python objects, not data")
    return dtype.descr if dtype.names else dtype.str


def _with_size(value: Any) -> Any:
    """An array or scalar whose items have a byte at least: of empty texts nobody could tell how many there are."""
    if value.dtype.itemsize or value.dtype.kind not in "US":
        return value
    import numpy as np

    return np.asarray(value).astype(f"{value.dtype.kind}1")


def dtype_of(form: Any) -> np.dtype:
    """The dtype that a message names, which holds data only."""
    import numpy as np

    dtype = np.dtype(form) if isinstance(form, str) else np.lib.format.descr_to_dtype(_fields(form))
    if dtype.hasobject:
        raise ValueError("dtype holds objects")
    return dtype


def _fields(form: Any) -> Any:
    """A structured dtype's description with the tuples that msgpack made lists of: (name, form[, shape])."""
    return [
        (name, of if isinstance(of, str) else _fields(of), *(tuple(each) for each in shape))
        for name, of, *shape in form
    ]


class Encoder:
    """Encodes the values that one node sends on one topic.

    Args:
        node: name for error messages.
        topic: name for error messages.
        kind: the topic's declared type; a dict sent on such a topic is checked against it.

    Attributes:
        pack: makes a msgpack object of a value that is not bytes, on a topic without a declared type.
        arrays: the large arrays that `pack` met, which go beside the object: (offset, array). Always the same list.
    """

    def __init__(self, node: str, topic: str, kind: type | None = None) -> None:
        self._node, self._topic, self._kind = node, topic, kind
        self._convert = kind is not None and (
            hasattr(kind, "__struct_fields__") or hasattr(kind, "__dataclass_fields__")
        )
        self.arrays: list[tuple[int, np.ndarray]] = []
        self.pack = msgspec.msgpack.Encoder(enc_hook=self._hook).encode

    def encode(self, value: Any) -> tuple[int, bytes | Parts]:
        """The encoding and the payload of `value`.

        Raises:
            UnsendableValue: no topic carries such a value.

        >>> Encoder("n", "t").encode({"a": 1})
        (0, b'\\x81\\xa1a\\x01')
        """
        if self._kind is not None:
            value = self._checked(value)
        try:
            if type(value) in _BYTES:
                return RAW, bytes(value)
            packed = self.pack(value)
        except (TypeError, OverflowError, RecursionError, ValueError) as problem:
            self.arrays.clear()
            why = str(problem).rstrip(".") or type(problem).__name__
            if isinstance(problem, OverflowError):
                why = "an int must lie between -2**63 and 2**64 - 1"
            raise UnsendableValue(self._node, self._topic, type(value).__name__, why) from None
        return self.rest(packed) if self.arrays else (MSGPACK, packed)

    def rest(self, packed: bytes) -> tuple[int, Parts]:
        """The encoding and the payload of a value that `pack` made `packed` of, and met large arrays in."""
        arrays = self.arrays[:]
        self.arrays.clear()
        return ARRAYS, _parts(packed, arrays)

    def _checked(self, value: Any) -> Any:
        kind = self._kind
        if self._convert:
            if isinstance(value, kind):  # type: ignore[arg-type]
                return value
            try:
                return msgspec.convert(value, kind, from_attributes=True)
            except msgspec.ValidationError as problem:
                raise UnsendableValue(self._node, self._topic, type(value).__name__, str(problem)) from None
        if kind in (float, int) and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
            value = value.item()
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(kind, type) and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            why = f"the topic is declared as {kind.__name__}"
            raise UnsendableValue(self._node, self._topic, type(value).__name__, why)
        return value

    def _hook(self, value: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            if isinstance(value, numpy.ndarray):
                if isinstance(value, numpy.ma.MaskedArray):
                    raise TypeError("a masked array would lose its mask; send its data and its mask as two arrays")
                value = _with_size(value)
                form, shape = _dtype_form(value.dtype), value.shape
                if value.nbytes < _LARGE_ARRAY:
                    return msgspec.msgpack.Ext(EXT_ARRAY, _plain.encode((form, shape, value.tobytes())))
                last = self.arrays[-1] if self.arrays else None
                offset = -(-(last[0] + last[1].nbytes) // _ALIGN) * _ALIGN if last else 0
                self.arrays.append((offset, value))
                return msgspec.msgpack.Ext(_EXT_REFERENCE, _plain.encode((form, shape, offset)))
            if isinstance(value, numpy.generic):
                if self._kind is not None and value.dtype.kind in "biufSU":
                    return value.item()  # a typed field is a plain value
                value = _with_size(value)
                form = _dtype_form(value.dtype)
                return msgspec.msgpack.Ext(EXT_ARRAY, _plain.encode((form, None, value.tobytes())))
        for base in _PLAIN_KINDS:
            if isinstance(value, base):
                return base(value)
        raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} is not data")


_plain = msgspec.msgpack.Encoder()


def _parts(packed: bytes, arrays: list[tuple[int, np.ndarray]]) -> Parts:
    # The references hold offsets from the start of the array area, so they do not depend on the object's length.
    start = -(-(_WORD + len(packed)) // _ALIGN) * _ALIGN
    placed = [(start + offset, array) for offset, array in arrays]
    last = placed[-1]
    return Parts(packed, placed, last[0] + last[1].nbytes)


class Decoder:
    """Decodes the messages of one topic.

    Args:
        topic: name for error messages.
        kind: the topic's declared type, or None for plain values.

    Attributes:
        unpack: reads one msgpack object; raises what msgspec raises.
    """

    def __init__(self, topic: str, kind: type | None = None) -> None:
        self._topic = topic
        typed = kind is not None and (hasattr(kind, "__struct_fields__") or hasattr(kind, "__dataclass_fields__"))
        target: Any = kind if typed or kind in _BUILTIN_KINDS else Any
        self._area: tuple[memoryview, bool] | None = None
        self.unpack: Decode = msgspec.msgpack.Decoder(target, ext_hook=self._ext, dec_hook=_identity).decode

    def decode(self, encoding: int, payload: memoryview, copy: bool = True) -> Any:
        """The value of a message.

        Args:
            encoding: MSGPACK, RAW or ARRAYS.
            payload: the message's bytes.
            copy: False gives arrays that are read-only views of `payload`.

        Raises:
            UndecodableMessage: the bytes are not such a message.
        """
        try:
            if encoding in (MSGPACK, RAISED):
                return self.unpack(payload)
            if encoding == RAW:
                return bytes(payload)
            if encoding == ARRAYS:
                size = int.from_bytes(payload[:_WORD], "little")
                if size > len(payload) - _WORD:
                    raise ValueError("the length of its object exceeds the message")
                self._area = (payload, copy)
                try:
                    return self.unpack(payload[_WORD : _WORD + size])
                finally:
                    self._area = None
            raise ValueError(f"unknown encoding {encoding}")
        except (
            msgspec.MsgspecError,
            RecursionError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            OverflowError,
            SyntaxError,  # NumPy parses the name of a dtype
        ) as problem:
            raise UndecodableMessage(self._topic, str(problem) or type(problem).__name__) from None

    def _ext(self, code: int, data: memoryview) -> Any:
        import numpy as np

        if code == EXT_ARRAY:
            form, shape, raw = msgspec.msgpack.decode(data)
            array = np.frombuffer(raw, dtype=dtype_of(form))
            return array[0] if shape is None else array.reshape(shape).copy()
        if code == _EXT_REFERENCE and self._area is not None:
            form, shape, offset = msgspec.msgpack.decode(data)
            payload, copy = self._area
            if offset < 0:
                raise ValueError("an array lies before its message")
            size = int.from_bytes(payload[:_WORD], "little")
            start = -(-(_WORD + size) // _ALIGN) * _ALIGN + offset
            dtype = dtype_of(form)
            count = 1
            for extent in shape:
                count *= extent
            view = np.frombuffer(payload[start : start + count * dtype.itemsize], dtype=dtype).reshape(shape)
            if copy:
                return view.copy()
            view.flags.writeable = False
            return view
        raise ValueError(f"unknown extension {code}")


_BYTES = (bytes, bytearray, memoryview)
_PLAIN_KINDS: tuple[Any, ...] = (str, int, float, bytes, list, dict, tuple)
_BUILTIN_KINDS = (bool, int, float, str, list, dict, tuple, set, frozenset)


def _identity(kind: type, value: Any) -> Any:
    """A typed field that msgspec cannot build (an ndarray): it is what the extension decoded to."""
    if isinstance(value, kind):
        return value
    raise ValueError(f"expected {kind.__name__}, got {type(value).__name__}")
