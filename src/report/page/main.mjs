// Assembles the page: unpacks the runs, makes a pane for each, and keeps everything in step with the view.
import { CHARTS, indexSites } from "./charts.mjs";
import { messageLabel, setUpCopy, setUpFilters, setUpKeys, setUpPlaying, setUpSearch, setUpTheme } from "./controls.mjs";
import { inflate } from "./decode.mjs";
import { coloursOf, drawPane, hitAt } from "./draw.mjs";
import { wantsMotion } from "./film.mjs";
import { element, inspect } from "./inspector.mjs";
import { layoutOf, scaleOf } from "./layout.mjs";
import { indexMessages } from "./messages.mjs";
import { buildRun } from "./model.mjs";
import { makeOpening, staged } from "./opening.mjs";
import { prelude, telling } from "./pace.mjs";
import { Replay } from "./state.mjs";
import { fillTables, refusalNotes } from "./tables.mjs";
import { tourOf } from "./tour.mjs";
import { fromHash, toHash, View } from "./view.mjs";
import { unpacked, waterfall } from "./waterfall.mjs";
import { count, endText, opText, seconds } from "./words.mjs";

/** A run with all that the page looks up in it. */
export function prepared(page, raw, index) {
  const run = buildRun(page, raw, index);
  run.messageIndex = indexMessages(run.messages);
  run.messageById = new Map(run.messages.map((message) => [message.id, message]));
  run.siteOperations = indexSites(run);
  run.replay = new Replay(run);
  // Unpacked once an operation is chosen: a page opens without it.
  let lives = null;
  run.lifeOf = (id) => (lives ??= new Map(unpacked(raw.lives).map((life, at) => [run.operations[at].id, life]))).get(id);
  return staged(run);
}

async function start() {
  const page = JSON.parse(await inflate(document.getElementById("data").textContent));
  const runs = page.systems.map((raw, index) => prepared(page, raw, index));
  const view = new View(Math.max(...runs.map((run) => run.end)));
  const stops = tourOf(page, runs);
  const choose = (operation) => {
    const margin = Math.max(150, (operation.end - operation.start) * 1.5);
    view.show(operation.start - margin, operation.end + margin, { operation: operation.id, t: operation.end, stop: null });
    reveal(runs.findIndex((run) => run.byId.get(operation.id) === operation), { operation });
  };
  const reveal = (index, what) => {
    settle();
    panes[index].reveal(what);
  };
  // The tables above must have their final length before the page scrolls to something below them.
  const settle = () => panes.forEach((pane) => pane.settle());
  const shards = Math.max(...runs.map((run) => run.scopes.filter((scope) => scope !== "all").length));
  const panes = runs.map((run) => makePane(run, view, stops, choose, shards));
  document.getElementById("panes").replaceChildren(...panes.map(({ place }) => place));
  document.getElementById("panes").classList.add(`n${runs.length}`);
  const tour = setUpTour(view, runs, stops, settle);
  const find = (run, what) => reveal(run.index, what);
  setUpDifferences(page, runs, choose);
  for (const run of runs) run.firsts = firstsOf(page);
  fillTables(document.getElementById("tables"), runs, choose);
  setUpSearch(view, runs, choose, find);
  setUpFilters(view, runs);
  setUpCopy();
  setUpRoutine(view, runs);
  const redraw = () => {
    opening.fit();
    panes.forEach((pane) => pane.restyle());
  };
  setUpTheme(redraw);
  const opening = makeOpening(document.getElementById("opening"), { lead: page.scenario.title || page.scenario.name, runs, view });
  const playing = setUpPlaying(view, runs, opening.beats);
  setUpKeys(view, playing, tour);
  setUpZoom(view);
  view.set({ t: stops[0]?.t ?? 0 });
  setUpOpening(view, runs, opening, playing.film);
  followHash(view);
  addEventListener("resize", redraw);
  setUpPrint(redraw);
  view.onChange(() => panes.forEach((pane) => pane.dirty()));
  redraw();
  offerLegend();
  // For the console, and for tests.
  globalThis.schism = { runs, view, stops };
  document.documentElement.dataset.ready = "true";
}

