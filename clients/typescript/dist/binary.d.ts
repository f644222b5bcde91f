import type { FromClient, FromServer } from "./protocol.js";
/** Writes a message of a client. */
export declare function encodeBinary(message: FromClient): ArrayBuffer;
/** Whether a binary frame of a server is sound; otherwise it is a message. */
export declare function isAudio(data: ArrayBuffer): boolean;
/** Reads a message of a server; undefined when it is none that is known. */
export declare function decodeBinary(data: ArrayBuffer): FromServer | undefined;
