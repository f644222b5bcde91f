# SPDX-License-Identifier: Apache-2.0
"""What a node's own tests are written with: a host of one instance, with a virtual clock.

::

    from parley_node.testing import Harness

    def test_shout():
        with Harness(Shout) as h:
            h.event("segment", text="hello")
            assert h.texts == ["HELLO"]

It works with unittest and with pytest, and needs no event loop of the test. Time passes by ``h.advance(seconds)`` only:
``asyncio.sleep``, ``ctx.now``, timers, budgets and time limits all go by it, so no test waits.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

from .context import Cancel, Context, Message
from .declaration import TURN_EPHEMERAL, declare
from .errors import HookFailed, NodeError, StateError
from .event import Event
from .instance import Instance
from .line import Limits, Line, Threads
from .node import Node

SESSION, TURN, NODE_ID, SEED = "session-1", "turn-1", "node-1", 1
#: How long a sync hook may really take in a test, in seconds.
REAL_SECONDS = 60.0


class HarnessError(NodeError, AssertionError):
    """The test asks for what cannot be, or the node did not do what it must."""


class Harness:
    """Hosts one instance in a test. What the node emits is in ``emitted``; an exception of a hook is raised to the test
    as HookFailed, unless it is asked for with ``expect_failure``."""

    def __init__(
        self, node: type[Node], config: Mapping[str, Any] | None = None, *, seed: int = SEED, limits: Limits | None = None,
        conversation: Iterable[Message] = (), expect_failure: bool = False,
    ) -> None:
        self.declaration = declare(node)
        #: Everything that was emitted, and with which event's sequence each answers; 0 = unasked.
        self.emitted: list[Event] = []
        self.answers: list[int] = []
        #: What was counted, logged and acknowledged, in order.
        self.counts: Counter[str] = Counter()
        self.logs: list[tuple[int, str]] = []
        self.acknowledged: list[str] = []
        #: The sequences of the events that were worked through, and the error code of each that has one.
        self.done: list[int] = []
        self.errors: dict[int, str] = {}
        #: State by class and key; a test may fill it.
        self.state: dict[tuple[str, str], bytes] = {}
        self.talk: list[Message] = list(conversation)
        #: Why the instance failed.
        self.failure: HookFailed | None = None
        self._expect_failure = expect_failure
        self._loop = _VirtualLoop()
        self._threads = Threads(self._loop, 4)
        self._loop.busy = lambda: self._threads.busy > 0
        self._limits = limits or Limits()
        self._line = _ListLine(self)
        self._wake: int | None = None
        self._started = False
        self._closed = False
        self._sequence = 0
        self._instance = self._loop.call(_make(
            node, self, turn=TURN if self.declaration.execution_scope == "turn" else "", config=config or {}, seed=seed,
        ))

    @property
    def context(self) -> Context:
        """The ctx that the hooks are given."""
        return self._instance.context

    @property
    def texts(self) -> list[str]:
        """The texts of what was emitted."""
        return [event.text for event in self.emitted]

    @property
    def types(self) -> list[str]:
        """The types of what was emitted, for assertions of order."""
        return [event.type for event in self.emitted]

    @property
    def now(self) -> float:
        """The virtual clock, in seconds."""
        return self._loop.time()

    @property
    def late(self) -> int:
        """How many events were emitted after a cancel, and discarded."""
        return self._instance.late

    @property
    def idle(self) -> bool:
        """Whether no hook runs and nothing waits."""
        return self._instance.idle

    def start(self) -> Harness:
        """Run on_init and on_start. The first event does it, if the test has not."""
        self._started = True
        task = self._loop.create_task(self._open())
        self._settle()
        if not task.done():
            raise HarnessError("start: on_init or on_start waits for time to pass: look at h.advance, or at what it awaits")
        return self

    def event(self, event: Event | str, text: str = "", *, budget_ms: int | None = None, **fields: Any) -> Harness:
        """Give the node an event at the present instant, as an Event or as what one is made of."""
        if not self._started:
            self.start()
        if isinstance(event, str):
            event = Event(event, text, **fields)
        if event.type not in (*self.declaration.inputs, "timer"):
            raise HarnessError(f"event: {event.type!r} is not among the inputs {list(self.declaration.inputs)}")
        self._sequence += 1
        budget = self._limits.event_ms if budget_ms is None else budget_ms
        self._loop.call_soon(self._instance.deliver, self._sequence, replace(event, at_ns=self._line.elapsed_ns()), budget)
        self._settle()
        return self

    def advance(self, seconds: float) -> Harness:
        """Let time pass. Timers and sleeps come when they are due."""
        end = self._loop.time() + seconds
        while True:
            self._settle()
            due = end if self._wake is None else min(end, max(self._wake / 1e9, self._loop.time()))
            if self._loop.next_due is not None and self._loop.next_due < due:
                self._loop.jump(self._loop.next_due)
                continue
            self._loop.jump(due)
            if self._wake is not None and self._wake / 1e9 <= due:
                self._wake = None
                self.event("timer")
                continue
            if self._loop.next_due is None or self._loop.next_due > end:
                break
        self._settle()
        return self

    def barge_in(self, *, cancel: bool = True) -> Harness:
        """The user cuts in: on_barge_in, then on_cancel as a host does it."""
        self._ask(self._instance.barge_in)
        return self.cancel(reason="barge_in") if cancel else self

    def cancel(self, scope: str = "turn", reason: str = "user_cancel", invocation: str = "") -> Harness:
        """Cancel the scope: ctx.cancelled is true at once, then on_cancel."""
        cause = Cancel(scope, reason, invocation)
        return self._ask(lambda: self._instance.cancel(cause))

    def exhaust(self, outcome: str = "terminate") -> Harness:
        """No time is left: ctx.budget.remaining_ms is 0, then on_budget_exhausted."""
        return self._ask(lambda: self._instance.budget(outcome))

    def time_out(self) -> Harness:
        """Let the hook in hand pass its time limit, as one that hangs does."""
        if self._instance.idle:
            raise HarnessError("time_out: no hook is running: the last event was worked through")
        return self._pass_limit()

    def stop(self) -> Harness:
        """Run on_stop. A second stop does nothing."""
        if not self._started:
            self.start()
        return self._ask(self._instance.stop)

    def close(self) -> None:
        """Stop, and let go of the event loop. ``with Harness(...) as h`` does it."""
        if self._closed:
            return
        try:
            if self._started and self.failure is None and "stop" not in self.acknowledged:
                self.stop()
                if "stop" not in self.acknowledged:  # a hook is still at it: it ends, or passes its limit
                    self._pass_limit()
        finally:
            self._closed = True
            self._threads.close()
            self._loop.end()

    def __enter__(self) -> Harness:
        try:
            return self if self._started else self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._expect_failure = True  # the first failure is what the test says
        self.close()

    def _pass_limit(self) -> Harness:
        limit = max(ms or 0 for ms in vars(self._limits).values())
        return self.advance(limit / 1000 + 0.001)

    def _ask(self, what: Any) -> Harness:
        if not self._started:
            self.start()
        self._loop.call_soon(what)
        self._settle()
        return self

    async def _open(self) -> None:
        try:
            await self._instance.open()
        except HookFailed:
            return  # the line has kept it

    def _settle(self) -> None:
        if self._closed:
            raise HarnessError("the harness is closed")
        self._loop.settle()
        if self.failure is not None and not self._expect_failure:
            self._expect_failure = True  # told once
            raise self.failure


async def _make(node: type[Node], h: Harness, *, turn: str, config: Mapping[str, Any], seed: int) -> Instance:
    return Instance(node, h.declaration, h._line, session=SESSION, turn=turn, node_id=NODE_ID, config=config, seed=seed)


class _ListLine(Line):
    """A host that keeps what it is given."""

    def __init__(self, harness: Harness) -> None:
        self._h = harness
        super().__init__(harness._threads, harness._limits)

    def elapsed_ns(self) -> int:
        return round(self._h._loop.time() * 1e9)

    def emit(self, sequence: int, event: Event) -> None:
        # The samples are copied, as a host does: the node may use its buffer again.
        kept = replace(event, pcm=memoryview(event.pcm.tobytes()).cast("h")) if event.pcm else event
        self._h.emitted.append(kept)
        self._h.answers.append(sequence)

    async def drain(self) -> None:
        return

    def count(self, name: str, n: int) -> None:
        self._h.counts[name] += n

    def log(self, level: int, text: str) -> None:
        self._h.logs.append((level, text))

    def wake(self, at_ns: int | None) -> None:
        self._h._wake = at_ns

    async def state_get(self, state_class: str, key: str) -> bytes | None:
        self._check(state_class)
        return self._h.state.get((state_class, key))

    async def state_put(self, state_class: str, key: str, value: bytes) -> None:
        self._check(state_class)
        self._h.state[state_class, key] = value

    def _check(self, state_class: str) -> None:
        if state_class == TURN_EPHEMERAL and not self._h.context.turn:
            raise StateError("state: outside a turn there is no turn-ephemeral state")

    async def conversation(self) -> list[dict[str, Any]]:
        return [dict(vars(message)) for message in self._h.talk]

    def done(self, sequence: int, error: str | None, took_us: int) -> None:
        self._h.done.append(sequence)
        if error:
            self._h.errors[sequence] = error

    def failed(self, hook: str, code: str, message: str) -> None:
        self._h.failure = HookFailed(hook, code, message)

    def acknowledged(self, what: str) -> None:
        self._h.acknowledged.append(what)


class _IdleSelector(selectors.DefaultSelector):
    """Tells a loop that has nothing to do now, instead of sleeping."""

    owner: _VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 1e-9:
            return super().select(0)
        return self.owner.idle(timeout, super().select)


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until it is told."""

    def __init__(self) -> None:
        self._virtual = 0.0
        self.next_due: float | None = None
        self.busy: Callable[[], bool] = lambda: False
        selector = _IdleSelector()
        selector.owner = self
        super().__init__(selector)

    def time(self) -> float:
        return self._virtual

    def jump(self, to: float) -> None:
        """Set the clock; it never goes back."""
        self._virtual = max(self._virtual, to)

    def settle(self) -> None:
        """Run everything that can run without time passing."""
        self._since = time.monotonic()
        self.run_forever()

    def idle(self, timeout: float | None, select: Any) -> Any:
        """Nothing is ready. Either a thread computes, or this is the end of it."""
        events = select(0)
        if events:
            return events
        if self.busy():
            if time.monotonic() - self._since > REAL_SECONDS:
                raise HarnessError(
                    f"a sync hook has not returned within {REAL_SECONDS:g} s: it blocks on something; use ctx.wait(...) or ctx.cancelled"
                )
            return select(0.05)
        self.next_due = None if timeout is None else self._virtual + timeout
        self.stop()
        return []

    def call(self, work: Coroutine[Any, Any, Instance]) -> Instance:
        """Run something that does not wait."""
        return self.run_until_complete(work)

    def end(self) -> None:
        """Cancel what still runs and close."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.call_soon(lambda: None)
            self.settle()
        self.close()
