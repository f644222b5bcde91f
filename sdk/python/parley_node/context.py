# SPDX-License-Identifier: Apache-2.0
"""A node's view of its session: the ctx that every hook is given."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from .declaration import SESSION_DURABLE, SESSION_HOT, STATE_CLASSES, TURN_EPHEMERAL, Declaration
from .errors import EventError, StateError
from .event import Event
from .line import Line

T = TypeVar("T")


@dataclass(frozen=True)
class Cancel:
    """What on_cancel is told."""

    scope: str = "turn"  # "session", "turn", "node" or "provider_invocation"
    reason: str = ""
    invocation: str = ""


@dataclass(frozen=True)
class Message:
    """One item of the conversation; of what the agent said, only what was heard."""

    role: str  # "system", "user", "assistant", "tool_call", "tool_result"
    text: str
    interrupted: bool = False
    call: str = ""
    name: str = ""
    failed: bool = False


class Cancelled:
    """Whether the scope is over. It is true or false, and it can be awaited: ``if ctx.cancelled``, ``await ctx.cancelled``."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._cause: Cancel | None = None
        self._over = False

    def __bool__(self) -> bool:
        return self._over

    def __await__(self) -> Generator[Any, None, Cancel]:
        yield from self._event.wait().__await__()
        return self._cause or Cancel()

    @property
    def cause(self) -> Cancel | None:
        """The cancel that came; None if none came, also when the instance merely stopped."""
        return self._cause

    def _trip(self, cause: Cancel | None) -> None:
        if not self._over:  # the first cancel stays
            self._over, self._cause = True, cause
            self._event.set()

    def _reset(self) -> None:
        self._event = asyncio.Event()
        self._over, self._cause = False, None


