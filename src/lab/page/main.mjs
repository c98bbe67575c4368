// The playground: the first screen, the form, the network, the runs.
import { offersOn, onLeader } from "./acts.mjs";
import * as engines from "./engine.mjs";
import { isLesson } from "./asked.mjs";
import { teach } from "./lesson.mjs";
import { fromLink, toLink } from "./link.mjs";
import { draw } from "./network.mjs";
import {
  clicks, faultsOf, forked, isEdited, isFixed, question, seconds, settingOf, sitesOf, stopping, told, withFault, withSite,
  withoutFault,
} from "./setting.mjs";
import { makeStage, runsIn, sharedPast, wantsMotion } from "./stage.mjs";

const of = (id) => document.getElementById(id);
const made = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const isNative = document.documentElement.dataset.engine === "native";
const engine = isNative ? engines.native() : engines.wasm();
let catalogue;
/** The kinds of fault that a click can make, by menu. */
let menus;
let setting;
/** Every run so far: its setting, its answer, the addresses of its page and its file. */
const runs = [];
/** The one that is on the first screen. */
let onStage = null;
let stage;

const at = () => Math.round(Number(of("at-s").value) * 1000);
const length = () => Math.max(1, Math.round(Number(of("for-s").value) * 1000));

function complain(message) {
  of("refused").hidden = !message;
  of("refused").textContent = message ?? "";
  // The form is below the first screen.
  of("told").textContent = message ?? "";
  return false;
}

/** Makes an edit, and shows it or why it cannot be made; the engine checks it. */
function change(edit) {
  complain(null);
  try {
    setting = edit(setting);
    refresh();
  } catch (error) {
    complain(error.message);
  }
  show();
}

const some = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function show() {
  const { plan } = setting;
  // Title and story describe the scenario as it was written; the engine names an edited one.
  const [title, story] = isEdited(setting) ? [setting.title ?? `${plan.scenario}, edited`, ""] : [plan.title, plan.story];
  of("title").textContent = `${title}. ${plan.duration_ms / 1000} simulated seconds, ${plan.operations} operations.`;
  of("story-text").replaceChildren(...story.trim().split(/\n\s*\n/).map((text) => made("p", { textContent: text })));
  of("story").hidden = !story.trim();
  of("at").max = plan.duration_ms;
  of("at").value = at();
  showSites();
  of("systems").querySelectorAll("input").forEach((box) => (box.checked = setting.systems.includes(box.value)));
  const chosen = (menu) => menus[menu].find(({ words }) => words === of(menu).value).fault;
  const step = { onLink: (a, b) => add(chosen("link-kind")(a, b)), onNode: (name) => add(chosen("node-kind")(name)) };
  const broken = draw(of("network"), setting, at(), step);
  const count = broken.links.size + broken.nodes.size;
  of("picture").textContent = `At ${seconds(at())}: ${count === 0 ? "nothing is broken" : `${some(broken.links.size, "link")} and ${some(broken.nodes.size, "node")} broken`}.`;
  showFaults();
  saveLink();
  of("forking").hidden = !setting.fork;
  if (setting.fork) {
    const free = made("button", { type: "button", textContent: "Leave the fork", onclick: () => change((now) => ({ ...now, fork: null })) });
    of("forking").replaceChildren(`A fork at ${seconds(setting.fork.at_ms)}: what began before stays as it was. `, free);
  }
}

const add = (fault) => change((now) => withFault(now, { at_ms: at(), for_ms: length(), ...fault }, stopping(catalogue.kinds)));

function showSites() {
  // A field in which the user types has its value already.
  if (document.activeElement?.closest("#sites")) return;
  const fields = sitesOf(setting).flatMap((site, index) => ["nodes", "clients"].map((field) => {
    const input = made("input", { type: "number", min: 0, max: 20, value: site[field], id: `${field}-${index}` });
    input.onchange = () => change((now) => withSite(now, index, { [field]: Math.max(0, Math.round(Number(input.value))) }));
    return made("label", {}, `${site.name} ${field} `, input);
  }));
  of("sites").replaceChildren(...fields);
}

