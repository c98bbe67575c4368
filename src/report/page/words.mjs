// Events, operations and times in words. A new kind of event needs one line in EVENTS; without it, it is shown by
// its name and its fields.

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

const placeText = (field, at) => {
  const index = field(`${at}.index`);
  return index === null ? "nothing" : `#${index} of term ${field(`${at}.term`)}, n${field(`${at}.leader`)}`;
};
/** The operation whose command a log entry carries, by the number of the entry's hash; null where there is none. */
export const commandIn = (run, payload) => run.byTag.get(run.commandOf.get(payload)) ?? null;
/** A set of nodes, one bit each. */
const setText = (bits) => Array.from({ length: 53 }, (_, i) => i).filter((i) => Math.floor(bits / 2 ** i) % 2).map((i) => `n${i}`).join(", ");
const tagText = (field) => `p${field("tag.session")}#${field("tag.sequence")}`;
const messageText = (field) => `m${field("message.host")}.${field("message.number")}`;

/** One kind of event a line: its words after the name of its host. */
const EVENTS = {
  send: (f, run) => `sends ${f("class")} ${messageText(f)} to ${run.name(f("to"))}`,
  deliver: (f, run) => `handles ${f("class")} ${messageText(f)} from ${run.name(f("from"))}`,
  discard: (f, run) => `discards ${f("class")} ${messageText(f)} from ${run.name(f("from"))}: nobody waits for it`,
  drop: (f, run) => `loses ${f("class")} ${messageText(f)} to ${run.name(f("to"))} (${f("reason")})`,
  delay: (f, run) => `${messageText(f)} to ${run.name(f("to"))} is delayed by ${seconds(f("by_ns") / 1e6)}`,
  hold: (f, run) => `${messageText(f)} to ${run.name(f("to"))} is held back`,
  duplicate: (f, run) => `${messageText(f)} to ${run.name(f("to"))} is doubled`,
  fault_begin: (f, run) => `${run.faults[f("fault")]?.name ?? "a fault"} begins${f("resolved") === null ? "" : ` on ${run.name(f("resolved"))}`}`,
  fault_end: (f, run) => `${run.faults[f("fault")]?.name ?? "a fault"} ends`,
  vote: (f, run) => (f("committed") === 1
    ? `knows that a quorum elected ${run.name(f("candidate"))} in term ${f("term")}`
    : `votes for ${run.name(f("candidate"))} in term ${f("term")}`),
  append: (f, run) => `appends ${placeText(f, "at")}${carriedText(f, run)}`,
  truncate: (f) => `truncates its log from #${f("from")} on`,
  purge: (f) => `purges its log up to ${placeText(f, "upto")}`,
  commit: (f) => `knows its log committed up to ${placeText(f, "upto")}`,
  apply_entry: (f, run) => `applies ${placeText(f, "at")}${carriedText(f, run)}`,
  apply: (f, run) => `applies ${commandText(f, run)}`,
  acknowledge: (f, run) => `acknowledges ${commandText(f, run)} in term ${f("term")}`,
  found_log: (f) => `finds its log on disk, up to ${placeText(f, "last")}`,
  members: (f) => `has voters ${setText(f("voters"))}${f("joint") ? `, and also ${setText(f("joint"))}` : ""}${f("learners") ? `; learners ${setText(f("learners"))}` : ""} as of ${placeText(f, "at")}`,
  panic: () => "panics",
  snapshot_built: (f) => `builds a snapshot up to ${placeText(f, "upto")}`,
  snapshot_installed: (f) => `installs a snapshot up to ${placeText(f, "upto")}`,
  sync: (f) => `syncs ${f("writes")} writes to disk`,
  role: (f) => `becomes ${f("role")}${f("scope.shard") === null ? "" : ` of shard ${f("scope.shard")}`} in term ${f("term")}`,
  crash: () => "goes down",
  start: () => "starts",
  pause: () => "is paused",
  resume: () => "resumes",
  power_off: (f) => `loses power, and ${f("lost")} unsynced writes with it`,
  restored: (f) => `finds its state machine on disk, applied up to ${placeText(f, "upto")}`,
  invoke: (f, run) => `client ${f("client")} invokes ${known(run, f("operation"))}`,
  ok: (f, run) => `${known(run, f("operation"))} is acknowledged`,
  fail: (f, run) => `${known(run, f("operation"))} fails`,
  info: (f, run) => `${known(run, f("operation"))} is unknown`,
  final: () => "is read at the end of the run",
};

function known(run, id) {
  const operation = run.byId.get(id);
  return operation ? `#${id} ${opText(operation)}` : `#${id}`;
}

function carriedText(field, run) {
  const operation = commandIn(run, field("payload"));
  return operation ? `: ${known(run, operation.id)}` : "";
}

function commandText(field, run) {
  const operation = run.byTag.get(tagText(field));
  return operation ? `#${operation.id} ${opText(operation)}` : `${tagText(field)} on k${field("key")}`;
}

/** Event i of a run in words, without its time. */
export function eventText(run, i) {
  const { events } = run;
  const name = events.name(i);
  const words = EVENTS[name];
  const field = (column) => events.field(i, column);
  const said = words ? words(field, run) : genericText(name, events.tables[name].columns, events.row[i]);
  return `${run.name(events.host[i])} ${said}`;
}

/** Whether a kind of event has words of its own. */
export const hasWords = (name) => name in EVENTS;

function genericText(name, columns, row) {
  const fields = Object.entries(columns).filter(([, cells]) => cells[row] !== null);
  return [name.replaceAll("_", " "), ...fields.map(([column, cells]) => `${column}=${cells[row]}`)].join(" ");
}

/** What a certificate's check is called among people. */
export const checkText = (check) => check.replaceAll("_", " ");

/** A count with its noun. */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** `n1, n4 and n5`. */
export function list(items) {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
