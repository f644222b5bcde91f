// SPDX-License-Identifier: Apache-2.0

/**
 * The messages of parley.v1, as docs/websocket.md describes them. What a server says is read
 * tolerantly: unknown types and fields are ignored.
 */

export const SUBPROTOCOL = "parley.v1";

/** Bytes of the header of a binary frame. */
export const HEADER_SIZE = 20;

/** Close codes of the protocol. */
export const CLOSE = { ended: 1000, garbage: 1008, tooBig: 1009, slow: 4408, displaced: 4409 } as const;

/** codec/rate, e.g. "pcm_s16le/16000". */
export type Format = string;

export interface Tool {
  name: string;
  description?: string;
  /** JSON Schema of the arguments. */
  parameters?: unknown;
}

/** What a client may choose; what is left out stays what it is. */
export interface Wishes {
  instructions?: string;
  voice?: string;
  language?: string;
  turn_end?: "vad" | "client";
  answer?: boolean;
  /** Counts only when the session begins. */
  interrupt?: boolean;
  text_only?: boolean;
  /** An empty list takes the tools away. */
  tools?: Tool[];
}

export interface Hello {
  type: "hello";
  token?: string;
  session?: string;
  resume?: { session: string; received: number };
  audio?: { in?: Format[]; out?: Format[] };
  encoding?: "json" | "binary";
  acks?: boolean;
  metrics?: boolean;
  wishes?: Wishes;
}

interface Keyed {
  key?: string;
}

interface Request extends Keyed {
  turn?: string;
  reason?: string;
  force?: boolean;
  epoch?: number;
}

export type FromClient =
  | Hello
  | ({ type: "text"; text: string } & Keyed)
  | ({ type: "end_of_utterance" } & Keyed)
  | ({ type: "cancel" } & Request)
  | ({ type: "stop" } & Request)
  | { type: "played"; generation: number; turn?: string; position: number; final?: boolean }
  | ({ type: "mute"; on: boolean } & Keyed)
  | ({ type: "control"; kind: string; digit?: string; duration_ms?: number } & Keyed)
  | ({ type: "context"; role: "user" | "assistant" | "system"; text: string } & Keyed)
  | ({ type: "respond" } & Keyed)
  | ({ type: "configure"; wishes: Wishes } & Keyed)
  | ({ type: "tool_result"; id: string; output: string; failed?: boolean } & Keyed)
  | ({ type: "renew"; token: string } & Keyed)
  | { type: "ping"; id: number }
  | { type: "bye" };

/** An event of the kernel; the fields that clients look at. */
export interface Envelope {
  schema_version: string;
  event_scope: "session" | "turn";
  session_id: string;
  turn_id?: string;
  event_id: string;
  lane: "ControlLane" | "DataLane" | "TelemetryLane";
  runtime_sequence: number;
  runtime_timestamp_ms: number;
  wall_clock_timestamp_ms: number;
  signal?: string;
  emitted_by?: string;
  reason?: string;
  scope?: string;
  payload?: unknown;
  extensions?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface Welcome {
  type: "welcome";
  session: string;
  resumed: boolean;
  epoch: number;
  missed: number;
  audio: { in: Format; out: Format; frame_ms: number };
  encoding: string;
  compression: string;
  acks: boolean;
  keepalive_ms: number;
  resume_ms: number;
  limits: {
    message_bytes: number;
    audio_bytes: number;
    text_bytes: number;
    messages_per_second: number;
    audio_ahead_ms: number;
    faults: number;
  };
}

export interface Refused {
  type: "refused";
  code: string;
  message: string;
  retry_after_ms?: number;
  supported?: Format[];
}

export interface Signal { type: "signal"; seq: number; signal: Envelope }
export interface Transcript { type: "transcript"; seq: number; from: "caller" | "agent"; of: string; text: string; final: boolean }
export interface Speech { type: "speech"; seq: number; began: boolean; sample: number }
export interface ToolCall { type: "tool_call"; seq: number; id: string; turn: string; name: string; arguments: string }
export interface Metric { type: "metric"; metric: Envelope }
export interface AudioBegin { type: "audio_begin"; seq: number; generation: number; turn: string }
export interface Fence { type: "fence"; seq: number; generation: number; turn?: string; session?: boolean }
export interface ServerError { type: "error"; code: string; field?: string; message: string; key?: string }
export interface Taken { type: "taken"; key: string; again?: boolean }
export interface Pong { type: "pong"; id: number; time_ms: number }
export interface Route { type: "route"; seq: number; view: number; endpoint: string }
export interface Ended { type: "ended"; seq: number; reason: string }

export type FromServer =
  | Welcome | Refused | Signal | Transcript | Speech | ToolCall | Metric | AudioBegin | Fence | ServerError | Taken | Route | Pong | Ended;

/** A frame of the agent's sound. */
export interface Frame {
  sequence: number;
  generation: number;
  /** Samples of the turn before this frame. */
  position: number;
  /** Samples of the payload that are the turn's; the rest is padding. */
  samples: number;
  payload: Uint8Array;
}

/** Writes a frame of caller audio. */
export function encodeAudio(sequence: number, position: number, payload: Uint8Array): ArrayBuffer {
  const frame = new ArrayBuffer(HEADER_SIZE + payload.byteLength);
  const header = new DataView(frame);
  header.setUint8(0, 1);
  header.setUint32(4, sequence >>> 0, true);
  header.setBigUint64(12, BigInt(position), true);
  new Uint8Array(frame, HEADER_SIZE).set(payload);
  return frame;
}

/** Reads a frame of agent audio; undefined when it is none. */
export function decodeAudio(data: ArrayBuffer): Frame | undefined {
  if (data.byteLength <= HEADER_SIZE) return undefined;
  const header = new DataView(data);
  if (header.getUint8(0) !== 2) return undefined;
  return {
    samples: header.getUint16(2, true),
    sequence: header.getUint32(4, true),
    generation: header.getUint32(8, true),
    position: Number(header.getBigUint64(12, true)),
    payload: new Uint8Array(data, HEADER_SIZE),
  };
}

/** Reads a text frame of a server; undefined when it is no message. */
export function decodeMessage(text: string): FromServer | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== "object" || message === null || !("type" in message)) return undefined;
  return message as FromServer;
}