function offerSystems() {
  of("systems").replaceChildren(...catalogue.systems.map((system) => {
    const box = made("input", { type: "checkbox", value: system });
    box.onchange = () => change((now) => ({
      ...now,
      systems: catalogue.systems.filter((name) => (name === system ? box.checked : now.systems.includes(name))),
    }));
    return made("label", {}, box, ` ${system}`);
  }));
}

function showFaults() {
  of("faults").replaceChildren(...faultsOf(setting).map((fault, index) => {
    // Until the engine has sent its description, show its kind and its instant.
    const words = fault.words ?? `${fault.fault.replace("_", " ")}, from ${seconds(fault.at_ms)}`;
    const remove = made("button", { type: "button", textContent: "Remove", disabled: isFixed(setting, fault) });
    remove.setAttribute("aria-label", `Remove: ${words}`);
    remove.onclick = () => change((now) => withoutFault(now, index));
    const show = made("button", { type: "button", className: "link", textContent: words });
    show.onclick = () => goTo(fault.at_ms);
    return made("li", {}, show, " ", remove);
  }));
}

function goTo(ms) {
  of("at-s").value = ms / 1000;
  show();
}

function choose(name) {
  const plan = catalogue.scenarios.find(({ scenario }) => scenario === name);
  setting = settingOf(plan, of("seed").value.trim() || "0");
  if (setting.systems.length === 0) setting.systems = ["raft", "dual-primary"];
  complain(null);
  // A scenario's nemesis draws its faults from the seed.
  refresh();
  if (plan.faults[0]) of("at-s").value = plan.faults[0].at_ms / 1000;
  show();
}

/** Asks for a setting's plan: what its scenario draws from the seed, its faults in words, and whether it can be run. */
async function refresh() {
  const asked = setting;
  // An error of a plan is an error of the next run too, and is shown there.
  const plan = await engine.ask({ ask: "plan", setting: told(asked) }).catch(() => null);
  if (setting !== asked || !plan) return false;
  if (plan.kind === "refused") {
    complain(plan.message);
    return false;
  }
  const { faults } = plan;
  const title = isEdited(setting) ? plan.title : null;
  setting = setting.faults ? { ...setting, faults, title } : { ...setting, title, plan: { ...setting.plan, faults } };
  show();
  return true;
}

async function open(file) {
  const toml = await file.text();
  const seed = of("seed").value.trim() || "0";
  const plan = await engine.ask({ ask: "plan", setting: { toml, seed } });
  if (plan.kind === "refused") return complain(plan.message);
  const kept = setting.systems;
  setting = settingOf(plan, seed, toml);
  if (setting.systems.length === 0) setting.systems = kept;
  complain(null);
  show();
}

const addressOf = (text, type) => URL.createObjectURL(new Blob([text], { type }));

const isBusy = () => "busy" in document.documentElement.dataset;

async function run() {
  // The run that the page opened with makes way.
  while (isBusy()) {
    engine.stop();
    await new Promise((later) => setTimeout(later, 10));
  }
  setting = { ...setting, seed: of("seed").value.trim() || "0" };
  if (!(await perform(setting, question(setting)))) return;
  of("result").focus({ preventScroll: true });
  of("result").scrollIntoView({ block: "start" });
}

/**
 * Asks for a run and shows what comes of it: `t` and `plays` are for the first screen. Returns whether it came. The run that
 * the page opens with (`isOpening`) does not keep a reader from starting another.
 */
async function perform(ran, asked, shown = {}, isOpening = false) {
  complain(null);
  busy(true, isOpening);
  const began = performance.now();
  try {
    const answer = await engine.ask(asked);
    if (answer.kind === "refused") return complain(answer.message);
    await arrived(ran, answer, performance.now() - began, shown);
    return true;
  } catch (error) {
    return complain(error.name === "AbortError" ? "Stopped." : `The engine failed: ${error.message}`);
  } finally {
    busy(false);
  }
}

