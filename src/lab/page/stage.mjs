// The first screen: the rings of a run, one slider, and what a click on a node or a link offers.
import { inflate } from "./page/decode.mjs";
import { Film, wantsMotion } from "./page/film.mjs";
import { element } from "./page/inspector.mjs";
import { buildRun } from "./page/model.mjs";
import { makeOpening, staged } from "./page/opening.mjs";
import { prelude, SLOW_MOTION, stepFrom, stepsOf, telling } from "./page/pace.mjs";
import { blankRun } from "./page/scene.mjs";
import { View } from "./page/view.mjs";

export { wantsMotion };

const of = (id) => document.getElementById(id);

/** The runs in an answer of the engine: the data that are embedded in its page. */
export async function runsIn(html) {
  const data = /<script type="text\/plain" id="data">([^<]*)</.exec(html)[1];
  const page = JSON.parse(await inflate(data));
  return page.systems.map((raw, index) => staged(buildRun(page, raw, index)));
}

/** How many events two runs have in common from the beginning, and when (in ms) the first one differs. */
export function sharedPast({ events: a }, { events: b }) {
  const same = (i) => a.t[i] === b.t[i] && a.host[i] === b.host[i] && a.words(i) === b.words(i)
    && Object.keys(a.tables[a.name(i)].columns).every((field) => HASHES.has(field) || a.field(i, field) === b.field(i, field));
  const least = Math.min(a.count, b.count);
  let i = 0;
  while (i < least && same(i)) i += 1;
  return { events: i, until: Math.min(a.t[i] ?? Infinity, b.t[i] ?? Infinity) };
}

/** Fields whose numbers only say which of one run are equal: two runs number them each for itself. */
const HASHES = new Set(["payload", "outcome", "state"]);

/**
 * Sets the first screen up. `offers(run, what, ms)` says what can be done to a node or a link at an instant: `{ words, act }`
 * each; `moved(ms)` is told where the time stands whenever it has come to rest.
 */
export function makeStage({ offers, moved }) {
  const [play, slow, time, now] = ["play", "slow", "time", "now"].map(of);
  const stage = { view: new View(1), runs: [], opening: null, steps: null };
  stage.film = new Film(stage.view, [], () => {
    play.textContent = stage.film.playing ? "Pause" : "Play";
    if (!stage.film.playing) moved(stage.view.t);
  });
  const told = () => {
    time.value = String(Math.round(stage.view.t));
    now.textContent = `${(stage.view.t / 1000).toFixed(3)} s`;
    time.setAttribute("aria-valuetext", now.textContent);
  };
  const follow = (view) => view.onChange(() => {
    stage.opening?.dirty();
    told();
  });
  const pick = (run, what, where) => {
    const offered = offers(run, what, Math.ceil(stage.view.t));
    if (offered.length) openMenu(stage, offered, nameOf(run, what), where);
  };

  /** Shows runs: from the instant `t`, or from where their film begins. */
  stage.show = (lead, runs, { t = null, plays = false } = {}) => {
    closeMenu();
    stage.film.stop();
    const view = new View(Math.max(...runs.map(({ end }) => end)));
    const isBlank = runs.some(({ note }) => note);
    Object.assign(stage, { runs, view, steps: null });
    stage.opening = makeOpening(of("opening"), { lead, runs, view, pick: isBlank ? null : pick, heading: "h1" });
    const { beats } = stage.opening;
    Object.assign(stage.film, { view, beats });
    time.max = String(Math.ceil(view.end));
    view.set({ t: t ?? (isBlank ? 0 : wantsMotion() ? prelude(beats) : telling(runs, beats)), pace: paceChosen() });
    follow(view);
    stage.opening.fit();
    told();
    if (plays && !isBlank) stage.film.start();
  };
  /** Shows the hosts of what is yet to be run. */
  stage.blank = (lead, sites, systems, end, note) => stage.show(lead, systems.map((system) => staged(blankRun(system, sites, end, note))));
  stage.step = (direction) => {
    stage.film.stop();
    stage.steps ??= stepsOf(stage.runs);
    stage.view.go(stepFrom(stage.steps, stage.view.t, direction));
    moved(stage.view.t);
  };
  const paceChosen = () => (slow.getAttribute("aria-pressed") === "true" ? SLOW_MOTION : null);
  play.onclick = () => stage.film.toggle();
  slow.onclick = () => {
    slow.setAttribute("aria-pressed", String(!paceChosen()));
    stage.view.set({ pace: paceChosen() });
    stage.film.start();
  };
  of("step").onclick = () => stage.step(1);
  time.oninput = () => {
    stage.film.stop();
    stage.view.go(Number(time.value));
  };
  time.onchange = () => moved(stage.view.t);
  addEventListener("resize", () => stage.opening?.fit());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => stage.opening?.fit());
  document.addEventListener("keydown", (event) => keyPressed(event, stage));
  return stage;
}

function keyPressed(event, stage) {
  if (event.key === "Escape") closeMenu();
  if (event.ctrlKey || event.metaKey || event.altKey || !isOnStage(event.target)) return;
  const act = { " ": () => stage.film.toggle(), ArrowRight: () => stage.step(1), ArrowLeft: () => stage.step(-1) }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** Whether a key pressed here is meant for the film: on the first screen, and not on something that has its own keys. */
const isOnStage = (target) => target === document.body || (target.closest("#first") && !target.closest("button, input"));

const nameOf = (run, { node, link }) => (link ? `the link ${link.map(run.name).join(" \u2013 ")}` : run.name(node));

/** Whether it played when the menu was opened, and what had the focus: both go on when it is closed. */
let opened = null;

function openMenu(stage, offers, title, where) {
  closeMenu();
  opened = { stage, plays: stage.film.playing, focus: document.activeElement };
  stage.film.stop();
  const menu = of("acts");
  const buttons = offers.map(({ words, act }) => element("button", {
    type: "button",
    onclick: () => {
      const { plays } = opened;
      opened = null;
      menu.hidden = true;
      act(plays);
    },
  }, words));
  menu.replaceChildren(element("p", {}, `${title}, from ${of("now").textContent} on`), ...buttons, element("button", { type: "button", class: "link", onclick: closeMenu }, "Leave it"));
  menu.hidden = false;
  const [width, height] = [menu.offsetWidth, menu.offsetHeight];
  const left = Math.min(Math.max(8, where.x - width / 2), innerWidth - width - 8);
  const top = Math.min(Math.max(8, where.y + 8), innerHeight - height - 8);
  Object.assign(menu.style, { left: `${left}px`, top: `${top}px` });
  menu.querySelector("button").focus();
}

function closeMenu() {
  if (!opened) return;
  const { stage, plays, focus } = opened;
  opened = null;
  of("acts").hidden = true;
  focus?.focus?.({ preventScroll: true });
  if (plays) stage.film.start();
}

document.addEventListener("pointerdown", ({ target }) => {
  if (!target.closest("#acts")) closeMenu();
});
