# SPDX-License-Identifier: Apache-2.0
import asyncio
import unittest
from array import array

from parley_node import ConfigError, Event, HookFailed, Message, Node, StateError
from parley_node.line import Limits
from parley_node.testing import Harness, HarnessError


class Recorder(Node):
    """Tells which hooks ran, in order."""

    type, inputs, outputs = "recorder", ["segment"], ["segment"]

    def __init__(self):
        self.log = []

    async def on_init(self, ctx):
        ctx.config["log"].append("init")

    def on_start(self, ctx):
        ctx.config["log"].append("start")

    async def on_event(self, ctx, event):
        ctx.config["log"].append("event " + event.text)
        await asyncio.sleep(ctx.config.get("takes", 0))
        ctx.config["log"].append("end " + event.text)
        ctx.emit(event)

    def on_barge_in(self, ctx):
        ctx.config["log"].append("barge_in")

    async def on_cancel(self, ctx, cancel):
        ctx.config["log"].append(f"cancel {cancel.scope} {cancel.reason}")

    async def on_budget_exhausted(self, ctx, outcome):
        ctx.config["log"].append(f"budget {outcome} {ctx.budget.remaining_ms}")

    async def on_stop(self, ctx):
        ctx.config["log"].append("stop")


class SyncRecorder(Recorder):
    type = "sync_recorder"

    def on_event(self, ctx, event):
        ctx.config["log"].append("event " + event.text)
        ctx.wait(asyncio.sleep(ctx.config.get("takes", 0)))
        ctx.config["log"].append("end " + event.text)
        ctx.emit(event)


def host(node=Recorder, takes=0, **options):
    log = []
    return Harness(node, {"log": log, "takes": takes}, **options), log


def node(on_event, **attributes):
    return type("Made", (Node,), {"type": "made", "inputs": ["segment"], "outputs": ["segment", "audio_chunk"], "on_event": on_event, **attributes})


class Order(unittest.TestCase):
    def test_hooks_in_order(self):
        for kind in (Recorder, SyncRecorder):
            h, log = host(kind)
            with h:
                h.event("segment", "a").event("segment", "b").exhaust("degrade").barge_in().stop().stop()
            self.assertEqual(log, [
                "init", "start", "event a", "end a", "event b", "end b", "budget degrade 0", "barge_in", "cancel turn barge_in", "stop",
            ])
            self.assertEqual((h.texts, h.answers, h.done), (["a", "b"], [1, 2], [1, 2]))

    def test_hooks_never_overlap(self):
        for kind in (Recorder, SyncRecorder):
            h, log = host(kind, takes=1)
            with h:
                h.event("segment", "a").event("segment", "b").exhaust("continue")
                self.assertEqual(log[2:], ["event a"])
                h.advance(1)
                self.assertEqual(log[2:], ["event a", "end a", "budget continue 0", "event b"])  # control goes before data
                h.advance(1)
            self.assertEqual(h.done, [1, 2])

    def test_time_is_virtual(self):
        h, log = host(takes=3)
        with h:
            h.event("segment", "a").advance(2.999)
            self.assertEqual(h.texts, [])
            h.advance(0.001)
            self.assertEqual((h.texts, h.now), (["a"], 3.0))

    def test_instance_has_its_own_state(self):
        class Counter(Node):
            type, inputs, outputs = "counter", ["segment"], ["segment"]

            def __init__(self):
                self.n = 0

            async def on_event(self, ctx, event):
                self.n += 1
                ctx.emit(event.replace(index=self.n))

        for _ in range(2):
            with Harness(Counter) as h:
                h.event("segment").event("segment")
                self.assertEqual([e.index for e in h.emitted], [1, 2])


