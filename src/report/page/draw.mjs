// One pane on its canvas: axis, faults, ribbons of the nodes, clients' operations, marks.
import { barText, drawCharts, operationAt } from "./charts.mjs";
import { fitted, labelsOf, scaleOf } from "./layout.mjs";
import { drawArrows, drawCross, drawDensity, messageAt, messagesInView } from "./messages.mjs";
import { showsOperation } from "./view.mjs";
import { opText } from "./words.mjs";

const COLOURS = [
  "ink", "faint", "line", "grid", "well", "paper", "bad", "warn", "ok", "late", "fail", "dot", "density", "accent", "cut",
  "read", "write", "request", "replicate", "vote", "heartbeat",
];
/** Terms go round these; the number of the term stands beside wherever there is room. */
const TERMS = 6;

/** The colours of the page's theme, for the canvas. */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  colours.terms = Array.from({ length: TERMS }, (_, i) => style.getPropertyValue(`--term${i}`).trim());
  colours.small = `11px ${style.fontFamily}`;
  colours.label = `600 11px ${style.fontFamily}`;
  return colours;
}

/** Draws a run; returns what is under the pointer, and what of the messages is shown. */
export function drawPane(context, run, view, rows, colours, stops) {
  const scale = scaleOf(view, rows);
  const messages = messagesInView(run, view);
  context.clearRect(0, 0, rows.width, rows.height);
  context.textBaseline = "alphabetic";
  drawAxis(context, rows, scale, colours);
  drawFaults(context, run, rows, scale, colours);
  drawLines(context, run, rows, scale, colours, view);
  clipped(context, rows, scale, () => {
    drawRibbons(context, run, rows, scale, colours);
    drawOverlaps(context, run, rows, scale, colours);
  });
  const chosen = view.operation === null ? null : run.byId.get(view.operation);
  if (messages.arrows) drawArrows(context, messages.shown, rows, scale, colours, chosen && carriersOf(run, chosen));
  drawDensity(context, messages.shown, rows, scale, colours);
  clipped(context, rows, scale, () => {
    drawNumbers(context, run, rows, scale, colours);
    const joins = joinsOf(run, view, rows, scale);
    drawJoins(context, joins, view, colours);
    drawOperations(context, run, view, rows, scale, colours, chosen);
    drawPlates(context, joins, view, rows, scale, colours);
  });
  drawCharts(context, run, view, rows, scale, colours);
  drawStops(context, run, view, rows, scale, colours, stops);
  drawInstants(context, view, rows, scale, colours);
  return { scale, messages };
}

function clipped(context, rows, scale, draw) {
  context.save();
  context.beginPath();
  context.rect(scale.left, 0, scale.right - scale.left, rows.height);
  context.clip();
  draw();
  context.restore();
}

function drawAxis(context, rows, scale, colours) {
  context.font = colours.small;
  context.textAlign = "center";
  for (const { t, text, middle } of labelsOf(scale, (words) => context.measureText(words).width)) {
    const x = Math.round(scale.x(t)) + 0.5;
    context.strokeStyle = colours.grid;
    context.beginPath();
    context.moveTo(x, rows.axis.height);
    context.lineTo(x, rows.height);
    context.stroke();
    context.fillStyle = colours.faint;
    context.fillText(text, middle, rows.axis.height - 2);
  }
}