/** `took`: milliseconds, null for a run that was recorded when the page was built. */
async function arrived(ran, answer, took, shown) {
  const [url, file] = [addressOf(answer.html, "text/html"), addressOf(answer.toml, "application/toml")];
  const link = await toLink(told(ran), ran.systems);
  runs.push({ setting: ran, answer, url, file, took, link });
  await reveal(runs.length - 1, shown);
}

function busy(is, isOpening = false) {
  of("run").disabled = is && !isOpening;
  of("kill-leader").disabled = is || !onStage;
  of("stop").hidden = !is;
  of("state").textContent = is ? "running" : "";
  document.documentElement.toggleAttribute("data-busy", is);
  of("told").textContent = is ? "running" : of("told").textContent.replace(/^running$/, "");
}

const VERDICTS = { pass: "\u2713", violation: "\u2717", inconclusive: "?" };

/** Shows a run below, and then on the first screen. */
function reveal(index, shown = { t: stage.view.t }) {
  const { setting: ran, answer, url, file, took } = runs[index];
  of("result").hidden = false;
  of("runs").replaceChildren(...runs.map(({ setting }, other) => {
    const name = `${other + 1}. ${setting.plan.scenario}, seed ${setting.seed}${setting.fork ? `, forked at ${seconds(setting.fork.at_ms)}` : ""}`;
    const tab = made("button", { type: "button", textContent: name, onclick: () => { adopt(runs[other].setting); reveal(other); } });
    tab.setAttribute("aria-pressed", String(other === index));
    return tab;
  }));
  of("verdicts").replaceChildren(...answer.outcomes.map((outcome) => {
    const found = outcome.violations[0]?.certificate.sentence ?? (outcome.inconclusive[0] || "every check passed.");
    const item = made("li", { className: outcome.verdict }, made("b", { textContent: `${VERDICTS[outcome.verdict]} ${outcome.system}` }));
    const sentence = found.replace(/\.?$/, ".");
    item.append(` ${outcome.verdict}: ${sentence} ${some(outcome.acked, "operation")} acknowledged, ${outcome.unknown} unknown. `);
    item.append(made("code", { textContent: outcome.digest, title: "digest" }));
    item.dataset.system = outcome.system;
    item.dataset.digest = outcome.digest;
    return item;
  }));
  of("partings").textContent = answer.partings.map(({ system, shared_events, at_ns }) => at_ns === null
    ? `${system}: not one of ${shared_events} events differs.`
    : `${system}: the same ${shared_events} events until ${seconds(at_ns / 1e6)}, where the fork begins to differ.`).join(" ");
  Object.assign(of("save"), { href: file, download: answer.file });
  of("whole").href = url;
  of("command").textContent = answer.command;
  of("fork-at").value = at() / 1000;
  of("fork-at").max = ran.plan.duration_ms / 1000;
  showPage(url);
  of("parity").textContent = `${took === null ? "Recorded when this page was built, as" : `${(took / 1000).toFixed(1)} s as`} ${answer.target}. ${parity}`;
  of("fork").onclick = () => {
    const ms = Math.round(Number(of("fork-at").value) * 1000);
    adopt(forked({ ...ran, fork: null }, ms));
    goTo(ms);
    of("setting").scrollIntoView({ block: "start" });
    of("at-s").focus({ preventScroll: true });
  };
  return stageRun(runs[index], shown);
}

/** The page of a run, which is as large as the run, is opened when it comes into sight. */
function showPage(url) {
  of("page").dataset.url = url;
  if (of("page").getAttribute("src")) of("page").src = url;
}

/** Puts a run on the first screen, unless another one has been chosen while it was unpacked. */
async function stageRun(run, shown) {
  const before = onStage && { run: onStage, unpacked: stage.runs };
  onStage = run;
  const unpacked = await runsIn(run.answer.html);
  if (onStage !== run) return;
  const { setting: ran, answer } = run;
  stage.show(leadOf(ran), unpacked, { plays: false, ...shown });
  if (ran.fork && !answer.partings.length && before) of("partings").textContent = pastOf(before.unpacked, unpacked);
  saveLink();
}

