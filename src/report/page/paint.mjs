// Paints a scene on its ring. Colours have one meaning each: blue leads, green is a receipt, red is broken, grey is
// without service; all else is ink on paper. Nothing is kept between two frames.
import { within } from "./layout.mjs";
import { cross } from "./messages.mjs";
import { linksOf } from "./ring.mjs";
import { seatOf } from "./scene.mjs";

const INKS = ["ink", "faint", "line", "well", "paper", "bad", "good", "accent"];

/** The colours and the font of an element, for its canvas. */
export function inksOf(element) {
  const style = getComputedStyle(element);
  const inks = Object.fromEntries(INKS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...inks, family: style.fontFamily };
}

/**
 * Paints a scene. `view` says how much simulated time something lasts that is to be seen: `flight`, the shortest flight
 * of a message; `fades`, how long a change is under way.
 */
export function paintRing(context, scene, ring, view, inks) {
  const paint = { context, scene, ring, view, inks, run: scene.run };
  context.clearRect(0, 0, ring.width, ring.height);
  context.lineCap = context.lineJoin = "round";
  context.textAlign = "center";
  context.textBaseline = "middle";
  paintSites(paint);
  paintLinks(paint);
  paintCut(paint);
  paintMessages(paint);
  paintClients(paint);
  if (scene.pair) paintJoin(paint);
  for (const state of scene.states.values()) paintNode(paint, state);
  paintReceipts(paint);
  paintNames(paint);
  if (scene.pair) paintPair(paint);
  context.globalAlpha = 1;
}

/** From 0 to 1 while a change that began at `since` is under way. */
const grown = ({ scene, view }, since) => (since === -Infinity ? 1 : Math.min(1, Math.max(0, (scene.t - since) / view.fades)));
const eased = (share) => 1 - (1 - share) ** 3;

function font({ context, inks }, size, weight = 600) {
  context.font = `${weight} ${Math.round(size)}px ${inks.family}`;
}

/** Each site's ground: around its nodes. */
function paintSites({ context, ring, scene, inks }) {
  for (const { nodes } of ring.sites) {
    if (!nodes.length) continue;
    context.strokeStyle = context.fillStyle = nodes.every((node) => scene.grey.has(node)) ? inks.line : inks.well;
    context.lineWidth = ring.unit * 3;
    context.beginPath();
    for (const node of nodes) context.lineTo(ring.places.get(node).x, ring.places.get(node).y);
    context.closePath();
    context.fill();
    context.stroke();
  }
}

/** Each site's name: above its clients beside a wide ring; at the left edge of a tall one. */
function paintNames(paint) {
  const { context, ring, scene, inks } = paint;
  font(paint, Math.max(12, ring.unit * 0.5), 600);
  for (const site of ring.sites) {
    const isGrey = site.nodes.length > 0 && site.nodes.every((node) => scene.grey.has(node));
    context.fillStyle = isGrey ? inks.faint : inks.ink;
    const rim = ring.at(ring.outer, site.middle);
    const top = Math.min(rim.y, ...site.clients.map((client) => ring.clients.get(client).y));
    context.textAlign = ring.tall ? "left" : "center";
    if (ring.tall) context.fillText(site.name, 1, rim.y - Math.sign(rim.out.y) * ring.unit * 1.35);
    else context.fillText(site.name, rim.x, top - ring.unit * 1.15);
  }
  context.textAlign = "center";
}

function paintLinks({ context, ring, scene, inks, run }) {
  context.strokeStyle = inks.faint;
  context.globalAlpha = 0.4;
  context.lineWidth = 1.25;
  context.beginPath();
  for (const [a, b] of linksOf(run)) {
    if (scene.cut.has(`${a} ${b}`) || scene.cut.has(`${b} ${a}`)) continue;
    const [from, to] = [ring.places.get(a), ring.places.get(b)];
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
  }
  context.stroke();
  context.globalAlpha = 1;
}

