// The state of every node at an instant, replayed from the events: what openraft's storage, or the replica, held.
import { tagOf } from "./decode.mjs";

/** What a run's log did: what each command did to the store, and in which order they were applied. */
export function commandsOf(run) {
  const { byTag } = run;
  const log = appliedLog(run.events);
  const effects = new Map(); // tag -> what a store does: { key, value } (undefined: nothing)
  const store = new Map();
  const order = [...log.keys()].sort((a, b) => a - b);
  const states = []; // the command of each applied index
  for (const index of order) {
    const tag = log.get(index);
    const operation = byTag.get(tag);
    if (operation && !effects.has(tag)) {
      const effect = effectOf(operation, store.get(operation.key) ?? null);
      effects.set(tag, effect);
      if (effect) put(store, effect);
    }
    states.push({ index, tag });
  }
  return { effects, states, hasLog: order.length > 0, areTold: states.some(({ tag }) => tag !== null), operations: byTag };
}

/** The command of each index of the log, null where there is none, as it was first applied. */
function appliedLog(events) {
  const log = new Map();
  for (let i = 0; i < events.count; i++) {
    if (events.name(i) !== "apply_entry") continue;
    const index = events.field(i, "at.index");
    if (!log.has(index)) log.set(index, tagOf(events, i, "command"));
  }
  return log;
}

/** What an operation does to a store that holds `found` under its key. */
export function effectOf({ op, key, value, expected }, found) {
  if (op === "put") return { key, value };
  if (op === "delete") return { key, value: null };
  if (op === "cas" && found === expected) return { key, value };
  return undefined;
}

function put(store, { key, value }) {
  if (value === null) store.delete(key);
  else store.set(key, value);
}

/** The store after everything up to a log index was applied. */
function storeUpTo(commands, upto) {
  const store = new Map();
  const seen = new Set();
  for (const { index, tag } of commands.states) {
    if (index > upto) break;
    const effect = commands.effects.get(tag);
    if (effect && !seen.has(tag)) put(store, effect);
    seen.add(tag);
  }
  return store;
}

function blank(node) {
  return {
    node, up: false, paused: false, roles: new Map(), vote: null, log: [], purged: 0, committed: null, applied: null,
    store: new Map(), synced: null, lost: null, leader: null,
  };
}

/** Replays a run; `at(t)` is cheap when t grows, and starts over when it goes back. */
export class Replay {
  constructor(run) {
    this.run = run;
    this.commands = commandsOf(run);
    this.rewind();
  }

  rewind() {
    this.next = 0;
    this.states = new Map(this.run.nodes.map((node) => [node, blank(node)]));
  }

  /** The states of all nodes after every event up to t, or before event `until`. */
  at(t, until = Infinity) {
    const { events } = this.run;
    const past = this.next > 0 && (events.t[this.next - 1] > t || this.next > until);
    if (past) this.rewind();
    while (this.next < events.count && events.t[this.next] <= t && this.next < until) this.step(this.next++);
    return this.states;
  }

  step(i) {
    const { events } = this.run;
    const state = this.states.get(events.host[i]);
    const change = state && CHANGES[events.name(i)];
    if (change) change(state, (name) => events.field(i, name), this.commands, events, i);
  }
}

function setRole(state, field) {
  const shard = field("scope.shard");
  const [role, term] = [field("role"), field("term")];
  state.roles.set(shard === null ? "all" : String(shard), { role, label: field("label"), term });
  if (shard === null && role === "primary") state.leader = state.node;
  if (shard === null && role === "candidate") state.leader = null;
}

/** What each kind of event does to the state of its node; kinds not named here do nothing to it. */
const CHANGES = {
  start: (state) => Object.assign(state, { up: true, paused: false }),
  crash: (state) => {
    Object.assign(state, { up: false, paused: false, committed: null, leader: null });
    state.roles.clear();
  },
  power_off: (state, field) => (state.lost = field("lost")),
  pause: (state) => (state.paused = true),
  resume: (state) => (state.paused = false),
  role: setRole,
  vote: (state, field) => {
    state.vote = { term: field("term"), candidate: field("candidate"), committed: field("committed") === 1 };
    state.leader = state.vote.committed ? state.vote.candidate : null;
  },
  append: (state, field, commands, events, i) => {
    const index = field("at.index");
    state.log.length = Math.max(state.log.length, index);
    state.log[index] = { term: field("at.term"), leader: field("at.leader"), tag: tagOf(events, i, "command") };
  },
  truncate: (state, field) => (state.log.length = Math.min(state.log.length, field("from"))),
  purge: (state, field) => (state.purged = Math.max(state.purged, field("upto.index"))),
  commit: (state, field) => (state.committed = field("upto.index")),
  apply_entry: (state, field) => (state.applied = field("at.index")),
  sync: (state, field, commands, events, i) => (state.synced = events.t[i]),
  found_log: (state, field) => {
    const last = field("last.index");
    if (last !== null) state.log.length = Math.min(state.log.length, last + 1);
  },
  restored: (state, field, commands) => {
    state.applied = field("upto.index");
    if (state.applied !== null) state.store = storeUpTo(commands, state.applied);
    else if (commands.hasLog) state.store = new Map();
  },
  snapshot_installed: (state, field, commands) => {
    state.applied = field("upto.index");
    if (state.applied !== null) state.store = storeUpTo(commands, state.applied);
  },
  apply: (state, field, commands, events, i) => {
    const tag = tagOf(events, i, "tag");
    // A pair of primaries reports only writes that took place; a log holds the others too.
    const effect = commands.hasLog ? commands.effects.get(tag) : writeOf(commands.operations.get(tag));
    if (effect) put(state.store, effect);
  },
};

function writeOf(operation) {
  if (!operation || operation.op === "get") return undefined;
  return { key: operation.key, value: operation.op === "delete" ? null : operation.value };
}
