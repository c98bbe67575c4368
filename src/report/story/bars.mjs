// Evidence and claims as drawings: bars over time, bars in tables, predictions beside measurements. No words of its own
// about a story: what is a figure and in which unit is decided in Rust (drawn.rs).

import { drawn, made } from "../page/elements.mjs";

/** A figure with as many decimals as three digits need; a share has one. As `quantity` in mod.rs. */
export function quantity(value, unit) {
  const size = Math.abs(value);
  const decimals = unit === "%" ? 1 : size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${value.toFixed(decimals)} ${unit}`.trimEnd();
}

/** A figure as short as it can be: for labels. */
const short = (value) => String(Number(value.toPrecision(3)));

/** What a scale that begins at 0 ends at: shares are of 100. */
function endOf(values, unit) {
  const most = Math.max(0, ...values.filter((value) => value !== null && Number.isFinite(value)));
  return unit === "%" ? Math.max(100, most) : most || 1;
}

/** The table of a chart, for those who read and for those who listen. */
export function table({ title, table: { header, rows } }) {
  const head = made("tr", {}, ...header.map((text) => made("th", { scope: "col", textContent: text })));
  const body = rows.map((row) => made("tr", {}, ...row.map((text, at) => (at === 0
    ? made("th", { scope: "row", textContent: text })
    : made("td", { textContent: text })))));
  return scrolling(title, made("table", {}, made("thead", {}, head), made("tbody", {}, ...body)));
}

/** What may be wider than a phone is scrolled by itself, also with the keyboard. */
function scrolling(label, content) {
  const region = made("div", { className: "scroll", tabIndex: 0 }, content);
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", label);
  return region;
}

/** One table of evidence as a figure. */
export function chart(shown) {
  const figure = made("figure", { className: "chart" }, made("figcaption", { textContent: `${shown.title}.` }));
  if (shown.series.length === 0) {
    figure.append(table(shown));
  } else if (shown.is_timeline) {
    const many = made("div", { className: "many" }, ...shown.series.map((series) => overTime(series, shown)));
    const same = made("details", {}, made("summary", { textContent: "The same as a table" }), table(shown));
    figure.append(many, same);
  } else {
    figure.append(barred(shown));
  }
  return figure;
}

const WIDE = 300;
const HIGH = 120;

/** One column of figures as bars along the first column. */
function overTime(series, { along, labels }) {
  const { name, unit, values } = series;
  const most = endOf(values, unit);
  const [left, right, upper, lower] = [4, WIDE - 4, 22, HIGH - 18];
  const step = (right - left) / labels.length;
  const y = (value) => lower - ((lower - upper) * value) / most;
  const title = `${name}${unit ? `, ${unit}` : ""}`;
  const picture = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}, along ${along}: see the table` });
  picture.append(drawn("line", { class: "axis", x1: left, x2: right, y1: lower + 0.5, y2: lower + 0.5 }));
  const skip = Math.ceil(labels.length / 10);
  values.forEach((value, at) => {
    const middle = left + (at + 0.5) * step;
    if (value !== null) {
      const height = Math.max(lower - y(value), value === 0 ? 0 : 1);
      picture.append(drawn("rect", { class: "bar", x: middle - step * 0.36, width: step * 0.72, y: lower - height, height }));
    }
    const label = value === null ? "\u2013" : short(value);
    if (at % skip === 0) {
      picture.append(drawn("text", { class: value === null ? "none" : "value", x: middle, y: (value === null ? lower : y(value)) - 4 }, label));
      picture.append(drawn("text", { class: "tick", x: middle, y: HIGH - 4 }, labels[at]));
    }
  });
  return made("div", { className: "one" }, made("h4", { textContent: title }), picture);
}

/** A table whose figures have bars. */
function barred(shown) {
  const { title, labels, series, table: { header, rows } } = shown;
  const column = new Map(series.map((one) => [header.indexOf(one.name, 1), one]));
  const most = new Map(series.map((one) => [one, endOf(unitsOf(series, one.unit), one.unit)]));
  const cell = (row, at) => {
    const td = made("td", { textContent: rows[row][at] });
    const one = column.get(at);
    if (one) td.append(bar((one.values[row] ?? 0) / most.get(one)));
    return td;
  };
  const head = made("tr", {}, ...header.map((text) => made("th", { scope: "col", textContent: text })));
  const body = labels.map((label, row) => made("tr", {}, made("th", { scope: "row", textContent: label }),
    ...header.slice(1).map((_, at) => cell(row, at + 1))));
  return scrolling(title, made("table", { className: "barred" }, made("thead", {}, head), made("tbody", {}, ...body)));
}

