// What the ring shows at an instant: a function of the recorded run and of the time, and of nothing else.
import { lowerBound } from "./decode.mjs";
import { sidesOf } from "./model.mjs";
import { count, list, seconds } from "./words.mjs";

/** An operation that waits for longer than this, in simulated ms, is shown as waiting. */
const PATIENT = 150;
/** How long a pair of contradicting receipts stays in the picture: at least this much simulated time. */
const PINNED = 900;

/** What is looked up again and again: made once for each run. */
export function indexScene(run) {
  const of = (node) => run.roles.filter((span) => span.node === node);
  const receipts = run.operations.filter(({ status }) => status === "ok").sort((a, b) => a.end - b.end);
  const certified = (check) => run.outcome.violations.filter((found) => found.check === check).map(({ certificate }) => certificate);
  const ofClient = new Map();
  for (const operation of [...run.operations].sort((a, b) => a.start - b.start)) {
    if (!ofClient.has(operation.client)) ofClient.set(operation.client, []);
    ofClient.get(operation.client).push(operation);
  }
  return {
    roles: new Map(run.nodes.map((node) => [node, of(node)])),
    shards: run.scopes.filter((scope) => scope !== "all").length,
    receipts,
    ends: Float64Array.from(receipts, ({ end }) => end),
    ofClient,
    starts: new Map([...ofClient].map(([client, operations]) => [client, Float64Array.from(operations, ({ start }) => start)])),
    conflicts: pairsOf(run, certified("split_brain")),
    lost: certified("lost_write").map(({ at_ns }) => at_ns / 1e6).sort((a, b) => a - b),
    clientOf: clientsOf(run, ofClient),
    sides: new Map(),
  };
}

/** Two receipts that contradict each other, from the instant at which both were given, in that order. */
function pairsOf(run, certificates) {
  const pairs = certificates.map(({ operations }) => operations.slice(0, 2).map((id) => run.byId.get(id)));
  const whole = pairs.filter((pair) => pair.length === 2 && pair.every(Boolean));
  return whole.map((operations) => ({ operations, at: Math.max(...operations.map(({ end }) => end)) })).sort((a, b) => a.at - b.at);
}

/** Which client a message comes from or goes to: by the receipt that it brings, else as far as its time and its site tell. */
function clientsOf(run, ofClient) {
  const siteOf = new Map(run.sites.filter(({ client_host }) => client_host !== null).map((site) => [site.client_host, site]));
  const [clientOf, lastSent] = [receiptsBrought(run, siteOf), new Map()];
  for (const message of run.messages) {
    if (siteOf.has(message.to) && message.cause && !clientOf.has(message)) clientOf.set(message, clientOf.get(message.cause));
    const site = siteOf.get(message.from);
    if (!site || clientOf.has(message)) continue;
    // The one that has begun just now, or the one that has waited longest since its last attempt.
    const open = site.clients.flatMap((client) => {
      const operations = ofClient.get(client) ?? [];
      return operations.filter(({ start, end }) => start <= message.sent && message.sent <= end);
    });
    const since = (operation) => lastSent.get(operation.id) ?? -Infinity;
    const one = open.reduce((best, operation) => (!best || since(operation) < since(best) ? operation : best), null);
    if (!one) continue;
    lastSent.set(one.id, message.sent);
    clientOf.set(message, one.client);
  }
  return clientOf;
}

/** The clients of answers that arrive when one of their operations ends, and of the questions that are answered. */
function receiptsBrought(run, siteOf) {
  const clientOf = new Map();
  const ending = new Map();
  const key = (host, t) => `${host} ${t}`;
  for (const operation of run.operations) {
    const host = run.sites[run.siteOfClient.get(operation.client)]?.client_host;
    if (operation.status !== "ok" || host === undefined) continue;
    const at = key(host, operation.end);
    ending.set(at, [...(ending.get(at) ?? []), operation]);
  }
  for (const message of run.messages) {
    if (!siteOf.has(message.to) || message.fate !== "delivered" || !message.cause) continue;
    const ended = ending.get(key(message.to, message.end)) ?? [];
    const one = ended.find(({ start }) => start <= message.cause.sent);
    if (!one) continue;
    ended.splice(ended.indexOf(one), 1);
    clientOf.set(message, one.client).set(message.cause, one.client);
  }
  return clientOf;
}

