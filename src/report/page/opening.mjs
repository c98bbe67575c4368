// The opening: one sentence, a ring for each run, and under each what is to be seen now. It follows a view's time.
import { element } from "./inspector.mjs";
import { indexMessages } from "./messages.mjs";
import { beatsOf, paceAt, seenAt } from "./pace.mjs";
import { inksOf, paintRing } from "./paint.mjs";
import { linksOf, onRing, ringOf } from "./ring.mjs";
import { indexScene, sceneAt, sentenceOf, systemTitle } from "./scene.mjs";

/** Makes a run ready for its ring. */
export function staged(run) {
  run.messageIndex ??= indexMessages(run.messages);
  run.scene ??= indexScene(run);
  return run;
}

/**
 * Fills `place` with the opening of some runs. `view` has the instant `t` and, if it plays at a constant pace, `pace`;
 * `pick(run, what, where)` is called with the node or link that is chosen, where there is something to choose. `heading` is the
 * element of the sentence.
 */
export function makeOpening(place, { lead, runs, view, pick = null, heading = "p" }) {
  const beats = beatsOf(runs);
  const rings = runs.map((run) => makeRing(run, view, beats, pick));
  place.replaceChildren(
    element(heading, { class: "headline" }, sentenceOf(lead, runs)),
    element("div", { class: `rings n${Math.min(runs.length, 4)}` }, rings.map(({ place: figure }) => figure)),
  );
  let waiting = false;
  const paint = () => {
    waiting = false;
    rings.forEach((ring) => ring.paint());
  };
  const dirty = () => {
    if (!waiting) requestAnimationFrame(paint);
    waiting = true;
  };
  const fit = () => {
    rings.forEach((ring) => ring.fit());
    paint();
  };
  return { beats, dirty, fit };
}

function makeRing(run, view, beats, pick) {
  const canvas = element("canvas", { role: "img", "aria-label": `${systemTitle(run.system)}: nodes on a ring, and the messages between them. The line below says what is to be seen.` });
  const caption = element("p", { class: "caption" });
  const spots = element("div", { class: "spots" });
  const figure = element("figure", { class: "ring", "data-system": run.system },
    element("figcaption", {}, systemTitle(run.system)), element("div", { class: "ground" }, canvas, spots), caption);
  const context = canvas.getContext("2d");
  let [ring, inks] = [null, null];
  const fit = () => {
    const box = canvas.parentElement;
    const [width, height] = [Math.max(120, box.clientWidth), Math.max(120, box.clientHeight)];
    const ratio = devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    ring = ringOf(run, width, height);
    inks = inksOf(figure);
    if (pick) placeSpots(spots, run, ring, pick);
  };
  const paint = () => {
    if (!ring) return;
    const seen = seenAt(view.pace ?? paceAt(beats, view.t));
    const scene = sceneAt(run, view.t, seen.lasts);
    paintRing(context, scene, ring, seen, inks);
    if (caption.textContent !== scene.caption) caption.textContent = scene.caption;
    if (caption.dataset.tone !== scene.tone) caption.dataset.tone = scene.tone;
  };
  if (pick) {
    const under = (event) => {
      const box = canvas.getBoundingClientRect();
      return onRing(run, ring, event.clientX - box.left, event.clientY - box.top);
    };
    canvas.addEventListener("pointermove", (event) => (canvas.style.cursor = under(event) ? "pointer" : ""));
    canvas.addEventListener("click", (event) => {
      const what = under(event);
      if (what) pick(run, what, { x: event.clientX, y: event.clientY });
    });
  }
  return { place: figure, fit, paint };
}

/** A button on every node, and one in the middle of every link: what a keyboard reaches. */
function placeSpots(spots, run, ring, pick) {
  const title = systemTitle(run.system);
  const spot = (label, what, x, y, size) => {
    const button = element("button", { type: "button", "aria-label": `${title}: ${label}`, title: label });
    Object.assign(button.style, { left: `${x - size / 2}px`, top: `${y - size / 2}px`, width: `${size}px`, height: `${size}px` });
    button.addEventListener("click", () => {
      const box = button.getBoundingClientRect();
      pick(run, what, { x: box.left + size / 2, y: box.bottom });
    });
    return button;
  };
  const nodes = run.nodes.map((node) => {
    const { x, y } = ring.places.get(node);
    return spot(`node ${run.name(node)}`, { node }, x, y, ring.unit * 2.2);
  });
  const links = linksOf(run).map((link) => {
    const [a, b] = link.map((end) => ring.places.get(end));
    return spot(`link ${link.map(run.name).join(" \u2013 ")}`, { link }, (a.x + b.x) / 2, (a.y + b.y) / 2, Math.min(24, ring.unit));
  });
  spots.replaceChildren(...nodes, ...links);
}