function makePane(run, view, stops, choose, shards) {
  const canvas = element("canvas", { tabindex: "0", role: "img", "aria-label": `${run.system} over time: ${summary(run)} The tables at the end hold the same.` });
  const labels = element("div", { class: "labels" });
  const stage = element("div", { class: "stage" }, canvas, labels);
  const counts = element("p", { class: "counts" });
  const under = element("p", { class: "under" }, "Point at anything in the picture.");
  const life = element("div", { class: "life", "aria-live": "polite" });
  const panel = element("div", { class: "panel" });
  const place = element("section", { class: "pane", "aria-label": run.system, "data-system": run.system },
    element("h2", {}, run.system, element("span", { class: `badge ${run.outcome.verdict}` }, run.outcome.verdict)), stage, counts, under, life, refusalNotes(run, choose), panel);
  const context = canvas.getContext("2d");
  let [rows, colours, drawn, waiting] = [null, null, null, false];
  // The tables below follow the instant and the filters, but not the pointer, and not every frame.
  let [inspected, inspectedAt, followed] = ["", -Infinity, null];

  const draw = () => {
    waiting = false;
    drawn = drawPane(context, run, view, rows, colours, stops);
    counts.textContent = countsText(drawn.messages);
    if (followed !== view.operation) {
      followed = view.operation;
      life.replaceChildren(...lifeOf(run, followed));
    }
    const wanted = [view.t, view.node, view.routine, [...view.kinds], view.key, view.client].join("|");
    if (wanted === inspected) return;
    if (performance.now() - inspectedAt > 90) {
      inspect(panel, run, view, colours);
      [inspected, inspectedAt] = [wanted, performance.now()];
    } else setTimeout(dirty, 100);
  };
  // While the rings play, a pane that is out of sight need not follow.
  let isSeen = true;
  new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    if (isSeen) dirty();
  }).observe(place);
  const dirty = () => {
    if (waiting || (view.playing && !isSeen)) return;
    requestAnimationFrame(draw);
    waiting = true;
  };
  const restyle = () => {
    const width = Math.floor(stage.clientWidth);
    rows = layoutOf(run, { width, shards, charts: CHARTS });
    const ratio = devicePixelRatio || 1;
    Object.assign(canvas, { width: width * ratio, height: rows.height * ratio });
    Object.assign(canvas.style, { width: `${width}px`, height: `${rows.height}px` });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    colours = coloursOf(place);
    labels.replaceChildren(...rows.hosts.map((row) => hostLabel(run, row, view, rows)));
    inspected = "";
    inspectedAt = -Infinity;
    // At once, not with the next frame: there is no next frame before printing.
    draw();
  };
  const reveal = ({ operation, node, host, message }) => {
    const y = operation ? rows.laneOf.get(operation.client) : rows.rowOf.get(node ?? host ?? message?.from)?.y;
    bringIntoSight(place, stage, y ?? 0);
  };
  listen(canvas, { run, view, choose, under, rows: () => rows, drawn: () => drawn });
  const settle = () => {
    inspectedAt = -Infinity;
    draw();
  };
  return { place, dirty, restyle, reveal, settle };
}

/** The life of an operation as a waterfall, for the reader who has chosen it. */
function lifeOf(run, id) {
  const operation = run.byId.get(id);
  return operation ? waterfall(run.lifeOf(id), `#${id} of client ${operation.client}, ${opText(operation)}`) : [];
}

/** Air around what is brought into sight, in pixels. */
const AIR = 40;

/** Scrolls to a pane so that its row at `y` is in sight, between the tour and the scrubber; not at all if it is. */
function bringIntoSight(place, stage, y) {
  const top = document.querySelector(".tour").offsetHeight;
  const bottom = document.querySelector(".scrubber").getBoundingClientRect().top - AIR;
  const row = stage.getBoundingClientRect().top + y;
  if (row >= top + AIR && row <= bottom) return;
  const head = place.getBoundingClientRect().top - top;
  scrollBy({ top: row - head <= bottom ? head : row - bottom });
}

/** The legend stands open where the picture is in sight all the same. */
function offerLegend() {
  const legend = document.querySelector(".legend");
  legend.open = true;
  const top = document.querySelector(".top").getBoundingClientRect().top;
  legend.open = document.querySelector(".stage").getBoundingClientRect().top - top < innerHeight / 2;
}

/** What a picture shows, as a sentence. */
function summary(run) {
  const leaders = run.roles.filter(({ role }) => role === "primary").length;
  return `${count(run.nodes.length, "node")}, ${count(run.faults.length, "fault")}, ${count(leaders, "term as primary").replace("primarys", "primary")}, `
    + `${count(run.operations.length, "operation")}, ${count(run.messages.length, "message")}.`;
}

function hostLabel(run, row, view, rows) {
  const name = run.name(row.host);
  const style = `top: ${row.y - 11}px; width: ${rows.gutter - 8}px`;
  if (!row.isNode) return element("span", { class: "host", style }, rows.gutter < 80 ? name.replace(".clients", "") : name.replace(".", " "));
  const site = run.sites[run.siteOfHost.get(row.host)]?.name ?? "";
  return element("button", {
    type: "button", class: "host", style, title: `Choose ${name}`,
    onclick: () => view.set({ node: view.node === row.host ? null : row.host }),
  }, element("b", {}, name), ` ${site}`);
}