/** Bands with names; a cut also shades what is below it, and a dashed line lies between hosts that it parts. */
function drawFaults(context, run, rows, scale, colours) {
  const bottom = rows.density.y;
  for (const fault of run.faults) {
    if (fault.until < scale.from || fault.from > scale.until) continue;
    const [x0, x1] = [Math.max(scale.left, scale.x(fault.from)), Math.min(scale.right, scale.x(fault.until))];
    const y = rows.faults.y + rows.faults.laneOf.get(fault.index) * 18;
    if (fault.cut) {
      context.fillStyle = colours.cut;
      for (const [from, until] of cutSpans(fault)) {
        const [a, b] = [Math.max(scale.left, scale.x(from)), Math.min(scale.right, scale.x(until))];
        if (b > a) context.fillRect(a, rows.faults.y, b - a, bottom - rows.faults.y);
        if (b > a) drawCut(context, fault, rows, a, b, colours);
      }
    }
    context.fillStyle = fault.cut ? colours.bad : colours.warn;
    context.globalAlpha = 0.16;
    context.fillRect(x0, y, x1 - x0, 15);
    context.globalAlpha = 1;
    context.fillRect(x0, y + 13, x1 - x0, 2);
    context.fillStyle = colours.ink;
    context.font = colours.label;
    context.textAlign = "left";
    const text = fitted(context, fault.text.replace(/, from .*$/, ""), x1 - x0 - 8) || fitted(context, fault.name, x1 - x0 - 6);
    context.fillText(text, x0 + 5, y + 11);
  }
}

/** When a fault's links are really cut: a flapping one is whole now and then. */
function cutSpans({ from, until, flaps }) {
  const spans = [];
  let since = from;
  for (const [t, cut] of flaps) {
    if (!cut && since !== null) spans.push([since, t]);
    since = cut ? t : null;
  }
  if (since !== null) spans.push([since, until]);
  return spans;
}

function drawCut(context, fault, rows, x0, x1, colours) {
  const cut = new Set(fault.links.map(([from, to]) => `${from} ${to}`));
  context.strokeStyle = colours.bad;
  context.lineWidth = 1.6;
  context.setLineDash([6, 4]);
  rows.hosts.slice(1).forEach((row, i) => {
    const above = rows.hosts[i];
    if (!cut.has(`${above.host} ${row.host}`) && !cut.has(`${row.host} ${above.host}`)) return;
    context.beginPath();
    context.moveTo(x0, row.top - 1);
    context.lineTo(x1, row.top - 1);
    context.stroke();
  });
  context.setLineDash([]);
}

function drawLines(context, run, rows, scale, colours, view) {
  for (const row of rows.hosts) {
    if (view.node === row.host) {
      context.fillStyle = colours.well;
      context.fillRect(0, row.top, scale.right, row.height - 2);
    }
    context.fillStyle = colours.line;
    context.fillRect(scale.left, Math.round(row.y), scale.right - scale.left, 1);
  }
  context.font = colours.small;
  context.textAlign = "right";
  context.fillStyle = colours.faint;
  const { density, lanes } = rows;
  context.fillText("messages", scale.left - 8, density.y + 14);
  context.fillText("lost", scale.left - 8, density.y + 27);
  for (const [index, site] of run.sites.entries()) {
    if (!site.clients.length) continue;
    const top = rows.laneOf.get(site.clients[0]);
    context.fillText(`${site.name}'s`, scale.left - 8, top + 10);
    if (lanes.pitch * site.clients.length > 26) context.fillText("clients", scale.left - 8, top + 23);
    if (index > 0) {
      context.fillStyle = colours.line;
      context.fillRect(scale.left, top - 2, scale.right - scale.left, 1);
      context.fillStyle = colours.faint;
    }
  }
}

/** The colour of a term, the same in every pane. */
export const termColour = (colours, term) => colours.terms[term % colours.terms.length];

