// The lanes. Each draws what lies between box.t0 and box.t1 into its strip from y to y + h.
const LANES = [
  { id: 'ruler', h: 28, name: '' },
  { id: 'marks', h: 20, name: '' },
  { id: 'caller', h: 78, name: 'Caller' },
  { id: 'partials', h: 26, name: 'Transcript' },
  { id: 'floor', h: 20, name: 'Floor' },
  { id: 'agent', h: 78, name: 'Agent' },
  { id: 'words', h: 54, name: 'Agent’s words' },
  { id: 'turns', h: 46, name: 'Turns' },
  { id: 'signals', h: 62, name: 'Signals' },
];
const inView = (box, from, to) => to >= box.t0 && from <= box.t1;
// Far outside the window a coordinate only costs precision.
const clampX = (box, x) => Math.min(Math.max(x, box.x0 - 40), box.x1 + 40);
const bar = (box, from, to) => {
  const a = clampX(box, box.x(from)), b = clampX(box, box.x(to));
  return { x: a, w: Math.max(b - a, 0) };
};

function drawRuler(g, box, y, h, full) {
  const perPx = (box.t1 - box.t0) / (box.x1 - box.x0);
  const step = tickStep(perPx, box.compact ? 62 : 84);
  const fine = step < 1;
  const anchor = Math.floor(box.t0 + 1e-9);
  const first = Math.ceil((fine ? box.t0 - anchor : box.t0) / step - 1e-9);
  const last = Math.floor((fine ? box.t1 - anchor : box.t1) / step + 1e-9);
  for (let i = first; i <= last; i++) {
    const t = (fine ? anchor : 0) + i * step, x = f1(box.x(t));
    el(g, 'line', { class: 'grid', x1: x, x2: x, y1: y + h, y2: full });
    el(g, 'line', { class: 'rule', x1: x, x2: x, y1: y + h - 5, y2: y + h });
    const label = fine ? '+' + Math.round(i * step * 1000) + ' µs' : clock(t, step);
    const w = textWidth(label, 11.5) / 2;
    if (x + w > box.x1) continue;
    el(g, 'text', { class: 'num soft', x: Math.max(x, box.x0 + w), y: y + h - 10, 'text-anchor': 'middle' }, label);
  }
  el(g, 'line', { class: 'rule', x1: box.x0, x2: box.x1, y1: y + h, y2: y + h });
  return fine ? 'from ' + clock(anchor, 1) : '';
}

function drawCaller(g, box, y, h) {
  for (const v of voiced) {
    if (!inView(box, v.from, v.to)) continue;
    const b = bar(box, v.from, v.to);
    const r = el(g, 'rect', { class: 'voice', x: b.x, width: Math.max(b.w, 1), y, height: h });
    tipped(r, 'voice' + v.from, 'Caller’s voice', [['from', clock(v.from, 1)], ['to', clock(v.to, 1)], ['for', span(v.to - v.from)]]);
  }
  wave(g, caller, box, y, h, 'caller');
  for (const mark of data.speech) {
    if (mark.kind !== 'end_of_utterance' || !inView(box, mark.at_ms, mark.at_ms)) continue;
    const x = box.x(mark.at_ms), m = el(g, 'g', {});
    el(m, 'line', { class: 'eou-line', x1: x, x2: x, y1: y + 4, y2: y + h });
    el(m, 'path', { class: 'eou', d: `M${x - 5} ${y + h}L${x + 5} ${y + h}L${x} ${y + h - 8}Z` });
    el(m, 'rect', { class: 'hit', x: x - 8, width: 16, y, height: h });
    tipped(m, 'eou' + mark.at_ms, 'End of utterance', [['at', clockFine(mark.at_ms)]]);
  }
}

// A partial shows what it added; the full text is in its details. The final shows everything.
function added(before, text) {
  const a = before.split(/\s+/), b = text.split(/\s+/);
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return same > 0 && same < b.length ? '…' + b.slice(same).join(' ') : text;
}