const leadOf = (ran) => (ran.fork ? `Your run, changed at ${seconds(ran.fork.at_ms)}`
  : isEdited(ran) ? ran.title ?? `${ran.plan.scenario}, edited` : ran.plan.title);

/** How long two versions are the same, of each system. */
const pastOf = (before, after) => after.map((run, index) => {
  const shared = before[index]?.system === run.system ? sharedPast(before[index], run) : null;
  return shared ? `${run.system}: the same ${shared.events} events until ${seconds(shared.until)}. ` : "";
}).join("");

/** Makes a setting the one in the form. */
function adopt(next) {
  setting = next;
  of("seed").value = next.seed;
  of("scenario").value = next.toml ? "" : next.plan.scenario;
  show();
}

/** Forks the run on the first screen at an instant, by an act on it; the fork goes on from there. */
async function forkOnStage({ edit }, ms) {
  if (!onStage) return;
  let fork;
  try {
    fork = edit(forked({ ...onStage.setting, fork: null }, ms));
  } catch (error) {
    return complain(error.message);
  }
  // Back leads to the run that it was forked from.
  isNewEntry = true;
  adopt(fork);
  if (!(await refresh())) return;
  // What both have in common is compared here: the engine would run the original once more.
  await perform(setting, question({ ...setting, fork: null }), { t: ms, plays: true });
}

/** Whether the next link is an entry of its own in the browser's history, and how many were asked for. */
let [isNewEntry, links] = [false, 0];

/** Writes the setting and the instant into the address. */
async function saveLink() {
  if (isLesson(location.hash) || !onStage) return;
  links += 1;
  const mine = links;
  const hash = await toLink(told(setting), setting.systems, stage.view.t);
  if (mine !== links) return;
  if (hash !== location.hash) history[isNewEntry ? "pushState" : "replaceState"](null, "", hash);
  isNewEntry = false;
}

/** The setting that a link asks for; what it does not say is as in the catalogue. */
async function settingFrom({ scenario, toml, seed = "7", systems, sites, faults }) {
  const known = catalogue.scenarios.find((plan) => plan.scenario === scenario);
  if (scenario !== undefined && !known) throw new Error(`There is no scenario \`${scenario}\`.`);
  const plan = toml ? await engine.ask({ ask: "plan", setting: { toml, seed } }) : known ?? catalogue.scenarios[0];
  if (plan.kind === "refused") throw new Error(plan.message);
  const made = settingOf(plan, seed, toml);
  if (systems?.length) made.systems = systems;
  if (made.systems.length === 0) made.systems = ["raft", "dual-primary"];
  return { ...made, sites: sites ?? null, faults: faults ?? null };
}

/** Shows what the address asks for: a run that has been made already, or one that is made now. */
async function openLink(recorded = null) {
  if (isLesson(location.hash)) return;
  let [asked, made, wrong] = [{}, null, null];
  try {
    asked = await fromLink(location.hash);
    made = await settingFrom(asked);
  } catch (error) {
    [asked, made, wrong] = [{}, await settingFrom({}), error.message];
  }
  adopt(made);
  const { faults } = made.faults ? made : made.plan;
  if (faults[0]) of("at-s").value = faults[0].at_ms / 1000;
  const shown = { t: asked.t ?? null, plays: asked.t === undefined && wantsMotion() };
  const link = await toLink(told(made), made.systems);
  const index = runs.findIndex((run) => run.link === link);
  if (index >= 0) {
    adopt(runs[index].setting);
    return reveal(index, shown);
  }
  if (recorded?.link === link) {
    await arrived(made, recorded.answer, null, { t: stage.view.t, plays: stage.film.playing });
    return busy(false);
  }
  stage.blank(leadOf(made), sitesOf(made), made.systems, made.plan.duration_ms, "This is being run.");
  busy(true, true);
  document.documentElement.dataset.ready = "true";
  // An edit that is made meanwhile is not what the link asks for.
  const ran = (await refresh()) ? setting : made;
  await perform(ran, question(ran), shown, true);
  if (wrong) complain(`${wrong} Instead, this is \`${made.plan.scenario}\`.`);
}

