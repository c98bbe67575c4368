// Whether the engine in WebAssembly makes the runs that the command makes: every scenario, two systems, one seed; and
// every lesson and case.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { answer } from "./page/wasm.mjs";

const SEED = 7;
const SYSTEMS = ["raft", "dual-primary"];

const [command, wasm] = process.argv.slice(2);
const module = await WebAssembly.compile(fs.readFileSync(wasm));
const ask = async (question) => JSON.parse(await answer(module, JSON.stringify(question)));

function said(args, kind) {
  const { error, stdout } = spawnSync(command, [...args, "--seed", String(SEED), "--format", "json"], { encoding: "utf8", maxBuffer: 1 << 28 });
  if (error) throw error;
  return stdout.trim().split("\n").map((line) => JSON.parse(line)).filter((line) => line.kind === kind);
}

const compare = (scenario) => said(["compare", scenario, "--systems", SYSTEMS.join()], "outcome");

/** The digest of a lesson's runs here; what is answered changes no run. */
async function lesson(name) {
  const { questions } = await ask({ ask: "lesson", lesson: name, seed: SEED });
  const answer = questions.map(({ choices }) => (choices.length ? "a" : "50"));
  return (await ask({ ask: "answer", lesson: name, seed: SEED, answer })).digest;
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
const { lessons, cases } = await ask({ ask: "lessons" });
for (const { name } of lessons) {
  report.tested += 1;
  const [{ digest }] = said(["lesson", name, "--reveal"], "revealed");
  if ((await lesson(name)) !== digest) report.different.push(`the lesson ${name}`);
}
for (const { name } of cases) {
  report.tested += 1;
  const decided = { cause: "a", cure: "a" };
  const [{ digest }] = said(["case", name, "--cause", decided.cause, "--cure", decided.cure], "cure");
  const { outcome } = await ask({ ask: "case", case: name, seed: SEED, ...decided });
  if (outcome.digest !== digest) report.different.push(`the case ${name}`);
}
if (report.tested === 0) throw new Error("nothing was compared");
console.log(JSON.stringify(report));
