"""Values on a topic: what arrives equals what was sent, bit for bit where bits matter; the rest is refused by name."""

from __future__ import annotations

import enum
import math
import struct
import threading
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from horus_core.errors import UndecodableMessage, UnsendableValue
from horus_core.messages.encoding import ARRAYS, MSGPACK, RAW, Decoder, Encoder, Parts

LARGE = 5000  # elements: beside the message, whatever the type


class CmdVel(msgspec.Struct):
    linear: float
    angular: float = 0.0


class Frame(msgspec.Struct):
    stamp: int
    image: np.ndarray
    labels: list[str] = []


@dataclass
class Pose:
    x: float
    y: float
    tags: list[str] = field(default_factory=list)


@dataclass
class Path:
    name: str
    poses: list[Pose]
    goal: Pose | None = None


def through(value: Any, kind: type | None = None, copy: bool = True) -> Any:
    """`value` as the other side of a topic gets it."""
    encoding, payload = Encoder("sender", "topic", kind).encode(value)
    return Decoder("topic", kind).decode(encoding, memoryview(bytes(payload)), copy)


def same(one: Any, other: Any) -> bool:
    """Equal in type and in every bit: NaN equals NaN, 0.0 is not -0.0, True is not 1."""
    if isinstance(one, np.ndarray | np.generic):
        return (
            type(one) is type(other)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


# Plain data.

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True),
    st.text(),
    st.binary(),
)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.text(), st.integers(-9, 9)), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(PLAIN)
@example(math.nan)
@example(-0.0)
@example([math.inf, -math.inf, 5e-324, 1.7976931348623157e308])
@example([-(2**63), 2**63 - 1, 2**63, 2**64 - 1])
@example({"größe": {"左": [{}, [], "", b"", None, {"": b"\x00\xff"}]}})
@example({1: "one", -1: "minus", "1": "string", 2**63: "big"})
@example("\x00\u2028😀\U0010ffff")
def test_plain_data_arrives_in_every_bit(value: Any) -> None:
    assert same(value, through(value))


@given(st.binary(max_size=200))
@example(b"")
def test_bytes_go_as_they_are(value: bytes) -> None:
    encoding, payload = Encoder("n", "t").encode(value)
    assert (encoding, payload) == (RAW, value)
    for form in (value, bytearray(value), memoryview(value)):
        assert same(through(form), value)


def test_a_view_with_gaps_is_sent_as_what_it_shows() -> None:
    assert through(memoryview(b"abcdef")[::2]) == b"ace"


def test_a_deep_nest_arrives_and_a_bottomless_one_is_refused() -> None:
    value: Any = "deep"
    for _ in range(100):
        value = [{"in": value}]
    assert through(value) == value
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnsendableValue, match="'sender'"):
        Encoder("sender", "t").encode(loop)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ((1, 2, (3,)), [1, 2, [3]]),
        ({"a": (1,)}, {"a": [1]}),
        ({(1, 2): "key"}, {(1, 2): "key"}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(int, a=1), {"a": 1}),
    ],
)
def test_what_msgpack_has_no_form_for_arrives_as_its_plain_form(value: Any, arrives: Any) -> None:
    assert same(through(value), arrives)


@pytest.mark.parametrize("value", [{3, 1, 2}, frozenset({3, 1, 2})])
def test_a_set_arrives_as_a_list(value: Any) -> None:
    arrived = through(value)
    assert isinstance(arrived, list)
    assert sorted(arrived) == [1, 2, 3]


class Name(str):
    pass


class Count(int):
    pass


class Metre(float):
    pass


class Gear(enum.IntEnum):
    FIRST = 1


class Row(list):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Name("x"), "x"),
        (Count(7), 7),
        (Metre(0.5), 0.5),
        (Gear.FIRST, 1),
        (Row([1, 2]), [1, 2]),
        ({"n": [Name("y")]}, {"n": ["y"]}),
    ],
)
def test_a_subclass_of_a_plain_type_arrives_as_the_plain_type(value: Any, arrives: Any) -> None:
    assert same(through(value), arrives)


