// The page in a browser, opened from disk as a reader does.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch, open, until } from "./browser.mjs";
import { fileOf, folder, linesOf } from "./pages.mjs";

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
const pixels = (page, pane) => page.evaluate((index) => document.querySelectorAll(".stage canvas")[index].toDataURL(), pane);

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
  const box = await page.locator(".stage canvas").first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 150);
  await drawn(page);
  assert.notEqual(await pixels(page, 1), before);
  assert.match(await page.locator(".under").first().textContent(), /^8\.\d{3} s/);
  await context.close();
});

test("a click chooses the instant, and the state below is that of it", async () => {
  const { page, context } = await split({ hash: "#t=8&zoom=7-9" });
  const box = await page.locator(".stage canvas").first().boundingBox();
  await page.mouse.click(box.x + box.width * 0.7, box.y + 60);
  const { t } = await viewOf(page);
  assert.ok(t > 8200 && t < 8600, `${t}`);
  await until(page, (text) => [...document.querySelectorAll(".panel h3")].every((title) => title.textContent === text), `State at ${(t / 1000).toFixed(3)} s`);
  await context.close();
});

test("a drag pans, a double click zooms, Ctrl and the wheel zoom", async () => {
  const { page, context } = await split({ hash: "#t=8&zoom=7-9" });
  const box = await page.locator(".stage canvas").first().boundingBox();
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
  await until(page, (width) => schism.view.until - schism.view.from < width, 1900);
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
  await until(page, () => document.querySelector(".panel h3").textContent === "State at 9.000 s");
  // In the second pane n1 and n4 hold different values: split-brain, in the stores.
  assert.ok((await page.locator('.pane[data-system="dual-primary"] tr.differ').count()) > 0);
  assert.equal(await page.locator('.pane[data-system="raft"] tr.differ').count(), 0);
  await page.locator("#play").click();
  await until(page, () => schism.view.t > 9005);
  await page.locator("#play").click();
  await context.close();
});

test("an operation that is chosen shows its life", async () => {
  const { page, context } = await split({ hash: "#op=341" });
  await until(page, () => document.querySelectorAll(".life:not(:empty)").length === 2);
  const [raft, pair] = await page.locator(".life").allTextContents();
  assert.match(raft, /^#341 of client 5, put k0=341, offered at 8\.45 s, took 10 s and was served\./);
  assert.match(raft, /behind an earlier operation of its client.*the request to n1.*asks other nodes.*the answer from n1/);
  assert.match(pair, /the request to n4.*n4 works on it.*the answer from n4/);
  await page.keyboard.press("Escape");
  await until(page, () => document.querySelectorAll(".life:not(:empty)").length === 0);
  await context.close();
});

test("a link opens what it names, and follows the view", async () => {
  const { page, context } = await split({ hash: "#t=8.45&node=n4&op=341&zoom=8.2-8.9" });
  assert.deepEqual(await viewOf(page), { from: 8200, until: 8900, t: 8450, node: 4, operation: 341, stop: null, routine: false });
  await page.keyboard.press("-");
  await until(page, () => !location.hash.includes("zoom=8.2-8.9"));
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
    const canvas = document.querySelector(".stage canvas");
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

/** The part of the screen between the tour and the scrubber, and a pane's picture, in pixels from the top. */
const sight = (page, system) => page.evaluate((name) => {
  const [tour, scrubber, stage] = [".tour", ".scrubber", `.pane[data-system="${name}"] .stage`].map((one) => document.querySelector(one).getBoundingClientRect());
  return { from: Math.max(0, tour.bottom), until: scrubber.top, top: stage.top, bottom: stage.bottom };
}, system);

/** Everything that is written into pictures from now on, with the box that it fills. */
const written = (page) => page.evaluate(() => {
  globalThis.writing = [];
  const { fillText } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function write(text, x, y) {
    const width = this.measureText(text).width;
    const left = { left: x, right: x - width, center: x - width / 2 }[this.textAlign] ?? x;
    writing.push({ text, pane: this.canvas.closest(".pane")?.dataset.system, left, right: left + width, top: y - 9, bottom: y + 2 });
    fillText.call(this, text, x, y);
  };
});

test("on a narrow screen the tour shows the pane that it speaks of, and its own words", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { page, context } = await split({ viewport: { width: 390, height: 844 }, colorScheme });
    const systems = ["dual-primary", "dual-primary", "dual-primary", "raft"];
    for (const [index, system] of systems.entries()) {
      await page.keyboard.press(String(index + 2));
      await drawn(page);
      assert.match(await page.locator("#stop-text").textContent(), new RegExp(`^${system}\\. `));
      const { from, until: bottom, top } = await sight(page, system);
      assert.ok(from > 60 && from < 844 / 2, `the tour ends at ${from}`);
      assert.ok(top >= from && top < from + 80 && bottom - top > 300, `${system}'s picture begins at ${top}, below ${from}`);
      const current = await page.locator('#stops [aria-current="step"]').boundingBox();
      assert.ok(current.x >= 0 && current.x + Math.min(current.width, 200) <= 390, "the stop's number is in sight");
    }
    assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) <= 390);
    await context.close();
  }
});

