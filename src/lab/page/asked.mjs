// Which lesson an address asks for, and which figure a slider's place stands for: plain data, without a page.

/** Whether an address asks for lessons or a case. */
export const isLesson = (hash) => /^#(lessons?($|=)|case=)/.test(hash);

/** Which lesson an address asks for. */
export function wanted(hash) {
  const fields = new URLSearchParams(hash.slice(1));
  return { lesson: fields.get("lesson"), student: fields.get("student"), seed: fields.get("seed") };
}

/** The address of a lesson. */
export const addressOf = ({ lesson, student }) => `#lesson=${encodeURIComponent(lesson)}${student ? `&student=${encodeURIComponent(student)}` : ""}`;

/** Which case an address asks for, and how far it is solved; null if it asks for none. */
export function caseIn(hash) {
  const fields = new URLSearchParams(hash.slice(1));
  if (!fields.has("case")) return null;
  const asked = (fields.get("asked") ?? "").split(",").filter(Boolean).map(Number);
  const given = ["seed", "cause", "cure"].filter((name) => fields.has(name)).map((name) => [name, fields.get(name)]);
  return { case: fields.get("case"), asked, ...Object.fromEntries(given) };
}

/** The address of a case as far as it is solved. */
export function addressOfCase({ case: name, seed, asked, cause, cure }) {
  const given = Object.entries({ case: name, seed, asked: asked?.join(","), cause, cure }).filter(([, value]) => value);
  return `#${given.map(([field, value]) => `${field}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&")}`;
}

/** A question about the lesson that an address names. */
export function questionOf({ lesson, student, seed }, ask) {
  const question = { ask, lesson };
  if (student) question.student = student;
  else if (seed) question.seed = seed;
  return question;
}

/** What a slider for figures of unknown size goes from and to, in powers of ten: it must not tell the size of the answer. */
const DECADES = [-1, 5];

/** A figure for a slider's place between 0 and 1000, and back. A share is in percent. */
export const figureAt = (unit, place) => (unit === "%" ? place / 10
  : Number((10 ** (DECADES[0] + ((DECADES[1] - DECADES[0]) * place) / 1000)).toPrecision(2)));
export const placeOf = (unit, figure) => Math.round(Math.min(1000, Math.max(0, unit === "%" ? figure * 10
  : ((Math.log10(Math.max(figure, 10 ** DECADES[0])) - DECADES[0]) / (DECADES[1] - DECADES[0])) * 1000)));
