# SPDX-License-Identifier: Apache-2.0
"""Holds a node to the contract without Parley: the categories of node/external/v1 that a node itself can break.

The node's process is started as Parley starts it. A node that passes may still do the wrong thing with its events.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import loader
from .declaration import Declaration, declare, hints
from .errors import NodeError
from .event import BUILT_IN_TYPES, FRAME_SAMPLES, SAMPLE_RATE, Event
from .node import Node
from .rehearsal import Rehearsal, RehearsalError

#: The most events that are tried: each point of a cancel is a run of its own.
MAX_EVENTS = 64
MAX_CANCEL_POINTS = 8


@dataclass(frozen=True)
class Finding:
    """One category's result; faults is empty when it holds. A note is no fault."""

    category: str
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Suite:
    """Runs the categories on one file."""

    def __init__(self, file: str, config: Mapping[str, Any] | None = None, events: Sequence[Event] = ()) -> None:
        self.file = file
        self.config = dict(config or {})
        self._events = list(events)

    def run(self) -> Iterator[Finding]:
        """Yield one finding a category. Without a sound declaration there is nothing to run."""
        try:
            node = loader.load(self.file)
            declaration = declare(node)
        except NodeError as err:
            yield Finding("declaration", tuple(str(err).splitlines()))
            return
        self.declaration = declaration
        self.turn = "turn-1" if declaration.execution_scope == "turn" else ""
        self.events = (self._events or list(node.examples) or invent(declaration))[:MAX_EVENTS]
        yield self._told(node, declaration)
        for category, part in (
            ("hook_order", self._hook_order), ("outputs", self._outputs), ("cancel", self._cancel), ("budget", self._budget),
            ("isolation", self._isolation), ("no_leak_between_turns", self._leak), ("tolerance", self._tolerance), ("shutdown", self._shutdown),
        ):
            yield self._try(category, part)

    def _try(self, category: str, part: Callable[[], tuple[list[str], list[str]]]) -> Finding:
        try:
            faults, notes = part()
        except NodeError as err:
            faults, notes = [str(err)], []
        return Finding(category, tuple(faults), tuple(notes))

    def _told(self, node: type[Node], declaration: Declaration) -> Finding:
        faults = [
            f"examples: {event.type!r} is not among the inputs {list(declaration.inputs)}"
            for event in self.events if event.type not in declaration.inputs
        ]

        def part() -> tuple[list[str], list[str]]:
            with Rehearsal(self.file) as r:
                if r.hello.get("declaration") != declaration.wire():
                    faults.append(f"{self.file}: serves another node than {node.__name__}")
            return faults, hints(declaration)

        return self._try("declaration", part)

    def _begin(self, r: Rehearsal, instance: int = 1) -> None:
        answer = r.open(instance, turn=self.turn, config=self.config)
        if answer["type"] == "failed":
            raise RehearsalError(f"open: {answer.get('message')}")

    def _feed(self, r: Rehearsal, events: Sequence[Event], instance: int = 1, first: int = 1) -> list[str]:
        faults = []
        for n, event in enumerate(events, first):
            r.event(instance, n, event)
            error = r.done(instance, n).get("error")
            if error:
                faults.append(f"event {n}, {event.type}: {error.get('message') or error.get('code')}")
                break
        return faults

    def _hook_order(self) -> tuple[list[str], list[str]]:
        with Rehearsal(self.file) as r:
            self._begin(r)
            early = len(r.emitted(1))
            faults = [f"{early} events were emitted before the first input"] if early else []
            faults += self._feed(r, self.events)
            r.ask("stop", "stopped", 1)
            before = len(r.emitted(1))
            r.ask("stop", "stopped", 1)
            _calm(r)
            if len(r.emitted(1)) > before:
                faults.append("events were emitted after on_stop")
        return faults, []

    def _outputs(self) -> tuple[list[str], list[str]]:
        with Rehearsal(self.file) as r:
            self._begin(r)
            faults = self._feed(r, self.events)
            _calm(r)
            emitted = [event for _, event in r.emitted(1)]
        faults += sorted({f"{e.type!r} was emitted and is not among the outputs" for e in emitted if e.type not in self.declaration.outputs})
        notes = []
        if not emitted and self.declaration.outputs:
            notes.append("the events made the node emit nothing: give it some that do, in the class attribute examples or with --events")
        return faults, notes

    def _cancel(self) -> tuple[list[str], list[str]]:
        faults: list[str] = []
        points = list(range(min(len(self.events), MAX_CANCEL_POINTS) + 1))
        with Rehearsal(self.file) as r:
            for instance, n in enumerate(points, 1):
                self._begin(r, instance)
                self._feed(r, self.events[: max(0, n - 1)], instance)
                if n:  # the last one is in hand when the cancel comes
                    r.event(instance, n, self.events[n - 1])
                began = time.monotonic()
                r.ask("barge_in", "barged_in", instance)
                r.ask("cancel", "cancelled", instance, scope="turn", reason="barge_in")
                took = time.monotonic() - began
                if took > 1:
                    faults.append(f"after {n} events, on_barge_in and on_cancel took {took:.1f} s; the grace is 0.075 s")
                before = len(r.emitted(instance))
                _calm(r)
                if len(r.emitted(instance)) > before and self.declaration.cancel_mode == "hard" and self.turn:
                    faults.append(f"after {n} events, the node went on to emit after the cancel")
                for frame in r.frames:
                    if isinstance(frame, dict) and frame["type"] == "failed" and frame.get("instance") == instance:
                        faults.append(f"after {n} events: {frame.get('message')}")
                r.ask("stop", "stopped", instance)
        return faults, []

    def _budget(self) -> tuple[list[str], list[str]]:
        with Rehearsal(self.file) as r:
            self._begin(r)
            faults = self._feed(r, self.events[: len(self.events) // 2])
            r.ask("budget", "budgeted", 1, outcome="terminate")
            r.ask("stop", "stopped", 1)
            faults += [str(f.get("message")) for f in r.frames if isinstance(f, dict) and f["type"] == "failed"]
        return faults, []

    def _isolation(self) -> tuple[list[str], list[str]]:
        """Two instances at once, their events interleaved, do what one alone does."""
        with Rehearsal(self.file) as r:
            self._begin(r, 1)
            self._feed(r, self.events, 1)
            self._begin(r, 2)
            self._begin(r, 3)
            for n, event in enumerate(self.events, 1):
                r.event(2, n, event)
                r.event(3, n, event)
                r.done(2, n)
                r.done(3, n)
            _calm(r)
            return [f for other in (2, 3) for f in _differ(r, 1, other, "beside another instance")][:3], []

    def _leak(self) -> tuple[list[str], list[str]]:
        """What an instance does depends on nothing that another did, also when that one was cut off in the middle."""
        with Rehearsal(self.file) as r:
            self._begin(r, 1)
            self._feed(r, self.events, 1)
            _calm(r)
            self._begin(r, 2)
            self._feed(r, self.events[: len(self.events) // 2], 2)
            r.ask("cancel", "cancelled", 2, scope="turn", reason="barge_in")
            r.ask("stop", "stopped", 2)
            self._begin(r, 3)
            self._feed(r, self.events, 3)
            _calm(r)
            return _differ(r, 1, 3, "behind one that was cancelled")[:3], []

    def _tolerance(self) -> tuple[list[str], list[str]]:
        with Rehearsal(self.file) as r:
            self._begin(r)
            r.raw(b"\x00\x00\x00\x01Z")
            r.send("tomorrow", instance=1, what="is not known today")
            return self._feed(r, self.events[:1]), []

    def _shutdown(self) -> tuple[list[str], list[str]]:
        with Rehearsal(self.file) as r:
            self._begin(r)
            self._feed(r, self.events[:1])
            code, written = r.terminate()
        return ([f"SIGTERM: exit code {code}: {written}"] if code else []), []


def _calm(r: Rehearsal) -> None:
    """Wait for what the node says by itself: two rounds to and fro, with a little time between."""
    for n in (1, 2):
        since = len(r.frames)
        r.send("ping", nonce=n)
        r.until(lambda f: isinstance(f, dict) and f["type"] == "pong", "pong", since)
        time.sleep(0.05)


def _differ(r: Rehearsal, a: int, b: int, where: str) -> list[str]:
    one, other = r.emitted(a), r.emitted(b)
    if len(one) != len(other):
        return [f"{len(one)} events from an instance alone, {len(other)} from one {where}"]
    return [f"event {n} differs {where}: {x[1]} and {y[1]}" for n, (x, y) in enumerate(zip(one, other), 1) if x != y]


def invent(declaration: Declaration) -> list[Event]:
    """Some events of the inputs, for a node that gives no examples."""
    events: list[Event] = []
    for name in declaration.inputs:
        kind = BUILT_IN_TYPES.get(name, "text")
        if name == "audio_chunk":
            events += [Event(name, pcm=_tone(n), sample=n * FRAME_SAMPLES) for n in range(8)]
        elif name == "timer":
            continue
        elif kind == "text":
            for n, text in enumerate(("Good morning, how are you?", "I would like 3 tickets, please."), 1):
                events.append(Event(name, "" if name in ("text_start", "text_end") else text, index=n, invocation="call-1", final=name == "transcript"))
        else:
            events.append(Event(name, kind=kind))
    return events


def _tone(frame: int) -> memoryview:
    """A frame of 440 Hz."""
    first = frame * FRAME_SAMPLES
    return memoryview(array("h", (round(8000 * math.sin(2 * math.pi * 440 * (first + n) / SAMPLE_RATE)) for n in range(FRAME_SAMPLES))))
