// The view: the window of time, the instant, the selection, the filters. A link to the page holds the same.

/** The view of runs that last until `end` (ms). `onChange` hears of every change, with the names of what changed. */
export class View {
  constructor(end) {
    this.end = end;
    this.from = 0;
    this.until = end;
    this.t = 0;
    this.node = null; // a node's number, the same in every system
    this.operation = null; // an operation's id, likewise
    this.hover = null; // time under the pointer
    this.stop = null; // index into the tour
    this.routine = false; // whether heartbeats without effect are shown
    this.kinds = new Set(); // kinds of message that are not shown
    this.key = null; // the only key shown
    this.client = null; // the only client shown
    this.playing = false;
    this.pace = null; // simulated time per real time, if it is not that of the film
    this.listeners = [];
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  set(changes) {
    const changed = Object.keys(changes).filter((name) => this[name] !== changes[name]);
    Object.assign(this, changes);
    if (changed.length) for (const listener of this.listeners) listener(changed);
  }

  /** Shows from..until, kept within the run and no narrower than a few milliseconds. */
  show(from, until, changes = {}) {
    const width = Math.min(Math.max(until - from, 4), this.end);
    const start = Math.min(Math.max(from + (until - from - width) / 2, 0), this.end - width);
    this.set({ ...changes, from: start, until: start + width });
  }

  /** Zooms by a factor, keeping the time `around` where it is. */
  zoom(factor, around = this.t) {
    const centre = Math.min(Math.max(around, this.from), this.until);
    const width = (this.until - this.from) * factor;
    const share = (centre - this.from) / (this.until - this.from);
    this.show(centre - width * share, centre + width * (1 - share));
  }

  /** Moves the window by a share of its width. */
  pan(share) {
    const by = (this.until - this.from) * share;
    this.show(this.from + by, this.until + by);
  }

  /** Goes to an instant, and moves the window if it is outside. */
  go(t, changes = {}) {
    const time = Math.min(Math.max(t, 0), this.end);
    const width = this.until - this.from;
    if (time >= this.from && time <= this.until) this.set({ ...changes, t: time });
    else this.show(time - width / 2, time + width / 2, { ...changes, t: time });
  }
}

/** The view as the fragment of a link: times in seconds. */
export function toHash(view) {
  const inSeconds = (t) => String(Math.round(t * 1000) / 1e6);
  const parts = [`t=${inSeconds(view.t)}`];
  if (view.node !== null) parts.push(`node=n${view.node}`);
  if (view.operation !== null) parts.push(`op=${view.operation}`);
  if (view.from > 0 || view.until < view.end) parts.push(`zoom=${inSeconds(view.from)}-${inSeconds(view.until)}`);
  return `#${parts.join("&")}`;
}

/** What a fragment asks for, as changes to a view; what makes no sense is left out. */
export function fromHash(hash) {
  const asked = Object.fromEntries(hash.replace(/^#/, "").split("&").map((part) => part.split("=")));
  const changes = {};
  const time = Number(asked.t) * 1000;
  if (asked.t && Number.isFinite(time)) changes.t = time;
  const node = /^n?(\d+)$/.exec(asked.node ?? "");
  if (node) changes.node = Number(node[1]);
  if (/^\d+$/.test(asked.op ?? "")) changes.operation = Number(asked.op);
  const zoom = /^([\d.]+)-([\d.]+)$/.exec(asked.zoom ?? "");
  if (zoom && Number(zoom[1]) < Number(zoom[2])) Object.assign(changes, { from: Number(zoom[1]) * 1000, until: Number(zoom[2]) * 1000 });
  return changes;
}

/** Whether the filters let an operation through. */
export const showsOperation = (view, { key, client }) =>
  (view.key === null || key === view.key) && (view.client === null || client === view.client);

/** Whether the filters let a message through. */
export const showsMessage = (view, { kind, quiet }) => (view.routine || !quiet) && !view.kinds.has(kind);
