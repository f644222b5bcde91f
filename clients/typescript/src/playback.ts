// SPDX-License-Identifier: Apache-2.0

/**
 * What is about to be heard. This module imports nothing: an AudioWorklet loads it as it is,
 * and then also gets the processors at its end.
 */

/** How far an output was heard. */
export interface Heard {
  generation: number;
  /** Samples of the turn. */
  position: number;
  /** The client will play no more of it. */
  final?: boolean;
}

export interface PlaybackOptions {
  /** Hz */
  rate: number;
  /** Sound that is gathered before an output begins; default 60 ms. */
  aheadMs?: number;
  /** Sound that is held at most, the oldest is dropped; default 5000 ms. */
  bufferMs?: number;
  /** How often it is told how far playback is; default 100 ms. */
  ackMs?: number;
  /** Told how far playback is. */
  onHeard: (heard: Heard) => void;
}

interface Piece {
  generation: number;
  position: number;
  pcm: Int16Array;
  at: number; // samples of pcm that are out
  counts: number; // samples of pcm that are the turn's
}

const FENCES = 16;

/** A bounded queue of the agent's sound that knows how far it was heard. */
export class Playback {
  /** Samples that there was no room for. */
  lost = 0;
  /** Times that it ran dry while it played. */
  dry = 0;
  private pieces: Piece[] = [];
  private held = 0;
  private waited = 0; // samples of silence since the first piece came
  private playing = false;
  private at: Heard = { generation: 0, position: 0 };
  private told: Heard = this.at;
  private since = 0; // samples since it was told
  private fenced: number[] = [];
  private over = false;
  private paused = false;
  private readonly ahead: number;
  private readonly most: number;
  private readonly every: number;
  private readonly onHeard: (heard: Heard) => void;

  constructor(options: PlaybackOptions) {
    const samples = (ms: number) => Math.round((ms * options.rate) / 1000);
    this.ahead = samples(options.aheadMs ?? 60);
    this.most = samples(options.bufferMs ?? 5000);
    this.every = samples(options.ackMs ?? 100);
    this.onHeard = options.onHeard;
  }

  /** Samples that wait. */
  get waiting(): number {
    return this.held;
  }

  /** Takes a frame: counts is how many of its samples are the turn's. */
  put(generation: number, position: number, pcm: Int16Array, counts: number): void {
    if (this.over || this.fenced.includes(generation) || pcm.length === 0) return;
    while (this.held + pcm.length > this.most && this.pieces.length > 0) {
      const oldest = this.pieces.shift()!;
      this.lost += oldest.pcm.length - oldest.at;
      this.held -= oldest.pcm.length - oldest.at;
    }
    if (this.pieces.length === 0) this.waited = 0;
    this.pieces.push({ generation, position, pcm, at: 0, counts: Math.min(counts, pcm.length) });
    this.held += pcm.length;
  }

  /**
   * Fills out with what is to be heard now and with silence, and gives the number of samples
   * that are the agent's. Numbers are of -1 to 1 in a Float32Array, of 16 bit in an Int16Array.
   */
  read(out: Float32Array | Int16Array): number {
    const scale = out instanceof Float32Array ? 1 / 32768 : 1;
    const n = this.fill(out, scale);
    out.fill(0, n);
    const moved = this.at.generation !== this.told.generation;
    if ((moved || this.at.position !== this.told.position) && (moved || this.paused || this.since >= this.every || this.pieces.length === 0)) {
      this.tell(false);
    }
    return n;
  }

  /**
   * Stops (true) before the next sample, and goes on there (false): while it is not known
   * whether the caller means to interrupt. A fence ends it.
   */
  pause(on: boolean): void {
    this.paused = on;
  }

  private fill(out: Float32Array | Int16Array, scale: number): number {
    if (this.paused) return 0;
    if (!this.playing) {
      if (this.pieces.length === 0) return 0;
      if (this.held < this.ahead && this.waited < this.ahead) {
        this.waited += out.length;
        return 0;
      }
      this.playing = true;
    }
    let n = 0;
    while (n < out.length && this.pieces.length > 0) {
      const piece = this.pieces[0]!;
      const take = Math.min(out.length - n, piece.pcm.length - piece.at);
      for (let i = 0; i < take; i++) out[n + i] = piece.pcm[piece.at + i]! * scale;
      const counted = Math.max(0, Math.min(piece.at + take, piece.counts) - piece.at);
      piece.at += take;
      this.at = { generation: piece.generation, position: piece.position + Math.min(piece.at, piece.counts) };
      this.since += counted;
      this.held -= take;
      n += take;
      if (piece.at === piece.pcm.length) this.pieces.shift();
    }
    if (this.pieces.length === 0 && n < out.length) {
      this.playing = false;
      this.dry++;
    }
    return n;
  }

