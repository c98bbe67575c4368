// The setting, what to run: plain data, and the edits that the page makes to it. Nothing here touches the page.

/**
 * What can be done by a click on a link or a node (`on`): words in a menu, and a fault of the places that are clicked.
 * `kinds`: those of the engine's catalogue. What stops a node comes first.
 */
export function clicks(kinds, on) {
  const order = ["stopped", "unable", "able"];
  const made = (template, places) => {
    if (typeof template === "string") return places[template] ?? template;
    if (Array.isArray(template)) return template.map((one) => made(one, places));
    if (template === null || typeof template !== "object") return template;
    return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, made(value, places)]));
  };
  const offers = [...kinds].sort((one, other) => order.indexOf(one.leaves) - order.indexOf(other.leaves));
  return offers.flatMap((kind) => kind.clicks).filter((click) => click.on === on).map(({ words, fault }) => ({
    words,
    fault: (a, b) => made(fault, { "{a}": a, "{b}": b }),
  }));
}

/** The kinds that leave a node stopped: while one is active, another can have no effect on that node. */
export const stopping = (kinds) => new Set(kinds.filter(({ leaves }) => leaves === "stopped").map(({ name }) => name));

/** A fault as the engine accepts it: without the fields that the engine added. */
export const bare = ({ words, links, nodes, ...fault }) => fault;

/** The unchanged setting of a scenario from the catalogue or the engine's plan; `title`: its name once edited. */
export function settingOf(plan, seed, toml) {
  return { plan, toml, seed, sites: null, faults: null, title: null, systems: [...plan.systems], fork: null };
}

/** The faults that would run. */
export const faultsOf = (setting) => setting.faults ?? setting.plan.faults;

/** The sites that would run. */
export const sitesOf = (setting) => setting.sites ?? setting.plan.sites;

/** The nodes, site by site: they are numbered across sites. */
export function nodesOf(setting) {
  let number = 0;
  return sitesOf(setting).map((site) => ({
    ...site,
    names: Array.from({ length: site.nodes }, () => `n${(number += 1)}`),
  }));
}

/** Whether it is another setting than that of its scenario, whose title, story and expectations then do not fit. */
export const isEdited = (setting) => setting.sites !== null || setting.faults !== null;

const begun = (a, b) => a.at_ms - b.at_ms;
const endOf = ({ at_ms, for_ms }) => (for_ms === undefined || for_ms === null ? Infinity : at_ms + for_ms);
const sameAs = (a, b, stops) => {
  const whatOf = ({ at_ms, for_ms, ...what }) => JSON.stringify(Object.entries(bare(what)).sort());
  // Who a role is, only the run decides: it may be another node the next time.
  if (isRole(a.target) || isRole(b.target)) return false;
  return stops.has(a.fault) && stops.has(b.fault) ? a.target === b.target : whatOf(a) === whatOf(b);
};
const isRole = (target) => target?.startsWith("@") ?? false;

/** An active fault that already has the effect of another one for some of that one's time. */
function inForce(setting, fault, stops) {
  return faultsOf(setting).find((other) => sameAs(fault, other, stops) && fault.at_ms < endOf(other) && other.at_ms < endOf(fault));
}

/** With one fault more. A fork can change nothing before its instant. `stops`: the kinds that stop a node. */
export function withFault(setting, fault, stops) {
  if (setting.fork && fault.at_ms < setting.fork.at_ms) {
    throw new Error(`a fork at ${seconds(setting.fork.at_ms)} cannot break anything before`);
  }
  const other = inForce(setting, fault, stops);
  if (other) {
    const until = endOf(other) === Infinity ? "the end" : seconds(endOf(other));
    const what = stops.has(fault.fault) ? `${fault.target} is stopped` : "the same fault is in force";
    throw new Error(`${what} from ${seconds(other.at_ms)} to ${until} already (${other.fault.replaceAll("_", " ")}): remove that, or choose a time outside of it`);
  }
  return { ...setting, faults: [...faultsOf(setting).map(bare), fault].sort(begun) };
}

/** Whether a fault may be removed. */
export const isFixed = (setting, fault) => Boolean(setting.fork && fault.at_ms < setting.fork.at_ms);

/** Without the fault at this index. */
export function withoutFault(setting, index) {
  if (isFixed(setting, faultsOf(setting)[index])) {
    throw new Error("what began before the fork stays");
  }
  return { ...setting, faults: faultsOf(setting).map(bare).filter((_, other) => other !== index) };
}

/** With the fault at this index ended at an instant: what was before stays as it was, so a fork may do this too. */
export function withEnd(setting, index, at_ms) {
  if (setting.fork && at_ms < setting.fork.at_ms) throw new Error(`a fork at ${seconds(setting.fork.at_ms)} cannot end anything before`);
  const faults = faultsOf(setting).map(bare);
  return { ...setting, faults: faults.map((fault, other) => (other === index ? { ...fault, for_ms: at_ms - fault.at_ms } : fault)) };
}

/** With another number of nodes or clients at a site. */
export function withSite(setting, index, change) {
  const sites = sitesOf(setting).map((site, other) => (other === index ? { ...site, ...change } : site));
  return { ...setting, sites };
}

/** A setting as the engine accepts it. */
export function told(setting) {
  const told = { seed: setting.seed };
  if (setting.toml) told.toml = setting.toml;
  else told.scenario = setting.plan.scenario;
  if (setting.sites) told.sites = setting.sites;
  if (setting.faults) told.faults = setting.faults.map(bare);
  return told;
}

/** The question that runs it. */
export function question(setting) {
  const asked = { ask: "run", setting: told(setting), systems: setting.systems };
  if (setting.fork) asked.fork_of = setting.fork.told;
  return asked;
}

/** The same with its past fixed: only what begins at `at_ms` or later can be changed. */
export const forked = (setting, at_ms) => ({ ...setting, fork: { at_ms, told: told(setting) } });

/** Milliseconds as seconds. */
export const seconds = (ms) => `${(ms / 1000).toFixed(3).replace(/\.?0+$/, "")} s`;

/**
 * What is broken at an instant: links between nodes as pairs of names, and nodes. A fault that the engine has not seen
 * yet is not included.
 */
export function brokenAt(setting, at_ms) {
  const links = new Map();
  const nodes = new Map();
  for (const fault of faultsOf(setting)) {
    if (at_ms < fault.at_ms || at_ms >= endOf(fault)) continue;
    for (const ends of fault.links ?? []) links.set([...ends].sort().join(" "), fault);
    for (const node of fault.nodes ?? []) nodes.set(node, fault);
  }
  return { links, nodes };
}
