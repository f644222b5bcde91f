// SPDX-License-Identifier: Apache-2.0

/** Microphone, loudspeaker and what the page's ear hears of them. */

import { BrowserAudio } from "./client/browser.js";

/**
 * What was on its way when the server began to hold its sound has come after so many ms, or, where
 * the network or this machine lags, is no more than so many frames: what comes beyond both says
 * that the server goes on.
 */
const UNDER_WAY = 250;
const FRAMES = 6;

/** How long the page holds what it has when the server says nothing more, ms. */
const HELD = 1500;

/** Messages of the ear, of which 20 come in a second. */
const OFFSETS = 30;

export class Sound {
  /** Told when the agent's sound begins or ends: (on, instant in ms of performance.now(), when it was at the latest). */
  onSound = () => {};
  /** Told how far an output was heard. */
  onHeard = () => {};
  /** Peaks of 0 to 1, of the last moment. */
  levels = { microphone: 0, agent: 0 };
  /** The generation that is being played. */
  generation = 0;
  /** Samples that were heard behind a fence: zero, always. */
  leaked = 0;
  listening = false;
  deviceId = "";
  muted = false;
  #audio;
  #ear;
  #fenced = new Set();
  #offsets = []; // from the device's clock to performance.now(), ms
  #asks = [];
  #sounding = false;
  #held; // while playback is held: { since, frames, timer }
  #came = -Infinity; // when the last frame did

  constructor(audio, ear) {
    this.#audio = audio;
    this.#ear = ear;
  }

  static async open(sinkId) {
    const audio = await BrowserAudio.open(sinkId ? { sinkId } : {});
    try {
      await audio.context.audioWorklet.addModule(new URL("./ear.js", import.meta.url));
      const ear = new AudioWorkletNode(audio.context, "parley-ear", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      const sound = new Sound(audio, ear);
      audio.player.connect(ear);
      ear.port.onmessage = ({ data }) => sound.#hears(data);
      audio.microphone.port.addEventListener("message", ({ data }) => sound.#measure(data));
      audio.onHeard = (heard) => {
        // The player has taken a fence when it says where it stopped: from here on nothing of it may be heard.
        if (heard.final && heard.generation === sound.generation) sound.#ear.port.postMessage({ fenced: true });
        sound.onHeard(heard);
      };
      return sound;
    } catch (error) {
      await audio.close();
      throw error;
    }
  }

  get format() {
    return this.#audio.format;
  }

  /** The devices in use; empty = as the system has it. */
  get sinkId() {
    return this.#audio.context.sinkId ?? "";
  }

  get latencyMs() {
    return this.#audio.latencyMs;
  }

  /** Takes a client's sound; before it connects. */
  attach(client) {
    // Ahead of the player's own listener: what follows is another output.
    client.on("audio", ({ generation }) => {
      this.#came = performance.now();
      if (this.#held !== undefined && ++this.#held.frames > FRAMES && this.#came - this.#held.since > UNDER_WAY) this.hold(false);
      if (generation === this.generation || this.#fenced.has(generation)) return;
      this.generation = generation;
      this.#ear.port.postMessage({ fenced: false });
    });
    // The server holds its sound when somebody begins to speak, until it knows whether that is
    // an interruption. What the page has ahead would be heard meanwhile.
    client.on("speech", ({ began }) => {
      if (began && (this.#sounding || performance.now() - this.#came < UNDER_WAY)) this.hold(true);
    });
    client.on("fence", ({ generation, session }) => {
      this.hold(false);
      if (session) this.generation = 0;
      this.#fenced.add(generation);
      if (this.#fenced.size > 64) this.#fenced.delete(this.#fenced.values().next().value);
    });
    this.#audio.attach(client);
  }

  /** Stops playback before the next sample, or lets it go on there. */
  hold(on) {
    if (on === (this.#held !== undefined)) return;
    clearTimeout(this.#held?.timer);
    this.#held = on ? { since: performance.now(), frames: 0, timer: setTimeout(() => this.hold(false), HELD) } : undefined;
    this.#audio.pause(on);
  }

  detach() {
    this.hold(false);
    this.#audio.detach();
    this.generation = 0;
    this.#fenced.clear();
  }

  async listen(deviceId) {
    await this.#audio.listen(deviceId ? { deviceId: { exact: deviceId } } : {});
    this.deviceId = deviceId ?? "";
    this.listening = true;
  }

  mute(on) {
    this.muted = on;
    this.#audio.mute(on);
    if (on) this.levels.microphone = 0;
  }

  chooseLoudspeaker(id) {
    return this.#audio.chooseLoudspeaker(id);
  }

  /** What came through behind fences, and when the last sound was. */
  account() {
    return new Promise((resolve) => {
      this.#asks.push(resolve);
      this.#ear.port.postMessage({ ask: true, fenced: false });
    });
  }

  async close() {
    this.listening = false;
    await this.#audio.close();
  }

  #measure(pcm) {
    let peak = 0;
    for (const v of pcm) peak = Math.max(peak, v < 0 ? -v : v);
    this.levels.microphone = this.muted ? 0 : peak / 32768;
  }

  #hears(data) {
    // A message that comes late has been on its way; the soonest of the last ones shows how the
    // device's clock lies to the page's. The device's own may stand still when it is starved.
    this.#offsets.push(performance.now() - 1000 * data.now);
    if (this.#offsets.length > OFFSETS) this.#offsets.shift();
    const offset = Math.min(...this.#offsets);
    const instant = (at) => 1000 * at + offset;
    switch (data.kind) {
      case "level":
        this.levels.agent = data.peak;
        break;
      case "sound":
        this.#sounding = data.on;
        this.onSound(data.on, instant(data.at), performance.now() - 1000 * (data.now - data.at));
        break;
      case "account":
        this.leaked = data.leaked;
        this.#asks.shift()?.({ leaked: data.leaked, last: instant(data.last) });
        break;
    }
  }
}

/** The devices that there are; their names only once the microphone was allowed. */
export async function devices() {
  const list = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const named = (kind, what) => list.filter((d) => d.kind === kind && d.deviceId !== "")
    .map((d, i) => ({ id: d.deviceId, name: d.label || `${what} ${i + 1}` }));
  return { inputs: named("audioinput", "Microphone"), outputs: named("audiooutput", "Loudspeaker") };
}

/** Whether this browser lets a page choose the loudspeaker. */
export const chooses = () => "setSinkId" in AudioContext.prototype;
