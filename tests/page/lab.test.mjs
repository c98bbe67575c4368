// The playground in a browser: the engine as WebAssembly in a folder of static files, and the server of `schism lab`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { seconds } from "../../src/lab/page/setting.mjs";
import { built, launch, schism, serveFiles, serveLab, until, visit } from "./browser.mjs";

const root = path.resolve(import.meta.dirname, "../..");
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "schism-lab-"));

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

const addresses = { wasm: () => files.address, native: () => lab.address };

const open = (engine, { hash = "", ...options } = {}) => visit(browser, addresses[engine]() + hash, options);

/** Until nothing is being run. */
const idle = (page) => until(page, () => !("busy" in document.documentElement.dataset), null, 120_000);

async function run(page) {
  // It opens with a run of its own.
  await idle(page);
  const runs = await page.locator("#runs button").count();
  await page.click("#run");
  await until(page, (count) => document.querySelectorAll("#runs button").length > count, runs, 120_000);
  await page.frameLocator("#page").locator("html[data-ready=true]").waitFor({ timeout: 60_000 });
}

const digests = (page) => page.locator("#verdicts li").evaluateAll((items) => Object.fromEntries(items.map(({ dataset }) => [dataset.system, dataset.digest])));

for (const engine of ["wasm", "native"]) {
  test(`${engine}: a run clicked together and saved replays on the command line`, async () => {
    const { page, context, errors, requests } = await open(engine);
    await page.fill("#at-s", "8.5");
    await page.fill("#for-s", "3");
    await page.getByRole("button", { name: "the node n2", exact: true }).click();
    await page.getByRole("button", { name: /^the link n4 to n5/ }).click();
    assert.equal(await page.locator("#faults li").count(), 3);
    // The engine says in words what was clicked.
    await page.getByText("kill of n2, from 8.500 s to 11.500 s").waitFor();
    await page.getByText("At 8.5 s: 7 links and 1 node broken.").waitFor();
    await run(page);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    const file = path.join(scratch, `${engine}.toml`);
    await download.saveAs(file);
    const command = await page.locator("#command").textContent();
    const args = command.split(" ").slice(1).map((word) => (word === download.suggestedFilename() ? file : word));
    const { stdout } = spawnSync(schism, [...args, "--format", "json"], { encoding: "utf8", maxBuffer: 1 << 28 });
    const outcomes = stdout.trim().split("\n").map((line) => JSON.parse(line)).filter(({ kind }) => kind === "outcome");
    const expected = Object.fromEntries(outcomes.map(({ system, digest }) => [system, digest]));
    assert.deepEqual(Object.keys(expected), ["raft", "dual-primary"]);
    assert.deepEqual(await digests(page), expected);
    for (const { system, verdict } of outcomes) {
      assert.equal(await page.locator(`#verdicts li[data-system="${system}"]`).getAttribute("class"), verdict);
    }
    assert.deepEqual(errors, []);
    const own = (url) => url.startsWith(addresses[engine]()) || url.startsWith("blob:") || url.startsWith("data:");
    assert.deepEqual(requests.filter((url) => !own(url)), []);
    await context.close();
  });

  test(`${engine}: a fork shares its past`, async () => {
    const { page, context } = await open(engine);
    await run(page);
    await page.fill("#fork-at", "9");
    await page.click("#fork");
    assert.match(await page.locator("#forking").textContent(), /A fork at 9 s/);
    assert.ok(await page.locator("#faults li button", { hasText: "Remove" }).isDisabled(), "the cut began before");
    await page.fill("#at-s", "5");
    await page.getByRole("button", { name: "the node n1", exact: true }).click();
    assert.match(await page.locator("#refused").textContent(), /cannot break anything before/);
    await page.fill("#at-s", "9");
    await page.getByRole("button", { name: "the node n1", exact: true }).click();
    await run(page);
    const partings = await page.locator("#partings").textContent();
    for (const system of ["raft", "dual-primary"]) {
      assert.match(partings, new RegExp(`${system}: the same \\d+ events until 9 s`));
    }
    // All runs stay, one click apart: that of the first screen, the same by hand, and the fork.
    assert.equal(await page.locator("#runs button").count(), 3);
    const fork = await digests(page);
    await page.locator("#runs button").first().click();
    assert.notDeepEqual(await digests(page), fork);
    await context.close();
  });
}