test("below the rings, the picture begins above the fold, with its legend where there is room", async () => {
  for (const [width, height, open] of [[1280, 800, false], [390, 844, false], [1600, 1300, true]]) {
    const { page, context } = await split({ viewport: { width, height } });
    await page.evaluate(() => document.querySelector(".top").scrollIntoView());
    assert.equal(await page.evaluate(() => document.querySelector(".legend").open), open, `${width} x ${height}`);
    const { top, until: bottom } = await sight(page, "raft");
    if (width > 640) assert.ok(bottom - top > 150, `${bottom - top} pixels of it are in sight`);
    // A closed legend is above the first picture, not beside it.
    const [legend, pane] = [await page.locator(".legend").boundingBox(), await page.locator(".pane").first().boundingBox()];
    assert.ok(legend.y + legend.height <= pane.y && Math.abs(legend.x - pane.x) < 2);
    await context.close();
  }
});

test("what is found is brought into sight", async () => {
  for (const viewport of [{ width: 1280, height: 800 }, { width: 390, height: 844 }]) {
    const { page, context } = await split({ viewport });
    for (const text of ["#341", "n5", "m4.17"]) {
      await page.locator("#search").fill(text);
      const [, system] = / ([\w-]+): /.exec(await page.locator("#results li").last().textContent()) ?? assert.fail(`${text}: nothing found`);
      await page.locator("#results button").last().click();
      await drawn(page);
      const { from, until: bottom, top, bottom: end } = await sight(page, system);
      assert.ok(top < bottom - 40 && end > from + 40, `${text}: the picture from ${top} to ${end}, in sight ${from} to ${bottom}`);
      assert.equal(await page.locator("#results").isVisible(), false, "nothing lies above it");
      if (text !== "#341") continue;
      // Not only the picture: the row of the client that asked.
      const row = await page.evaluate((name) => {
        const run = schism.runs.find((one) => one.system === name);
        const clients = run.sites.flatMap((site) => site.clients);
        return clients.indexOf(run.byId.get(341).client);
      }, system);
      const rows = await page.evaluate((name) => document.querySelector(`.pane[data-system="${name}"] canvas`).getBoundingClientRect().bottom, system);
      const charts = 4 * 48;
      const y = rows - charts - 14 - (6 - row) * 15;
      assert.ok(y > from && y < bottom, `the client's row is at ${y}, in sight ${from} to ${bottom}`);
    }
    await context.close();
  }
});

