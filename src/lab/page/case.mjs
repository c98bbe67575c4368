// A case: a symptom, evidence that costs minutes, a cause to name, a cure that is run. The address holds what was asked
// for and decided, so that a link is a case as far as it is solved; the engine tells no more than that.
import { addressOfCase } from "./asked.mjs";
import { made } from "./page/elements.mjs";
import { requests } from "./story/life.mjs";
import { bullets, followWords, letters, paragraphs } from "./said.mjs";

/** Shows a case as far as it is solved. `step(asked)` asks for the same case after a further step, and shows that. */
export function showCase(main, asked, told, step) {
  document.title = `${told.title}: a case`;
  const left = told.minutes - told.used;
  const isOpen = told.cause === null;
  const clock = made("p", { className: "clock", role: "status" },
    isOpen ? `${left} of ${told.minutes} minutes left.` : `${told.used} of ${told.minutes} minutes used.`);
  const inquiries = told.inquiries.map((inquiry, at) => evidence(inquiry, at + 1, { asked, left, isOpen, step }));
  main.replaceChildren(
    made("h2", { textContent: told.title }),
    made("section", { className: "text" }, ...paragraphs(told.situation), made("p", { className: "symptom", textContent: told.symptom })),
    made("section", {}, made("h3", { textContent: "What you may ask" }), clock, made("ol", { className: "inquiries" }, ...inquiries)),
    ...(told.requests ? [followed(told.requests)] : []),
    decision({
      id: "cause", title: "What is the matter?", choices: told.causes, verdict: told.cause, button: "This is the cause",
      decide: (cause) => step({ ...asked, cause }, "cause"),
    }),
    ...(told.cure ? [decision({
      id: "cure", title: "What do you do?", ask: told.cure.ask, choices: told.cure.choices, verdict: told.outcome?.verdict,
      ran: told.outcome?.ran, button: "Do it, and see it run", decide: (cure) => step({ ...asked, cure }, "cure"),
    })] : []),
    ...(told.outcome ? [made("section", { className: "moral text" }, made("h3", { textContent: "What it teaches" }), ...paragraphs(told.outcome.moral))] : []),
    ...(told.outcome ? [made("p", {}, made("a", { href: addressOfCase({ case: told.name, seed: asked.seed }), textContent: "Begin anew" }))] : []),
    made("p", { className: "faint" }, "On the command line: ", made("code", { textContent: told.command }), `. Seed ${told.seed}, as ${told.target}`,
      ...(told.outcome ? [", digest ", made("code", { textContent: told.outcome.digest })] : []), "."),
  );
}

/** Something to ask for: a button with its price, or what was found. */
function evidence({ ask, minutes, finds }, number, { asked, left, isOpen, step }) {
  const item = made("li", {}, made("span", { textContent: ask }));
  if (finds !== null) {
    item.append(made("p", { className: "finds", id: `finds-${number}`, tabIndex: -1, textContent: finds }));
    return item;
  }
  const price = `${minutes} minutes`;
  if (!isOpen) return item;
  const button = made("button", { type: "button", textContent: `Ask: ${price}`, disabled: minutes > left });
  button.setAttribute("aria-label", `Ask for ${price}: ${ask}`);
  button.onclick = () => step({ ...asked, asked: [...asked.asked, number] }, `finds-${number}`);
  item.append(" ", button, ...(minutes > left ? [made("span", { className: "faint", textContent: " there is no time for it" })] : []));
  return item;
}

function followed({ lives, until_us }) {
  return made("section", {}, made("h3", { textContent: "Follow one request" }), followWords(),
    requests({ name: "This case", what: "what each request was doing, and for how long", lives }, until_us));
}

/** A choice that decides: a form, or how it was judged. */
function decision({ id, title, ask, choices, verdict, ran, button, decide }) {
  const heading = made("h3", { textContent: title });
  const question = ask ? [made("p", { className: "text", textContent: ask })] : [];
  if (verdict) {
    const words = `${verdict.chosen}, ${verdict.right ? "right" : "not so"}. It is ${verdict.solution}.`;
    const lines = choices.map((text, at) => `${letters[at]}) ${text}`);
    const section = made("section", { id, tabIndex: -1 }, heading, ...question, bullets(lines),
      made("div", { className: `marked${verdict.right ? " right" : ""}` }, made("p", {}, made("b", { textContent: `You said ${words}` })),
        made("p", { textContent: verdict.because }), ...(ran ? [made("p", { textContent: ran })] : [])));
    section.setAttribute("aria-label", title);
    return section;
  }
  const inputs = choices.map((_, at) => made("input", { type: "radio", name: id, value: letters[at] }));
  const lines = choices.map((text, at) => made("label", { className: "choice" }, inputs[at], made("span", { textContent: `${letters[at]}) ${text}` })));
  const alarm = made("p", { className: "note bad", role: "alert", hidden: true, textContent: "Choose one first." });
  const form = made("form", { id, className: "predict", tabIndex: -1, noValidate: true }, heading, ...question,
    made("fieldset", {}, made("legend", { textContent: "One of these" }), ...lines), made("p", { className: "row go" }, made("button", { type: "submit", textContent: button })), alarm);
  form.onsubmit = (event) => {
    event.preventDefault();
    const chosen = inputs.find(({ checked }) => checked)?.value;
    alarm.hidden = Boolean(chosen);
    if (chosen) decide(chosen);
    else inputs[0].focus();
  };
  return form;
}
