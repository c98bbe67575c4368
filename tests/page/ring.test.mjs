// The rings of the first screen, without a browser: what stands where, what is shown when, how it plays; links and acts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { prepared } from "../../src/report/page/main.mjs";
import { beatsOf, paceAt, prelude, seenAt, stepFrom, stepsOf, telling } from "../../src/report/page/pace.mjs";
import { paintRing } from "../../src/report/page/paint.mjs";
import { onRing, ringOf } from "../../src/report/page/ring.mjs";
import { blankRun, sceneAt, sentenceOf } from "../../src/report/page/scene.mjs";
import { offersOn, onLeader } from "../../src/lab/page/acts.mjs";
import { isLesson } from "../../src/lab/page/asked.mjs";
import { fromLink, toLink } from "../../src/lab/page/link.mjs";
import { faultsOf, forked, settingOf, told } from "../../src/lab/page/setting.mjs";
import { dataOf, linesOf } from "./pages.mjs";

const page = dataOf("split-brain");
const [raft, dual] = page.systems.map((raw, index) => prepared(page, raw, index));
const chaos = prepared(dataOf("chaos"), dataOf("chaos").systems[0], 0);
const kinds = linesOf("faults").filter(({ kind }) => kind === "fault_kind");
const leading = (scene) => [...scene.states.values()].filter(({ leads }) => leads > 0).map(({ node, leads }) => [node, leads]);

test("everything of a ring is in the picture, and no node covers another, on a desk and on a phone", () => {
  for (const shape of [[3, 2], [5], [1, 1, 1, 1, 1], [2, 2, 1], [3, 3, 3], [1], [4, 0]]) {
    const run = blankRun("x", shape.map((nodes, index) => ({ name: `s${index}`, nodes, clients: 3 })), 1000, "");
    for (const [width, height] of [[600, 520], [180, 430], [900, 600], [290, 300]]) {
      const ring = ringOf(run, width, height);
      const places = [...ring.places.values()];
      const said = `${shape} in ${width} x ${height}`;
      for (const { x, y } of [...places, ...ring.clients.values()]) assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, `${said}: ${x}, ${y}`);
      for (const [index, a] of places.entries()) {
        for (const b of places.slice(index + 1)) assert.ok(Math.hypot(a.x - b.x, a.y - b.y) > ring.unit * 1.5, `${said}: two nodes in one place`);
      }
    }
  }
});

test("what is under the pointer is the node or the link that is drawn there", () => {
  const ring = ringOf(raft, 600, 520);
  const [a, b] = [ring.places.get(1), ring.places.get(3)];
  assert.deepEqual(onRing(raft, ring, a.x + 3, a.y), { node: 1 });
  assert.deepEqual(onRing(raft, ring, a.x + (b.x - a.x) * 0.28 + 2, a.y + (b.y - a.y) * 0.28), { link: [1, 3] });
  assert.equal(onRing(raft, ring, 2, 2), null);
});

test("under the same cut a side of Raft goes grey, and two lead on the right", () => {
  const at = (run, t) => sceneAt(run, t, 500);
  assert.deepEqual([leading(at(raft, 5900)), leading(at(dual, 5900))], [[[1, 1]], [[1, 0.5], [4, 0.5]]]);
  assert.deepEqual([[...at(raft, 5999).grey], [...at(raft, 6000).grey]], [[], [4, 5]]);
  assert.match(at(raft, 7000).caption, /^West must wait\. 2 of 5 votes is no majority\.$/);
  for (const t of [6000, 7202, 12000, 17999]) assert.equal(at(dual, t).grey.size, 0, `${t}`);
  assert.deepEqual(leading(at(dual, 7203)), [[1, 1], [4, 1]]);
  assert.match(at(dual, 7203).caption, /^n1 and n4 both lead all of it/);
  assert.deepEqual([...at(raft, 26000).grey], []);
});

test("two receipts for one seat are two acknowledgements of one key, shown when both were given", () => {
  const [first] = dual.scene.conflicts;
  const [a, b] = first.operations;
  assert.deepEqual([a.key === b.key, a.status, b.status, first.at], [true, "ok", "ok", Math.max(a.end, b.end)]);
  assert.equal(sceneAt(dual, first.at - 1, 40).pair, null);
  assert.match(sceneAt(dual, first.at, 40).caption, new RegExp(`^Two receipts for one seat: k${a.key}\\s=\\s\\d+ and k${a.key}\\s=\\s\\d+\\.$`));
  assert.deepEqual(raft.scene.conflicts, []);
  assert.match(sceneAt(dual, dual.end, 40).caption, /^106 receipts are for writes that are gone\.$/);
  assert.equal(sentenceOf("A cut.", [raft, dual]), "A cut: Raft makes one side wait and a pair of primaries sells one seat twice.");
});

