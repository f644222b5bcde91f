# SPDX-License-Identifier: Apache-2.0
"""The life of one instance: which hook runs when, what a cancel stops, and what a failure ends.

Rules, as the contract of nodes has them:

1. Hooks of one instance never run at the same time. on_init, on_start and on_stop run once each, in this order.
2. Barge-in, cancel, budget and stop do not wait behind events; they wait for the hook in hand.
3. A cancel, and a barge-in as its first half, is told at once: ctx.cancelled is true, events that wait are given back, and a preemptible async on_event
   is interrupted where it awaits.
4. An exception, or a passed time limit, ends the instance. It answers what still comes and does nothing with it.
5. What is emitted after a hard cancel is discarded here already.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import traceback
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from .context import Cancel, Context
from .declaration import Declaration
from .errors import ConfigError, HookFailed
from .event import Event
from .line import Line

if TYPE_CHECKING:
    from .node import Node

# Why an instance failed.
CODE_ERROR = "node_error"
CODE_TIMEOUT = "hook_timeout"
CODE_CONFIG = "config_error"
CODE_CREDIT = "credit_exceeded"

#: The sequence of the event whose on_event this code runs for.
_answering: contextvars.ContextVar[tuple[int, int]] = contextvars.ContextVar("parley_answering", default=(0, 0))

_Control = tuple[str, Any]


class Instance:
    """One instance of a node. Everything but what ctx offers is called on the event loop."""

    def __init__(
        self, node: type[Node], declaration: Declaration, line: Line, *,
        session: str, turn: str, node_id: str, config: Mapping[str, Any], seed: int | None,
    ) -> None:
        self.declaration = declaration
        self.window = node.window
        self.late = 0  # emitted after a cancel, discarded
        self.failure: HookFailed | None = None
        self.context = Context(line, declaration, session=session, turn=turn, node=node_id, config=config, seed=seed)
        self._class = node
        self._node: Node | None = None
        self._line = line
        self._loop = line.threads.loop
        self._events: deque[tuple[int, Event, int | None]] = deque()
        self._controls: deque[_Control] = deque()
        self._urge = asyncio.Event()
        self._running: asyncio.Future[Any] | None = None
        self._preempts = False  # the hook in hand may be interrupted
        self._mute = False
        self._sequence = 0
        self._spawned: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.context._emit = self._emit
        self.context._spawn = self._spawn

    async def open(self) -> None:
        """Run __init__, on_init and on_start. HookFailed says why the instance is not to be had."""
        limits = self._line.limits
        self._line.stand()
        try:
            await self._hook("on_init", limits.init_ms, make=True)
            await self._hook("on_start", limits.start_ms)
        except HookFailed as err:
            self._over(err)
            raise
        finally:
            self._line.go_on()
        self._task = self._loop.create_task(self._serve())

    def deliver(self, sequence: int, event: Event, budget_ms: int | None) -> None:
        """Take one event. It is answered by Line.done, once."""
        if self._stopped or self.failure is not None or self._mute and self.context.cancelled:
            self._line.done(sequence, self.failure.code if self.failure else None, 0)
            return
        if len(self._events) >= self.window:
            self._line.done(sequence, CODE_CREDIT, 0)
            return
        self._events.append((sequence, event, budget_ms))
        self._urge.set()

    def barge_in(self) -> None:
        """The user has cut in: the turn is over, though its cancel comes behind. A host waits for on_barge_in before it
        says cancel, and on_barge_in waits for the hook in hand."""
        self._cut(Cancel(scope="turn", reason="barge_in"))
        self._control("barge_in", None)

    def cancel(self, cancel: Cancel) -> None:
        """The scope is over."""
        if cancel.scope != "provider_invocation":
            self._cut(cancel)
        self._control("cancel", cancel)

    def budget(self, outcome: str) -> None:
        """No time is left."""
        self.context.budget._exhausted = True
        self._control("budget", outcome)

    def stop(self) -> None:
        """End it. Line.acknowledged("stop") says when it has."""
        self._give_back()
        self._control("stop", None)

    async def join(self) -> None:
        """Wait until it has stopped."""
        if self._task is not None:
            await asyncio.wait({self._task})

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._running is None and not self._events and not self._controls

    # The rest is how it is done.

    def _cut(self, cancel: Cancel) -> None:
        """What a cancel does at once, whatever hook is in hand."""
        hard = self.declaration.cancel_mode == "hard"
        self._mute = self._mute or hard
        self.context.cancelled._trip(cancel)
        self._give_back()
        if hard and self.declaration.cancel_class == "preemptible":
            self._interrupt()

    def _control(self, what: str, value: Any) -> None:
        if not self._stopped and self.failure is None:
            self._controls.append((what, value))
            self._urge.set()
        else:  # there is nobody any more, and that is well
            self._line.acknowledged(what)

    async def _serve(self) -> None:
        while not self._stopped and self.failure is None:
            if not self._controls and not self._events:
                self._urge.clear()
                await self._urge.wait()
            elif self._controls:
                await self._obey(*self._controls.popleft())
            else:
                await self._take(*self._events.popleft())

    async def _take(self, sequence: int, event: Event, budget_ms: int | None) -> None:
        self.context.budget._begin(budget_ms)
        self._sequence = sequence
        mark = _answering.set((id(self), sequence))
        error = None
        began = self._line.elapsed_ns()
        self._line.stand(event.at_ns)
        try:
            await self._hook("on_event", self._line.limits.event_hard_ms, event, preempts=True)
            await self._line.drain()
        except HookFailed as err:
            error = err.code
            self._over(err)
        finally:
            _answering.reset(mark)
            self._sequence = 0
            self.context.budget._begin(None)
            self._line.go_on()
        self._line.done(sequence, error, (self._line.elapsed_ns() - began) // 1000)

    async def _obey(self, what: str, value: Any) -> None:
        limits = self._line.limits
        self._line.stand()
        try:
            if what == "barge_in":
                await self._hook("on_barge_in", limits.cancel_ms)
                if self.declaration.execution_scope == "session":
                    self._after_cancel(Cancel(scope="turn", reason="barge_in"))
            elif what == "cancel":
                await self._hook("on_cancel", limits.cancel_ms, value)
                self._after_cancel(value)
            elif what == "budget":
                self.context.budget._exhausted = True
                await self._hook("on_budget_exhausted", limits.budget_ms, value)
                self.context.budget._begin(None)
            elif what == "stop":
                await self._stop(limits.stop_ms)
        except HookFailed as err:
            self._over(err)
        self._line.go_on()
        if what == "stop":
            self._stopped = True
            self._give_back()
            self._end_spawned()
            self.context.cancelled._trip(None)
            self.context._spawn = None
        self._line.acknowledged(what)
        if self._stopped:
            self._answer()

    async def _stop(self, limit_ms: int | None) -> None:
        self._end_spawned()
        try:
            await self._hook("on_stop", limit_ms)
        finally:
            self._mute = True

    def _after_cancel(self, cancel: Cancel) -> None:
        """A turn's instance is over with its turn. A session's goes on with the next one."""
        if cancel.scope == "provider_invocation":
            return
        self._end_spawned()
        if self.declaration.execution_scope == "session" and cancel.scope in ("turn", "node"):
            self._mute = False
            self.context.cancelled._reset()
        else:
            self._mute = True

    async def _hook(self, name: str, limit_ms: int | None, *args: Any, make: bool = False, preempts: bool = False) -> None:
        task = self._loop.create_task(self._call(name, args, make))
        self._running, self._preempts = task, preempts
        try:
            done, _ = await asyncio.wait({task}, timeout=None if limit_ms is None else limit_ms / 1000)
        finally:
            self._running, self._preempts = None, False
        if not done:
            task.cancel()
            raise HookFailed(name, CODE_TIMEOUT, f"took longer than {limit_ms} ms")
        if task.cancelled():
            if self.context.cancelled:
                return  # it was told to
            raise HookFailed(name, CODE_ERROR, "asyncio.CancelledError, though nobody cancelled it")
        err = task.exception()
        if err is None:
            return
        if isinstance(err, concurrent.futures.CancelledError) and self.context.cancelled:
            return  # a sync hook that was waiting
        if not isinstance(err, ConfigError):
            self.context.log.error("%s", "".join(traceback.format_exception(type(err), err, err.__traceback__)).rstrip())
        code = CODE_CONFIG if isinstance(err, ConfigError) else CODE_ERROR
        text = str(err) if isinstance(err, ConfigError) else f"{type(err).__name__}: {err}"
        raise HookFailed(name, code, text) from err

    async def _call(self, name: str, args: tuple[Any, ...], make: bool) -> None:
        """Call a hook where it belongs: async on the loop, sync on a thread."""
        try:
            if make:
                self._node = self._class()
            hook = getattr(self._node, name)
            if getattr(type(self._node), name) is getattr(_base(), name):
                return
            if inspect.iscoroutinefunction(hook):
                await hook(self.context, *args)
                return
            result = await self._line.threads.run(lambda: hook(self.context, *args))
            if inspect.isawaitable(result):
                await result
        except (SystemExit, KeyboardInterrupt) as err:  # it would end the process, and with it the others
            raise RuntimeError(f"{type(err).__name__}: {err}") from err

    def _interrupt(self) -> None:
        if self._running is not None and self._preempts:
            self._running.cancel()
        for task in self._spawned:
            task.cancel()

    def _emit(self, event: Event) -> None:
        if self._mute or self.failure is not None or self._stopped:
            self.late += 1
            return
        owner, sequence = _answering.get()
        self._line.emit(sequence if owner == id(self) and sequence == self._sequence else 0, event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if not self._line.threads.on_loop():
            async def begin() -> asyncio.Task[None]:
                return self._spawn(work)
            return self._line.wait(begin())
        async def guarded() -> None:
            try:
                await work
            except (SystemExit, KeyboardInterrupt) as err:  # it would end the process, and with it the others
                raise RuntimeError(f"{type(err).__name__}: {err}") from err

        task = self._loop.create_task(guarded())
        self._spawned.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._spawned.discard(task)
        if task.cancelled():
            return
        err = task.exception()
        if err is not None and self.failure is None and not self._stopped:
            self.context.log.error("%s", "".join(traceback.format_exception(type(err), err, err.__traceback__)).rstrip())
            self._over(HookFailed("spawn", CODE_ERROR, f"{type(err).__name__}: {err}"))

    def _end_spawned(self) -> None:
        for task in self._spawned:
            task.cancel()

    def _give_back(self) -> None:
        """What waits is not worked on any more; its credit returns."""
        while self._events:
            self._line.done(self._events.popleft()[0], None, 0)

    def _answer(self) -> None:
        """Nobody hears the hooks that wait; they are answered."""
        while self._controls:
            self._line.acknowledged(self._controls.popleft()[0])

    def _over(self, err: HookFailed) -> None:
        if self.failure is not None:
            return
        self.failure = err
        self.context.cancelled._trip(Cancel(scope="node", reason="node_failure"))
        self._end_spawned()
        self._line.failed(err.hook, err.code, err.message)
        while self._events:
            self._line.done(self._events.popleft()[0], err.code, 0)
        self._answer()
        self._urge.set()


def _base() -> type[Node]:
    from .node import Node as Base

    return Base