function countsText({ shown, routine, filtered, arrows }) {
  const parts = [arrows
    ? `${count(shown.length, "message")} in view, each an arrow.`
    : `${count(shown.length, "message")} in view, shown as counts over time: zoom in for arrows.`];
  if (routine) parts.push(`${routine.toLocaleString("en")} heartbeats and AppendEntries without effect are collapsed.`);
  if (filtered) parts.push(`${filtered.toLocaleString("en")} are hidden by the filters.`);
  return parts.join(" ");
}

/** Pointer and wheel: the crosshair in every pane, dragging, zooming, choosing. */
function listen(canvas, { run, view, choose, under, rows, drawn }) {
  let drag = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const timeAt = (x) => scaleOf(view, rows()).t(x);
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (drag) {
      const by = (drag.x - x) / scaleOf(view, rows()).perMs;
      if (Math.abs(drag.x - x) > 3) drag.moved = true;
      if (drag.moved) view.show(drag.from + by, drag.until + by, { hover: null });
      return;
    }
    const t = timeAt(x);
    view.set({ hover: t >= view.from && t <= view.until ? t : null });
    under.textContent = `${seconds(t)}  ${hitText(run, hitAt(run, view, rows(), drawn(), x, y))}`;
  });
  canvas.addEventListener("pointerleave", () => view.set({ hover: null }));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { x: at(event)[0], from: view.from, until: view.until, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", (event) => {
    const moved = drag?.moved;
    drag = null;
    if (moved) return;
    const [x, y] = at(event);
    const hit = hitAt(run, view, rows(), drawn(), x, y);
    if (hit?.operation) view.set({ operation: hit.operation.id, t: hit.operation.end });
    else view.go(timeAt(x), hit?.node ? { node: hit.node } : {});
  });
  canvas.addEventListener("dblclick", (event) => view.zoom(0.4, timeAt(at(event)[0])));
  canvas.addEventListener("wheel", (event) => {
    // The wheel alone scrolls the page, as everywhere.
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.pan((event.deltaX || event.deltaY) / 1500);
    else if (event.ctrlKey || event.metaKey || event.altKey) view.zoom(Math.exp(event.deltaY / 400), timeAt(at(event)[0]));
    else return;
    event.preventDefault();
  }, { passive: false });
}

function hitText(run, hit) {
  if (!hit) return "";
  if (hit.operation) return `#${hit.operation.id} client ${hit.operation.client}: ${opText(hit.operation)}, ${endText(run, hit.operation)}, ${Math.round(hit.operation.end - hit.operation.start)} ms, ${count(hit.operation.attempts, "attempt")}`;
  if (hit.message) return messageLabel(run, hit.message);
  if (hit.fault) return hit.fault.text;
  return run.name(hit.node);
}

function setUpTour(view, runs, stops, settle) {
  const [place, text] = [document.getElementById("stops"), document.getElementById("stop-text")];
  const go = (index) => {
    const stop = stops[Math.min(Math.max(index, 0), stops.length - 1)];
    if (!stop) return;
    view.show(stop.from, stop.until, { stop: stop.number - 1, t: stop.t, operation: stop.operations[0] ?? null, node: null, hover: null });
    settle();
    // Where panes are stacked, the one that the stop is about; it stops below the tour, which stays in sight.
    const nav = place.closest(".tour");
    const target = innerWidth < 1000 ? document.querySelectorAll(".pane")[stop.system ?? 0] : nav;
    target.style.scrollMarginTop = target === nav ? "" : `${nav.offsetHeight}px`;
    target.scrollIntoView({ block: "start" });
    const button = place.children[stop.number - 1];
    place.scrollLeft = button.offsetLeft - place.offsetLeft - AIR;
  };
  const buttons = stops.map((stop, index) => element("li", {}, element("button", { type: "button", onclick: () => go(index) }, element("b", {}, String(stop.number)), ` ${stop.title}`)));
  place.replaceChildren(...buttons);
  const show = () => {
    const stop = view.stop === null ? null : stops[view.stop];
    buttons.forEach((button, index) => button.firstChild.setAttribute("aria-current", index === view.stop ? "step" : "false"));
    const where = stop && stop.system !== null && runs.length > 1 ? `${runs[stop.system].system}. ` : "";
    text.textContent = stop ? `${where}${stop.text}` : "Step through what matters here, in order: press n, or choose a number.";
  };
  document.getElementById("previous").addEventListener("click", () => go((view.stop ?? 1) - 1));
  document.getElementById("next").addEventListener("click", () => go((view.stop ?? -1) + 1));
  view.onChange((changed) => changed.includes("stop") && show());
  show();
  return { go };
}