def test_a_key_is_what_it_was() -> None:
    value = {0: "int", -5: "negative", 2.5: "float", True: "bool", None: "none", "s": "str"}
    assert through(value) == value


# NumPy.

DTYPES = ["?", "i1", "u1", "<i2", ">i2", "<u4", ">i4", "<i8", ">u8", "<f2", "<f4", ">f4", "<f8", ">f8", "<c8", "<c16",
          "S5", "<U3", ">U3", "<M8[ns]", "<m8[us]", "V6"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 2), (0, 4), (2, 0, 3), (LARGE,), (5, LARGE // 10)], ids=str)
@pytest.mark.parametrize("copy", [True, False])
def test_an_array_of_any_dtype_and_shape_arrives_in_every_bit(dtype: str, shape: tuple[int, ...], copy: bool) -> None:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.random.default_rng(7).integers(0, 100, size, dtype=np.uint8).tobytes()
    array = np.frombuffer(raw, dtype=dtype).reshape(shape) if "U" not in dtype else np.full(shape, "aß左", dtype)
    arrived = through(array, copy=copy)
    assert same(array, arrived)
    assert same({"deep": [array, {"x": array}]}, through({"deep": [array, {"x": array}]}, copy=copy))


@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)))
def test_any_array_arrives_in_every_bit(array: np.ndarray) -> None:
    assert same(array, through(array))
    assert same(array, through([array, array], copy=False)[1])


STRUCTURED = [
    np.dtype([("x", "<f4"), ("y", "<f8")]),
    np.dtype([("x", "<f4"), ("y", "<f8"), ("flag", "?")], align=True),
    np.dtype([("name", "S4"), ("matrix", "<f8", (2, 3)), ("row", "<i4", (5,))]),
    np.dtype([("outer", [("inner", "<i2"), ("other", [("deepest", ">f8")])]), ("last", "u1")]),
    np.dtype([("outer", [("inner", "<i2")], (2,))]),
    np.dtype({"names": ["a", "b"], "formats": ["<i2", "<f8"], "offsets": [3, 16], "itemsize": 40}),
    np.dtype([("größe", "<f4"), ("左", "<i4")]),
    np.dtype([("one", "<i8")]),
]


@pytest.mark.parametrize("dtype", STRUCTURED, ids=lambda dtype: str(dtype)[:60])
@pytest.mark.parametrize("count", [0, 1, 3, LARGE])
def test_a_structured_array_arrives_with_its_fields(dtype: np.dtype, count: int) -> None:
    array = np.zeros(count, dtype=dtype)
    for at, name in enumerate(dtype.names or ()):
        if array[name].dtype.names is None:
            array[name] = at + 1
        else:
            array[name][array[name].dtype.names[0]] = at + 7
    arrived = through(array)
    assert arrived.dtype == array.dtype
    assert arrived.dtype.names == dtype.names
    assert arrived.shape == array.shape
    assert (arrived == array).all()
    if count:
        assert through(array[0]) == array[0]
        assert through(array[0]).dtype == dtype


GRID = np.arange(LARGE * 4, dtype=np.float64).reshape(LARGE, 4)


@pytest.mark.parametrize(
    "array",
    [
        GRID.T,
        GRID[::2],
        GRID[::-1],
        GRID[:, 1],
        GRID[1:3, ::-2],
        np.asfortranarray(GRID),
        np.broadcast_to(np.float32(2.5), (LARGE,)),
        np.moveaxis(GRID.reshape(10, -1, 4), 2, 0),
        np.lib.stride_tricks.sliding_window_view(GRID[:, 0], 3),
        GRID.astype(">f4")[1::7],
        GRID.view([("a", "<f8"), ("b", "<f8"), ("c", "<f8"), ("d", "<f8")])["b"],
    ],
    ids=range(11),
)
def test_an_array_that_is_not_contiguous_arrives_as_it_reads(array: np.ndarray) -> None:
    for copy in (True, False):
        arrived = through({"a": array}, copy=copy)["a"]
        assert arrived.dtype == array.dtype
        assert arrived.shape == array.shape
        assert (arrived == array).all()


