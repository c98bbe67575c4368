// Around the pictures: search, filters, playing, keys, theme.
import { lowerBound } from "./decode.mjs";
import { Film } from "./film.mjs";
import { element, showsEvent } from "./inspector.mjs";
import { count, endText, eventText, opText, seconds } from "./words.mjs";

/** How many results of a search are listed; the rest is counted. */
const RESULTS = 40;

/** What a search finds, over all runs: `{ run, t, label, operation?, node? }`, in order of time. */
export function searchIn(runs, text) {
  const asked = text.trim().toLowerCase();
  if (!asked) return [];
  const id = /^#?(\d+)$/.exec(asked);
  const key = /^k(\d+)$/.exec(asked);
  const found = [];
  for (const run of runs) {
    if (id || key) {
      const wanted = id ? (operation) => operation.id === Number(id[1]) || operation.value === Number(id[1]) : (operation) => operation.key === Number(key[1]);
      for (const operation of run.operations.filter(wanted)) {
        found.push({ run, t: operation.start, operation, label: `#${operation.id} ${opText(operation)} of client ${operation.client}: ${endText(run, operation)}` });
      }
      continue;
    }
    const node = run.nodes.find((one) => run.name(one).toLowerCase() === asked);
    if (node) {
      for (const span of run.roles.filter((role) => role.node === node && role.role !== "backup")) {
        found.push({ run, t: span.from, node, label: eventText(run, span.event) });
      }
      found.push({ run, t: 0, node, label: `${run.name(node)} from the beginning` });
      continue;
    }
    const kind = asked.replaceAll(" ", "_");
    const matches = /^m\d+\.\d+$/.test(asked) ? (message) => message.id === asked : (message) => message.type.toLowerCase().startsWith(kind) || message.fate === kind;
    for (const message of run.messages.filter(matches)) {
      found.push({ run, t: message.sent, message, label: messageLabel(run, message) });
    }
    if (!run.events.names.includes(kind)) continue;
    for (let i = 0; i < run.events.count; i++) if (run.events.name(i) === kind) found.push({ run, t: run.events.t[i], host: run.events.host[i], label: eventText(run, i) });
  }
  return found.sort((a, b) => a.t - b.t);
}

/** A message and its fate in words. */
export function messageLabel(run, message) {
  const fates = {
    delivered: `delivered after ${Math.round(message.end - message.sent)} ms`,
    dropped: `lost (${message.reason})`,
    discarded: "came too late: no call waited for it",
    open: "still under way at the end",
  };
  const more = [message.held ? "held back" : "", message.delay ? `delayed by ${Math.round(message.delay)} ms` : "", message.copies > 1 ? "duplicated" : "", message.quiet ? "changed nothing" : ""];
  return [`${message.type} ${message.id} from ${run.name(message.from)} to ${run.name(message.to)}: ${fates[message.fate]}`, ...more.filter(Boolean)].join(", ");
}

/** Find; `reveal(run, what)` brings what was found into sight. */
export function setUpSearch(view, runs, choose, reveal) {
  const [input, results] = [document.getElementById("search"), document.getElementById("results")];
  const search = () => {
    const found = searchIn(runs, input.value);
    results.hidden = !input.value.trim();
    const items = found.slice(0, RESULTS).map((one) => element("li", {}, element("button", {
      type: "button", class: "link",
      onclick: () => {
        // The list would cover the place that it leads to.
        results.hidden = true;
        if (one.operation) return choose(one.operation);
        view.go(one.t, one.node ? { node: one.node } : {});
        reveal(one.run, one);
      },
    }, seconds(one.t)), runs.length > 1 ? ` ${one.run.system}: ` : " ", one.label));
    const rest = found.length - items.length;
    const note = found.length ? `${count(found.length, "match").replace("matchs", "matches")}${rest > 0 ? `, the first ${RESULTS} listed` : ""}` : "Nothing found. Try #341, k0, n4, vote, dropped, crash or m4.17.";
    results.replaceChildren(element("p", {}, note), element("ul", {}, items));
  };
  input.addEventListener("input", search);
  input.addEventListener("focus", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !results.hidden) results.querySelector("button")?.click();
    else if (event.key === "Enter") search();
    if (event.key === "Escape") {
      input.value = "";
      search();
      input.blur();
    }
  });
}

