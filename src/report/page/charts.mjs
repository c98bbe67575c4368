// Two small charts per site: what share of its operations was acknowledged, and how long that took.
import { fitted } from "./layout.mjs";
import { opText } from "./words.mjs";

/** Operations of each site, in order of the time at which the script planned them. */
export function indexSites(run) {
  return run.sites.map((site, index) =>
    run.operations
      .filter((operation) => run.siteOfClient.get(operation.client) === index)
      .sort((a, b) => a.planned - b.planned));
}

/** Draws both charts of every site. */
export function drawCharts(context, run, view, rows, scale, colours) {
  for (const chart of rows.charts) {
    const operations = run.siteOperations[chart.site];
    context.fillStyle = colours.well;
    context.fillRect(scale.left, chart.y, scale.right - scale.left, chart.height);
    context.save();
    context.beginPath();
    context.rect(scale.left, chart.y - 12, scale.right - scale.left, chart.height + 13);
    context.clip();
    chart.draw(context, operations, chart, scale, colours);
    context.restore();
    context.fillStyle = colours.faint;
    context.font = colours.small;
    context.textAlign = "left";
    context.fillText(fitted(context, titleOf(run, chart, operations, view), scale.right - scale.left), scale.left, chart.y - 4);
  }
}

function titleOf(run, { site, title }, operations, view) {
  const inView = operations.filter(({ planned }) => planned >= view.from && planned < view.until);
  return `${run.sites[site].name}: ${title(inView, inView.filter(({ status }) => status === "ok"))}`;
}

/** The charts under a run, from the top, one of each for every site with clients: a line here is a chart. `title` says what
 *  is in view, of the operations planned there and those acknowledged of them; `draw` draws into `{ y, height }`. */
export const CHARTS = [
  { title: (planned, acked) => `acknowledged ${acked.length} of ${planned.length} operations planned in view`, draw: drawAvailability },
  { title: (_, acked) => `from planned to acknowledged, ${percentiles(acked)}`, draw: drawLatency },
];

function percentiles(acked) {
  const times = acked.map(({ planned, end }) => end - planned).sort((a, b) => a - b);
  const at = (share) => (times.length ? `${Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))])} ms` : "-");
  return `median ${at(0.5)}, 99 % within ${at(0.99)}`;
}

/** Bars of the operations planned in a while: acknowledged below, then unknown, then failed, to their share. */
function drawAvailability(context, operations, { y, height }, scale, colours) {
  const bins = Math.max(1, Math.floor((scale.right - scale.left) / 8));
  const counts = Array.from({ length: bins }, () => ({ ok: 0, info: 0, fail: 0, late: 0 }));
  const perBin = bins / (scale.until - scale.from);
  for (const { planned, end, status } of operations) {
    const bin = Math.floor((planned - scale.from) * perBin);
    if (bin < 0 || bin >= bins) continue;
    counts[bin][status === "ok" && end - planned > 1000 ? "late" : status]++;
  }
  const wide = (scale.right - scale.left) / bins;
  counts.forEach((count, bin) => {
    const all = count.ok + count.late + count.info + count.fail;
    let top = y + height;
    for (const [status, colour] of [["ok", colours.ok], ["late", colours.late], ["info", colours.warn], ["fail", colours.fail]]) {
      const share = all ? (count[status] / all) * height : 0;
      top -= share;
      context.fillStyle = colour;
      context.fillRect(scale.left + bin * wide, top, wide - 1, share);
    }
  });
}

/** A dot per acknowledged operation, on a logarithmic scale from 1 ms to 10 s. */
function drawLatency(context, operations, { y, height }, scale, colours) {
  const up = (ms) => y + height - (Math.log10(Math.min(Math.max(ms, 1), 10000)) / 4) * (height - 4) - 2;
  context.strokeStyle = colours.grid;
  context.lineWidth = 1;
  for (const ms of [10, 100, 1000]) {
    context.beginPath();
    context.moveTo(scale.left, Math.round(up(ms)) + 0.5);
    context.lineTo(scale.right, Math.round(up(ms)) + 0.5);
    context.stroke();
  }
  context.fillStyle = colours.dot;
  for (const { planned, end, status } of operations) {
    if (status !== "ok" || planned < scale.from || planned > scale.until) continue;
    context.fillRect(scale.x(planned) - 1, up(end - planned) - 1, 2.2, 2.2);
  }
}

/** The operation whose bar is under a point of the clients' rows. */
export function operationAt(operations, rows, scale, x, y) {
  const lane = Math.floor((y - rows.lanes.y) / rows.lanes.pitch);
  const client = rows.lanes.clients[lane];
  if (client === undefined) return null;
  const near = operations.filter((operation) => operation.client === client
    && scale.x(operation.start) - 3 <= x && x <= Math.max(scale.x(operation.end), scale.x(operation.start) + 3) + 3);
  return near.at(-1) ?? null;
}

/** The words on an operation's bar, shorter where there is less room. */
export function barText(operation, width) {
  const text = opText(operation);
  if (width > text.length * 6 + 8) return text;
  const value = operation.op === "get" ? operation.found : operation.value;
  const short = value === null ? `k${operation.key}` : String(value);
  return width > short.length * 6 + 6 ? short : "";
}
