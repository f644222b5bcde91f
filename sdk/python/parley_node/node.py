# SPDX-License-Identifier: Apache-2.0
"""The class that authors derive from."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import ClassVar

from .context import Cancel, Context
from .declaration import Resources
from .event import Event

#: What a hook may return: nothing, or what is awaited for nothing.
Result = Awaitable[None] | None


class Node:
    """One node of a voice graph.

    A subclass declares what it is by class attributes and defines the hooks that it needs, each either with ``async
    def`` or with ``def``. Async hooks share one event loop and must not block it; sync hooks run on a thread and may
    block. The hooks of one instance never run at the same time.

    Life of an instance::

        __init__ -> on_init -> on_start -> on_event* -> on_stop
                                   on_barge_in, on_cancel, on_budget_exhausted between events

    An exception in a hook ends this instance and no other.
    """

    #: The name that specs use, in lower_snake_case.
    type: ClassVar[str] = ""
    #: The package that holds the node; the module's name if it is left out.
    package: ClassVar[str] = ""
    #: The package's version.
    version: ClassVar[str] = "0.1.0"
    #: The event types that it takes and gives.
    inputs: ClassVar[Sequence[str]] = ()
    outputs: ClassVar[Sequence[str]] = ()
    #: When it delivers: "incremental", "final" or "both".
    streaming: ClassVar[str] = "incremental"
    #: How long an instance lives: "turn" or "session".
    scope: ClassVar[str] = "turn"
    #: "preemptible": a cancel raises asyncio.CancelledError in on_event where it awaits. "cooperative": on_event looks
    #: at ctx.cancelled by itself. Left out, it follows from on_event: async is preemptible, sync is cooperative.
    cancel_class: ClassVar[str] = ""
    #: "hard": what is emitted after a cancel is discarded. "soft": the piece in hand may be finished.
    cancel_mode: ClassVar[str] = "hard"
    #: It keeps audio that it has not emitted; on_barge_in drops it.
    buffers_audio: ClassVar[bool] = False
    #: Its work outlasts a hook; on_budget_exhausted is told when there is no time left.
    long_running: ClassVar[bool] = False
    #: The classes of state that it uses: "turn-ephemeral", "session-hot", "session-durable".
    state: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()
    #: How many events may wait in an instance; the host holds back the rest.
    window: ClassVar[int] = 8
    #: Events that `python -m parley_node check` gives it. Left out, the check makes some of the inputs.
    examples: ClassVar[Sequence[Event]] = ()

    def on_init(self, ctx: Context) -> Result:
        """Prepare the instance: read ctx.config, load a model. At most 5 s."""

    def on_start(self, ctx: Context) -> Result:
        """Called once, before the first event. At most 2 s."""

    def on_event(self, ctx: Context, event: Event) -> Result:
        """Take one event and emit zero or more with ctx.emit, now or later."""

    def on_barge_in(self, ctx: Context) -> Result:
        """The user has cut in: drop what is buffered. on_cancel follows. Both together: 75 ms."""

    def on_cancel(self, ctx: Context, cancel: Cancel) -> Result:
        """The scope is over. Returning acknowledges it; nobody waits for that."""

    def on_budget_exhausted(self, ctx: Context, outcome: str) -> Result:
        """No time is left; what follows is "continue", "degrade", "fallback" or "terminate"."""

    def on_stop(self, ctx: Context) -> Result:
        """Release what the instance holds. Called once. At most 2 s."""