class Cancels(unittest.TestCase):
    def test_preemptible_is_interrupted_and_what_waits_is_given_back(self):
        h, log = host(takes=1)
        with h:
            h.event("segment", "a").event("segment", "b").cancel(reason="user_cancel")
            self.assertEqual(log[2:], ["event a", "cancel turn user_cancel"])
            self.assertEqual((sorted(h.done), h.errors, h.idle), ([1, 2], {}, True))
            self.assertEqual(h.context.cancelled.cause.reason, "user_cancel")
            h.event("segment", "c")
            self.assertEqual((sorted(h.done), h.texts), ([1, 2, 3], []))

    def test_cooperative_is_told_and_its_output_discarded(self):
        h, log = host(SyncRecorder, takes=1)
        with h:
            h.event("segment", "a").cancel()
            self.assertTrue(h.context.cancelled)
            self.assertEqual(log[2:], ["event a"])  # on_cancel waits for the hook in hand
            h.advance(1)
            self.assertEqual(log[2:], ["event a", "end a", "cancel turn user_cancel"])
            self.assertEqual((h.texts, h.late), ([], 1))

    def test_a_barge_in_does_not_wait_for_its_cancel(self):
        """A host waits for the answer to barge_in before it says cancel."""
        h, log = host(takes=100)
        with h:
            h.event("segment", "a").event("segment", "b").barge_in(cancel=False)
            self.assertEqual((log[2:], sorted(h.done), h.acknowledged), (["event a", "barge_in"], [1, 2], ["barge_in"]))
        h, log = host(type("Long", (Recorder,), {"scope": "session"}))
        with h:
            h.barge_in(cancel=False).event("segment", "a")
            self.assertEqual((h.texts, bool(h.context.cancelled)), (["a"], False))

    def test_soft_finishes_the_piece_in_hand(self):
        h, log = host(type("Soft", (Recorder,), {"cancel_mode": "soft"}), takes=0.05)
        with h:
            h.event("segment", "a").cancel().advance(0.05)
            self.assertEqual((h.texts, h.late), (["a"], 0))
            self.assertEqual(log[2:], ["event a", "end a", "cancel turn user_cancel"])

    def test_cancelled_can_be_awaited(self):
        async def on_event(self, ctx, event):
            cancel = await ctx.cancelled
            ctx.count("seen " + cancel.reason)

        with Harness(node(on_event, cancel_class="cooperative")) as h:
            h.event("segment")
            self.assertFalse(h.context.cancelled)
            h.cancel(reason="disconnect")
            self.assertEqual(h.counts["seen disconnect"], 1)

    def test_the_first_cancel_stays(self):
        h, _ = host()
        with h:
            h.cancel(reason="one").cancel(reason="two")
            self.assertEqual(h.context.cancelled.cause.reason, "one")

    def test_a_session_goes_on_with_the_next_turn(self):
        h, log = host(type("Long", (Recorder,), {"scope": "session"}))
        with h:
            self.assertEqual(h.context.turn, "")
            h.event("segment", "a").cancel().event("segment", "b")
            self.assertEqual((h.texts, bool(h.context.cancelled)), (["a", "b"], False))
            h.cancel(scope="session").event("segment", "c")
            self.assertEqual((h.texts, bool(h.context.cancelled)), (["a", "b"], True))

    def test_a_call_cancelled_is_not_the_turn(self):
        h, log = host()
        with h:
            h.cancel(scope="provider_invocation", invocation="c1").event("segment", "a")
            self.assertEqual((h.texts, bool(h.context.cancelled)), (["a"], False))
            self.assertIn("cancel provider_invocation user_cancel", log)

    def test_a_node_may_swallow_the_interruption(self):
        async def on_event(self, ctx, event):
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                ctx.count("cleaned")

        with Harness(node(on_event)) as h:
            h.event("segment").cancel()
            self.assertEqual((h.counts["cleaned"], h.failure), (1, None))


