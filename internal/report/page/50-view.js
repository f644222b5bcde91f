// One drawing of the lanes: the screen's, or a strip of the printed sheet.
function drawLanes(svg, opt) {
  svg.replaceChildren();
  const compact = opt.width < 560, gutter = compact ? 0 : 104;
  const box = { t0: opt.t0, t1: opt.t1, x0: gutter, x1: opt.width, compact, print: opt.print, taken: [], hatch: hatch(svg) };
  box.x = t => box.x0 + (t - box.t0) / (box.t1 - box.t0) * (box.x1 - box.x0);
  box.t = x => box.t0 + (x - box.x0) / (box.x1 - box.x0) * (box.t1 - box.t0);
  const caption = compact ? 15 : 0, lanes = {};
  let y = 0;
  for (const lane of LANES) {
    const head = compact && lane.name ? caption : 0;
    lanes[lane.id] = { y: y + head, h: lane.h, top: y };
    y += lane.h + head + (lane.name ? 6 : 2);
  }
  const height = y;
  svg.setAttribute('viewBox', `0 0 ${opt.width} ${height}`);
  if (!opt.print) svg.setAttribute('height', height);
  const clipId = 'clip' + patterns++;
  el(el(svg.querySelector('defs'), 'clipPath', { id: clipId }), 'rect', { x: gutter, y: 0, width: opt.width - gutter, height });
  const back = el(svg, 'g', {}), g = el(svg, 'g', { 'clip-path': `url(#${clipId})` });
  for (const lane of LANES) {
    const at = lanes[lane.id];
    if (!lane.name) continue;
    el(back, 'rect', { class: 'lane-bg', x: gutter, width: opt.width - gutter, y: at.y, height: at.h });
    el(back, 'text', { class: 'lane-name', x: 0, y: compact ? at.top + 12 : at.y + (lane.edge ? 14 : Math.min(at.h / 2, 20) + 4) }, compact ? lane.name : fit(lane.name, gutter - 8, 11.5));
    if (lane.edge) {
      const c = lane.edge.counts, note = 'deepest ' + sum(c.highest_depth_items) + '/' + lane.edge.max_queue_items;
      if (compact) el(back, 'text', { class: 'lane-note', x: opt.width, y: at.top + 12, 'text-anchor': 'end' }, note);
      else el(back, 'text', { class: 'lane-note', x: 0, y: at.y + 29 }, fit(note, gutter - 6, 10.5));
    }
    const voice = lane.id === 'caller' ? caller : lane.id === 'agent' ? agent : null;
    if (voice && voice.peak) {
      const db = (20 * Math.log10(voice.peak / 32768)).toFixed(1).replace('-', '−');
      const note = 'peak ' + db + ' dBFS';
      if (compact) el(back, 'text', { class: 'lane-note', x: opt.width, y: at.top + 12, 'text-anchor': 'end' }, note);
      else el(back, 'text', { class: 'lane-note', x: 0, y: at.y + 40 }, note);
    }
  }
  const L = id => [g, box, lanes[id].y, lanes[id].h];
  const offset = drawRuler(...L('ruler'), height);
  if (offset) el(back, 'text', { class: 'num soft', x: 0, y: compact ? 10 : lanes.ruler.h - 10 }, offset);
  drawCaller(...L('caller'));
  drawPartials(...L('partials'));
  drawFloor(...L('floor'));
  drawAgent(...L('agent'));
  drawWords(...L('words'));
  drawTurns(...L('turns'));
  const holds = el(g, 'g', {}), cancels = el(g, 'g', {});
  drawSignals(...L('signals'));
  for (const e of eventful) drawEdge(...L('edge ' + e.edge_id), e);
  if (sessionMarks.length) drawPressure(...L('pressure'));
  // A cancel's label comes before a hold's, its line above the hold's hatching.
  drawCancels(cancels, box, lanes.ruler.h, height, lanes);
  drawHolds(holds, box, lanes);
  return { box, height, top: lanes.ruler.h };
}

// The sheet is drawn once, whole, whatever the screen shows: strips of up to a minute, one below the other like staves.
function drawSheet() {
  const sheet = document.getElementById('sheet');
  const strips = Math.max(1, Math.ceil(total / 62000)), each = total / strips;
  for (let i = 0; i < strips; i++) {
    const svg = el(sheet, 'svg', { 'aria-hidden': 'true' });
    drawLanes(svg, { width: 1046, t0: i * each, t1: (i + 1) * each, print: true });
  }
}