for (const engine of ["wasm", "native"]) {
  test(`${engine}: a run is told as it was: its instant, its verdict, its edits`, async () => {
    const { page, context, errors } = await open(engine);
    assert.match(await page.locator("#title").textContent(), /twelve seconds/);
    await run(page);
    for (const item of await page.locator("#verdicts li").allTextContents()) assert.match(item, /(passed|operation)\. [\d,]+ operations? acknowledged/);
    // The tour's third stop is an instant of the page; a fork there begins there.
    const frame = page.frames().find((one) => one !== page.mainFrame());
    await frame.locator("#stops button").nth(2).click();
    const t = await frame.evaluate(() => schism.view.t);
    assert.ok(t > 6000);
    await page.click("#instant");
    assert.equal(await page.locator("#fork-at").inputValue(), (t / 1000).toFixed(3));
    await page.click("#fork");
    assert.match(await page.locator("#forking").textContent(), new RegExp(`A fork at ${seconds(Number((t / 1000).toFixed(3)) * 1000).replace(".", "\\.")}`));
    await page.getByRole("button", { name: "the node n2", exact: true }).click();
    await page.getByText(/^split-brain with other faults\. 2[\d.]+ simulated/).waitFor();
    assert.equal(await page.locator("#story").isVisible(), false);
    // A node that is dead already cannot be killed.
    const count = await page.locator("#faults li").count();
    await page.getByRole("button", { name: /^the node n2/ }).click();
    assert.match(await page.locator("#refused").textContent(), /n2 is stopped from .* already \(kill\)/);
    assert.equal(await page.locator("#faults li").count(), count);
    await run(page);
    const shown = page.frames().find((one) => one !== page.mainFrame());
    const text = await shown.locator("body").innerText();
    assert.match(text, /violation/);
    assert.doesNotMatch(text, /as expected|twelve seconds|was to stay safe/);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: a name that is markup is text, and no inline script is run`, async () => {
    const { page, context, errors } = await open(engine);
    const name = "<img src=x onerror='parent.harmed = harmed = 1'><script>parent.harmed = 1</script>";
    const file = path.join(scratch, `hostile-${engine}.toml`);
    const text = fs.readFileSync(path.join(root, "sims/split-brain.toml"), "utf8");
    fs.writeFileSync(file, text.replace(/^title = .*$/m, `title = ${JSON.stringify(name)}`));
    await page.setInputFiles("#open", file);
    await until(page, (title) => document.querySelector("#title").textContent.startsWith(title), name);
    await run(page);
    const frame = page.frames().find((one) => one !== page.mainFrame());
    assert.equal(await frame.locator("h1").textContent(), name);
    assert.deepEqual(errors, []);
    // As if an escape were forgotten, in the playground and in the page of the run.
    for (const where of [page.mainFrame(), frame]) {
      await where.evaluate((markup) => {
        document.body.insertAdjacentHTML("beforeend", markup);
        document.body.append(Object.assign(document.createElement("script"), { textContent: "parent.harmed = harmed = 1" }));
      }, name);
    }
    await new Promise((later) => setTimeout(later, 100));
    for (const where of [page.mainFrame(), frame]) assert.equal(await where.evaluate(() => globalThis.harmed), undefined);
    assert.ok(errors.filter((error) => /Content Security Policy/.test(error)).length >= 4, errors.join("\n"));
    await context.close();
  });
}

test("what cannot be run says why, before and after it is run", async () => {
  const { page, context } = await open("wasm");
  await page.locator("#nodes-0").fill("12");
  await page.locator("#nodes-0").blur();
  await page.locator("#refused").getByText(/14 nodes are more than the playground runs \(9\)/).waitFor();
  await page.fill("#seed", "seven");
  await page.locator("#seed").blur();
  await page.click("#run");
  await page.locator("#refused:not([hidden])").waitFor();
  const broken = path.join(scratch, "broken.toml");
  fs.writeFileSync(broken, "version = 1\nnam = \"x\"\n");
  await page.setInputFiles("#open", broken);
  await page.locator("#refused").getByText(/unknown field `nam`/).waitFor();
  await context.close();
});

test("a saved file opens again", async () => {
  const { page, context } = await open("wasm");
  await page.getByRole("button", { name: "the node n3", exact: true }).click();
  await page.getByText(/kill of n3/).waitFor();
  await run(page);
  const first = await digests(page);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  const file = path.join(scratch, "again.toml");
  await download.saveAs(file);
  await page.click("#clear");
  await page.setInputFiles("#open", file);
  await page.getByText(/kill of n3/).waitFor();
  await run(page);
  assert.deepEqual(await digests(page), first);
  await context.close();
});

test("a run can be stopped, and the next one runs", async () => {
  const { page, context } = await open("wasm", { hash: "#chaos" });
  assert.equal(await page.locator("#scenario").inputValue(), "chaos");
  await page.click("#run");
  await page.click("#stop");
  await page.locator("#refused").getByText("Stopped.").waitFor();
  await page.selectOption("#scenario", "concurrent-cas");
  await run(page);
  await context.close();
});

test("the keyboard reaches every link and node, and works them", async () => {
  const { page, context } = await open("wasm");
  await page.locator("#for-s").focus();
  const reached = new Set();
  for (let press = 0; press < 40; press += 1) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id));
  }
  for (const label of ["the link east to west", "the node n1", "the node n5"]) assert.ok(reached.has(label), label);
  assert.equal([...reached].filter((label) => label.startsWith("the link n")).length, 10);
  await page.getByRole("button", { name: "the node n5", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByText(/kill of n5/).waitFor();
  const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  assert.match(focused, /^the node n5/, "a redrawn picture keeps the focus");
  await context.close();
});

test("no WCAG AA violation, light and dark, wide and narrow", async () => {
  const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1600, 420]) {
      const { page, context } = await open("native", { colorScheme, viewport: { width, height: 900 } });
      await run(page);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run({ exclude: [["#page"]] }, { runOnly: ["wcag2a", "wcag2aa"] }));
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${colorScheme}, ${width}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      assert.ok(!wide, `nothing sticks out at ${width}`);
      await context.close();
    }
  }
});

test("the engine is small enough to download, and the shim is what its script makes", () => {
  const { stdout } = spawnSync("gzip", ["-9c", path.join(built, "schism-engine.wasm")], { maxBuffer: 1 << 26 });
  // Three seconds at 8 Mbit/s, with every lesson and the stacks that fail in them; the first screen does not wait for it.
  assert.ok(stdout.length < 3 << 20, `${stdout.length} bytes`);
  const shim = path.join(scratch, "wasi.mjs");
  const { status, stderr } = spawnSync(path.join(root, "src/lab/bundle"), [shim], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(fs.readFileSync(shim, "utf8"), fs.readFileSync(path.join(root, "src/lab/page/wasi.mjs"), "utf8"));
});

test("whether both engines agree is known, and said", async () => {
  const report = JSON.parse(fs.readFileSync(path.join(built, "parity.json"), "utf8"));
  assert.ok(report.tested >= 32);
  const { page, context } = await open("wasm");
  await run(page);
  const said = await page.locator("#parity").textContent();
  assert.match(said, report.different.length === 0 ? /all of them/ : /differ from the native runs/);
  await context.close();
});

test("the server answers this machine only, and only questions", async () => {
  const ask = (headers, body) => new Promise((answered) => {
    const { port } = new URL(lab.address);
    const request = http.request({ port, host: "127.0.0.1", path: "/ask", method: "POST", headers }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => answered({ status: response.statusCode, ...JSON.parse(text) }));
    });
    request.end(body);
  });
  const json = { "content-type": "application/json" };
  assert.equal((await ask({ ...json, host: "attacker.example" }, "{}")).status, 403);
  assert.equal((await ask({}, '{"ask":"catalogue"}')).status, 415);
  assert.equal((await ask(json, '{"ask":"catalogue"}')).kind, "catalogue");
  assert.match((await ask(json, "no JSON")).message, /not understood/);
  // More at once than are accepted: some are refused for now, and the server goes on.
  const question = JSON.stringify({ ask: "run", setting: { scenario: "split-brain", seed: 1 }, systems: ["raft"] });
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(json, question)));
  const statuses = answers.map(({ status }) => status);
  assert.ok(statuses.includes(200) && statuses.includes(503), String(statuses));
  assert.match(answers.find(({ status }) => status === 503).message, /try again/);
  assert.equal((await ask(json, question)).kind, "ran");
});
