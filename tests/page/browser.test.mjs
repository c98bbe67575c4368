// The page in a browser, opened from disk as a reader does.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { fileOf, linesOf } from "./pages.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const split = (options) => open(browser, fileOf("split-brain"), options);
const viewOf = (page) => page.evaluate(() => {
  const { from, until, t, node, operation, stop, routine } = schism.view;
  return { from, until, t, node, operation, stop, routine };
});
/** Two frames: what was asked for is drawn. */
const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const pixels = (page, pane) => page.evaluate((index) => document.querySelectorAll("canvas")[index].toDataURL(), pane);

test("it opens from disk without an error and asks nobody", async () => {
  const { context, errors, requests } = await split();
  assert.deepEqual(errors, []);
  assert.deepEqual(requests.filter((url) => !url.startsWith("file:") && !url.startsWith("blob:") && !url.startsWith("data:")), []);
  assert.equal(requests.length, 1);
  await context.close();
});

test("the verdicts are those of the command", async () => {
  const { page, context } = await split();
  const outcomes = linesOf("split-brain").filter(({ kind }) => kind === "outcome");
  for (const outcome of outcomes) {
    const card = page.locator(`.card[data-system="${outcome.system}"]`);
    assert.equal(await card.getAttribute("data-verdict"), outcome.verdict);
    assert.match(await card.locator(".badge").textContent(), new RegExp(`${outcome.verdict}, as expected`));
    assert.equal(await card.locator(".digest code").getAttribute("title"), outcome.digest);
    const witness = outcome.violations.find(({ check }) => check === "split_brain");
    if (witness) assert.ok((await card.locator("blockquote").textContent()).includes(witness.certificate.sentence.replace(/\.$/, "")));
  }
  assert.equal(outcomes.length, 2);
  assert.equal(await page.locator("#command").textContent(), "schism compare split-brain --seed 7");
  await context.close();
});

test("the tour leads to the cut, the primaries, the conflict, the lost write and the refusal", async () => {
  const { page, context } = await split();
  const told = [/Partition east \| west/, /n1 and n4 act as primary/, /neither knew of the other's operation/, /is gone/, /2 of 5 voters, and a commit takes 3/];
  for (const [index, words] of told.entries()) {
    await page.keyboard.press("n");
    assert.match(await page.locator("#stop-text").textContent(), words);
    const { stop, t, from, until } = await viewOf(page);
    assert.equal(stop, index);
    assert.ok(from <= t && t <= until);
  }
  const refusal = page.locator('.pane[data-system="raft"] .refusal');
  assert.match(await refusal.textContent(), /got no acknowledgement/);
  await page.keyboard.press("3");
  assert.equal((await viewOf(page)).stop, 2);
  await context.close();
});

test("the crosshair is in both panes, and tells what it points at", async () => {
  const { page, context } = await split({ hash: "#t=8.5&zoom=8.36-8.77" });
  const before = await pixels(page, 1);
  const box = await page.locator("canvas").first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 150);
  await drawn(page);
  assert.notEqual(await pixels(page, 1), before);
  assert.match(await page.locator(".under").first().textContent(), /^8\.\d{3} s/);
  await context.close();
});

test("a click chooses the instant, and the state below is that of it", async () => {
  const { page, context } = await split({ hash: "#t=8&zoom=7-9" });
  const box = await page.locator("canvas").first().boundingBox();
  await page.mouse.click(box.x + box.width * 0.7, box.y + 60);
  const { t } = await viewOf(page);
  assert.ok(t > 8200 && t < 8600, `${t}`);
  await page.waitForFunction((text) => [...document.querySelectorAll(".panel h3")].every((title) => title.textContent === text), `State at ${(t / 1000).toFixed(3)} s`);
  await context.close();
});

test("a drag pans, a double click zooms, Ctrl and the wheel zoom", async () => {
  const { page, context } = await split({ hash: "#t=8&zoom=7-9" });
  const box = await page.locator("canvas").first().boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + 120];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x - 100, y, { steps: 4 });
  await page.mouse.up();
  const panned = await viewOf(page);
  assert.ok(panned.from > 7100 && Math.abs(panned.until - panned.from - 2000) < 1);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -200);
  await page.keyboard.up("Control");
  await page.waitForFunction((width) => schism.view.until - schism.view.from < width, 1900);
  await context.close();
});

test("the scrubber steps, slides and plays, and the state follows", async () => {
  const { page, context } = await split({ hash: "#t=8.45" });
  await page.locator("#forward").click();
  const { t } = await viewOf(page);
  assert.ok(t > 8450 && t < 8500);
  assert.match(await page.locator("#said").textContent(), /^8\.4\d\d s/);
  await page.locator("#time").fill("9000");
  assert.equal((await viewOf(page)).t, 9000);
  await page.waitForFunction(() => document.querySelector(".panel h3").textContent === "State at 9.000 s");
  // In the second pane n1 and n4 hold different values: split-brain, in the stores.
  assert.ok((await page.locator('.pane[data-system="dual-primary"] tr.differ').count()) > 0);
  assert.equal(await page.locator('.pane[data-system="raft"] tr.differ').count(), 0);
  await page.locator("#play").click();
  await page.waitForFunction(() => schism.view.t > 9005);
  await page.locator("#play").click();
  await context.close();
});