test("a message goes to the client that asked", () => {
  const replies = raft.messages.filter(({ kind, fate }) => kind === "request_reply" && fate === "delivered");
  const known = replies.filter((message) => raft.scene.clientOf.get(message) !== undefined);
  assert.ok(known.length > replies.length * 0.98, `${known.length} of ${replies.length}`);
  // Who is answered had an operation when the question was sent; an answer may come too late for it.
  const right = known.filter((message) => raft.operations.some(({ client, start, end }) => client === raft.scene.clientOf.get(message) && start <= message.cause.sent && message.cause.sent <= end));
  const acknowledged = raft.operations.filter(({ status }) => status === "ok");
  const told = acknowledged.filter(({ client, end }) => known.some((message) => message.end === end && raft.scene.clientOf.get(message) === client));
  assert.ok(told.length > acknowledged.length * 0.98, `${told.length} of ${acknowledged.length} receipts arrive by a message at their client`);
  assert.equal(right.length, known.length);
});

/** A canvas that writes down what is painted. */
function recorder() {
  const log = [];
  const canvas = new Proxy({}, {
    get: (_, name) => (name === "measureText" ? (text) => ({ width: text.length * 8 }) : (...given) => log.push([name, ...given])),
    set: (_, name, value) => log.push([name, value]) > 0,
  });
  return { canvas, log };
}

test("a picture is a function of the instant: neither what was painted before nor the way there changes it", () => {
  const inks = Object.fromEntries(["ink", "faint", "line", "well", "paper", "bad", "good", "accent", "family"].map((name) => [name, name]));
  for (const run of [raft, dual, chaos]) {
    const ring = ringOf(run, 600, 520);
    const painted = (t) => {
      const { canvas, log } = recorder();
      paintRing(canvas, sceneAt(run, t, 200), ring, seenAt(0.2), inks);
      return JSON.stringify(log);
    };
    const times = [0, 2000, 5999, 6003, 7204, 7600, 8700, 18010, 20031, run.end];
    const forwards = times.map(painted);
    assert.deepEqual(times.toReversed().map(painted).toReversed(), forwards);
    assert.equal(new Set(forwards).size, forwards.length, "time changes the picture");
  }
});

test("the film slows where something happens, never jumps, and comes to the point", () => {
  const beats = beatsOf([raft, dual]);
  assert.equal(beats[0], 6000);
  const [conflict] = dual.scene.conflicts;
  for (const beat of [6000, 7202, conflict.at, 18000]) {
    assert.ok(beats.some((one) => Math.abs(one - beat) < 1), `${beat} in ${beats}`);
    assert.ok(paceAt(beats, beat) <= 0.05);
  }
  let [t, wall, jump] = [prelude(beats), 0, 1];
  const seen = new Map();
  while (t < raft.end) {
    const pace = paceAt(beats, t);
    const after = t + pace * (1000 / 60);
    jump = Math.max(jump, paceAt(beats, after) / pace, pace / paceAt(beats, after));
    for (const beat of beats) if (t < beat && beat <= after) seen.set(beat, wall / 1000);
    [t, wall] = [after, wall + 1000 / 60];
  }
  assert.ok(jump < 1.7, `a frame changes the pace by ${jump}`);
  assert.ok(seen.get(7202) < 9 && wall < 60_000, `two lead after ${seen.get(7202)} s of a film of ${wall / 1000} s`);
  assert.ok(sceneAt(dual, telling([raft, dual], beats), 40).pair, "the still shows two receipts");
});

test("a step goes to the next instant at which there is something to see", () => {
  const steps = stepsOf([raft, dual]);
  assert.equal(stepFrom(steps, 5999.5, 1), 6000);
  assert.ok(stepFrom(steps, 6000, 1) > 6000 && stepFrom(steps, 6000, -1) < 6000);
  assert.equal(stepFrom(steps, 1e9, 1), 1e9);
});

