# SPDX-License-Identifier: Apache-2.0
import unittest

from parley_node import DeclarationError, Node, Resources, declare
from parley_node.declaration import hints


def sound(**changes):
    """A sound node's class, with changes."""
    async def on_event(self, ctx, event):
        pass

    return type("Sound", (Node,), {"type": "sound", "inputs": ["segment"], "outputs": ["segment"], "on_event": on_event, **changes})


class Declarations(unittest.TestCase):
    def test_a_sound_one(self):
        d = declare(sound(package="p", version="2.0.0", state=["session-hot"], resources=Resources(memory_mb=64)))
        self.assertEqual(d.wire(), {
            "node_type": "sound", "package": "p", "version": "2.0.0", "inputs": ["segment"], "outputs": ["segment"],
            "streaming": "incremental", "execution_scope": "turn", "cancel_class": "preemptible", "cancel_mode": "hard",
            "buffers_audio": False, "long_running": False, "state": ["session-hot"],
            "resources": {"cpu_units": 0, "memory_mb": 64, "gpu": False, "network": False},
        })

    def test_cancel_class_follows_from_on_event(self):
        self.assertEqual(declare(sound()).cancel_class, "preemptible")
        self.assertEqual(declare(sound(on_event=lambda self, ctx, event: None)).cancel_class, "cooperative")
        self.assertEqual(declare(sound(cancel_class="cooperative")).cancel_class, "cooperative")

    def test_each_fault_names_its_field(self):
        def one(self, ctx):
            pass

        def sync(self, ctx, event):
            pass

        def yields(self, ctx, event):
            yield event

        for field, changes in {
            "type": {"type": "Sound Node"}, "version": {"version": ""}, "package": {"package": 3}, "inputs": {"inputs": []},
            "inputs ": {"inputs": "segment"}, "inputs  ": {"inputs": ["Segment"]}, "outputs": {"outputs": ["a", "a"]},
            "streaming": {"streaming": "sometimes"}, "scope": {"scope": "call"}, "cancel_class": {"cancel_class": "rude"},
            "cancel_class ": {"cancel_class": "preemptible", "on_event": sync}, "cancel_mode": {"cancel_mode": "gentle"},
            "buffers_audio": {"buffers_audio": True}, "buffers_audio ": {"buffers_audio": 1}, "long_running": {"long_running": True},
            "state": {"state": ["for-ever"]}, "state ": {"scope": "session", "state": ["turn-ephemeral"]}, "state  ": {"state": "session-hot"},
            "resources": {"resources": Resources(memory_mb=-1)}, "resources ": {"resources": {}}, "window": {"window": 0},
            "on_event": {"on_event": one}, "on_event ": {"on_event": Node.on_event}, "on_event  ": {"on_event": yields},
            "on_evnet": {"on_evnet": one}, "on_stop": {"on_stop": None}, "__init__": {"__init__": one},
        }.items():
            with self.assertRaises(DeclarationError, msg=field) as caught:
                declare(sound(**changes))
            self.assertIn(f"{field.strip()}: ", str(caught.exception))

    def test_all_faults_are_told_at_once(self):
        with self.assertRaises(DeclarationError) as caught:
            declare(sound(type="", version="", inputs=[]))
        self.assertEqual([fault.field for fault in caught.exception.faults], ["type", "version", "inputs"])

    def test_a_slip_of_a_hook_is_pointed_out(self):
        with self.assertRaisesRegex(DeclarationError, "did you mean on_cancel"):
            declare(sound(on_canceled=lambda self, ctx, cancel: None))

    def test_a_slip_of_an_event_type_is_a_hint(self):
        self.assertIn("did you mean 'segment'", hints(declare(sound(inputs=["segmnt"])))[0])
        self.assertEqual(hints(declare(sound(inputs=["mood"]))), [])
