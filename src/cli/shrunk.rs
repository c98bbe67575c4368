//! The result of shrinking a run, for people and for scripts.

use schism::fault::words;
use schism::kv::Op;
use schism::report::style::{Style, Tone, WIDTH, wrap};
use schism::scenario::{Explicit, Scenario, ScriptedOp};
use schism::shrink::{Necessity, Shrunk, Size};
use serde::Serialize;
use std::path::Path;

/// The line of JSON.
#[derive(Serialize)]
pub struct Line<'a> {
    scenario: &'a str,
    system: &'a str,
    seed: u64,
    check: &'a str,
    faults_before: usize,
    faults_after: usize,
    acts_before: usize,
    acts_after: usize,
    operations_before: usize,
    operations_after: usize,
    nodes_before: usize,
    nodes_after: usize,
    clients_before: usize,
    clients_after: usize,
    keys_before: usize,
    keys_after: usize,
    duration_before_ms: u64,
    duration_after_ms: u64,
    trials: u64,
    finished: bool,
    elapsed_s: f64,
    replay_s: Option<f64>,
    certificate: Option<&'a str>,
    necessity: Vec<Row<'a>>,
    file: String,
}

#[derive(Serialize)]
struct Row<'a> {
    what: &'a str,
    without: &'a str,
    needed: bool,
}

/// The explicit form, which every shrunk scenario has.
pub fn form(scenario: &Scenario) -> &Explicit {
    scenario.explicit.as_ref().expect("shrinking yields explicit forms")
}

/// The line of JSON; how long shrinking and replaying took, in seconds.
pub fn line<'a>(kept: &'a str, shrunk: &'a Shrunk, (elapsed_s, replay_s): (f64, Option<f64>), path: &Path) -> Line<'a> {
    let Shrunk { before, after, .. } = shrunk;
    let row = |row: &'a Necessity| Row { what: &row.what, without: &row.without, needed: row.needed };
    Line {
        scenario: &shrunk.scenario.name,
        system: &form(&shrunk.scenario).system,
        seed: form(&shrunk.scenario).seed,
        check: kept,
        faults_before: before.faults,
        faults_after: after.faults,
        acts_before: before.acts,
        acts_after: after.acts,
        operations_before: before.operations,
        operations_after: after.operations,
        nodes_before: before.nodes,
        nodes_after: after.nodes,
        clients_before: before.clients,
        clients_after: after.clients,
        keys_before: before.keys,
        keys_after: after.keys,
        duration_before_ms: before.duration_ms,
        duration_after_ms: after.duration_ms,
        trials: shrunk.trials,
        finished: shrunk.finished,
        elapsed_s,
        replay_s,
        certificate: shrunk.sentence.as_deref(),
        necessity: shrunk.necessity.iter().map(row).collect(),
        file: path.display().to_string(),
    }
}

/// How many operations and acts are shown; the file has them all.
const SHOWN: usize = 20;

/// The same in at most 80 columns.
pub fn text(kept: &str, shrunk: &Shrunk, style: Style) -> String {
    let (scenario, explicit) = (&shrunk.scenario, form(&shrunk.scenario));
    let mut lines = vec![style.paint(
        Tone::Strong,
        &format!("{} under {}, seed {}: {kept} kept", scenario.name, explicit.system, explicit.seed),
    )];
    lines.push(table(&shrunk.before, &shrunk.after));
    if !shrunk.finished {
        lines.push("the budget ended before nothing more could be left out; --budget takes more".into());
    }
    let sites = scenario.sites.iter();
    let sites: Vec<String> = sites
        .map(|site| {
            let clients = if site.clients == 1 { "client" } else { "clients" };
            let nodes = if site.nodes == 1 { "node" } else { "nodes" };
            format!("{}, {} {nodes} and {} {clients}", site.name, site.nodes, site.clients)
        })
        .collect();
    lines.push(format!("sites: {}", wrap(&sites.join("; "), WIDTH - 7, 2)));
    let mut list = |name: &str, rows: Vec<String>| {
        let more = rows.len().saturating_sub(SHOWN);
        if !rows.is_empty() {
            lines.push(format!("{name}:"));
            lines.extend(rows.iter().take(SHOWN).map(|row| format!("  {}", wrap(row, WIDTH - 2, 4))));
        }
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    };
    list("faults", explicit.schedule.iter().map(ToString::to_string).collect());
    let topology = scenario.topology();
    let acts = explicit.acts.iter().flatten();
    list("acts", acts.map(|act| words::act(act, &topology)).collect());
    list("operations", explicit.script.iter().map(|op| operation(op, scenario)).collect());
    if explicit.script.is_empty() {
        let closing = "operations: none of the script's; the put and get of each client that close a run, and the \
                       final reads, show it";
        lines.push(wrap(closing, WIDTH, 2));
    }
    if let Some(sentence) = &shrunk.sentence {
        lines.push(style.paint(Tone::Bad, &wrap(&format!("{kept}: {sentence}"), WIDTH, 2)));
    }
    if !shrunk.necessity.is_empty() {
        lines.push("without each of them, alone:".into());
    }
    for Necessity { what, without, needed } in &shrunk.necessity {
        let tone = if *needed { Tone::Good } else { Tone::Warn };
        let still = if *needed { "" } else { " (not needed)" };
        lines.push(format!("  {}", style.paint(tone, &wrap(&format!("{what}: {without}{still}"), WIDTH - 2, 4))));
    }
    lines.join("\n") + "\n"
}

fn operation(op: &ScriptedOp, scenario: &Scenario) -> String {
    let site = scenario.client_sites().get(op.client as usize).map_or("?", |site| &scenario.sites[*site].name);
    let (s, ms) = (op.at_us / 1_000_000, op.at_us / 1000 % 1000);
    let what = match op.op {
        Op::Cas { key, new, .. } if !op.fixed_expectation => format!("cas {key} from what it saw last to {new}"),
        op => op.to_string(),
    };
    format!("#{} of client {} ({site}): {what}, at {s}.{ms:03} s", op.id, op.client)
}

fn table(before: &Size, after: &Size) -> String {
    let rows = [
        ("faults", before.faults, after.faults),
        ("acts", before.acts, after.acts),
        ("operations", before.operations, after.operations),
        ("nodes", before.nodes, after.nodes),
        ("clients", before.clients, after.clients),
        ("keys", before.keys, after.keys),
    ];
    let mut text = format!("  {:<12}{:>10}{:>10}", "", "before", "after");
    for (name, before, after) in rows {
        text.push_str(&format!("\n  {name:<12}{before:>10}{after:>10}"));
    }
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    text + &format!("\n  {:<12}{:>10}{:>10}", "seconds", seconds(before.duration_ms), seconds(after.duration_ms))
}