/** Letters for the operations that first ended differently, by their ids. */
function firstsOf({ comparison }) {
  const firsts = new Map();
  for (const [letter, found] of [["A", comparison?.availability], ["S", comparison?.safety]]) {
    if (found) firsts.set(found.operation, (firsts.get(found.operation) ?? "") + letter);
  }
  return firsts;
}

/** The first operations that ended differently, with a way to them. */
function setUpDifferences(page, runs, choose) {
  const place = document.getElementById("differences");
  const named = [["First served by one only", page.comparison?.availability], ["First served wrongly", page.comparison?.safety]];
  place.replaceChildren(...named.filter(([, found]) => found).map(([name, { operation, sentence }]) =>
    element("p", {}, element("button", { type: "button", class: "link", onclick: () => choose(runs[0].byId.get(operation)) }, name), `: ${sentence}.`)));
}

/**
 * The rings follow the view. Without a link to an instant they play by themselves until the reader does anything, or
 * stand still at the most telling instant where no motion is wanted. A link into the panes leads there.
 */
function setUpOpening(view, runs, opening, film) {
  // The playground has the rings on its own first screen.
  const isBelowRings = globalThis.name === "below-rings";
  document.getElementById("opening").hidden = isBelowRings;
  if (isBelowRings) return;
  view.onChange(() => opening.dirty());
  const lead = () => {
    const { t, from, node, operation } = fromHash(location.hash);
    const isIntoPanes = [from, node, operation].some((one) => one !== undefined);
    if (isIntoPanes) document.querySelector(".tour").scrollIntoView({ block: "start" });
    return isIntoPanes || t !== undefined;
  };
  addEventListener("hashchange", () => {
    if (lead()) film.stop();
  });
  if (lead() || !opening.beats.length) return;
  view.set({ t: wantsMotion() ? prelude(opening.beats) : telling(runs, opening.beats) });
  if (!wantsMotion()) return;
  film.start();
  const touched = new AbortController();
  const end = () => {
    film.stop();
    touched.abort();
  };
  const { signal } = touched;
  const isPlaying = (target) => target instanceof Element && target.closest(".scrubber button");
  addEventListener("pointerdown", ({ target }) => (isPlaying(target) ? touched.abort() : end()), { signal, capture: true });
  addEventListener("keydown", ({ key }) => (key === " " || key === "Tab" ? null : end()), { signal, capture: true });
  const away = new IntersectionObserver((entries) => {
    if (!entries.at(-1).isIntersecting && !signal.aborted) end();
  });
  away.observe(document.getElementById("opening"));
}

function setUpRoutine(view, runs) {
  const box = document.getElementById("routine");
  const quiet = runs.reduce((sum, run) => sum + run.messages.filter((message) => message.quiet).length, 0);
  document.getElementById("routine-count").textContent = `show ${quiet.toLocaleString("en")} heartbeats and AppendEntries without effect`;
  box.addEventListener("change", () => view.set({ routine: box.checked }));
}

/** On paper: light, and all tables open. */
function setUpPrint(redraw) {
  const { dataset } = document.documentElement;
  let [theme, opened] = [null, []];
  addEventListener("beforeprint", () => {
    theme = dataset.theme ?? null;
    dataset.theme = "light";
    document.documentElement.classList.add("printing");
    opened = [...document.querySelectorAll("#tables details:not([open])")];
    for (const details of opened) details.open = true;
    redraw();
  });
  addEventListener("afterprint", () => {
    if (theme === null) delete dataset.theme;
    else dataset.theme = theme;
    document.documentElement.classList.remove("printing");
    for (const details of opened) details.open = false;
    redraw();
  });
}

function setUpZoom(view) {
  document.getElementById("in").addEventListener("click", () => view.zoom(0.5));
  document.getElementById("out").addEventListener("click", () => view.zoom(2));
  document.getElementById("all").addEventListener("click", () => view.show(0, view.end));
}

/** The link follows the view, and the view the link. */
function followHash(view) {
  const follow = () => {
    const { from, until, ...changes } = fromHash(location.hash);
    if (from !== undefined) view.show(from, until, changes);
    else if (changes.t !== undefined) view.go(changes.t, changes);
    else view.set(changes);
  };
  let timer = null;
  view.onChange((changed) => {
    if (changed.every((name) => name === "hover")) return;
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", toHash(view)), 250);
  });
  addEventListener("hashchange", follow);
  follow();
}

if (typeof document !== "undefined" && document.getElementById("data")) {
  start().catch((error) => {
    document.getElementById("failed").hidden = false;
    document.getElementById("failed").textContent = `The picture cannot be shown: ${error.message}. The verdicts above hold all the same.`;
    throw error;
  });
}
