// SPDX-License-Identifier: Apache-2.0

/** The page: wires controls, client, sound and view. */

import { ParleyClient } from "./client/index.js";
import { Conversation } from "./conversation.js";
import { byId, el, tell } from "./dom.js";
import { keys } from "./keys.js";
import { Lists } from "./lists.js";
import { Server } from "./server.js";
import { Sound, chooses, devices } from "./sound.js";
import { ofConnecting, ofEnd, ofLoudspeaker, ofMicrophone, trouble } from "./trouble.js";
import { View } from "./view.js";

/** What follows the last word on its way through microphone and worklet, ms. */
const TAIL = 150;

/** How long the server may take to say that an utterance has ended, in ms. */
const HEARD = 4000;

const server = new Server();
const view = new View();
let conversation = new Conversation();
let client, sound;
let connecting; // AbortController
let countdown;
let pushed = false;

// ---- what is shown ----

function status(state, text) {
  byId("status").dataset.state = state;
  tell(byId("status-text"), text);
  clearInterval(countdown);
  tell(byId("countdown"), "");
}

function complain(what) {
  byId("trouble").hidden = what === undefined;
  byId("trouble").dataset.of = "";
  tell(byId("trouble-title"), what?.title ?? "");
  tell(byId("trouble-remedy"), what?.remedy ?? "");
}

const mode = () => document.querySelector("input[name=mode]:checked").value;
const connected = () => client?.agreed !== undefined;

/** Brings the controls in line with what can be done. */
function controls() {
  const on = client !== undefined;
  const button = byId("connect");
  button.classList.toggle("on", on || connecting !== undefined);
  tell(button, on ? "Hang up" : connecting ? "Cancel" : "Start talking");
  const hears = on && sound?.listening;
  byId("mute").disabled = !hears || mode() === "client";
  byId("mute").hidden = mode() === "client"; // there it is shut until it is pushed
  const muted = hears && sound.muted && mode() === "vad";
  byId("mute").setAttribute("aria-pressed", String(Boolean(muted)));
  byId("stop").disabled = !on;
  byId("send").disabled = !on;
  byId("push").hidden = mode() !== "client";
  byId("push").disabled = !hears;
  byId("push").classList.toggle("down", pushed);
  byId("listen").hidden = !on || hears;
}

function facts() {
  const s = server.status;
  const rows = [];
  if (client?.agreed) rows.push(["Session", client.session], ["Sound", `${client.agreed.audio.in} in, ${client.agreed.audio.out} out`]);
  if (sound) rows.push(["Way to the ear", `${Math.round(sound.latencyMs)} ms in this browser`]);
  if (s) rows.push(["Server", s.build || "unknown"], ["You may choose", s.grants?.join(", ").replaceAll("_", " ") || "nothing"]);
  byId("facts").replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

// ---- connecting ----

async function connect() {
  complain();
  const abort = (connecting = new AbortController());
  status("wait", "Connecting …");
  controls();
  let one, opened;
  const opening = Sound.open(byId("output").value); // at once: some browsers let sound begin on a gesture only
  opening.catch(() => {}); // it is looked at below
  let explain = ofConnecting;
  try {
    await server.ready((starting) => starting && status("wait", "The server is loading its engines …"), abort.signal);
    explain = ofLoudspeaker;
    opened = await opening;
    explain = ofConnecting;
    one = new ParleyClient({
      url: server.endpoint, token: () => server.tokenFor(one.session), metrics: true,
      formats: { in: [opened.format], out: [opened.format] }, wishes: { turn_end: mode() },
    });
    begin(one, opened);
    await one.connect();
    if (abort.signal.aborted) throw abort.signal.reason;
    [client, sound, connecting] = [one, opened, undefined];
    controls();
    await listen();
  } catch (error) {
    one?.close();
    opening.then((o) => o.close(), () => {});
    if (connecting === abort) {
      connecting = undefined;
      status("off", "Not connected");
      complain(explain(error));
    }
  }
  controls();
  facts();
}

/** Listens to a client before it connects: nothing that it says is missed. */
function begin(one, opened) {
  const now = () => performance.now();
  const talk = (conversation = new Conversation());
  view.clear();
  opened.attach(one);
  opened.onSound = (on, at, latest) => talk.sounds(on, on ? at + opened.latencyMs : at, opened.generation, latest);
  opened.onHeard = (heard) => talk.heard(heard);
  const listeners = {
    transcript: (m) => talk.transcript(m, now()),
    speech: (m) => talk.speech(m.began, now()),
    signal: (m) => talk.signal(m.signal, now()),
    metric: (m) => talk.metric(m.metric.payload ?? {}),
    audio_begin: (m) => talk.audioBegin(m, now()),
    fence: (m) => talk.fence(m, now()),
    error: (m) => m.code !== "unknown_field" && talk.note(`The server did not take something: ${m.message}`),
    connected: (welcome) => {
      talk.rate = Number(welcome.audio.out.split("/")[1]);
      status("on", `Connected, session ${welcome.session}`);
      if (welcome.resumed) talk.note("The connection is back.");
    },
    disconnected: ({ againMs }) => {
      talk.quiet();
      status("wait", "Connection lost. Trying again");
      const until = now() + againMs;
      const tick = () => tell(byId("countdown"), ` in ${Math.max(0, (until - now()) / 1000).toFixed(1)} s`);
      tick();
      countdown = setInterval(tick, 100);
    },
    ended: (end) => ended(one, end),
  };
  for (const [kind, listener] of Object.entries(listeners)) one.on(kind, listener);
}

/** Asks for the microphone; without one a user can type. */
async function listen() {
  const [one, opened] = [client, sound];
  try {
    await opened.listen(byId("input").value);
    opened.mute(mode() === "client");
    if (byId("trouble").dataset.of === "microphone") complain();
  } catch (error) {
    if (client !== one) return;
    opened.mute(true); // no sound is meant
    complain(ofMicrophone(error));
    byId("trouble").dataset.of = "microphone";
  }
  controls();
  await list();
}

function ended(one, end) {
  if (one !== client) return;
  const silent = sound;
  [client, sound, pushed] = [undefined, undefined, false];
  conversation.over();
  silent.detach();
  void silent.close();
  view.meters({ microphone: 0, agent: 0 });
  status("off", "Not connected");
  complain(ofEnd(end));
  controls();
  facts();
}

function hangUp() {
  if (connecting !== undefined) {
    const abort = connecting;
    connecting = undefined;
    abort.abort(new Error("cancelled"));
    status("off", "Not connected");
    return controls();
  }
  client?.close();
}

// ---- talking ----

/** Sends what has to arrive; a session that has just ended takes nothing, and says so itself. */
function say(f) {
  try {
    if (client !== undefined) f(client);
  } catch (error) {
    complain(trouble([`That was not sent: ${error.message.replace(/^parley: /, "")}.`, "Wait until the connection is back."]));
  }
}

function mute(on = !sound?.muted) {
  if (byId("mute").disabled) return;
  say(() => sound.mute(on));
  controls();
}

function stop() {
  if (!byId("stop").disabled) say((one) => one.stop({ reason: "user_cancel" }));
}

/** Takes the floor: the agent stops, the microphone opens. */
function push() {
  if (pushed || byId("push").disabled || byId("push").hidden) return;
  pushed = true;
  say((one) => {
    if (conversation.floor.agent) one.stop({ reason: "user_cancel" });
    sound.mute(false);
  });
  controls();
}

/** Gives it back, behind the last word. */
function release() {
  if (!pushed) return;
  pushed = false;
  const released = performance.now();
  conversation.released(released);
  const one = client;
  setTimeout(() => {
    if (pushed || one !== client) return;
    say((c) => {
      c.endOfUtterance();
      sound.mute(true);
    });
    setTimeout(() => one === client && conversation.waited(released), HEARD);
  }, TAIL);
  controls();
}

function chooseMode() {
  pushed = false;
  say((one) => {
    one.configure({ turn_end: mode() });
    sound.mute(mode() === "client" || !sound.listening);
  });
  controls();
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (text === "" || client === undefined) return;
  say((one) => {
    one.text(text);
    conversation.typed(text, performance.now());
    byId("text").value = "";
  });
});

