# SPDX-License-Identifier: Apache-2.0
import random
import struct
import unittest
from array import array

from parley_node import Event, EventError, ProtocolError, Sync
from parley_node import wire


def decode(data, pieces=None):
    decoder, frames = wire.Decoder(), []
    for piece in pieces or [data]:
        frames += decoder.feed(piece)
    return frames


class Wire(unittest.TestCase):
    def test_bytes_on_the_wire(self):
        frame = wire.encode({"type": "x"})
        self.assertEqual(frame, b"\x00\x00\x00\x0dJ" + b'{"type":"x"}')
        audio = wire.encode_audio(7, 9, Event("audio_chunk", pcm=array("h", [1, -2]), at_ns=5, sample=320, final=True, protected=True))
        self.assertEqual(wire.encode_done(7, 9, 180), bytes.fromhex("00000011" "44" "00000007" "0000000000000009" "000000b4"))
        self.assertEqual(audio, bytes.fromhex("00000022" "41" "00000007" "0000000000000009" "0000000000000005" "0000000000000140" "03" "0100" "feff"))

    def test_there_and_back(self):
        event = Event(
            "transcript", text="grüß \U0001f600", payload_class="PII", at_ns=5, invocation="c", index=-1, sample=2, heard=3, final=True,
            protected=True, attributes={"language": "de"}, sync=Sync(id="s", group="g"),
        )
        (message,) = decode(wire.encode({"type": "event", "event": wire.event_to_wire(event)}))
        self.assertEqual(wire.event_from_wire(message["event"]), event)
        chunk = Event("audio_chunk", pcm=array("h", [5] * 320), sample=-4, at_ns=-1, protected=True)
        (audio,) = decode(wire.encode_audio(1, (1 << 64) - 1, chunk))
        self.assertEqual((audio.instance, audio.sequence, audio.event), (1, (1 << 64) - 1, chunk))
        (done,) = decode(wire.encode_done(1, 2, 1 << 40))
        self.assertEqual(done, wire.DoneFrame(1, 2, (1 << 32) - 1))

    def test_sound_that_says_more_goes_as_json(self):
        self.assertTrue(wire.is_plain_audio(Event("audio_chunk", pcm=bytes(4), at_ns=1, sample=2, final=True, protected=True)))
        for more in ({"invocation": "c"}, {"index": 1}, {"heard": 1}, {"text": "x"}, {"attributes": {"a": "b"}}, {"sync": Sync("x")}, {"payload_class": "PII"}):
            event = Event("audio_chunk", pcm=bytes(range(8)), **more)
            self.assertFalse(wire.is_plain_audio(event), more)
            self.assertEqual(wire.event_from_wire(wire.event_to_wire(event)), event)
        self.assertFalse(wire.is_plain_audio(Event("beep", pcm=bytes(4))))

    def test_any_cut_gives_the_same(self):
        data = wire.encode({"type": "a", "n": 1}) + wire.encode_audio(1, 2, Event("audio_chunk", pcm=b"\1\0")) + b"\0\0\0\1?" + wire.encode({"type": "b"})
        whole = decode(data)
        self.assertEqual(len(whole), 4)
        self.assertEqual(whole[2], wire.UnknownFrame(ord("?")))
        self.assertEqual(decode(data, [data[n : n + 1] for n in range(len(data))]), whole)
        for cut in range(len(data)):
            self.assertEqual(decode(data, [data[:cut], data[cut:]]), whole)

    def test_what_is_no_frame_is_a_fault_with_a_name(self):
        for data, field in (
            (b"\0\0\0\0", "frame length"), (b"\0\x10\0\1", "frame length"), (b"\xff\xff\xff\xff", "frame length"),
            (b"\0\0\0\2J{", "frame J"), (b"\0\0\0\3J[]", "frame J"), (b"\0\0\0\3J{}", "frame J"), (b"\0\0\0\2J\xff", "frame J"),
            (b"\0\0\0\2A\0", "frame A"), (struct.pack(">I", 31) + b"A" + b"\0" * 30, "frame A"), (b"\0\0\0\2D\0", "frame D"),
            (struct.pack(">I", 200001) + b"J" + b"[" * 200000, "frame J"),
        ):
            with self.assertRaises(ProtocolError, msg=data[:20]) as caught:
                decode(data)
            self.assertEqual(caught.exception.fault.field, field)

    def test_what_is_good_before_a_fault_is_given(self):
        frames = []
        with self.assertRaises(ProtocolError):
            for frame in wire.Decoder().feed(wire.encode({"type": "a"}) + b"\0\0\0\0"):
                frames.append(frame)
        self.assertEqual(frames, [{"type": "a"}])

    def test_too_large_is_refused_where_it_is_made(self):
        wire.encode({"type": "x", "t": "a" * (wire.MAX_FRAME - 21)})
        with self.assertRaisesRegex(EventError, "in pieces"):
            wire.encode({"type": "x", "t": "a" * wire.MAX_FRAME})
        most = Event("audio_chunk", pcm=bytes(2 * wire.MAX_SAMPLES))
        self.assertEqual(len(decode(wire.encode_audio(1, 1, most))[0].event.pcm), wire.MAX_SAMPLES)
        with self.assertRaisesRegex(EventError, "in pieces"):
            wire.encode_audio(1, 1, Event("audio_chunk", pcm=bytes(2 * wire.MAX_SAMPLES + 2)))

    def test_half_a_surrogate_pair_is_no_crash(self):
        (message,) = decode(wire.encode({"type": "x", "t": "a\ud800b"}))
        self.assertEqual(message["t"], "a?b")
        with self.assertRaises(ProtocolError):
            wire.encode({"type": "x", "t": float("nan")})

    def test_unknown_fields_are_left_out(self):
        event = wire.event_from_wire({"type": "segment", "text": "x", "class": "PHI", "weather": {"sun": [1]}, "attributes": {"a": "b", "c": 3}})
        self.assertEqual(event, Event("segment", text="x", payload_class="PHI", attributes={"a": "b"}))

    def test_events_that_mean_nothing_are_faults(self):
        for bad in ({}, {"type": ""}, {"type": "x", "text": 3}, {"type": "x", "index": "1"}, {"type": "x", "at": 1 << 70}, {"type": "x", "kind": "smell"}, {"type": "x", "attributes": []}, {"type": "x", "final": 1}, {"type": "x", "pcm": "?"}, {"type": "x", "pcm": "AA=="}):
            with self.assertRaises(ProtocolError, msg=str(bad)) as caught:
                wire.event_from_wire(bad)
            self.assertTrue(caught.exception.fault.field.startswith("event."), caught.exception)

    def test_random_bytes(self):
        """Whatever the bytes are, the answer is frames or a ProtocolError."""
        rng = random.Random(4711)
        good = [
            wire.encode({"type": "event", "instance": 1, "seq": 1, "event": {"type": "segment", "text": "hello"}}),
            wire.encode_audio(1, 2, Event("audio_chunk", pcm=bytes(64))), wire.encode_done(1, 2, 3), b"\0\0\0\1?",
        ]
        faults = frames = 0
        for _ in range(4000):
            data = bytearray(b"".join(rng.choices(good, k=rng.randint(1, 4))) if rng.random() < 0.8 else rng.randbytes(rng.randint(0, 64)))
            for _ in range(rng.randint(0, 4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            cut = rng.randint(0, len(data))
            try:
                for frame in decode(None, [bytes(data[:cut]), bytes(data[cut:])]):
                    frames += 1
                    if isinstance(frame, dict) and isinstance(frame.get("event"), dict):
                        wire.event_from_wire(frame["event"])
            except ProtocolError:
                faults += 1
        self.assertGreater(faults, 100)
        self.assertGreater(frames, 1000)
