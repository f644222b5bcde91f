// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

// Browsers know by the server's word that it is a module; Node by the name of the file.
const source = fs.readFileSync(new URL("../app/conversation.js", import.meta.url), "utf8");
const { Conversation, describe, waterfall } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const signal = (name, turn, more = {}) => ({ signal: name, turn_id: turn, ...more });

/** A conversation in which a caller was heard until 1000 and an answer begins at 2000. */
function answered() {
  const c = new Conversation(16000);
  c.speech(true, 100);
  c.transcript({ from: "caller", of: "u1", text: "what time", final: false }, 500);
  c.speech(false, 1000);
  c.signal(signal("end_of_utterance"), 1400);
  c.signal(signal("turn_open", "t1"), 1401);
  c.transcript({ from: "caller", of: "u1", text: "what time is it", final: true }, 1800);
  c.audioBegin({ generation: 1, turn: "t1" }, 2000);
  c.transcript({ from: "agent", of: "t1", text: "It is nine o'clock ", final: true }, 2001);
  c.transcript({ from: "agent", of: "t1", text: "in the morning.", final: true }, 2002);
  c.signal(signal("playback_started", "t1"), 2003);
  c.sounds(true, 2100, 1);
  return c;
}

test("the steps of a turn add up to the time from the end of speech to the ear", () => {
  const c = answered();
  c.metric({ name: "provider_first_chunk_ms", value: 50, labels: { turn_id: "t1", modality: "llm" } });
  c.metric({ name: "provider_first_chunk_ms", value: 60, labels: { turn_id: "t1", modality: "tts" } });
  c.metric({ name: "provider_first_chunk_ms", value: 999, labels: { turn_id: "t1", modality: "tts" } }); // of a later segment
  const { parts, total, whole } = waterfall(c.turns[0]);
  assert.deepEqual(parts.map(({ key, at, ms }) => [key, at, ms]), [
    ["pause", 0, 400], ["stt", 400, 400], ["model", 800, 50], ["segment", 850, 90], ["voice", 940, 60], ["ear", 1000, 100],
  ]);
  assert.deepEqual([total, whole], [1100, true]);
  assert.equal(parts.reduce((sum, part) => sum + part.ms, 0), total);
});

test("steps that did not occur are left out, and none is negative", () => {
  const c = new Conversation();
  c.typed("hello", 10);
  c.signal(signal("turn_open", "t1"), 20);
  c.metric({ name: "provider_first_chunk_ms", value: 500, labels: { turn_id: "t1", modality: "llm" } });
  c.audioBegin({ generation: 1, turn: "t1" }, 100); // the measurement is of another clock
  c.sounds(true, 150, 1);
  const { parts, total } = waterfall(c.turns[0]);
  assert.ok(parts.every((part) => part.ms >= 0));
  assert.deepEqual([parts.some((part) => part.key === "segment"), total], [false, 140]);
});

test("words are heard as far as the loudspeaker came, and cut there", () => {
  const c = answered();
  const item = c.items.at(-1);
  assert.equal(item.words.length, 7);
  c.heard({ generation: 1, position: 8000 });
  assert.equal(item.heard, 8); // half a second, 15 letters a second
  assert.deepEqual(c.floor, { caller: false, agent: true });
  c.speech(true, 2600);
  assert.deepEqual(c.floor, { caller: true, agent: true });
  c.sounds(false, 2610, 1);
  assert.equal(c.floor.agent, true); // held: it still has the floor
  c.fence({ generation: 1 }, 3000);
  c.heard({ generation: 1, position: 9600, final: true });
  c.signal(signal("barge_in", "t1", { wall_clock_timestamp_ms: 7 }), 3001);
  c.signal(signal("cancel", "t1", { reason: "barge_in" }), 3001);
  c.signal(signal("playback_cancelled", "t1"), 3001);
  c.signal(signal("abort", "t1", { reason: "cancelled" }), 3002);
  c.transcript({ from: "agent", of: "t1", text: "too late", final: true }, 3003);
  const [turn] = c.turns;
  assert.deepEqual([item.state, item.heard, describe(turn), turn.noticedBy, Conversation.stopTime(turn)], ["cut", 9, "was interrupted", "voice", 10]);
  assert.equal(c.floor.agent, false);
});

test("a sound that was no interruption leaves no trace", () => {
  const c = answered();
  c.speech(true, 2600);
  c.sounds(false, 2610, 1);
  c.speech(false, 2700);
  c.sounds(true, 3000, 1);
  c.signal(signal("stop", "t1", { reason: "user_cancel" }), 4000);
  assert.deepEqual([c.turns[0].noticed, c.turns[0].noticedBy, describe(c.turns[0])], [4000, undefined, "was stopped"]);
});

/** What the page says beside what was said. */
const notes = (c) => c.items.filter((item) => item.kind === "note").map((item) => item.text);

/** Somebody holds the key to talk and lets go of it. */
function pressed(c, id, now) {
  c.released(now);
  c.signal(signal("end_of_utterance", "", { reason: "client" }), now + 1);
  c.signal(signal("turn_open", id), now + 2);
}

