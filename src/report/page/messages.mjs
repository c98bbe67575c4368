// Messages: as arrows between the lines of hosts where there is room for them, else as a count over time.
import { within } from "./layout.mjs";
import { showsMessage } from "./view.mjs";

/** More arrows than this in one picture are a grey cloud: then only their number over time is shown. */
export const MOST_ARROWS = 1200;

/** What is looked up again and again of a run's messages. */
export function indexMessages(messages) {
  return {
    starts: Float64Array.from(messages, (message) => message.sent),
    longest: messages.reduce((longest, message) => Math.max(longest, message.last - message.sent), 0),
  };
}

/** The messages under way in the window: those let through, and how many the filters hide. */
export function messagesInView(run, view) {
  const { starts, longest } = run.messageIndex;
  const all = within(run.messages, starts, longest, view.from, view.until, (message) => message.last);
  const shown = all.filter((message) => showsMessage(view, message));
  const routine = all.reduce((sum, message) => sum + (message.quiet && !view.routine ? 1 : 0), 0);
  return { shown, routine, filtered: all.length - shown.length - routine, arrows: shown.length <= MOST_ARROWS };
}

/** The family of a kind of message, which decides its colour. */
export function familyOf(kind) {
  const base = kind.replace(/_reply$/, "");
  return { append_entries: "replicate", install_snapshot: "replicate", anti_entropy: "replicate", segment: "request", other: "request" }[base] ?? base;
}

/** Where a message's line begins and ends in a pane; null where one of its hosts has no row. */
export function lineOf(message, rows, scale) {
  const [from, to] = [rows.rowOf.get(message.from), rows.rowOf.get(message.to)];
  if (!from || !to) return null;
  const down = to.y > from.y ? 1 : -1;
  const y0 = from.y + (down * from.ribbon) / 2;
  const y1 = to.y - (down * to.ribbon) / 2;
  const died = message.fate === "dropped";
  return {
    x0: scale.x(message.sent), y0,
    // A lost message ends half way, since it never arrived.
    x1: died ? Math.max(scale.x(message.end), scale.x(message.sent) + 4) : scale.x(message.end),
    y1: died || message.fate === "open" ? (y0 + y1) / 2 : y1,
    yTo: y1,
  };
}

/** Whether a message waited for a dead connection, to be lost long after it was sent. */
const isStale = (message) => message.fate === "dropped" && message.end - message.sent > 60;
/** How much of either end of such a message is drawn, in pixels. */
const STUB = 14;

/** Draws arrows; those of the chosen ids on top and thick. */
export function drawArrows(context, shown, rows, scale, colours, chosen) {
  context.save();
  context.beginPath();
  context.rect(scale.left, 0, scale.right - scale.left, rows.height);
  context.clip();
  const crowd = shown.length > 500 ? 0.45 : shown.length > 150 ? 0.65 : 0.9;
  const isChosen = (message) => chosen?.has(message.id) ?? false;
  const draw = (message, alpha, width) => {
    const line = lineOf(message, rows, scale);
    if (line) drawArrow(context, message, line, scale, colours, alpha, shown.length < 400 || width > 2, width);
  };
  for (const message of shown) draw(message, crowd, 1.1);
  for (const message of shown.filter(isChosen)) draw(message, 1, 3);
  context.restore();
}