@pytest.mark.parametrize(
    "scalar",
    [
        np.float32(0.1), np.float64("nan"), np.float64(-0.0), np.float16(1.5), np.int8(-128), np.uint64(2**64 - 1),
        np.int64(-(2**63)), np.bool_(True), np.complex64(1 + 2j), np.str_("größe"), np.bytes_(b"ab"),
        np.str_(""), np.bytes_(b""),
        np.datetime64("2026-11-22T10:00:00.123456789"), np.timedelta64(5, "ms"), np.longdouble(1) / 3,
    ],
    ids=repr,
)  # fmt: skip
def test_a_numpy_scalar_stays_one(scalar: Any) -> None:
    for value, arrived in ((scalar, through(scalar)), (scalar, through({"s": [scalar]})["s"][0])):
        assert type(arrived) is type(value)
        assert arrived.dtype == value.dtype
        assert arrived.tobytes() == value.tobytes()


def test_an_array_is_writeable_where_it_was_copied_and_never_where_it_is_a_view() -> None:
    for size in (3, LARGE):
        array = np.arange(size)
        arrived = through(array)
        arrived[0] = 99
        assert arrived[0] == 99
    view = through(np.arange(LARGE), copy=False)
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


def test_a_large_array_is_copied_in_when_it_is_written_and_lies_at_a_multiple_of_64() -> None:
    array = np.arange(LARGE, dtype=np.float64)
    encoding, parts = Encoder("n", "t").encode({"k": array, "other": array[:2000]})
    assert encoding == ARRAYS
    assert isinstance(parts, Parts)
    into = bytearray(parts.size)
    parts.write(memoryview(into))
    assert bytes(parts) == bytes(into)
    for part in (array, array[:2000]):
        assert bytes(into).find(part.tobytes()) % 64 == 0


def test_arrays_from_different_messages_of_one_encoder_do_not_mix() -> None:
    encoder, decoder = Encoder("n", "t"), Decoder("t")
    sent = [{"a": np.full(LARGE, at), "b": np.full(LARGE // 2, -at)} for at in range(3)]
    encoded = [encoder.encode(each) for each in sent]
    with pytest.raises(UnsendableValue):
        encoder.encode({"a": np.zeros(LARGE), "lock": threading.Lock()})
    encoded.append(encoder.encode(sent[0]))
    for value, (encoding, payload) in zip([*sent, sent[0]], encoded, strict=True):
        assert same(value, decoder.decode(encoding, memoryview(bytes(payload))))


# Dataclasses and Structs.


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (CmdVel(1.0, -0.0), {"linear": 1.0, "angular": -0.0}),
        (Pose(1.5, math.inf, ["ü"]), {"x": 1.5, "y": math.inf, "tags": ["ü"]}),
        (
            Path("p", [Pose(0.0, 1.0)], Pose(2.0, 3.0)),
            {"name": "p", "poses": [{"x": 0.0, "y": 1.0, "tags": []}], "goal": {"x": 2.0, "y": 3.0, "tags": []}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_arrives_whole_on_a_typed_topic_and_as_a_dict_on_an_untyped_one(value: Any, plain: Any) -> None:
    arrived = through(value, type(value))
    assert type(arrived) is type(value)
    assert arrived == value
    assert same(through(value), plain)
    assert through([value])[0] == plain


def test_a_typed_object_may_hold_arrays() -> None:
    frame = Frame(7, np.arange(LARGE, dtype=np.uint8).reshape(50, 100), ["a"])
    for copy in (True, False):
        arrived = through(frame, Frame, copy)
        assert type(arrived) is Frame
        assert (arrived.stamp, arrived.labels) == (7, ["a"])
        assert same(arrived.image, frame.image)
    small = through(Frame(1, np.array([1.0])), Frame)
    assert same(small.image, np.array([1.0]))


def test_a_dict_with_the_fields_will_do_on_a_typed_topic() -> None:
    assert through({"linear": 1.0}, CmdVel) == CmdVel(1.0, 0.0)
    assert through({"x": 1.0, "y": 2.0}, Pose) == Pose(1.0, 2.0)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ({"linear": "fast"}, CmdVel, "Expected `float`"),
        ({"angular": 1.0}, CmdVel, "linear"),
        (3, CmdVel, "int"),
        (None, CmdVel, "NoneType"),
        ("1.0", float, "declared as float"),
        (1.0, int, "declared as int"),
        ([1], dict, "declared as dict"),
        (3, str, "declared as str"),
        (3, np.ndarray, "declared as ndarray"),
    ],
    ids=str,
)
def test_what_is_not_of_the_topics_type_is_refused_where_it_is_sent(value: Any, kind: type, words: str) -> None:
    with pytest.raises(UnsendableValue) as caught:
        Encoder("driver", "cmd_vel", kind).encode(value)
    text = str(caught.value)
    assert "'driver'" in text
    assert "'cmd_vel'" in text
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1.5, float), (3, int), ("x", str), ([1, "a"], list), ({"a": 1}, dict), (True, bool), (b"ab", bytes)],
    ids=str,
)
def test_a_builtin_type_holds(value: Any, kind: type) -> None:
    assert same(through(value, kind), value)


