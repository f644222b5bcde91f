// What waited: a strip for each edge at which something happened, and one for what pressure did to the session.
const waited = data.waits || { edges: [], marks: [] };
const eventful = waited.edges.filter(e => e.eventful);
const sessionMarks = waited.marks.filter(m => !m.edge_id || /^budget/.test(m.what));
for (const e of eventful) LANES.push({ id: 'edge ' + e.edge_id, h: 36, name: e.edge_id, edge: e });
if (sessionMarks.length) LANES.push({ id: 'pressure', h: 36, name: 'Pressure' });

const MARKS = {
  high: ['above its high mark', 'm-high'], low: ['down at its low mark', 'm-low'], drop: ['dropped', 'm-drop'], merge: ['merged', 'm-merge'],
  xoff: ['producer stops', 'm-flow'], xon: ['producer goes on', 'm-flow'], credit: ['credits', 'm-credit'], discontinuity: ['consumers reset', 'm-drop'],
  cut_off: ['cut off', 'm-drop'], shed: ['shed for load', 'm-drop'], degrade: ['degrade', 'm-drop'], fallback: ['fallback', 'm-drop'],
  budget_warning: ['budget warning', 'm-high'], budget_exhausted: ['budget exhausted', 'm-drop'], overload: ['overload', 'm-high'], refusal: ['not let in', 'm-drop'],
};
// The shapes differ as well as the colours: print has none.
function shape(parent, what, x, y) {
  const cls = MARKS[what] ? MARKS[what][1] : 'm-low';
  switch (cls) {
    case 'm-high': return el(parent, 'path', { class: cls, d: `M${x - 4} ${y + 3.5}L${x + 4} ${y + 3.5}L${x} ${y - 3.5}Z` });
    case 'm-low': return el(parent, 'path', { class: cls, d: `M${x - 4} ${y - 3.5}L${x + 4} ${y - 3.5}L${x} ${y + 3.5}Z` });
    case 'm-drop': return el(parent, 'path', { class: cls, d: `M${x - 3.5} ${y - 3.5}L${x + 3.5} ${y + 3.5}M${x - 3.5} ${y + 3.5}L${x + 3.5} ${y - 3.5}` });
    case 'm-merge': return el(parent, 'path', { class: cls, d: `M${x} ${y - 4}L${x + 4} ${y}L${x} ${y + 4}L${x - 4} ${y}Z` });
    case 'm-credit': return el(parent, 'circle', { class: cls, cx: x, cy: y, r: 1.8 });
    default: return el(parent, 'rect', { class: cls, x: x - 2, y: y - 4, width: 4, height: 8 });
  }
}
// When marks share a place the gravest is drawn.
const GRAVE = ['cut_off', 'refusal', 'drop', 'discontinuity', 'shed', 'fallback', 'degrade', 'budget_exhausted', 'overload', 'high', 'budget_warning', 'xoff', 'merge', 'xon', 'low', 'credit'];
function markGroups(box, list, reach) {
  const groups = [];
  for (const m of list) {
    if (!inView(box, m.at_ms, m.at_ms)) continue;
    const x = box.x(m.at_ms), last = groups[groups.length - 1];
    if (last && x - last.x < reach) last.all.push(m); else groups.push({ x, all: [m] });
  }
  for (const g of groups) g.worst = g.all.reduce((a, b) => GRAVE.indexOf(b.what) < GRAVE.indexOf(a.what) ? b : a);
  return groups;
}
function markRows(all) {
  const rows = all.slice(0, 10).map(m => [clock(m.at_ms, 1), m.text]);
  if (all.length > 10) rows.push(['and', all.length - 10 + ' more: zoom in']);
  return rows;
}

