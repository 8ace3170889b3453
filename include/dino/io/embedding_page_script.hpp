// Style and script of the page of an embedding.
#pragma once

#include <dino/base/config.hpp>

#include <string_view>

namespace dino::inline DINO_ABI::detail {

inline constexpr std::string_view embedding_style = R"css(:root{color-scheme:light dark;
  --paper:#fff;--ink:#222;--soft:#5c6066;--edge:#d5d8dc;--tile:#f5f6f8;--field:#fcfcfd;--focus:#0072b2}
@media (prefers-color-scheme:dark){:root{
  --paper:#17191c;--ink:#e4e4e4;--soft:#a0a4aa;--edge:#3a3f45;--tile:#24282d;--field:#1b1e21;--focus:#56b4e9}}
*{box-sizing:border-box}
body{margin:0 auto;padding:14px 16px;max-width:1500px;background:var(--paper);color:var(--ink);
  font:15px/1.4 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.35rem;margin:0 0 .1em;overflow-wrap:anywhere}
p{margin:.1em 0;overflow-wrap:anywhere}
.soft{color:var(--soft);font-size:.88rem}
button,input{font:inherit;color:inherit;background:var(--tile);border:1px solid var(--edge);border-radius:7px;
  padding:5px 10px;min-height:36px}
button{cursor:pointer}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px}
#tools{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:10px 0}
#tools input{flex:1 1 130px;min-width:0;max-width:300px}
#found{color:var(--soft);font-size:.88rem}
#found:empty{display:none}
main{display:grid;grid-template-columns:minmax(0,1fr) 218px;gap:14px;align-items:start}
#field{position:relative;height:calc(100vh - 190px);min-height:420px;border:1px solid var(--edge);border-radius:10px;
  overflow:hidden;background:var(--field)}
#plot{position:absolute;inset:0;width:100%;height:100%;touch-action:none;cursor:grab;display:block;border-radius:10px}
#plot.held{cursor:grabbing}
#plot.over{cursor:pointer}
#plot:focus-visible{outline-offset:-3px}
#tip{position:absolute;left:0;top:0;pointer-events:none;display:flex;gap:9px;align-items:center;max-width:270px;
  padding:7px 10px 7px 7px;background:var(--paper);border:1px solid var(--edge);border-radius:9px;
  filter:drop-shadow(0 2px 5px #0004);visibility:hidden}
#tip canvas{width:84px;height:84px;border-radius:5px;flex:none}
#tip div{min-width:0;overflow-wrap:anywhere;font-size:.88rem}
#tip b{display:block}
#legend{display:flex;flex-direction:column;gap:4px;max-height:calc(100vh - 190px);overflow:auto;padding:2px}
#legend button{display:flex;align-items:center;gap:8px;text-align:left;width:100%;touch-action:manipulation;
  user-select:none;-webkit-user-select:none}
#legend i{flex:none;width:12px;height:12px;border-radius:50%;border:2px solid;background:currentColor}
#legend span{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
#legend small{color:var(--soft)}
#legend [aria-pressed=false]{color:var(--soft);background:none}
#legend [aria-pressed=false] span{text-decoration:line-through}
#legend [aria-pressed=false] i{background:none}
@media (max-width:760px){
  body{padding:10px}
  main{grid-template-columns:minmax(0,1fr);gap:10px}
  #field{height:min(64vh,112vw);min-height:300px}
  #legend{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));max-height:none}
}
)css";