def test_a_whole_number_on_a_float_topic_arrives_as_a_float() -> None:
    assert same(through(3, float), 3.0)


@pytest.mark.parametrize(("value", "kind"), [((1, "a"), tuple), ({1, 2}, set), (frozenset({1}), frozenset)])
def test_a_topic_typed_as_a_form_that_msgpack_has_not_delivers_that_form(value: Any, kind: type) -> None:
    assert same(through(value, kind), value)


@pytest.mark.parametrize(
    ("value", "kind"), [(np.float64(1.5), float), (True, int), (np.str_("x"), str), (Count(3), int)], ids=repr
)
def test_what_a_typed_topic_accepts_it_delivers(value: Any, kind: type) -> None:
    """np.float64 is a float, True is an int: either they are refused where they are sent, or they arrive."""
    try:
        encoding, payload = Encoder("n", "t", kind).encode(value)
    except UnsendableValue:
        return
    arrived = Decoder("t", kind).decode(encoding, memoryview(bytes(payload)))
    assert arrived == value
    assert isinstance(arrived, kind)


@pytest.mark.parametrize("kind", [CmdVel, Pose])
def test_a_typed_field_takes_the_numpy_scalar_that_a_computation_gave(kind: type) -> None:
    """NumPy code gives np.float64 everywhere; a field declared float must carry it."""
    value = kind(np.float64(1.5), np.float64(-2.0))
    arrived = through(value, kind)
    assert type(arrived) is kind
    assert arrived == value


# What no topic carries.


class Opaque:
    pass


def numbers() -> Any:
    yield 1


