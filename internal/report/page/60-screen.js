// The screen: what is in view, and the ways to move it.
const stage = document.getElementById('stage'), lanesSvg = document.getElementById('lanes'), overview = document.getElementById('overview');
const tip = document.getElementById('tip'), audio = document.getElementById('audio');
const CLOSEST = 0.02; // ms in view at most zoom: enough to tell microseconds apart
const view = { t0: 0, t1: total };
let drawn = null, pending = false, focusKey = null, overlay = null, head = null, play = audio ? 0 : null, mouse = null;

function show(t0, t1) {
  const width = Math.min(Math.max(t1 - t0, Math.min(CLOSEST, total)), total);
  const mid = (t0 + t1) / 2;
  view.t0 = Math.min(Math.max(mid - width / 2, 0), total - width);
  view.t1 = view.t0 + width;
  if (!pending) { pending = true; requestAnimationFrame(draw); }
}
function zoom(factor, at) {
  const a = at === undefined ? (view.t0 + view.t1) / 2 : at;
  const width = Math.min(Math.max((view.t1 - view.t0) * factor, CLOSEST), total), f = width / (view.t1 - view.t0);
  show(a - (a - view.t0) * f, a + (view.t1 - a) * f);
}
const pan = fraction => { const d = (view.t1 - view.t0) * fraction; show(view.t0 + d, view.t1 + d); };

function draw() {
  pending = false;
  const width = Math.max(stage.clientWidth, 280), active = document.activeElement;
  const focused = active && lanesSvg.contains(active) && active !== lanesSvg ? active.getAttribute('data-k') : null;
  tips.clear();
  drawn = drawLanes(lanesSvg, { width, t0: view.t0, t1: view.t1, print: false });
  overlay = el(lanesSvg, 'g', { 'pointer-events': 'none' });
  if (focused) {
    const again = lanesSvg.querySelector('[data-k="' + CSS.escape(focused) + '"]');
    if (again) again.focus({ preventScroll: true }); else lanesSvg.focus({ preventScroll: true });
  }
  drawOverview(width);
  drawCursor();
}

function drawOverview(width) {
  overview.replaceChildren();
  const h = 40, box = { t0: 0, t1: total, x0: 0, x1: width - 2, x: t => t / total * (width - 2) };
  overview.setAttribute('viewBox', `0 0 ${width - 2} ${h}`);
  overview.setAttribute('height', h);
  wave(overview, caller, box, 1, 19, 'caller');
  wave(overview, agent, box, 20, 19, 'agent');
  for (const t of turns) if (t.cancel) el(overview, 'line', { class: 'cancel-line', x1: box.x(t.cancel.accepted_ms), x2: box.x(t.cancel.accepted_ms), y1: 0, y2: h });
  const a = box.x(view.t0), b = Math.max(box.x(view.t1), a + 2);
  el(overview, 'rect', { class: 'shade', x: 0, width: a, y: 0, height: h });
  el(overview, 'rect', { class: 'shade', x: b, width: Math.max(width - b, 0), y: 0, height: h });
  if (view.t1 - view.t0 < total) el(overview, 'rect', { class: 'window', x: a + 0.5, width: Math.max(b - a - 1, 2), y: 0.5, height: h - 1 });
}

function drawCursor() {
  if (!overlay) return;
  overlay.replaceChildren();
  const { box, height, top } = drawn;
  if (play !== null && play >= box.t0 && play <= box.t1 && (play > 0 || !audio.paused)) el(overlay, 'line', { class: 'playhead', x1: box.x(play), x2: box.x(play), y1: 0, y2: height });
  if (mouse === null || mouse < box.x0 || mouse > box.x1) return;
  el(overlay, 'line', { class: 'cursor', x1: mouse, x2: mouse, y1: top, y2: height });
  const t = box.t(mouse), wide = box.t1 - box.t0, label = wide < 1000 ? clockFine(t) : clock(t, 1), w = textWidth(label, 11.5, true);
  const left = Math.min(Math.max(mouse - w / 2, box.x0), box.x1 - w - 4);
  el(overlay, 'rect', { class: 'flag', x: left - 4, width: w + 8, y: 2, height: 19 });
  el(overlay, 'text', { class: 'num cursor-text', 'font-weight': 600, x: left, y: 16 }, label);
}

function showTip(key, x, y) {
  const t = tips.get(key);
  if (!t) { tip.hidden = true; return; }
  tip.replaceChildren();
  const b = document.createElement('b'), dl = document.createElement('dl');
  b.textContent = t.heading;
  for (const [label, value] of t.rows) {
    dl.appendChild(document.createElement('dt')).textContent = label;
    dl.appendChild(document.createElement('dd')).textContent = value;
  }
  tip.append(b, dl);
  tip.hidden = false;
  const room = stage.clientWidth, w = tip.offsetWidth;
  tip.style.left = Math.max(0, x + 14 + w > room ? Math.min(x - w - 14, room - w) : x + 14) + 'px';
  // Below what it explains, unless that would be off the screen.
  const below = stage.getBoundingClientRect().top + y + 16 + tip.offsetHeight <= window.innerHeight;
  tip.style.top = (below ? y + 16 : y - tip.offsetHeight - 34) + 'px';
}

