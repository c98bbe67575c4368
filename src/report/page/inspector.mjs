// The state of a run at the chosen instant, as tables beneath its picture.
import { lowerBound } from "./decode.mjs";
import { eventText, opText, seconds } from "./words.mjs";

/** The width of an entry in the table of logs, in pixels, and how many events are listed. */
const ENTRY_WIDTH = 74;
const EVENTS_SHOWN = 9;

/** An element with attributes and children; text is text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    // The page's policy forbids the attribute, not the property.
    else if (key === "style") made.style.cssText = value;
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Shows a run's state at the view's instant in `panel`. */
export function inspect(panel, run, view, colours) {
  const states = [...run.replay.at(view.t).values()];
  const parts = [nodesTable(run, states, view), logsTable(run, states, view, colours, Math.max(4, Math.floor((panel.clientWidth - 40) / ENTRY_WIDTH))), storesTable(run, states), eventsList(run, view)];
  panel.replaceChildren(element("h3", {}, `State at ${seconds(view.t)}`), ...parts.filter(Boolean));
}

const head = (...names) => element("thead", {}, element("tr", {}, names.map((name) => element("th", { scope: "col" }, name))));

function table(caption, header, rows, kind = "") {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element("table", { class: kind }, element("caption", {}, caption), header, element("tbody", {}, rows)));
}

function rolesText(run, { up, paused, roles }) {
  if (!up) return "× down";
  const all = [...roles].map(([scope, { role, label, term }]) => {
    const of = scope === "all" ? "" : ` of ${run.sites[scope]?.name ?? scope}'s keys`;
    const name = label ?? (run.isRaft ? { primary: "leader", backup: "follower" }[role] ?? role : role);
    return `${name}${of} (T${term})`;
  });
  return `${paused ? "‖ paused; " : ""}${all.join(", ") || "no role yet"}`;
}

function nodesTable(run, states, view) {
  const raft = run.isRaft;
  const position = (index) => (index === null || index === undefined ? "–" : String(index));
  const rows = states.map((state) => {
    const last = Math.max(state.log.length - 1, state.purged, state.applied ?? 0);
    const vote = state.vote ? `n${state.vote.candidate} in T${state.vote.term}` : "–";
    const leader = state.leader === null ? "nobody" : run.name(state.leader);
    const cells = raft ? [vote, leader, position(last), position(state.committed), position(state.applied)] : [];
    return element("tr", { class: view.node === state.node ? "chosen" : null },
      element("th", { scope: "row" }, run.name(state.node)),
      element("td", {}, rolesText(run, state)),
      cells.map((cell) => element("td", {}, cell)),
      element("td", {}, diskText(state, raft)));
  });
  const columns = raft ? ["voted for", "follows", "last entry", "committed", "applied"] : [];
  return table("Nodes", head("node", "role", ...columns, "disk"), rows);
}

/** What of a node's data is safe from a power loss, as far as the events tell. */
function diskText({ synced, lost, log }, raft) {
  const parts = [];
  if (synced !== null) parts.push(raft && log.length ? `log durable to ${log.length - 1}` : `synced at ${seconds(synced)}`);
  if (lost !== null) parts.push(`lost ${lost} unsynced writes`);
  return parts.join(", ") || "not recorded";
}

/**
 * Every key at every node; where live nodes differ the row says so. In Raft a node that has applied less is merely
 * behind; between primaries there is no such order.
 */
function storesTable(run, states) {
  const keys = [...new Set(states.flatMap(({ store }) => [...store.keys()]))].sort((a, b) => a - b);
  if (!keys.length) return element("p", { class: "faint" }, "Every store is empty.");
  const newest = Math.max(...states.map(({ applied }) => applied ?? 0));
  const behind = `${states.filter((state) => state.up && (state.applied ?? 0) < newest).map(({ node }) => run.name(node)).join(", ")} behind`;
  const rows = keys.map((key) => {
    const values = states.map(({ store }) => store.get(key) ?? null);
    const differ = new Set(values.filter((_, i) => states[i].up)).size > 1;
    return element("tr", { class: differ && !run.isRaft ? "differ" : null },
      element("th", { scope: "row" }, `k${key}`),
      values.map((value, i) => element("td", { class: states[i].up ? null : "faint" }, value === null ? "–" : String(value))),
      element("td", {}, !differ ? "=" : run.isRaft ? behind : "≠"));
  });
  return table("Stores: key by node, and whether they are equal", head("key", ...states.map(({ node }) => run.name(node)), ""), rows, "grid");
}

