# SPDX-License-Identifier: Apache-2.0
"""The check finds what it looks for: each planted fault, in the category that looks for it."""

import contextlib
import hashlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

from parley_node.__main__ import main

SOUND = """
import asyncio, os, signal
from parley_node import Event, Node, serve

class Made(Node):
    type = "made"; inputs = ["segment"]; outputs = ["segment"]; {attributes}

    def __init__(self):
        self.seen = []

    async def on_start(self, ctx):
        {start}

    async def on_event(self, ctx, event):
        {event}
        ctx.emit(event.replace(text=event.text.upper()))

    async def on_cancel(self, ctx, cancel):
        {cancel}

    async def on_budget_exhausted(self, ctx, outcome):
        {budget}

    async def on_stop(self, ctx):
        {stop}

serve({serves})
"""


class Checks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "made.py"

    def write(self, **parts):
        filled = dict.fromkeys(("start", "event", "cancel", "budget", "stop"), "pass") | {"attributes": "", "serves": "Made"}
        self.path.write_text(SOUND.format(**(filled | parts)), encoding="utf-8")
        return self.path

    def run_main(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main([*map(str, arguments)])
        return code, out.getvalue()

    def failed(self, output):
        return [line.split()[1] for line in output.splitlines() if line.startswith("FAIL")]

    def test_a_sound_node_holds(self):
        code, out = self.run_main("check", self.write())
        self.assertEqual((code, self.failed(out)), (0, []), out)
        self.assertEqual(out.count("ok "), 9, out)

    def test_planted_faults(self):
        for category, parts in {
            "declaration": {"attributes": "cancel_mode = 'rude'"},
            "hook_order": {"start": "ctx.emit(Event('segment', 'early'))"},
            "outputs": {"event": "ctx.emit(Event('transcript', 'x'))"},
            "cancel": {"cancel": "raise ValueError('broken')"},
            "budget": {"budget": "raise ValueError('broken')"},
            "isolation": {"event": "Made.n = getattr(Made, 'n', 0) + 1; event = event.replace(text=event.text * Made.n)"},
            "no_leak_between_turns": {"event": "Made.n = getattr(Made, 'n', 0) + 1; event = event.replace(index=Made.n)"},
            "shutdown": {"event": "signal.signal(signal.SIGTERM, lambda *_: os._exit(3))"},
        }.items():
            code, out = self.run_main("check", self.write(**parts))
            self.assertEqual(code, 1, category + out)
            self.assertIn(category, self.failed(out), out)

    def test_a_node_that_says_nothing_is_pointed_out(self):
        code, out = self.run_main("check", self.write(event="return"))
        self.assertEqual(code, 0, out)
        self.assertIn("note: the events made the node emit nothing", out)

    def test_events_and_config_of_ones_own(self):
        events = self.path.with_name("events.jsonl")
        events.write_text('{"type": "segment", "text": "good"}\n\n{"type": "segment", "text": "bad"}\n', encoding="utf-8")
        path = self.write(event="if event.text == ctx.config.get('hates'): raise ValueError('hated')")
        self.assertEqual(self.run_main("check", path, "--events", events)[0], 0)
        code, out = self.run_main("check", path, "--events", events, "--config", '{"hates": "bad"}')
        self.assertEqual(code, 1)
        self.assertIn("event 2, segment: on_event: ValueError: hated", out)
        events.write_text("{}", encoding="utf-8")
        self.assertIn("events.jsonl:1: event.type", self.run_main("check", path, "--events", events)[1])
        self.assertIn("--config", self.run_main("check", path, "--config", "[]")[1])

    def test_files_that_are_none(self):
        for text, said in (
            ("x = 1", "nodes that it serves: none"), ("import nothing_of_this_name", "ModuleNotFoundError"), ("raise SystemExit(3)", "exits when it is imported"),
        ):
            self.path.write_text(text, encoding="utf-8")
            code, out = self.run_main("check", self.path)
            self.assertEqual(code, 1)
            self.assertIn(said, out)
        self.assertIn("there is none", self.run_main("check", self.path.with_name("none.py"))[1])

    def test_a_file_that_does_not_serve_is_found_out(self):
        path = self.write()
        path.write_text(path.read_text(encoding="utf-8").replace("serve(Made)", ""), encoding="utf-8")
        code, out = self.run_main("check", path)
        self.assertEqual(code, 1, out)
        self.assertIn("the node's process ended before it", out)

    def test_manifest_tells_of_an_interpreter_that_is_a_script(self):
        path = self.write()
        script = path.with_name("python-of-a-version-manager")
        script.write_text("#!/bin/sh\n", encoding="utf-8")
        script.chmod(0o755)
        code, out = self.run_main("manifest", path, "--python", script)
        self.assertEqual(code, 0, out)
        self.assertIn(f"--python {sys.executable}", out)
        self.assertNotIn("note:", self.run_main("manifest", path, "--python", sys.executable)[1])
        self.assertNotIn("note:", self.run_main("manifest", path, "--python", "/not/here")[1])

    def test_manifest_has_the_checksums(self):
        path = self.write()
        path.write_text("import parts\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
        parts = path.with_name("parts.py")
        parts.write_text("X = 1\n", encoding="utf-8")
        path.with_name("unused.py").write_text("", encoding="utf-8")
        path.with_name("requirements.txt").write_text("", encoding="utf-8")
        (path.parent / "words").mkdir()
        (path.parent / "words" / "a.txt").write_text("a", encoding="utf-8")
        self.assertEqual(self.run_main("manifest", path, "--include", "words/*.txt")[0], 0)
        manifest = json.loads(path.with_name("parley-node.json").read_text(encoding="utf-8"))
        self.assertEqual([f["path"] for f in manifest["files"]], ["made.py", "parts.py", "requirements.txt", "words/a.txt"])
        self.assertEqual(manifest["files"][1]["sha256"], hashlib.sha256(b"X = 1\n").hexdigest())
        self.assertEqual(manifest["declaration"]["node_type"], "made")
        self.assertEqual((manifest["name"], manifest["version"], manifest["command"]), ("made", "0.1.0", ["python3", "made.py"]))
        _, everything = self.run_main("manifest", path, "--out", "-", "--include", "**/*", "--python", "/opt/python")
        self.assertIn("unused.py", [f["path"] for f in json.loads(everything)["files"]])
        self.assertNotIn("parley-node.json", [f["path"] for f in json.loads(everything)["files"]])
        self.assertEqual(json.loads(everything)["command"][0], "/opt/python")
        self.assertEqual(self.run_main("manifest", path, "--out", "-", "--include", "words/*.txt")[1], path.with_name("parley-node.json").read_text(encoding="utf-8"))
        self.assertIn("no file below", self.run_main("manifest", path, "--include", "none.*")[1])
