# SPDX-License-Identifier: Apache-2.0
"""What stands between an instance and its host: a socket when it serves, a list in a test."""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .event import Event

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """The times that hooks may take, in milliseconds. None is no limit of this side: the host has its own."""

    init_ms: int | None = 5000
    start_ms: int | None = 2000
    cancel_ms: int | None = 75
    budget_ms: int | None = 50
    stop_ms: int | None = 2000
    #: The budget of one event; passing it is told to the node and is no failure.
    event_ms: int | None = 800
    #: When an event is taken to hang.
    event_hard_ms: int | None = 5000


class Threads:
    """Runs sync hooks beside the event loop, and counts those that compute."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self.loop = loop
        self.busy = 0
        self._pool = concurrent.futures.ThreadPoolExecutor(size, thread_name_prefix="parley-hook")
        self._hook = threading.local()

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call on a thread. Called on the loop."""
        self.busy += 1
        context = contextvars.copy_context()
        future: asyncio.Future[T] = self.loop.create_future()

        def work() -> None:
            self._hook.here = True
            try:
                result = context.run(call)
            except BaseException as err:  # whatever it is, it ends the instance and not the process
                self._post(self._finish, future, None, err)
            else:
                self._post(self._finish, future, result, None)

        self._pool.submit(work)
        return future

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait on a hook's thread for something that happens on the loop."""
        if threading.get_ident() == self._loop_thread():
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("ctx.wait is for sync hooks: in an async hook write await instead")
        counted = getattr(self._hook, "here", False)
        result: concurrent.futures.Future[T] = concurrent.futures.Future()
        self.loop.call_soon_threadsafe(self._begin_wait, awaitable, result, counted)
        return result.result()

    def on_loop(self) -> bool:
        """Whether the caller is on the loop's thread."""
        return threading.get_ident() == self._loop_thread()

    def close(self) -> None:
        """Let go of the threads; one that hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _loop_thread(self) -> int | None:
        try:
            return threading.get_ident() if asyncio.get_running_loop() is self.loop else None
        except RuntimeError:
            return None

    def _post(self, call: Callable[..., object], *args: object) -> None:
        try:
            self.loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    def _finish(self, future: asyncio.Future[T], result: Any, err: BaseException | None) -> None:
        self.busy -= 1
        if future.done():
            return
        if err is None:
            future.set_result(result)
        elif isinstance(err, (SystemExit, KeyboardInterrupt, StopIteration)):
            future.set_exception(RuntimeError(f"{type(err).__name__}: {err}"))
        else:
            future.set_exception(err)

    def _begin_wait(self, awaitable: Awaitable[T], result: concurrent.futures.Future[T], counted: bool) -> None:
        self.busy -= counted

        async def waits() -> T:
            return await awaitable

        def over(task: asyncio.Task[T]) -> None:
            self.busy += counted
            if task.cancelled():
                result.set_exception(concurrent.futures.CancelledError())
                return
            err = task.exception()
            if err is not None:
                result.set_exception(err)
            else:
                result.set_result(task.result())

        self.loop.create_task(waits()).add_done_callback(over)


class Line(abc.ABC):
    """An instance's way to its host. emit, count, log and wake may be called from any thread."""

    def __init__(self, threads: Threads, limits: Limits) -> None:
        self.threads = threads
        self.limits = limits
        self._anchor = (0, self.elapsed_ns())
        self._stands: int | None = None

    def wait(self, awaitable: Awaitable[T]) -> T:
        """See Threads.wait."""
        return self.threads.wait(awaitable)

    @abc.abstractmethod
    def elapsed_ns(self) -> int:
        """This side's own clock, which always goes on."""

    def now_ns(self) -> int:
        """The session's clock: it stands while a hook runs, so that what a node makes of it can be made again."""
        if self._stands is not None:
            return self._stands
        at, then = self._anchor
        return at + self.elapsed_ns() - then

    def set(self, at_ns: int) -> None:
        """What the host says the time is. It never goes back."""
        if at_ns >= self.now_ns():
            self._anchor = (at_ns, self.elapsed_ns())

    def stand(self, at_ns: int | None = None) -> None:
        """A hook begins: the clock stands at its event's instant, or where it is."""
        self._stands = None
        if at_ns is not None:
            self.set(at_ns)
        self._stands = self.now_ns() if at_ns is None else at_ns

    def go_on(self) -> None:
        """A hook has ended."""
        self._stands = None

    @abc.abstractmethod
    def emit(self, sequence: int, event: Event) -> None:
        """Give an event on; sequence is that of the event that it answers, 0 if it is unasked."""

    @abc.abstractmethod
    async def drain(self) -> None:
        """Wait until little of what was emitted waits."""

    @abc.abstractmethod
    def count(self, name: str, n: int) -> None:
        """Count something."""

    @abc.abstractmethod
    def log(self, level: int, text: str) -> None:
        """Say something to who runs the host; level is logging's."""

    @abc.abstractmethod
    def wake(self, at_ns: int | None) -> None:
        """Ask for the timer event."""

    @abc.abstractmethod
    async def state_get(self, state_class: str, key: str) -> bytes | None:
        """Read state."""

    @abc.abstractmethod
    async def state_put(self, state_class: str, key: str, value: bytes) -> None:
        """Write state."""

    @abc.abstractmethod
    async def conversation(self) -> list[dict[str, Any]]:
        """The conversation's items."""

    # What an instance tells of itself.

    @abc.abstractmethod
    def done(self, sequence: int, error: str | None, took_us: int) -> None:
        """An event was worked through, or is given back: its credit returns."""

    @abc.abstractmethod
    def failed(self, hook: str, code: str, message: str) -> None:
        """The instance is over."""

    @abc.abstractmethod
    def acknowledged(self, what: str) -> None:
        """A hook that was asked for has returned: "barge_in", "cancel", "budget" or "stop"."""
