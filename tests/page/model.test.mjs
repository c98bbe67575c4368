// What the page derives from a run, compared with the run: no browser needed.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { decodeTable, lowerBound, tagOf, undelta } from "../../src/report/page/decode.mjs";
import { CHARTS } from "../../src/report/page/charts.mjs";
import { labelsOf, layoutOf, scaleOf, ticksOf } from "../../src/report/page/layout.mjs";
import { prepared } from "../../src/report/page/main.mjs";
import { messagesInView } from "../../src/report/page/messages.mjs";
import { messagesOf, sidesOf } from "../../src/report/page/model.mjs";
import { effectOf, Replay } from "../../src/report/page/state.mjs";
import { tourOf } from "../../src/report/page/tour.mjs";
import { fromHash, toHash, View } from "../../src/report/page/view.mjs";
import { eventText, list } from "../../src/report/page/words.mjs";
import { searchIn } from "../../src/report/page/controls.mjs";
import { dataOf, linesOf, sources } from "./pages.mjs";

const pages = Object.fromEntries(["split-brain", "chaos"].map((name) => [name, dataOf(name)]));
const runsOf = (name) => pages[name].systems.map((raw, index) => prepared(pages[name], raw, index));
const [raft, dual] = runsOf("split-brain");
const [chaos] = runsOf("chaos");

test("differences become numbers, and null changes nothing", () => {
  assert.deepEqual(undelta([5, null, -2, 0]), [5, null, 3, 3]);
  const table = decodeTable({ rows: 3, columns: { s: { texts: [1, null, 0], words: ["a", "b"] }, h: { hashes: [0, 1, -1] } } });
  assert.deepEqual([0, 1, 2].map((row) => [table.get("s", row), table.get("h", row), table.get("none", row)]), [["b", 0, null], [null, 1, null], ["a", 0, null]]);
  assert.equal(lowerBound([1, 3, 3, 7], 3), 1);
});

test("the page holds every event, message and operation that the command counted", () => {
  for (const [run, outcome] of [[raft, linesOf("split-brain")[0]], [dual, linesOf("split-brain")[1]], [chaos, linesOf("chaos")[0]]]) {
    assert.equal(run.outcome.digest, outcome.digest);
    assert.equal(run.messages.length, outcome.counters.messages_sent);
    assert.equal(run.events.tables.drop?.rows ?? 0, outcome.counters.messages_dropped);
    const tally = (status) => run.operations.filter((operation) => operation.status === status).length;
    assert.equal(tally("ok") + tally("fail") + tally("info"), run.operations.length);
    assert.ok(tally("ok") >= outcome.acked && tally("info") >= outcome.unknown);
    const doubled = run.messages.filter((message) => message.arrivals.length > 1).length;
    assert.ok(doubled >= outcome.counters.messages_duplicated);
  }
});

test("what is in view is shown, collapsed or filtered, and nothing else", () => {
  const view = new View(chaos.end);
  view.show(16000, 17000);
  const { starts } = chaos.messageIndex;
  const all = chaos.messages.filter((message) => message.sent <= view.until && message.last >= view.from).length;
  const count = () => {
    const { shown, routine, filtered } = messagesInView(chaos, view);
    return [shown.length, routine, filtered];
  };
  const [shown, routine] = count();
  assert.equal(shown + routine, all);
  assert.ok(routine > 0 && starts.length === chaos.messages.length);
  view.set({ kinds: new Set(["request"]) });
  const [fewer, same, filtered] = count();
  assert.ok(filtered > 0 && same === routine && fewer + filtered === shown);
  view.set({ routine: true });
  assert.equal(count()[1], 0);
});

