// The state of every node at an instant, replayed from the events: what openraft's storage, or the replica, held.

/** What is known of a run's commands: which entry holds which operation, and what each did to the store. */
export function commandsOf(run) {
  const { events, byTag } = run;
  const { batches, log } = batchesOf(events);
  const { ofPayload, guessed } = settle(batches); // entry hash -> tag, null for an entry without effect
  const effects = new Map(); // tag -> what a store does: { key, value } (undefined: nothing)
  const store = new Map();
  const order = [...log.keys()].sort((a, b) => a - b);
  const states = []; // the store after each applied index
  for (const index of order) {
    const tag = ofPayload.get(log.get(index));
    const operation = byTag.get(tag);
    if (operation && !effects.has(tag)) {
      const effect = effectOf(operation, store.get(operation.key) ?? null);
      effects.set(tag, effect);
      if (effect) put(store, effect);
    }
    states.push({ index, tag });
  }
  return { ofPayload, guessed, effects, states, hasLog: order.length > 0, operations: byTag };
}

/** Entries applied in one go with the commands that then took effect; and the log, by index, as first applied. */
function batchesOf(events) {
  const batches = [];
  const open = new Map(); // node -> its last batch
  const log = new Map();
  for (let i = 0; i < events.count; i++) {
    const name = events.name(i);
    const node = events.host[i];
    const batch = open.get(node);
    if (name === "apply_entry") {
      const payload = events.field(i, "payload");
      const index = events.field(i, "at.index");
      if (!log.has(index)) log.set(index, payload);
      if (batch && batch.t === events.t[i] && !batch.tags.length) batch.entries.push(payload);
      else {
        open.set(node, { t: events.t[i], entries: [payload], tags: [] });
        batches.push(open.get(node));
      }
    } else if (name === "apply" && batch) {
      batch.tags.push(`p${events.field(i, "tag.session")}#${events.field(i, "tag.sequence")}`);
    }
  }
  return { batches, log };
}

/**
 * Which entry holds which command. The events do not say; but the commands of a batch stand in the order of its
 * entries, and replicas apply the same entries in different batches, so that one settles another by elimination.
 */
function settle(batches) {
  const ofPayload = new Map();
  const guessed = new Set();
  let open = batches;
  while (open.length) {
    const before = open.length;
    open = open.filter((batch) => {
      const { entries, tags } = unsettled(batch, ofPayload);
      if (tags.length && entries.length !== tags.length) return true;
      entries.forEach((payload, at) => ofPayload.set(payload, tags[at] ?? null));
      return false;
    });
    if (open.length < before) continue;
    // Every replica applied these in one batch. Their commands keep their order, which is all that a store needs.
    const { entries, tags } = unsettled(open[0], ofPayload);
    entries.forEach((payload, at) => {
      ofPayload.set(payload, tags[at] ?? null);
      guessed.add(payload);
    });
  }
  return { ofPayload, guessed };
}

function unsettled(batch, ofPayload) {
  const known = new Set(batch.entries.map((payload) => ofPayload.get(payload)));
  return {
    entries: batch.entries.filter((payload) => !ofPayload.has(payload)),
    tags: batch.tags.filter((tag) => !known.has(tag)),
  };
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
  state.roles.set(shard === null ? "all" : String(shard), { role, term });
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
  append: (state, field) => {
    const index = field("at.index");
    state.log.length = Math.max(state.log.length, index);
    state.log[index] = { term: field("at.term"), leader: field("at.leader"), payload: field("payload") };
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
    const tag = `p${field("tag.session")}#${field("tag.sequence")}`;
    // A pair of primaries reports only writes that took place; a log holds the others too.
    const effect = commands.hasLog ? commands.effects.get(tag) : writeOf(commands.operations.get(tag));
    if (effect) put(state.store, effect);
  },
};

function writeOf(operation) {
  if (!operation || operation.op === "get") return undefined;
  return { key: operation.key, value: operation.op === "delete" ? null : operation.value };
}