/** A cut: across the ring between sides, or across each link where it parts no side from another. */
function paintCut(paint) {
  const { context, ring, scene, inks, run } = paint;
  if (!scene.cut.size) return;
  context.strokeStyle = inks.bad;
  context.lineWidth = Math.max(2, ring.unit * 0.1);
  context.setLineDash([ring.unit * 0.32, ring.unit * 0.32]);
  const sideOf = (node) => scene.sides.findIndex((side) => side.includes(node));
  const order = ring.sites.flatMap(({ nodes }) => nodes);
  const angles = ring.sites.flatMap(({ nodes, from }) => nodes.map((_, number) => from + number * ring.step));
  const gaps = order.flatMap((node, index) => {
    const next = order[(index + 1) % order.length];
    return order.length > 1 && sideOf(node) !== sideOf(next) ? [ring.at(beyond(ring), angles[index] + ring.step / 2)] : [];
  });
  context.beginPath();
  if (gaps.length === 2) {
    context.moveTo(gaps[0].x, gaps[0].y);
    context.lineTo(gaps[1].x, gaps[1].y);
  } else if (gaps.length > 2) {
    for (const gap of gaps) {
      context.moveTo(ring.centre.x, ring.centre.y);
      context.lineTo(gap.x, gap.y);
    }
  }
  context.stroke();
  context.setLineDash([]);
  if (gaps.length) return nameCut(paint, gaps);
  for (const link of linksOf(run)) {
    if (!scene.cut.has(link.join(" ")) && !scene.cut.has(`${link[1]} ${link[0]}`)) continue;
    const [a, b] = link.map((end) => ring.places.get(end));
    cross(context, (a.x + b.x) / 2, (a.y + b.y) / 2, ring.unit * 0.22);
  }
}

/** The word at the end of the line: above a wide ring, at the right of a tall one. */
function nameCut(paint, gaps) {
  const { context, ring, inks } = paint;
  const end = gaps.reduce((best, gap) => ((ring.tall ? gap.x > best.x : gap.y < best.y) ? gap : best));
  font(paint, Math.max(12, ring.unit * 0.5), 700);
  context.fillStyle = inks.bad;
  const half = context.measureText("cut").width / 2;
  const x = Math.min(Math.max(end.x, half + 2), ring.width - half - 2);
  context.fillText("cut", x, Math.max(ring.unit * 0.4, end.y - ring.unit * 0.55));
}

/** Where a line that crosses the ring ends: a little outside of the nodes. */
const beyond = ({ inner, unit }) => ({ x: inner.x + unit * 1.7, y: inner.y + unit * 1.7 });

/** Messages under way. One that flies too briefly to be seen sets out earlier in the picture; its arrival is true. */
function paintMessages(paint) {
  const { context, ring, scene, view, inks, run } = paint;
  const { starts, longest } = run.messageIndex;
  const { t } = scene;
  const around = within(run.messages, starts, longest, t - view.flight, t + view.flight, ({ end }) => end + view.flight);
  for (const message of around) {
    const [from, to] = [placeFrom(paint, message), placeTo(paint, message)];
    if (!from || !to) continue;
    const began = Math.min(message.sent, message.end - view.flight);
    const gone = (t - began) / (message.end - began);
    const lost = message.fate === "dropped";
    // Some wait for a dead connection before they are lost: their way is that of the last moment.
    const way = lost ? Math.min(1, Math.max(0, 1 - (message.end - t) / view.flight)) : gone;
    if (lost && t > message.end) paintLoss(paint, from, to, (t - message.end) / (view.flight * 2));
    else if (way > 0 && way <= 1 && gone >= 0) paintMessage(context, ring, inks, message, from, to, lost ? way * 0.5 : way);
  }
  context.globalAlpha = 1;
}

const placeFrom = ({ ring, run }, message) => ring.clients.get(run.scene.clientOf.get(message) ?? -1) && !run.nodes.includes(message.from)
  ? ring.clients.get(run.scene.clientOf.get(message)) : ring.places.get(message.from);
const placeTo = ({ ring, run }, message) => ring.clients.get(run.scene.clientOf.get(message) ?? -1) && !run.nodes.includes(message.to)
  ? ring.clients.get(run.scene.clientOf.get(message)) : ring.places.get(message.to);

const between = (from, to, share) => ({ x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share });

function paintMessage(context, ring, inks, message, from, to, way) {
  const isVote = message.kind.startsWith("vote");
  const isReceipt = message.kind === "request_reply";
  const size = ring.unit * (message.quiet ? 0.085 : 0.15);
  context.globalAlpha = message.quiet ? 0.55 : 1;
  context.strokeStyle = context.fillStyle = isVote ? inks.accent : isReceipt ? inks.good : message.quiet ? inks.faint : inks.ink;
  const { x, y } = between(from, to, way);
  if (!message.quiet) {
    // A tail says where it comes from.
    const tail = between(from, to, Math.max(0, way - 0.09));
    context.lineWidth = size * 0.9;
    context.beginPath();
    context.moveTo(tail.x, tail.y);
    context.lineTo(x, y);
    context.stroke();
  }
  context.beginPath();
  context.arc(x, y, size, 0, 7);
  context.fill();
}