export function setUpFilters(view, runs) {
  const place = document.getElementById("filters");
  const tally = new Map();
  for (const run of runs) for (const { type: kind } of run.messages) tally.set(kind, (tally.get(kind) ?? 0) + 1);
  const kinds = [...tally.keys()].sort();
  const box = (kind) => element("label", {}, element("input", {
    type: "checkbox", checked: true, "data-kind": kind,
    onchange: (event) => {
      const hidden = new Set(view.kinds);
      event.target.checked ? hidden.delete(kind) : hidden.add(kind);
      view.set({ kinds: hidden });
    },
  }), ` ${kind.replaceAll("_", " ")} (${tally.get(kind).toLocaleString("en")})`);
  const choice = (label, name, values, prefix) => element("label", {}, `${label} `, element("select", {
    onchange: (event) => view.set({ [name]: event.target.value === "" ? null : Number(event.target.value) }),
  }, element("option", { value: "" }, "all"), values.map((value) => element("option", { value }, `${prefix}${value}`))));
  const numbers = (pick) => [...new Set(runs.flatMap((run) => run.operations.map(pick)))].sort((a, b) => a - b);
  place.replaceChildren(
    element("fieldset", {}, element("legend", {}, "Operations"), choice("key", "key", numbers((operation) => operation.key), "k"), choice("client", "client", numbers((operation) => operation.client), "")),
    element("fieldset", {}, element("legend", {}, "Kinds of message"), kinds.map(box)),
  );
}

/** Playing: `toggle` starts and stops, `step` goes to the next event that the filters let through. */
export function setUpPlaying(view, runs, beats) {
  const [play, slider, speed, said] = ["play", "time", "speed", "said"].map((id) => document.getElementById(id));
  slider.max = String(Math.ceil(view.end));
  const film = new Film(view, beats, () => {
    play.textContent = film.playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(film.playing));
  });
  const toggle = () => film.toggle();
  const step = (direction) => {
    const next = runs.map((run) => neighbour(run, view, direction)).filter(Boolean)
      .sort((a, b) => direction * (a.t - b.t))[0];
    if (!next) return;
    view.go(next.t);
    said.textContent = `${seconds(next.t)} ${runs.length > 1 ? `${next.run.system}: ` : ""}${eventText(next.run, next.i)}`;
  };
  play.addEventListener("click", toggle);
  speed.addEventListener("change", () => view.set({ pace: speed.value ? Number(speed.value) : null }));
  slider.addEventListener("input", () => view.go(Number(slider.value)));
  document.getElementById("back").addEventListener("click", () => step(-1));
  document.getElementById("forward").addEventListener("click", () => step(1));
  view.onChange(() => {
    slider.value = String(Math.round(view.t));
    slider.setAttribute("aria-valuetext", seconds(view.t));
    document.getElementById("now").textContent = seconds(view.t);
  });
  return { toggle, step, film };
}

/** The next event at another instant that the filters let through. */
function neighbour(run, view, direction) {
  const { events } = run;
  let i = direction > 0 ? lowerBound(events.t, view.t + 1e-6) : lowerBound(events.t, view.t - 1e-6) - 1;
  for (; i >= 0 && i < events.count; i += direction) if (showsEvent(run, view, i)) return { run, i, t: events.t[i] };
  return null;
}

export function setUpKeys(view, { toggle, step }, tour) {
  const help = document.getElementById("help");
  const keys = {
    " ": toggle,
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    "+": () => view.zoom(0.6), "=": () => view.zoom(0.6), "-": () => view.zoom(1 / 0.6),
    a: () => view.pan(-0.15), d: () => view.pan(0.15),
    0: () => view.show(0, view.end),
    n: () => tour.go((view.stop ?? -1) + 1), p: () => tour.go((view.stop ?? 1) - 1),
    h: () => document.getElementById("routine").click(),
    t: () => document.getElementById("theme").click(),
    "/": () => document.getElementById("search").focus(),
    "?": () => help.showModal(),
    Escape: () => view.set({ operation: null, node: null, stop: null }),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.closest("button, summary, input")) return;
    const number = /^[1-9]$/.test(event.key) ? Number(event.key) : null;
    const act = number ? () => tour.go(number - 1) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.getElementById("keys").addEventListener("click", () => help.showModal());
}

/** Light, dark, or what the system prefers. The page keeps nothing. */
export function setUpTheme(redraw) {
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const name = () => (button.textContent = isDark() ? "Light" : "Dark");
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    name();
    redraw();
  });
  dark.addEventListener("change", () => {
    name();
    redraw();
  });
  name();
}

export function setUpCopy() {
  const button = document.getElementById("copy");
  button.addEventListener("click", async () => {
    const text = document.getElementById("command").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // A page from disk may lack the permission to copy: then the text is selected, to be copied by hand.
      getSelection().selectAllChildren(document.getElementById("command"));
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}
