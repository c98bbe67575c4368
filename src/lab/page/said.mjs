// Text of lessons and cases as elements.
import { made } from "./page/elements.mjs";

/** The letters of choices. */
export const letters = "abcdefghijklmnopqrstuvwxyz";

export const paragraphs = (texts) => texts.map((text) => made("p", { textContent: text }));

export const bullets = (texts) => made("ul", { className: "plain" }, ...texts.map((text) => made("li", { textContent: text })));

/** What a picture of requests shows, above it. */
export const followWords = () => made("p", { className: "faint",
  textContent: "Each dot is a request: to the right when it was offered, upwards how long it took. The bars below count those offered: served and, in red, not. Click a dot." });
