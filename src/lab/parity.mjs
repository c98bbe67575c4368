// Whether the engine in WebAssembly makes the runs that the command makes: every scenario, two systems, one seed.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { answer } from "./page/wasm.mjs";

const SEED = 7;
const SYSTEMS = ["raft", "dual-primary"];

const [command, wasm] = process.argv.slice(2);
const module = await WebAssembly.compile(fs.readFileSync(wasm));
const ask = async (question) => JSON.parse(await answer(module, JSON.stringify(question)));

function compare(scenario) {
  const args = ["compare", scenario, "--seed", String(SEED), "--systems", SYSTEMS.join(), "--format", "json"];
  const { error, stdout } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (error) throw error;
  return stdout.trim().split("\n").map((line) => JSON.parse(line)).filter(({ kind }) => kind === "outcome");
}

const { scenarios } = await ask({ ask: "catalogue" });
const report = { tested: 0, different: [] };
for (const { scenario } of scenarios) {
  const { outcomes } = await ask({ ask: "run", setting: { scenario, seed: SEED }, systems: SYSTEMS });
  for (const [index, { system, digest }] of compare(scenario).entries()) {
    report.tested += 1;
    if (outcomes[index].digest !== digest) report.different.push(`${scenario} under ${system}`);
  }
}
if (report.tested === 0) throw new Error("nothing was compared");
console.log(JSON.stringify(report));
