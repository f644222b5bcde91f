// SPDX-License-Identifier: Apache-2.0
/**
 * The messages of parley.v1, as docs/websocket.md describes them. What a server says is read
 * tolerantly: unknown types and fields are ignored.
 */
export const SUBPROTOCOL = "parley.v1";
/** Bytes of the header of a binary frame. */
export const HEADER_SIZE = 20;
/** Close codes of the protocol. */
export const CLOSE = { ended: 1000, garbage: 1008, tooBig: 1009, slow: 4408, displaced: 4409 };
/** Writes a frame of caller audio. */
export function encodeAudio(sequence, position, payload) {
    const frame = new ArrayBuffer(HEADER_SIZE + payload.byteLength);
    const header = new DataView(frame);
    header.setUint8(0, 1);
    header.setUint32(4, sequence >>> 0, true);
    header.setBigUint64(12, BigInt(position), true);
    new Uint8Array(frame, HEADER_SIZE).set(payload);
    return frame;
}
/** Reads a frame of agent audio; undefined when it is none. */
export function decodeAudio(data) {
    if (data.byteLength <= HEADER_SIZE)
        return undefined;
    const header = new DataView(data);
    if (header.getUint8(0) !== 2)
        return undefined;
    return {
        samples: header.getUint16(2, true),
        sequence: header.getUint32(4, true),
        generation: header.getUint32(8, true),
        position: Number(header.getBigUint64(12, true)),
        payload: new Uint8Array(data, HEADER_SIZE),
    };
}
/** Reads a text frame of a server; undefined when it is no message. */
export function decodeMessage(text) {
    let message;
    try {
        message = JSON.parse(text);
    }
    catch {
        return undefined;
    }
    if (typeof message !== "object" || message === null || !("type" in message))
        return undefined;
    return message;
}