/** The directed links that are cut at an instant. */
function cutAt(run, t) {
  const active = run.faults.filter((fault) => fault.links.length && fault.from <= t && t < fault.until
    && (fault.flaps.findLast(([at]) => at <= t)?.[1] ?? 1));
  const key = active.map(({ index }) => index).join();
  const { sides } = run.scene;
  if (!sides.has(key)) {
    const links = active.flatMap((fault) => fault.links);
    sides.set(key, { links, cut: new Set(links.map(([from, to]) => `${from} ${to}`)), sides: sidesOf({ links }, run.nodes) });
  }
  return { ...sides.get(key), active };
}

/** What every node is at an instant. */
function nodesAt(run, t) {
  return new Map(run.nodes.map((node) => {
    const now = run.scene.roles.get(node).filter(({ from, until }) => from <= t && t < until);
    const leads = now.filter(({ role }) => role === "primary");
    const whole = leads.some(({ scope }) => scope === "all") ? 1 : leads.length / (run.scene.shards || 1);
    const stop = run.stops.findLast((span) => span.node === node && span.from <= t && t < span.until);
    return [node, {
      node, leads: whole,
      since: Math.max(-Infinity, ...leads.map(({ from }) => from)),
      asks: now.some(({ role }) => role === "candidate"),
      term: now.length ? Math.max(...now.map(({ term }) => term)) : null,
      stop: stop?.what ?? null,
    }];
  }));
}

/** A side without a leader, or with too few votes to commit, serves no writes. */
function withoutService(run, sides, states) {
  if (!run.roles.length) return [];
  return sides.filter((side) => {
    const alive = side.filter((node) => states.get(node).stop === null);
    return !alive.some((node) => states.get(node).leads > 0) || (run.isRaft && alive.length * 2 <= run.nodes.length);
  });
}

/** A run of which only the hosts are known yet: `note` says why. */
export function blankRun(system, sites, end, note) {
  let [node, client] = [0, 0];
  const numbered = sites.map(({ name, nodes, clients }) => ({
    name,
    nodes: Array.from({ length: nodes }, () => (node += 1)),
    clients: Array.from({ length: clients }, () => client++),
    client_host: null,
  }));
  const names = ["", ...Array.from({ length: node }, (_, index) => `n${index + 1}`)];
  return {
    system, note, end, names, sites: numbered, nodes: names.slice(1).map((_, index) => index + 1), name: (host) => names[host],
    outcome: { violations: [], conflicting_acks: 0 }, safetyChecks: [], refused: [], overlaps: [], faults: [], messages: [],
    operations: [], roles: [], stops: [], scopes: [], isRaft: false, byId: new Map(),
  };
}

/** The scene at `t`; `lasts` is for how much simulated time a receipt is seen. */
export function sceneAt(run, t, lasts) {
  const { scene } = run;
  const { cut, sides, active } = cutAt(run, t);
  const states = nodesAt(run, t);
  const grey = withoutService(run, sides, states);
  const waiting = [];
  for (const [client, operations] of scene.ofClient) {
    const open = operations[lowerBound(scene.starts.get(client), t + 1e-9) - 1];
    if (open && open.end > t && t - open.start > PATIENT) waiting.push({ client, share: (t - open.start) / (open.end - open.start) });
  }
  const receipts = scene.receipts.slice(lowerBound(scene.ends, t - lasts), lowerBound(scene.ends, t + 1e-9));
  const given = scene.conflicts.filter(({ at }) => at <= t);
  const last = given.at(-1);
  const pair = last && t < last.at + Math.max(PINNED, lasts * 2) ? last : null;
  if (run.note) return { run, t, cut, sides, active, states, grey: new Set(), waiting: [], receipts: [], pair: null, caption: run.note, tone: "grey" };
  const now = { run, t, cut, sides, active, states, grey: new Set(grey.flat()), waiting, receipts, pair, conflicts: given.length };
  return { ...now, ...captionOf(run, now) };
}

