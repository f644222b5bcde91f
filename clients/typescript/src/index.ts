// SPDX-License-Identifier: Apache-2.0

export * from "./binary.js";
export * from "./client.js";
export * from "./pcm.js";
export * from "./playback.js";
export * from "./protocol.js";
