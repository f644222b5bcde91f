# SPDX-License-Identifier: Apache-2.0
"""A host for rehearsals: it starts a node's process as Parley does and speaks the protocol with it, step by step."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeGuard

from . import wire
from .errors import NodeError
from .event import Event
from .server import ENV_FD

#: How long an answer may take here, in seconds: generous, because it decides whether a check fails.
PATIENCE = 30.0


class RehearsalError(NodeError, AssertionError):
    """The node's process did not answer as the protocol wants it."""


class Rehearsal:
    """One process of a node and the host's end of its connection."""

    def __init__(self, file: str, *, env: Mapping[str, str] | None = None, welcome: Mapping[str, Any] | None = None) -> None:
        ours, theirs = socket.socketpair()
        self.frames: list[wire.Frame] = []  # everything that came
        self._decoder = wire.Decoder()
        self._sock = ours
        self._next = 0
        full = {**os.environ, **(env or {}), ENV_FD: str(theirs.fileno())}
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        full["PYTHONPATH"] = os.pathsep.join(filter(None, (here, full.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, file], env=full, pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        theirs.close()
        self.hello = self.until(lambda f: _is(f, "hello"), "hello")
        # What is not known is skipped: a host says so with its first words.
        self.raw(wire.encode({"type": "grease_report", "sunny": True}))
        self.raw(b"\x00\x00\x00\x03~!!")
        if welcome is None:
            self.send("welcome", protocol=1, host="rehearsal", features=["state", "conversation", "wake", "telemetry", "log"], grease="fine")
        else:
            self.send(**dict(welcome))

    def send(self, type: str, **fields: Any) -> None:
        """Send a message."""
        self.raw(wire.encode({"type": type, **fields}))

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._sock.sendall(data)
        except OSError:
            return  # it is gone; what waits for an answer says so

    def open(
        self, instance: int, *, turn: str = "turn-1", config: Mapping[str, Any] | None = None, seed: int = 1, **fields: Any,
    ) -> wire.Message:
        """Open an instance. The answer is "opened" or "failed"."""
        self.send(
            "open", instance=instance, session="session-1", turn=turn, node="node-1", config=dict(config or {}), seed=seed,
            grease=[1], **fields,
        )
        return self.until(lambda f: _is(f, "opened", instance) or _is(f, "failed", instance), f"opened {instance}")

    def event(self, instance: int, sequence: int, event: Event, budget_ms: int = 800) -> None:
        """Send an event."""
        if event.pcm and wire.is_plain_audio(event):
            self.raw(wire.encode_audio(instance, sequence, event))
            return
        self.send("event", instance=instance, seq=sequence, event=wire.event_to_wire(event), budget_ms=budget_ms, grease="curious")

    def done(self, instance: int, sequence: int) -> wire.Message:
        """Wait until an event was worked through."""
        return self.until(lambda f: _is(f, "done", instance) and f["seq"] == sequence, f"done {instance} {sequence}")

    def ask(self, type: str, answer: str, instance: int, **fields: Any) -> wire.Message:
        """Send a message and wait for its answer."""
        since = len(self.frames)
        self.send(type, instance=instance, **fields)
        return self.until(lambda f: _is(f, answer, instance), answer, since)

    def emitted(self, instance: int) -> list[tuple[int, Event]]:
        """What an instance emitted so far, each with the sequence of what it answers."""
        found = []
        for frame in self.frames:
            if isinstance(frame, wire.AudioFrame) and frame.instance == instance:
                found.append((frame.sequence, frame.event))
            elif _is(frame, "emit", instance):
                found.append((frame["seq"], wire.event_from_wire(frame["event"])))
        return found

    def until(self, found: Callable[[wire.Frame], bool], what: str, since: int = 0) -> wire.Message:
        """Wait for a frame, from the since-th on."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for frame in self.frames[since:]:
                if found(frame):
                    assert isinstance(frame, dict)
                    return frame
            since = len(self.frames)
            self._sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._sock.recv(1 << 16)
            except TimeoutError:
                raise RehearsalError(f"{what}: the node did not say it within {PATIENCE:g} s") from None
            except ConnectionError:
                data = b""
            if not data:
                raise RehearsalError(f"{what}: the node's process ended before it: {self.end()[1]}")
            for frame in self._decoder.feed(data):
                if isinstance(frame, wire.DoneFrame):  # the short form of a message
                    frame = {"type": "done", "instance": frame.instance, "seq": frame.sequence, "took_us": frame.took_us}
                self.frames.append(frame)

    def terminate(self) -> tuple[int, str]:
        """Send SIGTERM. Gives the exit code and what the process wrote."""
        self.process.terminate()
        return self.end()

    def end(self) -> tuple[int, str]:
        """Hang up and wait for the end of the process. Gives the exit code and what it wrote."""
        if self.process.stdout is None or self.process.stdout.closed:
            return self.process.returncode, ""
        try:
            written, _ = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            written, _ = self.process.communicate()
            raise RehearsalError(f"end: the process did not end within {PATIENCE:g} s: {_last(written)}") from None
        return self.process.returncode, _last(written)

    def close(self) -> None:
        """Hang up, and end the process if it is still there."""
        self._sock.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _is(frame: wire.Frame, type: str, instance: int | None = None) -> TypeGuard[wire.Message]:
    return isinstance(frame, dict) and frame["type"] == type and (instance is None or frame.get("instance") == instance)


def _last(written: bytes) -> str:
    lines: Sequence[str] = written.decode("utf-8", "replace").strip().splitlines()
    return "\n".join(lines[-12:]) or "it wrote nothing"
