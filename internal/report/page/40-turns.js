// Turn bars, holds, cancels and the signals' track.
const CHAIN = [['stt', 'eou_to_stt_final_ms', 'end of utterance to final transcript'], ['ttft', 'stt_final_to_first_token_ms', 'final transcript to first token (TTFT)'],
  ['segment', 'first_token_to_first_segment_ms', 'first token to first segment'], ['ttfb', 'first_segment_to_first_audio_ms', 'first segment to first audio (TTFB)'], ['egress', 'first_audio_to_sink_ms', 'first audio to the sink']];

function turnRows(t) {
  const l = t.latencies, at = v => has(v) ? clock(v, 1) : null;
  const rows = [['caller', t.transcript], ['heard', t.heard], ['not heard', t.unheard], ['proposed', at(t.proposed_ms)], ['opened', at(t.opened_ms)], [t.terminal || 'terminal', at(t.terminal_ms)], ['reason', t.reason],
    ['closed', at(t.closed_ms)], ['played', has(t.playback_started_ms) ? at(t.playback_started_ms) + ' to ' + (at(t.playback_end_ms) || 'the end') : 'nothing']];
  if (has(l.eou_to_first_audio_ms)) rows.push(['wait for audio', span(l.eou_to_first_audio_ms)]);
  return rows;
}

function drawTurns(g, box, y, h) {
  turns.forEach((t, i) => {
    const from = turnFrom(t), to = turnTo(t);
    const limit = turns[i + 1] ? turnFrom(turns[i + 1]) : total;
    if (!inView(box, Math.min(from, firstOf(t.eou_ms, from)), Math.max(to, limit))) return;
    const c = el(g, 'g', {}), top = y + 5, bh = 14;
    drawWait(c, t, box, top, bh);
    const part = (a, b, attrs, min) => {
      if (!has(a) || !has(b)) return;
      const r = bar(box, a, b);
      el(c, 'rect', Object.assign({ x: f1(r.x), width: Math.max(f1(r.w), min || 1) }, attrs));
    };
    part(t.proposed_ms, t.opened_ms, { class: 'opening', y: top + 0.5, height: bh - 1 });
    const ended = firstOf(t.terminal_ms, has(t.playback_started_ms) ? t.playback_end_ms : null, total);
    part(t.opened_ms, ended, { class: 'active', y: top + 0.5, height: bh - 1 }, 2);
    if (has(t.playback_end_ms) && t.playback_end_ms > ended) part(ended, t.playback_end_ms, { class: 'tail', y: top + bh / 2 - 1.5, height: 3 });
    for (const s of t.segments) if (inView(box, s.at_ms, s.at_ms)) el(c, 'line', { class: 'segment-tick', x1: box.x(s.at_ms), x2: box.x(s.at_ms), y1: top + 4, y2: top + bh });
    if (has(t.terminal_ms)) {
      const x = clampX(box, box.x(t.terminal_ms)), m = top + bh / 2;
      if (t.terminal === 'abort') el(c, 'path', { class: 'abort', d: `M${x - 4} ${m - 4}L${x + 4} ${m + 4}M${x - 4} ${m + 4}L${x + 4} ${m - 4}` });
      else el(c, 'path', { class: 'commit', d: `M${x} ${m - 5}L${x + 5} ${m}L${x} ${m + 5}L${x - 5} ${m}Z` });
    }
    const left = Math.max(box.x(from), box.x0), room = Math.min(box.x(limit), box.x1) - left - 6;
    if (room > 0 && to >= box.t0) {
      const full = 'Turn ' + t.index, name = textWidth(full, 11.5, true) <= room ? full : room > 8 ? String(t.index) : '';
      const label = el(c, 'text', { x: f1(left + 1), y: y + h - 9 });
      el(label, 'tspan', { 'font-weight': 600 }, name);
      const outcome = t.terminal ? t.terminal + (t.reason && t.terminal === 'abort' ? ' (' + t.reason + ')' : '') : 'no terminal';
      const rest = fit(outcome, room - textWidth(name, 11.5, true) - 8, 11.5, true);
      if (rest) el(label, 'tspan', { dx: 6, class: t.terminal === 'abort' ? 'abort-text' : t.terminal ? 'commit-text' : 'soft' }, rest);
    }
    const all = bar(box, from, Math.max(to, from));
    el(c, 'rect', { class: 'hit', x: all.x, width: Math.max(all.w, 8), y, height: h });
    const fx = Math.max(all.x, box.x0 + 1);
    el(c, 'rect', { class: 'focus-box', x: fx, width: Math.max(Math.min(all.x + all.w, box.x1 - 1) - fx, 6), y: y + 1, height: h - 2, rx: 2 });
    tipped(c, 'turn' + t.turn_id, 'Turn ' + t.index + ' · ' + t.turn_id, turnRows(t), !box.print);
  });
}

