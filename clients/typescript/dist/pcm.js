// SPDX-License-Identifier: Apache-2.0
import { Playback } from "./playback.js";
/** Plays the client's sound by the clock and acknowledges it; stop() ends that. */
export function playPcm(client, options) {
    const playback = new Playback({
        rate: options.rate,
        ...(options.aheadMs === undefined ? {} : { aheadMs: options.aheadMs }),
        ...(options.bufferMs === undefined ? {} : { bufferMs: options.bufferMs }),
        onHeard: ({ generation, position, final }) => client.played(generation, position, final),
    });
    const frame = Math.round(options.rate / 50);
    const began = performance.now();
    let played = 0;
    const timer = setInterval(() => {
        // Timers come late and unevenly: as many frames as the clock says. What is later than
        // 200 ms is not caught up.
        const due = Math.floor((performance.now() - began) / 20);
        played = Math.max(played, due - 10);
        for (; played < due; played++) {
            const pcm = new Int16Array(frame);
            playback.read(pcm);
            options.onPcm(pcm);
        }
    }, 10);
    const off = [
        client.on("audio", ({ generation, position, samples, payload }) => {
            playback.put(generation, position, int16(payload), samples);
        }),
        client.on("fence", (fence) => playback.fence(fence.generation, fence.session ?? false)),
        client.on("ended", () => stop()),
    ];
    const stop = () => {
        clearInterval(timer);
        for (const f of off)
            f();
    };
    return { playback, stop };
}
/** The samples of little-endian PCM. */
export function int16(payload) {
    const pcm = new Int16Array(payload.byteLength >> 1);
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    for (let i = 0; i < pcm.length; i++)
        pcm[i] = view.getInt16(2 * i, true);
    return pcm;
}