class Failures(unittest.TestCase):
    def test_an_exception_ends_the_instance(self):
        for raises in (ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration):
            async def asynchronous(self, ctx, event, raises=raises):
                raise raises("broken")

            def synchronous(self, ctx, event, raises=raises):
                raise raises("broken")

            for on_event in (asynchronous, synchronous):
                with Harness(node(on_event), expect_failure=True) as h:
                    h.event("segment").event("segment").cancel()
                    self.assertEqual((h.failure.hook, h.failure.code), ("on_event", "node_error"), raises)
                    self.assertEqual(h.errors, {1: "node_error", 2: "node_error"})
                    self.assertEqual(h.acknowledged, ["cancel"])

    def test_the_test_hears_of_it(self):
        async def on_event(self, ctx, event):
            raise ValueError("broken")

        h = Harness(node(on_event))
        self.addCleanup(h.close)
        with self.assertRaisesRegex(HookFailed, "on_event: ValueError: broken"):
            h.event("segment")
        self.assertIn("ValueError: broken", h.logs[0][1])
        self.assertIn("test_harness.py", h.logs[0][1])

    def test_a_hook_that_hangs_passes_its_limit(self):
        async def on_event(self, ctx, event):
            await asyncio.sleep(3600)

        with Harness(node(on_event), expect_failure=True) as h:
            h.event("segment").advance(4.9)
            self.assertIsNone(h.failure)
            h.advance(0.2)
            self.assertEqual((h.failure.code, h.errors), ("hook_timeout", {1: "hook_timeout"}))
        with Harness(node(on_event), expect_failure=True, limits=Limits(event_hard_ms=9000)) as h:
            h.event("segment").time_out()
            self.assertEqual(h.failure.code, "hook_timeout")
            with self.assertRaisesRegex(HarnessError, "no hook is running"):
                h.time_out()

    def test_the_grace_of_a_cancel_is_75_ms(self):
        async def on_cancel(self, ctx, cancel):
            await asyncio.sleep(0.076)

        with Harness(node(lambda self, ctx, event: None, on_cancel=on_cancel), expect_failure=True) as h:
            h.cancel().advance(0.1)
            self.assertEqual((h.failure.hook, h.failure.code), ("on_cancel", "hook_timeout"))

    def test_a_hook_left_behind_is_told_when_the_test_ends(self):
        async def on_event(self, ctx, event):
            await asyncio.sleep(3600)

        with self.assertRaisesRegex(HookFailed, "longer than 5000 ms"), Harness(node(on_event)) as h:
            h.event("segment")

    def test_config_errors_name_field_value_remedy(self):
        def on_init(self, ctx):
            raise ConfigError("language", ctx.config.get("language"), "use de or en")

        with self.assertRaises(HookFailed) as caught, Harness(node(lambda self, ctx, event: None, on_init=on_init), {"language": "xx"}):
            self.fail("it started")
        self.assertEqual((caught.exception.code, caught.exception.message), ("config_error", "config.language: 'xx': use de or en"))

    def test_more_than_the_window_is_refused(self):
        h, _ = host(type("Narrow", (Recorder,), {"window": 2}), takes=1)
        with h:
            for text in "abcd":
                h.event("segment", text)
            self.assertEqual(h.errors, {4: "credit_exceeded"})
            h.advance(5)
            self.assertEqual(h.texts, ["a", "b", "c"])


