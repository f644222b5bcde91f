// SPDX-License-Identifier: Apache-2.0

/** Draws the conversation: what was said, who has the floor, the turns. */

import { Conversation, describe, waterfall } from "./conversation.js";
import { byId, duration, el, tell } from "./dom.js";

const FLOOR = {
  nobody: "Nobody is speaking", caller: "You have the floor", agent: "The agent has the floor", both: "You are interrupting",
};

export class View {
  #items = new Map(); // by key
  #turns = new Map(); // by key
  #drawn = -1;
  #widest = 1000;

  /** Brings the page up to date with the conversation. */
  draw(conversation) {
    if (conversation.version === this.#drawn) return;
    this.#drawn = conversation.version;
    this.#floor(conversation.floor);
    this.#said(conversation.items);
    this.#list(conversation.turns);
  }

  /** Begins anew. */
  clear() {
    for (const { node } of [...this.#items.values(), ...this.#turns.values()]) node.remove();
    this.#items.clear();
    this.#turns.clear();
    this.#drawn = -1;
    this.#widest = 1000;
  }

  #floor({ caller, agent }) {
    const who = caller && agent ? "both" : caller ? "caller" : agent ? "agent" : "nobody";
    const node = byId("floor");
    node.dataset.who = who;
    tell(node, FLOOR[who]);
  }

  #said(items) {
    const log = byId("log");
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    const partial = items.findLast((item) => item.kind === "caller" && !item.final);
    byId("partial").hidden = partial === undefined;
    if (partial !== undefined) tell(byId("partial").querySelector(".text"), partial.text);
    const shown = items.filter((item) => item.kind !== "caller" || item.final);
    byId("empty").hidden = shown.length > 0 || partial !== undefined;
    let moved = prune(this.#items, shown);
    for (const item of shown) {
      let one = this.#items.get(item.key);
      if (one === undefined) {
        one = { node: this.#line(item), version: -1 };
        this.#items.set(item.key, one);
        this.#place(log, one.node, item, shown);
        moved = true;
      }
      if (one.version === item.version) continue;
      one.version = item.version;
      if (item.kind === "agent") moved = this.#words(one.node, item) || moved;
    }
    if (moved && below) log.scrollTop = log.scrollHeight;
  }

  /** Lines stand in the order of what was said first, also when a final text comes late. */
  #place(log, node, item, shown) {
    const next = shown.slice(shown.indexOf(item) + 1).map((later) => this.#items.get(later.key)?.node).find(Boolean);
    log.insertBefore(node, next ?? null);
  }

  #line(item) {
    if (item.kind === "note") return el("p", { class: "line note" }, item.text);
    if (item.kind === "caller") return el("p", { class: "line caller" }, el("span", { class: "from" }, item.typed ? "You, in writing" : "You"), item.text);
    return el("p", { class: "line agent", "data-turn": item.turn }, el("span", { class: "from" }, "Agent"), el("span", { class: "text" }));
  }

  /** Words of the agent, those that were heard apart from those that were not. */
  #words(node, item) {
    const text = node.querySelector(".text");
    const grown = item.words.length > text.childElementCount;
    for (const word of item.words.slice(text.childElementCount)) text.append(el("span", { class: "word" }, word.text));
    item.words.forEach((word, i) => {
      text.children[i].classList.toggle("heard", item.state === "heard" || word.from < item.heard);
    });
    const cut = item.state === "cut" && item.heard < item.letters;
    node.classList.toggle("cut", cut);
    if (cut && node.querySelector(".verdict") === null) {
      node.append(el("span", { class: "verdict" }, item.heard === 0 ? "Cut before a word was heard" : "Cut here: you did not hear the rest"));
      return true;
    }
    return grown;
  }

  #list(turns) {
    byId("noturns").hidden = turns.length > 0;
    const list = byId("turns");
    prune(this.#turns, turns.map((turn) => ({ key: turn.index })));
    const widest = Math.max(1000, ...turns.map((turn) => waterfall(turn).total));
    const wider = widest !== this.#widest;
    this.#widest = widest;
    for (const turn of turns) {
      let one = this.#turns.get(turn.index);
      if (one === undefined) {
        one = { node: el("li", { class: "turn" }), version: -1 };
        this.#turns.set(turn.index, one);
        list.prepend(one.node);
      }
      if (one.version === turn.version && !wider) continue;
      one.version = turn.version;
      this.#turn(one.node, turn);
    }
  }

  #turn(node, turn) {
    const { parts, total, whole } = waterfall(turn);
    node.dataset.state = turn.state;
    node.dataset.turn = turn.id;
    const children = [el("div", { class: "head" },
      el("span", {}, `Turn ${turn.number} `, el("span", { class: "state" }, describe(turn))),
      el("span", { class: "total" }, parts.length === 0 ? "" : `${duration(total)}${whole ? "" : " so far"}`))];
    if (turn.interrupted) {
      const ms = Conversation.stopTime(turn);
      children.push(el("p", { class: "bargein" }, ms === undefined ? "You interrupted" : ms < 1 ? "You interrupted a pause" : `You interrupted: silent ${duration(ms)} after ${turn.noticedBy === "text" ? "you sent it" : "your voice was noticed"}`));
    }
    const bars = parts.map((part) => {
      const bar = el("i", { class: part.key });
      bar.style.left = `${(100 * part.at) / this.#widest}%`;
      bar.style.width = `${(100 * part.ms) / this.#widest}%`;
      return el("li", {}, el("span", {}, part.label), el("span", { class: "track", "aria-hidden": "true" }, bar), el("span", { class: "ms" }, duration(part.ms)));
    });
    if (bars.length > 0) children.push(el("ol", { class: "fall", "aria-label": `Where the time of turn ${turn.number} went` }, ...bars));
    node.replaceChildren(...children);
  }

  /** Levels of 0 to 1, as meters show them: in decibels from -60. */
  meters({ microphone, agent }) {
    for (const [id, level] of [["meter-you", microphone], ["meter-agent", agent]]) {
      const node = byId(id);
      const part = level <= 0.001 ? 0 : Math.min(1, 1 + Math.log10(level) / 3);
      node.firstElementChild.style.transform = `scaleX(${part.toFixed(3)})`;
      node.setAttribute("aria-valuenow", Math.round(100 * part));
    }
  }
}

/** Takes away what is kept no more; true when there was some. */
function prune(map, kept) {
  const keys = new Set(kept.map(({ key }) => key));
  let gone = false;
  for (const [key, { node }] of map) {
    if (keys.has(key)) continue;
    node.remove();
    map.delete(key);
    gone = true;
  }
  return gone;
}

