// SPDX-License-Identifier: Apache-2.0

/** Lists sessions and recordings while somebody looks. */

import { byId, el, tell } from "./dom.js";

const EVERY = 3000;

const clock = (text) => new Date(text).toLocaleString([], { dateStyle: "short", timeStyle: "medium" });

export class Lists {
  #server;
  #own;
  #drawn = {};

  /** own gives the id of this page's session. */
  constructor(server, own) {
    this.#server = server;
    this.#own = own;
    for (const [name, draw] of [["sessions", (list) => this.#sessions(list)], ["recordings", (list) => this.#recordings(list)]]) {
      const details = byId(name);
      const look = async () => {
        if (!details.open || document.hidden) return;
        try {
          const list = await server[name]();
          const text = JSON.stringify(list) + this.#own();
          if (text !== this.#drawn[name]) draw(list); // or what has the focus would go under it
          this.#drawn[name] = text;
        } catch (error) {
          this.#drawn[name] = undefined;
          tell(byId(`${name}-hint`), `It cannot be shown: ${error.message}`);
        }
      };
      details.addEventListener("toggle", look);
      setInterval(look, EVERY);
    }
  }

  #sessions(list) {
    const shown = list.slice(0, 50);
    byId("sessions-rows").replaceChildren(...shown.map((one) => {
      const open = one.state !== "ended";
      return el("tr", {},
        el("td", {}, el("code", {}, one.session_id), one.session_id === this.#own() ? " (this page)" : ""),
        el("td", {}, open ? one.state : `ended: ${(one.reason ?? "").replaceAll("_", " ")}`),
        el("td", {}, one.transport_kind), el("td", {}, clock(one.since)), el("td", { class: "n" }, String(one.turns)),
        el("td", {}, open ? el("button", {
          type: "button", class: "small", "aria-label": `End session ${one.session_id}`, on: { click: () => void this.#server.end(one.session_id).catch(() => {}) },
        }, "End") : ""));
    }));
    tell(byId("sessions-hint"), list.length === 0 ? "There has been no session." : list.length > shown.length ? `${list.length - shown.length} more are not shown.` : "");
  }

  #recordings(list) {
    const shown = list.slice(0, 50);
    byId("recordings-rows").replaceChildren(...shown.map((one) => el("li", {},
      one.open ? el("span", {}, `${one.session_id}, which is running`)
        : el("button", { type: "button", class: "link", on: { click: () => this.#server.open(one.name) } }, one.session_id || one.name),
      el("span", {}, `${clock(one.began)}, ${Math.max(1, Math.round(one.bytes / 1000))} kB`))));
    tell(byId("recordings-hint"), list.length === 0
      ? "There is none. parley serve --record FOLDER keeps one of each session."
      : "A recording holds every decision and no words or sound. It opens as a timeline, in a new tab.");
  }
}
