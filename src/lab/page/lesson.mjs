// Lessons: a story, what an engineer on call would see, a prediction, and only then the runs. `#lessons` lists them,
// `#lesson=retry-storm` is one; `&student=ID` makes its runs those of a student, who can hand in an answer. `#case=NAME` is
// a case.
import { addressOf, addressOfCase, caseIn, figureAt, isLesson, placeOf, questionOf, wanted } from "./asked.mjs";
import { made } from "./page/elements.mjs";
import { chart, claims } from "./story/bars.mjs";
import { showCase } from "./case.mjs";
import { requests } from "./story/life.mjs";
import { bullets, followWords, letters, paragraphs } from "./said.mjs";

let engine;
let main;
/** The address that is being shown: an answer to an earlier one comes too late. */
let shown;

/** Shows lessons in place of the playground, with an engine. */
export async function teach(asked, where) {
  engine = asked;
  main = made("main", { className: "lesson", id: "lesson" });
  const place = made("a", { href: "#lessons", textContent: "All lessons" });
  const lab = made("a", { href: "#", textContent: "Playground" });
  const header = made("header", {}, made("h1", { textContent: "schism lessons" }), made("nav", {}, place, " \u00b7 ", lab),
    made("p", { className: "faint", textContent: `The runs are made ${where}. Nothing leaves it.` }));
  header.querySelector("nav").setAttribute("aria-label", "Elsewhere");
  document.body.replaceChildren(made("a", { className: "skip", href: "#lesson", textContent: "Skip to the lesson", onclick: skip }), header, main);
  await Promise.all(["page/waterfall.css", "story/drawn.css", "lesson.css"].map(styled));
  addEventListener("hashchange", () => isLesson(location.hash) && show());
  await show();
}

/** The address names the lesson, so a skip link must not change it. */
function skip(event) {
  event.preventDefault();
  main.tabIndex = -1;
  main.focus();
}

const styled = (href) => new Promise((loaded) => {
  document.head.append(made("link", { rel: "stylesheet", href, onload: loaded, onerror: loaded }));
});

async function show() {
  const [own, asked, solved] = [location.hash, wanted(location.hash), caseIn(location.hash)];
  shown = own;
  delete document.documentElement.dataset.ready;
  // A case stays in sight while its next step is made.
  if (!main.hasAttribute("aria-busy")) main.replaceChildren(made("p", { className: "faint", role: "status", textContent: "The engine is starting \u2026" }));
  try {
    const answer = await engine.ask(solved ? { ask: "case", ...solved } : asked.lesson ? questionOf(asked, "lesson") : { ask: "lessons" });
    if (shown !== own) return;
    if (answer.kind === "refused") throw new Error(answer.message);
    if (solved) showCase(main, solved, answer, solve);
    else if (asked.lesson) showLesson(asked, answer);
    else showList(answer);
  } catch (error) {
    if (shown !== own) return;
    main.replaceChildren(made("p", { className: "note bad", role: "alert", textContent: error.message }),
      made("p", {}, made("a", { href: "#lessons", textContent: "All lessons" })));
  }
  document.documentElement.dataset.ready = "true";
}

/** A further step of a case: the address says it, and what came of it has the focus. */
async function solve(asked, focus) {
  history.pushState(null, "", addressOfCase(asked));
  main.setAttribute("aria-busy", "true");
  await show();
  main.removeAttribute("aria-busy");
  document.getElementById(focus)?.focus();
}

function showList({ lessons, cases }) {
  document.title = "schism lessons";
  const item = ({ name, title, questions }) => made("li", {}, made("a", { href: addressOf({ lesson: name }), textContent: title }),
    made("div", { className: "faint", textContent: `${name}, ${questions} question${questions === 1 ? "" : "s"}` }));
  main.replaceChildren(made("h2", { textContent: "What fails, and how to know before it does" }),
    made("div", { className: "text" }, made("p", { textContent: "Each lesson tells a story and shows what an engineer on call would see. You predict; then it is run, in front of you." })),
    made("ol", { className: "lessons" }, ...lessons.map(item)),
    made("h2", { textContent: "What would you do?" }),
    made("div", { className: "text" }, made("p", { textContent: "A case has a symptom, and evidence that costs time. You name the cause, choose a cure, and see it run." })),
    made("ul", { className: "lessons cases" }, ...cases.map(caseItem)));
}

