// Small helpers over SVG. Text enters only through textContent.
const ns = document.getElementById('lanes').namespaceURI;
const pen = document.createElement('canvas').getContext('2d');
const fontFamily = getComputedStyle(document.body).fontFamily;

function el(parent, name, attrs, text) {
  const node = document.createElementNS(ns, name);
  for (const key in attrs) node.setAttribute(key, attrs[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}
const f1 = n => Math.round(n * 10) / 10;

function textWidth(text, px, bold) {
  pen.font = (bold ? '600 ' : '') + px + 'px ' + fontFamily;
  return pen.measureText(text).width;
}
// The longest beginning of text that fits, with an ellipsis; nothing when not even two characters do.
function fit(text, width, px, bold) {
  if (textWidth(text, px, bold) <= width) return text;
  const chars = Array.from(text);
  let low = 0, high = chars.length;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (textWidth(chars.slice(0, mid).join('').trimEnd() + '…', px, bold) <= width) low = mid; else high = mid - 1;
  }
  return low < 2 ? '' : chars.slice(0, low).join('').trimEnd() + '…';
}

// Text broken into at most lines lines; the last one ends with an ellipsis when there is more.
function wrap(text, width, px, lines) {
  const words = text.split(/\s+/), out = [];
  while (words.length && out.length < lines - 1) {
    let line = words.shift();
    while (words.length && textWidth(line + ' ' + words[0], px) <= width) line += ' ' + words.shift();
    out.push(line);
  }
  const last = fit(words.join(' '), width, px);
  if (last) out.push(last);
  return out;
}

// What the pointer or the keyboard is on: key -> rows of [label, value], the first a heading.
const tips = new Map();
function tipped(node, key, heading, rows, focusable) {
  node.setAttribute('data-k', key);
  tips.set(key, { heading, rows: rows.filter(r => has(r[1]) && r[1] !== '') });
  if (focusable) {
    node.setAttribute('tabindex', '0');
    node.setAttribute('role', 'img');
    node.setAttribute('aria-label', heading + '. ' + tips.get(key).rows.map(r => r[0] + ' ' + r[1]).join(', '));
  }
  return node;
}

// A voice in the window of box: for every pixel the lowest and the highest sample of the buckets under it.
function wave(parent, voice, box, y, h, cls) {
  const mid = y + h / 2;
  el(parent, 'line', { class: 'mid', x1: box.x0, x2: box.x1, y1: mid, y2: mid });
  const perPx = (box.t1 - box.t0) / (box.x1 - box.x0), count = voice.low.length;
  const stride = box.print ? 0.5 : 1;
  const scale = voice.gain / 32768 * (h / 2 - 2);
  let top = '', bottom = [], open = false, path = '';
  const close = () => {
    if (open) path += top + bottom.reverse().join('') + 'Z';
    top = ''; bottom = []; open = false;
  };
  for (let x = box.x0; x < box.x1; x += stride) {
    const a = Math.floor((box.t0 + (x - box.x0) * perPx) / voice.bucket);
    const b = Math.max(a + 1, Math.ceil((box.t0 + (x + stride - box.x0) * perPx) / voice.bucket));
    if (a < 0 || a >= count) { close(); continue; }
    let low = 32767, high = -32768;
    for (let i = a; i < b && i < count; i++) {
      if (voice.low[i] < low) low = voice.low[i];
      if (voice.high[i] > high) high = voice.high[i];
    }
    const up = f1(mid - Math.max(high * scale, 0.35)), down = f1(mid - Math.min(low * scale, -0.35));
    top += (open ? 'L' : 'M') + f1(x) + ' ' + up;
    bottom.push('L' + f1(x) + ' ' + down);
    open = true;
  }
  close();
  if (path) el(parent, 'path', { class: 'wave ' + cls, d: path });
}

let patterns = 0;
// Hatching, its own per drawing so that a drawing can be hidden without taking it away from another.
function hatch(svg) {
  const id = 'hatch' + patterns++;
  const defs = el(svg, 'defs', {});
  const p = el(defs, 'pattern', { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
  el(p, 'rect', { width: 6, height: 6, class: 'hatch-back' });
  el(p, 'line', { x1: 1, x2: 1, y1: 0, y2: 6, class: 'hatch-line' });
  return 'url(#' + id + ')';
}
