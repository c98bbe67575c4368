// Lessons in a browser, with both engines: the engine as WebAssembly in a folder of static files, and `schism lab`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { addressOf, addressOfCase, caseIn, figureAt, isLesson, placeOf, questionOf, wanted } from "../../src/lab/page/asked.mjs";
import { launch, serveFiles, serveLab, schism, until, visit } from "./browser.mjs";

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "schism-lesson-"));
let browser, files, lab;
before(async () => {
  browser = await launch();
  [files, lab] = await Promise.all([serveFiles(), serveLab()]);
});
after(async () => {
  await browser?.close();
  files?.stop();
  lab?.stop();
  fs.rmSync(scratch, { recursive: true });
});

const addressFor = (engine) => (engine === "wasm" ? files : lab).address;
const open = (engine, hash, options = {}) => visit(browser, addressFor(engine) + hash, options);
const predict = "form.predict button[type=submit]";
const reveal = async (page) => {
  await page.click(predict);
  await page.locator("#outcome:not([hidden])").waitFor({ timeout: 120_000 });
};

test("an address is a lesson, and says whose", () => {
  assert.ok(isLesson("#lessons") && isLesson("#lesson=retry-storm") && !isLesson("#lessonless") && !isLesson("#split-brain"));
  const asked = { lesson: "retry-storm", student: "s.1-2" };
  assert.deepEqual(wanted(addressOf(asked)), { ...asked, seed: null });
  const solved = { case: "dns-is-slow", asked: [2, 6], seed: "9", cause: "c" };
  assert.ok(isLesson(addressOfCase(solved)) && caseIn("#lesson=dns-outage") === null);
  assert.deepEqual(caseIn(addressOfCase(solved)), solved);
  assert.deepEqual(caseIn("#case=dns-is-slow"), { case: "dns-is-slow", asked: [] });
  assert.deepEqual(questionOf(wanted("#lesson=dns-outage&seed=9"), "lesson"), { ask: "lesson", lesson: "dns-outage", seed: "9" });
  assert.deepEqual(questionOf(wanted("#lesson=dns-outage&seed=9&student=ada"), "lesson"), { ask: "lesson", lesson: "dns-outage", student: "ada" });
});

test("a slider's place and its figure belong together, for shares and for sizes that are not known", () => {
  assert.deepEqual([0, 500, 1000].map((place) => figureAt("%", place)), [0, 50, 100]);
  for (const unit of ["%", "ms", ""]) {
    for (const place of [0, 130, 500, 999, 1000]) assert.ok(Math.abs(placeOf(unit, figureAt(unit, place)) - place) <= 4, `${unit} ${place}`);
  }
  assert.ok(figureAt("ms", 0) === 0.1 && figureAt("ms", 1000) === 100_000);
});

