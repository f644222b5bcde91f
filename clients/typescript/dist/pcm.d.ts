import type { ParleyClient } from "./client.js";
import { Playback } from "./playback.js";
/** Plays without a sound device: for Node, tests, and whoever has a device of their own. */
export interface PcmOptions {
    /** Hz, as agreed. */
    rate: number;
    /** Gets 20 ms of sound every 20 ms, silence where there is none. */
    onPcm: (pcm: Int16Array) => void;
    aheadMs?: number;
    bufferMs?: number;
}
/** Plays the client's sound by the clock and acknowledges it; stop() ends that. */
export declare function playPcm(client: ParleyClient, options: PcmOptions): {
    playback: Playback;
    stop: () => void;
};
/** The samples of little-endian PCM. */
export declare function int16(payload: Uint8Array): Int16Array;
