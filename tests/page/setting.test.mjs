// The playground's settings: plain data and its edits, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  brokenAt, clicks, faultsOf, forked, nodesOf, question, seconds, settingOf, stopping, told, withFault, withSite,
  withoutFault,
} from "../../src/lab/page/setting.mjs";
import { placed } from "../../src/lab/page/network.mjs";
import { linesOf } from "./pages.mjs";

const kinds = linesOf("faults").filter(({ kind }) => kind === "fault_kind");
const stops = stopping(kinds);
const click = (on) => (words, ...places) => clicks(kinds, on).find((offer) => offer.words === words).fault(...places);
const [onLink, onNode] = [click("link"), click("node")];
const add = (setting, fault) => withFault(setting, fault, stops);

const east = ["n1", "n2", "n3"];
const cut = {
  at_ms: 6000, for_ms: 12000, fault: "partition", groups: [["east"], ["west"]], words: "a cut",
  links: east.flatMap((node) => [[node, "n4"], [node, "n5"]]), nodes: [],
};
const plan = {
  scenario: "split-brain",
  systems: ["raft"],
  sites: [{ name: "east", nodes: 3, clients: 3 }, { name: "west", nodes: 2, clients: 3 }],
  faults: [cut],
};
const plain = () => settingOf(plan, "7");

test("an unchanged setting asks for the scenario by its name", () => {
  assert.deepEqual(question(plain()), { ask: "run", setting: { seed: "7", scenario: "split-brain" }, systems: ["raft"] });
});

test("a click makes a fault of what is clicked, and what stops a node comes first", () => {
  assert.deepEqual(onLink("cut it", "n1", "west"), { fault: "partition", groups: [["n1"], ["west"]] });
  assert.deepEqual(onNode("kill it", "n3"), { fault: "kill", target: "n3" });
  assert.deepEqual(onNode("cut it from everybody", "n3"), { fault: "isolate", target: "n3", from_clients: true });
  assert.equal(clicks(kinds, "link")[0].words, "cut it");
  assert.equal(clicks(kinds, "node")[0].words, "kill it");
  assert.deepEqual([...stops].sort(), ["kill", "pause", "power_loss"]);
  assert.equal(kinds.flatMap((kind) => kind.clicks).length, clicks(kinds, "link").length + clicks(kinds, "node").length);
});

test("faults are kept in the order of their beginning, without their words", () => {
  const kill = { at_ms: 1000, for_ms: 500, ...onNode("kill it", "n1") };
  const changed = add(plain(), kill);
  assert.deepEqual(told(changed).faults, [kill, { at_ms: 6000, for_ms: 12000, fault: "partition", groups: [["east"], ["west"]] }]);
  assert.deepEqual(faultsOf(withoutFault(changed, 1)), [kill]);
  assert.equal(plain().faults, null, "an edit leaves what it edits alone");
});

test("what is stopped already is not stopped again, nor the same link cut twice", () => {
  const stop = (kind, at_ms, for_ms) => (setting) => add(setting, { at_ms, for_ms, ...onNode(kind, "n2") });
  const killed = stop("kill it", 5000, 3000)(plain());
  for (const [kind, at, length] of [["kill it", 5000, 3000], ["take its power", 7999, 1], ["pause it", 4000, 1001], ["kill it", 1000, undefined]]) {
    assert.throws(() => stop(kind, at, length)(killed), /n2 is stopped from 5 s to 8 s already \(kill\)/, `${kind} at ${at}`);
  }
  assert.equal(faultsOf(stop("kill it", 8000, 10)(killed)).length, 3);
  assert.equal(faultsOf(stop("fill its disk", 5000, 10)(killed)).length, 3);
  assert.equal(faultsOf(add(killed, { at_ms: 5000, for_ms: 10, ...onNode("kill it", "n3") })).length, 3);
  assert.throws(() => add(plain(), { at_ms: 7000, for_ms: 10, ...onLink("cut it", "east", "west") }), /the same fault is in force from 6 s to 18 s/);
});

test("a fork's past is fixed", () => {
  const fork = forked(plain(), 9000);
  assert.throws(() => add(fork, { at_ms: 8999, ...onNode("kill it", "n1") }), /cannot break anything before/);
  assert.throws(() => withoutFault(fork, 0), /stays/);
  const later = add(fork, { at_ms: 9000, for_ms: 10, ...onLink("cut it", "n1", "n2") });
  assert.deepEqual(question(later).fork_of, { seed: "7", scenario: "split-brain" });
  assert.equal(question(later).setting.faults.length, 2);
});

test("nodes are numbered across sites", () => {
  const names = (setting) => nodesOf(setting).map((site) => site.names);
  assert.deepEqual(names(plain()), [["n1", "n2", "n3"], ["n4", "n5"]]);
  assert.deepEqual(names(withSite(plain(), 0, { nodes: 1 })), [["n1"], ["n2", "n3"]]);
});

test("what is broken at an instant is what the faults say", () => {
  const links = (setting, at) => [...brokenAt(setting, at).links.keys()].sort();
  assert.deepEqual(links(plain(), 5999), []);
  assert.deepEqual(links(plain(), 6000), ["n1 n4", "n1 n5", "n2 n4", "n2 n5", "n3 n4", "n3 n5"]);
  assert.deepEqual(links(plain(), 18000), []);
  const one = add(settingOf({ ...plan, faults: [] }, "7"), { at_ms: 0, fault: "isolate", target: "n5", links: [["n5", "n1"]] });
  assert.deepEqual(links(one, 99999), ["n1 n5"]);
  assert.equal("links" in told(one).faults[0], false, "the engine is not told what it told");
  const killed = add(plain(), { at_ms: 0, for_ms: 5, ...onNode("kill it", "n2"), nodes: ["n2"] });
  assert.deepEqual([...brokenAt(killed, 4).nodes.keys()], ["n2"]);
});

test("milliseconds read as seconds", () => {
  assert.deepEqual([seconds(0), seconds(6000), seconds(6050), seconds(10)], ["0 s", "6 s", "6.05 s", "0.01 s"]);
});

test("no link hides behind another, however many sites there are", () => {
  for (const shape of [[1, 1, 1, 1, 1], [3, 2], [2, 2, 1], [1, 1, 1], [5], [4, 3], [2, 1], [3, 3], [3, 2, 2]]) {
    const sites = shape.map((nodes, index) => ({ name: `s${index}`, nodes, clients: 1 }));
    const setting = settingOf({ scenario: "x", systems: [], sites, faults: [] }, "1");
    const places = [...placed(nodesOf(setting)).places.values()];
    const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
    for (const [one, a] of places.entries()) {
      for (const [other, b] of places.entries()) {
        if (other <= one) continue;
        assert.ok(apart(a, b) > 40, `${shape}: two nodes in one place`);
        for (const [third, c] of places.entries()) {
          if (third === one || third === other) continue;
          // How far the third node is from the line between the two.
          const off = Math.abs((b.x - a.x) * (a.y - c.y) - (a.x - c.x) * (b.y - a.y)) / apart(a, b);
          const along = ((c.x - a.x) * (b.x - a.x) + (c.y - a.y) * (b.y - a.y)) / apart(a, b) ** 2;
          const isBetween = along > 0 && along < 1;
          assert.ok(!isBetween || off > 9, `${shape}: n${third + 1} stands on the link n${one + 1} to n${other + 1}`);
        }
      }
    }
  }
});
