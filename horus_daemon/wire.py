"""Messages as bytes, and bytes as messages: what arrives is either a request or the reason why it is none."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import cache
from typing import get_args

import msgspec

from horus_daemon.client_to_daemon import PROTOCOL, REQUEST_MOST, Request
from horus_daemon.daemon_to_client import Answer, Refused
from horus_daemon.events import Event

UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)  # what decoding hostile bytes may raise
_WHY_MOST = 400  # characters
_KINDS = {each.__struct_config__.tag for each in get_args(Request)}


class _Head(msgspec.Struct):
    """What every version's messages have."""

    kind: str = ""
    version: int = 0
    id: int = 0


_heads = msgspec.msgpack.Decoder(_Head)
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_events: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_encode = msgspec.msgpack.Encoder().encode


@cache
def package_version() -> str:
    """The version of HORUS that runs."""
    try:
        return importlib.metadata.version("horus-supervisor")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def one_line(text: object) -> str:
    """`text` without control characters, and not endless.

    >>> one_line("a\\nb")
    'a\\\\nb'
    """
    shown = str(text)[: _WHY_MOST + 1]
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in shown)
    return shown if len(shown) <= _WHY_MOST else shown[: _WHY_MOST - 1] + "…"


def refusal(code: str, why: object, request: int = 0) -> Refused:
    """An answer that says no, and why in one line."""
    return Refused(id=request, code=code, why=one_line(why), server=package_version())


def read_request(frames: Sequence[bytes]) -> Request | Refused:
    """The request in `frames`, or the answer to what is none.

    >>> from horus_daemon.client_to_daemon import Status
    >>> read_request([encode(Status(id=3))])
    Status(version=1, id=3)
    >>> read_request([b"?"]).code
    'malformed'
    """
    if len(frames) != 1:
        return refusal("malformed", f"a request is one frame, not {len(frames)}")
    data = frames[0]
    if len(data) > REQUEST_MOST:
        return refusal("oversized", f"a request has at most {REQUEST_MOST} bytes, not {len(data)}")
    try:
        head = _heads.decode(data)
    except UNREADABLE as problem:
        return refusal("malformed", f"not a request: {problem}")
    if head.version != PROTOCOL:
        return refusal(
            "version",
            f"horusd {package_version()} speaks version {PROTOCOL} of its protocol, the client version {head.version}; "
            f"use the same version of horus for both ('horus daemon stop', then start it again: graphs go on)",
            head.id,
        )
    if head.kind not in _KINDS:
        return refusal("unknown", f"there is no request {head.kind!r}", head.id)
    try:
        return _requests.decode(data)
    except UNREADABLE as problem:
        return refusal("malformed", f"not a {head.kind!r} request: {problem}", head.id)


def encode(message: Request | Answer | Event) -> bytes:
    """The bytes of a message."""
    return _encode(message)


def read_answer(data: bytes) -> Answer:
    """The answer in `data`.

    Raises:
        ValueError: it is none, or of another version of the protocol.
    """
    try:
        head = _heads.decode(data)
        if head.version != PROTOCOL and head.kind != Refused.__struct_config__.tag:
            raise ValueError(f"it speaks version {head.version} of the protocol, this client version {PROTOCOL}")
        return _answers.decode(data)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise ValueError(str(problem)) from None


def read_event(data: bytes) -> Event:
    """The event in `data`. Raises ValueError if it is none that this version knows."""
    try:
        return _events.decode(data)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise ValueError(str(problem)) from None
