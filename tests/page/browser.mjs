// Debian's Chromium, as the tests and the screenshot start it: nothing in the background, nothing on the network. And the
// two servers of the playground.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { chromium } from "playwright-core";

const root = path.resolve(import.meta.dirname, "../..");
/** The static folder of the playground, and the command. */
export const built = path.join(root, "target/playground");
export const schism = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "debug/schism");

const TYPES = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".json": "application/json" };

/** A server of files that knows nothing of WebAssembly: the poorest host that a school has. */
export async function serveFiles() {
  const files = http.createServer((request, response) => {
    const file = path.join(built, request.url === "/" ? "index.html" : path.normalize(request.url));
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
    return fs.createReadStream(file).pipe(response);
  });
  await new Promise((listening) => files.listen(0, "127.0.0.1", listening));
  return { address: `http://127.0.0.1:${files.address().port}/`, stop: () => files.close() };
}

/** The server of `schism lab`. */
export async function serveLab() {
  const lab = spawn(schism, ["lab", "--port", "0", "--format", "json"], { stdio: ["ignore", "pipe", "inherit"] });
  const address = await new Promise((told) => lab.stdout.once("data", (line) => told(JSON.parse(line).address)));
  return { address: `${address}/`, stop: () => lab.kill() };
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--font-render-hinting=none",
    ],
  });
}

/** Opens an address in a context of its own, until the page says it is ready; with what it logged and asked for. */
export async function visit(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 1000 }, colorScheme: "light", ...options });
  const page = await context.newPage();
  const [errors, requests] = [[], []];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(address);
  await page.waitForSelector("html[data-ready=true]");
  return { page, context, errors, requests };
}

/** Waits until a function says so in the page. Playwright's own `waitForFunction` evaluates text, which the policy forbids. */
export async function until(page, says, argument, timeout = 30_000) {
  const ends = performance.now() + timeout;
  while (!(await page.evaluate(says, argument))) {
    if (performance.now() > ends) throw new Error(`not within ${timeout} ms: ${says}`);
    await new Promise((later) => setTimeout(later, 20));
  }
}

/** Opens a page from disk and waits until its pictures are drawn; as `visit`, with the milliseconds it took. */
export async function open(browser, file, { hash = "", ...options } = {}) {
  const began = performance.now();
  const visited = await visit(browser, `file://${file}${hash}`, options);
  await visited.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  return { ...visited, took: performance.now() - began };
}
