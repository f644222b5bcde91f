// SPDX-License-Identifier: Apache-2.0

/**
 * Microphone and loudspeaker of a browser: two AudioWorklets, so that neither sound nor its
 * acknowledgement waits for the page.
 */

import type { ParleyClient } from "./client.js";
import { int16 } from "./pcm.js";
import type { FromPlayer, Heard, ToPlayer } from "./playback.js";

export interface BrowserAudioOptions {
  /** Where playback.js lies; default beside this module. */
  worklet?: string | URL;
  /** The microphone; default is the system's, with echo cancellation. */
  microphone?: MediaTrackConstraints;
  /** The loudspeaker, where the browser lets one choose. */
  sinkId?: string;
}

/** Rates that every server speaks. */
const RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];

/** Sound of a page. Make it on a user's gesture: browsers are silent before one. */
export class BrowserAudio {
  /** Told whenever it is known how far playback is, also by the page's meters. */
  onHeard: ((heard: Heard) => void) | undefined;
  /** Times that playback ran dry, and samples that there was no room for. */
  dry = 0;
  lost = 0;
  private stream: MediaStream | undefined;
  private source: MediaStreamAudioSourceNode | undefined;
  private muted = false;
  private client: ParleyClient | undefined;
  private off: (() => void)[] = [];
  private run = 0; // of the player, one for each client
  private waiting = new Set<ReturnType<typeof setTimeout>>();

  private constructor(
    readonly context: AudioContext,
    readonly player: AudioWorkletNode,
    readonly microphone: AudioWorkletNode,
    private readonly options: BrowserAudioOptions,
  ) {}

  static async open(options: BrowserAudioOptions = {}): Promise<BrowserAudio> {
    let context = new AudioContext({ latencyHint: "interactive" });
    if (!RATES.includes(context.sampleRate)) {
      await context.close();
      context = new AudioContext({ latencyHint: "interactive", sampleRate: 48000 });
    }
    await context.audioWorklet.addModule(options.worklet ?? new URL("./playback.js", import.meta.url));
    const player = new AudioWorkletNode(context, "parley-player", { numberOfInputs: 0, outputChannelCount: [1] });
    const microphone = new AudioWorkletNode(context, "parley-microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    player.connect(context.destination);
    const audio = new BrowserAudio(context, player, microphone, options);
    player.port.onmessage = ({ data }: MessageEvent<FromPlayer>) => audio.heard(data);
    microphone.port.onmessage = ({ data }: MessageEvent<Int16Array>) => {
      if (!audio.muted) audio.client?.sendAudio(data);
    };
    if (options.sinkId !== undefined) await audio.chooseLoudspeaker(options.sinkId);
    await context.resume();
    return audio;
  }

  /** The format to offer: what the sound device does by itself. */
  get format(): string {
    return `pcm_s16le/${this.context.sampleRate}`;
  }

  /** Puts the sound of a client on this device; before connect(). */
  attach(client: ParleyClient): void {
    this.detach();
    this.client = client;
    this.off = [
      client.on("audio", ({ generation, position, samples, payload }) => {
        const pcm = int16(payload);
        this.post({ kind: "frame", generation, position, pcm, counts: samples }, [pcm.buffer]);
      }),
      client.on("fence", (fence) => this.post({ kind: "fence", generation: fence.generation, session: fence.session ?? false })),
    ];
  }

  /** Takes the client's sound off this device: what waits is not heard. */
  detach(): void {
    for (const f of this.off) f();
    this.off = [];
    this.client = undefined;
    this.post({ kind: "reset", run: ++this.run });
  }

  /** Asks for the microphone and begins to send it. */
  async listen(microphone: MediaTrackConstraints = this.options.microphone ?? {}): Promise<void> {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...microphone },
    });
    this.deafen();
    this.stream = stream;
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.microphone);
  }

  /** Lets go of the microphone. */
  deafen(): void {
    this.source?.disconnect();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.source = this.stream = undefined;
  }

  /** Switches the microphone off (true) or on, and says so. */
  mute(on: boolean): void {
    if (this.muted === on) return;
    this.muted = on;
    for (const track of this.stream?.getTracks() ?? []) track.enabled = !on;
    this.client?.mute(on);
  }

  /** Stops playback before the next sample (true), and goes on there (false). A fence ends it. */
  pause(on: boolean): void {
    this.post({ kind: "pause", on });
  }

  async chooseLoudspeaker(sinkId: string): Promise<void> {
    const context = this.context as AudioContext & { setSinkId?: (id: string) => Promise<void> };
    if (context.setSinkId === undefined) throw new Error("parley: this browser does not let a page choose the loudspeaker");
    await context.setSinkId(sinkId);
  }

  /** How long sound takes from here to the ear, in ms. */
  get latencyMs(): number {
    const { baseLatency = 0, outputLatency = 0 } = this.context as { baseLatency?: number; outputLatency?: number };
    return 1000 * (baseLatency + outputLatency);
  }

  async close(): Promise<void> {
    this.detach();
    this.deafen();
    for (const timer of this.waiting) clearTimeout(timer);
    this.waiting.clear();
    if (this.context.state !== "closed") await this.context.close();
  }

  private post(message: ToPlayer, transfer: Transferable[] = []): void {
    this.player.port.postMessage(message, transfer);
  }

  /** What the player has given out is heard a little later; where it stopped is known now. */
  private heard({ heard, run, dry, lost }: FromPlayer): void {
    if (run !== this.run) return;
    this.dry = dry;
    this.lost = lost;
    const client = this.client;
    const tell = () => {
      client?.played(heard.generation, heard.position, heard.final);
      this.onHeard?.(heard);
    };
    if (heard.final) return tell();
    const timer = setTimeout(() => {
      this.waiting.delete(timer);
      tell();
    }, this.latencyMs);
    this.waiting.add(timer);
  }
}