/** How many of the lost writes are known to be lost at an instant. */
const lostAt = (run, t) => lowerBound(run.scene.lost, t + 1e-9);

/** What is to be seen now, in a line; `tone` is `bad` where a promise is broken, `grey` where there is no service. */
function captionOf(run, { t, sides, active, states, grey, pair, conflicts }) {
  const named = (nodes) => list(nodes.map(run.name));
  const primaries = [...states.values()].filter(({ leads }) => leads > 0).map(({ node }) => node);
  if (pair) {
    const [a, b] = pair.operations;
    return { tone: "bad", caption: `Two receipts for one seat: ${seatOf(a)} and ${seatOf(b)}.` };
  }
  if (active.length === 0 && lostAt(run, t)) return { tone: "bad", caption: `${count(lostAt(run, t), "receipt")} ${lostAt(run, t) === 1 ? "is" : "are"} for writes that are gone.` };
  const overlap = run.overlaps.find(({ from, until }) => from <= t && t < until);
  if (overlap) {
    const more = conflicts ? ` ${count(conflicts, "pair")} of receipts contradict each other.` : "";
    return { tone: "bad", caption: `${named(overlap.nodes)} both lead all of it.${more}` };
  }
  if (sides.length > 1 && grey.size && primaries.length) {
    const side = sides.filter((nodes) => nodes.every((node) => grey.has(node))).flat();
    const votes = run.isRaft ? ` ${side.length} of ${run.nodes.length} votes is no majority.` : "";
    return { tone: "grey", caption: `${capitalised(placeOf(run, side))} must wait.${votes}` };
  }
  const asking = [...states.values()].filter(({ asks }) => asks);
  if (!primaries.length && run.roles.length) {
    return { tone: "grey", caption: asking.length ? `${named(asking.map(({ node }) => node))} ${asking.length > 1 ? "ask" : "asks"} for votes.` : "There is no leader." };
  }
  const stopped = [...states.values()].filter(({ stop }) => stop === "down").map(({ node }) => node);
  const down = stopped.length ? ` ${named(stopped)} ${stopped.length > 1 ? "are" : "is"} down.` : "";
  const parts = primaries.some((node) => states.get(node).leads < 1) ? "each lead a part" : "lead";
  const leading = primaries.length > 1 ? `${named(primaries)} ${parts}.` : primaries.length ? `${named(primaries)} leads.` : `${seconds(t)}.`;
  return { tone: "", caption: leading + down };
}

/** What a receipt says. */
export const seatOf = ({ op, key, value }) => (op === "delete" ? `k${key} deleted` : `k${key}\u00a0=\u00a0${value}`);

/** A side by the names of its sites, where it is whole sites; else by its nodes. */
function placeOf(run, side) {
  const sites = run.sites.filter(({ nodes }) => nodes.length && nodes.every((node) => side.includes(node)));
  const covered = sites.flatMap(({ nodes }) => nodes).length === side.length;
  return list(covered ? sites.map(({ name }) => name) : side.map(run.name));
}

const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What a system is called in a heading. */
export const systemTitle = (system) => ({ raft: "Raft", "dual-primary": "A pair of primaries" })[system] ?? system;

/** The runs in one sentence: what happens to all, and what each makes of it. */
export function sentenceOf(lead, runs) {
  if (runs.some(({ note }) => note)) return lead.replace(/\.?$/, ".");
  const made = runs.map((run) => `${systemTitle(run.system)} ${outcomeOf(run)}`.replace(/^A pair/, "a pair"));
  return `${lead.replace(/[.:]?$/, ":")} ${list(made)}.`;
}

function outcomeOf({ outcome, refused, safetyChecks }) {
  if (outcome.conflicting_acks > 0) return "sells one seat twice";
  if (outcome.lost_acked_writes > 0) return "loses what it promised";
  if (safetyChecks.some(Boolean)) return "breaks a promise";
  if (refused.some(({ acknowledged, planned }) => acknowledged < planned)) return "makes one side wait";
  return outcome.verdict === "inconclusive" ? "proves nothing" : "keeps every promise";
}
