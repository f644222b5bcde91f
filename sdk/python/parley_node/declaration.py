# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself, taken from the attributes of its class and checked before it runs."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import DeclarationError, Fault
from .event import BUILT_IN_TYPES

if TYPE_CHECKING:
    from .node import Node

STREAMING = ("incremental", "final", "both")
SCOPES = ("session", "turn")
CANCEL_CLASSES = ("preemptible", "cooperative")
CANCEL_MODES = ("hard", "soft")
TURN_EPHEMERAL = "turn-ephemeral"
SESSION_HOT = "session-hot"
SESSION_DURABLE = "session-durable"
STATE_CLASSES = (TURN_EPHEMERAL, SESSION_HOT, SESSION_DURABLE)
MAX_NAME = 128
MAX_WINDOW = 256

#: The hooks, with how many arguments each is given besides self.
HOOKS = {
    "on_init": 1,
    "on_start": 1,
    "on_event": 2,
    "on_barge_in": 1,
    "on_cancel": 2,
    "on_budget_exhausted": 2,
    "on_stop": 1,
}


@dataclass(frozen=True)
class Resources:
    """What an instance needs."""

    cpu_units: int = 0  # thousandths of a core
    memory_mb: int = 0
    gpu: bool = False
    network: bool = False


@dataclass(frozen=True)
class Declaration:
    """What the host is told of a node."""

    node_type: str
    package: str
    version: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    streaming: str = "incremental"
    execution_scope: str = "turn"
    cancel_class: str = "preemptible"
    cancel_mode: str = "hard"
    buffers_audio: bool = False
    long_running: bool = False
    state: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)

    def wire(self) -> dict[str, object]:
        """The declaration as the protocol has it."""
        return {
            "node_type": self.node_type,
            "package": self.package,
            "version": self.version,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "streaming": self.streaming,
            "execution_scope": self.execution_scope,
            "cancel_class": self.cancel_class,
            "cancel_mode": self.cancel_mode,
            "buffers_audio": self.buffers_audio,
            "long_running": self.long_running,
            "state": list(self.state),
            "resources": {
                "cpu_units": self.resources.cpu_units,
                "memory_mb": self.resources.memory_mb,
                "gpu": self.resources.gpu,
                "network": self.resources.network,
            },
        }


def declare(node: type[Node]) -> Declaration:
    """The declaration of a node's class. A DeclarationError tells everything that is wrong with it."""
    faults = list(_faults(node))
    if faults:
        raise DeclarationError(node.__qualname__, faults)
    asynchronous = inspect.iscoroutinefunction(node.on_event)
    return Declaration(
        node_type=node.type,
        package=node.package or default_package(node),
        version=node.version,
        inputs=tuple(node.inputs),
        outputs=tuple(node.outputs),
        streaming=node.streaming,
        execution_scope=node.scope,
        cancel_class=node.cancel_class or ("preemptible" if asynchronous else "cooperative"),
        cancel_mode=node.cancel_mode,
        buffers_audio=node.buffers_audio,
        long_running=node.long_running,
        state=tuple(node.state),
        resources=node.resources,
    )


def default_package(node: type[Node]) -> str:
    """A node that names no package is one of its own."""
    module = node.__module__.partition(".")[0]
    return node.type if module in ("", "__main__") or module.startswith("_parley_") else module


def hints(declaration: Declaration) -> list[str]:
    """What is allowed and looks like a slip."""
    found = []
    for field_name, types in (("inputs", declaration.inputs), ("outputs", declaration.outputs)):
        for name in types:
            if name in BUILT_IN_TYPES:
                continue
            near = difflib.get_close_matches(name, BUILT_IN_TYPES, n=1)
            if near:
                found.append(f"{field_name}: {name!r} is no built-in event type; did you mean {near[0]!r}?")
    return found


def _faults(node: type[Node]) -> Iterable[Fault]:
    yield from _names(node)
    yield from _types(node)
    yield from _choices(node)
    yield from _hooks(node)
    yield from _made(node)


def _names(node: type[Node]) -> Iterable[Fault]:
    if not snake(node.type):
        yield Fault("type", node.type, 'give a name in lower_snake_case, such as type = "shout"')
    if not isinstance(node.package, str):
        yield Fault("package", node.package, "give a string, or leave it out")
    if not isinstance(node.version, str) or not node.version:
        yield Fault("version", node.version, 'give the package\'s version, such as version = "1.0.0"')


