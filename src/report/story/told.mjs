// The page of a story's comparison: everything is in the page, unpacked and drawn.
import { inflate } from "../page/decode.mjs";
import { made } from "../page/elements.mjs";
import { chart, claims } from "./bars.mjs";
import { requests } from "./life.mjs";

async function start() {
  const told = JSON.parse(await inflate(document.getElementById("data").textContent));
  document.getElementById("claims").replaceChildren(claims(told.claims, told.variants));
  document.getElementById("lives").replaceChildren(...told.variants.map((variant) => requests(variant, told.until_us)));
  const evidence = told.variants.map(({ name, what, evidence: tables }) => made("details", {},
    made("summary", { textContent: `${name}: ${what}` }), ...tables.map(chart)));
  if (evidence.length > 0) evidence[0].open = true;
  document.getElementById("evidence").replaceChildren(...evidence);
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  const failed = document.getElementById("failed");
  failed.hidden = false;
  failed.textContent = `The pictures could not be drawn: ${error.message}`;
});
