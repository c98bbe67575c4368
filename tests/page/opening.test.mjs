// The first screen in a browser: of the page of a run, and of the playground with either engine.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { built, launch, open, schism, until, visit } from "./browser.mjs";
import { fileOf } from "./pages.mjs";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** The screens for which the first one is made. */
const SCREENS = [{ width: 1280, height: 800 }, { width: 390, height: 844 }];
const SENTENCE = /^The link between two data centres is cut for twelve seconds: Raft makes one side wait and a pair of primaries sells one seat twice\.$/;

const files = http.createServer((request, response) => {
  const file = path.join(built, request.url === "/" ? "index.html" : path.normalize(request.url));
  if (!fs.existsSync(file)) return response.writeHead(404).end();
  const type = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".json": "application/json" }[path.extname(file)];
  response.writeHead(200, { "content-type": type ?? "application/octet-stream" });
  return fs.createReadStream(file).pipe(response);
});

let browser, lab, served;
before(async () => {
  browser = await launch();
  await new Promise((listening) => files.listen(0, "127.0.0.1", listening));
  lab = spawn(schism, ["lab", "--port", "0", "--format", "json"], { stdio: ["ignore", "pipe", "inherit"] });
  served = await new Promise((told) => lab.stdout.once("data", (line) => told(JSON.parse(line).address)));
});
after(async () => {
  await browser?.close();
  files.close();
  lab?.kill();
});

const addresses = { wasm: () => `http://127.0.0.1:${files.address().port}/`, native: () => `${served}/` };
const idle = (page) => until(page, () => !("busy" in document.documentElement.dataset), null, 120_000);

/** Opens the playground until its run is on the first screen; without motion unless it is asked for. */
async function start(engine, { hash = "", ...options } = {}) {
  const visited = await visit(browser, addresses[engine]() + hash, { viewport: SCREENS[0], reducedMotion: "reduce", ...options });
  await idle(visited.page);
  await until(visited.page, () => document.querySelectorAll(".ring").length > 0 && !document.querySelector(".caption").textContent.startsWith("This is being run"));
  return visited;
}

const caption = (page, system) => page.locator(`.ring[data-system="${system}"] .caption`).textContent();
const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const nowOf = (page) => page.evaluate(() => Number(document.querySelector("#time").value));
const digests = (page) => page.locator("#verdicts li").evaluateAll((items) => items.map(({ dataset }) => dataset.digest));
async function seek(page, ms) {
  await page.locator("#time").fill(String(ms));
  await drawn(page);
}
/** Does something that makes the playground run, and waits for the run. */
async function runs(page, act) {
  const count = await page.locator("#runs button").count();
  await act();
  await until(page, (before) => document.querySelectorAll("#runs button").length > before, count, 120_000);
  await idle(page);
}
const settled = (page) => page.evaluate(() => new Promise((done) => setTimeout(done, 50)));

/** What both kinds of page must show: the sentence, two rings and the slider, and nothing else, and what a newcomer sees. */
async function showsTheStory(page, viewport, below) {
  assert.match(await page.locator(".headline").textContent(), SENTENCE);
  const boxes = await page.locator(".ground canvas").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().toJSON()));
  const [left, right] = boxes;
  assert.equal(boxes.length, 2);
  assert.ok(left.top === right.top && left.right <= right.left, "side by side");
  assert.ok(left.height > viewport.height * 0.4, `rings ${left.height} pixels high`);
  const slider = await page.locator("#time").boundingBox();
  assert.ok(slider.y > left.bottom && slider.y + slider.height <= viewport.height, "the slider is on the first screen, below the rings");
  assert.ok((await page.locator(below).first().boundingBox()).y >= viewport.height, `${below} is below`);
  assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) <= viewport.width, "nothing sticks out");
  await seek(page, 5900);
  assert.deepEqual([await caption(page, "raft"), await caption(page, "dual-primary")], ["n1 leads.", "n1 and n4 each lead a part."]);
  await seek(page, 7203);
  assert.match(await caption(page, "raft"), /^West must wait/);
  assert.match(await caption(page, "dual-primary"), /^n1 and n4 both lead all of it/);
  await seek(page, 7600);
  assert.match(await caption(page, "dual-primary"), /^Two receipts for one seat: k\d/);
}

