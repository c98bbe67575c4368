// Events, operations and times in words. The wording of events is embedded in the page: src/report/words.rs.
import { tagOf } from "./decode.mjs";

/** Milliseconds as seconds: `4.210 s`. */
export const seconds = (t) => `${(t / 1000).toFixed(3)} s`;

/** `put k0=341`, `cas k3 absent->7`. */
export function opText({ op, key, value, expected }) {
  if (op === "get") return `get k${key}`;
  if (op === "put") return `put k${key}=${value}`;
  if (op === "delete") return `delete k${key}`;
  return `cas k${key} ${expected ?? "absent"}->${value}`;
}

/** How an operation ended: `done at n4`, `read 7 at n1`, `unknown`. */
export function endText(run, { status, result, found, by }) {
  if (status === "fail") return "failed: it did not take effect";
  if (status === "info") return "unknown: it may have taken effect, or may yet";
  const at = by === null ? "" : ` at ${run.name(by)}`;
  if (result === "value") return `read ${found ?? "nothing"}${at}`;
  if (result === "mismatch") return `did not match, found ${found ?? "nothing"}${at}`;
  return `${result}${at}`;
}

/** A set of nodes, one bit each. */
const setText = (bits) => Array.from({ length: 53 }, (_, i) => i).filter((i) => Math.floor(bits / 2 ** i) % 2).map((i) => `n${i}`).join(", ");

/** The forms in which a field of an event may stand in its words, which src/report/words.rs has. */
const FORMS = {
  host: (host, run) => run.name(host),
  nodes: setText,
  seconds: (ns) => seconds(ns / 1e6),
  hash: String,
  operation: (id, run) => known(run, id),
  fault: (index, run) => `fault ${index}${run.faults[index] ? ` (${run.faults[index].name})` : ""}`,
};

function known(run, id) {
  const operation = run.byId.get(id);
  return operation ? `#${id} ${opText(operation)}` : `#${id}`;
}

function commandText(run, i, path) {
  const tag = tagOf(run.events, i, path);
  const operation = run.byTag.get(tag);
  if (operation) return known(run, operation.id);
  const key = run.events.field(i, "key");
  return key === null ? tag : `${tag} on k${key}`;
}

/** Event i of a run in words, without its time. */
export function eventText(run, i) {
  const { events } = run;
  const said = events.words(i).replaceAll(/\{([\w.]+)(?::(\w+))?\}/g, (_, path, form) => {
    if (form === "command") return commandText(run, i, path);
    // Some systems have words of their own for their messages and roles.
    const own = path === "class" || path === "role" ? events.field(i, "label") : null;
    const value = own ?? events.field(i, path);
    return form ? FORMS[form](value, run) : value;
  });
  return `${run.name(events.host[i])} ${said}`;
}

/** What a certificate's check is called among people. */
export const checkText = (check) => check.replaceAll("_", " ");

/** A count with its noun. */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** `n1, n4 and n5`. */
export function list(items) {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