/** A run that was recorded when the page was built is on the first screen before the engine has arrived. */
async function recordedOpening() {
  if (isNative || location.hash) return null;
  const found = await fetch("opening.json").then((response) => (response.ok ? response.json() : null)).catch(() => null);
  if (!found || location.hash) return null;
  stage.show(found.title, await runsIn(found.answer.html), { plays: wantsMotion() });
  return found;
}

let parity = "";

/** Says whether runs in this tab are known to equal runs on the command line. */
async function compareEngines() {
  if (isNative) return "";
  const report = await fetch("parity.json").then((response) => (response.ok ? response.json() : null)).catch(() => null);
  if (!report) return "Whether a run in this tab equals the native one of the same seed was not tested for this build; compare the digests.";
  const { tested, different } = report;
  return different.length === 0
    ? `For this build, ${tested} runs in WebAssembly had the digests of the native runs, all of them.`
    : `For this build, ${different.length} of ${tested} runs in WebAssembly differ from the native runs of the same seed: ${different.join(", ")}.`;
}

function listen() {
  of("scenario").onchange = () => choose(of("scenario").value);
  of("kill-leader").onclick = () => {
    const ms = Math.ceil(stage.view.t);
    stage.film.stop();
    forkOnStage(onLeader(ms, catalogue.kinds), ms);
  };
  addEventListener("popstate", () => openLink());
  new IntersectionObserver((entries) => {
    const { url } = of("page").dataset;
    if (entries.at(-1).isIntersecting && url && of("page").getAttribute("src") !== url) of("page").src = url;
  }).observe(of("page"));
  of("seed").onchange = () => { setting = { ...setting, seed: of("seed").value.trim() || "0" }; refresh(); };
  of("open").onchange = async () => { if (of("open").files[0]) await open(of("open").files[0]); of("open").value = ""; };
  of("at").oninput = () => goTo(Number(of("at").value));
  of("at-s").oninput = show;
  of("reset").onclick = () => change((now) => {
    if (now.fork) throw new Error("leave the fork first");
    return { ...now, faults: null };
  });
  of("clear").onclick = () => change((now) => ({ ...now, faults: faultsOf(now).filter((fault) => isFixed(now, fault)) }));
  of("setting").onsubmit = (event) => { event.preventDefault(); run(); };
  of("stop").onclick = () => engine.stop();
  of("instant").onclick = () => {
    // The page counts in milliseconds, the field in seconds.
    const t = of("page").contentWindow?.schism?.view.t;
    if (t !== undefined && t !== null) of("fork-at").value = (t / 1000).toFixed(3);
  };
}

async function begin() {
  const where = isNative ? "on this machine" : "in this tab, as WebAssembly";
  const isTaught = isLesson(location.hash);
  addEventListener("hashchange", () => isLesson(location.hash) !== isTaught && location.reload());
  if (isTaught) return teach(engine, where);
  stage = makeStage({
    // Nothing before the engine has arrived, nor while it runs something.
    offers: (run, what, ms) => (of("kill-leader").disabled ? [] : offersOn(onStage.setting, run, what, ms, catalogue.kinds))
      .map((offer) => ({ words: offer.words, act: () => forkOnStage(offer, ms) })),
    moved: () => saveLink(),
  });
  listen();
  const recorded = recordedOpening();
  try {
    catalogue = await engine.ask({ ask: "catalogue" });
  } catch (error) {
    of("engine").textContent = `The engine cannot be started: ${error.message}`;
    return;
  }
  parity = await compareEngines();
  of("engine").textContent = `schism ${catalogue.version} runs ${where}. Nothing leaves it.`;
  of("scenario").replaceChildren(...catalogue.scenarios.map(({ scenario }) => made("option", { textContent: scenario })));
  menus = { "link-kind": clicks(catalogue.kinds, "link"), "node-kind": clicks(catalogue.kinds, "node") };
  for (const [id, offers] of Object.entries(menus)) {
    of(id).replaceChildren(...offers.map(({ words }) => made("option", { textContent: words })));
  }
  offerSystems();
  await openLink(await recorded);
  document.documentElement.dataset.ready = "true";
}

begin();