test("a heartbeat without effect is collapsed, one that was lost or changed something is not", () => {
  const rows = [
    ["send", 1, 1, { class: "append_entries", to: 2 }], ["deliver", 2, 1, {}], ["send", 2, 2, { class: "append_entries_reply", to: 1, cause: 1 }], ["deliver", 1, 2, {}],
    ["send", 1, 3, { class: "append_entries", to: 2 }], ["deliver", 2, 3, {}], ["append", 2, null, {}], ["send", 2, 4, { class: "append_entries_reply", to: 1, cause: 3 }], ["deliver", 1, 4, {}],
    ["send", 1, 5, { class: "append_entries", to: 2 }], ["drop", 1, 5, { reason: "cut" }],
  ];
  const sender = (number) => (number % 2 ? 1 : 2);
  const events = {
    count: rows.length, t: rows.map((_, i) => i), host: rows.map(([, host]) => host), name: (i) => rows[i][0],
    field: (i, name) => {
      const [, , number, more] = rows[i];
      if (name === "message.host") return number === null ? null : sender(number);
      if (name === "message.number") return number;
      if (name === "cause.host") return more.cause === undefined ? null : sender(more.cause);
      return name === "cause.number" ? more.cause ?? null : more[name] ?? null;
    },
  };
  assert.deepEqual(messagesOf(events, 100).map(({ quiet, fate }) => [quiet, fate]), [[true, "delivered"], [true, "delivered"], [false, "delivered"], [false, "delivered"], [false, "dropped"]]);
});

test("two primaries at a time are found as the command found them", () => {
  const total = dual.overlaps.reduce((sum, { from, until }) => sum + until - from, 0);
  assert.ok(Math.abs(total / 1000 - dual.outcome.acting_primaries_overlap_s) < 0.01);
  assert.deepEqual(dual.overlaps.map(({ nodes }) => nodes), [[1, 4]]);
  assert.deepEqual(raft.overlaps, []);
});

test("a cut parts the nodes into sides, and the minority's clients are named", () => {
  const links = [[1, 3], [3, 1], [2, 3]];
  assert.deepEqual(sidesOf({ links }, [1, 2, 3]), [[1, 2], [3]]);
  const [refusal] = raft.refused;
  assert.deepEqual([refusal.minority, refusal.sites, refusal.acknowledged], [[4, 5], ["west"], 0]);
  assert.ok(refusal.operations.every((operation) => operation.status !== "ok" && operation.client >= 3));
  assert.deepEqual(dual.refused, []);
});

test("the derived stores hold what the nodes read from theirs", () => {
  for (const run of [raft, dual, chaos]) {
    const { events } = run;
    const keys = [...new Set(run.operations.map(({ key }) => key))];
    let [right, wrong] = [0, 0];
    const replay = new Replay(run);
    // What a node's key held over the time of a read: the read took effect at one instant of it.
    const past = new Map();
    for (let i = 0; i < events.count; i++) {
      const node = events.host[i];
      const state = replay.at(Infinity, i).get(node);
      const name = events.name(i);
      if (name === "apply" || name === "snapshot_installed" || name === "restored") {
        const after = replay.at(Infinity, i + 1).get(node).store;
        for (const key of keys) {
          const value = after.get(key) ?? null;
          const held = past.get(`${node} ${key}`) ?? [{ t: 0, value: null }];
          if (held.at(-1)?.value !== value) past.set(`${node} ${key}`, [...held.slice(-6), { t: events.t[i], value }]);
        }
      }
      if (name !== "acknowledge" || !state) continue;
      const operation = run.byTag.get(`p${events.field(i, "tag.session")}#${events.field(i, "tag.sequence")}`);
      if (operation?.op !== "get" || operation.status !== "ok" || operation.attempts > 1 || operation.by !== node) continue;
      const held = past.get(`${node} ${operation.key}`) ?? [];
      const during = held.filter((_, at) => (held[at + 1]?.t ?? Infinity) >= operation.start).map(({ value }) => value);
      (during.length ? during : [null]).includes(operation.found) ? right++ : wrong++;
    }
    assert.ok(right > 400, `${run.system}: ${right} reads`);
    assert.equal(wrong, 0, run.system);
  }
});

