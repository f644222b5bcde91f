// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { HEADER_SIZE, decodeAudio, decodeMessage, encodeAudio } from "../dist/index.js";

const page = readFileSync(new URL("../../../docs/websocket.md", import.meta.url), "utf8");
const blocks = (language) => [...page.matchAll(new RegExp("^```" + language + "\\n(.*?)^```", "gms"))].map((match) => match[1]);

test("the examples of the page are messages that are known", () => {
  const known = new Set([
    "welcome", "refused", "signal", "transcript", "speech", "tool_call", "metric", "audio_begin", "fence", "error", "taken", "pong", "ended", "route",
  ]);
  const seen = new Set();
  for (const text of blocks("json server")) {
    const message = decodeMessage(text);
    assert.ok(known.has(message?.type), text);
    seen.add(message.type);
  }
  assert.deepEqual(seen, known);
});

test("the header of the page", () => {
  const [text] = blocks("hex");
  const bytes = Uint8Array.from(text.replace("...", "00 00").trim().split(/\s+/), (byte) => parseInt(byte, 16));
  const { payload, ...frame } = decodeAudio(bytes.buffer);
  assert.deepEqual(frame, { samples: 480, sequence: 2, generation: 7, position: 960 });
  assert.equal(payload.length, 2);
});

test("what is no message is none", () => {
  for (const text of ["", "}{", "7", "null", "[]", "{}"]) assert.equal(decodeMessage(text), undefined);
  for (const size of [0, HEADER_SIZE]) assert.equal(decodeAudio(new ArrayBuffer(size)), undefined);
  assert.equal(decodeAudio(new Uint8Array(HEADER_SIZE + 2).buffer), undefined);
});

test("a frame of the caller", () => {
  const frame = new Uint8Array(encodeAudio(3, 2 ** 40 + 7, Uint8Array.of(1, 2)));
  assert.deepEqual([...frame], [1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 1, 2]);
});
