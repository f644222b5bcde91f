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
        self.first: list[Event] = []  # what the first instance emitted, which the others are held to
        self._events = list(events)
        self._process: Rehearsal | None = None
        self._instance = 0

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
        for category, part in (
            ("declaration", lambda r: self._told(node, r)), ("hook_order", self._hook_order), ("outputs", self._outputs),
            ("cancel", self._cancel), ("budget", self._budget), ("isolation", self._isolation),
            ("no_leak_between_turns", self._leak), ("tolerance", self._tolerance), ("shutdown", self._shutdown),
        ):
            yield self._try(category, part)
        self._close()

    def _try(self, category: str, part: Callable[[Rehearsal], tuple[list[str], list[str]]]) -> Finding:
        """Run one category. A process that passed serves the next one as well; behind a fault there is a new one."""
        try:
            if self._process is None:
                self._process = Rehearsal(self.file)
            faults, notes = part(self._process)
        except NodeError as err:
            faults, notes = [str(err)], []
        if faults:
            self._close()
        return Finding(category, tuple(faults), tuple(notes))

    def _close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _begin(self, r: Rehearsal) -> int:
        self._instance += 1
        answer = r.open(self._instance, turn=self.turn, config=self.config)
        if answer["type"] == "failed":
            raise RehearsalError(f"open: {answer.get('message')}")
        return self._instance

    def _feed(self, r: Rehearsal, instance: int, events: Sequence[Event]) -> list[str]:
        for n, event in enumerate(events, 1):
            r.event(instance, n, event)
            error = r.done(instance, n).get("error")
            if error:
                return [f"event {n}, {event.type}: {error.get('message') or error.get('code')}"]
        return []

    def _told(self, node: type[Node], r: Rehearsal) -> tuple[list[str], list[str]]:
        faults = [
            f"examples: {event.type!r} is not among the inputs {list(self.declaration.inputs)}"
            for event in self.events if event.type not in self.declaration.inputs
        ]
        if r.hello.get("declaration") != self.declaration.wire():
            faults.append(f"{self.file}: serves another node than {node.__name__}")
        return faults, hints(self.declaration)

    def _hook_order(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        instance = self._begin(r)
        early = len(r.emitted(instance))
        faults = [f"{early} events were emitted before the first input"] if early else []
        faults += self._feed(r, instance, self.events)
        _calm(r)
        self.first = [event for _, event in r.emitted(instance)]
        r.ask("stop", "stopped", instance)
        before = len(r.emitted(instance))
        r.ask("stop", "stopped", instance)
        _calm(r)
        if len(r.emitted(instance)) > before:
            faults.append("events were emitted after on_stop")
        return faults, []

    def _outputs(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        instance = self._begin(r)
        faults = self._feed(r, instance, self.events)
        _calm(r)
        emitted = [event for _, event in r.emitted(instance)]
        faults += sorted({f"{e.type!r} was emitted and is not among the outputs" for e in emitted if e.type not in self.declaration.outputs})
        notes = []
        if not emitted and self.declaration.outputs:
            notes.append("the events made the node emit nothing: give it some that do, in the class attribute examples or with --events")
        return faults, notes

    def _cancel(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        faults: list[str] = []
        for n in range(min(len(self.events), MAX_CANCEL_POINTS) + 1):
            instance = self._begin(r)
            self._feed(r, instance, self.events[: max(0, n - 1)])
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
            faults += [f"after {n} events: {why}" for why in _failures(r, instance)]
            r.ask("stop", "stopped", instance)
        return faults, []

    def _budget(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        instance = self._begin(r)
        faults = self._feed(r, instance, self.events[: len(self.events) // 2])
        r.ask("budget", "budgeted", instance, outcome="terminate")
        r.ask("stop", "stopped", instance)
        return faults + _failures(r, instance), []

    def _isolation(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        """Two instances at once, their events interleaved, do what one alone does."""
        pair = [self._begin(r), self._begin(r)]
        for n, event in enumerate(self.events, 1):
            for instance in pair:
                r.event(instance, n, event)
            for instance in pair:
                r.done(instance, n)
        _calm(r)
        return [fault for instance in pair for fault in self._differ(r, instance, "beside another instance")][:3], []

    def _leak(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        """What an instance does depends on nothing that another did, also when that one was cut off in the middle."""
        cut = self._begin(r)
        self._feed(r, cut, self.events[: len(self.events) // 2])
        r.ask("cancel", "cancelled", cut, scope="turn", reason="barge_in")
        r.ask("stop", "stopped", cut)
        behind = self._begin(r)
        self._feed(r, behind, self.events)
        _calm(r)
        return self._differ(r, behind, "behind one that was cancelled")[:3], []

    def _differ(self, r: Rehearsal, instance: int, where: str) -> list[str]:
        got = [event for _, event in r.emitted(instance)]
        if len(got) != len(self.first):
            return [f"{len(self.first)} events from the first instance, {len(got)} from one {where}"]
        return [f"event {n} differs {where}: {x} and {y}" for n, (x, y) in enumerate(zip(self.first, got), 1) if x != y]

    def _tolerance(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        instance = self._begin(r)
        r.raw(b"\x00\x00\x00\x01Z")
        r.send("tomorrow", instance=instance, what="is not known today")
        return self._feed(r, instance, self.events[:1]), []

    def _shutdown(self, r: Rehearsal) -> tuple[list[str], list[str]]:
        self._feed(r, self._begin(r), self.events[:1])
        code, written = r.terminate()
        return ([f"SIGTERM: exit code {code}: {written}"] if code else []), []


def _failures(r: Rehearsal, instance: int) -> list[str]:
    return [
        str(frame.get("message")) for frame in r.frames
        if isinstance(frame, dict) and frame["type"] == "failed" and frame.get("instance") == instance
    ]


def _calm(r: Rehearsal) -> None:
    """Wait for what the node says by itself: two rounds to and fro, with a little time between."""
    for n in (1, 2):
        since = len(r.frames)
        r.send("ping", nonce=n)
        r.until(lambda f: isinstance(f, dict) and f["type"] == "pong", "pong", since)
        time.sleep(0.02)


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
                said = "" if name in ("text_start", "text_end") else text
                events.append(Event(name, said, index=n, invocation="call-1", final=name == "transcript"))
        else:
            events.append(Event(name, kind=kind))
    return events


def _tone(frame: int) -> memoryview:
    """A frame of 440 Hz."""
    first = frame * FRAME_SAMPLES
    return memoryview(array("h", (round(8000 * math.sin(2 * math.pi * 440 * (first + n) / SAMPLE_RATE)) for n in range(FRAME_SAMPLES))))
