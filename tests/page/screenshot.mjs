// The picture in the README: the rings of both systems when the second of two conflicting receipts has been given.
import { launch, open } from "./browser.mjs";

const [file, target] = process.argv.slice(2);
const browser = await launch();
const { page } = await open(browser, file, { viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
await page.keyboard.press("3");
await page.waitForTimeout(300);
await page.evaluate(() => scrollTo(0, 0));
await page.waitForTimeout(300);
await page.screenshot({ path: target });
await browser.close();