// Points are mixed into the pixels in the order of the data, so that no class lies above all others; a grid of cells
// over the plane finds the point under the pointer. State for tests: window.dinoEmbed.
inline constexpr std::string_view embedding_script = R"js('use strict';
(() => {
const $ = id => document.getElementById(id);
const data = JSON.parse($('data').textContent);
const n = data.x.length, none = data.classes.length, groups = none + 1;
const xs = Float32Array.from(data.x), ys = Float32Array.from(data.y);
const of = Int32Array.from(data.labels, l => l < 0 ? none : l);
const names = data.classes.concat('no class'), colors = data.colors.concat('#8a8f96');
const plot = $('plot'), pen = plot.getContext('2d'), tip = $('tip'), found = $('found'), search = $('search');
const shown = new Uint8Array(groups).fill(1);

// Points by a key: the cell of a grid over all of them.
function sorted(keys, count) {
  const begin = new Int32Array(count + 1), list = new Int32Array(n);
  for (const k of keys) ++begin[k + 1];
  for (let k = 0; k < count; ++k) begin[k + 1] += begin[k];
  const next = begin.slice();
  for (let i = 0; i < n; ++i) list[next[keys[i]]++] = i;
  return {begin, list};
}
const least = a => a.reduce((p, v) => Math.min(p, v), Infinity);
const most = a => a.reduce((p, v) => Math.max(p, v), -Infinity);
const box = n ? {x: least(xs), y: least(ys), w: most(xs) - least(xs), h: most(ys) - least(ys)}
              : {x: 0, y: 0, w: 1, h: 1};
const inClass = new Int32Array(groups);
for (const k of of) ++inClass[k];
const side = Math.max(1, Math.min(256, Math.ceil(Math.sqrt(n / 3)))), cell = Math.max(box.w, box.h, 1e-9) / side;
const column = x => Math.max(0, Math.min(side - 1, Math.floor((x - box.x) / cell)));
const row = y => Math.max(0, Math.min(side - 1, Math.floor((y - box.y) / cell)));
const cells = sorted(Int32Array.from(xs, (x, i) => row(ys[i]) * side + column(x)), side * side);

// Where it is seen from: a point (x,y) lies at (x * scale + left, top - y * scale), in pixels of the page.
let width = 0, height = 0, density = 1, view = {scale: 1, left: 0, top: 0}, fit = 1;
let hovered = -1, drawMs = 0, waiting = false;
let matches = new Uint8Array(n), matched = [], at = -1;
let image = null, pixels = null, discs = [], discSize = 0, discKey = -1;  // what the points are painted with
const bytes = (r, g, b) => 0xff000000 | b << 16 | g << 8 | r;
const inks = colors.map(c => bytes(...[1, 3, 5].map(at => parseInt(c.slice(at, at + 2), 16))));
const paper = () => bytes(...getComputedStyle($('field')).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number));
const px = i => xs[i] * view.scale + view.left, py = i => view.top - ys[i] * view.scale;

function reset() {
  const margin = 26;
  fit = Math.min((width - 2 * margin) / Math.max(box.w, 1e-9), (height - 2 * margin) / Math.max(box.h, 1e-9));
  if (!(fit > 0) || box.w + box.h === 0) fit = 1;
  view = {scale: fit, left: width / 2 - (box.x + box.w / 2) * fit, top: height / 2 + (box.y + box.h / 2) * fit};
  redraw();
}
function zoom(factor, x = width / 2, y = height / 2) {
  const scale = Math.min(Math.max(view.scale * factor, fit / 4), fit * 400), f = scale / view.scale;
  view = {scale, left: x + (view.left - x) * f, top: y + (view.top - y) * f};
  redraw();
}
function pan(dx, dy) { view.left += dx; view.top += dy; redraw(); }
function resize() {
  const old = {width, height}, bounds = plot.getBoundingClientRect();
  width = bounds.width; height = bounds.height; density = window.devicePixelRatio || 1;
  plot.width = Math.max(1, Math.round(width * density)); plot.height = Math.max(1, Math.round(height * density));
  image = pen.createImageData(plot.width, plot.height);
  pixels = new Int32Array(image.data.buffer);
  if (!old.width) return reset();
  view.left += (width - old.width) / 2; view.top += (height - old.height) / 2;
  redraw();
}

const radius = () => Math.min(9, Math.max(1.7, Math.min(5.5, Math.sqrt(width * height / Math.max(n, 1)) * .17)) *
                                 Math.max(1, Math.pow(view.scale / fit, .35)));
// A disc at the 16 places that its centre can have within a pixel: how much of each pixel it covers, of 256.
function paintDiscs(r, strength) {
  const key = Math.round(r * density * 20) * 1000 + Math.round(strength * 100);
  if (key === discKey) return;
  discKey = key;
  discSize = Math.ceil(2 * r * density) + 2;
  discs = Array.from({length: 16}, (_, place) => {
    const disc = new Int32Array(discSize * discSize);
    for (let p = 0; p < disc.length; ++p) {
      const x = p % discSize + .5 - discSize / 2 - (place % 4 - 1.5) / 4;
      const y = Math.floor(p / discSize) + .5 - discSize / 2 - ((place >> 2) - 1.5) / 4;
      disc[p] = Math.round(256 * strength * Math.max(0, Math.min(1, r * density + .5 - Math.hypot(x, y))));
    }
    return disc;
  });
}
// Mixes the discs into the pixels by hand: as quick with a graphics card as without one. A pixel is 0xffBBGGRR; red and
// blue are mixed together, their carries fall away.
function drawPoints(only) {
  const s = view.scale * density, l = view.left * density, t = view.top * density;
  const w = plot.width, h = plot.height, size = discSize;
  for (let i = 0; i < n; ++i) {
    const x = xs[i] * s + l - size / 2, y = t - ys[i] * s - size / 2;
    if (!(x > -size && y > -size && x < w && y < h) || !shown[of[i]] || (only && !matches[i])) continue;
    const red = inks[of[i]] & 0xff00ff, green = inks[of[i]] & 0xff00;
    const left = Math.floor(x), top = Math.floor(y);
    const disc = discs[Math.floor(4 * (x - left)) + 4 * Math.floor(4 * (y - top))];
    const begin = Math.max(0, -left), end = Math.min(size, w - left);
    for (let v = Math.max(0, -top); v < Math.min(size, h - top); ++v) {
      for (let u = begin, at = (top + v) * w + left + begin; u < end; ++u, ++at) {
        const share = disc[v * size + u];
        if (share === 0) continue;
        const below = pixels[at], rb = below & 0xff00ff, g = below & 0xff00;
        pixels[at] = 0xff000000 | (rb + (Math.imul(red - rb, share) >> 8)) & 0xff00ff |
                     (g + (Math.imul(green - g, share) >> 8)) & 0xff00;
      }
    }
  }
}
function ring(i, r, line) {
  pen.lineWidth = line * density;
  pen.beginPath(); pen.arc(px(i) * density, py(i) * density, r * density, 0, 7); pen.stroke();
}
function draw() {
  waiting = false;
  const start = performance.now(), r = radius();
  pixels.fill(paper());
  paintDiscs(r, matched.length ? .12 : .85);
  drawPoints(false);
  if (matched.length) {
    paintDiscs(r, 1);
    drawPoints(true);
  }
  pen.putImageData(image, 0, 0);
  pen.strokeStyle = getComputedStyle(plot).color;
  if (matched.length && matched.length <= 200) for (const i of matched) if (shown[of[i]]) ring(i, r + 2.5, 1.4);
  if (hovered >= 0) ring(hovered, r + 3, 2.2);
  drawMs = performance.now() - start;
}
function redraw() {
  placeTip();
  if (!waiting) { waiting = true; requestAnimationFrame(draw); }
}

// The nearest visible point within reach pixels of (x,y), or -1.
function pick(x, y, reach) {
  const dx = (x - view.left) / view.scale, dy = (view.top - y) / view.scale, far = reach / view.scale;
  let best = -1, least = far * far;
  for (let r = row(dy - far); r <= row(dy + far); ++r) {
    for (let c = column(dx - far); c <= column(dx + far); ++c) {
      for (let j = cells.begin[r * side + c]; j < cells.begin[r * side + c + 1]; ++j) {
        const i = cells.list[j], d = (xs[i] - dx) * (xs[i] - dx) + (ys[i] - dy) * (ys[i] - dy);
        if (d < least && shown[of[i]] && (!matched.length || matches[i])) { least = d; best = i; }
      }
    }
  }
  return best;
}

// Thumbnails lie in sheets, which are decoded when the first of their points is looked at.
const sheets = [], perSheet = data.columns * data.columns;
function thumbnail(i) {
  const canvas = tip.firstElementChild, brush = canvas.getContext('2d'), s = data.side;
  canvas.style.display = i < data.thumbnails ? '' : 'none';
  if (i >= data.thumbnails) return;
  const number = Math.floor(i / perSheet), place = i % perSheet;
  if (!sheets[number]) {
    sheets[number] = new Image();
    sheets[number].onload = () => { if (hovered >= 0) thumbnail(hovered); };
    sheets[number].src = data.sheets[number];
  }
  canvas.width = canvas.height = 168;
  brush.imageSmoothingQuality = 'high';
  const x = place % data.columns * s, y = Math.floor(place / data.columns) * s;
  const ready = sheets[number].complete && sheets[number].naturalWidth > 0;
  if (ready) brush.drawImage(sheets[number], x, y, s, s, 0, 0, 168, 168);
}
function hover(i) {
  if (i === hovered) return;
  hovered = i;
  plot.classList.toggle('over', i >= 0);
  if (i >= 0) {
    thumbnail(i);
    $('tip-class').textContent = none ? names[of[i]] : '';
    $('tip-name').textContent = data.names[i];
  }
  redraw();
}
function placeTip() {
  const x = hovered < 0 ? -1 : px(hovered), y = hovered < 0 ? -1 : py(hovered);
  const inside = hovered >= 0 && shown[of[hovered]] && x >= 0 && y >= 0 && x <= width && y <= height;
  tip.style.visibility = inside ? 'visible' : 'hidden';
  if (!inside) return;
  const w = tip.offsetWidth, h = tip.offsetHeight, gap = 14;
  const left = x + gap + w < width ? x + gap : x - gap - w, up = y - gap - h > 0 ? y - gap - h : y + gap;
  const within = (p, room) => Math.round(Math.max(4, Math.min(p, room - 4)));
  tip.style.transform = `translate(${within(left, width - w)}px,${within(up, height - h)}px)`;
}

// Pointers: one moves the picture, two stretch it; one that hardly moves looks at a point.
const pointers = new Map();
let travelled = 0;
const place = e => { const b = plot.getBoundingClientRect(); return {x: e.clientX - b.left, y: e.clientY - b.top}; };
plot.addEventListener('pointerdown', e => {
  if (e.button > 0) return;
  plot.setPointerCapture(e.pointerId);
  if (!pointers.size) travelled = 0;
  pointers.set(e.pointerId, place(e));
  plot.classList.add('held');
});
plot.addEventListener('pointermove', e => {
  const now = place(e), before = pointers.get(e.pointerId);
  if (!before) return hover(pick(now.x, now.y, radius() + 6));
  const other = [...pointers].find(p => p[0] !== e.pointerId);
  pointers.set(e.pointerId, now);
  travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
  if (!other) return pan(now.x - before.x, now.y - before.y);
  const o = other[1], apart = p => Math.max(1, Math.hypot(p.x - o.x, p.y - o.y));
  pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  zoom(apart(now) / apart(before), (now.x + o.x) / 2, (now.y + o.y) / 2);
});
function release(e) {
  const now = place(e);
  if (!pointers.delete(e.pointerId)) return;
  if (!pointers.size) plot.classList.remove('held');
  if (e.type !== 'pointerup' || pointers.size || travelled >= 6) return;
  hover(pick(now.x, now.y, radius() + (e.pointerType === 'touch' ? 18 : 6)));
}
plot.addEventListener('pointerup', release);
plot.addEventListener('pointercancel', release);
plot.addEventListener('pointerleave', e => { if (e.pointerType === 'mouse' && !pointers.size) hover(-1); });
plot.addEventListener('wheel', e => {
  e.preventDefault();
  const p = place(e), lines = e.deltaMode === 1 ? 18 : 1;
  zoom(Math.exp(-Math.max(-120, Math.min(120, e.deltaY * lines)) * (e.ctrlKey ? .01 : .0022)), p.x, p.y);
}, {passive: false});
plot.addEventListener('dblclick', e => { const p = place(e); zoom(2, p.x, p.y); });

// Classes: a click turns one on or off, a double click leaves it alone, and again shows all.
const buttons = [];
function show(k, on) { shown[k] = on ? 1 : 0; }
function refresh() {
  for (const [k, b] of buttons) b.setAttribute('aria-pressed', shown[k] ? 'true' : 'false');
  if (hovered >= 0 && !shown[of[hovered]]) hover(-1);
  redraw();
}
for (let k = 0; k < groups; ++k) {
  const count = inClass[k];
  if (!count || !none) continue;
  const [b, dot, name, size] = ['button', 'i', 'span', 'small'].map(tag => document.createElement(tag));
  b.type = 'button';
  b.title = name.textContent = names[k];
  size.textContent = count.toLocaleString('en');
  dot.style.color = colors[k];
  b.append(dot, name, size);
  b.addEventListener('click', () => { show(k, !shown[k]); refresh(); });
  b.addEventListener('dblclick', () => {
    const alone = buttons.every(([c]) => c === k ? shown[c] : !shown[c]);
    for (const [c] of buttons) show(c, alone || c === k);
    refresh();
  });
  buttons.push([k, b]);
  $('legend').append(b);
}
$('all').hidden = !none;
$('all').addEventListener('click', () => { shown.fill(1); refresh(); });
$('reset').addEventListener('click', reset);
$('in').addEventListener('click', () => zoom(1.5));
$('out').addEventListener('click', () => zoom(1 / 1.5));

// Names, or classes, that hold the words; Enter goes from one to the next.
search.addEventListener('input', () => {
  const words = search.value.trim().toLowerCase();
  matched = []; at = -1; matches = new Uint8Array(n);
  const holds = text => text.toLowerCase().includes(words);
  for (let i = 0; words && i < n; ++i) if (holds(data.names[i]) || (none && holds(names[of[i]]))) matched.push(i);
  for (const i of matched) matches[i] = 1;
  found.textContent = words ? `${matched.length.toLocaleString('en')} found` : '';
  hover(-1);
  redraw();
});
search.addEventListener('keydown', e => {
  const seen = matched.filter(i => shown[of[i]]);
  if (e.key === 'Escape') { search.value = ''; search.dispatchEvent(new Event('input')); }
  if (e.key !== 'Enter' || !seen.length) return;
  e.preventDefault();
  at = (at + (e.shiftKey ? seen.length - 1 : 1)) % seen.length;
  const i = seen[at];
  if (view.scale < 4 * fit) zoom(4 * fit / view.scale);
  pan(width / 2 - px(i), height / 2 - py(i));
  hover(i);
});
document.addEventListener('keydown', e => {
  if (e.target === search || e.ctrlKey || e.metaKey || e.altKey) return;
  const keys = {
    '+': () => zoom(1.3), '=': () => zoom(1.3), '-': () => zoom(1 / 1.3), '0': reset, Escape: () => hover(-1),
    ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
  };
  if (!keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
new ResizeObserver(resize).observe($('field'));

window.dinoEmbed = {
  count: n,
  get visible() { return buttons.filter(([k]) => shown[k]).map(([k]) => names[k]); },
  get view() { return {scale: view.scale, left: view.left, top: view.top, zoom: view.scale / fit}; },
  get hovered() { return hovered; },
  get found() { return matched.length; },
  get drawMs() { return drawMs; },
  screen: i => ({x: px(i), y: py(i)}),
  pick, reset, draw,
};
})();
)js";

}  // namespace dino::inline DINO_ABI::detail