test("a link opens what it names, and follows the view", async () => {
  const { page, context } = await split({ hash: "#t=8.45&node=n4&op=341&zoom=8.2-8.9" });
  assert.deepEqual(await viewOf(page), { from: 8200, until: 8900, t: 8450, node: 4, operation: 341, stop: null, routine: false });
  await page.keyboard.press("-");
  await page.waitForFunction(() => !location.hash.includes("zoom=8.2-8.9"));
  assert.match(await page.evaluate(() => location.hash), /^#t=8.45&node=n4&op=341&zoom=/);
  await context.close();
});

test("all of it can be reached by keys", async () => {
  const { page, context } = await split();
  const whole = await viewOf(page);
  await page.keyboard.press("+");
  const zoomed = await viewOf(page);
  assert.ok(zoomed.until - zoomed.from < whole.until - whole.from);
  await page.keyboard.press("d");
  assert.ok((await viewOf(page)).from > zoomed.from);
  await page.keyboard.press("0");
  assert.equal((await viewOf(page)).until, whole.until);
  await page.keyboard.press("ArrowRight");
  assert.ok((await viewOf(page)).t > whole.t);
  await page.keyboard.press("h");
  assert.equal((await viewOf(page)).routine, true);
  await page.keyboard.press("?");
  assert.equal(await page.locator("#help").isVisible(), true);
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("#341");
  await page.keyboard.press("Enter");
  assert.equal((await viewOf(page)).operation, 341);
  await context.close();
});

test("filters hide, and say how much", async () => {
  const { page, context } = await split({ hash: "#t=5&zoom=4.8-5.2" });
  const counts = page.locator(".counts").first();
  assert.match(await counts.textContent(), /each an arrow\. \d+ heartbeats and AppendEntries without effect are collapsed\./);
  await page.locator(".menu summary").click();
  await page.locator('[data-kind="append_entries"]').uncheck();
  await drawn(page);
  assert.match(await counts.textContent(), /\d+ are hidden by the filters/);
  await page.locator("#all").click();
  await drawn(page);
  assert.match(await counts.textContent(), /shown as counts over time: zoom in for arrows/);
  await context.close();
});

test("it is light or dark as the system is, and as the reader likes", async () => {
  const { page, context } = await split({ colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  const picture = await pixels(page, 0);
  await page.locator("#theme").click();
  await drawn(page);
  assert.equal(await ground(), "rgb(255, 255, 255)");
  assert.notEqual(dark, await ground());
  assert.notEqual(await pixels(page, 0), picture);
  await context.close();
});

test("it keeps to WCAG AA, light and dark", async () => {
  const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const colorScheme of ["light", "dark"]) {
    const { page, context } = await split({ colorScheme, hash: "#t=8.682&node=n4" });
    await page.keyboard.press("3");
    await page.locator(".menu summary").click();
    for (const details of await page.locator("#tables > details > summary").all()) await details.click();
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`);
    assert.deepEqual(told, [], colorScheme);
    await context.close();
  }
});

test("it fits a narrow screen and goes to paper", async () => {
  const { page, context, errors } = await split({ viewport: { width: 420, height: 900 } });
  assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) <= 420);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator(".scrubber").isVisible(), false);
  // No frame comes between the event and the paper: the pictures must be there at once, and the tables open.
  const inked = await page.evaluate(() => {
    dispatchEvent(new Event("beforeprint"));
    const canvas = document.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return { ink: data.filter((value, i) => i % 4 === 3 && value > 0).length, closed: document.querySelectorAll("#tables details:not([open])").length };
  });
  assert.ok(inked.ink > 5000, `${inked.ink} pixels`);
  assert.equal(inked.closed, 0);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  assert.ok((await page.pdf()).length > 10000);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a minute of chaos opens fast and draws smoothly", async () => {
  const file = fileOf("chaos");
  assert.ok(fs.statSync(file).size < 10_000_000);
  const { page, context, errors, took } = await open(browser, file);
  assert.deepEqual(errors, []);
  assert.ok(took < 10_000, `took ${took} ms`);
  const frames = await page.evaluate(async () => {
    const times = [];
    for (let i = 0; i < 20; i++) {
      const began = performance.now();
      schism.view.zoom(i < 10 ? 0.8 : 1.25, 20000);
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b);
  });
  console.log(`chaos: ${Math.round(fs.statSync(file).size / 1024)} KiB, open in ${Math.round(took)} ms, two frames in ${Math.round(frames[10])} ms (median)`);
  assert.ok(frames[10] < 500, `two frames took ${frames[10]} ms`);
  assert.match(await page.locator(".counts").textContent(), /^[\d,]+ messages in view/);
  await context.close();
});