/** All figures in one unit share a scale, so that columns can be compared. */
const unitsOf = (series, unit) => series.filter((one) => one.unit === unit).flatMap((one) => one.values);

function bar(share) {
  const picture = drawn("svg", { class: "inline", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(drawn("rect", { class: "ground", width: 100, height: 6 }), drawn("rect", { class: "bar", width: Math.max(0, Math.min(100, 100 * share)), height: 6 }));
  return picture;
}

/** What was predicted beside what was measured: a block for each claim, a line for each variant. `own`: what the student
 *  predicted, as `{ claim, variant, value }`. */
export function claims(all, variants, own = []) {
  const names = [...new Set(all.map(({ name }) => name))];
  const block = made("div", { className: "claims" }, legend(own.length > 0));
  for (const name of names) {
    const of = all.filter((claim) => claim.name === name);
    const unit = of[0].unit;
    const mine = own.filter(({ claim }) => claim === name);
    const most = endOf([...of.flatMap(({ predicted, tolerance, measured }) => [predicted + tolerance, measured]), ...mine.map(({ value }) => value)], unit);
    const lines = variants.flatMap((variant) => of.filter((claim) => claim.variant === variant.name)
      .map((claim) => line(claim, variant, most, mine.find((one) => one.variant === variant.name))));
    block.append(made("section", { className: "claim" }, made("h4", { textContent: name }), ...lines));
  }
  return block;
}

function legend(withOwn) {
  const sign = (...content) => {
    const picture = drawn("svg", { class: "sign", viewBox: "0 0 24 14", "aria-hidden": "true" });
    picture.append(...content);
    return picture;
  };
  const items = [
    [sign(drawn("rect", { class: "band", width: 24, height: 14 }), drawn("line", { class: "predicted", x1: 12, x2: 12, y1: 0, y2: 14 })), "predicted from the parameters, and how far a run may be off"],
    [sign(drawn("rect", { class: "bar", y: 4, width: 24, height: 6 })), "measured"],
  ];
  if (withOwn) items.push([sign(drawn("path", { class: "own", d: "M12 1 18 7 12 13 6 7z" })), "your prediction"]);
  return made("ul", { className: "legend" }, ...items.map(([picture, words]) => made("li", {}, picture, ` ${words}`)));
}

function line(claim, variant, most, own) {
  const { predicted, measured, tolerance, unit, holds, because } = claim;
  const x = (value) => (WIDE * Math.min(Math.max(value, 0), most)) / most;
  const picture = drawn("svg", { viewBox: `-6 0 ${WIDE + 12} 20`, "aria-hidden": "true" });
  const [from, until] = [x(predicted - tolerance), x(predicted + tolerance)];
  picture.append(drawn("rect", { class: "ground", width: WIDE, y: 7, height: 6 }));
  picture.append(drawn("rect", { class: "band", x: from, width: Math.max(until - from, 1), y: 1, height: 18 }));
  if (measured !== null) picture.append(drawn("rect", { class: "bar", width: Math.max(x(measured), 1), y: 7, height: 6 }));
  picture.append(drawn("line", { class: "predicted", x1: x(predicted), x2: x(predicted), y1: 1, y2: 19 }));
  if (own) picture.append(drawn("path", { class: "own", transform: `translate(${x(own.value)} 10)`, d: "M0 -7 6 0 0 7 -6 0z" }));
  const found = measured === null ? "nothing was measured" : `measured ${quantity(measured, unit)}`;
  const words = `predicted ${quantity(predicted, unit)}, ${found}${own ? `, you said ${quantity(own.value, unit)}` : ""}`;
  const verdict = made("b", { className: holds ? "good" : "bad", textContent: holds ? "holds" : "does not hold" });
  return made("div", { className: `variant${variant.naive ? " naive" : ""}` },
    made("p", {}, made("b", { textContent: variant.name }), `: ${words} \u2013 `, verdict),
    picture, made("p", { className: "faint", textContent: because }));
}