for (const engine of ["wasm", "native"]) {
  test(`${engine}: a student predicts, sees the runs, and hands in what the teacher's grading accepts`, async () => {
    const { page, context, errors, requests } = await open(engine, "#lesson=retry-storm&student=ada");
    assert.match(await page.locator("main").innerText(), /The stall is over/);
    assert.ok((await page.locator(".many svg").count()) >= 6, "the evidence is drawn");
    // Nothing of the answer is there, and nothing runs before all is predicted.
    assert.equal(await page.locator("#outcome").isVisible(), false);
    assert.doesNotMatch(await page.locator("main").innerText(), /trigger, not the cause|metastable/);
    await page.getByLabel(/^c\)/).check();
    await page.click(predict);
    assert.match(await page.locator("[role=alert]").innerText(), /question 1 first/);
    await page.getByRole("spinbutton").fill("150");
    await page.click(predict);
    await page.getByText(/percentage that cannot be/).waitFor({ timeout: 60_000 });
    await page.getByRole("spinbutton").fill("0");
    await reveal(page);
    assert.match(await page.locator("#outcome").innerText(), /2 of 2 right/);
    assert.match(await page.locator("#outcome").innerText(), /predicted 0\.0 %, measured 0\.0 %, you said 0\.0 %/);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#handin")]);
    assert.equal(download.suggestedFilename(), "ada-retry-storm.json");
    const folder = fs.mkdtempSync(path.join(scratch, `${engine}-`));
    const saved = path.join(folder, download.suggestedFilename());
    await download.saveAs(saved);
    const graded = spawnSync(schism, ["lesson", "grade", folder, "--format", "json"], { encoding: "utf8" });
    const [grade] = graded.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual([grade.state, grade.student, grade.score, grade.of], ["ok", "ada", 2, 2], graded.stdout + graded.stderr);
    // The command writes the same file for the same answer.
    const own = fs.mkdtempSync(path.join(scratch, "own-"));
    spawnSync(schism, ["lesson", "retry-storm", "--student", "ada", "--answer", "0,c", "--out", own]);
    assert.equal(fs.readFileSync(path.join(own, "ada-retry-storm.json"), "utf8"), fs.readFileSync(saved, "utf8"));
    assert.deepEqual(errors, []);
    const foreign = (url) => !url.startsWith(addressFor(engine)) && !url.startsWith("blob:") && !url.startsWith("data:");
    assert.deepEqual(requests.filter(foreign), []);
    await context.close();
  });

  test(`${engine}: a whole lesson by the keyboard, 390 wide`, async () => {
    const { page, context, errors } = await open(engine, "#lesson=retry-storm", { viewport: { width: 390, height: 844 } });
    const focused = () => page.evaluate(() => { const { tagName, type, name } = document.activeElement; return [tagName, type, name].join(" "); });
    const tabTo = async (wantedOne) => {
      for (let press = 0; press < 60; press += 1) {
        await page.keyboard.press("Tab");
        if ((await focused()).startsWith(wantedOne)) return;
      }
      assert.fail(`the keyboard does not reach ${wantedOne}`);
    };
    await tabTo("INPUT range");
    await page.keyboard.press("Home");
    assert.equal(await page.getByRole("spinbutton").inputValue(), "0");
    assert.equal(await page.getByRole("slider").getAttribute("aria-valuetext"), "0 %");
    await tabTo("INPUT radio");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await tabTo("BUTTON submit");
    await page.keyboard.press("Enter");
    await page.locator("#outcome:not([hidden])").waitFor({ timeout: 120_000 });
    assert.equal(await page.evaluate(() => document.activeElement.id), "outcome", "the result is where the keyboard goes on");
    assert.match(await page.locator("#outcome").innerText(), /2 of 2 right/);
    assert.equal(await page.locator("#handin").count(), 0, "an answer without a name is not handed in");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, "nothing sticks out");
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: a case is solved step by step, by the keyboard too, and a link is a case as far as it is solved`, async () => {
    const { page, context, errors } = await open(engine, "#case=service-is-slow", { viewport: { width: 390, height: 844 } });
    const clock = () => page.locator(".clock").textContent();
    const focused = () => page.evaluate(() => document.activeElement.id);
    const after = async (id, step) => {
      await step();
      await page.waitForFunction((id) => document.activeElement.id === id, id, { timeout: 60_000 });
    };
    assert.equal(await clock(), "30 of 30 minutes left.");
    assert.equal(await page.locator("#cure, .moral, .requests").count(), 0, "nothing is given away");
    await after("finds-2", () => page.getByRole("button", { name: /line|before it is sent/ }).click());
    assert.match(await page.locator("#finds-2").textContent(), /^\d+(\.\d+)? m?s, in the line for a connection/);
    await after("finds-6", async () => {
      await page.getByRole("button", { name: /Follow single requests/ }).focus();
      await page.keyboard.press("Enter");
    });
    assert.equal(await clock(), "10 of 30 minutes left.");
    await page.getByRole("button", { name: "Slowest" }).click();
    assert.match(await page.locator(".life").innerText(), /waits for a connection of the pool/);
    await after("finds-1", () => page.getByRole("button", { name: /long does the database/ }).click());
    assert.ok(await page.getByRole("button", { name: /the audit records/ }).isDisabled(), "there is no time for everything");
    await page.click("#cause button");
    assert.equal(await page.locator("#cause .note").textContent(), "Choose one first.");
    await page.locator("#cause input").last().check();
    await after("cause", () => page.click("#cause button"));
    assert.match(await page.locator("#cause").innerText(), /You said c, right/);
    await page.locator("#cure input").nth(0).check();
    await after("cure", () => page.click("#cure button"));
    assert.match(await page.locator("#cure").innerText(), /You said a, not so\. It is b\..*is not enough/s);
    await page.goBack();
    await page.locator("form#cure").waitFor();
    const link = page.url();
    assert.match(link, /#case=service-is-slow&asked=2,6,1&cause=c$/);
    await page.reload();
    await page.locator("form#cure").waitFor({ timeout: 60_000 });
    await page.locator("#cure input").nth(1).check();
    await after("cure", () => page.click("#cure button"));
    assert.match(await page.locator("#cure").innerText(), /100\.0 %, which is enough/);
    assert.equal(await focused(), "cure");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, "nothing sticks out");
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: the list leads to every lesson, and back to the playground`, async () => {
    const { page, context, errors } = await open(engine, "#lessons");
    const listed = spawnSync(schism, ["lesson", "list", "--format", "json"], { encoding: "utf8" }).stdout.trim().split("\n");
    const titles = listed.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "lesson").map(({ title }) => title);
    assert.deepEqual(await page.locator("ol.lessons a").allTextContents(), titles);
    const cases = listed.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "case").map(({ title }) => title);
    assert.ok(cases.length > 0);
    assert.deepEqual(await page.locator(".cases a").allTextContents(), cases);
    await page.locator("ol.lessons a").last().click();
    await page.locator("form.predict").waitFor({ timeout: 60_000 });
    assert.equal(await page.locator("main h2").textContent(), titles.at(-1));
    await page.getByRole("link", { name: "Playground" }).click();
    await until(page, () => document.querySelector("#scenario")?.options.length > 0 && document.documentElement.dataset.ready === "true");
    await page.getByRole("link", { name: "Lessons" }).click();
    await page.locator("ol.lessons").waitFor();
    assert.deepEqual(errors, []);
    await context.close();
  });
}

