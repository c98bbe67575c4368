// The pages that `tests/page/run` had written, and the data in them.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

/** Where the pages are. */
export const folder = path.resolve(import.meta.dirname, "../../target/schism/page");
/** Where the page's modules are. */
export const sources = path.resolve(import.meta.dirname, "../../src/report/page");

export const fileOf = (name) => path.join(folder, `${name}.html`);

/** What is embedded in a page. */
export function dataOf(name) {
  const html = fs.readFileSync(fileOf(name), "utf8");
  const packed = /<script type="text\/plain" id="data">([^<]*)</.exec(html)[1];
  return JSON.parse(zlib.inflateSync(Buffer.from(packed, "base64")).toString());
}

/** The lines of JSON that the command printed beside a page. */
export function linesOf(name) {
  const text = fs.readFileSync(path.join(folder, `${name}.jsonl`), "utf8");
  return text.trim().split("\n").map((line) => JSON.parse(line));
}