def _types(node: type[Node]) -> Iterable[Fault]:
    for name, least in (("inputs", 1), ("outputs", 0)):
        value = getattr(node, name)
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            yield Fault(name, value, f'give a list of event types, such as {name} = ["segment"]')
            continue
        if len(value) < least:
            yield Fault(name, value, "name at least one event type")
        for item in value:
            if not snake(item):
                yield Fault(name, item, "event types are in lower_snake_case")
        if len(set(map(repr, value))) != len(value):
            yield Fault(name, value, "name each event type once")


def _choices(node: type[Node]) -> Iterable[Fault]:
    for name, choices in (
        ("streaming", STREAMING), ("scope", SCOPES), ("cancel_class", (*CANCEL_CLASSES, "")), ("cancel_mode", CANCEL_MODES),
    ):
        if getattr(node, name) not in choices:
            yield Fault(name, getattr(node, name), "use " + " or ".join(c for c in choices if c))
    for name in ("buffers_audio", "long_running"):
        if not isinstance(getattr(node, name), bool):
            yield Fault(name, getattr(node, name), "use True or False")
    if isinstance(node.state, str) or not isinstance(node.state, (list, tuple)):
        yield Fault("state", node.state, 'give a list, such as state = ["session-hot"]')
    else:
        for item in node.state:
            if item not in STATE_CLASSES:
                yield Fault("state", item, "use " + ", ".join(STATE_CLASSES))
            elif item == TURN_EPHEMERAL and node.scope == "session":
                yield Fault("state", item, 'a session-scoped node has no turn-ephemeral state: use "session-hot"')
    r = node.resources
    if not isinstance(r, Resources):
        yield Fault("resources", r, "give parley_node.Resources(memory_mb=...)")
    elif not (_amount(r.cpu_units) and _amount(r.memory_mb)):
        yield Fault("resources", r, "amounts are whole numbers that are not negative")
    if not _amount(node.window) or not 1 <= node.window <= MAX_WINDOW:
        yield Fault("window", node.window, f"give a number of events from 1 to {MAX_WINDOW}")


def _hooks(node: type[Node]) -> Iterable[Fault]:
    from .node import Node as Base

    for name in sorted({n for c in node.__mro__ for n in vars(c)}):
        if name.startswith("on_") and name not in HOOKS and callable(getattr(node, name)):
            near = difflib.get_close_matches(name, HOOKS, n=1)
            wanted = f"did you mean {near[0]}?" if near else "hooks are " + ", ".join(HOOKS)
            yield Fault(name, "is no hook", f"{wanted} Give a method of your own a name without on_")
    for name, wants in HOOKS.items():
        hook = getattr(node, name)
        if not callable(hook):
            yield Fault(name, hook, "define a method")
            continue
        try:
            inspect.signature(hook).bind(*range(wants + 1))
        except TypeError:
            arguments = {1: "(self, ctx)", 2: "(self, ctx, event)"}[wants]
            yield Fault(name, str(inspect.signature(hook)), f"define {name}{arguments}")
        if inspect.isasyncgenfunction(hook) or inspect.isgeneratorfunction(hook):
            yield Fault(name, "yields", "emit with ctx.emit(event) rather than yield")
    if node.on_event is Base.on_event:
        yield Fault("on_event", "is missing", "define async def on_event(self, ctx, event)")
    if node.cancel_class == "preemptible" and not inspect.iscoroutinefunction(node.on_event):
        yield Fault("cancel_class", "preemptible", "a sync on_event cannot be interrupted: write async def on_event, or leave cancel_class out")
    if node.buffers_audio is True and node.on_barge_in is Base.on_barge_in:
        yield Fault("buffers_audio", True, "define on_barge_in, which drops what is buffered")
    if node.long_running is True and node.on_budget_exhausted is Base.on_budget_exhausted:
        yield Fault("long_running", True, "define on_budget_exhausted")


def _made(node: type[Node]) -> Iterable[Fault]:
    if inspect.isabstract(node):
        yield Fault("abstract methods", sorted(getattr(node, "__abstractmethods__", ())), "define them")
        return
    try:
        inspect.signature(node).bind()
    except TypeError:
        yield Fault("__init__", str(inspect.signature(node)), "take no arguments: an instance gets its config by ctx.config, in on_init")
    except ValueError:
        return  # a class written in C has no signature to look at


def _amount(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def snake(name: object) -> bool:
    """Whether a name is in lower_snake_case, as node types and event types are."""
    return isinstance(name, str) and len(name) <= MAX_NAME and re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None
