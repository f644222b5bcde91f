# SPDX-License-Identifier: Apache-2.0
"""Real processes, spoken to as Parley does."""

import base64
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest
from array import array
from pathlib import Path

from parley_node import Event
from parley_node.rehearsal import Rehearsal
from parley_node import wire

HEAD = """
import asyncio, sys, time, logging, threading
from parley_node import Event, Node, ConfigError, serve
"""


class Processes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, body, attributes='inputs = ["segment", "audio_chunk"]; outputs = ["segment", "audio_chunk"]', hooks=""):
        text = HEAD + "class Made(Node):\n    type = 'made'; " + attributes + "\n"
        text += textwrap.indent(textwrap.dedent(hooks), "    ") + "\n"
        text += textwrap.indent(textwrap.dedent(body), "    ") + "\nserve(Made)\n"
        path = self.folder / "made.py"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def node(self, body, **options):
        made = {key: options.pop(key) for key in ("attributes", "hooks") if key in options}
        r = Rehearsal(self.file(body, **made), **options)
        self.addCleanup(r.close)
        return r

    ECHO = """
    async def on_event(self, ctx, event):
        if event.text == "raise": raise ValueError("broken")
        if event.text == "exit": sys.exit(7)
        if event.text == "sleep": await asyncio.sleep(3600)
        ctx.emit(event)
    """

    def test_hello_tells_what_it_is(self):
        r = self.node(self.ECHO)
        self.assertEqual(r.hello["protocol"], [1])
        self.assertEqual((r.hello["declaration"]["node_type"], r.hello["name"]), ("made", "made"))

    def test_text_and_sound_go_through(self):
        r = self.node(self.ECHO)
        self.assertEqual(r.open(1)["credits"], 8)
        r.event(1, 5, Event("segment", "grüß", payload_class="PII", invocation="c1", index=2, final=True, attributes={"language": "de"}))
        r.done(1, 5)
        r.event(1, 6, Event("audio_chunk", pcm=array("h", range(-160, 160)), sample=640, final=True))
        r.done(1, 6)
        (s5, text), (s6, sound) = r.emitted(1)
        self.assertEqual((s5, s6), (5, 6))
        self.assertEqual(text, Event("segment", "grüß", payload_class="PII", invocation="c1", index=2, final=True, attributes={"language": "de"}))
        self.assertEqual((list(sound.pcm), sound.sample, sound.final), (list(range(-160, 160)), 640, True))

    def test_a_failure_is_the_instances_own(self):
        r = self.node(self.ECHO)
        for instance in (1, 2, 3):
            r.open(instance)
        for instance, text in ((1, "raise"), (2, "exit")):
            r.event(instance, 1, Event("segment", text))
            failed = r.until(lambda f: isinstance(f, dict) and f["type"] == "failed" and f["instance"] == instance, "failed")
            self.assertEqual(failed["code"], "node_error")
            self.assertEqual(r.done(instance, 1)["error"]["code"], "node_error")
            r.event(instance, 2, Event("segment", "x"))
            self.assertIn("error", r.done(instance, 2))
        self.assertIn("ValueError: broken", next(f for f in r.frames if f["type"] == "failed")["message"])
        r.event(3, 1, Event("segment", "well"))
        self.assertNotIn("error", r.done(3, 1))
        r.ask("stop", "stopped", 1)

    def test_config_is_judged_by_on_init(self):
        r = self.node(self.ECHO, hooks="""
        def on_init(self, ctx):
            if ctx.config.get("voice") != "low":
                raise ConfigError("voice", ctx.config.get("voice"), "use low")
        """)
        answer = r.open(1, config={"voice": "high"})
        self.assertEqual((answer["type"], answer["code"]), ("failed", "config_error"))
        self.assertIn("config.voice: 'high': use low", answer["message"])
        self.assertEqual(r.open(2, config={"voice": "low"})["type"], "opened")

    def test_cancel_interrupts(self):
        r = self.node(self.ECHO)
        r.open(1)
        r.event(1, 1, Event("segment", "sleep"))
        r.event(1, 2, Event("segment", "waits"))
        r.ask("cancel", "cancelled", 1, scope="turn", reason="barge_in")
        self.assertNotIn("error", r.done(1, 1))
        self.assertNotIn("error", r.done(1, 2))
        self.assertEqual(r.emitted(1), [])
        r.ask("stop", "stopped", 1)

    def test_sync_hooks_hold_up_nobody(self):
        r = self.node("""
        def on_event(self, ctx, event):
            while not ctx.cancelled:
                time.sleep(0.001)
            ctx.emit(event)
        """)
        for instance in range(1, 9):
            r.open(instance)
            r.event(instance, 1, Event("segment", "x"))
        since = len(r.frames)
        r.send("ping", nonce=77)
        self.assertEqual(r.until(lambda f: f["type"] == "pong", "pong", since)["nonce"], 77)
        for instance in range(1, 9):
            r.ask("cancel", "cancelled", instance, scope="turn", reason="barge_in")
            r.done(instance, 1)
            self.assertEqual(r.emitted(instance), [])

    def test_what_a_hook_asks_of_the_host(self):
        r = self.node("""
        def on_event(self, ctx, event):
            before = ctx.wait(ctx.state.get("k"))
            ctx.wait(ctx.state.put("k", (before or b"") + b"\\x00\\xff"))
            talk = ctx.wait(ctx.conversation())
            ctx.count("asked", 2)
            ctx.log.warning("said %d", 3)
            ctx.wake_at(1.5)
            ctx.emit(event.replace(text=f"{before!r} {talk[0].text} {ctx.session} {ctx.turn} {ctx.node} {ctx.seed}"))
        """, attributes='inputs = ["segment"]; outputs = ["segment"]; state = ["session-hot"]')
        r.open(1, turn="t9", seed=4)
        r.event(1, 1, Event("segment", "x"))

        def answer(kind, **fields):
            asked = r.until(lambda f: f["type"] == kind, kind)
            r.send("reply", id=asked["id"], **fields)
            return asked

        self.assertEqual(answer("state_get", value=base64.b64encode(b"old").decode())["key"], "k")
        put = answer("state_put")
        self.assertEqual((put["class"], base64.b64decode(put["value"])), ("session-hot", b"old\x00\xff"))
        answer("conversation", messages=[{"role": "user", "text": "hi", "weather": 1}])
        r.done(1, 1)
        self.assertEqual(r.emitted(1)[0][1].text, "b'old' hi session-1 t9 node-1 4")
        said = {f["type"]: f for f in r.frames}
        self.assertEqual((said["telemetry"]["name"], said["telemetry"]["n"]), ("asked", 2))
        self.assertEqual((said["log"]["level"], said["log"]["message"]), ("warn", "said 3"))
        self.assertEqual(said["wake"]["at"], 1500000000)

    def test_the_clock_is_the_sessions(self):
        r = self.node("""
        async def on_event(self, ctx, event):
            before = ctx.now_ns
            await asyncio.sleep(0.01)
            ctx.emit(event.replace(text=f"{before} {ctx.now_ns}"))  # it stands while a hook runs

        async def on_stop(self, ctx):
            ctx.log.info("%d", ctx.now_ns)  # and goes on between hooks
        """)
        r.open(1)
        for n, at in enumerate((10**15, 2 * 10**15), 1):
            r.event(1, n, Event("segment", at_ns=at))
            r.done(1, n)
        self.assertEqual([e.text for _, e in r.emitted(1)], [f"{10**15} {10**15}", f"{2 * 10**15} {2 * 10**15}"])
        r.ask("stop", "stopped", 1)
        self.assertGreater(int(next(f for f in r.frames if f["type"] == "log")["message"]), 2 * 10**15)

    def test_a_flood_waits_for_the_host(self):
        """What a sync hook emits goes out as the host takes it: all of it, in order, and never much at once."""
        r = self.node("""
        def on_event(self, ctx, event):
            for n in range(400):
                ctx.emit(Event("audio_chunk", pcm=bytes(32000), sample=n))
        """)
        r.open(1)
        r.event(1, 1, Event("segment", "x"))
        r.done(1, 1)
        self.assertEqual([e.sample for _, e in r.emitted(1)], list(range(400)))

    def test_a_flood_that_does_not_wait_fails(self):
        for drains in ("await ctx.drain()", "pass"):
            r = self.node(f"""
            async def on_event(self, ctx, event):
                for n in range(400):
                    ctx.emit(Event("audio_chunk", pcm=bytes(64000), sample=n))
                    {drains}
            """)
            r.open(1)
            r.event(1, 1, Event("segment", "x"))
            done = r.done(1, 1)
            if drains == "pass":
                self.assertEqual(done["error"]["code"], "node_error")
                self.assertIn("ctx.drain()", done["error"]["message"])
            else:
                self.assertEqual(len(r.emitted(1)), 400)

    def test_an_instance_that_is_not_there_is_no_harm(self):
        r = self.node(self.ECHO)
        r.open(1)
        r.event(9, 1, Event("segment", "x"))
        self.assertEqual(r.done(9, 1)["error"]["code"], "unknown_instance")
        r.event(1, 2, Event("segment", "x"))
        self.assertNotIn("error", r.done(1, 2))
        r.ask("stop", "stopped", 9)

    def test_what_breaks_the_protocol_ends_the_process(self):
        for bad, field in (
            (b"\xff\xff\xff\xff", "frame length"), (wire.encode({"type": "open", "instance": "x"}), "open.instance"), (b"\0\0\0\2J[", "frame J"),
            (wire.encode({"type": "event", "instance": 1, "seq": 1, "event": {"type": "segment", "text": 5}}), "event.text: 5"),
        ):
            r = self.node(self.ECHO)
            r.raw(bad)
            code, written = r.end()
            self.assertEqual(code, 1)
            self.assertIn(field, written)

    def test_versions_are_agreed_or_it_ends(self):
        for welcome, said in (
            ({"type": "refuse", "code": "unknown_package", "message": "not pinned"}, "unknown_package: not pinned"),
            ({"type": "welcome", "protocol": 9}, "welcome.protocol: 9: this package speaks [1]"),
        ):
            code, written = self.node(self.ECHO, welcome=welcome).end()
            self.assertEqual(code, 1)
            self.assertIn(said, written)

    def test_it_ends_when_told(self):
        hooks = """
        def on_stop(self, ctx):
            print("stopped", flush=True)
        """
        for tell in ("shutdown", "eof", signal.SIGTERM, signal.SIGINT):
            r = self.node(self.ECHO, hooks=hooks)
            r.open(1)
            r.event(1, 1, Event("segment", "x"))
            r.done(1, 1)
            if tell == "shutdown":
                r.send("shutdown")
            elif tell == "eof":
                r._sock.close()
            else:
                r.process.send_signal(tell)
            self.assertEqual(r.end(), (0, "stopped"), tell)

    def test_a_hook_that_hangs_does_not_keep_the_process(self):
        r = self.node("""
        def on_event(self, ctx, event):
            ctx.count("begun")
            threading.Event().wait()
        """)
        r.open(1)
        r.event(1, 1, Event("segment", "x"))
        r.until(lambda f: f["type"] == "telemetry", "telemetry")
        self.assertEqual(r.terminate()[0], 0)

    def test_without_a_host_it_says_what_to_do(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_NODE")}
        env["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
        for changes, said in (
            ({}, "python -m parley_node check"), ({"PARLEY_NODE_SOCKET": "/nowhere/x"}, "PARLEY_NODE_SOCKET: '/nowhere/x'"), ({"PARLEY_NODE_FD": "x"}, "PARLEY_NODE_FD: 'x'"),
        ):
            done = subprocess.run([sys.executable, self.file(self.ECHO)], env={**env, **changes}, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)
        done = subprocess.run([sys.executable, self.file(self.ECHO, attributes="inputs = 'segment'")], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("Made: inputs: 'segment': give a list", done.stderr)
