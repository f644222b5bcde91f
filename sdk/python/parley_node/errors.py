# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, and whose fault it is.

Each error names a field, its value and a remedy, because whoever reads it has a node to repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with something that was written."""

    field: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r}: {self.remedy}"


class NodeError(Exception):
    """The base of every error of this package."""


class DeclarationError(NodeError):
    """A node says something of itself that is missing or false; all of it at once."""

    def __init__(self, node: str, faults: Sequence[Fault]) -> None:
        self.node = node
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{node}: {fault}" for fault in self.faults))


class ConfigError(NodeError):
    """The config that a spec gives this node cannot be used. Raise it in on_init."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.fault = Fault("config." + field, value, remedy)
        super().__init__(str(self.fault))


class EventError(NodeError, ValueError):
    """An event cannot be what it is said to be."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.fault = Fault(field, value, remedy)
        super().__init__(str(self.fault))


class StateError(NodeError):
    """The host refused to give or to keep a value."""


class BackPressureError(NodeError):
    """A hook emits faster than the host takes, and does not wait."""


class ProtocolError(NodeError):
    """The other end said something that the protocol has no place for."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.fault = Fault(field, value, remedy)
        super().__init__(str(self.fault))


class Refused(NodeError):
    """The host does not take this node."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"the host refused this node: {code}: {message}")


class HookFailed(NodeError):
    """A hook raised, or passed its time limit. The instance is over; others go on."""

    def __init__(self, hook: str, code: str, message: str) -> None:
        self.hook = hook
        self.code = code
        self.message = message
        super().__init__(f"{hook}: {message}")