/** Roles: full for a primary, striped for a candidate, thin for a backup; empty and dashed where a process is down. */
function drawRibbons(context, run, rows, scale, colours) {
  const shards = run.scopes.filter((scope) => scope !== "all");
  for (const span of run.roles) {
    const row = rows.rowOf.get(span.node);
    const box = boxOf(span, scale);
    if (!row || !box) continue;
    const lanes = span.scope === "all" ? 1 : shards.length;
    const height = row.ribbon / lanes;
    const y = row.y - row.ribbon / 2 + (span.scope === "all" ? 0 : shards.indexOf(span.scope) * height);
    const colour = termColour(colours, span.term);
    context.fillStyle = colour;
    if (span.role === "primary") context.fillRect(box.x, y, box.width, height - (lanes > 1 ? 1 : 0));
    else if (span.role === "candidate") stripes(context, box.x, y, box.width, height, colour);
    else {
      context.globalAlpha = 0.55;
      context.fillRect(box.x, y + height / 2 - 2, box.width, 3);
      context.globalAlpha = 1;
    }
    const text = span.role === "backup" ? `T${span.term}` : span.scope === "all" ? `${span.label ?? (span.role === "primary" && run.isRaft ? "leader" : span.role)} T${span.term}`
      : `${run.sites[span.scope]?.name ?? span.scope}'s keys T${span.term}`;
    if (span.role !== "backup" && box.width > 34 && height >= 8) {
      context.font = height < 12 ? `600 9px ${colours.small.slice(5)}` : colours.label;
      context.textAlign = "left";
      context.fillStyle = span.role === "primary" ? colours.paper : colours.ink;
      const shown = fitted(context, text, box.width - 8) || `T${span.term}`;
      if (span.role === "candidate") {
        const width = context.measureText(shown).width;
        context.fillStyle = colours.paper;
        context.fillRect(box.x + 4, y + 1, width + 6, height - 2);
        context.fillStyle = colours.ink;
      }
      context.fillText(shown, box.x + 7, y + height / 2 + (height < 12 ? 3 : 4));
    }
  }
  for (const { node, what, from, until } of run.stops) {
    const row = rows.rowOf.get(node);
    const box = boxOf({ from, until }, scale);
    if (!row || !box) continue;
    const y = row.y - row.ribbon / 2 - 2;
    context.fillStyle = colours.paper;
    context.fillRect(box.x, y, box.width, row.ribbon + 4);
    context.strokeStyle = what === "down" ? colours.bad : colours.warn;
    context.setLineDash(what === "down" ? [3, 3] : []);
    context.strokeRect(box.x + 0.5, y + 0.5, box.width, row.ribbon + 3);
    context.setLineDash([]);
    context.fillStyle = colours.ink;
    context.font = colours.label;
    context.textAlign = "center";
    if (box.width > 48) context.fillText(what === "down" ? "× down" : "‖ paused", box.x + box.width / 2, row.y + 4);
  }
}

function boxOf({ from, until }, scale) {
  if (until < scale.from || from > scale.until) return null;
  const x = Math.max(scale.left, scale.x(from));
  return { x, width: Math.max(1, Math.min(scale.right, scale.x(until)) - x) };
}

function stripes(context, x, y, width, height, colour) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  for (let at = x - height - (x % 7); at < x + width; at += 7) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.lineWidth = 1;
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.restore();
}

/** Two primaries of the same keys: a red bar under each, joined where it begins. */
function drawOverlaps(context, run, rows, scale, colours) {
  for (const { from, until, nodes } of run.overlaps) {
    const box = boxOf({ from, until }, scale);
    if (!box) continue;
    const places = nodes.map((node) => rows.rowOf.get(node)).filter(Boolean);
    context.fillStyle = colours.bad;
    for (const row of places) context.fillRect(box.x, row.y + row.ribbon / 2 + 1, box.width, 3);
    const top = Math.min(...places.map((row) => row.y + row.ribbon / 2));
    const bottom = Math.max(...places.map((row) => row.y + row.ribbon / 2 + 4));
    context.fillRect(box.x, top, 2, bottom - top);
    if (box.width > 110) {
      context.font = colours.label;
      context.textAlign = "left";
      context.fillText("two primaries", box.x + 6, top + 15);
    }
  }
}

