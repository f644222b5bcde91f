// SPDX-License-Identifier: Apache-2.0

/**
 * An AudioWorklet that listens to what leaves the player: when there is sound, when it ends,
 * how loud it is; and after a fence, whether anything of what was fenced comes through.
 */

const QUIET = 0.05; // s without a sample that is not zero: silence
const EVERY = 0.05; // s between two levels

class Ear extends AudioWorkletProcessor {
  #sounding = false;
  #last = 0; // behind the last sample that was not zero, s
  #peak = 0;
  #told = 0;
  #fenced = false;
  #leaked = 0; // samples that were heard behind a fence

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      this.#fenced = data.fenced;
      if (data.ask) this.port.postMessage({ kind: "account", leaked: this.#leaked, last: this.#last, now: currentTime });
    };
  }

  process([input]) {
    const samples = input?.[0];
    if (samples !== undefined) this.#hear(samples);
    const now = currentTime + 128 / sampleRate;
    if (this.#sounding && now - this.#last >= QUIET) {
      this.#sounding = false;
      this.port.postMessage({ kind: "sound", on: false, at: this.#last, now });
    }
    if (now - this.#told >= EVERY) {
      this.port.postMessage({ kind: "level", peak: this.#peak, now });
      this.#peak = 0;
      this.#told = now;
    }
    return true;
  }

  #hear(samples) {
    for (let i = 0; i < samples.length; i++) {
      const v = Math.abs(samples[i]);
      if (v === 0) continue;
      const at = currentTime + i / sampleRate;
      if (!this.#sounding) {
        this.#sounding = true;
        this.port.postMessage({ kind: "sound", on: true, at, now: currentTime });
      }
      this.#last = at + 1 / sampleRate;
      if (v > this.#peak) this.#peak = v;
      if (this.#fenced) this.#leaked++;
    }
  }
}

registerProcessor("parley-ear", Ear);