test("who speaks in vain is told so, each time", () => {
  const c = new Conversation();
  pressed(c, "t1", 10); // the recogniser heard nothing
  c.transcript({ from: "caller", of: "u1", text: "", final: true }, 20);
  c.signal(signal("commit", "t1"), 30);
  assert.deepEqual([notes(c), describe(c.turns[0])], [["Nothing was understood."], "ended: nothing was understood"]);
  pressed(c, "t2", 110); // a guess that came to nothing
  c.transcript({ from: "caller", of: "u2", text: "uh", final: false }, 115);
  c.transcript({ from: "caller", of: "u2", text: "", final: true }, 120);
  c.signal(signal("commit", "t2"), 130);
  pressed(c, "t3", 210); // the recogniser failed
  c.signal(signal("provider_error", "t3", { reason: "infrastructure_failure" }), 220);
  c.signal(signal("abort", "t3", { reason: "provider_failure" }), 230);
  c.released(310); // nobody was heard to speak at all
  c.waited(310);
  c.waited(310);
  assert.equal(notes(c).filter((text) => text === "Nothing was understood.").length, 4);
  assert.equal(describe(c.turns[2]), "failed: provider failure");
});

test("who was understood is not told that they were not", () => {
  const c = new Conversation();
  pressed(c, "t1", 10);
  c.transcript({ from: "caller", of: "u1", text: "hello", final: true }, 20);
  c.signal(signal("commit", "t1"), 30); // the answer was empty
  c.transcript({ from: "caller", of: "u2", text: "early words", final: true }, 105); // before the key is let go
  pressed(c, "t2", 110);
  c.signal(signal("abort", "t2", { reason: "provider_failure" }), 130); // the model
  c.typed("in writing", 200);
  c.signal(signal("turn_open", "t3"), 210);
  c.signal(signal("commit", "t3"), 220);
  c.signal(signal("turn_open", "t4"), 310); // a greeting
  c.signal(signal("commit", "t4"), 320);
  pressed(c, "t5", 410);
  c.signal(signal("abort", "t5", { reason: "cancelled" }), 420);
  c.waited(410); // the server took it
  assert.deepEqual(notes(c), []);
  assert.equal(describe(c.turns[0]), "ended without a sound");
});

test("an answer that was heard to its end shows how fast the voice speaks", () => {
  const c = answered();
  const item = c.items.at(-1);
  c.heard({ generation: 1, position: 48000 });
  c.signal(signal("playback_completed", "t1"), 5000);
  assert.deepEqual([item.state, item.heard, describe(c.turns[0])], ["heard", item.letters, "was said"]);
  c.signal(signal("turn_open", "t2"), 6000);
  c.audioBegin({ generation: 2, turn: "t2" }, 6100);
  c.transcript({ from: "agent", of: "t2", text: "x".repeat(100), final: true }, 6100);
  c.heard({ generation: 2, position: 16000 });
  assert.equal(c.items.at(-1).heard, Math.round(item.letters / 3));
});

test("what was typed is shown once, also when the server says it again", () => {
  const c = new Conversation();
  c.typed("hello", 1);
  c.transcript({ from: "caller", of: "u1", text: "hello", final: true }, 2);
  c.transcript({ from: "caller", of: "u2", text: "hello", final: true }, 3); // this was spoken
  assert.equal(c.items.length, 2);
});

test("a partial is replaced until it is final, and ends with the session", () => {
  const c = new Conversation();
  for (const text of ["a", "a b"]) c.transcript({ from: "caller", of: "u1", text, final: false }, 1);
  assert.deepEqual(c.items.map((item) => item.text), ["a b"]);
  c.signal(signal("turn_open", "t1"), 2);
  c.over();
  assert.deepEqual([c.items[0].final, c.turns[0].state], [true, "stopped"]);
});

test("what is kept is bounded, and order and chance do no harm", () => {
  const c = new Conversation();
  let seed = 7;
  const pick = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const names = ["turn_open", "end_of_utterance", "barge_in", "cancel", "stop", "playback_started", "playback_completed", "playback_cancelled", "commit", "abort", "provider_error", "stall", "close"];
  for (let now = 0; now < 20000; now++) {
    const turn = `t${pick(2) === 0 ? Math.floor(now / 50) : pick(400)}`;
    switch (pick(8)) {
      case 0: c.transcript({ from: pick(2) ? "agent" : "caller", of: turn, text: "word ".repeat(pick(4)), final: pick(2) === 0 }, now); break;
      case 1: c.audioBegin({ generation: pick(50), turn }, now); break;
      case 2: c.heard({ generation: pick(50), position: pick(100000), final: pick(3) === 0 }); break;
      case 3: c.sounds(pick(2) === 0, now, pick(50)); break;
      case 4: c.fence({ generation: pick(50), session: pick(50) === 0 }, now); break;
      case 5: c.speech(pick(2) === 0, now); break;
      case 6: c.metric({ name: "provider_first_chunk_ms", value: pick(900), labels: { turn_id: turn, modality: pick(2) ? "llm" : "tts" } }); break;
      default: c.signal(signal(names[pick(names.length)], turn, { reason: "x_y" }), now);
    }
    for (const one of c.turns) assert.ok(waterfall(one).parts.every((part) => part.ms >= 0 && part.at >= 0));
  }
  assert.ok(c.items.length <= 300 && c.turns.length <= 60);
  c.over();
});
