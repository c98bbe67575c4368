// What is drawn of a run, derived from its events: messages with their fates, roles, beliefs, commits, operations.
import { decodeEvents, decodeOperations } from "./decode.mjs";

const REPLY = "_reply";
/** Kinds of message that are collapsed where they change nothing. */
const ROUTINE = new Set(["heartbeat", "append_entries"]);
/** Events that show that a message had an effect on its receiver. */
const EFFECTS = new Set([
  "append", "truncate", "vote", "commit", "apply_entry", "apply", "role", "snapshot_installed", "purge",
]);

/** Everything about one run. `page` is the embedded data, `raw` its entry of the system. */
export function buildRun(page, raw, index) {
  const events = decodeEvents(raw.events);
  const operations = decodeOperations(raw.operations);
  const end = events.count ? events.t[events.count - 1] : page.scenario.duration_ns / 1e6;
  // An operation that was under way when the run was given up ends with it, for all that is drawn.
  for (const operation of operations) operation.end ??= end;
  const sites = page.scenario.sites;
  const siteOfHost = new Map();
  for (const [site, { nodes, client_host }] of sites.entries()) {
    for (const host of client_host === null ? nodes : [...nodes, client_host]) siteOfHost.set(host, site);
  }
  const siteOfClient = new Map();
  sites.forEach((site, at) => site.clients.forEach((client) => siteOfClient.set(client, at)));
  const run = {
    index,
    system: raw.outcome.system,
    outcome: raw.outcome,
    because: raw.because,
    safetyChecks: raw.safety_checks,
    names: raw.names,
    nodes: Array.from({ length: raw.nodes }, (_, i) => i + 1),
    events,
    operations,
    end,
    sites,
    siteOfHost,
    siteOfClient,
    name: (host) => raw.names[host] ?? "?",
  };
  run.byId = new Map(operations.map((operation) => [operation.id, operation]));
  run.nextOfClient = nextOfClient(operations);
  run.byTag = new Map(operations.map((operation) => [operation.tag, operation]));
  run.messages = messagesOf(events, end);
  Object.assign(run, spansOf(run));
  run.faults = faultsOf(page, raw, end);
  run.overlaps = raw.overlaps.map(({ from_ns, until_ns, nodes }) => ({ from: from_ns / 1e6, until: until_ns / 1e6, nodes }));
  run.evidence = evidenceOf(run);
  run.refused = refusedOf(run);
  return run;
}

/** By operation id, the operation that the same client invoked next. */
function nextOfClient(operations) {
  const [last, next] = [new Map(), new Map()];
  for (const operation of operations) {
    if (last.has(operation.client)) next.set(last.get(operation.client), operation);
    last.set(operation.client, operation.id);
  }
  return next;
}

/** A number for (host, count): a key for maps that is cheaper than text. */
export const messageKey = (host, number) => host * 67108864 + number;

