// The ring: where nodes, clients and sites stand on it, for a picture of some size. Nothing here knows of time.

/** A node's radius as a share of the picture, and its limits in pixels. */
const NODE = { share: 0.073, least: 15, most: 42 };
/** The first site stands on the right of a wide picture, at the top of a tall one. */
const RIGHT = 0;
const TOP_SIDE = -Math.PI / 2;

/**
 * The geometry of a run's ring: nodes site by site on an ellipse, each site's clients outside of it, beside their nodes.
 * `places` has every host by its number, `clients` every client; `out` is the direction away from the ring.
 */
export function ringOf(run, width, height) {
  const tall = height > width * 1.15;
  const unit = Math.min(NODE.most, Math.max(NODE.least, tall ? Math.min(width * 0.12, height * 0.06) : Math.min(width, height) * NODE.share));
  const centre = { x: width / 2, y: height / 2 + unit * (tall ? 0 : 0.4) };
  const inner = tall
    ? { x: width / 2 - unit * 1.6, y: Math.min(height / 2 - unit * 5.3, width) }
    : { x: Math.min(width / 2 - unit * 4.3, height * 0.42), y: height / 2 - unit * 2.1 };
  // Clients stand along the edge, with room for a receipt.
  const outer = tall
    ? { x: width / 2 - unit, y: inner.y + unit * 3.2 }
    : { x: width / 2 - Math.max(unit * 1.2, 52), y: height / 2 - unit * 1.7 };
  const at = (ellipse, angle) => ({
    x: centre.x + ellipse.x * Math.cos(angle), y: centre.y + ellipse.y * Math.sin(angle),
    out: { x: Math.cos(angle), y: Math.sin(angle) },
  });
  const [places, clients] = [new Map(), new Map()];
  // A site of clients alone has a place on the ring as well.
  const slots = run.sites.map((site) => Math.max(1, site.nodes.length));
  const step = (2 * Math.PI) / Math.max(1, slots.reduce((sum, slot) => sum + slot, 0));
  let angle = (tall ? TOP_SIDE : RIGHT) - ((slots[0] - 1) / 2) * step;
  const isAlone = run.nodes.length === 1;
  const sites = run.sites.map((site, index) => {
    const from = angle;
    const middle = from + ((slots[index] - 1) / 2) * step;
    site.nodes.forEach((node, number) => places.set(node, isAlone ? { ...centre, out: { x: 0, y: -1 } } : at(inner, from + number * step)));
    const [rim, many] = [at(outer, middle), site.clients.length];
    const apart = tall ? Math.min(unit * 3, (width - unit) / many) : Math.min(unit * 2.3, (height - unit * 2) / many);
    site.clients.forEach((client, number) => {
      const along = (number - (many - 1) / 2) * apart;
      clients.set(client, { x: rim.x - rim.out.y * along, y: rim.y + rim.out.x * along, out: rim.out });
    });
    if (site.client_host !== null) places.set(site.client_host, rim);
    angle = from + slots[index] * step;
    return { name: site.name, nodes: site.nodes, clients: site.clients, from, until: angle - step, middle };
  });
  return { width, height, tall, unit, centre, inner, outer, step, places, clients, sites, at };
}

/** The node or link under a point: `{ node }`, `{ link: [a, b] }`, or null. */
export function onRing(run, ring, x, y) {
  const near = (place) => Math.hypot(place.x - x, place.y - y);
  const node = run.nodes.find((one) => near(ring.places.get(one)) <= ring.unit * 1.15);
  if (node !== undefined) return { node };
  let [nearest, distance] = [null, 9];
  for (const link of linksOf(run)) {
    const [a, b] = link.map((end) => ring.places.get(end));
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const along = ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy || 1);
    const away = along < 0 || along > 1 ? Infinity : Math.hypot(x - a.x - along * dx, y - a.y - along * dy);
    if (away < distance) [nearest, distance] = [link, away];
  }
  return nearest && { link: nearest };
}

/** Every two nodes. */
export function linksOf({ nodes }) {
  return nodes.flatMap((a, index) => nodes.slice(index + 1).map((b) => [a, b]));
}
