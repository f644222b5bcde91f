# SPDX-License-Identifier: Apache-2.0
"""Frames of the protocol parley-node/1: how bytes become messages, and messages bytes.

A frame is a length of four bytes, big-endian, and as many bytes: one for the kind, then the body. Kind J is a JSON
object with a type. Kind A is an audio event: instance, sequence, at, sample and flags, then s16le. Kind D says that an
event is done: instance, sequence, microseconds. Kinds that are not known are skipped and counted, as are types and
fields of JSON that are not known. docs/external-nodes.md has all of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import EventError, ProtocolError
from .event import AUDIO_RAW, Event, Sync, little_endian, samples

#: The versions of the protocol that this package speaks.
VERSIONS = (1,)
#: The largest frame, without its length.
MAX_FRAME = 1 << 20
KIND_JSON = ord("J")
KIND_AUDIO = ord("A")
KIND_DONE = ord("D")
FLAG_FINAL, FLAG_PROTECTED = 1, 2

_LENGTH = struct.Struct(">I")
_AUDIO = struct.Struct(">IQqqB")
_DONE = struct.Struct(">IQI")
#: The most samples of one audio frame.
MAX_SAMPLES = (MAX_FRAME - 1 - _AUDIO.size) // 2


@dataclass(frozen=True)
class AudioFrame:
    """An audio event on the wire."""

    instance: int
    sequence: int
    event: Event


@dataclass(frozen=True)
class DoneFrame:
    """An event is done, without an error."""

    instance: int
    sequence: int
    took_us: int


@dataclass(frozen=True)
class UnknownFrame:
    """A frame of a kind that is not known."""

    kind: int


Message = dict[str, Any]
Frame = Message | AudioFrame | DoneFrame | UnknownFrame


def encode(message: Message) -> bytes:
    """A JSON message as a frame."""
    try:
        text = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as err:
        raise ProtocolError(str(message.get("type")), str(err), "give values that JSON has") from err
    body = text.encode("utf-8", "replace")  # half a surrogate pair has no UTF-8
    if len(body) + 1 > MAX_FRAME:
        raise EventError(str(message.get("type")), f"{len(body)} bytes", f"a message has at most {MAX_FRAME - 1}: give it in pieces")
    return _LENGTH.pack(len(body) + 1) + b"J" + body


def is_plain_audio(event: Event) -> bool:
    """Whether a frame A says all that there is to say of an event."""
    return (event.type, event.kind, event.payload_class) == ("audio_chunk", "audio", AUDIO_RAW) and not (
        event.invocation or event.index or event.heard or event.text or event.attributes or event.sync
    )


def encode_done(instance: int, sequence: int, took_us: int) -> bytes:
    """The end of an event as a frame."""
    return _LENGTH.pack(1 + _DONE.size) + b"D" + _DONE.pack(instance, sequence, min(took_us, 0xFFFFFFFF))


def encode_audio(instance: int, sequence: int, event: Event) -> bytes:
    """A plain audio event as a frame."""
    if len(event.pcm) > MAX_SAMPLES:
        raise EventError("pcm", f"{len(event.pcm)} samples", f"a chunk has at most {MAX_SAMPLES}: emit it in pieces")
    body = little_endian(event.pcm)
    flags = FLAG_FINAL * event.final | FLAG_PROTECTED * event.protected
    head = _AUDIO.pack(instance, sequence, event.at_ns, event.sample, flags)
    return b"".join((_LENGTH.pack(1 + len(head) + len(body)), b"A", head, body))


class Decoder:
    """Takes bytes as they come and gives frames. A ProtocolError ends the connection: what follows has no meaning."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Give the frames that are complete."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer, at)
                if not 1 <= length <= MAX_FRAME:
                    raise ProtocolError("frame length", length, f"send 1 to {MAX_FRAME} bytes")
                start, end = at + _LENGTH.size, at + _LENGTH.size + length
                if len(self._buffer) < end:
                    break
                with memoryview(self._buffer) as view:
                    kind, body = view[start], bytes(view[start + 1 : end])
                at = end
                yield _parse(kind, body)
        finally:
            del self._buffer[:at]