/** All messages in order of sending, each with its fate. */
export function messagesOf(events, end) {
  const messages = [];
  const byKey = new Map();
  const effects = [];
  const find = (i) => byKey.get(messageKey(events.field(i, "message.host"), events.field(i, "message.number")));
  for (let i = 0; i < events.count; i++) {
    const name = events.name(i);
    const t = events.t[i];
    const host = events.host[i];
    if (EFFECTS.has(name)) effects[host] = (effects[host] ?? 0) + 1;
    if (name === "send") {
      const number = events.field(i, "message.number");
      const causeHost = events.field(i, "cause.host");
      const cause = causeHost === null ? null : byKey.get(messageKey(causeHost, events.field(i, "cause.number")));
      const message = {
        id: `m${host}.${number}`, from: host, to: events.field(i, "to"), kind: events.field(i, "class"),
        type: events.field(i, "label") ?? events.field(i, "class"),
        sent: t, end: null, fate: "open", reason: null, arrivals: [], delay: 0, held: false, copies: 1,
        quiet: false, cause: cause ?? null, event: i,
      };
      const answers = message.kind.endsWith(REPLY) && cause;
      if (answers && cause.effectsBefore !== undefined && cause.effectsBefore === (effects[host] ?? 0)) {
        cause.quiet = true;
        message.quiet = true;
      }
      messages.push(message);
      byKey.set(messageKey(host, number), message);
      continue;
    }
    const message = MESSAGE_EVENTS.has(name) ? find(i) : null;
    if (!message) continue;
    if (name === "deliver") {
      message.arrivals.push(t);
      if (message.fate !== "delivered") Object.assign(message, { fate: "delivered", end: t });
      if (ROUTINE.has(message.kind) && message.arrivals.length === 1) message.effectsBefore = effects[host] ?? 0;
    } else if (name === "discard") {
      message.arrivals.push(t);
      if (message.fate === "open") Object.assign(message, { fate: "discarded", end: t });
    } else if (name === "drop") {
      if (message.fate === "open") Object.assign(message, { fate: "dropped", end: t, reason: events.field(i, "reason") });
    } else if (name === "delay") message.delay = events.field(i, "by_ns") / 1e6;
    else if (name === "hold") message.held = true;
    else if (name === "duplicate") message.copies = 2;
  }
  for (const message of messages) {
    message.quiet = message.quiet && message.fate === "delivered";
    message.end ??= Math.max(message.sent, Math.min(end, message.sent + 20));
    message.last = Math.max(message.end, ...message.arrivals);
  }
  return messages;
}

const MESSAGE_EVENTS = new Set(["deliver", "discard", "drop", "delay", "hold", "duplicate"]);

/** Roles, beliefs, standstills, commits and terms of every node, as spans or steps in time. */
function spansOf({ events, nodes, end }) {
  const roles = [];
  const beliefs = [];
  const stops = [];
  const commits = new Map(nodes.map((node) => [node, []]));
  const open = new Map(); // (node, scope) -> role span
  const believed = new Map();
  const stopped = new Map();
  const close = (map, key, t) => {
    const span = map.get(key);
    if (span) span.until = t;
    map.delete(key);
  };
  const begin = (map, key, list, span) => {
    close(map, key, span.from);
    map.set(key, span);
    list.push(span);
  };
  for (let i = 0; i < events.count; i++) {
    const name = events.name(i);
    const [t, node] = [events.t[i], events.host[i]];
    if (name === "role") {
      const scope = scopeOf(events, i);
      const [role, term] = [events.field(i, "role"), events.field(i, "term")];
      begin(open, `${node} ${scope}`, roles, { node, scope, role, label: events.field(i, "label"), term, from: t, until: end, event: i });
      if (scope === "all") {
        const leader = role === "primary" ? node : null;
        if (role === "primary" || role === "candidate") begin(believed, node, beliefs, { node, leader, term, from: t, until: end });
      }
    } else if (name === "vote") {
      const [term, leader] = [events.field(i, "term"), events.field(i, "candidate")];
      const known = events.field(i, "committed") === 1;
      const last = believed.get(node);
      const now = known ? leader : null;
      if (!last || last.leader !== now || last.term !== term) {
        begin(believed, node, beliefs, { node, leader: now, term, from: t, until: end });
      }
    } else if (name === "commit") commits.get(node)?.push({ t, index: events.field(i, "upto.index") });
    else if (name === "crash") {
      for (const key of [...open.keys()]) if (key.startsWith(`${node} `)) close(open, key, t);
      close(believed, node, t);
      begin(stopped, node, stops, { node, what: "down", from: t, until: end });
    } else if (name === "start" || name === "resume") close(stopped, node, t);
    else if (name === "pause") begin(stopped, node, stops, { node, what: "paused", from: t, until: end });
  }
  const scopes = [...new Set(roles.map((span) => span.scope))].sort();
  // A system with a log of entries by terms is described as Raft is; which leader other systems' nodes follow is
  // unknown.
  const isRaft = events.names.includes("append");
  return { roles, beliefs: isRaft ? beliefs : [], stops, commits, scopes, isRaft };
}

