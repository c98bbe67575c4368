// The layout of a pane: where its parts are, and where each instant is. All panes of a page share one layout.
import { lowerBound } from "./decode.mjs";

/** Rows of a pane, from the top; `y` is a row's middle where it has one, else its top. `shards`: of any pane. */
export function layoutOf(run, { width, shards, charts }) {
  const longest = Math.max(...run.names.slice(1).map((name) => name.length));
  const gutter = width < 520 ? 68 : Math.max(96, longest * 6.5 + 14);
  const faults = packFaults(run.faults);
  const rows = { gutter, width, axis: { y: 0, height: 34 } };
  let y = rows.axis.height;
  rows.faults = { y, lanes: faults.lanes, laneOf: faults.laneOf, height: faults.lanes * 18 + 4 };
  y += rows.faults.height;
  const heightOf = (count) => (count > 1 ? Math.min(40, 10 * count) : 14);
  const ribbon = heightOf(run.scopes.filter((scope) => scope !== "all").length);
  const pitch = heightOf(shards) + 26;
  rows.hosts = hostsInOrder(run).map((host) => {
    const isNode = host <= run.nodes.length;
    const height = isNode ? pitch : 24;
    const row = { host, isNode, y: y + height / 2 - (isNode ? 4 : 0), height, top: y, ribbon: isNode ? ribbon : 4 };
    y += height;
    return row;
  });
  rows.rowOf = new Map(rows.hosts.map((row) => [row.host, row]));
  rows.density = { y: y + 4, height: 30 };
  y += 42;
  const clients = run.sites.flatMap((site) => site.clients);
  const lane = clients.length > 12 ? 9 : 15;
  rows.lanes = { y: y + 14, pitch: lane, height: clients.length * lane, clients };
  rows.laneOf = new Map(clients.map((client, i) => [client, y + 14 + i * lane]));
  y += 14 + rows.lanes.height + 14;
  rows.charts = [];
  for (const [index, site] of run.sites.entries()) {
    if (!site.clients.length) continue;
    for (const chart of charts) {
      rows.charts.push({ ...chart, site: index, y: y + 14, height: 30 });
      y += 48;
    }
  }
  rows.height = y;
  return rows;
}

/** Every site's clients next to its nodes, on the outer side, so that what is cut lies between the sites. */
function hostsInOrder(run) {
  return run.sites.flatMap(({ nodes, client_host }, index) => {
    const clients = client_host === null ? [] : [client_host];
    return index === run.sites.length - 1 && index > 0 ? [...nodes, ...clients] : [...clients, ...nodes];
  });
}

/** Faults in as few lanes as do not overlap. */
function packFaults(faults) {
  const ends = [];
  const laneOf = new Map();
  for (const fault of [...faults].sort((a, b) => a.from - b.from)) {
    let lane = ends.findIndex((end) => end <= fault.from);
    if (lane < 0) lane = ends.length;
    ends[lane] = fault.until;
    laneOf.set(fault.index, lane);
  }
  return { lanes: ends.length, laneOf };
}

/** Time to pixels and back, for a view in a pane of this layout. */
export function scaleOf(view, rows) {
  const left = rows.gutter;
  const span = rows.width - rows.gutter - 10;
  const perMs = span / (view.until - view.from);
  return {
    left, right: left + span, perMs,
    x: (t) => left + (t - view.from) * perMs,
    t: (x) => view.from + (x - left) / perMs,
    from: view.from, until: view.until,
  };
}

/** Fewer times than this on an axis give no scale. */
const LEAST_TICKS = 3;
/** How many pixels a time on the axis needs at least: `8.4 s`, and some air. */
const NARROWEST = 40;

/** Round times for the axis, in ms, at least `room` pixels apart, or closer where that leaves too few to tell a scale. */
export function ticksOf(scale, room = 70) {
  const least = room / scale.perMs;
  let step = 1;
  while (step < least) step *= String(step).startsWith("2") ? 2.5 : 2;
  const ticks = [];
  for (let t = Math.ceil(scale.from / step) * step; t <= scale.until; t += step) ticks.push(t);
  return ticks.length < LEAST_TICKS && room > NARROWEST ? ticksOf(scale, Math.max(NARROWEST, room - 8)) : { step, ticks };
}

/** The times of an axis with where their words stand: none sticks out, none covers another. */
export function labelsOf(scale, measure) {
  const { step, ticks } = ticksOf(scale);
  const digits = step >= 1000 ? 0 : Math.min(3, Math.ceil(-Math.log10(step / 1000) - 1e-9));
  let free = -Infinity;
  return ticks.map((t) => {
    const text = `${(t / 1000).toFixed(digits)} s`;
    const half = measure(text) / 2;
    const middle = Math.min(Math.max(scale.x(t), scale.left + half), scale.right - half);
    const fits = middle - half >= free;
    if (fits) free = middle + half + 4;
    return { t, text: fits ? text : "", middle };
  });
}

/** The items that touch from..until, of a list that is sorted by `start` and holds nothing longer than `longest`. */
export function within(items, starts, longest, from, until, end) {
  const found = [];
  for (let i = lowerBound(starts, from - longest); i < items.length && starts[i] <= until; i++) {
    if (end(items[i]) >= from) found.push(items[i]);
  }
  return found;
}

/** The longest beginning of a text that fits, or nothing. */
export function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  for (let length = text.length - 1; length > 3; length--) {
    const short = `${text.slice(0, length).trimEnd()}…`;
    if (context.measureText(short).width <= width) return short;
  }
  return "";
}