// ---- devices ----

/** Lists the devices again, and keeps the choice where it is still there. */
async function list() {
  const { inputs, outputs } = await devices().catch(() => ({ inputs: [], outputs: [] }));
  for (const [id, found] of [["input", inputs], ["output", outputs]]) {
    const select = byId(id);
    const chosen = select.value;
    select.replaceChildren(el("option", { value: "" }, "As the system has it"),
      ...found.filter((d) => d.id !== "default").map((d) => el("option", { value: d.id }, d.name)));
    select.value = [...select.options].some((o) => o.value === chosen) ? chosen : "";
  }
  byId("output").disabled = !chooses();
  facts();
}

byId("input").addEventListener("change", () => void (sound && listen()));
byId("output").addEventListener("change", () => {
  sound?.chooseLoudspeaker(byId("output").value).catch((error) => complain(trouble([
    "That loudspeaker cannot be used.", `Choose another under Settings. The browser says: ${error.message}`])));
});
navigator.mediaDevices?.addEventListener?.("devicechange", () => void list());

// ---- controls ----

byId("connect").addEventListener("click", () => void (client || connecting ? hangUp() : connect()));
byId("mute").addEventListener("click", () => mute());
byId("stop").addEventListener("click", stop);
byId("listen").addEventListener("click", () => void listen());
byId("trouble-close").addEventListener("click", () => complain());
byId("token").addEventListener("input", (event) => (server.token = event.target.value.trim()));
for (const radio of document.querySelectorAll("input[name=mode]")) radio.addEventListener("change", chooseMode);
keys({ button: byId("push"), push, release, mute: () => mute(), stop, type: () => byId("text").focus() });
addEventListener("pagehide", () => client?.close());

const lists = new Lists(server, () => client?.session ?? "");

/** Meters are drawn so often, ms: oftener costs the processor more than the eye gains. */
const METERS = 60;
let metered = 0;

function frame(now) {
  view.draw(conversation);
  if (sound && now - metered >= METERS) {
    metered = now;
    view.meters(sound.levels);
  }
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);

server.look().then((s) => {
  tell(byId("notice"), s.notice ? `${s.notice[0].toUpperCase()}${s.notice.slice(1)}.` : "");
  byId("token-field").hidden = byId("token-hint").hidden = server.gives;
  if (!server.gives) document.querySelector(".settings details").open = true;
  facts();
}, (error) => complain(ofConnecting(error)));
controls();
void list();

// For whoever looks from the browser's console, and for the tests.
globalThis.parley = {
  get client() { return client; },
  get conversation() { return conversation; },
  get sound() { return sound; },
  get connected() { return connected(); },
  lists,
};
