// Records the run that the playground opens with: the first scenario of the catalogue, under the seed of an empty link.
import fs from "node:fs";
import { toLink } from "./page/link.mjs";
import { answer } from "./page/wasm.mjs";

const SEED = "7";

const [wasm] = process.argv.slice(2);
const module = await WebAssembly.compile(fs.readFileSync(wasm));
const ask = async (question) => JSON.parse(await answer(module, JSON.stringify(question)));

const { scenarios: [{ scenario, systems, title }] } = await ask({ ask: "catalogue" });
const setting = { seed: SEED, scenario };
const ran = await ask({ ask: "run", setting, systems });
if (ran.kind !== "ran") throw new Error(ran.message);
process.stdout.write(JSON.stringify({ title, link: await toLink(setting, systems), answer: ran }));