// The wait from the end of the utterance to the first audio, in the colours of the waterfall, above the turn's bar.
function drawWait(c, t, box, top) {
  if (!has(t.eou_ms) || !has(t.latencies.eou_to_first_audio_ms)) return;
  let at = t.eou_ms;
  for (const [key, field, label] of CHAIN) {
    const ms = t.latencies[field];
    if (!has(ms)) continue;
    const b = bar(box, at, at + ms);
    if (b.w > 0.2) el(c, 'rect', { class: 'l-' + key, x: b.x, width: b.w, y: top - 4, height: 4 });
    const left = Math.max(b.x, box.x0), text = label + ' ' + span(ms);
    if (textWidth(text, 11.5) + 8 < Math.min(b.x + b.w, box.x1) - left) el(c, 'text', { class: 'soft', x: left + 4, y: top + 11.5 }, text);
    at += ms;
  }
}

function drawHolds(g, box, lanes) {
  for (const t of turns) t.hold.forEach((hold, i) => {
    if (!inView(box, hold.from_ms, hold.to_ms)) return;
    const b = bar(box, hold.from_ms, hold.to_ms), c = el(g, 'g', {});
    for (const id of ['agent', 'turns']) {
      const lane = lanes[id], inset = id === 'turns' ? 5 : 0;
      el(c, 'rect', { fill: box.hatch, class: 'hold-edge', x: b.x, width: Math.max(b.w, 1.5), y: lane.y + inset, height: id === 'turns' ? 14 : lane.h });
    }
    if (hold.verdict === 'resumed') {
      const label = 'held ' + span(hold.to_ms - hold.from_ms) + ', resumed', x = Math.max(b.x, box.x0 + 2);
      const w = textWidth(label, 11.5, true);
      if (x + w < box.x1 && !box.taken.some(m => x < m[1] && x + w > m[0])) el(c, 'text', { class: 'hold-text', x, y: lanes.marks.y + 15 }, label);
      el(c, 'line', { class: 'hold-lead', x1: b.x, x2: b.x, y1: lanes.marks.y + 18, y2: lanes.agent.y });
    }
    tipped(c, 'hold' + t.turn_id + i, 'Held, then ' + hold.verdict, [['turn', t.index], ['from', clock(hold.from_ms, 1)], ['to', clock(hold.to_ms, 1)], ['for', span(hold.to_ms - hold.from_ms)]], !box.print);
  });
}