const caseItem = ({ name, title, minutes }) => made("li", {}, made("a", { href: addressOfCase({ case: name }), textContent: title }),
  made("div", { className: "faint", textContent: `${name}, ${minutes} minutes` }));

function showLesson(asked, told) {
  document.title = `${told.title}: a lesson`;
  const evidence = made("section", {}, made("h3", { textContent: "What you see" }), ...told.evidence.map(chart));
  const story = made("section", { className: "text" }, ...paragraphs(told.setting));
  const result = made("section", { id: "outcome", tabIndex: -1, hidden: true });
  result.setAttribute("aria-label", "What happened");
  main.replaceChildren(made("h2", { textContent: told.title }), who(asked), story, evidence, predict(asked, told, result), result);
}

/** Who answers: an ID leads to runs of its own, and to an answer that can be handed in. */
function who(asked) {
  const field = made("input", { id: "student", value: asked.student ?? "", autocomplete: "off", spellcheck: false, size: 12 });
  const form = made("form", { className: "who", noValidate: true },
    made("label", {}, "To hand in, your ID: ", field), made("button", { type: "submit", textContent: "Use it" }),
    made("span", { className: "faint", textContent: asked.student ? "These runs are yours: another ID has others." : "Without one you can try, and hand in nothing." }));
  form.onsubmit = (event) => {
    event.preventDefault();
    location.hash = addressOf({ lesson: asked.lesson, student: field.value.trim() });
  };
  return form;
}

function predict(asked, told, result) {
  const fields = told.questions.map((question, at) => (question.choices.length ? choice(question, at) : amount(question, at)));
  const run = made("button", { type: "submit", textContent: "Predict, then run" });
  const stop = made("button", { type: "button", textContent: "Stop", hidden: true, onclick: () => engine.stop() });
  const state = made("span", { role: "status" });
  const alarm = made("p", { className: "note bad", role: "alert", hidden: true });
  const form = made("form", { className: "predict", noValidate: true }, made("h3", { textContent: "What do you predict?" }),
    ...fields.map(({ element }) => element), made("p", { className: "row go" }, run, stop, state), alarm);
  const complain = (message) => { alarm.hidden = !message; alarm.textContent = message ?? ""; };
  form.onsubmit = async (event) => {
    event.preventDefault();
    const missing = fields.findIndex((field) => field.read() === null);
    if (missing >= 0) {
      complain(`Answer question ${missing + 1} first: nothing runs before you have predicted.`);
      return fields[missing].focus();
    }
    complain(null);
    const own = shown;
    const answer = fields.map((field) => field.read());
    const lock = (on) => { fields.forEach(({ element }) => (element.disabled = on)); run.disabled = on; stop.hidden = !on; };
    lock(true);
    state.textContent = "Running every variant \u2026";
    try {
      const marked = await engine.ask({ ...questionOf(asked, "answer"), answer });
      if (shown !== own) return;
      if (marked.kind === "refused") throw new Error(marked.message);
      stop.hidden = true;
      state.textContent = "Your prediction stands.";
      showOutcome(told, answer, marked, result);
    } catch (error) {
      lock(false);
      state.textContent = error.name === "AbortError" ? "Stopped." : "";
      complain(error.name === "AbortError" ? null : error.message);
    }
  };
  return form;
}

function choice({ ask, choices }, at) {
  const inputs = choices.map((_, number) => made("input", { type: "radio", name: `question-${at}`, value: letters[number] }));
  const lines = choices.map((text, number) => made("label", { className: "choice" }, inputs[number], made("span", { textContent: `${letters[number]}) ${text}` })));
  return {
    element: made("fieldset", {}, made("legend", { textContent: `Question ${at + 1}` }), made("p", { textContent: ask }), ...lines),
    read: () => inputs.find(({ checked }) => checked)?.value ?? null,
    focus: () => inputs[0].focus(),
  };
}

