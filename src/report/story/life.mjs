// The requests of a run: how many came and how long they took over time, and the life of one of them as a waterfall. What a
// request was doing at each instant is said by Rust (lives.rs); here it is only drawn.
import { drawn, made } from "./bars.mjs";

/** The parts of a life, from the page's point of view: a word for each; its colour is the class of the same name. */
export const PARTS = {
  distance: "distance", queueing: "queueing", processing: "processing", transfer: "bytes on the wire", lost: "lost time", idle: "at the client",
};

/** The requests of a run, unpacked: spans with their beginning, all in microseconds since the run began. */
export function unpacked({ whats, rows }) {
  return rows.map(([at, ended, served, ...flat], number) => {
    const spans = [];
    let from = at;
    for (let i = 0; i < flat.length; i += 2) {
      const [part, what] = whats[flat[i]];
      spans.push({ part, what, from, took: flat[i + 1] });
      from += flat[i + 1];
    }
    return { number, at, ended: ended < 0 ? null : ended, served: served < 0 ? null : served === 1, spans };
  });
}

/** How long a request took; one without an end, until the last thing that is known of it. */
export const latencyOf = ({ at, ended, spans }) => (ended ?? at + spans.reduce((sum, { took }) => sum + took, 0)) - at;

/** How long each part took, in the order of `PARTS`, without those that took no time. */
export function sums({ spans }) {
  const of = (part) => spans.filter((span) => span.part === part).reduce((sum, { took }) => sum + took, 0);
  return Object.keys(PARTS).map((part) => [part, of(part)]).filter(([, took]) => took > 0);
}

/** A number of microseconds for people. */
export function time(us) {
  if (us >= 1e6) return `${Number((us / 1e6).toPrecision(3))} s`;
  return `${Number((us / 1e3).toPrecision(3))} ms`;
}

/** In how many of equally long whiles what was offered was served, was not, or had not ended. */
export function load(requests, until, bins) {
  const counts = Array.from({ length: bins }, () => ({ served: 0, unserved: 0 }));
  for (const request of requests) {
    const bin = Math.min(bins - 1, Math.floor((request.at / until) * bins));
    counts[bin][isServed(request) ? "served" : "unserved"] += 1;
  }
  return counts;
}

/** One whose story does not say whether it was served counts as served if it ended. */
const isServed = ({ served, ended }) => served ?? ended !== null;

const LEFT = 52;
const HIGH = 190;
const LOAD = 70;

/** The requests of a run as an element: a picture to choose from, and what was chosen. `until`: where all runs end. */
export function requests(run, until) {
  const all = unpacked(run.lives);
  const picture = drawn("svg", { class: "requests", role: "img" });
  const told = made("div", { className: "life" });
  told.setAttribute("aria-live", "polite");
  const place = made("div", { className: "follow" });
  let chosen = slowest(all);
  const number = made("input", { type: "number", min: 1, max: all.length, value: chosen + 1 });
  const choose = (next) => {
    if (!Number.isInteger(next)) return;
    chosen = Math.max(0, Math.min(all.length - 1, next));
    number.value = chosen + 1;
    draw();
    told.replaceChildren(...waterfall(all[chosen]));
  };
  number.onchange = () => choose(Number(number.value) - 1);
  const button = (words, go) => made("button", { type: "button", textContent: words, onclick: () => choose(go()) });
  const controls = made("p", { className: "row" }, made("label", {}, "Request ", number, ` of ${all.length}`),
    button("Earlier", () => chosen - 1), button("Later", () => chosen + 1), button("Slowest", () => slowest(all)), button("Median", () => median(all)));
  const draw = () => drawRequests(picture, all, all[chosen], until);
  picture.onclick = (event) => {
    const box = picture.getBoundingClientRect();
    choose(nearest(picture.scale, all, event.clientX - box.left, event.clientY - box.top));
  };
  new ResizeObserver(draw).observe(picture);
  place.append(made("h4", { textContent: `${run.name}: ${run.what}` }), picture, controls, told);
  if (all.length > 0) choose(chosen);
  return place;
}

const byLatency = (all) => [...all].sort((a, b) => latencyOf(a) - latencyOf(b));
const slowest = (all) => byLatency(all).at(-1)?.number ?? 0;
const median = (all) => byLatency(all)[Math.floor(all.length / 2)]?.number ?? 0;

/** Places of instants and latencies: latencies by powers of ten, from the smallest to the largest. */
function scaleOf(all, until, wide) {
  const took = all.map(latencyOf).filter((us) => us > 0);
  const low = Math.floor(Math.log10(Math.min(...took, 1e6)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...took, 10))));
  const right = Math.max(LEFT + 40, wide - 8);
  const x = (us) => LEFT + ((right - LEFT) * us) / until;
  const y = (us) => HIGH - 22 - ((HIGH - 34) * (Math.log10(Math.max(us, 10 ** low)) - low)) / (high - low);
  return { x, y, low, high, right };
}

