// SPDX-License-Identifier: Apache-2.0

/** The server's own interface: what there is, tokens, sessions, recordings. */

import { TokenError } from "./trouble.js";

/** An address of the server's, also behind a proxy that puts it below a folder. */
const at = (path) => new URL(path.replace(/^\//, ""), document.baseURI);

export class Server {
  /** What GET /api/status says; undefined before the first answer. */
  status;
  /** The token that the user has put in; empty = none. */
  token = "";

  async look() {
    const answer = await fetch(at("api/status"), { cache: "no-store" });
    if (!answer.ok) throw new Error(`status: ${answer.status}`);
    return (this.status = await answer.json());
  }

  /** Whether the server gives this page its tokens. */
  get gives() {
    return this.status?.mode === "development";
  }

  /** Where parley.v1 is spoken. */
  get endpoint() {
    const path = this.status?.transports?.find((one) => one.transport_kind === "websocket")?.path ?? "/v1/ws";
    const url = at(path);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  }

  /** A token for a session that begins, or that is come back to. */
  async tokenFor(session) {
    if (this.status === undefined) await this.look();
    if (this.status.state === "draining") throw new TokenError("The server is about to end and takes no new sessions.", "Wait until it is back, or connect to another one.");
    if (!this.gives || this.token !== "") {
      if (this.token !== "") return this.token;
      throw new TokenError("There is no token.", "This server does not give out tokens: put one in under Settings, then connect again.");
    }
    const body = { transport_kind: "websocket", ...(session ? { session_id: session } : {}) };
    const answer = await fetch(at("api/token"), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (answer.ok) return (await answer.json()).token;
    const fault = await answer.json().catch(() => ({}));
    throw new TokenError(`The server gives no token: ${fault.reason ?? answer.status}`, "Reload the page; the server may have been started anew in another mode.");
  }

  /** Waits until the engines are warm; told(true) while it does. */
  async ready(told, signal) {
    for (;;) {
      const { state } = await this.look();
      told(state === "starting");
      if (state !== "starting") return;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (signal.aborted) throw signal.reason;
    }
  }

  async #list(path, name) {
    const headers = this.token === "" ? {} : { Authorization: `Bearer ${this.token}` };
    const answer = await fetch(at(path), { headers, cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) return body[name] ?? [];
    throw new Error(answer.status === 401 ? "A token is needed: put one in under Settings." : (body.reason ?? `the server answers ${answer.status}`));
  }

  sessions() {
    return this.#list("api/sessions", "sessions");
  }

  recordings() {
    return this.#list("api/recordings", "recordings");
  }

  async end(session) {
    const headers = this.token === "" ? {} : { Authorization: `Bearer ${this.token}` };
    await fetch(at(`api/sessions/${encodeURIComponent(session)}/close`), { method: "POST", headers });
  }

  /** Opens a recording's timeline in a tab of its own. A token goes in the body: addresses are kept in histories. */
  open(recording) {
    const action = at(`api/recordings/${encodeURIComponent(recording)}/timeline.html`);
    const form = document.createElement("form");
    Object.assign(form, { method: this.token === "" ? "get" : "post", action: action.href, target: "_blank", hidden: true });
    if (this.token !== "") {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "token", value: this.token });
      form.append(field);
    }
    document.body.append(form);
    form.submit();
    form.remove();
  }
}