test("an entry carries one command from its appending on, and an effect names the entry that had it", () => {
  for (const run of [raft, chaos]) {
    const { events } = run;
    const carried = new Map(); // position -> the command of the entry there
    const place = (i, field) => ["index", "term", "leader"].map((part) => events.field(i, `${field}.${part}`)).join(" ");
    let [told, effects] = [0, 0];
    for (let i = 0; i < events.count; i++) {
      const name = events.name(i);
      if (name === "append" || name === "apply_entry") {
        const [at, tag] = [place(i, "at"), tagOf(events, i, "command")];
        assert.equal(carried.get(at) ?? tag, tag, `event ${i}`);
        carried.set(at, tag);
        if (tag) told++;
      }
      if (name === "apply") {
        effects++;
        assert.equal(carried.get(place(i, "entry")), tagOf(events, i, "tag"), `event ${i}`);
      }
    }
    assert.ok(told >= effects && effects > 500, `${run.system}: ${told} entries, ${effects} effects`);
  }
  assert.ok(!dual.replay.commands.areTold && dual.events.names.includes("apply"));
});

test("replaying backwards gives what replaying forwards gave", () => {
  const replay = new Replay(raft);
  const at = (t) => JSON.stringify([...replay.at(t).values()].map(({ log, committed, applied, store, roles }) => [log.length, committed, applied, [...store], [...roles]]));
  const early = at(7000);
  at(20000);
  assert.equal(at(7000), early);
  const states = [...replay.at(25000).values()];
  assert.ok(states.every(({ store, up }) => up && store.size > 0));
  assert.equal(effectOf({ op: "cas", key: 1, value: 2, expected: 3 }, 4), undefined);
});

test("the tour tells the cut, both primaries, the conflict, the loss, and why Raft refused", () => {
  const stops = tourOf(pages["split-brain"], [raft, dual]);
  assert.deepEqual(stops.slice(0, 5).map(({ title }) => title), ["The cut", "Two primaries", "Two conflicting acknowledgements", "A lost write", "Why Raft refused"]);
  const split = dual.outcome.violations.find(({ check }) => check === "split_brain").certificate;
  assert.deepEqual(stops[2].operations, split.operations);
  assert.deepEqual(stops[1].nodes, [1, 4]);
  assert.match(stops[4].text, /2 of 5 voters, and a commit takes 3/);
  for (const stop of stops) assert.ok(stop.from <= stop.t && stop.t <= stop.until, stop.title);
  assert.ok(tourOf(pages.chaos, [chaos]).length > 1);
});

