// The page of a story's comparison, and that of a class's answers: what is in it (node), and both in a browser.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { latencyOf, sums, time, unpacked } from "../../src/report/page/waterfall.mjs";
import { load } from "../../src/report/story/life.mjs";
import { launch, open } from "./browser.mjs";
import { dataOf, fileOf, linesOf } from "./pages.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const told = dataOf("retry-storm");
const comparison = linesOf("retry-storm").find(({ kind }) => kind === "comparison");

test("the page holds the claims that the command prints, and every request of the load", () => {
  assert.deepEqual(told.claims, comparison.claims);
  for (const { lives, name } of told.variants) {
    assert.ok(lives.rows.length >= 2700, `${name}: ${lives.rows.length}`);
  }
});

test("the parts of every request add up to its latency, and its spans lie end to end", () => {
  for (const { lives, name } of told.variants) {
    for (const request of unpacked(lives).filter(({ ended }) => ended !== null)) {
      assert.equal(sums(request).reduce((sum, [, took]) => sum + took, 0), latencyOf(request), `${name}, ${request.number}`);
      let at = request.at;
      for (const span of request.spans) { assert.equal(span.from, at); at += span.took; }
      assert.equal(at, request.ended);
    }
  }
});

test("the load over time counts each request once", () => {
  const [{ lives }] = told.variants;
  const counts = load(unpacked(lives), told.until_us, 40);
  assert.equal(counts.reduce((sum, { served, unserved }) => sum + served + unserved, 0), lives.rows.length);
  // Before the stall all are served; in the storm none is.
  assert.ok(counts[5].served > 60 && counts[5].unserved === 0 && counts[28].served === 0 && counts[28].unserved > 60);
});

test("times are for people", () => {
  assert.deepEqual([0, 250, 5_000, 989_123, 4_000_000].map(time), ["0 ms", "0.25 ms", "5 ms", "989 ms", "4 s"]);
});

test("a dot leads to the life of its request, by mouse and by keyboard", async () => {
  const { page, context, errors, requests } = await open(browser, fileOf("retry-storm"));
  const first = page.locator(".follow").first();
  const said = () => first.locator(".life p").innerText();
  const before = await said();
  assert.match(before, /Request \d+, offered at .* took .* was not served/);
  // Long before the stall, near the lowest latency.
  const box = await first.locator("svg.requests").boundingBox();
  await first.locator("svg.requests").click({ position: { x: box.width * 0.2, y: 165 } });
  const after = await said();
  assert.notEqual(after, before);
  assert.match(after, /and was served/);
  const spans = await first.locator(".spans li").allInnerTexts();
  for (const what of ["connects to server", "the request to server", "the server works", "the answer from server"]) {
    assert.ok(spans.some((text) => text.includes(what)), `${what} in ${spans.join()}`);
  }
  await first.getByRole("button", { name: "Later" }).focus();
  await page.keyboard.press("Enter");
  assert.notEqual(await said(), after);
  await first.getByRole("button", { name: "Slowest" }).click();
  assert.equal(await said(), before);
  assert.match(await first.locator(".sums").innerText(), /queueing/);
  assert.deepEqual(errors, []);
  assert.deepEqual(requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")), []);
  await context.close();
});

test("no WCAG AA violation, light and dark, wide and narrow, in both pages", async () => {
  const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const name of ["retry-storm", "class"]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 390]) {
        const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } });
        const page = await context.newPage();
        const errors = [];
        page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
        await page.goto(`file://${fileOf(name)}`);
        if (name !== "class") await page.waitForSelector("html[data-ready=true]");
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
        assert.deepEqual(errors, []);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa"] }));
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${name}, ${colorScheme}, ${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `nothing of ${name} sticks out at ${width}`);
        await context.close();
      }
    }
  }
});

test("the class's page shows how predictions are distributed", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`file://${fileOf("class")}`);
  const text = await page.locator("body").innerText();
  assert.match(text, /1 of 2 right/);
  assert.match(text, /their runs measured 0\.0 to \d+\.\d %/);
  assert.equal(await page.locator("tbody tr").count(), 2);
  await context.close();
});
