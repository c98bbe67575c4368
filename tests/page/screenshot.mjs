// The picture in the README: the two conflicting acknowledgements, in both systems.
import { launch, open } from "./browser.mjs";

const [file, target] = process.argv.slice(2);
const browser = await launch();
const { page } = await open(browser, file, { viewport: { width: 1440, height: 900 } });
await page.keyboard.press("3");
await page.waitForTimeout(300);
await page.screenshot({ path: target });
await browser.close();
