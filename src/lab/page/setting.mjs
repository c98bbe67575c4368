// What is to be run: plain data, and the edits that the page makes of it. Nothing here touches the page.

/** Faults of a link between two places (nodes or sites), by the name in the menu. */
export const LINK_KINDS = {
  "cut it": (a, b) => ({ fault: "partition", groups: [[a], [b]] }),
  "cut it one way": (a, b) => ({ fault: "one_way", from: [a], to: [b] }),
  "hold its messages": (a, b) => ({ fault: "hold", a: [a], b: [b] }),
  "slow it by 100 ms": (a, b) => ({ fault: "latency", a: [a], b: [b], extra_ms: 100 }),
  "lose every third message": (a, b) => ({ fault: "messages", from: [a], to: [b], loss_ppm: 333333 }),
};

/** Faults of a node, by the name in the menu. */
export const NODE_KINDS = {
  "kill it": (target) => ({ fault: "kill", target }),
  "pause it": (target) => ({ fault: "pause", target }),
  "take its power": (target) => ({ fault: "power_loss", target }),
  "cut it from the other nodes": (target) => ({ fault: "isolate", target }),
  "cut it from everybody": (target) => ({ fault: "isolate", target, from_clients: true }),
  "fill its disk": (target) => ({ fault: "full_disk", target }),
  "let its disk fail": (target) => ({ fault: "disk_errors", target }),
  "slow its clock by a third": (target) => ({ fault: "clock", target, drift_ppm: -333333 }),
};

/** A fault as the engine takes it: without its words. */
export const bare = ({ words, ...fault }) => fault;

/** The setting of a scenario as the catalogue or the engine's plan tells it, unchanged; `title`: what it is called once edited. */
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
/** Faults that stop a node: while one does, another has nothing to stop. */
const STOPS = new Set(["kill", "pause", "power_loss"]);
const sameAs = (a, b) => {
  const whatOf = ({ at_ms, for_ms, ...what }) => JSON.stringify(Object.entries(bare(what)).sort());
  return STOPS.has(a.fault) && STOPS.has(b.fault) ? a.target === b.target : whatOf(a) === whatOf(b);
};

/** The fault that leaves another nothing to do for some of its time: it is in force already. */
function inForce(setting, fault) {
  return faultsOf(setting).find((other) => sameAs(fault, other) && fault.at_ms < endOf(other) && other.at_ms < endOf(fault));
}

/** With one fault more. A fork can change nothing before its instant. */
export function withFault(setting, fault) {
  if (setting.fork && fault.at_ms < setting.fork.at_ms) {
    throw new Error(`a fork at ${seconds(setting.fork.at_ms)} cannot break anything before`);
  }
  const other = inForce(setting, fault);
  if (other) {
    const until = endOf(other) === Infinity ? "the end" : seconds(endOf(other));
    const what = STOPS.has(fault.fault) ? `${fault.target} is stopped` : "the same fault is in force";
    throw new Error(`${what} from ${seconds(other.at_ms)} to ${until} already (${other.fault.replaceAll("_", " ")}): remove that, or choose a time outside of it`);
  }
  return { ...setting, faults: [...faultsOf(setting).map(bare), fault].sort(begun) };
}

/** Whether a fault may be taken away. */
export const isFixed = (setting, fault) => Boolean(setting.fork && fault.at_ms < setting.fork.at_ms);

/** With the fault at this index away. */
export function withoutFault(setting, index) {
  if (isFixed(setting, faultsOf(setting)[index])) {
    throw new Error("what began before the fork stays");
  }
  return { ...setting, faults: faultsOf(setting).map(bare).filter((_, other) => other !== index) };
}

/** With another number of nodes or clients at a site. */
export function withSite(setting, index, change) {
  const sites = sitesOf(setting).map((site, other) => (other === index ? { ...site, ...change } : site));
  return { ...setting, sites };
}

/** What the engine is told of a setting. */
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

/** What is broken at an instant: links between nodes or sites as pairs of names, and nodes. */
export function brokenAt(setting, at_ms) {
  const sites = nodesOf(setting);
  const all = sites.flatMap(({ names }) => names);
  const nodes = (target) => {
    const [site, part] = target.split(".");
    const named = sites.find(({ name }) => name === site);
    if (named) return part === "clients" ? [] : named.names;
    return all.includes(target) ? [target] : [];
  };
  const each = (targets) => targets.flatMap(nodes);
  const links = new Map();
  const down = new Map();
  const link = (from, to, fault) => {
    for (const a of from) for (const b of to) if (a !== b) links.set([a, b].sort().join(" "), fault);
  };
  for (const fault of faultsOf(setting)) {
    if (at_ms < fault.at_ms || at_ms >= endOf(fault)) continue;
    if (fault.groups) {
      const groups = fault.groups.map(each);
      groups.forEach((group, index) => groups.slice(index + 1).forEach((other) => link(group, other, fault)));
    } else if (fault.fault === "isolate") {
      link(nodes(fault.target), all, fault);
    } else if (fault.from && fault.to) {
      link(each(fault.from), each(fault.to), fault);
    } else if (fault.a && fault.b) {
      link(each(fault.a), each(fault.b), fault);
    } else if (fault.left && fault.right) {
      link(each(fault.left), each(fault.right), fault);
    } else if (fault.target) {
      nodes(fault.target).forEach((node) => down.set(node, fault));
    }
  }
  return { links, nodes: down };
}