function nearest({ x, y }, all, left, top) {
  const away = (request) => (x(request.at) - left) ** 2 + (y(latencyOf(request)) - top) ** 2;
  return all.reduce((best, request) => (away(request) < away(best) ? request : best), all[0]).number;
}

function drawRequests(picture, all, chosen, until) {
  const wide = picture.clientWidth || 640;
  const scale = scaleOf(all, until, wide);
  picture.scale = scale;
  const { x, y, low, high, right } = scale;
  const bins = Math.max(10, Math.min(80, Math.floor((right - LEFT) / 8)));
  const counts = load(all, until, bins);
  const most = Math.max(1, ...counts.map(({ served, unserved }) => served + unserved));
  const served = all.filter(isServed).length;
  picture.setAttribute("viewBox", `0 0 ${wide} ${HIGH + LOAD}`);
  picture.setAttribute("height", HIGH + LOAD);
  picture.setAttribute("aria-label", `${all.length} requests over ${time(until)}, ${served} of them served; each a dot at the time it was offered, as high as it took. The buttons below choose one.`);
  picture.replaceChildren();
  for (let power = low; power <= high; power += 1) {
    picture.append(drawn("line", { class: "grid", x1: LEFT, x2: right, y1: y(10 ** power), y2: y(10 ** power) }),
      drawn("text", { class: "left", x: LEFT - 6, y: y(10 ** power) + 4 }, time(10 ** power)));
  }
  const dots = (some) => some.map((request) => `M${x(request.at).toFixed(1)} ${y(latencyOf(request)).toFixed(1)}h0`).join("");
  picture.append(drawn("path", { class: "dots", d: dots(all.filter(isServed)) }), drawn("path", { class: "dots unserved", d: dots(all.filter((one) => !isServed(one))) }));
  if (chosen) picture.append(drawn("circle", { class: "chosen", cx: x(chosen.at), cy: y(latencyOf(chosen)), r: 6 }));
  const [base, step] = [HIGH + LOAD - 18, (right - LEFT) / bins];
  counts.forEach((count, bin) => {
    const high = ((LOAD - 22) * count.served) / most;
    const more = ((LOAD - 22) * count.unserved) / most;
    const at = { x: LEFT + bin * step, width: Math.max(1, step - 1) };
    picture.append(drawn("rect", { class: "served", ...at, y: base - high, height: high }), drawn("rect", { class: "unserved", ...at, y: base - high - more, height: more }));
  });
  picture.append(drawn("text", { class: "left", x: LEFT - 6, y: base - LOAD + 30 }, "offered"), drawn("line", { class: "axis", x1: LEFT, x2: right, y1: base + 0.5, y2: base + 0.5 }));
  for (let tick = 0; tick <= 4; tick += 1) {
    picture.append(drawn("text", { class: tick === 4 ? "left" : tick === 0 ? "right" : "", x: x((until * tick) / 4), y: HIGH + LOAD - 4 }, time((until * tick) / 4)));
  }
}

/** The life of a request: the sum of each part, then every span where it lies. */
export function waterfall(request) {
  const whole = latencyOf(request);
  const parts = sums(request);
  const end = request.ended === null ? "had not ended when the run did" : request.served === false ? "was not served" : "was served";
  const head = made("p", {}, made("b", { textContent: `Request ${request.number + 1}, offered at ${time(request.at)}, took ${time(whole)} and ${end}.` }));
  const sum = made("ul", { className: "sums" }, ...parts.map(([part, took]) => made("li", {},
    swatch(part), ` ${PARTS[part]} `, made("b", { textContent: time(took) }))));
  const stripe = drawn("svg", { class: "stripe", viewBox: "0 0 1000 12", preserveAspectRatio: "none", "aria-hidden": "true" });
  let at = 0;
  for (const [part, took] of parts) {
    const width = whole ? (1000 * took) / whole : 0;
    stripe.append(drawn("rect", { class: part, x: at, width, height: 12 }));
    at += width;
  }
  const rows = request.spans.map((span) => {
    const picture = drawn("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    const from = whole ? (1000 * (span.from - request.at)) / whole : 0;
    picture.append(drawn("rect", { class: "ground", width: 1000, height: 10 }),
      drawn("rect", { class: span.part, x: Math.min(from, 996), width: Math.max(4, whole ? (1000 * span.took) / whole : 4), height: 10 }));
    return made("li", {}, made("span", {}, swatch(span.part), ` ${span.what}`), picture, made("span", { className: "took", textContent: time(span.took) }));
  });
  return [head, stripe, sum, made("ol", { className: "spans", tabIndex: 0, ariaLabel: "What it did" }, ...rows)];
}

function swatch(part) {
  const picture = drawn("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" });
  picture.append(drawn("rect", { class: part, width: 10, height: 10 }));
  return picture;
}
