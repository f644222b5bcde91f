# SPDX-License-Identifier: Apache-2.0
import unittest
from array import array

from parley_node import Event, EventError

try:
    import numpy
except ImportError:
    numpy = None


class Events(unittest.TestCase):
    def test_kind_and_class_follow_from_the_type(self):
        for event, kind, payload in (
            (Event("segment", text="x"), "text", "text_raw"),
            (Event("audio_chunk", pcm=array("h", [1])), "audio", "audio_raw"),
            (Event("audio_end"), "audio", "audio_raw"),
            (Event("voice_on"), "control", "metadata"),
            (Event("mood", text="x"), "text", "text_raw"),
            (Event("mood", pcm=array("h", [1])), "audio", "audio_raw"),
            (Event("mood"), "control", "metadata"),
        ):
            self.assertEqual((event.kind, event.payload_class), (kind, payload), event)

    def test_replace_keeps_the_rest(self):
        event = Event("segment", text="a", payload_class="PII", invocation="c1", index=3, attributes={"language": "de"})
        other = event.replace(text="b")
        self.assertEqual((other.text, other.payload_class, other.invocation, other.index, dict(other.attributes)), ("b", "PII", "c1", 3, {"language": "de"}))
        self.assertEqual(event.text, "a")
        with self.assertRaises(AttributeError):
            event.text = "c"
        with self.assertRaises(TypeError):
            event.attributes["x"] = "y"

    def test_attributes_are_strings_and_numbers_decimals(self):
        event = Event("segment").with_attributes(mood="calm", score=0.1234567, n=3, sure=True, tiny=-1e-9, big=1e20)
        self.assertEqual(dict(event.attributes), {
            "mood": "calm", "score": "0.123457", "n": "3", "sure": "true", "tiny": "0", "big": "100000000000000000000",
        })
        for bad in ({"x": float("nan")}, {"x": None}, {"": "y"}, {str(n): "" for n in range(17)}):
            with self.assertRaises(EventError, msg=str(bad)):
                Event("segment", attributes=bad)

    def test_samples_share_memory(self):
        source = array("h", [1, -2, 3])
        event = Event("audio_chunk", pcm=source)
        source[1] = 5
        self.assertEqual(list(event.pcm), [1, 5, 3])
        self.assertEqual(list(Event("audio_chunk", pcm=b"\x01\x00\xfe\xff").pcm), [1, -2])
        self.assertEqual(Event("audio_chunk", pcm=array("h", [0] * 8000)).seconds, 0.5)

    def test_what_is_no_sound_is_refused_with_a_remedy(self):
        for bad, remedy in ((array("f", [0.5]), "int16"), (b"\x01", "whole samples"), ("text", "array('h')"), (array("i", [1]), "int16")):
            with self.assertRaises(EventError) as caught:
                Event("audio_chunk", pcm=bad)
            self.assertIn(remedy, str(caught.exception))

    def test_what_is_no_event_is_refused(self):
        for fields in ({"type": ""}, {"type": 5}, {"type": "x", "text": b"x"}, {"type": "x", "kind": "smell"}, {"type": "x", "payload_class": "secret"}):
            with self.assertRaises(EventError, msg=str(fields)):
                Event(**fields)

    def test_numpy(self):
        if numpy is None:  # the message is the promise then
            with self.assertRaisesRegex(ImportError, "pip install numpy"):
                Event("audio_chunk", pcm=b"\x01\x00").numpy()
            return
        source = array("h", [1, 2, 3])
        view = Event("audio_chunk", pcm=source).numpy()
        source[0] = 9
        self.assertEqual(view.tolist(), [9, 2, 3])
        with self.assertRaises(ValueError):
            view[0] = 1
        made = Event("audio_chunk", pcm=numpy.array([7, 8], dtype=numpy.int16))
        self.assertEqual(list(made.pcm), [7, 8])
        with self.assertRaises(EventError):
            Event("audio_chunk", pcm=numpy.zeros((2, 2), dtype=numpy.int16))
        with self.assertRaises(EventError):
            Event("audio_chunk", pcm=numpy.zeros(4, dtype=numpy.int16)[::2])