test("every event is told in the words that came with it, each field filled in", () => {
  const told = new Set();
  for (const run of [raft, dual, chaos]) {
    for (let i = 0; i < run.events.count; i++) {
      if (i % 97 && told.has(run.events.words(i))) continue;
      told.add(run.events.words(i));
      assert.doesNotMatch(eventText(run, i), /undefined|null|NaN|[{}]/);
    }
  }
  assert.ok(told.size > 30, `${told.size} sentences`);
  const first = (run, name) => {
    for (let i = 0; i < run.events.count; i++) if (run.events.name(i) === name) return eventText(run, i);
    return null;
  };
  assert.match(first(dual, "apply"), /^n\d applies #\d+ (put|cas|delete) k\d+/);
  assert.match(first(raft, "vote"), /^n\d votes for n\d in term 1$/);
  assert.match(first(raft, "fault_begin"), /^world begins fault 0 \(.+\)$/);
  assert.equal(list(["a", "b", "c"]), "a, b and c");
});

test("a link holds the view", () => {
  const view = new View(26000);
  view.show(7200, 9500, { t: 8450, node: 4, operation: 341 });
  const hash = toHash(view);
  assert.equal(hash, "#t=8.45&node=n4&op=341&zoom=7.2-9.5");
  assert.deepEqual(fromHash(hash), { t: 8450, node: 4, operation: 341, from: 7200, until: 9500 });
  assert.deepEqual(fromHash("#t=x&node=&zoom=9-7&op=a"), {});
});

test("a view stays within its run", () => {
  const view = new View(1000);
  view.show(-500, 100);
  assert.deepEqual([view.from, view.until], [0, 600]);
  view.zoom(10);
  assert.deepEqual([view.from, view.until], [0, 1000]);
  view.zoom(0.0001, 500);
  assert.ok(view.until - view.from >= 4);
  view.go(2000);
  assert.equal(view.t, 1000);
});

test("time and pixels agree, and ticks are round", () => {
  const view = new View(26000);
  const rows = layoutOf(dual, { width: 700, shards: 2, charts: CHARTS });
  const scale = scaleOf(view, rows);
  assert.ok(Math.abs(scale.t(scale.x(8450)) - 8450) < 1e-6);
  assert.deepEqual(ticksOf(scale, 70).ticks.slice(0, 3), [0, 5000, 10000]);
  // Between the sites nothing but the cut: east's clients on top, west's at the bottom.
  assert.deepEqual(rows.hosts.map(({ host }) => host), [6, 1, 2, 3, 4, 5, 7]);
});

test("a run has a scale on its axis, however short it is and however narrow the picture", () => {
  for (const width of [290, 390, 600, 1200]) {
    for (let end = 4; end < 100_000; end = Math.ceil(end * 1.1)) {
      const rows = layoutOf(dual, { width, shards: 1, charts: CHARTS });
      const labels = labelsOf(scaleOf(new View(end), rows), (text) => text.length * 6.2).filter(({ text }) => text);
      assert.ok(labels.length >= 3, `${end} ms in ${width} pixels: ${labels.map(({ text }) => text)}`);
      assert.equal(new Set(labels.map(({ text }) => text)).size, labels.length, `${end} ms: two alike`);
      labels.slice(1).forEach(({ middle, text }, i) => assert.ok(middle - labels[i].middle >= text.length * 6.2, `${end} ms: ${text} covers another`));
    }
  }
});

test("a search finds operations, keys, nodes, messages and events", () => {
  const found = (text) => searchIn([raft, dual], text);
  assert.ok(found("#341").some(({ run, operation }) => run === dual && operation.id === 341));
  assert.ok(found("k0").every(({ operation }) => operation.key === 0));
  assert.ok(found("n4").some(({ label }) => label.includes("becomes primary")));
  assert.equal(found("vote").length, [raft, dual].reduce((sum, run) => sum + run.messages.filter(({ kind }) => kind.startsWith("vote")).length + (run.events.tables.vote?.rows ?? 0), 0));
  assert.ok(found("dropped").length > 1000);
  assert.deepEqual(found("  "), []);
});

test("the modules can be joined into one script, and none is too long", () => {
  const names = [...fs.readFileSync(path.join(sources, "mod.rs"), "utf8").matchAll(/include_str!\("(\w+\.mjs)"\)/g)].map(([, name]) => name);
  assert.deepEqual([...names].sort(), fs.readdirSync(sources).filter((name) => name.endsWith(".mjs")).sort());
  const texts = names.map((name) => fs.readFileSync(path.join(sources, name), "utf8"));
  texts.forEach((text, i) => assert.ok(text.split("\n").length < 600, names[i]));
  // In one script a second function of a name would silently take the place of the first.
  const declared = texts.flatMap((text) => [...text.matchAll(/^(?:export )?(?:async )?(?:function|const|let|class) (\w+)/gm)].map(([, name]) => name));
  assert.deepEqual(declared.filter((name, i) => declared.indexOf(name) !== i), []);
  texts.forEach((text, i) => {
    for (const [, wanted] of text.matchAll(/from "\.\/(\w+\.mjs)"/g)) assert.ok(names.indexOf(wanted) >= 0 && names.indexOf(wanted) < i, `${names[i]} imports ${wanted}, which must stand above it`);
  });
});
