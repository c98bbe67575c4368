// The content of the pictures as tables: for screen readers, for print, and for readers who need the numbers.
import { refusalText } from "./tour.mjs";
import { element } from "./inspector.mjs";
import { checkText, count, endText, list, opText, seconds } from "./words.mjs";

/** Fills the tables of all runs; `choose` shows an operation. */
export function fillTables(place, runs, choose) {
  place.replaceChildren(
    section("Faults", faultsTable(runs[0])),
    ...runs.map((run) => section(`${run.system}: who was primary when`, rolesTable(run))),
    ...runs.filter((run) => run.evidence.size).map((run) => section(`${run.system}: the operations that prove a violation`, evidenceTable(run, choose))),
    ...runs.flatMap((run) => run.refused.filter(({ operations }) => operations.length).map((refusal) =>
      section(`${run.system}: not served during the ${refusal.fault.name} from ${seconds(refusal.fault.from)}`, refusalTable(run, refusal, choose)))),
  );
}

const section = (title, ...content) => element("details", {}, element("summary", {}, title), content);
const headRow = (...names) => element("thead", {}, element("tr", {}, names.map((name) => element("th", { scope: "col" }, name))));
const row = (...cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell)));
const plain = (header, rows) => element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, element("table", {}, header, element("tbody", {}, rows)));

function faultsTable(run) {
  if (!run.faults.length) return element("p", {}, "Nothing was broken.");
  return plain(headRow("fault", "from", "until", "on"), run.faults.map((fault) =>
    row(fault.text.replace(/, from .*$/, ""), seconds(fault.from), seconds(fault.until), fault.host === null ? "" : run.name(fault.host))));
}

function rolesTable(run) {
  const spans = run.roles.filter(({ role }) => role === "primary");
  return plain(headRow("node", "keys", "term", "from", "until"), spans.map((span) =>
    row(run.name(span.node), span.scope === "all" ? "all" : `${run.sites[span.scope]?.name ?? span.scope}'s`, String(span.term), seconds(span.from), seconds(span.until))));
}

const chooser = (operation, choose) => element("button", { type: "button", class: "link", onclick: () => choose(operation) }, `#${operation.id}`);

function operationRow(run, operation, choose, ...more) {
  return row(chooser(operation, choose), `client ${operation.client}`, opText(operation), seconds(operation.start), seconds(operation.end), endText(run, operation), ...more);
}

function evidenceTable(run, choose) {
  const ids = [...run.evidence.keys()].sort((a, b) => a - b);
  return plain(headRow("operation", "by", "asked", "from", "until", "ended", "proves"), ids.flatMap((id) => {
    const operation = run.byId.get(id);
    if (!operation) return [];
    const checks = list([...new Set(run.evidence.get(id).map(({ check }) => checkText(check)))]);
    return [operationRow(run, operation, choose, checks)];
  }));
}

function refusalTable(run, refusal, choose) {
  return element("div", {}, element("p", {}, refusalText(run, refusal)),
    plain(headRow("operation", "by", "asked", "from", "until", "ended"), refusal.operations.map((operation) => operationRow(run, operation, choose))));
}

/** Beside the picture: what the minority of a Raft cluster refused, and why. */
export function refusalNotes(run, choose) {
  return run.refused.filter(({ planned }) => planned).map((refusal) => {
    const { operations } = refusal;
    const shown = operations.slice(0, 8);
    const rest = operations.length - shown.length;
    return element("details", { class: "refusal", open: run.refused.filter(({ planned }) => planned).length < 2 },
      element("summary", {}, `Why ${list(refusal.sites)} ${refusal.sites.length > 1 ? "were" : "was"} not served from ${seconds(refusal.fault.from)} on: ${refusal.votes} of ${refusal.voters.length} voters are no majority`),
      element("p", {}, refusalText(run, refusal)),
      operations.length ? element("p", {}, `${count(operations.length, "operation")} under way there got no acknowledgement: `,
        shown.flatMap((operation, i) => [i ? ", " : "", chooser(operation, choose), ` ${opText(operation)}`]),
        rest > 0 ? ` and ${rest} more (in the tables below).` : ".") : null);
  });
}
