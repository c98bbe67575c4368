// Debian's Chromium, as the tests and the screenshot start it: nothing in the background, nothing on the network.
import { chromium } from "playwright-core";

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