const rel = e => { const r = lanesSvg.getBoundingClientRect(); return { x: e.clientX - r.left, y: e.clientY - r.top + lanesSvg.offsetTop }; };

// Pointers: one drags, two pinch, none of them keeps the page from scrolling up and down.
const pointers = new Map();
let dragging = null, moved = false;
lanesSvg.addEventListener('pointerdown', e => {
  if (e.button) return;
  pointers.set(e.pointerId, rel(e).x);
  dragging = { x: rel(e).x, t0: view.t0, t1: view.t1 };
  moved = false;
});
lanesSvg.addEventListener('pointermove', e => {
  const at = rel(e), wide = drawn.box.x1 - drawn.box.x0;
  if (pointers.has(e.pointerId)) {
    const before = [...pointers.values()];
    pointers.set(e.pointerId, at.x);
    const now = [...pointers.values()];
    if (now.length === 2) {
      const a = Math.max(Math.abs(before[0] - before[1]), 8), b = Math.max(Math.abs(now[0] - now[1]), 8);
      moved = true;
      zoom(a / b, drawn.box.t((now[0] + now[1]) / 2));
    } else if (dragging && Math.abs(at.x - dragging.x) > 3) {
      if (!moved) { moved = true; lanesSvg.setPointerCapture(e.pointerId); lanesSvg.classList.add('drag'); tip.hidden = true; }
      const d = (dragging.x - at.x) / wide * (dragging.t1 - dragging.t0);
      show(dragging.t0 + d, dragging.t1 + d);
    }
    return;
  }
  mouse = at.x;
  drawCursor();
  const hit = e.target.closest && e.target.closest('[data-k]');
  if (hit) showTip(hit.getAttribute('data-k'), at.x, e.clientY - stage.getBoundingClientRect().top); else tip.hidden = true;
});
function release(e) {
  if (!pointers.delete(e.pointerId)) return;
  lanesSvg.classList.remove('drag');
  if (pointers.size === 1) { dragging = { x: [...pointers.values()][0], t0: view.t0, t1: view.t1 }; return; }
  if (!moved && e.type === 'pointerup') {
    const at = rel(e);
    if (at.x >= drawn.box.x0) seek(drawn.box.t(at.x));
    const hit = e.target.closest && e.target.closest('[data-k]');
    if (hit && e.pointerType !== 'mouse') showTip(hit.getAttribute('data-k'), at.x, e.clientY - stage.getBoundingClientRect().top);
  }
  dragging = null;
}
lanesSvg.addEventListener('pointerup', release);
lanesSvg.addEventListener('pointercancel', release);
lanesSvg.addEventListener('pointerleave', e => { if (e.pointerType === 'mouse') { mouse = null; tip.hidden = true; drawCursor(); } });
lanesSvg.addEventListener('wheel', e => {
  const turn = e.deltaMode === 1 ? 30 : 1, focused = document.activeElement && lanesSvg.contains(document.activeElement);
  if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey) {
    e.preventDefault();
    pan((e.shiftKey && !e.deltaX ? e.deltaY : e.deltaX) * turn / 1000);
  } else if (e.ctrlKey || e.metaKey || e.altKey || focused) {
    e.preventDefault();
    zoom(Math.exp(Math.max(Math.min(e.deltaY * turn, 240), -240) / 300), drawn.box.t(Math.max(rel(e).x, drawn.box.x0)));
  }
}, { passive: false });
lanesSvg.addEventListener('dblclick', e => { e.preventDefault(); zoom(e.shiftKey ? 4 : 0.25, drawn.box.t(rel(e).x)); });
lanesSvg.addEventListener('focusin', e => {
  const key = e.target.getAttribute && e.target.getAttribute('data-k');
  if (!key || !e.target.matches(':focus-visible')) return;
  const r = e.target.getBoundingClientRect(), s = stage.getBoundingClientRect();
  showTip(key, Math.max(r.left - s.left, 0), r.bottom - s.top - 10);
});
lanesSvg.addEventListener('focusout', () => { tip.hidden = true; });

let brushing = false;
const brush = e => { const r = overview.getBoundingClientRect(), t = (e.clientX - r.left) / r.width * total, w = (view.t1 - view.t0) / 2; show(t - w, t + w); };
overview.addEventListener('pointerdown', e => { brushing = true; overview.setPointerCapture(e.pointerId); brush(e); });
overview.addEventListener('pointermove', e => { if (brushing) brush(e); });
overview.addEventListener('pointerup', () => { brushing = false; });
overview.addEventListener('pointercancel', () => { brushing = false; });