/** The ends of the logs: index by node, coloured by term as the ribbons are. */
function logsTable(run, states, view, colours, most) {
  const last = Math.max(...states.map(({ log }) => log.length - 1));
  if (!run.isRaft || last < 0) return null;
  const first = Math.max(0, last - most + 1);
  const indices = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const rows = states.map((state) => element("tr", { class: view.node === state.node ? "chosen" : null },
    element("th", { scope: "row" }, run.name(state.node)),
    indices.map((index) => entryCell(run, state, index, colours))));
  const hidden = first ? `; the ${first.toLocaleString("en")} before them are not shown` : "";
  return table(`Logs: entries ${first} to ${last}${hidden}. Colour and T: the leader's term; underlined: known committed here; •: applied; (…): in a snapshot`,
    head("log", ...indices), rows, "grid logs");
}

function entryCell(run, state, index, colours) {
  const entry = state.log[index];
  if (index <= state.purged && state.purged > 0) return element("td", { class: "faint" }, "(…)");
  if (!entry) return element("td", { class: "faint" }, "");
  const operation = run.byTag.get(entry.tag);
  // The entries are unknown if an application reports nothing about them.
  const said = operation ? shortText(operation) : entry.tag ?? (run.replay.commands.areTold ? "no command" : "?");
  const classes = [state.committed !== null && index <= state.committed ? "committed" : "", "entry"].join(" ");
  const title = `entry ${index}, term ${entry.term} of n${entry.leader}: ${operation ? `#${operation.id} ${opText(operation)}` : said}`;
  return element("td", { class: classes, title, style: `--term: ${colours.terms[entry.term % colours.terms.length]}` },
    element("b", {}, `T${entry.term}${state.applied !== null && index <= state.applied ? " •" : ""}`), element("span", {}, said));
}

function shortText({ op, key, value }) {
  return op === "get" ? `k${key}?` : op === "delete" ? `k${key}−` : `k${key}=${value}`;
}

/** The events around the instant that the filters let through, and how many they hide. */
function eventsList(run, view) {
  const { events } = run;
  const now = lowerBound(events.t, view.t + 1e-9) - 1;
  const shows = (i) => showsEvent(run, view, i);
  const [before, after] = [[], []];
  let hidden = 0;
  for (let i = now; i >= 0 && before.length < EVENTS_SHOWN - 3; i--) shows(i) ? before.unshift(i) : hidden++;
  for (let i = now + 1; i < events.count && after.length < 3; i++) shows(i) ? after.push(i) : hidden++;
  const item = (i) => element("li", { class: i > now ? "later" : events.t[i] === view.t ? "now" : null },
    element("button", { type: "button", class: "link", onclick: () => view.go(events.t[i]) }, seconds(events.t[i])), ` ${eventText(run, i)}`);
  const note = hidden ? ` (${hidden.toLocaleString("en")} between them are hidden by the filters)` : "";
  return element("div", { class: "events" }, element("h4", {}, `Events up to here, and the next${note}`), element("ol", {}, [...before, ...after].map(item)));
}

const OF_MESSAGES = new Set(["send", "deliver", "discard", "drop", "delay", "hold", "duplicate"]);
/** Kinds of event that are there for the checks more than for the eye. */
const FINE = new Set(["sync", "final"]);

/** Whether the filters let an event through. */
export function showsEvent(run, view, i) {
  const { events } = run;
  const name = events.name(i);
  if (OF_MESSAGES.has(name)) {
    const message = messageOf(run, i);
    if (!message) return true;
    return (view.routine || !message.quiet) && !view.kinds.has(message.type);
  }
  if (FINE.has(name) && !view.routine) return false;
  if (view.node !== null && run.nodes.includes(events.host[i]) && events.host[i] !== view.node) return false;
  const key = events.field(i, "key");
  if (view.key !== null && key !== null && key !== view.key) return false;
  const operation = run.byId.get(events.field(i, "operation"));
  return !operation || ((view.key === null || operation.key === view.key) && (view.client === null || operation.client === view.client));
}

/** The message that event i is about. */
export function messageOf(run, i) {
  return run.messageById.get(`m${run.events.field(i, "message.host")}.${run.events.field(i, "message.number")}`) ?? null;
}
