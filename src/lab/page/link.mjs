// A setting as the fragment of an address, and back: everything that decides a run is in the link to it.
//
//   #run=split-brain&seed=7&systems=raft,dual-primary&sites=[...]&faults=[...]&t=8.45
//
// `sites` and `faults` are there if they are not the scenario's; a scenario from a file is in `toml`, compressed. `t` is
// the instant, in seconds. `#split-brain` alone chooses a scenario.
import { isLesson } from "./asked.mjs";

const base64url = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
  .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const bytesOf = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

const packed = async (text) => base64url(await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw")));
const unpacked = async (text) => new TextDecoder().decode(await through(bytesOf(text), new DecompressionStream("deflate-raw")));

/** The fragment of a question's setting (as `told` makes it), its systems, and an instant in milliseconds. */
export async function toLink({ scenario, toml, seed, sites, faults }, systems, t = null) {
  const parts = toml ? [["toml", await packed(toml)]] : [["run", scenario]];
  parts.push(["seed", String(seed)], ["systems", systems.join()]);
  if (sites) parts.push(["sites", JSON.stringify(sites)]);
  if (faults) parts.push(["faults", JSON.stringify(faults)]);
  if (t !== null) parts.push(["t", String(Math.round(t) / 1000)]);
  // A comma needs no escape in a fragment.
  return `#${parts.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&")}`;
}

/**
 * What a fragment asks for: `{ scenario | toml, seed, systems, sites, faults, t }`, each undefined where it says nothing.
 * Throws with words for people if it cannot be read.
 */
export async function fromLink(hash) {
  const text = hash.replace(/^#/, "");
  if (!text || isLesson(hash)) return {};
  if (!text.includes("=")) return { scenario: decoded("the scenario", text) };
  const asked = new Map(text.split("&").map((part) => part.split("=")).map(([name, ...value]) => [name, decoded(name, value.join("="))]));
  const t = Number(asked.get("t")) * 1000;
  return {
    scenario: asked.get("run"),
    toml: asked.has("toml") ? await unpacked(asked.get("toml")).catch(() => refuse("toml", "it is not a compressed file")) : undefined,
    seed: asked.get("seed"),
    systems: asked.get("systems")?.split(",").filter(Boolean),
    sites: listIn(asked, "sites"),
    faults: listIn(asked, "faults"),
    t: asked.get("t") && Number.isFinite(t) ? t : undefined,
  };
}

function decoded(name, text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse(name, "a % in it is no escape");
  }
}

function listIn(asked, name) {
  if (!asked.has(name)) return undefined;
  try {
    const list = JSON.parse(asked.get(name));
    if (Array.isArray(list) && list.every((one) => one !== null && typeof one === "object")) return list;
  } catch {
    // Told below.
  }
  return refuse(name, "it is not a list in JSON");
}

function refuse(name, why) {
  throw new Error(`this link's \`${name}\` cannot be read (${why}): was it cut off when it was copied?`);
}