/** How much of a ring's left half has a colour, in pixels; `colour` is a custom property. */
const painted = (page, system, colour) => page.evaluate(([name, wanted]) => {
  const canvas = document.querySelector(`.ring[data-system="${name}"] canvas`);
  const probe = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  probe.fillStyle = getComputedStyle(document.body).getPropertyValue(wanted).trim();
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width / 2, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) count += 1;
  return count;
}, [system, colour]);

for (const viewport of SCREENS) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the page of a run opens with the story, ${viewport.width} wide, ${colorScheme}`, async () => {
      const { page, context, errors } = await open(browser, fileOf("split-brain"), { viewport, colorScheme, reducedMotion: "reduce" });
      await showsTheStory(page, viewport, ".top");
      // In the picture as well as in its words: west loses its ground on the left, and gains a crown on the right.
      await seek(page, 5900);
      const before = [await painted(page, "raft", "--line"), await painted(page, "dual-primary", "--accent")];
      await seek(page, 7300);
      const [grey, crown] = [await painted(page, "raft", "--line"), await painted(page, "dual-primary", "--accent")];
      assert.ok(grey > before[0] + 1000 && crown > before[1] * 1.3, `${before} to ${[grey, crown]}`);
      assert.deepEqual(errors, []);
      await context.close();
    });
  }
}

test("the page plays by itself until the reader does something, and not where motion is not wanted", async () => {
  const { page, context } = await open(browser, fileOf("split-brain"), { viewport: SCREENS[0] });
  const first = await nowOf(page);
  await until(page, (t) => Number(document.querySelector("#time").value) > t + 100, first);
  await page.keyboard.press("ArrowRight");
  const stopped = await nowOf(page);
  await settled(page);
  assert.equal(await nowOf(page), stopped);
  await context.close();
  const still = await open(browser, fileOf("split-brain"), { viewport: SCREENS[0], reducedMotion: "reduce" });
  assert.match(await caption(still.page, "dual-primary"), /^Two receipts for one seat/);
  const at = await nowOf(still.page);
  await settled(still.page);
  assert.equal(await nowOf(still.page), at);
  await still.context.close();
});

test("a link into the page's panes leads to them", async () => {
  const { page, context } = await open(browser, fileOf("split-brain"), { hash: "#t=8.45&zoom=8-9" });
  assert.ok((await page.locator(".tour").boundingBox()).y < 200);
  await context.close();
});

for (const engine of ["wasm", "native"]) {
  for (const viewport of SCREENS) {
    test(`${engine}: the playground opens with the story, ${viewport.width} wide`, async () => {
      const { page, context, errors } = await start(engine, { viewport });
      assert.match(await caption(page, "dual-primary"), /^Two receipts for one seat/, "the still is the most telling one");
      await showsTheStory(page, viewport, "#setting");
      assert.deepEqual(errors, []);
      await context.close();
    });
  }

  test(`${engine}: it plays, slowly, step by step, and stops`, async () => {
    const { page, context } = await start(engine, { reducedMotion: "no-preference" });
    const first = await nowOf(page);
    await until(page, (t) => Number(document.querySelector("#time").value) > t, first);
    await page.click("#slow");
    assert.equal(await page.locator("#slow").getAttribute("aria-pressed"), "true");
    await page.click("#step");
    const stopped = await nowOf(page);
    assert.equal(await page.locator("#play").textContent(), "Play");
    await settled(page);
    assert.equal(await nowOf(page), stopped);
    await page.click("#step");
    await page.click("#step");
    assert.ok((await nowOf(page)) > stopped);
    await context.close();
  });

  test(`${engine}: a click on a node or a link while it plays forks there, and the fork goes on`, async () => {
    const { page, context, errors } = await start(engine, { reducedMotion: "no-preference" });
    const original = await digests(page);
    await page.getByRole("button", { name: "Raft: node n1" }).click();
    const at = await page.evaluate(() => Number(document.querySelector("#now").textContent.replace(" s", "")));
    await runs(page, () => page.locator("#acts").getByRole("button", { name: "kill it" }).click());
    // Its past is that of the original: to the bit, and until the kill.
    const past = await page.locator("#partings").textContent();
    for (const system of ["raft", "dual-primary"]) {
      const [, events, until_s] = new RegExp(`${system}: the same (\\d+) events until ([\\d.]+) s`).exec(past) ?? assert.fail(past);
      assert.ok(Number(events) > 1000 && Math.abs(Number(until_s) - at) < 0.002, past);
    }
    assert.match(await page.locator(".headline").textContent(), /^Your run, changed at [\d.]+ s: /);
    assert.match(await page.locator("#faults").textContent(), /kill of n1, from [\d.]+ s/);
    await until(page, (t) => Number(document.querySelector("#time").value) > t, Math.ceil(at * 1000));
    const killed = await digests(page);
    assert.notDeepEqual(killed, original);
    // A dead node can be started, a whole link cut, a cut one mended.
    await page.getByRole("button", { name: "Raft: node n1" }).click();
    await runs(page, () => page.locator("#acts").getByRole("button", { name: "start it again" }).click());
    await page.getByRole("button", { name: "A pair of primaries: link n1 \u2013 n2" }).click();
    await runs(page, () => page.locator("#acts").getByRole("button", { name: "cut it", exact: true }).click());
    await page.getByRole("button", { name: "Raft: link n1 \u2013 n2" }).click();
    await runs(page, () => page.locator("#acts").getByRole("button", { name: /^mend it/ }).click());
    const healed = await page.evaluate(() => location.hash);
    assert.match(decodeURIComponent(healed), /"fault":"kill","target":"n1".*"for_ms":\d+,"fault":"partition","groups":\[\["n1"\],\["n2"\]\]/);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: the leader can be killed, Back undoes it, and a link is the run`, async () => {
    const { page, context, errors } = await start(engine);
    const original = await digests(page);
    await seek(page, 5000);
    await runs(page, () => page.click("#kill-leader"));
    await page.locator("#faults").getByText("kill of @leader, from 5.000 s").waitFor();
    const killed = await digests(page);
    assert.notDeepEqual(killed, original);
    // The link is written once the time stands still.
    await page.click("#step");
    await until(page, () => location.hash.includes("faults="));
    const link = await page.evaluate(() => location.hash);
    const other = await start(engine, { hash: link });
    assert.deepEqual(await digests(other.page), killed, "another browser runs the same");
    await other.context.close();
    await page.goBack();
    await until(page, () => !location.hash.includes("faults="));
    await idle(page);
    await until(page, (digest) => document.querySelector("#verdicts li").dataset.digest === digest, original[0]);
    assert.match(await page.locator(".headline").textContent(), SENTENCE);
    assert.deepEqual(errors, []);
    await context.close();
  });
}