const plan = {
  scenario: "split-brain", title: "A cut", systems: ["raft", "dual-primary"],
  sites: [{ name: "east", nodes: 3, clients: 3 }, { name: "west", nodes: 2, clients: 3 }],
  faults: [{ at_ms: 6000, for_ms: 12000, fault: "partition", groups: [["east"], ["west"]], links: [1, 2, 3].flatMap((n) => [[`n${n}`, "n4"], [`n${n}`, "n5"]]), nodes: [] }],
};
const plain = () => settingOf(plan, "7");

test("a link is a run: every part of a setting comes back", async () => {
  const faults = [{ at_ms: 1, for_ms: 2, fault: "messages", note: "a&b=c#d %41 \u{1f512}" }, { at_ms: 3, fault: "kill", target: "@leader" }];
  const settings = [
    [told(plain()), ["raft", "dual-primary"], null],
    [told({ ...plain(), faults }), ["raft"], 8450],
    [told({ ...plain(), sites: [{ name: "a, b", nodes: 1, clients: 2 }], seed: "18446744073709551615" }), ["quorum", "lease"], 0],
    [told({ ...plain(), toml: `version = 1\nname = "x"\n${"# much\n".repeat(3000)}` }), ["raft"], 1.5],
  ];
  for (const [setting, systems, t] of settings) {
    const link = await toLink(setting, systems, t);
    assert.match(link, /^#[A-Za-z0-9=&%.,_~!*'()-]+$/, "nothing that a mail program breaks");
    assert.ok(link.length < 1500, `${link.length}`);
    const back = await fromLink(link);
    const { systems: named, t: at, ...rest } = back;
    assert.deepEqual(JSON.parse(JSON.stringify(rest)), JSON.parse(JSON.stringify(setting)));
    assert.deepEqual([named, at ?? null], [systems, t === null ? null : Math.round(t)]);
  }
});

test("a link of old, none and a lesson's are understood; one that was cut off says so", async () => {
  assert.deepEqual(await fromLink("#chaos"), { scenario: "chaos" });
  assert.deepEqual([await fromLink(""), await fromLink("#lesson=retry-storm"), isLesson("#lesson=x"), isLesson("#lessons"), isLesson("#lessened")], [{}, {}, true, true, false]);
  for (const broken of ["#run=x&faults=%5B%7B", "#run=x&faults=7", "#run=%E0%A4%A", "#toml=abc", "#run=x&sites=%5B1%5D"]) {
    await assert.rejects(() => fromLink(broken), /cannot be read .*cut off/, broken);
  }
});

test("what is whole can be broken, what is broken can be mended, and both only from that instant on", () => {
  const fork = (ms) => forked(plain(), ms);
  const words = (setting, what, ms) => offersOn(setting, raft, what, ms, kinds).map((offer) => offer.words);
  assert.equal(words(plain(), { node: 1 }, 5000)[0], "kill it");
  assert.deepEqual(words(plain(), { link: [1, 4] }, 5000).slice(0, 2), ["cut it", "cut east from west"]);
  assert.equal(words(plain(), { link: [1, 2] }, 5000).includes("cut east from east"), false);
  assert.deepEqual(words(plain(), { link: [1, 4] }, 8000), ["mend it: end the partition"]);
  const [heal] = offersOn(plain(), raft, { link: [4, 1] }, 8000, kinds);
  assert.deepEqual(faultsOf(heal.edit(fork(8000))).map(({ for_ms }) => for_ms), [2000]);
  assert.throws(() => heal.edit(fork(9000)), /cannot end anything before/);
  const [kill] = offersOn(plain(), raft, { node: 2 }, 8000, kinds);
  const killed = kill.edit(fork(8000));
  assert.deepEqual(faultsOf(killed)[1], { at_ms: 8000, fault: "kill", target: "n2" });
  const seen = { ...killed, faults: killed.faults.map((fault, index) => ({ ...fault, nodes: index === 1 ? ["n2"] : [], links: [] })) };
  assert.deepEqual(words(seen, { node: 2 }, 9000), ["start it again"]);
  const [start] = offersOn(seen, raft, { node: 2 }, 9000, kinds);
  assert.deepEqual(faultsOf(start.edit(forked(seen, 9000)))[1], { at_ms: 8000, for_ms: 1000, fault: "kill", target: "n2" });
  // A leader can be killed, and the one after it too.
  const twice = onLeader(9000, kinds).edit(onLeader(8000, kinds).edit(plain()));
  assert.deepEqual(faultsOf(twice).slice(1).map(({ target }) => target), ["@leader", "@leader"]);
});
