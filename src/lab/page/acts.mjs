// What can be done to a node or a link at an instant of a run: each act is an edit of the setting, which then forks there.
import { clicks, faultsOf, stopping, withEnd, withFault } from "./setting.mjs";

const LEADER = "@leader";

/** The faults that are active on a node or a link at an instant, with their places in the setting. */
function activeOn(setting, run, { node, link }, ms) {
  const names = link?.map(run.name).sort().join(" ");
  const concerns = (fault, index) => (link
    ? (fault.links ?? []).some((ends) => [...ends].sort().join(" ") === names)
    // Which node a role was is known from the run.
    : (fault.nodes ?? []).includes(run.name(node)) || (fault.target?.startsWith("@") && run.faults[index]?.host === node));
  const lasts = ({ at_ms, for_ms }) => at_ms < ms && ms < at_ms + (for_ms ?? Infinity);
  return faultsOf(setting).flatMap((fault, index) => (lasts(fault) && concerns(fault, index) ? [{ fault, index }] : []));
}

/**
 * What a node (`{ node }`) or a link (`{ link: [a, b] }`) of a run offers at an instant: `{ words, edit }` each. What is
 * broken can be mended, and what is whole can be broken; `kinds` are those of the engine's catalogue.
 */
export function offersOn(setting, run, what, ms, kinds) {
  const stops = stopping(kinds);
  const isStop = ({ fault }) => stops.has(fault);
  const active = activeOn(setting, run, what, ms);
  const mend = active.map(({ fault, index }) => ({
    words: isStop(fault) ? "start it again" : what.link ? `mend it: end the ${titled(fault)}` : `end the ${titled(fault)}`,
    edit: (now) => withEnd(now, index, ms),
  }));
  if (active.some(({ fault }) => isStop(fault))) return mend;
  const places = what.link ? what.link.map(run.name) : [run.name(what.node)];
  const breaking = (words, ...ends) => (offer) => ({ words, edit: (now) => withFault(now, { at_ms: ms, ...offer.fault(...ends) }, stops) });
  const own = clicks(kinds, what.link ? "link" : "node").map((offer) => breaking(offer.words, ...places)(offer));
  const sites = what.link ? what.link.map((node) => run.sites[run.siteOfHost.get(node)]?.name) : [];
  const apart = sites.length && sites[0] !== sites[1] ? [breaking(`cut ${sites[0]} from ${sites[1]}`, ...sites)(clicks(kinds, "link")[0])] : [];
  // What is cut already is not cut again.
  return active.length ? [...mend, ...(what.link ? [] : own)] : [...own.slice(0, 1), ...apart, ...own.slice(1)];
}

/** The first thing that can be done to a node, done to whichever leads at the instant. */
export function onLeader(ms, kinds) {
  const [first] = clicks(kinds, "node");
  return { words: first.words, edit: (now) => withFault(now, { at_ms: ms, ...first.fault(LEADER) }, stopping(kinds)) };
}

const titled = ({ fault }) => fault.replaceAll("_", " ");
