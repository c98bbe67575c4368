// The requests of a run: how many came and how long they took over time, and the life of the one that is chosen.
import { drawn, made } from "../page/elements.mjs";
import { latencyOf, time, unpacked, waterfall } from "../page/waterfall.mjs";

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
const TALL = 190;
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
  const y = (us) => TALL - 22 - ((TALL - 34) * (Math.log10(Math.max(us, 10 ** low)) - low)) / (high - low);
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
  picture.setAttribute("viewBox", `0 0 ${wide} ${TALL + LOAD}`);
  picture.setAttribute("height", TALL + LOAD);
  picture.setAttribute("aria-label", `${all.length} requests over ${time(until)}, ${served} of them served; each a dot at the time it was offered, as high as it took. The buttons below choose one.`);
  picture.replaceChildren();
  for (let power = low; power <= high; power += 1) {
    picture.append(drawn("line", { class: "grid", x1: LEFT, x2: right, y1: y(10 ** power), y2: y(10 ** power) }),
      drawn("text", { class: "left", x: LEFT - 6, y: y(10 ** power) + 4 }, time(10 ** power)));
  }
  const dots = (some) => some.map((request) => `M${x(request.at).toFixed(1)} ${y(latencyOf(request)).toFixed(1)}h0`).join("");
  picture.append(drawn("path", { class: "dots", d: dots(all.filter(isServed)) }), drawn("path", { class: "dots unserved", d: dots(all.filter((one) => !isServed(one))) }));
  if (chosen) picture.append(drawn("circle", { class: "chosen", cx: x(chosen.at), cy: y(latencyOf(chosen)), r: 6 }));
  const [base, step] = [TALL + LOAD - 18, (right - LEFT) / bins];
  counts.forEach((count, bin) => {
    const high = ((LOAD - 22) * count.served) / most;
    const more = ((LOAD - 22) * count.unserved) / most;
    const at = { x: LEFT + bin * step, width: Math.max(1, step - 1) };
    picture.append(drawn("rect", { class: "served", ...at, y: base - high, height: high }), drawn("rect", { class: "unserved", ...at, y: base - high - more, height: more }));
  });
  picture.append(drawn("text", { class: "left", x: LEFT - 6, y: base - LOAD + 30 }, "offered"), drawn("line", { class: "axis", x1: LEFT, x2: right, y1: base + 0.5, y2: base + 0.5 }));
  for (let tick = 0; tick <= 4; tick += 1) {
    picture.append(drawn("text", { class: tick === 4 ? "left" : tick === 0 ? "right" : "", x: x((until * tick) / 4), y: TALL + LOAD - 4 }, time((until * tick) / 4)));
  }
}