function drawCancels(g, box, top, bottom, lanes) {
  for (const t of turns) {
    const k = t.cancel;
    if (!k) continue;
    const fence = firstOf(k.fence_applied_ms, has(t.fence_us) ? k.accepted_ms + t.fence_us / 1000 : null);
    if (!inView(box, k.accepted_ms, firstOf(fence, k.accepted_ms))) continue;
    const c = el(g, 'g', {}), xa = clampX(box, box.x(k.accepted_ms)), xf = has(fence) ? clampX(box, box.x(fence)) : xa;
    el(c, 'rect', { class: 'hit', x: xa - 6, width: Math.max(xf - xa, 0) + 12, y: top, height: bottom - top });
    if (has(fence)) el(c, 'line', { class: 'fence-line', x1: xf, x2: xf, y1: top, y2: bottom });
    el(c, 'line', { class: 'cancel-line', x1: xa, x2: xa, y1: top, y2: bottom });
    const y = lanes.marks.y + 15;
    const note = (x, text, cls, anchor) => {
      const w = textWidth(text, 11.5, true), left = anchor === 'end' ? x - w : x;
      box.taken.push([left - 6, left + w + 6]);
      el(c, 'rect', { class: 'flag', x: left - 3, width: w + 6, y: y - 11, height: 15, rx: 2 });
      el(c, 'text', { class: cls, x, y, 'text-anchor': anchor }, text);
    };
    const gap = t.fence_us ? span(t.fence_us / 1000) : '';
    if (xf - xa > 40) {
      note(xa - 6, 'cancel accepted', 'cancel-text', 'end');
      note(xf + 6, 'fence applied', 'fence-text', 'start');
      const m = lanes.caller.y + 16, w = textWidth(gap, 11.5, true), mid = (Math.max(xa, box.x0) + Math.min(xf, box.x1)) / 2;
      el(c, 'path', { class: 'between', d: `M${xa} ${m - 4}V${m + 4}M${xa} ${m}H${xf}M${xf} ${m - 4}V${m + 4}` });
      if (w + 8 < xf - xa) {
        el(c, 'rect', { class: 'flag', x: mid - w / 2 - 3, width: w + 6, y: m - 9, height: 18 });
        el(c, 'text', { class: 'num', 'font-weight': 600, x: mid, y: m + 4, 'text-anchor': 'middle' }, gap);
      } else el(c, 'text', { class: 'num', 'font-weight': 600, x: mid, y: m + 18, 'text-anchor': 'middle' }, gap);
    } else {
      const full = 'cancel' + (gap ? ' to fence ' + gap : ''), side = xa + 8 + textWidth(full, 11.5, true) > box.x1 ? 'end' : 'start';
      note(side === 'end' ? xa - 6 : xf + 6, full, 'cancel-text', side);
    }
    tipped(c, 'cancel' + t.turn_id, 'Turn ' + t.index + ' is cancelled', [['speech detected', has(k.detected_ms) ? clockFine(k.detected_ms) : null], ['held', has(k.held_ms) ? clockFine(k.held_ms) : null],
      ['cancel accepted', clockFine(k.accepted_ms)], ['fence applied', has(fence) ? clockFine(fence) : null], ['cancel to fence', gap],
      ['played of the reply', has(k.played_through_ms) ? span(k.played_through_ms) : null], ['frames after the fence', String(k.frames_after_fence)]], !box.print);
  }
}

function signalClass(name) {
  if (/^(barge_in|cancel|stop|abort|playback_cancelled)/.test(name)) return ' cut';
  if (/^(playback|output)/.test(name)) return ' play';
  return /^(turn_open|commit|close)/.test(name) ? ' turn' : '';
}
// When several signals share a tick the one that says most names it.
const WEIGHT = ['cancel', 'barge_in', 'abort', 'turn_open', 'playback_cancelled', 'commit', 'playback_started', 'playback_completed'];
const weight = s => { const i = WEIGHT.indexOf(s.signal); return i < 0 ? WEIGHT.length : i; };

function drawSignals(g, box, y, h) {
  const rows = box.compact ? 3 : 4, pitch = (h - 8) / rows, ends = new Array(rows).fill(-Infinity);
  // What belongs to an edge is drawn with it.
  const seen = data.signals.filter(s => !(s.edge_id && data.waits) && inView(box, s.at_ms, s.at_ms));
  const groups = [];
  for (const s of seen) {
    const x = Math.round(box.x(s.at_ms)), last = groups[groups.length - 1];
    if (last && x - last.x < 3) last.all.push(s); else groups.push({ x, all: [s] });
  }
  groups.forEach((group, n) => {
    const s = group.all.reduce((best, o) => weight(o) < weight(best) ? o : best), more = group.all.length - 1, cls = signalClass(s.signal);
    const c = el(g, 'g', {}), label = s.signal + (more ? ' +' + more : ''), w = textWidth(label, 11);
    // A name hangs at the end of its tick, each above the one before it, so no tick runs through a name.
    let row = -1;
    while (row + 1 < rows && ends[row + 1] < group.x) row++;
    if (group.x + 4 + w > box.x1) row = -1;
    const low = row < 0 ? y + 6 : y + 6 + (row + 1) * pitch;
    el(c, 'line', { class: 'tick' + cls, x1: group.x, x2: group.x, y1: y, y2: low });
    if (row >= 0) {
      el(c, 'text', { class: 'signal', x: group.x + 4, y: low - 2 }, label);
      ends[row] = group.x + w + 10;
    }
    el(c, 'rect', { class: 'hit', x: group.x - 3, width: row < 0 ? 6 : w + 8, y: row < 0 ? y : low - pitch, height: row < 0 ? h : pitch });
    const one = o => [o.signal, clockFine(o.at_ms) + (o.emitter ? ' · ' + o.emitter : '') + (o.reason ? ' · ' + o.reason : '')];
    const shown = group.all.slice(0, 12).map(one);
    if (group.all.length > 12) shown.push(['and', group.all.length - 12 + ' more: zoom in']);
    tipped(c, 'signal' + n, more ? group.all.length + ' signals' : 'Signal', shown);
  });
}
