/**
 * Microphone and loudspeaker of a browser: two AudioWorklets, so that neither sound nor its
 * acknowledgement waits for the page.
 */
import type { ParleyClient } from "./client.js";
import type { Heard } from "./playback.js";
export interface BrowserAudioOptions {
    /** Where playback.js lies; default beside this module. */
    worklet?: string | URL;
    /** The microphone; default is the system's, with echo cancellation. */
    microphone?: MediaTrackConstraints;
    /** The loudspeaker, where the browser lets one choose. */
    sinkId?: string;
}
/** Sound of a page. Make it on a user's gesture: browsers are silent before one. */
export declare class BrowserAudio {
    readonly context: AudioContext;
    readonly player: AudioWorkletNode;
    readonly microphone: AudioWorkletNode;
    private readonly options;
    /** Told whenever it is known how far playback is, also by the page's meters. */
    onHeard: ((heard: Heard) => void) | undefined;
    /** Times that playback ran dry, and samples that there was no room for. */
    dry: number;
    lost: number;
    private stream;
    private source;
    private muted;
    private client;
    private off;
    private run;
    private waiting;
    private constructor();
    static open(options?: BrowserAudioOptions): Promise<BrowserAudio>;
    /** The format to offer: what the sound device does by itself. */
    get format(): string;
    /** Puts the sound of a client on this device; before connect(). */
    attach(client: ParleyClient): void;
    /** Takes the client's sound off this device: what waits is not heard. */
    detach(): void;
    /** Asks for the microphone and begins to send it. */
    listen(microphone?: MediaTrackConstraints): Promise<void>;
    /** Lets go of the microphone. */
    deafen(): void;
    /** Switches the microphone off (true) or on, and says so. */
    mute(on: boolean): void;
    /** Stops playback before the next sample (true), and goes on there (false). A fence ends it. */
    pause(on: boolean): void;
    chooseLoudspeaker(sinkId: string): Promise<void>;
    /** How long sound takes from here to the ear, in ms. */
    get latencyMs(): number;
    close(): Promise<void>;
    private post;
    /** What the player has given out is heard a little later; where it stopped is known now. */
    private heard;
}