/** Where a message was lost, for a moment. */
function paintLoss({ context, ring, inks }, from, to, gone) {
  if (gone >= 1) return;
  const { x, y } = between(from, to, 0.5);
  context.globalAlpha = 1 - gone;
  context.strokeStyle = inks.bad;
  context.lineWidth = Math.max(1.5, ring.unit * 0.07);
  cross(context, x, y, ring.unit * 0.17);
}

function paintNode(paint, state) {
  const { context, ring, scene, inks } = paint;
  const { x, y } = ring.places.get(state.node);
  const { unit } = ring;
  const isGrey = scene.grey.has(state.node) || state.stop !== null;
  const share = state.stop === null ? state.leads * eased(grown(paint, state.since)) : 0;
  context.beginPath();
  context.arc(x, y, unit, 0, 7);
  context.fillStyle = isGrey ? inks.well : inks.paper;
  context.fill();
  words(paint, state, isGrey ? inks.faint : inks.ink);
  if (share > 0) {
    // Filled as far as it leads: half of the keys, half of the node. A leader of a side without votes is hollow.
    context.save();
    context.beginPath();
    context.rect(x - unit, y + unit - 2 * unit * share, 2 * unit, 2 * unit * share);
    context.clip();
    context.beginPath();
    context.arc(x, y, unit, 0, 7);
    context.fillStyle = isGrey ? inks.faint : inks.accent;
    context.fill();
    words(paint, state, inks.paper);
    context.restore();
  }
  context.strokeStyle = isGrey ? inks.faint : state.leads > 0 || state.asks ? inks.accent : inks.ink;
  context.lineWidth = Math.max(1.5, unit * 0.075);
  context.setLineDash(state.stop === "down" || state.asks ? [unit * 0.25, unit * 0.22] : []);
  context.beginPath();
  context.arc(x, y, unit, 0, 7);
  context.stroke();
  context.setLineDash([]);
  if (state.leads > 0 && state.stop === null) crown(paint, state, isGrey);
  if (state.stop) {
    context.strokeStyle = inks.bad;
    context.lineWidth = Math.max(2, unit * 0.13);
    if (state.stop === "down") cross(context, x, y, unit * 0.62);
    else for (const side of [-0.25, 0.25]) bar(context, x + unit * side, y, unit * 0.5);
  }
}

function bar(context, x, y, half) {
  context.beginPath();
  context.moveTo(x, y - half);
  context.lineTo(x, y + half);
  context.stroke();
}

/** A node's name and term. */
function words(paint, { node, term }, colour) {
  const { context, ring, run } = paint;
  const { x, y } = ring.places.get(node);
  context.fillStyle = colour;
  const name = run.name(node);
  font(paint, ring.unit * (name.length > 3 ? 0.5 : 0.74), 700);
  context.fillText(name, x, y - (term === null ? 0 : ring.unit * 0.2));
  if (term === null) return;
  font(paint, Math.max(10, ring.unit * 0.4), 500);
  context.fillText(`term ${term}`, x, y + ring.unit * 0.42, ring.unit * 1.75);
}

/** A crown: whole for a leader of everything, an outline for a leader of a part. It drops into place. */
function crown(paint, { node, leads, since }, isGrey) {
  const { context, ring, inks } = paint;
  const fallen = eased(grown(paint, since));
  const { x, y } = ring.places.get(node);
  const wide = ring.unit * (leads < 1 ? 0.5 : 0.72);
  const foot = y - ring.unit * 1.16 - (1 - fallen) * ring.unit * 1.2;
  context.globalAlpha = fallen;
  context.beginPath();
  context.moveTo(x - wide, foot);
  context.lineTo(x - wide * 1.12, foot - wide * 1.05);
  context.lineTo(x - wide * 0.5, foot - wide * 0.55);
  context.lineTo(x, foot - wide * 1.35);
  context.lineTo(x + wide * 0.5, foot - wide * 0.55);
  context.lineTo(x + wide * 1.12, foot - wide * 1.05);
  context.lineTo(x + wide, foot);
  context.closePath();
  context.fillStyle = leads < 1 || isGrey ? inks.paper : inks.accent;
  context.strokeStyle = isGrey ? inks.faint : inks.accent;
  context.lineWidth = Math.max(1.5, ring.unit * 0.075);
  context.fill();
  context.stroke();
  context.globalAlpha = 1;
}