function amount({ ask, unit }, at) {
  const slider = made("input", { type: "range", min: 0, max: 1000, step: unit === "%" ? 10 : 1, value: 500, className: "untouched" });
  const number = made("input", { type: "number", min: 0, step: "any", id: `number-${at}` });
  if (unit === "%") number.max = 100;
  slider.setAttribute("aria-label", `Your answer to question ${at + 1}`);
  slider.setAttribute("aria-valuetext", "nothing predicted yet");
  const said = (figure) => {
    slider.classList.remove("untouched");
    slider.setAttribute("aria-valuetext", `${figure} ${unit}`.trim());
  };
  slider.oninput = () => { number.value = figureAt(unit, Number(slider.value)); said(number.value); };
  number.oninput = () => { if (number.value !== "") { slider.value = placeOf(unit, Number(number.value)); said(number.value); } };
  return {
    element: made("fieldset", {}, made("legend", { textContent: `Question ${at + 1}` }), made("p", { textContent: ask }),
      made("div", { className: "amount" }, slider, made("label", { htmlFor: number.id }, number, ` ${unit}`))),
    read: () => (number.value.trim() === "" ? null : number.value.trim()),
    focus: () => number.focus(),
  };
}

function showOutcome(told, answer, marked, result) {
  const own = marked.asked_about.flatMap((about, at) => (about ? [{ claim: about[0], variant: about[1], value: Number(answer[at]) }] : []));
  const others = marked.variants.map(({ name, what, naive, evidence }) => made("details", {},
    made("summary", { textContent: `${name}: ${what}${naive ? " (naive)" : ""}` }), ...evidence.map(chart)));
  result.replaceChildren(
    made("h3", { textContent: `What happened: ${marked.score} of ${marked.judged.length} right` }),
    ...marked.judged.map((judged, at) => markedQuestion(told.questions[at], judged, marked.reasons[at], at)),
    made("section", { className: "moral text" }, made("h3", { textContent: "What it teaches" }), ...paragraphs(marked.moral)),
    ...handIn(marked),
    made("h3", { textContent: "Predicted beside measured" }), claims(marked.claims, marked.variants, own),
    made("h3", { textContent: "Follow one request" }), ...follow(marked),
    made("h3", { textContent: "The same evidence for every variant" }), ...others,
    made("h3", { textContent: "What this holds for" }), bullets(marked.assumptions),
    made("h3", { textContent: "Modelled, not run" }), bullets(marked.modelled),
    made("p", { className: "faint" }, "On the command line: ", made("code", { textContent: marked.command }),
      `. Seed ${marked.seed}, as ${marked.target}, digest `, made("code", { textContent: marked.digest }), "."),
  );
  result.dataset.digest = marked.digest;
  result.hidden = false;
  result.focus({ preventScroll: true });
  result.scrollIntoView({ block: "start" });
}

/** The requests of the variant that is chosen: all at once would be too much to look at. */
function follow({ variants, until_us }) {
  const place = made("div", {});
  const menu = made("select", { id: "variant" }, ...variants.map(({ name }) => made("option", { textContent: name })));
  menu.onchange = () => place.replaceChildren(requests(variants[menu.selectedIndex], until_us));
  menu.onchange();
  return [followWords(), made("p", {}, made("label", {}, "Requests of ", menu)), place];
}

function markedQuestion({ choices, unit }, judged, reasons, at) {
  const because = choices.length ? [] : [made("p", { textContent: `${judged.because}.` })];
  const lines = reasons.map((reason, number) => {
    const [letter, mark] = [letters[number], []];
    if (letter === judged.solution) mark.push("right");
    if (letter === judged.answer) mark.push("your choice");
    const label = mark.length ? `${letter}) (${mark.join(", ")}) ` : `${letter}) `;
    return made("p", {}, made("b", { textContent: label }), `${choices[number]}. `, made("span", { className: "faint", textContent: reason }));
  });
  const verdict = judged.right ? "right" : "not so";
  return made("div", { className: `marked${judged.right ? " right" : ""}` },
    made("p", {}, made("b", { textContent: `Question ${at + 1}: you said ${`${judged.answer} ${unit}`.trim()}, ${verdict}. It is ${judged.solution}.` })), ...because, ...lines);
}

/** The answer as the file that `schism lesson` writes. */
function handIn({ file }) {
  if (!file) return [];
  const href = URL.createObjectURL(new Blob([file.text], { type: "application/json" }));
  return [made("p", { className: "handin" }, made("a", { href, download: file.name, id: "handin", textContent: `Save ${file.name}` }),
    made("span", { className: "faint", textContent: " and hand it in. Your teacher's grading runs it again; the first answer counts." }))];
}