@pytest.mark.parametrize(
    "value",
    [
        object(), Opaque(), threading.Lock(), numbers(), numbers, open, Opaque, 1j, range(3), deque([1]), 2**64, -(2**63) - 1,
        np.array([object()]), np.array([{}, []], dtype=object), np.dtype("f8"), math, ValueError("x"), slice(1),
        "\ud800",
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": [1, value]}], ids=["bare", "nested"])
def test_anything_else_is_refused_by_node_topic_and_type(value: Any, wrap: Any) -> None:
    with pytest.raises(UnsendableValue) as caught:
        Encoder("arm", "joint.state").encode(wrap(value))
    text = str(caught.value)
    assert "'arm'" in text
    assert "'joint.state'" in text
    assert type(wrap(value)).__name__ in text
    assert "msgspec.Struct" in text, "it lists what can be sent"
    assert "\n" not in text


def test_a_masked_array_does_not_lose_its_mask_in_silence() -> None:
    with pytest.raises(UnsendableValue, match="mask"):
        through(np.ma.array([1.0, 2.0], mask=[False, True]))


# What comes in may be anything.


def refusal(decoder: Decoder, encoding: int, payload: bytes) -> str | None:
    """What the decoder says against it; an exception that is not ours goes through."""
    try:
        decoder.decode(encoding, memoryview(payload))
    except UndecodableMessage as problem:
        return str(problem)
    return None


def everything(payload: bytes) -> list[tuple[int, bytes]]:
    return [(encoding, payload) for encoding in (MSGPACK, RAW, ARRAYS, 3, 255)]


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff" * 9)
@example((2**63).to_bytes(8, "little"))
def test_bytes_that_are_no_message_are_an_error_of_ours(payload: bytes) -> None:
    for kind in (None, CmdVel, float):
        decoder = Decoder("scan", kind)
        for encoding, data in everything(payload):
            problem = refusal(decoder, encoding, data)
            assert problem is None or ("'scan'" in problem and "\n" not in problem)


WIRE = [
    bytes(Encoder("n", "t").encode({"a": np.zeros(size, dtype), "b": [1.5]})[1])
    for size in (3, 200)
    for dtype in ("<f8", STRUCTURED[0])
]


@given(st.sampled_from(WIRE), st.data())
def test_a_message_with_a_changed_or_missing_byte_is_read_or_refused(wire: bytes, data: st.DataObject) -> None:
    changed = bytearray(wire[: data.draw(st.integers(0, len(wire)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if changed:
            changed[data.draw(st.integers(0, min(len(changed) - 1, 90)))] = data.draw(st.integers(0, 255))
    decoder = Decoder("t")
    for encoding in (MSGPACK, ARRAYS):
        try:
            decoder.decode(encoding, memoryview(bytes(changed)))
        except UndecodableMessage:
            continue


def form(*parts: Any) -> bytes:
    return msgspec.msgpack.encode(parts)


@pytest.mark.parametrize(
    "ext",
    [
        msgspec.msgpack.Ext(1, form("|O", None, b"\x00" * 8)),
        msgspec.msgpack.Ext(1, form([["a", "|O"]], [1], b"\x00" * 8)),
        msgspec.msgpack.Ext(1, form("<f8", [1 << 40], b"")),
        msgspec.msgpack.Ext(1, form("<f8", [-1], b"\x00" * 4)),
        msgspec.msgpack.Ext(1, form("no such type", None, b"")),
        msgspec.msgpack.Ext(1, form("<f8", None, b"")),
        msgspec.msgpack.Ext(1, form("<f8,(", [1], b"")),
        msgspec.msgpack.Ext(1, form(7, [1], b"")),
        msgspec.msgpack.Ext(1, form("<f8", "x", b"\x00" * 8)),
        msgspec.msgpack.Ext(1, b"\xc1"),
        msgspec.msgpack.Ext(1, b""),
        msgspec.msgpack.Ext(2, form("<f8", [1], 0)),
        msgspec.msgpack.Ext(2, form("<f8", [1 << 60], 1 << 60)),
        msgspec.msgpack.Ext(2, form("<f8", [1], -64)),
        msgspec.msgpack.Ext(9, b"abc"),
    ],
    ids=range(15),
)
def test_an_extension_that_lies_is_refused(ext: msgspec.msgpack.Ext) -> None:
    packed = msgspec.msgpack.encode(ext)
    decoder = Decoder("t")
    decoder.decode(
        ARRAYS, memoryview(bytes(Encoder("n", "t").encode(np.arange(LARGE))[1]))
    )  # what it saw before is no excuse
    for encoding, payload in ((MSGPACK, packed), (ARRAYS, len(packed).to_bytes(8, "little") + packed)):
        with pytest.raises(UndecodableMessage):
            decoder.decode(encoding, memoryview(payload))


def test_a_message_of_another_type_than_declared_says_what_was_expected() -> None:
    _, payload = Encoder("n", "t").encode({"linear": "fast"})
    with pytest.raises(UndecodableMessage, match=r"'cmd'.*Expected `float`"):
        Decoder("cmd", CmdVel).decode(MSGPACK, memoryview(payload))