test("an ID has runs of its own, and one that cannot name a file is refused", async () => {
  const { page, context } = await open("native", "#lesson=latency-not-bandwidth");
  const evidence = () => page.locator(".chart").first().innerText();
  const before = await evidence();
  await page.fill("#student", "s1234");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("These runs are yours").waitFor();
  assert.notEqual(await evidence(), before);
  await page.fill("#student", "../x");
  await page.keyboard.press("Enter");
  await page.getByText(/an ID is up to 64/).waitFor();
  await context.close();
});

test("runs can be stopped, and run again", async () => {
  const { page, context } = await open("wasm", "#lesson=central-or-peer");
  for (const one of await page.locator("form.predict fieldset").all()) {
    if (await one.getByRole("radio").count()) await one.getByRole("radio").first().check();
    else await one.getByRole("spinbutton").fill("50");
  }
  await page.click(predict);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  await reveal(page);
  await context.close();
});

test("an answer to what is no longer shown changes nothing", async () => {
  const { page, context, errors } = await open("native", "#lesson=retry-storm");
  await page.evaluate(() => { location.hash = "#lesson=dns-outage"; location.hash = "#lessons"; });
  await page.locator("ol.lessons").waitFor();
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator("form.predict").count(), 0);
  assert.deepEqual(errors, []);
  await context.close();
});

test("no WCAG AA violation, light and dark, wide and narrow, before and after", async () => {
  const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const check = async (page, where) => {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa"] }));
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], where);
  };
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      const options = { colorScheme, viewport: { width, height: 844 } };
      for (const lesson of ["retry-storm", "latency-not-bandwidth"]) {
        const { page, context } = await open("native", `#lesson=${lesson}&student=ada`, options);
        await check(page, `${lesson} before, ${colorScheme}, ${width}`);
        for (const one of await page.locator("form.predict fieldset").all()) {
          if (await one.getByRole("radio").count()) await one.getByRole("radio").first().check();
          else await one.getByRole("spinbutton").fill("50");
        }
        await reveal(page);
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
        await check(page, `${lesson} after, ${colorScheme}, ${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
        assert.ok(!wide, `nothing sticks out at ${width}`);
        await context.close();
      }
      const { page, context } = await open("native", "#lessons", options);
      await check(page, `list, ${colorScheme}, ${width}`);
      await context.close();
    }
  }
});
