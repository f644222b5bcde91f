# SPDX-License-Identifier: Apache-2.0
"""Write nodes of a Parley voice graph in Python.

::

    from parley_node import Node, serve

    class Shout(Node):
        type = "shout"
        inputs = ["segment"]
        outputs = ["segment"]

        async def on_event(self, ctx, event):
            ctx.emit(event.replace(text=event.text.upper()))

    serve(Shout)

``python -m parley_node check my_node.py`` tries it without Parley, ``parley_node.testing.Harness`` tests it.
"""

import logging

from .context import Budget, Cancel, Cancelled, Context, Message, State
from .declaration import SESSION_DURABLE, SESSION_HOT, TURN_EPHEMERAL, Declaration, Resources, declare
from .errors import (
    BackPressureError,
    ConfigError,
    DeclarationError,
    EventError,
    Fault,
    HookFailed,
    NodeError,
    ProtocolError,
    Refused,
    StateError,
)
from .event import (
    AUDIO_RAW,
    DERIVED_SUMMARY,
    FRAME_SAMPLES,
    MAX_ATTRIBUTES,
    METADATA,
    PHI,
    PII,
    SAMPLE_RATE,
    TEXT_RAW,
    Event,
    Sync,
)
from .node import Node
from .server import serve
from .version import VERSION as __version__

logging.getLogger(__name__).addHandler(logging.NullHandler())  # the host is told; a program may listen as well

__all__ = [
    "AUDIO_RAW", "DERIVED_SUMMARY", "FRAME_SAMPLES", "MAX_ATTRIBUTES", "METADATA", "PHI", "PII", "SAMPLE_RATE",
    "SESSION_DURABLE", "SESSION_HOT", "TEXT_RAW", "TURN_EPHEMERAL", "BackPressureError", "Budget", "Cancel", "Cancelled",
    "ConfigError", "Context", "Declaration", "DeclarationError", "Event", "EventError", "Fault", "HookFailed", "Message",
    "Node", "NodeError", "ProtocolError", "Refused", "Resources", "State", "StateError", "Sync", "__version__", "declare",
    "serve",
]