class Contexts(unittest.TestCase):
    def test_what_a_hook_sees(self):
        async def on_event(self, ctx, event):
            self.seen = (ctx.session, ctx.turn, ctx.node, ctx.config["voice"], ctx.now, ctx.now_ns, ctx.budget.remaining_ms, ctx.seed)
            ctx.count("events")
            ctx.count("samples", 320)
            ctx.log.info("heard %s", event.text)
            ctx.emit(event.replace(text=repr(self.seen)))
            with_config = ctx.config
            try:
                with_config["voice"] = "other"
            except TypeError:
                ctx.count("read-only")

        with Harness(node(on_event), {"voice": "low"}) as h:
            h.advance(1.5)
            h.event("segment", "x", budget_ms=40)
            self.assertEqual(h.texts, [repr(("session-1", "turn-1", "node-1", "low", 1.5, 1500000000, 40, 1))])
            self.assertEqual(dict(h.counts), {"events": 1, "samples": 320, "read-only": 1})
            self.assertEqual(h.logs, [(20, "heard x")])

    def test_chance_is_seeded(self):
        async def on_event(self, ctx, event):
            ctx.emit(event.replace(text=str(ctx.random.random())))

        drawn = []
        for seed in (1, 1, 2):
            with Harness(node(on_event), seed=seed) as h:
                drawn.append(h.event("segment").texts[0])
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])

    def test_budget_runs_out_in_time(self):
        async def on_event(self, ctx, event):
            while ctx.budget:
                await asyncio.sleep(0.01)
            ctx.emit(event.replace(text=f"{ctx.now:.2f} {self.time():.2f}"))  # the session's clock stands meanwhile

        with Harness(node(on_event, time=lambda self: asyncio.get_running_loop().time())) as h:
            h.event("segment", budget_ms=100).advance(1)
            self.assertEqual(h.texts, ["0.00 0.10"])
            h.event("segment", budget_ms=10000).advance(0.1).exhaust().advance(0.1)
            self.assertEqual(h.texts[1], "1.00 1.11")
            self.assertIsNone(h.context.budget.remaining_ms)

    def test_timer(self):
        async def on_event(self, ctx, event):
            if event.type == "timer":
                ctx.emit(Event("segment", text=f"timer at {ctx.now:.3f}"))
            elif event.text == "never":
                ctx.wake_at(None)
            else:
                ctx.wake_in(float(event.text))

        with Harness(node(on_event)) as h:
            h.event("segment", "0.5").event("segment", "0.05").advance(1)
            self.assertEqual(h.texts, ["timer at 0.050"])  # a later call replaces an earlier one
            h.event("segment", "0.5").event("segment", "never").advance(2)
            self.assertEqual(len(h.texts), 1)

    def test_state(self):
        async def on_event(self, ctx, event):
            before = await ctx.state.get("n", "session-hot")
            await ctx.state.put("n", (before or b"") + b"x", "session-hot")

        kind = node(on_event, state=["session-hot", "turn-ephemeral"])
        with Harness(kind) as h:
            h.state["session-hot", "n"] = b"y"
            h.event("segment").event("segment")
            self.assertEqual(h.state, {("session-hot", "n"): b"yxx"})
        for bad, remedy in (
            (lambda ctx: ctx.state.get("n"), "which of"), (lambda ctx: ctx.state.get("n", "session-durable"), "not declared"),
            (lambda ctx: ctx.state.get("", "session-hot"), "non-empty"), (lambda ctx: ctx.state.put("n", b"x" * 65537, "session-hot"), "at most"),
        ):
            async def asks(self, ctx, event, bad=bad):
                try:
                    await bad(ctx)
                except StateError as err:
                    ctx.emit(event.replace(text=str(err)))

            with Harness(node(asks, state=["session-hot", "turn-ephemeral"])) as h:
                self.assertIn(remedy, h.event("segment").texts[0])

    def test_conversation(self):
        async def on_event(self, ctx, event):
            talk = await ctx.conversation()
            ctx.emit(event.replace(text=talk[-1].role + ": " + talk[-1].text))

        with Harness(node(on_event), conversation=[Message("user", "hi"), Message("assistant", "hello", interrupted=True)]) as h:
            self.assertEqual(h.event("segment").texts, ["assistant: hello"])

    def test_outputs_are_held_to_the_declaration(self):
        for emits, remedy in ((Event("transcript", "x"), "outputs"), ("text", "emit an Event")):
            async def on_event(self, ctx, event, emits=emits):
                ctx.emit(emits)

            with self.assertRaisesRegex(HookFailed, remedy), Harness(node(on_event)) as h:
                h.event("segment")

    def test_audio_may_be_changed_after_it_was_emitted(self):
        async def on_event(self, ctx, event):
            buffer = array("h", [1, 2, 3])
            ctx.emit(Event("audio_chunk", pcm=buffer))
            buffer[0] = 9

        with Harness(node(on_event)) as h:
            self.assertEqual(list(h.event("segment").emitted[0].pcm), [1, 2, 3])

    def test_spawned_work_outlasts_the_hook(self):
        async def on_event(self, ctx, event):
            async def speak():
                for n in range(5):
                    await asyncio.sleep(0.1)
                    ctx.emit(event.replace(text=str(n)))

            ctx.spawn(speak())

        with Harness(node(on_event)) as h:
            h.event("segment").advance(0.25)
            self.assertEqual((h.texts, h.answers, h.done), (["0", "1"], [0, 0], [1]))  # unasked: the event was worked through
            h.cancel().advance(1)
            self.assertEqual(h.texts, ["0", "1"])

        async def fails(self, ctx, event):
            async def work():
                raise ValueError("broken")

            ctx.spawn(work())

        with self.assertRaisesRegex(HookFailed, "broken"), Harness(node(fails)) as h:
            h.event("segment")

    def test_wait_is_for_sync_hooks(self):
        async def on_event(self, ctx, event):
            ctx.wait(asyncio.sleep(0))

        with self.assertRaisesRegex(HookFailed, "write await"), Harness(node(on_event)) as h:
            h.event("segment")

    def test_an_input_that_is_none(self):
        h, _ = host()
        with h, self.assertRaisesRegex(HarnessError, "not among the inputs"):
            h.event("transcript")
