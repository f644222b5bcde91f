// SPDX-License-Identifier: Apache-2.0

/** Makes elements: el("p", { class: "x" }, "text", child). What is said is text and never markup. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [kind, f] of Object.entries(value)) node.addEventListener(kind, f);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== ""));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Sets a text where it differs: what is announced is announced once. */
export function tell(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A stretch of time as people read it. */
export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
