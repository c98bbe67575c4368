// Whether the engine in WebAssembly makes the runs that the native one makes: every scenario, two systems, one seed.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { answer } from "./page/wasm.mjs";

const [native, wasm] = process.argv.slice(2);
const module = await WebAssembly.compile(fs.readFileSync(wasm));

function askNative(question) {
  const { status, stdout, stderr } = spawnSync(native, { input: question, maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(`${native} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

const { scenarios } = askNative(JSON.stringify({ ask: "catalogue" }));
const report = { tested: 0, different: [] };
for (const { scenario } of scenarios) {
  const question = JSON.stringify({ ask: "run", setting: { scenario, seed: 7 }, systems: ["raft", "dual-primary"] });
  const [one, other] = [askNative(question), JSON.parse(await answer(module, question))];
  for (const [index, { system, digest }] of one.outcomes.entries()) {
    report.tested += 1;
    if (other.outcomes[index].digest !== digest) report.different.push(`${scenario} under ${system}`);
  }
}
console.log(JSON.stringify(report));
