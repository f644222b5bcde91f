// Buttons, keys, the player, and the first drawing.
function goTo(t) {
  const from = Math.min(...[t.eou_ms, turnFrom(t)].filter(has)), to = turnTo(t), pad = Math.max((to - from) * 0.06, 200);
  show(from - pad - 300, to + pad);
}
function goToCancel(t) {
  const k = t.cancel, gap = Math.max(firstOf(has(t.fence_us) ? t.fence_us / 1000 : null, has(k.fence_applied_ms) ? k.fence_applied_ms - k.accepted_ms : null, 0.01), 0.005);
  show(k.accepted_ms - gap * 1.5, k.accepted_ms + gap * 2.5);
}
function neighbour(step) {
  const mid = (view.t0 + view.t1) / 2;
  const list = step > 0 ? turns.filter(t => turnFrom(t) > mid + 1) : turns.filter(t => turnTo(t) < mid - 1).reverse();
  if (list.length) goTo(list[0]);
}
const doings = { left: () => pan(-0.25), right: () => pan(0.25), in: () => zoom(0.5), out: () => zoom(2), fit: () => show(0, total) };
for (const button of document.querySelectorAll('[data-do]')) button.addEventListener('click', () => doings[button.dataset.do]());

const jumps = document.getElementById('jumps');
function jump(label, title, go) {
  const b = document.createElement('button');
  b.type = 'button'; b.textContent = label; b.title = title; b.setAttribute('aria-label', title);
  b.addEventListener('click', go);
  jumps.appendChild(b);
}
if (turns.length <= 12) for (const t of turns) jump(String(t.index), 'Show turn ' + t.index, () => goTo(t));
const cut = turns.filter(t => t.cancel);
cut.slice(0, 3).forEach(t => jump(cut.length === 1 ? 'Cancel' : 'Cancel ' + t.index, 'Show the cancel and the fence of turn ' + t.index + ' up close', () => goToCancel(t)));

lanesSvg.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const at = mouse !== null && drawn ? drawn.box.t(mouse) : undefined;
  const keys = {
    '+': () => zoom(0.5, at), '=': () => zoom(0.5, at), '-': () => zoom(2, at), '_': () => zoom(2, at), '0': doings.fit, Home: () => show(0, view.t1 - view.t0), End: () => show(total - (view.t1 - view.t0), total),
    ArrowLeft: () => pan(e.shiftKey ? -0.9 : -0.2), ArrowRight: () => pan(e.shiftKey ? 0.9 : 0.2), ArrowUp: () => zoom(0.5, at), ArrowDown: () => zoom(2, at),
    n: () => neighbour(1), p: () => neighbour(-1), Escape: () => { tip.hidden = true; },
    ' ': () => { if (audio) { if (audio.paused) audio.play().catch(() => {}); else audio.pause(); } },
    Enter: () => { const k = document.activeElement.getAttribute('data-k') || ''; const t = turns.find(x => k === 'turn' + x.turn_id); if (t) goTo(t); const c = turns.find(x => k === 'cancel' + x.turn_id); if (c) goToCancel(c); },
  };
  if (!Object.hasOwn(keys, e.key)) return;
  e.preventDefault();
  keys[e.key]();
});

function seek(ms) {
  if (!audio || audio.hidden) return;
  play = ms;
  audio.currentTime = ms / 1000;
  drawCursor();
}
if (audio) {
  let running = false;
  const follow = () => {
    play = audio.currentTime * 1000;
    const wide = view.t1 - view.t0;
    if (!audio.paused && wide > 300 && wide < total && (play > view.t1 || play < view.t0)) show(play - wide * 0.1, play + wide * 0.9);
    drawCursor();
    if (!audio.paused) requestAnimationFrame(follow); else running = false;
  };
  audio.addEventListener('play', () => { if (!running) { running = true; follow(); } });
  audio.addEventListener('seeked', () => { play = audio.currentTime * 1000; drawCursor(); });
  audio.addEventListener('error', () => {
    audio.hidden = true;
    const p = document.createElement('span');
    p.className = 'hint screen';
    p.textContent = 'No sound: ' + data.session.audio + ' is not beside this page.';
    audio.after(p);
  });
}

// timeline.html#t=18.2,20.1 opens on those seconds, as a media fragment would.
function fromAddress() {
  const m = /^#t=([\d.]+),([\d.]+)$/.exec(location.hash);
  if (m && +m[2] > +m[1]) show(m[1] * 1000, m[2] * 1000);
}
window.addEventListener('hashchange', fromAddress);

drawSheet();
fromAddress();
new ResizeObserver(() => show(view.t0, view.t1)).observe(stage);
draw();
