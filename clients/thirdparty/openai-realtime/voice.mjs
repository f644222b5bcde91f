// SPDX-License-Identifier: Apache-2.0

// What the programs in this folder have in common: a microphone, and a way to wait.

import { readFileSync } from 'node:fs';

export const url = need('REALTIME_URL');
export const token = need('REALTIME_TOKEN');

export function need(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`set ${name}; the Go test beside transport/realtime does`);
    process.exit(2);
  }
  return value;
}

const rate = 24000;
const chunkMs = 40;
const chunkBytes = (rate / 1000) * chunkMs * 2;

// recording reads a WAV file of one channel and 16 bit, and gives its samples at 24000 Hz.
export function recording(file) {
  const wav = readFileSync(file);
  const from = wav.readUInt32LE(24);
  const at = wav.indexOf('data', 12, 'latin1') + 8;
  const count = wav.readUInt32LE(at - 4) / 2;
  const sample = (i) => wav.readInt16LE(at + 2 * Math.min(i, count - 1));
  const out = Buffer.alloc(2 * Math.floor((count * rate) / from));
  for (let i = 0; i < out.length / 2; i++) {
    const place = (i * from) / rate;
    const whole = Math.floor(place);
    out.writeInt16LE(Math.round(sample(whole) + (sample(whole + 1) - sample(whole)) * (place - whole)), 2 * i);
  }
  return out;
}

// Microphone sends silence, and what it is told to say, at the pace of speech.
export class Microphone {
  #said = Buffer.alloc(0);
  #timer;
  #began = Date.now();
  #sent = 0;

  constructor(send) {
    this.#timer = setInterval(() => {
      for (; this.#sent * chunkMs <= Date.now() - this.#began; this.#sent++) {
        const chunk = Buffer.alloc(chunkBytes);
        this.#said.copy(chunk, 0, 0, chunkBytes);
        this.#said = this.#said.subarray(chunkBytes);
        send(chunk);
      }
    }, chunkMs / 2);
  }

  // say takes a recording.
  say(file) {
    this.#said = Buffer.concat([this.#said, recording(file)]);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

// Log keeps what came, and waits for what comes.
export class Log {
  list = [];
  #waiting = [];

  add(event) {
    this.list.push(event);
    this.#waiting = this.#waiting.filter((w) => !w(event));
  }

  // next gives the next event that matches, from an index on.
  next(what, match, from = 0) {
    const seen = this.list.slice(from).find(match);
    if (seen) return Promise.resolve(seen);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${what} did not come; came: ${this.kinds(from).join(' ')}`));
      }, 60_000);
      this.#waiting.push((event) => {
        if (!match(event)) return false;
        clearTimeout(timer);
        resolve(event);
        return true;
      });
    });
  }

  type(type, from = 0) {
    return this.next(type, (e) => e.type === type, from);
  }

  // kinds are the types of events, runs of one as one.
  kinds(from = 0) {
    return this.list.slice(from).map((e) => e.type).filter((t, i, all) => t !== all[i - 1]);
  }
}

export function expect(ok, what, got) {
  if (!ok) throw new Error(`${what}: ${JSON.stringify(got)}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// run ends the process with the outcome of a conversation, and says what was seen.
export async function run(conversation) {
  try {
    console.log(JSON.stringify(await conversation()));
    process.exit(0);
  } catch (err) {
    console.error(err.stack ?? String(err));
    process.exit(1);
  }
}

// checkInterrupted looks at the events around an interruption: the response that was cut
// off ends as cancelled, and no sound of it comes after that.
export function checkInterrupted(list, responseID) {
  const done = list.findIndex((e) => e.type === 'response.done' && e.response.id === responseID);
  expect(done >= 0, 'the response that was cut off does not end', responseID);
  const { status, status_details } = list[done].response;
  expect(status === 'cancelled', 'the response that was cut off ends as', { status, status_details });
  const late = list.slice(done).filter((e) => e.type === 'response.output_audio.delta' && e.response_id === responseID);
  expect(late.length === 0, 'sound of a cancelled response', late.length);
  return status_details?.reason;
}
