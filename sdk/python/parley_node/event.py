# SPDX-License-Identifier: Apache-2.0
"""Events: what nodes take and give.

An event never changes. ``event.replace(text="...")`` makes another one that keeps the rest: payload class, call,
position and attributes go on to what is made of it, as the contract of nodes wants.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from array import array
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import EventError

if TYPE_CHECKING:
    import numpy
    import numpy.typing

#: The rate of all audio in a graph, in Hz: signed 16 bit, mono.
SAMPLE_RATE = 16000
#: The samples of one frame of 20 ms.
FRAME_SAMPLES = SAMPLE_RATE // 50
#: The most attributes of one event.
MAX_ATTRIBUTES = 16

# The payload classes.
AUDIO_RAW = "audio_raw"
TEXT_RAW = "text_raw"
PII = "PII"
PHI = "PHI"
DERIVED_SUMMARY = "derived_summary"
METADATA = "metadata"
PAYLOAD_CLASSES = (AUDIO_RAW, TEXT_RAW, PII, PHI, DERIVED_SUMMARY, METADATA)

KINDS = ("audio", "text", "control", "metrics", "debug", "error")

#: The event types of the built-in nodes, with the kind that each has. A type may be any other name as well.
BUILT_IN_TYPES: Mapping[str, str] = MappingProxyType({
    "audio_chunk": "audio",
    "audio_end": "audio",
    "voice_on": "control",
    "voice_off": "control",
    "end_of_utterance": "control",
    "listen": "control",
    "finalize": "control",
    "transcript": "text",
    "respond": "control",
    "text_start": "text",
    "text_delta": "text",
    "text_end": "text",
    "segment": "text",
    "taken": "control",
    "timer": "control",
})

_NO_SAMPLES = memoryview(b"").cast("h")
_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Sync:
    """What an event belongs to that is lost together; an empty field binds it to nothing."""

    id: str = ""
    event: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Only ``type`` is always wanted; kind and payload class follow from it where they are left out."""

    type: str
    text: str = ""
    _: KW_ONLY
    #: The samples, as a memoryview of int16 at 16000 Hz. Anything with a buffer of int16, or of bytes that are
    #: little-endian int16, may be given: array('h'), bytes, a numpy array.
    pcm: memoryview = field(default=_NO_SAMPLES)
    kind: str = ""
    payload_class: str = ""
    #: When it was handed over, in nanoseconds since the session began.
    at_ns: int = 0
    #: The provider call that the event belongs to, where there is one.
    invocation: str = ""
    #: The number of a segment, a chunk or a revision within the call.
    index: int = 0
    #: Media time: the position of pcm[0], or the position spoken of, in samples.
    sample: int = 0
    #: Voice events: up to where the detector had heard.
    heard: int = 0
    #: No further revision, segment or chunk follows.
    final: bool = False
    #: Output that may not be interrupted.
    protected: bool = False
    #: Facts that conditions of edges may ask for: names to strings. Numbers may be given; they become decimals.
    attributes: Mapping[str, str] = field(default_factory=lambda: _NO_ATTRIBUTES)
    sync: Sync | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.type, str) or not self.type:
            raise EventError("type", self.type, 'name the event\'s type, such as "segment"')
        if not isinstance(self.text, str):
            raise EventError("text", self.text, "give a str")
        put = object.__setattr__
        put(self, "pcm", samples(self.pcm))
        if not self.kind:
            put(self, "kind", BUILT_IN_TYPES.get(self.type) or ("audio" if self.pcm else "text" if self.text else "control"))
        if self.kind not in KINDS:
            raise EventError("kind", self.kind, "use one of " + ", ".join(KINDS))
        if not self.payload_class:
            put(self, "payload_class", {"audio": AUDIO_RAW, "text": TEXT_RAW}.get(self.kind, METADATA))
        if self.payload_class not in PAYLOAD_CLASSES:
            raise EventError("payload_class", self.payload_class, "use one of " + ", ".join(PAYLOAD_CLASSES))
        put(self, "attributes", _attributes(self.attributes))

    def replace(self, **changes: Any) -> Event:
        """Another event that keeps what is not changed."""
        return dataclasses.replace(self, **changes)

    def with_attributes(self, **more: str | int | float | bool) -> Event:
        """Another event that has these attributes besides."""
        attributes: dict[str, str | int | float | bool] = {**self.attributes, **more}
        return self.replace(attributes=attributes)

    @property
    def seconds(self) -> float:
        """How long the samples last."""
        return len(self.pcm) / SAMPLE_RATE

    def numpy(self) -> numpy.typing.NDArray[numpy.int16]:
        """The samples as a numpy array of int16 that shares their memory and cannot be written to."""
        try:
            import numpy as np
        except ImportError as err:
            raise ImportError("event.numpy() needs numpy: pip install numpy, or use event.pcm") from err
        view = np.frombuffer(self.pcm, dtype=np.int16)
        view.flags.writeable = False
        return view


def samples(source: object) -> memoryview:
    """A memoryview of int16 on what has samples in its buffer, without a copy on little-endian machines."""
    try:
        view = memoryview(source)  # type: ignore[arg-type]
    except TypeError:
        raise EventError("pcm", type(source).__name__, "give array('h'), bytes, a memoryview or a numpy array of int16") from None
    if not view.c_contiguous or view.ndim != 1:
        raise EventError("pcm", f"shape {view.shape}", "give samples of one channel in one piece: numpy.ascontiguousarray(x)")
    if view.format in ("h", "<h"):
        return view if view.format == "h" else view.cast("B").cast("h")
    if view.format not in ("B", "b", "c"):
        raise EventError("pcm", f"items of format {view.format!r}", "convert to int16, for floats (x * 32767).astype(numpy.int16)")
    if view.nbytes % 2:
        raise EventError("pcm", f"{view.nbytes} bytes", "give whole samples, two bytes each")
    if sys.byteorder == "little":
        return view.cast("B").cast("h")
    swapped = array("h", view.tobytes())
    swapped.byteswap()
    return memoryview(swapped)


def little_endian(pcm: memoryview) -> bytes:
    """Samples as the wire has them. It copies, so a node may use its buffer again."""
    if sys.byteorder == "little":
        return pcm.tobytes()
    swapped = array("h", pcm)
    swapped.byteswap()
    return swapped.tobytes()


def _attributes(given: Mapping[str, object]) -> Mapping[str, str]:
    if not given:
        return _NO_ATTRIBUTES
    if len(given) > MAX_ATTRIBUTES:
        raise EventError("attributes", f"{len(given)} of them", f"give at most {MAX_ATTRIBUTES}")
    kept: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name:
            raise EventError("attributes", name, "names are non-empty strings")
        kept[name] = _fact(name, value)
    return MappingProxyType(kept)


def _fact(name: str, value: object) -> str:
    """An attribute's value: numbers are decimals of at most six places, as conditions of edges read them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise EventError(f"attributes.{name}", value, "give a string or a number") from None
    if not math.isfinite(number):
        raise EventError(f"attributes.{name}", value, "give a finite number")
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
