// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";

import { Playback } from "../dist/index.js";

const frame = (value, length = 320) => new Int16Array(length).fill(value);

function tape(options = {}) {
  const told = [];
  return { told, playback: new Playback({ rate: 16000, onHeard: (heard) => told.push(heard), ...options }) };
}

test("an output begins when 60 ms are there, or have passed", () => {
  const { playback } = tape();
  const out = new Int16Array(320);
  playback.put(1, 0, frame(7), 320);
  assert.deepEqual([playback.read(out), playback.read(out), playback.read(out)], [0, 0, 0]);
  assert.equal(playback.read(out), 320);
  assert.equal(out[319], 7);
  const { playback: other } = tape();
  for (let i = 0; i < 3; i++) other.put(1, 320 * i, frame(7), 320);
  assert.equal(other.read(out), 320);
});

test("numbers of a Float32Array are of -1 to 1, and silence follows sound", () => {
  const { playback } = tape({ aheadMs: 0 });
  playback.put(1, 0, frame(-32768, 100), 100);
  const out = new Float32Array(128).fill(0.5);
  assert.equal(playback.read(out), 100);
  assert.deepEqual([out[0], out[99], out[100], out[127]], [-1, -1, 0, 0]);
  assert.equal(playback.dry, 1);
});

test("it is told how far playback is: with a new output, every 100 ms, and when it ran dry", () => {
  const { playback, told } = tape();
  for (let i = 0; i < 10; i++) playback.put(1, 320 * i, frame(1), 320);
  playback.put(1, 3200, frame(1), 100); // the end of the output, padded
  for (let i = 0; i < 11; i++) playback.read(new Int16Array(320));
  assert.deepEqual(told.map((heard) => heard.position), [320, 1920, 3300]);
});

test("a fence drops an output, tells where it stopped, once, and keeps out what comes late", () => {
  const { playback, told } = tape();
  for (let i = 0; i < 5; i++) playback.put(2, 320 * i, frame(2), 320);
  for (let i = 0; i < 3; i++) playback.put(3, 320 * i, frame(3), 320);
  const out = new Int16Array(100);
  playback.read(out);
  playback.fence(2);
  playback.fence(2);
  playback.put(2, 5000, frame(2), 320);
  assert.deepEqual(told, [{ generation: 2, position: 100 }, { generation: 2, position: 100, final: true }]);
  assert.equal(playback.waiting, 960);
  assert.equal(playback.read(out), 100);
  assert.equal(out[0], 3);
  playback.fence(9); // never played
  assert.deepEqual(told.at(-1), { generation: 9, position: 0, final: true });
  playback.fence(0, true);
  playback.put(4, 0, frame(4), 320);
  assert.equal(playback.waiting, 0);
});

test("a pause stops before the next sample, says where, and goes on there; a fence ends it", () => {
  const { playback, told } = tape({ aheadMs: 0 });
  for (let i = 0; i < 3; i++) playback.put(1, 320 * i, Int16Array.from({ length: 320 }, (_, k) => 320 * i + k + 1), 320);
  const out = new Int16Array(100);
  playback.read(out);
  playback.read(out);
  playback.pause(true);
  assert.deepEqual([playback.read(out), out[0]], [0, 0]);
  assert.deepEqual(told.at(-1), { generation: 1, position: 200 });
  playback.pause(false);
  assert.deepEqual([playback.read(out), out[0]], [100, 201]);
  playback.pause(true);
  playback.fence(1);
  playback.put(2, 0, frame(2), 320);
  assert.equal(playback.read(out), 100);
});

test("sound that nobody takes is bounded, and the oldest goes", () => {
  const { playback } = tape({ bufferMs: 100 });
  for (let i = 0; i < 20; i++) playback.put(1, 320 * i, frame(i), 320);
  const out = new Int16Array(1);
  playback.read(out);
  assert.deepEqual([playback.waiting, out[0], playback.lost], [1599, 15, 15 * 320]);
});

test("another session begins anew: its outputs have the numbers of the one before", () => {
  const { playback, told } = tape({ aheadMs: 0 });
  const out = new Int16Array(320);
  playback.put(1, 0, frame(1), 320);
  playback.read(out);
  playback.fence(1);
  playback.put(2, 0, frame(2), 320);
  playback.fence(0, true);
  const before = told.length;
  playback.reset();
  assert.equal(playback.waiting, 0);
  assert.equal(playback.read(out), 0);
  playback.put(1, 0, frame(3), 320);
  assert.equal(playback.read(out), 320);
  assert.equal(out[0], 3);
  assert.deepEqual(told.slice(before), [{ generation: 1, position: 320 }]);
});