test("it can be used by keyboard alone", async () => {
  const { page, context } = await start("native");
  await page.getByRole("button", { name: "Raft: node n2" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#acts").isVisible(), true);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "kill it");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#acts").isVisible(), false);
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /Raft: node n2/, "the focus is back");
  const reached = new Set();
  await page.locator(".skip").focus();
  for (let press = 0; press < 50; press += 1) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute("aria-label")));
  }
  for (const one of ["Raft: node n5", "Raft: link n1 \u2013 n4", "A pair of primaries: node n4", "play", "slow", "step", "time", "kill-leader"]) assert.ok(reached.has(one), one);
  await page.evaluate(() => document.activeElement.blur());
  const at = await nowOf(page);
  await page.keyboard.press("ArrowRight");
  assert.ok((await nowOf(page)) > at);
  await context.close();
});

test("a link that was cut off, and one to no scenario, say so on the first screen", async () => {
  for (const [hash, words] of [["#run=split-brain&faults=%5B%7B", /this link's `faults` cannot be read/], ["#split-brian", /There is no scenario `split-brian`/]]) {
    const { page, context } = await start("native", { hash });
    await until(page, () => document.querySelector("#told").textContent !== "");
    assert.match(await page.locator("#told").textContent(), words);
    await context.close();
  }
});

test("the first screen keeps to WCAG AA, with what a click offers, light and dark, wide and narrow", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of SCREENS) {
      const { page, context } = await start("native", { colorScheme, viewport });
      await page.getByRole("button", { name: "Raft: node n2" }).click();
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run("#first", { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${colorScheme}, ${viewport.width}`);
      await context.close();
    }
  }
});
