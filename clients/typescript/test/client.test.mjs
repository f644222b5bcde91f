// SPDX-License-Identifier: Apache-2.0

// Against a real server, which typescript_test.go starts: what is typed tells it what to do.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ParleyClient, RefusedError, playPcm } from "../dist/index.js";

const url = process.env.PARLEY_TEST_URL;
const token = process.env.PARLEY_TEST_TOKEN;
const skip = url === undefined && "no server: PARLEY_TEST_URL is not set; go test ./clients/typescript sets it";
const options = { skip, timeout: 60_000 };

/** Runs a test in each encoding. */
function both(name, body) {
  for (const encoding of ["json", "binary"]) {
    test(`${name} (${encoding})`, options, (t) => body(t, (more = {}) => caller(t, { encoding, ...more }), encoding));
  }
}

/** A client and what it has told, to be waited for. */
function caller(t, more = {}) {
  const client = new ParleyClient({ url, token, reconnect: { firstMs: 20 }, ...more });
  t.after(() => client.close()); // or a failure keeps the process
  const came = [];
  let wake = () => {};
  for (const kind of ["connected", "disconnected", "ended", "signal", "transcript", "tool_call", "audio_begin", "audio", "fence", "error"]) {
    client.on(kind, (event) => {
      came.push({ kind, event });
      wake();
    });
  }
  const next = async (kind, match = () => true) => {
    for (;;) {
      const found = came.find((one) => one.kind === kind && match(one.event));
      if (found) return found.event;
      await new Promise((resolve) => (wake = resolve));
    }
  };
  /** What the server says about itself comes as a transcript. */
  const told = (match) => next("transcript", ({ text }) => match.test(text));
  return { client, came, next, told };
}

both("a conversation: words, a tool, sound both ways, a fence, and what was heard", async (t, caller, encoding) => {
  const { client, next, told } = caller({ wishes: { voice: "amy", tools: [] }, session: `from-node-${encoding}` });
  const welcome = await client.connect();
  assert.equal(welcome.session, `from-node-${encoding}`);
  assert.equal(welcome.encoding, encoding);
  client.text("signal silence");
  assert.equal((await next("signal")).signal.signal, "silence");
  client.text("tool");
  const call = await next("tool_call");
  client.toolResult(call.id, "3.20");
  await told(/^result call-1 3\.20$/);

  const spoken = Int16Array.from({ length: 1600 }, (_, i) => i);
  for (let at = 0; at < 1600; at += 320) client.sendAudio(spoken.subarray(at, at + 320));
  client.endOfUtterance();
  await told(/^heard 1600 sum 1279200$/);

  const heard = [];
  const { stop } = playPcm(client, { rate: 16000, onPcm: (pcm) => heard.push(...pcm.filter((v) => v !== 0)) });
  client.text("say 3200");
  assert.equal((await next("audio_begin")).turn, "t1");
  await told(/^played 1 3200$/); // to the last sample
  assert.deepEqual(heard, Array.from({ length: 3200 }, (_, i) => i + 1));

  client.text("say 16000");
  await told(/^played 2 /);
  client.text("fence");
  await next("fence");
  const final = Number((await told(/^final 2 /)).text.split(" ")[2]);
  assert.ok(final > 0 && final < 16000, `stopped at ${final}`);
  stop();

  client.cancel({ force: true });
  await told(/^cancel t2 true$/);
  for (const act of ["mute", "respond", "stop"]) client[act](true);
  client.dtmf("5", 100);
  client.context("system", "x");
  client.configure({ turn_end: "client", tools: [] });
  await told(/^wishes client 0$/);
  assert.ok((await client.ping()) >= 0);
  while (client.stats.pending > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  client.close();
  assert.deepEqual(await next("ended"), { reason: "closed" });
});

test("a connection that is cut comes back, and nothing is lost or said twice", options, async (t) => {
  const { client, came, next, told } = caller(t);
  const { session } = await client.connect();
  client.text("cut");
  await next("disconnected");
  client.text("echo once");
  client.sendAudio(new Int16Array(320));
  assert.equal((await next("connected", (welcome) => welcome.resumed)).session, session);
  await told(/^once$/);
  client.text("count");
  assert.equal((await told(/^texts/)).text, "texts 3");
  assert.deepEqual(client.stats, { reconnects: 1, sent: 0, away: 1, pending: client.stats.pending });
  const seqs = came.map(({ event }) => event.seq).filter((seq) => seq > 0);
  assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
  client.close();
});

test("a session that moves is followed, but not to what is no address", options, async (t) => {
  const { client, next, told } = caller(t);
  await client.connect();
  client.text("route 1 endpoint-b");
  client.text(`route 2 ${url}/elsewhere`);
  await next("connected", (welcome) => welcome.resumed);
  client.text("echo there");
  await told(/^there$/);
  assert.equal(client.stats.reconnects, 1);
});

test("a refusal says why", options, async (t) => {
  const { client } = caller(t, { token: async () => "wrong" });
  await assert.rejects(client.connect(), (error) => error instanceof RefusedError && error.code === "token_invalid");
  const { client: deaf } = caller(t, { formats: { out: ["mp3/44100"] } });
  await assert.rejects(deaf.connect(), (error) => error.code === "unsupported_codec" && error.supported.includes("pcm_s16le/48000"));
});

test("the end of the session is the end, and a session that is gone is not begun anew", options, async (t) => {
  const { client, next } = caller(t);
  await client.connect();
  client.text("close policy");
  assert.equal((await next("ended")).reason, "policy");
  assert.throws(() => client.text("x"), /over/);
  await assert.rejects(client.connect(), /one session/);

  const other = caller(t, { reconnect: { firstMs: 500 } });
  await other.client.connect();
  other.client.text("cut and close");
  const { reason, error } = await other.next("ended");
  assert.equal(reason, "lost");
  assert.equal(error.code, "unknown_session");
});

test("close does not wait for a connection", options, async (t) => {
  const { client, next } = caller(t, { reconnect: { firstMs: 60_000, giveUpMs: 600_000 } });
  await client.connect();
  client.text("cut");
  await next("disconnected");
  client.close();
  assert.equal((await next("ended")).reason, "closed");
});

test("a connection that is closing takes nothing, and what has to arrive is kept", options, async (t) => {
  let closing = false, sent = 0;
  class Closing extends WebSocket {
    get readyState() { return closing ? 2 : super.readyState; }
    send(data) {
      if (closing) sent++;
      super.send(data);
    }
  }
  const { client } = caller(t, { webSocket: Closing });
  await client.connect();
  closing = true;
  client.sendAudio(new Int16Array(320));
  client.stop();
  client.text("kept");
  assert.equal(sent, 0);
  assert.equal(client.stats.away, 1);
  assert.ok(client.stats.pending >= 1);
  closing = false;
});

test("a message that is not taken is told", options, async (t) => {
  const { client, next } = caller(t);
  await client.connect();
  client.context("robot", "x");
  assert.equal((await next("error")).field, "role");
  assert.equal(client.stats.pending, 0);
  client.close();
});
