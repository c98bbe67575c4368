//! The ledger as one HTML file without a script: for each kind of fault a small diagram, in it a cloud of seeds for
//! each system. A system has a shape as well as a colour, and everything is in a table too.

use super::{Account, rows, systems};
use crate::report::page::escaped;
use std::fmt::Write;

const STYLE: &str = "\
:root { --paper: #fff; --ink: #1a2230; --faint: #525d6e; --line: #d3d9e2;
  --c0: #b3261e; --c1: #a85a00; --c2: #7a5c3a; --c3: #9a3d85; --c4: #3d6fb0; --c5: #525d6e; --c6: #00735a; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161d; --ink: #e8ecf2; --faint: #a3aebd; --line: #343e4c;
  --c0: #ff8077; --c1: #eda95a; --c2: #c9a983; --c3: #e39ad3; --c4: #9db9ee; --c5: #a3aebd; --c6: #4fc9a3; } }
html { color-scheme: light dark; }
body { margin: 0; padding: 1rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, 'Liberation Sans', sans-serif; max-width: 90rem; }
h1 { font-size: 1.45rem; margin: 0; } h2 { font-size: 1rem; margin: 0; }
.faint { color: var(--faint); }
.many { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; margin: 1rem 0; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--faint); font-size: 10px; } .axis { stroke: var(--line); fill: none; }
.mark, .sign { fill: none; stroke-width: 1.8; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; list-style: none; padding: 0; }
.legend svg { width: 16px; display: inline-block; vertical-align: -2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: 0.15rem 0.7rem; text-align: right; }
th:first-child { text-align: left; }
code { font-family: ui-monospace, 'Liberation Mono', monospace; }
";

/// Inside a diagram: left, right, top, bottom.
const FRAME: (f64, f64, f64, f64) = (34.0, 250.0, 10.0, 150.0);

pub(super) fn html(accounts: &[Account], command: &str) -> String {
    let costs = || accounts.iter().flat_map(|account| &account.costs);
    let most_ms = costs().map(|cost| cost.unavailable_ms).max().unwrap_or(0).max(1000);
    let most_harm = costs().map(|cost| cost.harmed).max().unwrap_or(0).max(10);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>What faults cost</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>What faults cost</h1>\n\
         <p>A mark is one seed under one system. To the right: longer without service, the mean over the sites, of 20\n\
         seconds. Upwards, by powers of two: more acknowledged writes lost or contradicted. A safe system stays at the\n\
         bottom, an available one at the left; the corner between them is what a class may look for.</p>\n\
         <p class=\"faint\">Made by <code>{}</code></p>\n<ul class=\"legend\" aria-label=\"Legend\">\n",
        escaped(command)
    );
    for (number, system) in systems().iter().enumerate() {
        let sign = sign(number);
        writeln!(
            html,
            "<li><svg viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><path class=\"sign\" {sign}/></svg> {system}</li>"
        )
        .expect("a string takes all");
    }
    html.push_str("</ul>\n<div class=\"many\">\n");
    rows(accounts).for_each(|row| diagram(row, most_ms, most_harm, &mut html));
    html.push_str("</div>\n<h2>The same as a table</h2>\n");
    html.push_str(
        "<p class=\"faint\">Median milliseconds without service / acknowledged writes harmed in all seeds.</p>\n",
    );
    table(accounts, &mut html);
    html + "</body>\n</html>\n"
}

fn diagram(row: &[Account], most_ms: u64, most_harm: u64, html: &mut String) {
    let (left, right, top, bottom) = FRAME;
    let x = |ms: u64| left + (right - left) * ms as f64 / most_ms as f64;
    let doublings = |harm: u64| (harm as f64 + 1.0).log2();
    let y = |harm: u64| bottom - (bottom - top) * doublings(harm) / doublings(most_harm);
    let title = row[0].fault.replace('_', " ");
    write!(
        html,
        "<section><h2>{title}</h2><svg viewBox=\"0 0 272 172\" role=\"img\" aria-label=\"{title}: see the table\">\
         <path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>"
    )
    .expect("a string takes all");
    for ms in [0, most_ms / 2, most_ms] {
        let at = x(ms);
        write!(html, "<text x=\"{at:.1}\" y=\"163\" text-anchor=\"middle\">{:.1} s</text>", ms as f64 / 1000.0)
            .expect("a string takes all");
    }
    let ticks = std::iter::successors(Some(1), |harm| Some(harm * 8)).take_while(|harm| *harm <= most_harm);
    for harm in std::iter::once(0).chain(ticks) {
        write!(html, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{harm}</text>", left - 5.0, y(harm) + 3.0)
            .expect("a string takes all");
    }
    for (number, account) in row.iter().enumerate() {
        let sign = sign(number);
        for cost in &account.costs {
            write!(
                html,
                "<path class=\"mark\" transform=\"translate({:.1} {:.1})\" {sign}><title>{}: {} ms, {} harmed</title></path>",
                x(cost.unavailable_ms),
                y(cost.harmed),
                account.system,
                cost.unavailable_ms,
                cost.harmed
            )
            .expect("a string takes all");
        }
    }
    html.push_str("</svg></section>\n");
}

/// A system's sign, around the origin: a shape and a colour of its own.
fn sign(system: usize) -> String {
    let shape = match system {
        0 => "M-4 -4L4 4M4 -4L-4 4",
        1 => "M0 -5L5 4H-5Z",
        2 => "M0 5L5 -4H-5Z",
        3 => "M-4 -4H4V4H-4Z",
        4 => "M0 -5L5 0L0 5L-5 0Z",
        5 => "M0 -5V5M-5 0H5",
        _ => "M-4.500 0A4.500 4.500 0 1 0 4.500 0A4.500 4.500 0 1 0 -4.500 0",
    };
    format!("style=\"stroke:var(--c{system})\" d=\"{shape}\"")
}

fn table(accounts: &[Account], html: &mut String) {
    html.push_str("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table><tr><th scope=\"col\">fault</th>");
    systems().iter().for_each(|system| write!(html, "<th scope=\"col\">{system}</th>").expect("a string takes all"));
    for row in rows(accounts) {
        write!(html, "</tr>\n<tr><th scope=\"row\">{}</th>", row[0].fault).expect("a string takes all");
        for account in row {
            write!(html, "<td>{} / {}</td>", account.unavailable_ms, account.harmed).expect("a string takes all");
        }
    }
    html.push_str("</tr>\n</table></div>\n");
}
