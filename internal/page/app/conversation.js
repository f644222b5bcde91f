// SPDX-License-Identifier: Apache-2.0

/**
 * What was said, who has the floor, and where each turn's time went. Nothing here knows the
 * document or the network: the client's events go in with the instant at which they came,
 * and the view reads what there is.
 */

/** Items and turns that are kept; older ones go. */
const ITEMS = 300;
const TURNS = 60;

/** Words of one answer that are shown. */
const WORDS = 3000;

/** Letters a second that a voice speaks, until this session's own voice has shown its pace. */
const PACE = 15;

/** The steps from the end of speech to the ear, in their order. */
export const STEPS = [
  ["pause", "waiting for more", "utteranceEnd"],
  ["stt", "final transcript", "final"],
  ["model", "first token", "token"],
  ["segment", "first segment", "segment"],
  ["voice", "first sound", "audio"],
  ["ear", "heard", "heard"],
];

const STATES = {
  thinking: "is thinking", speaking: "is speaking", said: "was said", interrupted: "was interrupted",
  stopped: "was stopped", failed: "failed", silent: "ended without a sound", unheard: "ended: nothing was understood",
};

/** Says a turn's state. */
export const describe = (turn) => STATES[turn.state] + (turn.state === "failed" && turn.reason ? `: ${turn.reason.replaceAll("_", " ")}` : "");

export class Conversation {
  items = [];
  turns = [];
  #caller = false;
  #sounding = false;
  /** Grows with each change. */
  version = 0;
  #rate;
  #pace = PACE;
  #speechEnd;
  #utterance; // the last one's end, until a turn takes it
  #released; // when the key to talk was, until an utterance has ended
  #words = false; // some of the caller's came, until a turn takes them
  #suspected; // when the caller began while the agent had the floor, and how: { at, by }
  #number = 0;

  constructor(rate = 16000) {
    this.#rate = rate;
  }

  /** Samples a second of the agent's sound, as agreed. */
  set rate(hz) {
    this.#rate = hz;
  }

  /** Who has the floor. An agent that pauses for breath, or is held while it is not known whether the caller means it, still does. */
  get floor() {
    return { caller: this.#caller, agent: this.#sounding || this.turns.at(-1)?.state === "speaking" };
  }

  #add(item) {
    item.key = ++this.#number;
    this.items.push(item);
    if (this.items.length > ITEMS) this.items.shift();
    this.#touch(item);
    return item;
  }