function drawArrow(context, message, line, scale, colours, alpha, heads, width) {
  const died = message.fate === "dropped";
  const colour = died ? colours.bad : colours[familyOf(message.kind)] ?? colours.request;
  const stale = isStale(message) && width < 2;
  context.globalAlpha = stale ? 0.5 : died ? Math.max(alpha, 0.7) : alpha;
  context.strokeStyle = context.fillStyle = width > 2 ? colours.accent : colour;
  context.lineWidth = width;
  context.setLineDash(message.held ? [2, 4] : message.delay > 0 ? [7, 3] : []);
  context.beginPath();
  const [dx, dy] = [line.x1 - line.x0, line.y1 - line.y0];
  // Only both ends of a stale one are drawn: the whole line would cross everything.
  const stub = stale ? Math.min(0.5, STUB / Math.hypot(dx, dy)) : 0.5;
  context.moveTo(line.x0, line.y0);
  context.lineTo(line.x0 + dx * stub, line.y0 + dy * stub);
  context.moveTo(line.x1 - dx * stub, line.y1 - dy * stub);
  context.lineTo(line.x1, line.y1);
  context.stroke();
  context.setLineDash([]);
  if (died) {
    context.globalAlpha = Math.max(context.globalAlpha, 0.6);
    drawCross(context, line.x1, line.y1, 3.5);
  } else if (heads && message.fate !== "open") {
    drawHead(context, line, message.fate === "discarded");
  }
  for (const arrival of message.arrivals.slice(1)) {
    // The second copy of a duplicated message, or a late one: its own line, beside the first.
    context.setLineDash([1, 3]);
    context.beginPath();
    context.moveTo(line.x0, line.y0);
    context.lineTo(scale.x(arrival), line.yTo);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.arc(scale.x(arrival), line.yTo, 2.4, 0, 7);
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** A cross: here something ended. */
export function drawCross(context, x, y, size) {
  context.lineWidth = 1.6;
  cross(context, x, y, size);
}

/** A cross as wide as the context's lines. */
export function cross(context, x, y, size) {
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x - size, y + size);
  context.lineTo(x + size, y - size);
  context.stroke();
}

function drawHead(context, { x0, y0, x1, y1 }, hollow) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  context.save();
  context.translate(x1, y1);
  context.rotate(angle);
  context.beginPath();
  context.moveTo(0, 0);
  context.lineTo(-6, 2.6);
  context.lineTo(-6, -2.6);
  context.closePath();
  if (hollow) context.stroke();
  else context.fill();
  context.restore();
}

/** How many messages were sent over time: delivered above the line, lost below it, on one scale. */
export function drawDensity(context, shown, rows, scale, colours) {
  const { y, height } = rows.density;
  const bins = Math.max(1, Math.floor((scale.right - scale.left) / 3));
  const [arrived, lost] = [new Uint32Array(bins), new Uint32Array(bins)];
  const perBin = bins / (scale.until - scale.from);
  for (const message of shown) {
    const bin = Math.floor((message.sent - scale.from) * perBin);
    if (bin < 0 || bin >= bins) continue;
    (message.fate === "dropped" ? lost : arrived)[bin]++;
  }
  const most = Math.max(1, arrived.reduce((a, b) => Math.max(a, b), 0), lost.reduce((a, b) => Math.max(a, b), 0));
  const middle = y + height * 0.62;
  const wide = (scale.right - scale.left) / bins;
  for (let bin = 0; bin < bins; bin++) {
    const x = scale.left + bin * wide;
    context.fillStyle = colours.density;
    const up = (arrived[bin] / most) * height * 0.62;
    context.fillRect(x, middle - up, Math.max(1, wide - 0.5), up);
    context.fillStyle = colours.bad;
    const down = (lost[bin] / most) * height * 0.62;
    context.fillRect(x, middle + 1, Math.max(1, wide - 0.5), Math.min(down, height * 0.38));
  }
  context.fillStyle = colours.line;
  context.fillRect(scale.left, middle, scale.right - scale.left, 1);
}

/** The message nearest to a point, if one is near. */
export function messageAt(shown, rows, scale, x, y) {
  let [nearest, distance] = [null, 6];
  for (const message of shown) {
    const line = lineOf(message, rows, scale);
    if (!line) continue;
    const [dx, dy] = [line.x1 - line.x0, line.y1 - line.y0];
    const along = Math.min(1, Math.max(0, ((x - line.x0) * dx + (y - line.y0) * dy) / (dx * dx + dy * dy || 1)));
    const drawn = !isStale(message) || along * Math.hypot(dx, dy) < STUB || (1 - along) * Math.hypot(dx, dy) < STUB;
    const away = drawn ? Math.hypot(x - line.x0 - along * dx, y - line.y0 - along * dy) : Infinity;
    if (away < distance) [nearest, distance] = [message, away];
  }
  return nearest;
}
