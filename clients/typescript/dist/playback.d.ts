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
/** A bounded queue of the agent's sound that knows how far it was heard. */
export declare class Playback {
    /** Samples that there was no room for. */
    lost: number;
    /** Times that it ran dry while it played. */
    dry: number;
    private pieces;
    private held;
    private waited;
    private playing;
    private at;
    private told;
    private since;
    private fenced;
    private over;
    private paused;
    private readonly ahead;
    private readonly most;
    private readonly every;
    private readonly onHeard;
    constructor(options: PlaybackOptions);
    /** Samples that wait. */
    get waiting(): number;
    /** Takes a frame: counts is how many of its samples are the turn's. */
    put(generation: number, position: number, pcm: Int16Array, counts: number): void;
    /**
     * Fills out with what is to be heard now and with silence, and gives the number of samples
     * that are the agent's. Numbers are of -1 to 1 in a Float32Array, of 16 bit in an Int16Array.
     */
    read(out: Float32Array | Int16Array): number;
    /**
     * Stops (true) before the next sample, and goes on there (false): while it is not known
     * whether the caller means to interrupt. A fence ends it.
     */
    pause(on: boolean): void;
    private fill;
    private tell;
    /** Drops an output, and tells where it really stopped; session = everything, for good. */
    fence(generation: number, session?: boolean): void;
    /** Begins anew, for another session: nothing that waits is heard, and nothing is told of it. */
    reset(): void;
}
/** What the page sends to the player. */
export type ToPlayer = {
    kind: "frame";
    generation: number;
    position: number;
    pcm: Int16Array;
    counts: number;
} | {
    kind: "fence";
    generation: number;
    session: boolean;
} | {
<<<<<<< HEAD
    kind: "reset";
    run: number;
=======
    kind: "pause";
    on: boolean;
>>>>>>> main
};
/** What the player sends to the page. */
export interface FromPlayer {
    heard: Heard;
    /** Of the latest reset: what was on its way then is of the session before. */
    run: number;
    dry: number;
    lost: number;
}
