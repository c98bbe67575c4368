// The life of a request as a waterfall: what it was doing at each instant, told by Rust (lives.rs), here only drawn.
import { drawn, made } from "./elements.mjs";

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

/** The life of a request: the sum of each part, then every span where it lies. `name`: what the request is called. */
export function waterfall(request, name = `Request ${request.number + 1}`) {
  const whole = latencyOf(request);
  const parts = sums(request);
  const end = request.ended === null ? "had not ended when the run did" : request.served === false ? "was not served" : "was served";
  const head = made("p", {}, made("b", { textContent: `${name}, offered at ${time(request.at)}, took ${time(whole)} and ${end}.` }));
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
