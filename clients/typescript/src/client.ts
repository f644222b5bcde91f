// SPDX-License-Identifier: Apache-2.0

import { decodeBinary, encodeBinary, isAudio } from "./binary.js";
import {
  CLOSE, SUBPROTOCOL, decodeAudio, decodeMessage, encodeAudio,
  type AudioBegin, type Ended, type Fence, type Format, type Frame, type FromClient, type FromServer, type Hello, type Metric,
  type Refused, type ServerError, type Signal, type Speech, type ToolCall, type Transcript, type Welcome, type Wishes,
} from "./protocol.js";

/** The part of a WebSocket that is used; browsers and Node 22 have one. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  /** 1 while it is open; one that does not say is taken to be. */
  readonly readyState?: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string | ArrayBuffer): void;
  close(code?: number, reason?: string): void;
}

export interface Options {
  /** ws:// or wss:// */
  url: string;
  /** The session token, or what gives one: it is asked for each connection anew. */
  token?: string | (() => string | Promise<string>);
  /** The id that the session should have. */
  session?: string;
  wishes?: Wishes;
  /** Formats that are sent and played, best first; default pcm_s16le/16000. */
  formats?: { in?: Format[]; out?: Format[] };
  /** Whether played() is called; false lets the server estimate. Default true. */
  acks?: boolean;
  /** How messages are written; default json. binary is smaller, and no easier to look at. */
  encoding?: "json" | "binary";
  /** Ask for measurements. */
  metrics?: boolean;
  /** How to come back: first wait, longest wait, and when to give up. Default 250, 5000, 30000 ms. */
  reconnect?: { firstMs?: number; mostMs?: number; giveUpMs?: number };
  /** Messages that may wait for the connection to come back; default 256. */
  pending?: number;
  /** How long a handshake may take, or the answer to a ping; default 10000 ms. */
  patienceMs?: number;
  /** In place of the global WebSocket, e.g. that of the package ws. */
  webSocket?: new (url: string, protocols: string[]) => Socket;
}

/** What a client tells. */
export interface Events {
  connected: Welcome;
  disconnected: { error: Error; againMs: number };
  ended: { reason: string; error?: Error };
  signal: Signal;
  transcript: Transcript;
  speech: Speech;
  tool_call: ToolCall;
  metric: Metric;
  audio_begin: AudioBegin;
  audio: Frame;
  fence: Fence;
  error: ServerError;
}

/** The server did not let the client in. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  constructor(readonly code: string, message: string, readonly retryAfterMs = 0, readonly supported: Format[] = []) {
    super(`refused: ${code}: ${message}`);
  }
}

/** What a client counted. */
export interface Stats {
  reconnects: number;
  /** Frames of the microphone that were sent. */
  sent: number;
  /** Frames that were spoken while there was no connection, or faster than it takes them. */
  away: number;
  /** Messages that the server has not taken, now. */
  pending: number;
}

/** Closes a connection whose session goes on elsewhere: 1000 would end it. */
const MOVED = 3000;

/** WebSocket.OPEN. */
const OPEN = 1;

/** Codes of a refusal after which coming back may help. */
const PASSING = new Set(["capacity", "draining", "internal_error"]);

/** Bytes that may wait in the socket before sound is dropped: control must not wait behind it. */
const BUFFERED = 1 << 18;

/**
 * A session on a server. Make one, listen with on(), then connect(). It comes back by itself
 * when the connection is lost; what was sent with a key reaches the session once.
 */
export class ParleyClient {
  /** The session's id, empty before the first connection. */
  session = "";
  private readonly options: Options;
  private address: string; // where the session is
  private view = 0; // the newest of its routes
  private readonly listeners = new Map<keyof Events, Set<(event: never) => void>>();
  private socket: Socket | undefined;
  private welcome: Welcome | undefined;
  private received = 0;
  private turn = "";
  private readonly pending = new Map<string, string | ArrayBuffer>();
  private readonly prefix = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
  private number = 0;
  private sequence = 0;
  private position = 0;
  private over = false;
  private counts = { reconnects: 0, sent: 0, away: 0 };
  private watch: ReturnType<typeof setInterval> | undefined;
  private heard = 0; // when something came
  private retry: { timer: ReturnType<typeof setTimeout>; cancel: () => void } | undefined;
  private pings = new Map<number, (ms: number) => void>();

  constructor(options: Options) {
    this.options = options;
    this.address = options.url;
  }

