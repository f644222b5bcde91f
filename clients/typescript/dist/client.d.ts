import { type AudioBegin, type Fence, type Format, type Frame, type Metric, type ServerError, type Signal, type Speech, type ToolCall, type Transcript, type Welcome, type Wishes } from "./protocol.js";
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
    formats?: {
        in?: Format[];
        out?: Format[];
    };
    /** Whether played() is called; false lets the server estimate. Default true. */
    acks?: boolean;
    /** How messages are written; default json. binary is smaller, and no easier to look at. */
    encoding?: "json" | "binary";
    /** Ask for measurements. */
    metrics?: boolean;
    /** How to come back: first wait, longest wait, and when to give up. Default 250, 5000, 30000 ms. */
    reconnect?: {
        firstMs?: number;
        mostMs?: number;
        giveUpMs?: number;
    };
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
    disconnected: {
        error: Error;
        againMs: number;
    };
    ended: {
        reason: string;
        error?: Error;
    };
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
export declare class RefusedError extends Error {
    readonly code: string;
    readonly retryAfterMs: number;
    readonly supported: Format[];
    readonly name = "RefusedError";
    constructor(code: string, message: string, retryAfterMs?: number, supported?: Format[]);
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
/**
 * A session on a server. Make one, listen with on(), then connect(). It comes back by itself
 * when the connection is lost; what was sent with a key reaches the session once.
 */
export declare class ParleyClient {
    /** The session's id, empty before the first connection. */
    session: string;
    private readonly options;
    private address;
    private view;
    private readonly listeners;
    private socket;
    private welcome;
    private received;
    private turn;
    private readonly pending;
    private readonly prefix;
    private number;
    private sequence;
    private position;
    private over;
    private counts;
    private watch;
    private heard;
    private retry;
    private pings;
    constructor(options: Options);
    /** Listens for a kind of event; the function that it gives stops that. */
    on<K extends keyof Events>(kind: K, listener: (event: Events[K]) => void): () => void;
    private emit;
    /** Opens the session. The first connection is tried once. */
    connect(): Promise<Welcome>;
    /** What was agreed; undefined while there is no connection. */
    get agreed(): Welcome | undefined;
    get stats(): Stats;
    /** Sends what the microphone has heard: PCM as agreed, up to a second, silence as well. */
    sendAudio(pcm: Int16Array): void;
    /** Sends a frame of another format: its samples at the rate of the format. */
    sendEncoded(payload: Uint8Array, samples: number): void;
    /** Sends an utterance that was typed. */
    text(text: string): void;
    /** The user has finished, with the sound that was sent before. */
    endOfUtterance(): void;
    /** Cancels the output and work of the latest turn that was heard of. */
    cancel(options?: {
        turn?: string;
        reason?: string;
        force?: boolean;
    }): void;
    /** Ends the output without implying a new turn. */
    stop(options?: {
        turn?: string;
        reason?: string;
        force?: boolean;
    }): void;
    /** A cancel that arrives late must meet no other turn. */
    private latest;
    /** The microphone was switched off (true) or on. */
    mute(on: boolean): void;
    /** A key of a telephone: 0-9, *, #, A-D. */
    dtmf(digit: string, durationMs?: number): void;
    /** Adds to the conversation without asking for an answer. */
    context(role: "user" | "assistant" | "system", text: string): void;
    /** Asks for an answer without new words. */
    respond(): void;
    /** Changes wishes, from the next turn on. */
    configure(wishes: Wishes): void;
    /** Answers a tool_call; of one that failed, output says why. */
    toolResult(id: string, output: string, failed?: boolean): void;
    /** Gives the session a fresh token before the one that it runs under expires; default is what options.token gives. */
    renew(token?: string): Promise<void>;
    /** Tells how far an output was heard; position in samples of the turn. */
    played(generation: number, position: number, final?: boolean): void;
    /** Asks how long the way to the server and back takes, in ms. */
    ping(): Promise<number>;
    /** Says goodbye and ends the session. */
    close(): void;
    private write;
    /** The connection, while it takes something: one that is closing takes nothing, and complains. */
    private get ready();
    private encode;
    /** Sends a message that has to arrive, now or when the connection is back. */
    private deliver;
    private get patience();
    private open;
    private secret;
    private handshake;
    private begin;
    private look;
    private hear;
    private take;
    /** Goes to another address for the rest of the session, but not out of encryption. */
    private follow;
    private lost;
    private detach;
    private comeBack;
    private end;
}