class Budget:
    """How much of the time is left that the event in hand may take."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._due_ns: int | None = None
        self._exhausted = False

    @property
    def remaining_ms(self) -> int | None:
        """Milliseconds that are left, 0 when none is, None when no budget applies."""
        if self._exhausted:
            return 0
        if self._due_ns is None:
            return None
        return max(0, (self._due_ns - self._line.elapsed_ns()) // 1_000_000)

    def __bool__(self) -> bool:
        return self.remaining_ms != 0

    def _begin(self, budget_ms: int | None) -> None:
        self._exhausted = False
        self._due_ns = None if budget_ms is None or budget_ms < 0 else self._line.elapsed_ns() + budget_ms * 1_000_000


class State:
    """State by class. Values are bytes, and belong to the state; at most 65536 bytes each."""

    MAX_BYTES = 65536

    def __init__(self, line: Line, declaration: Declaration) -> None:
        self._line = line
        self._declaration = declaration

    async def get(self, key: str, state_class: str = "") -> bytes | None:
        """The value of a key, None if it has none."""
        return await self._line.state_get(self._class(state_class), self._key(key))

    async def put(self, key: str, value: bytes | str, state_class: str = "") -> None:
        """Keep a value. A str is kept as UTF-8."""
        data = value.encode() if isinstance(value, str) else bytes(value)
        if len(data) > self.MAX_BYTES:
            raise StateError(f"state: {key!r}: {len(data)} bytes: keep at most {self.MAX_BYTES}")
        await self._line.state_put(self._class(state_class), self._key(key), data)

    def _class(self, given: str) -> str:
        declared = self._declaration.state
        if not given:
            if len(declared) != 1:
                which = list(declared or STATE_CLASSES)
                raise StateError(f"state: which of {which}? Name state_class, and declare it in the class attribute state")
            return declared[0]
        if given not in declared:
            raise StateError(f'state: {given!r} is not declared: add it to the class attribute state, such as state = ["{given}"]')
        return given

    @staticmethod
    def _key(key: str) -> str:
        if not isinstance(key, str) or not key:
            raise StateError(f"state: {key!r} is no key: give a non-empty string")
        return key


class _Log(logging.LoggerAdapter):  # type: ignore[type-arg]  # generic since Python 3.11 only
    """A logger whose lines go to the host as well."""

    def __init__(self, line: Line, name: str) -> None:
        super().__init__(logging.getLogger("parley_node." + name), {})
        self._line = line

    def isEnabledFor(self, level: int) -> bool:  # logging's spelling
        return level >= logging.INFO or super().isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if not self.isEnabledFor(level):
            return
        try:
            text = str(msg) % args if args else str(msg)
        except (TypeError, ValueError):
            text = f"{msg} {args!r}"
        self._line.log(level, text)
        super().log(level, msg, *args, **kwargs)


class Context:
    """What a hook can see and do. Everything may be used from async and from sync hooks; what is awaited in an async
    hook is waited for with ctx.wait(...) in a sync one."""

    def __init__(
        self, line: Line, declaration: Declaration, *,
        session: str, turn: str, node: str, config: Mapping[str, Any], seed: int | None,
    ) -> None:
        #: Who this is; turn is empty in session scope.
        self.session, self.turn, self.node = session, turn, node
        #: What the spec says below config.
        self.config: Mapping[str, Any] = MappingProxyType(dict(config))
        self.declaration = declaration
        #: The seed of the instance and a generator that it began: the only chance that a replay can repeat.
        self.seed = seed
        self.random = random.Random(seed) if seed is not None else random.Random()
        self.cancelled = Cancelled()
        self.budget = Budget(line)
        self.state = State(line, declaration)
        self.log: logging.LoggerAdapter[logging.Logger] = _Log(line, declaration.node_type)
        self._line = line
        self._emit: Callable[[Event], None] = lambda event: None
        self._spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] | None = None

    @property
    def now_ns(self) -> int:
        """The session's clock, in nanoseconds. It stands while a hook runs: at the instant of the event in hand."""
        return self._line.now_ns()

    @property
    def now(self) -> float:
        """The session's clock in seconds."""
        return self._line.now_ns() / 1e9

    def emit(self, event: Event) -> None:
        """Hand an event to what follows in the graph. It never waits in an async hook; `await ctx.drain()` does."""
        if not isinstance(event, Event):
            raise EventError("event", type(event).__name__, 'emit an Event, such as Event("segment", text="...")')
        if event.type not in self.declaration.outputs:
            outputs = list(self.declaration.outputs)
            raise EventError("type", event.type, f"it is not among the outputs {outputs}: declare it in the class attribute outputs")
        self._emit(event)

    async def drain(self) -> None:
        """Wait until the host has taken most of what was emitted."""
        await self._line.drain()

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter of the host's metrics. It never waits."""
        self._line.count(name, n)

    async def conversation(self) -> list[Message]:
        """The conversation so far, oldest item first."""
        return [
            Message(
                role=str(m.get("role", "")), text=str(m.get("text", "")), interrupted=m.get("interrupted") is True,
                call=str(m.get("call", "")), name=str(m.get("name", "")), failed=m.get("failed") is True,
            )
            for m in await self._line.conversation()
        ]

    def wake_at(self, seconds: float | None) -> None:
        """Ask for an event of type "timer" at an instant of ctx.now. A later call replaces it; None takes it back.
        "timer" need not be among the inputs."""
        self._line.wake(None if seconds is None else round(seconds * 1e9))

    def wake_in(self, seconds: float) -> None:
        """Ask for an event of type "timer" after a while."""
        self._line.wake(self._line.now_ns() + round(seconds * 1e9))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work that outlasts the hook. It is cancelled with the scope and ends with the instance; if it raises,
        the instance fails."""
        if self._spawn is None:
            work.close()
            raise RuntimeError("ctx.spawn: the instance has stopped")
        return self._spawn(work)

    def wait(self, awaitable: Awaitable[T]) -> T:
        """In a sync hook: wait for what an async hook would await."""
        return self._line.wait(awaitable)


__all__ = [
    "SESSION_DURABLE", "SESSION_HOT", "TURN_EPHEMERAL", "Budget", "Cancel", "Cancelled", "Context", "Message", "State",
]