test("a time axis always has a scale", async () => {
  for (const width of [390, 1280]) {
    for (const [zoom, least] of [["8.45-8.454", 3], ["8.4-8.51", 3], ["8.36-8.77", 3], ["3-4.05", 3], ["5-15", 3], ["0-26", 3]]) {
      const { page, context } = await split({ viewport: { width, height: 800 } });
      await written(page);
      await page.evaluate((hash) => (location.hash = hash), `#t=8.45&zoom=${zoom}`);
      await drawn(page);
      await drawn(page);
      const times = await page.evaluate(() => writing.filter(({ text, pane }) => pane === "raft" && /^[\d.]+ s$/.test(text)).slice(-12));
      const texts = [...new Set(times.map(({ text }) => text))];
      assert.ok(texts.length >= least, `${zoom} s at ${width}: ${texts}`);
      await context.close();
    }
  }
});

test("the words of the conflict cover no others", async () => {
  for (const width of [390, 1280, 1600]) {
    const { page, context } = await split({ viewport: { width, height: 900 } });
    await written(page);
    await page.keyboard.press("3");
    await drawn(page);
    const all = (await page.evaluate(() => writing)).filter(({ pane }) => pane === "dual-primary");
    const last = all.findLastIndex(({ text }) => text.includes("✗"));
    assert.match(all[last].text, /^put k0=341 {2}✗ {2}put k0=352$/);
    const plate = { left: all[last].left - 5, right: all[last].right + 5, top: all[last].top - 3, bottom: all[last].bottom + 3 };
    // All that the same drawing wrote: from the axis on.
    const frame = all.slice(all.findLastIndex(({ text }, index) => index < last && text.includes("partition")), last);
    const covered = frame.filter(({ left, right, top, bottom }) => left < plate.right && plate.left < right && top < plate.bottom && plate.top < bottom);
    assert.deepEqual(covered, [], `${width}`);
    assert.ok(frame.length > 10);
    await context.close();
  }
});

test("an entry of a log tells its own command", async () => {
  const { page, context } = await split({ hash: "#t=8.45" });
  const titles = await page.locator('.pane[data-system="raft"] td.entry').evaluateAll((cells) => cells.map(({ title }) => title));
  assert.ok(titles.filter((title) => /: #\d+ (put|cas|delete|get) k\d/.test(title)).length > 10, titles.join("\n"));
  assert.ok(titles.every((title) => !/neighbour|\?$/.test(title)));
  await context.close();
});

test("nothing runs in the page but its own script, and nothing leaves it", async () => {
  const name = '<img src=x onerror="globalThis.harmed = 1"><script>globalThis.harmed = 1</script>';
  const file = path.join(folder, "hostile.html");
  // As if an escape were forgotten: the name is in the page as markup.
  const html = fs.readFileSync(fileOf("split-brain"), "utf8").replace(/<h1>[^<]*<\/h1>/, `<h1>${name}</h1>`);
  assert.ok(html.includes(name));
  fs.writeFileSync(file, html);
  const { page, context, errors } = await open(browser, file);
  await page.keyboard.press("3");
  await until(page, () => schism.view.stop === 2);
  const reached = await page.evaluate(() => fetch("https://example.com/").then(() => true, () => false));
  assert.equal(reached, false);
  assert.equal(await page.evaluate(() => globalThis.harmed), undefined);
  const refused = (pattern) => errors.filter((error) => /Content Security Policy/.test(error) && pattern.test(error)).length;
  assert.ok(refused(/inline script/) >= 1 && refused(/inline event handler/) >= 1 && refused(/connect/i) >= 1, errors.join("\n"));
  await context.close();
});

test("a tour, a search, a theme, a table and paper break no policy", async () => {
  const { page, context, errors } = await split();
  for (const key of ["1", "2", "3", "4", "5", "6", "t", "h", "?", "Escape"]) await page.keyboard.press(key);
  await page.locator("#search").fill("n4");
  await page.locator("#results button").first().click();
  for (const details of await page.locator("#tables > details > summary").all()) await details.click();
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await drawn(page);
  assert.deepEqual(errors, []);
  // A colour that comes through a style of its own is there.
  await page.evaluate(() => schism.view.go(8450));
  const term = await page.locator("td.entry").first().evaluate((cell) => getComputedStyle(cell).getPropertyValue("--term"));
  assert.match(term, /^#/);
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