  private tell(final: boolean): void {
    this.told = this.at;
    this.since = 0;
    this.onHeard(final ? { ...this.at, final } : { ...this.at });
  }

  /** Drops an output, and tells where it really stopped; session = everything, for good. */
  fence(generation: number, session = false): void {
    this.pieces = this.pieces.filter((piece) => {
      const drop = session || piece.generation === generation;
      if (drop) this.held -= piece.pcm.length - piece.at;
      return !drop;
    });
    this.paused = false;
    if (this.pieces.length === 0) this.playing = false;
    if (session) {
      this.over = true;
      if (this.at.generation !== 0) this.tell(true);
      return;
    }
    if (this.fenced.includes(generation)) return;
    this.fenced.push(generation);
    if (this.fenced.length > FENCES) this.fenced.shift();
    if (this.at.generation === generation) this.tell(true);
    else this.onHeard({ generation, position: 0, final: true });
  }

  /** Begins anew, for another session: nothing that waits is heard, and nothing is told of it. */
  reset(): void {
    this.pieces = [];
    this.held = this.waited = this.since = 0;
    this.playing = this.over = false;
    this.fenced = [];
    this.at = this.told = { generation: 0, position: 0 };
  }
}

// ---- in an AudioWorklet ----

/** What the page sends to the player. */
export type ToPlayer =
  | { kind: "frame"; generation: number; position: number; pcm: Int16Array; counts: number }
  | { kind: "fence"; generation: number; session: boolean }
<<<<<<< HEAD
  | { kind: "reset"; run: number };
=======
  | { kind: "pause"; on: boolean };
>>>>>>> main

/** What the player sends to the page. */
export interface FromPlayer {
  heard: Heard;
  /** Of the latest reset: what was on its way then is of the session before. */
  run: number;
  dry: number;
  lost: number;
}

interface Processor {
  readonly port: MessagePort;
}
declare const AudioWorkletProcessor: (new () => Processor) | undefined;
declare const registerProcessor: (name: string, processor: unknown) => void;
declare const sampleRate: number;

if (typeof AudioWorkletProcessor === "function") {
  class Player extends AudioWorkletProcessor {
    private run = 0;
    private readonly playback: Playback = new Playback({
      rate: sampleRate,
      onHeard: (heard) => {
        const message: FromPlayer = { heard, run: this.run, dry: this.playback.dry, lost: this.playback.lost };
        this.port.postMessage(message);
      },
    });

    constructor() {
      super();
      this.port.onmessage = ({ data }: MessageEvent<ToPlayer>) => {
        if (data.kind === "frame") this.playback.put(data.generation, data.position, data.pcm, data.counts);
        else if (data.kind === "fence") this.playback.fence(data.generation, data.session);
<<<<<<< HEAD
        else {
          this.run = data.run;
          this.playback.reset();
        }
=======
        else this.playback.pause(data.on);
>>>>>>> main
      };
    }

    process(_: Float32Array[][], outputs: Float32Array[][]): boolean {
      const channels = outputs[0] ?? [];
      const first = channels[0];
      if (first === undefined) return true;
      this.playback.read(first);
      for (const other of channels.slice(1)) other.set(first);
      return true;
    }
  }

  /** Gathers what the microphone gives into frames of 20 ms of 16 bit. */
  class Microphone extends AudioWorkletProcessor {
    private frame = new Int16Array(Math.round(sampleRate / 50));
    private filled = 0;

    process(inputs: Float32Array[][]): boolean {
      const input = inputs[0]?.[0];
      if (input === undefined) return true;
      for (const v of input) {
        this.frame[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(v * 32768)));
        if (this.filled === this.frame.length) {
          const full = this.frame;
          this.frame = new Int16Array(full.length);
          this.filled = 0;
          this.port.postMessage(full, [full.buffer]);
        }
      }
      return true;
    }
  }

  registerProcessor("parley-player", Player);
  registerProcessor("parley-microphone", Microphone);
}