  #touch(thing) {
    this.version++;
    thing.version = this.version;
  }

  turn(id) {
    return this.turns.findLast((turn) => turn.id === id);
  }

  #of(generation) {
    return this.turns.findLast((turn) => turn.generation === generation);
  }

  #item(turn) {
    return this.items.findLast((item) => item.kind === "agent" && item.turn === turn.id);
  }

  /** A remark of the page's own. */
  note(text) {
    const last = this.items.at(-1);
    if (last?.kind === "note" && last.text === text) return;
    this.#add({ kind: "note", text });
  }

  /** Somebody has spoken in vain, and is told each time. */
  #unheard() {
    this.#add({ kind: "note", text: UNHEARD });
  }

  /** The user has typed. */
  typed(text, now) {
    this.#add({ kind: "caller", of: "", text, final: true, typed: true });
    this.#utterance = { speechEnd: now };
    this.#words = true;
    if (this.floor.agent) this.#suspected = { at: now, by: "text" };
  }

  /** The user has let go of the key to talk. */
  released(now) {
    this.#speechEnd = this.#released = now;
  }

  /** Long enough after the key was released: where the server has taken no utterance since, it heard none. */
  waited(released) {
    if (this.#released !== released) return;
    this.#released = undefined;
    this.#unheard();
  }

  speech(began, now) {
    this.#caller = began;
    if (!began) this.#speechEnd = now;
    else if (this.floor.agent) this.#suspected = { at: now, by: "voice" };
    this.version++;
  }

  transcript({ from, of, text, final }, now) {
    if (from === "agent") return this.#says(of, text);
    if (final && text.trim() !== "") this.#understood();
    let item = this.items.findLast((one) => one.kind === "caller" && one.of === of && !one.final);
    if (item === undefined) {
      if (text === "") return;
      const typed = this.items.findLast((one) => one.typed && !one.echoed && one.text === text);
      if (typed !== undefined && final) { // the server says it again
        typed.echoed = true;
        return;
      }
      item = this.#add({ kind: "caller", of, text, final });
    }
    item.text = text;
    item.final = final;
    this.#touch(item);
    if (!final) return;
    const turn = this.turns.at(-1);
    if (turn !== undefined && turn.state === "thinking" && turn.marks.final === undefined && turn.marks.audio === undefined) {
      turn.marks.final = now;
      this.#touch(turn);
    } else if (this.#utterance !== undefined) {
      this.#utterance.final ??= now;
    }
  }

  /** Words are the turn's that waits for them, or the next one's. */
  #understood() {
    const turn = this.turns.at(-1);
    if (turn?.state === "thinking" && !turn.words) turn.words = true;
    else this.#words = true;
  }

  #says(id, text) {
    const turn = this.turn(id);
    let item = this.items.findLast((one) => one.kind === "agent" && one.turn === id);
    item ??= this.#add({ kind: "agent", turn: id, words: [], letters: 0, heard: 0, state: "speaking" });
    for (const word of text.match(/\S+\s*/g) ?? []) {
      if (item.words.length >= WORDS) break;
      item.words.push({ text: word, from: item.letters });
      item.letters += word.length;
    }
    if (turn?.state === "interrupted" || turn?.state === "stopped") item.state = "cut";
    this.#touch(item);
  }

  audioBegin({ generation, turn: id }, now) {
    const turn = this.turn(id);
    if (turn === undefined) return;
    turn.generation = generation;
    turn.marks.audio ??= now;
    this.#touch(turn);
  }

  /** How far an output was heard, in samples of its turn. */
  heard({ generation, position, final }) {
    const turn = this.#of(generation);
    const item = turn && this.#item(turn);
    if (item === undefined) return;
    turn.heardMs = Math.max(turn.heardMs ?? 0, (1000 * position) / this.#rate);
    if (item.state === "speaking" || final) {
      item.heard = Math.min(item.letters, Math.max(item.heard, Math.round((this.#pace * turn.heardMs) / 1000)));
    }
    this.#touch(turn);
    this.#touch(item);
  }

  /** The agent's sound begins or ends at the loudspeaker, as the page's own ear has it; it was so at the latest then. */
  sounds(on, at, generation, latest = at) {
    this.#sounding = on;
    this.version++;
    if (on) this.#suspected = undefined; // it was none, and the agent goes on
    const turn = this.#of(generation) ?? this.turns.at(-1);
    if (turn === undefined) return;
    if (on) turn.marks.heard ??= at;
    else [turn.silentAt, turn.silentBy] = [at, latest];
    this.#touch(turn);
  }

  /** Milliseconds from the instant an interruption was noticed to silence; undefined while that is not known. */
  static stopTime(turn) {
    if (turn.noticed === undefined || turn.silentAt === undefined) return undefined;
    return Math.max(0, turn.silentAt - turn.noticed);
  }

  fence({ generation, session }, now) {
    for (const turn of this.turns) {
      if (turn.generation !== generation && !session) continue;
      turn.fencedAt ??= now;
      this.#touch(turn);
    }
  }

  metric({ name, value, labels = {} }) {
    const turn = this.turn(labels.turn_id);
    if (name !== "provider_first_chunk_ms" || turn === undefined) return;
    turn.waits[labels.modality] ??= value;
    this.#touch(turn);
  }

  signal({ signal, turn_id: id, reason = "", scope = "", wall_clock_timestamp_ms: wall }, now) {
    if (signal === "turn_open") return this.#opens(id, now);
    if (signal === "end_of_utterance") {
      this.#released = undefined;
      this.#utterance = { speechEnd: this.#speechEnd ?? now, end: now };
      this.#caller = false;
      this.#speechEnd = undefined;
      this.version++;
      return;
    }
    const note = NOTES[signal]?.(reason);
    if (note) this.note(note);
    const turn = this.turn(id) ?? (scope === "session" ? this.turns.at(-1) : undefined);
    if (turn === undefined) return;
    switch (signal) {
      case "playback_started":
        turn.state = "speaking";
        break;
      case "barge_in":
        turn.interrupted = true;
        turn.noticed ??= this.#suspected?.at ?? now;
        turn.noticedBy ??= this.#suspected?.by;
        turn.confirmedAt = wall;
        this.#suspected = undefined;
        break;
      case "cancel":
      case "stop":
        turn.noticed ??= now;
        turn.interrupted ||= reason === "barge_in";
        this.#ends(turn, turn.interrupted ? "interrupted" : "stopped");
        break;
      case "playback_cancelled":
        this.#ends(turn, turn.interrupted ? "interrupted" : "stopped");
        break;
      case "playback_completed":
        this.#completes(turn);
        break;
      case "commit":
        if (turn.state !== "thinking") break;
        this.#ends(turn, inVain(turn) ? "unheard" : "silent");
        if (inVain(turn)) this.#unheard();
        break;
      case "abort":
        turn.reason = reason;
        if (reason === "cancelled") break;
        if (turn.state === "thinking" && inVain(turn)) this.#unheard();
        this.#ends(turn, "failed");
        break;
      default:
        return;
    }
    this.#touch(turn);
  }

  #opens(id, now) {
    if (this.turn(id) !== undefined) return;
    const said = this.#utterance ?? { speechEnd: this.#speechEnd ?? now };
    this.#utterance = undefined;
    const turn = {
      id, index: ++this.#number, number: (this.turns.at(-1)?.number ?? 0) + 1, state: "thinking", reason: "", waits: {},
      marks: { speechEnd: said.speechEnd, opened: now }, spoken: said.end !== undefined, words: this.#words,
    };
    this.#words = false;
    if (said.end !== undefined) turn.marks.utteranceEnd = said.end;
    if (said.final !== undefined) turn.marks.final = said.final;
    this.turns.push(turn);
    if (this.turns.length > TURNS) this.turns.shift();
    this.#touch(turn);
  }

  #ends(turn, state) {
    turn.state = state;
    const item = this.#item(turn);
    if (item === undefined) return;
    item.state = "cut";
    this.#touch(item);
  }

  /** All of it was heard, which shows how fast the voice speaks. */
  #completes(turn) {
    turn.state = "said";
    const item = this.#item(turn);
    if (item === undefined) return;
    item.state = "heard";
    item.heard = item.letters;
    if (turn.heardMs > 1500) this.#pace = Math.min(30, Math.max(8, (1000 * item.letters) / turn.heardMs));
    this.#touch(item);
  }

  /** The connection has gone: nobody is heard. */
  quiet() {
    this.#caller = this.#sounding = false;
    this.version++;
  }

  /** Nothing more will come: what was open is as it is. */
  over() {
    this.quiet();
    for (const item of this.items) {
      if (item.kind === "caller" && !item.final) {
        item.final = true;
        this.#touch(item);
      }
    }
    for (const turn of this.turns) {
      if (turn.state === "thinking" || turn.state === "speaking") {
        this.#ends(turn, "stopped");
        this.#touch(turn);
      }
    }
  }
}

const UNHEARD = "Nothing was understood.";

/** The caller spoke, and no word of it came. */
const inVain = (turn) => turn.spoken && !turn.words;

/** Signals that are worth a line of their own. */
const NOTES = {
  provider_error: (reason) => `A provider failed (${reason.replaceAll("_", " ")}); the conversation goes on as far as it can.`,
  stall: () => "No sound arrives from the microphone.",
  reject: (reason) => `The server did not take that: ${reason.replaceAll("_", " ")}.`,
  defer: (reason) => `The server is busy: ${reason.replaceAll("_", " ")}.`,
};

/**
 * A turn's steps with their lengths in ms, without those that did not occur. The model's
 * and the voice's first results are the server's measurements, and come later than the rest.
 */
export function waterfall(turn) {
  const m = { ...turn.marks };
  const asked = m.final ?? m.opened;
  if (turn.waits.llm !== undefined) m.token = asked + turn.waits.llm;
  if (turn.waits.tts !== undefined && m.audio !== undefined) m.segment = m.audio - turn.waits.tts;
  const parts = [];
  let from = m.speechEnd;
  for (const [key, label, mark] of STEPS) {
    if (m[mark] === undefined) continue;
    const to = Math.max(from, Math.min(m[mark], m.heard ?? Infinity, m.audio === undefined || mark === "heard" ? Infinity : m.audio));
    parts.push({ key, label, at: from - m.speechEnd, ms: to - from });
    from = to;
  }
  return { parts, total: from - m.speechEnd, whole: m.heard !== undefined };
}
