// SPDX-License-Identifier: Apache-2.0

/**
 * Keys: space holds the floor in push-to-talk mode, M mutes, Escape stops the agent, T goes
 * to the text. Where a key has a meaning of its own (a field, a button, a list), it keeps it;
 * Escape counts everywhere.
 */
export function keys({ button, push, release, mute, stop, type }) {
  const own = (target) => target instanceof Element && target.closest("input, select, textarea, button, summary, a, [contenteditable]") !== null;

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") return stop();
    if (event.key === " " && (event.target === button || !own(event.target)) && !button.hidden) {
      event.preventDefault(); // or the page scrolls
      if (!event.repeat) push();
      return;
    }
    if (own(event.target) || event.repeat) return;
    const act = { m: mute, t: type }[event.key.toLowerCase()];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
  addEventListener("keyup", (event) => {
    if (event.key === " ") {
      if (event.target === button) event.preventDefault();
      release();
    }
  });
  // A finger or a mouse, until it lets go, wherever that is.
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture?.(event.pointerId);
    push();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(kind, release);
  addEventListener("blur", release);
  document.addEventListener("visibilitychange", () => document.hidden && release());
}
