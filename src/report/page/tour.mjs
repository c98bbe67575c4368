// The guided tour: the few instants that tell the story of these runs, in the order in which they are best told.
import { checkText, count, endText, list, opText, seconds } from "./words.mjs";

/**
 * The stops: `{ title, text, system (index, or null for all), t, from, until, operations, nodes }`. `page` is the
 * embedded data; `runs` are built from it.
 */
export function tourOf(page, runs) {
  const broken = runs.find((run) => run.outcome.violations.some((_, at) => run.safetyChecks[at]));
  const cut = firstFault(runs);
  const stops = [
    cut && faultStop(runs, cut),
    ...runs.map(primariesStop),
    broken && conflictStop(broken),
    broken && lostStop(broken),
    ...runs.map((run) => refusalStop(run, runs)),
    ...runs.map((run) => (run === broken ? null : electionStop(run, cut))),
    cut && recoveryStop(runs, cut),
  ];
  return stops.filter(Boolean).map((stop, index) => ({ operations: [], nodes: [], ...stop, number: index + 1 }));
}

/** The fault to start from: the longest cut, or else the longest fault. */
function firstFault(runs) {
  const faults = runs[0]?.faults ?? [];
  const cuts = faults.filter((fault) => fault.cut && fault.links.length);
  const longest = (list) => list.reduce((best, fault) => (!best || fault.until - fault.from > best.until - best.from ? fault : best), null);
  return longest(cuts) ?? longest(faults);
}

const around = (from, until, share = 0.25) => {
  const margin = Math.max(40, (until - from) * share);
  return { from: from - margin, until: until + margin };
};

function faultStop(runs, fault) {
  const host = fault.host === null ? "" : ` (${fault.target} is ${runs[0].name(fault.host)})`;
  const more = runs[0].faults.length - 1;
  const others = more ? ` It is the longest of ${runs[0].faults.length} faults.` : "";
  const same = runs.length > 1 ? " Every system gets the same faults and the same clients." : "";
  return {
    title: fault.cut ? "The cut" : "The fault",
    text: `${capital(fault.text)}${host}.${others}${same}`,
    system: null, t: fault.from, ...around(fault.from, fault.until, 0.15),
  };
}

function primariesStop(run) {
  // A deposed leader believes in itself for a while: two leaders without conflicting acknowledgements are not worth a
  // stop.
  if (!run.overlaps.length || !run.outcome.conflicting_acks) return null;
  const overlap = run.overlaps.reduce((best, span) => (span.until - span.from > best.until - best.from ? span : best));
  return {
    title: "Two primaries",
    text: `From ${seconds(overlap.from)} to ${seconds(overlap.until)} ${list(overlap.nodes.map(run.name))} act as primary of the `
      + "same keys: each took the other's silence for death. Their ribbons are full, and a red bar joins them.",
    system: run.index, t: overlap.from, ...around(overlap.from, overlap.until, 0.15), nodes: overlap.nodes,
  };
}

/** The strongest certificate of safety that names two or more operations. */
function conflictStop(run) {
  const found = run.outcome.violations
    .map((violation, at) => ({ ...violation, safe: !run.safetyChecks[at] }))
    .filter(({ safe, check }) => !safe && check !== "lost_write")
    .sort((a, b) => rankOf(a.check) - rankOf(b.check))[0];
  if (!found) return null;
  const { certificate, check } = found;
  const operations = operationsOf(run, certificate);
  const split = check === "split_brain";
  return {
    title: split ? "Two conflicting acknowledgements" : `The violation: ${checkText(check)}`,
    text: `${capital(certificate.sentence.replace(/\.$/, ""))}.${split ? " A line joins the two receipts in the clients' rows." : ""}`,
    system: run.index, t: instantOf(certificate, operations), ...windowOf(certificate, operations), operations: certificate.operations ?? [],
    nodes: certificate.nodes ?? [],
  };
}

const RANKS = ["split_brain", "linearizability"];
const rankOf = (check) => (RANKS.includes(check) ? RANKS.indexOf(check) : RANKS.length);
const operationsOf = (run, certificate) => (certificate.operations ?? []).map((id) => run.byId.get(id)).filter(Boolean);
const instantOf = (certificate, operations) => (certificate.at_ns === undefined ? operations.at(-1)?.end ?? 0 : certificate.at_ns / 1e6);