  /** Listens for a kind of event; the function that it gives stops that. */
  on<K extends keyof Events>(kind: K, listener: (event: Events[K]) => void): () => void {
    let set = this.listeners.get(kind);
    if (set === undefined) this.listeners.set(kind, (set = new Set()));
    set.add(listener as (event: never) => void);
    return () => set.delete(listener as (event: never) => void);
  }

  private emit<K extends keyof Events>(kind: K, event: Events[K]): void {
    for (const listener of [...(this.listeners.get(kind) ?? [])]) {
      try {
        (listener as (event: Events[K]) => void)(event);
      } catch (error) {
        // A listener's fault is its own; the connection goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Opens the session. The first connection is tried once. */
  async connect(): Promise<Welcome> {
    if (this.session !== "" || this.over) throw new Error("parley: a client serves one session; make another");
    return this.open();
  }

  /** What was agreed; undefined while there is no connection. */
  get agreed(): Welcome | undefined {
    return this.welcome;
  }

  get stats(): Stats {
    return { ...this.counts, pending: this.pending.size };
  }

  // ---- what a user says ----

  /** Sends what the microphone has heard: PCM as agreed, up to a second, silence as well. */
  sendAudio(pcm: Int16Array): void {
    this.sendEncoded(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength), pcm.length);
  }

  /** Sends a frame of another format: its samples at the rate of the format. */
  sendEncoded(payload: Uint8Array, samples: number): void {
    if (payload.byteLength === 0 || this.over) return;
    const { sequence, position } = this;
    this.sequence++;
    this.position += samples;
    const socket = this.ready;
    if (socket === undefined || socket.bufferedAmount > BUFFERED) {
      this.counts.away++;
      return;
    }
    this.counts.sent++;
    socket.send(encodeAudio(sequence, position, payload));
  }

  /** Sends an utterance that was typed. */
  text(text: string): void {
    this.deliver({ type: "text", text });
  }

  /** The user has finished, with the sound that was sent before. */
  endOfUtterance(): void {
    this.deliver({ type: "end_of_utterance" });
  }

  /** Cancels the output and work of the latest turn that was heard of. */
  cancel(options: { turn?: string; reason?: string; force?: boolean } = {}): void {
    this.deliver({ type: "cancel", ...this.latest(), ...options });
  }

  /** Ends the output without implying a new turn. */
  stop(options: { turn?: string; reason?: string; force?: boolean } = {}): void {
    this.deliver({ type: "stop", ...this.latest(), ...options });
  }

  /** A cancel that arrives late must meet no other turn. */
  private latest(): { turn?: string } {
    return this.turn === "" ? {} : { turn: this.turn };
  }

  /** The microphone was switched off (true) or on. */
  mute(on: boolean): void {
    this.deliver({ type: "mute", on });
  }

  /** A key of a telephone: 0-9, *, #, A-D. */
  dtmf(digit: string, durationMs?: number): void {
    this.deliver({ type: "control", kind: "dtmf", digit, ...(durationMs === undefined ? {} : { duration_ms: durationMs }) });
  }

  /** Adds to the conversation without asking for an answer. */
  context(role: "user" | "assistant" | "system", text: string): void {
    this.deliver({ type: "context", role, text });
  }

  /** Asks for an answer without new words. */
  respond(): void {
    this.deliver({ type: "respond" });
  }

  /** Changes wishes, from the next turn on. */
  configure(wishes: Wishes): void {
    this.deliver({ type: "configure", wishes });
  }

  /** Answers a tool_call; of one that failed, output says why. */
  toolResult(id: string, output: string, failed = false): void {
    this.deliver({ type: "tool_result", id, output, ...(failed ? { failed } : {}) });
  }

  /** Gives the session a fresh token before the one that it runs under expires; default is what options.token gives. */
  async renew(token?: string): Promise<void> {
    const fresh = token ?? (await this.secret());
    if (fresh === undefined) throw new Error("parley: there is no token to renew the session with");
    this.deliver({ type: "renew", token: fresh });
  }

  /** Tells how far an output was heard; position in samples of the turn. */
  played(generation: number, position: number, final = false): void {
    if (this.options.acks === false) return;
    this.write({ type: "played", generation, position: Math.max(0, Math.floor(position)), ...(final ? { final } : {}) });
  }

  /** Asks how long the way to the server and back takes, in ms. */
  ping(): Promise<number> {
    const id = ++this.number;
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pings.delete(id);
        reject(new Error("parley: no answer to a ping"));
      }, this.patience);
      this.pings.set(id, () => {
        clearTimeout(timer);
        resolve(performance.now() - began);
      });
      this.write({ type: "ping", id });
    });
  }

  /** Says goodbye and ends the session. */
  close(): void {
    if (this.over) return;
    const socket = this.socket;
    this.write({ type: "bye" });
    this.end("closed");
    socket?.close(CLOSE.ended);
  }

  // ---- messages ----

  private write(message: FromClient): void {
    this.ready?.send(this.encode(message));
  }

  /** The connection, while it takes something: one that is closing takes nothing, and complains. */
  private get ready(): Socket | undefined {
    return this.welcome !== undefined && (this.socket?.readyState ?? OPEN) === OPEN ? this.socket : undefined;
  }

  private encode(message: FromClient): string | ArrayBuffer {
    return this.options.encoding === "binary" ? encodeBinary(message) : JSON.stringify(message);
  }

  /** Sends a message that has to arrive, now or when the connection is back. */
  private deliver(message: FromClient): void {
    if (this.over) throw new Error("parley: the session is over");
    if (this.pending.size >= (this.options.pending ?? 256)) {
      throw new Error("parley: too many messages wait for the connection to come back");
    }
    const key = `${this.prefix}-${++this.number}`;
    const said = this.encode({ ...message, key } as FromClient);
    this.pending.set(key, said);
    this.ready?.send(said);
  }

  private get patience(): number {
    return this.options.patienceMs ?? 10_000;
  }

  // ---- connections ----

  private async open(): Promise<Welcome> {
    const secret = await this.secret();
    const hello: Hello = {
      type: "hello",
      audio: { in: this.options.formats?.in ?? ["pcm_s16le/16000"], out: this.options.formats?.out ?? ["pcm_s16le/16000"] },
    };
    if (secret !== undefined) hello.token = secret;
    if (this.options.acks === false) hello.acks = false;
    if (this.options.metrics === true) hello.metrics = true;
    if (this.session !== "") {
      hello.resume = { session: this.session, received: this.received };
    } else {
      if (this.options.session !== undefined) hello.session = this.options.session;
      if (this.options.wishes !== undefined) hello.wishes = this.options.wishes;
    }
    const Constructor = this.options.webSocket ?? (globalThis as { WebSocket?: new (url: string, protocols: string[]) => Socket }).WebSocket;
    if (Constructor === undefined) {
      throw new Error("parley: there is no WebSocket here: use Node 22, node --experimental-websocket, or options.webSocket");
    }
    return this.handshake(new Constructor(this.address, [SUBPROTOCOL]), hello);
  }

  private async secret(): Promise<string | undefined> {
    const { token } = this.options;
    return typeof token === "function" ? token() : token;
  }

  private handshake(socket: Socket, hello: Hello): Promise<Welcome> {
    return new Promise((resolve, reject) => {
      socket.binaryType = "arraybuffer";
      const fail = (error: Error) => {
        clearTimeout(timer);
        abandon(socket);
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error("parley: the server did not answer in time")), this.patience);
      socket.onopen = () => socket.send(this.encode(hello));
      socket.onerror = () => {}; // onclose says it as well
      socket.onclose = (event: { code: number; reason: string }) => fail(closed(event));
      socket.onmessage = ({ data }: { data: unknown }) => {
        const message = decode(data);
        if (message?.type === "refused") return fail(refusal(message));
        if (message?.type === "error") return this.emit("error", message);
        if (message?.type !== "welcome") return;
        clearTimeout(timer);
        this.begin(socket, message);
        resolve(message);
      };
    });
  }

  private begin(socket: Socket, welcome: Welcome): void {
    if (this.over) return abandon(socket);
    this.socket = socket;
    this.welcome = welcome;
    this.session = welcome.session;
    if (welcome.resumed) this.counts.reconnects++;
    socket.onmessage = ({ data }: { data: unknown }) => this.hear(data);
    socket.onclose = (event: { code: number; reason: string }) => this.lost(event);
    this.heard = Date.now();
    clearInterval(this.watch);
    // Browsers cannot see a connection that is half open: whoever is silent is asked.
    this.watch = setInterval(() => this.look(socket), Math.max(50, Math.min(welcome.keepalive_ms, this.patience) / 2));
    for (const said of this.pending.values()) socket.send(said);
    this.emit("connected", welcome);
  }

  private look(socket: Socket): void {
    const silent = Date.now() - this.heard;
    if (silent > (this.welcome?.keepalive_ms ?? 0) + this.patience) {
      abandon(socket);
      this.lost({ code: 1006, reason: "the server does not answer" });
    } else if (silent > (this.welcome?.keepalive_ms ?? 0) / 2) {
      this.write({ type: "ping", id: 0 });
    }
  }

  private hear(data: unknown): void {
    this.heard = Date.now();
    if (data instanceof ArrayBuffer && isAudio(data)) {
      const frame = decodeAudio(data);
      if (frame !== undefined) this.emit("audio", frame);
      return;
    }
    const message = decode(data);
    if (message === undefined) return;
    if ("seq" in message && typeof message.seq === "number") {
      if (message.seq <= this.received) return; // said again after a resume
      this.received = message.seq;
    }
    this.take(message);
  }

  private take(message: FromServer): void {
    switch (message.type) {
      case "taken":
        this.pending.delete(message.key);
        return;
      case "error":
        if (message.key !== undefined && message.code !== "unknown_field") this.pending.delete(message.key);
        this.emit("error", message);
        return;
      case "pong":
        this.pings.get(message.id)?.(message.time_ms);
        this.pings.delete(message.id);
        return;
      case "signal":
        if (message.signal.signal === "turn_open" && message.signal.turn_id !== undefined) this.turn = message.signal.turn_id;
        this.emit("signal", message);
        return;
      case "audio_begin":
        this.turn = message.turn;
        this.emit("audio_begin", message);
        return;
      case "ended":
        this.end((message satisfies Ended).reason);
        return;
      case "route":
        this.follow(message.view, message.endpoint);
        return;
      case "transcript": return this.emit("transcript", message);
      case "speech": return this.emit("speech", message);
      case "tool_call": return this.emit("tool_call", message);
      case "metric": return this.emit("metric", message);
      case "fence": return this.emit("fence", message);
      case "welcome":
      case "refused":
        return;
    }
  }

  /** Goes to another address for the rest of the session, but not out of encryption. */
  private follow(view: number, endpoint: string): void {
    const secret = this.address.startsWith("wss:");
    if (view <= this.view || !/^wss?:\/\/./.test(endpoint) || (secret && !endpoint.startsWith("wss:"))) return;
    this.view = view;
    this.address = endpoint;
    const socket = this.socket;
    this.detach();
    if (socket !== undefined) abandon(socket, MOVED);
    void this.comeBack(new Error("parley: the session has moved"), true);
  }

  private lost(event: { code: number; reason: string }): void {
    this.detach();
    if (this.over) return;
    if (event.code === CLOSE.displaced) return this.end("displaced", closed(event));
    if (event.code === CLOSE.ended) return this.end("ended");
    void this.comeBack(closed(event));
  }

  private detach(): void {
    this.socket = undefined;
    this.welcome = undefined;
    clearInterval(this.watch);
  }

  private async comeBack(cause: Error, atOnce = false): Promise<void> {
    const { firstMs = 250, mostMs = 5000, giveUpMs = 30_000 } = this.options.reconnect ?? {};
    const until = Date.now() + giveUpMs;
    for (let wait = firstMs; ; wait = Math.min(2 * wait, mostMs)) {
      let pause = wait / 2 + (Math.random() * wait) / 2; // so that a crowd does not come at once
      if (cause instanceof RefusedError) {
        if (!PASSING.has(cause.code)) return this.end("lost", cause);
        pause = Math.max(pause, cause.retryAfterMs);
      }
      if (atOnce) pause = 0;
      atOnce = false;
      if (Date.now() + pause > until) return this.end("lost", cause);
      this.emit("disconnected", { error: cause, againMs: pause });
      await new Promise<void>((resolve) => {
        this.retry = { timer: setTimeout(resolve, pause), cancel: resolve };
      });
      this.retry = undefined;
      if (this.over) return;
      try {
        await this.open();
        return;
      } catch (error) {
        if (this.over) return;
        cause = error instanceof Error ? error : new Error(String(error));
      }
    }
  }

  private end(reason: string, error?: Error): void {
    if (this.over) return;
    this.over = true;
    if (this.retry !== undefined) {
      clearTimeout(this.retry.timer);
      this.retry.cancel();
    }
    this.detach();
    this.emit("ended", error === undefined ? { reason } : { reason, error });
  }
}

/** Reads a message in the encoding that its frame says. */
function decode(data: unknown): FromServer | undefined {
  if (typeof data === "string") return decodeMessage(data);
  return data instanceof ArrayBuffer && !isAudio(data) ? decodeBinary(data) : undefined;
}

/** Lets go of a socket: what it still says is not heard. */
function abandon(socket: Socket, code?: number): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => {};
  socket.close(code);
}

function refusal(message: Refused): RefusedError {
  return new RefusedError(message.code, message.message, message.retry_after_ms, message.supported);
}

function closed(event: { code: number; reason: string }): Error {
  return new Error(`parley: the connection was closed with ${event.code}${event.reason ? `: ${event.reason}` : ""}`);
}
