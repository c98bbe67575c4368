// The network as a drawing: every node and every link is a button.
import { brokenAt, nodesOf } from "./setting.mjs";

const SVG = "http://www.w3.org/2000/svg";
const [BOX, GAP, TOP] = [{ width: 210, pad: 24 }, 150, 34];
/** Each ring is turned a little against the others: else a node may stand on a link between two others. */
const TURN = 0.35;

function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

/** A shape that can be clicked, reached by Tab and pressed by Enter or Space. */
function button(label, className, shapes, act) {
  const group = element("g", { class: className, role: "button", tabindex: 0, "aria-label": label });
  group.append(element("title", {}, label), ...shapes);
  group.addEventListener("click", act);
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
  return group;
}

/**
 * Where everything stands: two sites side by side, more of them on a ring, so that no link hides behind another; in each
 * its nodes on a ring of their own.
 */
export function placed(sites) {
  const most = Math.max(1, ...sites.map(({ names }) => names.length));
  const radius = most === 1 ? 0 : Math.max(42, most * 13);
  const isRing = sites.length > 2;
  const box = isRing ? { width: 2 * radius + 110, height: 2 * radius + 60 } : { width: BOX.width, height: 2 * radius + 2 * BOX.pad + 40 };
  const [wide, high] = isRing ? [sites.length * (box.width / 3.2), sites.length * (box.height / 3.2) + 30] : [0, 0];
  const places = new Map();
  const boxes = sites.map((site, index) => {
    const around = (2 * Math.PI * index) / sites.length - Math.PI / 2;
    const middle = isRing
      ? { x: 10 + box.width / 2 + wide * (1 + Math.cos(around)), y: TOP + box.height / 2 + high * (1 + Math.sin(around)) }
      : { x: 10 + index * (box.width + GAP) + box.width / 2, y: TOP + box.height / 2 };
    site.names.forEach((name, number) => {
      const angle = (2 * Math.PI * number) / site.names.length - Math.PI / 2 + TURN * (index + 1);
      const own = site.names.length === 1 ? 0 : radius;
      places.set(name, { x: middle.x + own * Math.cos(angle), y: middle.y + own * Math.sin(angle), site: site.name });
    });
    return { ...site, x: middle.x - box.width / 2, y: middle.y - box.height / 2, ...box };
  });
  const width = Math.max(...boxes.map(({ x }) => x), 0) + box.width + 10;
  const height = Math.max(...boxes.map(({ y }) => y), 0) + box.height + 12;
  return { boxes, places, width, height };
}

/** A band along a line, as wide as a finger needs. */
function band({ x1, y1, x2, y2 }) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [dx, dy] = [((y1 - y2) / length) * 7, ((x2 - x1) / length) * 7];
  return [[x1 + dx, y1 + dy], [x2 + dx, y2 + dy], [x2 - dx, y2 - dy], [x1 - dx, y1 - dy]].map((point) => point.join()).join(" ");
}

/** Every two of a list. */
function pairs(list) {
  return list.flatMap((a, index) => list.slice(index + 1).map((b) => [a, b]));
}

/** Draws the network at an instant, and returns what is broken; calls `onLink(a, b)` and `onNode(name)` on clicks. */
export function draw(svg, setting, at_ms, { onLink, onNode }) {
  const focused = document.activeElement?.getAttribute("aria-label");
  const { boxes, places, width, height } = placed(nodesOf(setting));
  const broken = brokenAt(setting, at_ms);
  // Between sites of one node each, the link of the nodes is the link of the sites.
  const between = boxes.some(({ names }) => names.length > 1) ? pairs(boxes) : [];
  const beside = boxes.length === 2;
  const perRow = Math.max(1, Math.floor(width / 134));
  const rows = beside ? 0 : Math.ceil(between.length / perRow);
  svg.setAttribute("viewBox", `0 0 ${width} ${height + rows * 34}`);
  svg.replaceChildren();
  for (const box of boxes) {
    svg.append(element("rect", { class: "site", x: box.x, y: box.y, width: box.width, height: box.height, rx: 10 }));
    const clients = box.clients ? `, ${box.clients} client${box.clients > 1 ? "s" : ""}` : "";
    svg.append(element("text", { class: "site-name", x: box.x + 6, y: box.y - 8 }, `${box.name}${clients}`));
  }
  // Beside the links of single nodes, one for all between two sites.
  for (const [index, [a, b]] of between.entries()) {
    const y = beside ? a.y + a.height - 18 : height + 16 + 34 * Math.floor(index / perRow);
    const x = beside ? (a.x + a.width + b.x) / 2 : 70 + (index % perRow) * 134;
    const label = `the link ${a.name} to ${b.name}`;
    const shapes = [
      element("rect", { x: x - 62, y: y - 13, width: 124, height: 26, rx: 13 }),
      element("text", { x, y: y + 4 }, `${a.name} \u2013 ${b.name}`),
    ];
    svg.append(button(label, "between", shapes, () => onLink(a.name, b.name)));
  }
  for (const [a, b] of pairs([...places.keys()])) {
    const [from, to] = [places.get(a), places.get(b)];
    const fault = broken.links.get([a, b].sort().join(" "));
    const line = { x1: from.x, y1: from.y, x2: to.x, y2: to.y };
    const shapes = [element("polygon", { points: band(line), class: "hit" }), element("line", { ...line, class: "wire" })];
    if (fault) {
      const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
      shapes.push(element("path", { class: "cross", d: `M${x - 5} ${y - 5}l10 10m0-10l-10 10` }));
    }
    const label = `the link ${a} to ${b}${fault ? `, ${fault.fault.replace("_", " ")}` : ""}`;
    svg.append(button(label, fault ? "link broken" : "link", shapes, () => onLink(a, b)));
  }
  for (const [name, { x, y }] of places) {
    const fault = broken.nodes.get(name);
    const shapes = [element("circle", { cx: x, cy: y, r: 17 }), element("text", { x, y: y + 5 }, name)];
    if (fault) shapes.push(element("path", { class: "cross", d: `M${x - 13} ${y - 13}l26 26m0-26l-26 26` }));
    const label = `the node ${name}${fault ? `, ${fault.fault.replace("_", " ")}` : ""}`;
    svg.append(button(label, fault ? "node broken" : "node", shapes, () => onNode(name)));
  }
  // What had the focus has been replaced; its successor gets it.
  const base = focused?.split(",")[0];
  if (base) [...svg.querySelectorAll("[role=button]")].find((one) => one.getAttribute("aria-label").split(",")[0] === base)?.focus();
  return broken;
}
