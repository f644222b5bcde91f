// SPDX-License-Identifier: Apache-2.0
import { FROM_CLIENT, FROM_SERVER, MESSAGES } from "./table.js";
const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;
/** The field of FromServer that numbers it. */
const SEQ = 1;
class Writer {
    parts = [];
    get bytes() {
        return Uint8Array.from(this.parts);
    }
    varint(value) {
        let rest = BigInt.asUintN(64, BigInt(value));
        for (; rest > 0x7fn; rest >>= 7n)
            this.parts.push(Number(rest & 0x7fn) | 0x80);
        this.parts.push(Number(rest));
    }
    number(field, value) {
        this.varint(field * 8 + VARINT);
        this.varint(value);
    }
    block(field, bytes) {
        this.varint(field * 8 + BYTES);
        this.varint(bytes.length);
        for (const byte of bytes)
            this.parts.push(byte);
    }
    text(field, text) {
        this.block(field, new TextEncoder().encode(text));
    }
}
function write(name, message) {
    const out = new Writer();
    for (const [field, [number, kind, how]] of Object.entries(MESSAGES[name])) {
        const value = message[field];
        if (value === undefined || value === null)
            continue;
        if (how === "list")
            for (const one of value)
                put(out, number, kind, one);
        else if (kind === "map<string, bytes>") {
            const map = value;
            for (const key of Object.keys(map).sort()) {
                const entry = new Writer();
                if (key !== "")
                    entry.text(1, key);
                entry.text(2, JSON.stringify(map[key]));
                out.block(number, entry.bytes);
            }
        }
        else if (how === "maybe" || how === "null" || (value !== "" && value !== 0 && value !== false))
            put(out, number, kind, value);
        else if (kind === "bytes")
            put(out, number, kind, value);
    }
    return out.bytes;
}
function put(out, number, kind, value) {
    switch (kind) {
        case "string": return out.text(number, value);
        case "int64":
        case "uint32": return out.number(number, value);
        case "bool": return out.number(number, value === true ? 1 : 0);
        case "bytes": return out.text(number, JSON.stringify(value));
        case "ToolList": return out.block(number, write(kind, { tools: value }));
        default: return out.block(number, write(kind, value));
    }
}
/** Writes a message of a client. */
export function encodeBinary(message) {
    const [number, name] = FROM_CLIENT[message.type];
    const out = new Writer();
    out.block(number, write(name, message));
    return out.bytes.buffer;
}
class Reader {
    bytes;
    at = 0;
    constructor(bytes) {
        this.bytes = bytes;
    }
    varint() {
        let value = 0n;
        for (let shift = 0n; shift < 70n; shift += 7n) {
            const byte = this.bytes[this.at++];
            if (byte === undefined)
                break;
            value |= BigInt(byte & 0x7f) << shift;
            if (byte < 0x80)
                return value;
        }
        throw new RangeError("parley: a number is cut off");
    }
    take(size) {
        if (size > this.bytes.length - this.at)
            throw new RangeError("parley: a message is cut off");
        this.at += size;
        return this.bytes.subarray(this.at - size, this.at);
    }
    *fields() {
        while (this.at < this.bytes.length) {
            const tag = Number(this.varint());
            const field = Math.floor(tag / 8);
            let value = 0;
            let body;
            switch (tag % 8) {
                case VARINT:
                    value = Number(BigInt.asIntN(64, this.varint()));
                    break;
                case BYTES:
                    body = this.take(Number(this.varint()));
                    break;
                case FIXED64:
                    this.take(8);
                    continue;
                case FIXED32:
                    this.take(4);
                    continue;
                default: throw new RangeError("parley: this is no Protocol Buffers message");
            }
            if (field === 0)
                throw new RangeError("parley: a field has no number");
            yield { field, value, body };
        }
    }
}
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
function read(name, bytes) {
    const table = MESSAGES[name];
    const message = {};
    for (const [field, [, kind, how]] of Object.entries(table)) {
        if (how === "always")
            message[field] = empty(kind);
        if (how === "null")
            message[field] = null;
    }
    const byNumber = new Map(Object.entries(table).map(([field, entry]) => [entry[0], [field, entry]]));
    for (const came of new Reader(bytes).fields()) {
        const known = byNumber.get(came.field);
        if (known === undefined)
            continue;
        const [field, [, kind, how]] = known;
        if (kind === "map<string, bytes>") {
            const { key = "", value } = entry(came);
            Object.defineProperty((message[field] ??= {}), key, { value, enumerable: true, writable: true, configurable: true });
        }
        else if (how === "list")
            (message[field] ??= []).push(get(kind, came));
        else
            message[field] = get(kind, came);
    }
    return message;
}
/** What a field is that JSON always has, when it did not come. */
function empty(kind) {
    switch (kind) {
        case "string": return "";
        case "int64":
        case "uint32": return 0;
        case "bool": return false;
        default: return read(kind, new Uint8Array());
    }
}
function get(kind, { value, body }) {
    switch (kind) {
        case "int64":
        case "uint32":
        case "bool":
            if (body !== undefined)
                throw new RangeError("parley: a number has a length");
            return kind === "bool" ? value !== 0 : value;
    }
    if (body === undefined)
        throw new RangeError("parley: a field has no length");
    switch (kind) {
        case "string": return strict.decode(body);
        case "bytes": return JSON.parse(strict.decode(body));
        case "ToolList": return read(kind, body).tools ?? [];
        default: return read(kind, body);
    }
}
function entry({ body }) {
    const found = {};
    for (const came of new Reader(body ?? new Uint8Array()).fields()) {
        if (came.field === 1)
            found.key = get("string", came);
        if (came.field === 2)
            found.value = get("bytes", came);
    }
    return found;
}
const SERVER = new Map(Object.entries(FROM_SERVER).map(([type, [number, name]]) => [number, { type, name }]));
/** Whether a binary frame of a server is sound; otherwise it is a message. */
export function isAudio(data) {
    const kind = new Uint8Array(data)[0];
    return kind === undefined || kind === 1 || kind === 2;
}
/** Reads a message of a server; undefined when it is none that is known. */
export function decodeBinary(data) {
    let seq = 0;
    let message;
    try {
        for (const came of new Reader(new Uint8Array(data)).fields()) {
            if (came.field === SEQ)
                seq = came.value;
            const known = SERVER.get(came.field);
            if (known !== undefined && came.body !== undefined)
                message = { type: known.type, ...read(known.name, came.body) };
        }
    }
    catch {
        return undefined;
    }
    if (message === undefined)
        return undefined;
    return (seq === 0 ? message : { ...message, seq });
}