def _parse(kind: int, body: bytes) -> Frame:
    if kind == KIND_JSON:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as err:
            raise ProtocolError("frame J", str(err)[:80], "send a JSON object in UTF-8") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise ProtocolError("frame J", str(message)[:80], "send an object with a type, which is a string")
        return message
    if kind == KIND_AUDIO:
        if len(body) < _AUDIO.size or (len(body) - _AUDIO.size) % 2:
            raise ProtocolError("frame A", f"{len(body)} bytes", f"send {_AUDIO.size} bytes of head and whole samples")
        instance, sequence, at, sample, flags = _AUDIO.unpack_from(body)
        return AudioFrame(instance, sequence, Event(
            "audio_chunk", pcm=samples(memoryview(body)[_AUDIO.size :]), at_ns=at, sample=sample,
            final=bool(flags & FLAG_FINAL), protected=bool(flags & FLAG_PROTECTED),
        ))
    if kind == KIND_DONE:
        if len(body) < _DONE.size:
            raise ProtocolError("frame D", f"{len(body)} bytes", f"send {_DONE.size}")
        return DoneFrame(*_DONE.unpack_from(body))
    return UnknownFrame(kind)


def integer(message: Message, name: str, default: int | None = None, *, low: int = 0, high: int = (1 << 64) - 1) -> int:
    """A whole number of a message."""
    value = message.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProtocolError(f"{message['type']}.{name}", value, f"send a whole number from {low} to {high}")
    return value


def string(message: Message, name: str, default: str | None = None) -> str:
    """A string of a message."""
    value = message.get(name, default)
    if not isinstance(value, str):
        raise ProtocolError(f"{message['type']}.{name}", value, "send a string")
    return value


def flag(message: Message, name: str) -> bool:
    """A boolean of a message; absent or null is false."""
    value = message.get(name)
    if value is not None and not isinstance(value, bool):
        raise ProtocolError(f"{message['type']}.{name}", value, "send true or false")
    return bool(value)


def obj(message: Message, name: str) -> dict[str, Any]:
    """An object of a message; absent or null is empty."""
    value = message.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError(f"{message['type']}.{name}", value, "send an object")
    return value


def event_to_wire(event: Event) -> dict[str, Any]:
    """An event as JSON has it, what is empty left out."""
    wire: dict[str, Any] = {"kind": event.kind, "type": event.type, "class": event.payload_class}
    for name, value in (
        ("at", event.at_ns), ("invocation", event.invocation), ("index", event.index), ("sample", event.sample), ("heard", event.heard),
        ("text", event.text), ("final", event.final), ("protected", event.protected), ("attributes", dict(event.attributes)),
    ):
        if value:
            wire[name] = value
    if event.pcm:
        wire["pcm"] = base64.b64encode(little_endian(event.pcm)).decode()
    if event.sync is not None:
        wire["sync"] = {name: value for name, value in vars(event.sync).items() if value}
    return wire


def event_from_wire(wire: dict[str, Any]) -> Event:
    """An event of JSON. Fields that are not known are left out; of those that are, the type counts."""
    about = {**wire, "type": "event"}
    if not isinstance(wire.get("type"), str) or not wire["type"]:
        raise ProtocolError("event.type", wire.get("type"), "send the event's type")
    try:
        pcm = base64.b64decode(string(about, "pcm", ""), validate=True)
    except binascii.Error:
        raise ProtocolError("event.pcm", str(wire["pcm"])[:40], "send samples in base64") from None
    attributes = {name: value for name, value in obj(about, "attributes").items() if isinstance(value, str)}
    sync = obj(about, "sync")
    limit = (1 << 63) - 1
    try:
        return Event(
            wire["type"], string(about, "text", ""), kind=string(about, "kind", ""), payload_class=string(about, "class", ""),
            at_ns=integer(about, "at", 0, low=-limit, high=limit), invocation=string(about, "invocation", ""),
            index=integer(about, "index", 0, low=-limit, high=limit), sample=integer(about, "sample", 0, low=-limit, high=limit),
            heard=integer(about, "heard", 0, low=-limit, high=limit), final=flag(about, "final"),
            protected=flag(about, "protected"), attributes=attributes, pcm=memoryview(pcm),
            sync=Sync(**{k: v for k, v in sync.items() if k in ("id", "event", "group") and isinstance(v, str)}) if sync else None,
        )
    except EventError as err:
        raise ProtocolError("event." + err.fault.field, err.fault.value, err.fault.remedy) from None