/** Below each ribbon: whom the node believes to lead, and how far it knows the log committed. */
function drawNumbers(context, run, rows, scale, colours) {
  context.font = colours.small;
  context.textAlign = "left";
  for (const row of rows.hosts.filter(({ isNode }) => isNode)) {
    const y = row.y + row.ribbon / 2 + 13;
    let free = -Infinity;
    context.fillStyle = colours.faint;
    for (const belief of run.beliefs.filter(({ node }) => node === row.host)) {
      const box = boxOf(belief, scale);
      if (!box || belief.leader === row.host || box.x < free) continue;
      const text = belief.leader === null ? `T${belief.term} no leader` : `T${belief.term} follows ${run.name(belief.leader)}`;
      const width = context.measureText(text).width;
      if (box.width < Math.min(width, 40)) continue;
      const shown = fitted(context, text, box.width);
      outlined(context, shown, box.x + 2, y, colours);
      free = box.x + context.measureText(shown).width + 10;
    }
    drawCommits(context, run.commits.get(row.host), y, free, scale, colours);
  }
}

/** Text that can be read on top of lines. */
function outlined(context, text, x, y, colours) {
  context.strokeStyle = colours.paper;
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

function drawCommits(context, commits, y, free, scale, colours) {
  let next = Math.max(free, scale.left);
  let low = 0;
  while (low < commits.length && commits[low].t < scale.from) low++;
  for (let i = Math.max(0, low - 1); i < commits.length && commits[i].t <= scale.until; i++) {
    const x = Math.max(scale.left, scale.x(commits[i].t));
    if (x < next) continue;
    outlined(context, `c${commits[i].index}`, x, y, colours);
    next = x + 64;
  }
}

function drawOperations(context, run, view, rows, scale, colours, chosen) {
  const { pitch } = rows.lanes;
  const height = pitch - 3;
  for (const operation of run.operations) {
    if (operation.start > scale.until || operation.end < scale.from) continue;
    const y = rows.laneOf.get(operation.client);
    if (y === undefined) continue;
    const x = scale.x(operation.start);
    const width = Math.max(1.5, scale.x(operation.end) - x);
    const evidence = run.evidence.has(operation.id);
    context.globalAlpha = showsOperation(view, operation) ? 1 : 0.12;
    const unknown = operation.status === "info";
    if (unknown) drawOpenEnded(context, x, y, width, height, colours);
    else {
      context.fillStyle = operation.status === "fail" ? colours.fail : operation.op === "get" ? colours.read : colours.write;
      context.fillRect(x, y, width, height);
    }
    if (operation.status === "fail") {
      context.strokeStyle = colours.ink;
      drawCross(context, x + width / 2, y + height / 2, Math.min(3, height / 2));
    }
    if (evidence) {
      context.strokeStyle = context.fillStyle = colours.bad;
      context.lineWidth = 1.5;
      if (width > 4) context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
      else context.fillRect(x, y + height - 3, Math.max(2, width), 3);
    }
    if (operation === chosen) {
      context.strokeStyle = colours.accent;
      context.lineWidth = 2.5;
      context.strokeRect(x - 2.5, y - 2.5, width + 5, height + 5);
    }
    const letter = run.firsts.get(operation.id);
    if (letter) drawFirst(context, letter, x, y + height / 2, colours);
    if (pitch > 12) drawBarText(context, run, operation, x, y + height - 2.5, width, scale, colours);
    context.globalAlpha = 1;
  }
}

/** A letter before the operation that first ended differently under another system. */
function drawFirst(context, letter, x, y, colours) {
  context.fillStyle = colours.accent;
  context.beginPath();
  context.arc(x - 8, y, 7, 0, 7);
  context.fill();
  context.fillStyle = colours.paper;
  context.font = colours.label;
  context.textAlign = "center";
  context.fillText(letter, x - 8, y + 4);
}

/** The words of an operation: on its bar, or else beside it where nothing follows. */
function drawBarText(context, run, operation, x, y, width, scale, colours) {
  context.font = colours.small;
  context.textAlign = "left";
  const left = Math.max(x, scale.left);
  const text = barText(operation, x + width - left);
  if (text) {
    const onDark = operation.op !== "get" && operation.status === "ok";
    context.fillStyle = onDark ? colours.paper : colours.ink;
    context.fillText(text, left + 4, y);
    return;
  }
  const next = run.nextOfClient.get(operation.id);
  const room = (next ? scale.x(next.start) : scale.right) - (x + width) - 8;
  const full = `${opText(operation)}${operation.by === null ? "" : ` by ${run.name(operation.by)}`}`;
  const beside = [full, opText(operation)].find((words) => words.length * 6.2 < room);
  if (!beside) return;
  const isEvidence = run.evidence.has(operation.id);
  context.fillStyle = isEvidence ? colours.ink : colours.faint;
  // The line of a certificate runs below its operations' words.
  if (isEvidence) outlined(context, beside, x + width + 4, y, colours);
  else context.fillText(beside, x + width + 4, y);
}

/** The messages that carried what a chosen operation's certificates rest on. */
function carriersOf(run, operation) {
  const messages = (run.evidence.get(operation.id) ?? []).flatMap(({ at }) => run.outcome.violations[at].certificate.messages ?? []);
  return new Set(messages.map(({ host, number }) => `m${host}.${number}`));
}

/** An unknown operation has no right end: from when its client gave up, only a dashed arrow. */
function drawOpenEnded(context, x, y, width, height, colours) {
  context.fillStyle = colours.warn;
  context.globalAlpha *= 0.55;
  context.fillRect(x, y, width, height);
  context.globalAlpha = Math.min(1, context.globalAlpha / 0.55);
  const end = x + width;
  const middle = y + height / 2;
  context.strokeStyle = colours.warn;
  context.lineWidth = 1.5;
  context.setLineDash([3, 2]);
  context.beginPath();
  context.moveTo(x, y + height - 0.5);
  context.lineTo(end, y + height - 0.5);
  context.moveTo(x, y + 0.5);
  context.lineTo(end, y + 0.5);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(end, middle);
  context.lineTo(end + 9, middle);
  context.moveTo(end + 5, middle - 3);
  context.lineTo(end + 9, middle);
  context.lineTo(end + 5, middle + 3);
  context.stroke();
}

/** The operations of a certificate that a line joins: all of a split-brain, and whatever is chosen. */
function joinsOf(run, view, rows, scale) {
  return run.outcome.violations.flatMap(({ check, certificate }, at) => {
    const ids = certificate.operations ?? [];
    const chosen = view.operation !== null && ids.includes(view.operation);
    if (ids.length < 2 || !run.safetyChecks[at] || !(check === "split_brain" || (chosen && check === "lost_write"))) return [];
    const operations = ids.slice(0, 2).map((id) => run.byId.get(id)).filter(Boolean);
    if (operations.length < 2 || operations.every(({ end }) => end < scale.from || end > scale.until)) return [];
    const [a, b] = operations.map((operation) => ({
      x: scale.x(operation.end), y: rows.laneOf.get(operation.client) + (rows.lanes.pitch - 3) / 2, operation,
    }));
    return [{ a, b, check, chosen }];
  });
}

/** Below the operations and their words: a line must not strike them out. */
function drawJoins(context, joins, view, colours) {
  for (const { a, b, chosen } of joins) {
    const bend = Math.max(14, Math.abs(b.x - a.x) / 3);
    context.strokeStyle = colours.bad;
    context.lineWidth = chosen ? 2.5 : 1.3;
    context.globalAlpha = chosen || view.operation === null ? 1 : 0.5;
    context.beginPath();
    context.moveTo(a.x, a.y);
    context.bezierCurveTo(a.x + bend, a.y, b.x + bend, b.y, b.x, b.y);
    context.stroke();
    context.fillStyle = colours.bad;
    for (const { x, y } of [a, b]) {
      context.beginPath();
      context.arc(x, y, chosen ? 3.5 : 2.5, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
  }
}

/** What the lines say, on plates above the clients' rows, where nothing else is written. */
function drawPlates(context, joins, view, rows, scale, colours) {
  const plates = [];
  for (const { a, b, check, chosen } of joins) {
    if (!chosen && (view.operation !== null || scale.until - scale.from >= 4000)) continue;
    const text = check === "lost_write" ? `lost: ${opText(a.operation)}` : `${opText(a.operation)}  ✗  ${opText(b.operation)}`;
    plate(context, text, Math.max(a.x, b.x), Math.min(a.y, b.y), rows, scale, colours, plates);
  }
}

/** Text on a plate of its own, with a line down to what it is about, where none of the other plates is. */
function plate(context, text, x, y, rows, scale, colours, plates) {
  context.font = colours.label;
  context.textAlign = "left";
  const width = context.measureText(text).width + 10;
  const left = Math.max(scale.left, Math.min(x - width / 2, scale.right - width));
  const middle = rows.lanes.y - 12;
  if (plates.some((other) => other.left < left + width && left < other.left + other.width)) return;
  plates.push({ left, width });
  context.strokeStyle = colours.bad;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, middle + 8);
  context.lineTo(x, y);
  context.stroke();
  context.fillStyle = colours.paper;
  context.fillRect(left, middle - 8, width, 16);
  context.strokeRect(left + 0.5, middle - 7.5, width - 1, 15);
  context.fillStyle = colours.ink;
  context.fillText(text, left + 5, middle + 4);
}

/** The numbers of the tour's stops, and the first differences, on the axis. */
function drawStops(context, run, view, rows, scale, colours, stops) {
  let free = -Infinity;
  const shown = stops.filter((stop) => stop.t >= scale.from && stop.t <= scale.until && (stop.system === null || stop.system === run.index));
  for (const stop of shown.sort((a, b) => a.t - b.t || a.number - b.number)) {
    const x = scale.x(stop.t);
    // Numbers that would cover each other stand side by side.
    const disc = Math.min(Math.max(x, free), scale.right - 8);
    free = disc + 18;
    const current = view.stop === stop.number - 1;
    context.strokeStyle = colours.accent;
    context.globalAlpha = current ? 1 : 0.55;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(x, 16);
    context.lineTo(x, rows.lanes.y + rows.lanes.height);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    context.fillStyle = current ? colours.accent : colours.paper;
    context.beginPath();
    context.arc(disc, 9, 8, 0, 7);
    context.fill();
    context.stroke();
    context.fillStyle = current ? colours.paper : colours.accent;
    context.font = colours.label;
    context.textAlign = "center";
    context.fillText(String(stop.number), disc, 13);
  }
}

/** The chosen instant as a line, and the one under the pointer as a thinner one, in every pane. */
function drawInstants(context, view, rows, scale, colours) {
  for (const [t, width] of [[view.hover, 1], [view.t, 2]]) {
    if (t === null || t < scale.from || t > scale.until) continue;
    context.fillStyle = width === 1 ? colours.faint : colours.accent;
    context.fillRect(Math.round(scale.x(t)) - width / 2, 18, width, rows.height - 18);
  }
}

/** What is under a point: an operation, a message, a node, or a fault. */
export function hitAt(run, view, rows, drawn, x, y) {
  const { scale, messages } = drawn;
  if (x < scale.left || x > scale.right) return null;
  const { lanes, faults } = rows;
  if (y >= lanes.y && y < lanes.y + lanes.height) {
    const operation = operationAt(run.operations, rows, scale, x, y);
    return operation && { operation };
  }
  if (y >= faults.y && y < faults.y + faults.height) {
    const t = scale.t(x);
    const lane = Math.floor((y - faults.y) / 18);
    const fault = run.faults.find((one) => faults.laneOf.get(one.index) === lane && one.from <= t && t <= one.until);
    return fault ? { fault } : null;
  }
  const message = messages.arrows ? messageAt(messages.shown, rows, scale, x, y) : null;
  if (message) return { message };
  const row = rows.hosts.find(({ top, height, isNode }) => isNode && y >= top && y < top + height);
  return row ? { node: row.host } : null;
}