// The depth of an edge as steps: what lies there as an area, how long it has waited as a line; each up to its own peak.
function drawEdge(g, box, y, h, e) {
  const steps = e.steps || [], floor = y + h - 12, top = y + 3;
  const items = Math.max(...steps.map(s => s[1]), 1), ms = Math.max(...steps.map(s => s[2]), 1);
  let area = '', line = '', lastY = floor;
  // Of the steps that share a pixel the deepest is drawn.
  let px = -Infinity, most = 0, longest = 0, now = [0, 0];
  const flush = () => {
    if (px === -Infinity) return;
    const up = floor - most / items * (floor - top), wait = floor - longest / ms * (floor - top);
    area += (area ? '' : `M${f1(px)} ${floor}`) + `H${f1(px)}V${f1(up)}`;
    line += (line ? `H${f1(px)}V` : `M${f1(px)} `) + f1(wait);
    lastY = wait;
  };
  for (let i = 0; i < steps.length; i++) {
    const from = steps[i][0], to = i + 1 < steps.length ? steps[i + 1][0] : total;
    if (to < box.t0 || from > box.t1) continue;
    const x = Math.max(Math.floor(clampX(box, box.x(from))), px);
    if (x > px) {
      flush();
      if (px !== -Infinity && x > px + 1 && (now[0] < most || now[1] < longest)) { // a peak of one pixel, then as it stayed
        px++; most = now[0]; longest = now[1];
        flush();
      }
      px = x; most = 0; longest = 0;
    }
    most = Math.max(most, steps[i][1]);
    longest = Math.max(longest, steps[i][2]);
    now = [steps[i][1], steps[i][2]];
  }
  flush();
  if (area) {
    const end = f1(clampX(box, box.x(total)));
    if (now[0] < most || now[1] < longest) area += `H${f1(px + 1)}V${f1(floor - now[0] / items * (floor - top))}`;
    el(g, 'path', { class: 'depth', d: area + `H${end}V${floor}Z` });
    el(g, 'path', { class: 'depth-wait', d: line + (now[1] < longest ? `H${f1(px + 1)}V${f1(floor - now[1] / ms * (floor - top))}` : '') + `H${end}` });
  }
  el(g, 'line', { class: 'rule', x1: box.x0, x2: box.x1, y1: floor, y2: floor });
  const own = waited.marks.filter(m => m.edge_id === e.edge_id && !/^budget/.test(m.what));
  drawStops(g, box, own, e, floor);
  // One place to point at for the depth of each stretch.
  const c = el(g, 'rect', { class: 'hit', x: box.x0, width: box.x1 - box.x0, y, height: h });
  tipped(c, 'edge' + e.edge_id, e.edge_id, edgeRows(e), !box.print);
  for (const group of markGroups(box, own, 7)) {
    const m = el(g, 'g', {});
    shape(m, group.worst.what, f1(group.x), floor + 6);
    el(m, 'line', { class: 'm-stem ' + MARKS[group.worst.what][1], x1: f1(group.x), x2: f1(group.x), y1: top, y2: floor });
    el(m, 'rect', { class: 'hit', x: group.x - 5, width: 10, y, height: h });
    tipped(m, 'mark' + e.edge_id + group.all[0].at_ms + group.all[0].what, group.all.length > 1 ? group.all.length + ' things at ' + e.edge_id : e.edge_id + ': ' + MARKS[group.worst.what][0], markRows(group.all));
  }
}
// Between XOFF and XON the producer stands still; behind a cut-off nothing comes any more.
function drawStops(g, box, own, e, floor) {
  let from = null;
  const put = (a, b, cls) => {
    if (!inView(box, a, b)) return;
    const r = bar(box, a, b);
    el(g, 'rect', { class: cls, x: r.x, width: Math.max(r.w, 1.5), y: floor, height: 3 });
  };
  for (const m of own) {
    if (m.what === 'xoff' && from === null) from = m.at_ms;
    if (m.what === 'xon' && from !== null) { put(from, m.at_ms, 'stopped'); from = null; }
    if (m.what === 'cut_off') put(m.at_ms, total, 'cut');
  }
  if (from !== null) put(from, total, 'stopped');
}
function edgeRows(e) {
  const c = e.counts, by = Object.entries(c.dropped).map(([why, n]) => why + ' ' + n).join(', ');
  return [['from, to', e.from + ' to ' + e.to], ['delivered', sum(c.delivered) + ' of ' + sum(c.offered)], ['dropped', c.dropped_total ? c.dropped_total + ' (' + by + ')' : '0'], ['merged', c.merged || null],
    ['deepest', sum(c.highest_depth_items) + ' of ' + e.max_queue_items + ' items'], ['longest wait', span(c.longest_wait_ms) + ' of ' + span(e.max_queue_ms)],
    ['high, low', c.high_crossings ? c.high_crossings + ', ' + c.low_crossings : null], ['xoff, xon', c.flow_xoff ? c.flow_xoff + ', ' + c.flow_xon : null], ['credits', c.credits_granted || null], ['blocked', c.blocked || null]];
}
const sum = lanes => lanes.control + lanes.data + lanes.telemetry;

// What pressure did to the session, in words where there is room: the level of overload as a bar, the rest as marks.
function drawPressure(g, box, y, h) {
  const levels = sessionMarks.filter(m => m.what === 'overload');
  levels.forEach((m, i) => {
    const to = i + 1 < levels.length ? levels[i + 1].at_ms : total;
    if (m.name === 'none' || !inView(box, m.at_ms, to)) return;
    const b = bar(box, m.at_ms, to), c = el(g, 'g', {});
    el(c, 'rect', { class: 'overload', x: b.x, width: Math.max(b.w, 2), y: y + h - 8, height: 6 });
    tipped(c, 'load' + m.at_ms, 'Overload', [['from', clock(m.at_ms, 1)], ['to', clock(to, 1)], ['the host', m.text]]);
  });
  let end = -Infinity;
  const groups = markGroups(box, sessionMarks, 9);
  groups.forEach((group, i) => {
    const c = el(g, 'g', {}), x = f1(group.x), over = group.worst.what === 'overload' && group.worst.name === 'none';
    const what = over ? ['overload over'] : MARKS[group.worst.what], label = what[0] + (group.all.length > 1 ? ' +' + (group.all.length - 1) : '');
    const w = textWidth(label, 11), room = i + 1 < groups.length ? groups[i + 1].x : box.x1;
    shape(c, over ? 'low' : group.worst.what, x, y + 12);
    if (group.x > end && group.x + 8 + w < Math.min(room - 6, box.x1)) {
      el(c, 'text', { class: 'signal', x: group.x + 8, y: y + 16 }, label);
      end = group.x + 8 + w;
    }
    el(c, 'rect', { class: 'hit', x: group.x - 6, width: 12, y, height: h });
    tipped(c, 'pressure' + group.all[0].at_ms + group.all[0].what, group.all.length > 1 ? group.all.length + ' things' : what[0], markRows(group.all), !box.print);
  });
}
