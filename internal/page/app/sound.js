// SPDX-License-Identifier: Apache-2.0

/** Microphone, loudspeaker and what the page's ear hears of them. */

import { BrowserAudio } from "./client/browser.js";

export class Sound {
  /** Told when the agent's sound begins or ends: (on, instant in ms of performance.now()). */
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
  muted = false;
  #audio;
  #ear;
  #offset = Infinity; // from the device's clock to performance.now(), ms
  #fenced = new Set();
  #asks = [];

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

  get latencyMs() {
    return this.#audio.latencyMs;
  }

  /** Takes a client's sound; before it connects. */
  attach(client) {
    // Ahead of the player's own listener: what follows is another output.
    client.on("audio", ({ generation }) => {
      if (generation === this.generation || this.#fenced.has(generation)) return;
      this.generation = generation;
      this.#ear.port.postMessage({ fenced: false });
    });
    client.on("fence", ({ generation, session }) => {
      if (session) this.generation = 0;
      this.#fenced.add(generation);
      if (this.#fenced.size > 64) this.#fenced.delete(this.#fenced.values().next().value);
    });
    this.#audio.attach(client);
  }

  detach() {
    this.#audio.detach();
    this.generation = 0;
    this.#fenced.clear();
  }

  async listen(deviceId) {
    await this.#audio.listen(deviceId ? { deviceId: { exact: deviceId } } : {});
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
    // What comes soonest shows best how the two clocks lie.
    this.#offset = Math.min(this.#offset, performance.now() - 1000 * data.now);
    switch (data.kind) {
      case "level":
        this.levels.agent = data.peak;
        break;
      case "sound":
        this.onSound(data.on, 1000 * data.at + this.#offset);
        break;
      case "account":
        this.leaked = data.leaked;
        this.#asks.shift()?.({ leaked: data.leaked, last: 1000 * data.last + this.#offset });
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