/** A client: a head and shoulders; an arc around one that waits, as much of it as it has waited. */
function paintClients(paint) {
  const { context, ring, scene, inks } = paint;
  const waits = new Map(scene.waiting.map(({ client, share }) => [client, share]));
  for (const [client, { x, y }] of ring.clients) {
    const size = ring.unit * 0.3;
    const share = waits.get(client);
    context.fillStyle = share === undefined ? inks.ink : inks.faint;
    context.beginPath();
    context.arc(x, y - size * 0.7, size * 0.62, 0, 7);
    context.fill();
    context.beginPath();
    context.arc(x, y + size * 1.15, size, Math.PI, 0);
    context.closePath();
    context.fill();
    if (share === undefined) continue;
    context.strokeStyle = inks.faint;
    context.lineWidth = Math.max(2, ring.unit * 0.1);
    context.beginPath();
    context.arc(x, y, size * 2, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * share);
    context.stroke();
  }
}

/** Where a client's receipt is: below the client beside a wide ring, beyond the client of a tall one. */
function slipOf({ ring }, client, further = 0) {
  const place = ring.clients.get(client);
  if (!place) return null;
  const away = ring.unit * ((ring.tall ? 1.15 : 1) + further);
  return { x: place.x, y: place.y + away * (ring.tall ? Math.sign(place.out.y) : 1) };
}

/** Receipts of the last moments, the newest of each client: green, drifting outwards as they age. */
function paintReceipts(paint) {
  const { context, ring, scene, view, inks } = paint;
  const newest = new Map(scene.receipts.map((operation) => [operation.client, operation]));
  for (const [client, operation] of newest) {
    if (scene.pair?.operations.some((one) => one.client === client)) continue;
    const age = (scene.t - operation.end) / view.lasts;
    const slip = slipOf(paint, client);
    if (!slip) continue;
    context.globalAlpha = Math.min(1, 2.4 * (1 - age));
    context.fillStyle = inks.good;
    font(paint, Math.max(11, ring.unit * 0.44), operation.op === "get" ? 500 : 700);
    // In a tall ring receipts are side by side, with no room for more than what they say.
    const text = operation.op === "get" ? "\u2713" : ring.tall ? seatOf(operation) : `\u2713 ${seatOf(operation)}`;
    context.fillText(text, slip.x, slip.y);
  }
  context.globalAlpha = 1;
}

/** The line that joins two receipts for one seat. */
function paintJoin(paint) {
  const { context, ring, scene, inks } = paint;
  const [a, b] = scene.pair.operations.map(({ client }) => ring.clients.get(client));
  if (!a || !b) return;
  context.globalAlpha = eased(grown(paint, scene.pair.at));
  context.strokeStyle = inks.bad;
  context.lineWidth = Math.max(2, ring.unit * 0.11);
  context.beginPath();
  context.moveTo(a.x, a.y);
  context.lineTo(b.x, b.y);
  context.stroke();
  context.globalAlpha = 1;
}

/** Two receipts for one seat, in red frames. */
function paintPair(paint) {
  const { context, ring, scene, inks } = paint;
  context.globalAlpha = eased(grown(paint, scene.pair.at));
  context.strokeStyle = inks.bad;
  context.lineWidth = Math.max(2, ring.unit * 0.09);
  for (const operation of scene.pair.operations) {
    const slip = slipOf(paint, operation.client, 0.25);
    if (!slip) continue;
    font(paint, Math.max(13, ring.unit * 0.6), 700);
    const text = seatOf(operation);
    const [wide, high] = [context.measureText(text).width + ring.unit * 0.6, ring.unit * 1.25];
    const x = Math.min(Math.max(slip.x - wide / 2, 3), ring.width - wide - 3);
    context.fillStyle = inks.paper;
    context.beginPath();
    context.roundRect(x, slip.y - high / 2, wide, high, ring.unit * 0.2);
    context.fill();
    context.stroke();
    context.fillStyle = inks.bad;
    context.fillText(text, x + wide / 2, slip.y + 1);
  }
  context.globalAlpha = 1;
}
