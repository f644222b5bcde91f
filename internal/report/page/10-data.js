// The page's data: parsed once, never changed.
const data = JSON.parse(document.getElementById('data').textContent);
const total = data.session.duration_ms;
const turns = data.turns;

function unpack(voice) {
  const raw = atob(voice.pairs || '');
  const count = raw.length >> 2;
  const low = new Int16Array(count), high = new Int16Array(count);
  const word = i => ((raw.charCodeAt(i) | raw.charCodeAt(i + 1) << 8) << 16) >> 16;
  let peak = 0;
  for (let i = 0; i < count; i++) {
    low[i] = word(4 * i);
    high[i] = word(4 * i + 2);
    peak = Math.max(peak, -low[i], high[i]);
  }
  // Quiet recordings are drawn larger, up to 20 dB; silence stays silence.
  return { low, high, peak, bucket: voice.bucket_ms || 10, gain: peak ? Math.min(1 / (peak / 32768), 10) : 1 };
}
const caller = unpack(data.voices.caller);
const agent = unpack(data.voices.agent);

// Stretches of the caller's voice.
const voiced = [];
for (const mark of data.speech) {
  const last = voiced[voiced.length - 1];
  if (mark.kind === 'voice_on' && !(last && last.to === null)) voiced.push({ from: mark.at_ms, to: null });
  if (mark.kind === 'voice_off' && last && last.to === null) last.to = mark.at_ms;
}
for (const v of voiced) if (v.to === null) v.to = total;

const has = v => v !== null && v !== undefined;
const firstOf = (...v) => v.find(has);
const turnFrom = t => firstOf(t.proposed_ms, t.opened_ms, t.eou_ms, t.first_token_ms, t.playback_started_ms, 0);
const turnTo = t => Math.max(...[t.closed_ms, t.terminal_ms, t.playback_end_ms, has(t.playback_started_ms) && !has(t.playback_end_ms) ? total : null, turnFrom(t)].filter(has));

// Instants as people say them: m:ss with as many decimals as the step between two needs.
function clock(ms, step) {
  const decimals = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  const unit = Math.pow(10, decimals);
  const n = Math.round(ms / 1000 * unit);
  const sec = Math.floor(n / unit);
  const frac = decimals ? '.' + String(n - sec * unit).padStart(decimals, '0') : '';
  return Math.floor(sec / 60) + ':' + String(sec % 60).padStart(2, '0') + frac;
}
function clockFine(ms) {
  const us = Math.round(ms * 1000) % 1000;
  const base = clock(Math.floor(Math.round(ms * 1000) / 1000), 1);
  return us ? base + ' + ' + us + ' µs' : base;
}
function span(ms) {
  const size = Math.abs(ms);
  if (size === 0) return '0 ms';
  if (size < 0.1) return +(ms * 1000).toFixed(1) + ' µs';
  if (size < 1) return Math.round(ms * 1000) + ' µs';
  return size < 1000 ? ms.toFixed(1) + ' ms' : (ms / 1000).toFixed(2) + ' s';
}

// Ticks no closer than minPx: 1, 2 or 5 times a power of ten, with 15 and 30 seconds for long views.
function tickStep(msPerPx, minPx) {
  const need = msPerPx * minPx;
  for (let p = 0.001; p < 1e7; p *= 10) {
    for (const m of [1, 2, 5]) {
      const step = +(p * m).toPrecision(3);
      if (step >= 10000 && step < 60000) continue;
      if (step >= need && step < 10000) return step;
    }
  }
  return [10000, 15000, 30000, 60000, 120000, 300000, 600000].find(s => s >= need) || 1800000;
}