function drawPartials(g, box, y, h) {
  const all = data.partials;
  all.forEach((p, i) => {
    const next = all[i + 1];
    let end = next ? next.at_ms : total;
    if (!p.final && next && next.utterance !== p.utterance) end = Math.min(end, p.at_ms + 1000);
    if (!inView(box, p.at_ms, end)) return;
    const prev = all[i - 1], before = prev && prev.utterance === p.utterance ? prev.text : '';
    const x = box.x(p.at_ms), room = box.x(end) - x - 1;
    const label = p.final ? p.text : added(before, p.text);
    // The text of a chip that began before the window starts at the window's edge.
    const left = Math.max(x, box.x0), space = Math.min(room - (left - x), box.x1 - left) - 10;
    let shown = fit(label, space, 11.5, p.final);
    if (shown !== label && label[0] === '…') shown = fit(label.slice(1), space, 11.5);
    const w = p.final ? Math.min(room, left - x + (shown ? textWidth(shown, 11.5, true) : 0) + 10) : room;
    const c = el(g, 'g', {}), b = bar(box, p.at_ms, p.at_ms + w * (box.t1 - box.t0) / (box.x1 - box.x0));
    // A final that no turn took up was a sound or a word that did not interrupt.
    const kind = p.final ? (p.turn_id ? ' final' : ' loose') : '';
    el(c, 'rect', { class: 'chip' + kind, x: f1(b.x) + 0.5, y: y + 3.5, width: Math.max(f1(b.w), 2), height: h - 7, rx: 2 });
    if (shown) el(c, 'text', { class: 'chip-text' + kind, x: left + 5, y: y + h / 2 + 4 }, shown);
    tipped(c, 'partial' + i, p.final ? 'Final transcript' : 'Partial transcript', [['text', p.text], ['at', clock(p.at_ms, 1)], ['turn', p.turn_id || (p.final ? 'none took it up' : null)], ['utterance', p.utterance]]);
  });
}

const HOLDERS = { caller: 'the caller', agent: 'the agent', both: 'both speak', held: 'held' };
function drawFloor(g, box, y, h) {
  data.floor.forEach((f, i) => {
    if (!inView(box, f.from_ms, f.to_ms)) return;
    const b = bar(box, f.from_ms, f.to_ms), c = el(g, 'g', {});
    el(c, 'rect', f.who === 'held' ? { fill: box.hatch, class: 'hold-edge', x: b.x, width: Math.max(b.w, 1.5), y: y + 3.5, height: h - 7 }
      : { class: 'floor-' + f.who, x: b.x, width: Math.max(b.w, 1.5), y: y + 3, height: h - 6 });
    const left = Math.max(b.x, box.x0), room = Math.min(b.x + b.w, box.x1) - left - 10;
    const label = f.who === 'held' ? '' : f.who;
    if (label && textWidth(label, 11) <= room) el(c, 'text', { class: 'on-fill', x: left + 5, y: y + h / 2 + 4 }, label);
    tipped(c, 'floor' + i, 'The floor: ' + HOLDERS[f.who], [['from', clock(f.from_ms, 1)], ['to', clock(f.to_ms, 1)], ['for', span(f.to_ms - f.from_ms)]]);
  });
}

function drawAgent(g, box, y, h) {
  for (const t of turns) {
    if (!has(t.playback_started_ms)) continue;
    const end = has(t.playback_end_ms) ? t.playback_end_ms : total;
    if (!inView(box, t.playback_started_ms, end)) continue;
    const b = bar(box, t.playback_started_ms, end);
    const r = el(g, 'rect', { class: 'playing', x: b.x, width: Math.max(b.w, 1), y, height: h });
    tipped(r, 'play' + t.turn_id, 'Turn ' + t.index + ' is played', [['from', clock(t.playback_started_ms, 1)], ['to', clock(end, 1)], ['for', span(end - t.playback_started_ms)], ['heard', t.heard]]);
  }
  wave(g, agent, box, y, h, 'agent');
}

function drawWords(g, box, y, h) {
  const spoken = turns.filter(t => has(t.playback_started_ms) && t.reply);
  spoken.forEach((t, i) => {
    const from = t.playback_started_ms, end = has(t.playback_end_ms) ? t.playback_end_ms : total;
    const limit = spoken[i + 1] ? spoken[i + 1].playback_started_ms : total;
    if (!inView(box, from, limit)) return;
    const c = el(g, 'g', {}), strip = bar(box, from, limit);
    const left = a => Math.max(box.x(a), box.x0) + 3, room = (a, b) => Math.min(box.x(b), box.x1) - left(a) - 4;
    const fits = (text, width) => text.split(/\s+/).every(word => textWidth(word, 11.5) < width);
    const put = (text, cls, a, b, row, rows) => {
      const width = room(a, b);
      if (!text || width < 24 || b < box.t0) return;
      const lines = fits(text, width) ? wrap(text, width, 11.5, rows) : [fit(text, width, 11.5)];
      lines.forEach((line, n) => el(c, 'text', { class: cls, x: f1(left(a)), y: y + 15 + (row + n) * 15.5 }, line));
    };
    el(c, 'rect', { class: 'hit', x: strip.x, width: strip.w, y, height: h });
    // What was not heard stands where it would have been heard, or below what was when there is no room for it.
    const beside = !t.unheard || !t.heard || end < box.t0 || fits(t.unheard, room(end, limit));
    put(t.heard, 'heard', from, t.unheard || end < box.t0 ? end : limit, 0, beside ? 3 : 2);
    put(t.unheard, 'unheard', t.heard && beside ? end : from, limit, beside ? 0 : 2, beside ? 3 : 1);
    tipped(c, 'words' + t.turn_id, 'What the agent said in turn ' + t.index, [['heard', t.heard || 'nothing'], ['not heard', t.unheard]]);
  });
}