/** `all`, or the number of a shard as text. */
export function scopeOf(events, i) {
  const shard = events.field(i, "scope.shard");
  return shard === null ? "all" : String(shard);
}

function faultsOf(page, raw, end) {
  const faults = page.faults.map((fault, index) => ({
    ...fault, index, from: fault.from_ns / 1e6, host: null,
    until: fault.until_ns === null ? end : Math.min(end, fault.until_ns / 1e6),
    flaps: fault.flaps.map(([t, cut]) => [t / 1e6, cut]),
  }));
  for (const { fault, host, links } of raw.resolved) if (faults[fault]) Object.assign(faults[fault], { host, links });
  return faults;
}

/** By operation id, the certificates that rest on it: `{ check, at }`, `at` being an index into the violations. */
function evidenceOf({ outcome }) {
  const evidence = new Map();
  outcome.violations.forEach(({ check, certificate }, at) => {
    for (const id of certificate.operations ?? []) {
      if (!evidence.has(id)) evidence.set(id, []);
      evidence.get(id).push({ check, at });
    }
  });
  return evidence;
}

/** The groups of nodes that can reach each other both ways while a fault cuts its links. */
export function sidesOf(fault, nodes) {
  const cut = new Set(fault.links.map(([from, to]) => `${from} ${to}`));
  const apart = (a, b) => cut.has(`${a} ${b}`) || cut.has(`${b} ${a}`);
  const sides = [];
  const left = new Set(nodes);
  while (left.size) {
    const side = [left.values().next().value];
    left.delete(side[0]);
    for (const node of side) {
      for (const other of [...left]) {
        if (!apart(node, other)) {
          side.push(other);
          left.delete(other);
        }
      }
    }
    sides.push(side.sort((a, b) => a - b));
  }
  return sides;
}

/** Who votes at an instant, as the last change of members before it says; all nodes, if there was none. */
function votersAt(events, nodes, t) {
  let voters = nodes;
  for (let i = 0; i < events.count && events.t[i] <= t; i++) {
    if (events.name(i) !== "members") continue;
    const bits = events.field(i, "voters");
    voters = nodes.filter((node) => Math.floor(bits / 2 ** node) % 2);
  }
  return voters;
}

/**
 * What a cut that leaves a minority cost its clients: for each such fault the minority, its clients' operations that
 * were under way during the cut and not acknowledged, and how many were planned and how many acknowledged meanwhile.
 */
function refusedOf({ faults, events, nodes, operations, sites, siteOfClient, isRaft }) {
  if (!isRaft) return [];
  return faults.filter((fault) => fault.cut && fault.links.length).flatMap((fault) => {
    const voters = votersAt(events, nodes, fault.from);
    const votes = (side) => side.filter((node) => voters.includes(node)).length;
    const sides = sidesOf(fault, nodes);
    const minorities = sides.filter((side) => votes(side) * 2 <= voters.length);
    if (sides.length < 2 || !minorities.length) return [];
    const minority = minorities.flat();
    const cut = new Set(fault.links.map(([from, to]) => `${from} ${to}`));
    const majority = nodes.filter((node) => !minority.includes(node));
    // Clients that were left with the minority alone.
    const stranded = sites.filter(({ client_host }) =>
      client_host !== null && majority.every((node) => cut.has(`${client_host} ${node}`)));
    const isStranded = (operation) => stranded.includes(sites[siteOfClient.get(operation.client)]);
    const during = (t) => fault.from <= t && t < fault.until;
    const planned = operations.filter((operation) => isStranded(operation) && during(operation.planned));
    const refused = operations.filter((operation) => isStranded(operation) && operation.status !== "ok"
      && operation.start < fault.until && operation.end > fault.from);
    const acknowledged = planned.filter((operation) => operation.status === "ok" && operation.end < fault.until);
    return [{ fault, minority, voters, votes: votes(minority), sites: stranded.map((site) => site.name), operations: refused, planned: planned.length, acknowledged: acknowledged.length }];
  });
}
