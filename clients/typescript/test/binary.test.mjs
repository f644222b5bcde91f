// SPDX-License-Identifier: Apache-2.0

// The messages that the tests of the server read as well.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decodeBinary, encodeBinary, isAudio } from "../dist/index.js";

const shared = JSON.parse(readFileSync(new URL("../../../api/wire/testdata/messages.json", import.meta.url), "utf8"));
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16)).buffer;
const hex = (buffer) => Buffer.from(buffer).toString("hex");

test("what a server says in binary is what it says in JSON", () => {
  const messages = shared.filter(({ server }) => server);
  assert.ok(messages.length >= 28);
  for (const { json, hex } of messages) {
    assert.equal(isAudio(bytes(hex)), false);
    assert.deepEqual(decodeBinary(bytes(hex)), json);
  }
});

test("what a client says has the bytes that the server reads", () => {
  const messages = shared.filter(({ server }) => !server);
  assert.ok(messages.length >= 30);
  for (const { json, hex: want } of messages) assert.equal(hex(encodeBinary(json)), want, JSON.stringify(json));
});

test("what is cut off or unknown is no message", () => {
  for (const { hex } of shared.filter(({ server }) => server)) {
    for (let size = 0; size < hex.length; size += 2) decodeBinary(bytes(hex.slice(0, size))); // and does not throw
    assert.notEqual(decodeBinary(bytes(hex + "a00601")), undefined); // field 100
  }
  for (const none of ["", "0a", "00", "0808a206017f", "72020a05", "0b"]) assert.equal(decodeBinary(bytes(none)), undefined, none);
});