function windowOf(certificate, operations) {
  const times = operations.flatMap(({ start, end }) => [start, end]).concat(certificate.at_ns === undefined ? [] : [certificate.at_ns / 1e6]);
  return times.length ? around(Math.min(...times), Math.max(...times), 0.35) : { from: 0, until: 1000 };
}

/** The lost write whose loss is proven soonest. */
function lostStop(run) {
  const lost = run.outcome.violations.filter(({ check }) => check === "lost_write");
  if (!lost.length) return null;
  const span = ({ certificate }) => {
    const [write, proof] = operationsOf(run, certificate);
    return proof.end - write.start;
  };
  const { certificate } = lost.reduce((best, found) => (span(found) < span(best) ? found : best));
  const more = lost.length - 1;
  const operations = operationsOf(run, certificate);
  return {
    title: "A lost write",
    text: `${capital(certificate.sentence)}.${more ? ` So are ${more.toLocaleString("en")} more acknowledged writes.` : ""}`,
    system: run.index, t: instantOf(certificate, operations), ...windowOf(certificate, operations), operations: certificate.operations ?? [],
    nodes: certificate.nodes ?? [],
  };
}

function refusalStop(run, runs) {
  const refusal = run.refused.filter(({ planned }) => planned).reduce((best, found) => (!best || found.planned > best.planned ? found : best), null);
  if (!refusal) return null;
  const first = refusal.operations[0];
  const example = first ? ` For instance #${first.id}, ${opText(first)} of client ${first.client}: ${endText(run, first)}.` : "";
  const { fault } = refusal;
  return {
    title: `Why ${runs.filter(({ isRaft }) => isRaft).length > 1 ? run.system : "Raft"} refused`,
    text: `${refusalText(run, refusal)}${example}`,
    system: run.index, t: first?.start ?? fault.from, ...around(fault.from, Math.min(fault.until, fault.from + 2600), 0.1),
    operations: refusal.operations.map(({ id }) => id), nodes: refusal.minority,
  };
}

/** Why a minority's clients were not served, as a sentence or two. */
export function refusalText(run, { minority, voters, votes, sites, planned, acknowledged, fault }) {
  const quorum = Math.floor(voters.length / 2) + 1;
  return `${list(sites.map(capital))} can reach only ${list(minority.map(run.name))} during the ${fault.name}: `
    + `${votes} of ${voters.length} voters, and a commit takes ${quorum}. So no leader is elected there and nothing can be `
    + `promised: of ${count(planned, "operation")} planned there meanwhile, ${acknowledged} were acknowledged before it ended. `
    + "The clients waited; no client got a wrong answer.";
}

/** The first time that another node became leader, where nothing worse can be told. */
function electionStop(run, cut) {
  const leaders = run.roles.filter((span) => span.role === "primary" && span.scope === "all");
  const change = leaders.find((span, i) => i > 0 && span.node !== leaders[i - 1].node && (!cut || span.from >= cut.from));
  if (!change) return null;
  return {
    title: run.index === 0 && run.isRaft ? "Another leader" : `Another ${run.isRaft ? "leader" : "primary"} in ${run.system}`,
    text: `${run.system}: at ${seconds(change.from)} ${run.name(change.node)} becomes ${run.isRaft ? "leader" : "primary"} of term ${change.term}${run.isRaft ? ", elected by a majority" : ""}. `
      + "The colour of the ribbons is the term.",
    system: run.index, t: change.from, ...around(change.from - 400, change.from + 200), nodes: [change.node],
  };
}

function recoveryStop(runs, cut) {
  const lines = runs.map(({ system, outcome }) => {
    const back = outcome.recovered_ms === null ? "did not serve every site again in time" : `served every site again after ${seconds(outcome.recovered_ms)}`;
    const lost = outcome.lost_acked_writes ? `, and ${count(outcome.lost_acked_writes, "acknowledged write")} had been lost` : ", and no acknowledged write was lost";
    return `${system} ${back}${lost}.`;
  });
  const last = Math.max(...runs[0].faults.map((fault) => fault.until), cut.until);
  return { title: "After the last fault", text: lines.join(" "), system: null, t: last, ...around(last - 200, last + 800) };
}

function capital(text) {
  // A node's name stays as it is.
  return /^n\d/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
}
