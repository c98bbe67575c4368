//! A run as a picture of 80 columns: faults above, one ribbon per node, conflicts marked.

use super::style::{Style, Tone, WIDTH};
use crate::check::primaries::{Tenure, tenures};
use crate::run::Run;
use crate::run::compare::is_safety;
use crate::trace::{HostId, Role, Scope, What};
use std::collections::BTreeSet;

/// Columns for the names at the left.
const LABEL: usize = 15;
/// Columns for time.
const RIBBON: usize = WIDTH - LABEL;

/// The runs of one schedule, one block of ribbons per system under a common time axis and fault bands.
///
/// Every line has at most 80 columns. A column shows the most notable thing that happened in its share of
/// the time: down, paused, primary of all keys, primary of some, candidate, backup.
pub fn timeline(runs: &[Run], style: Style) -> String {
    let end_ns = runs.iter().flat_map(|run| run.trace.events.last()).map(|event| event.t_ns).max().unwrap_or(0).max(1);
    let scale = Scale { end_ns };
    let mut lines = vec![scale.axis(style)];
    if let Some(run) = runs.first() {
        lines.extend(fault_bands(run, scale, style));
    }
    for run in runs {
        lines.push(style.paint(Tone::Strong, &run.outcome.system));
        lines.extend(ribbons(run, scale, style));
        lines.extend(conflicts(run, scale, style));
    }
    lines.push(
        style.paint(Tone::Dim, "P primary  p of some keys  c candidate  . backup  x down  ~ paused  ! violation"),
    );
    style.plain_text(&(lines.join("\n") + "\n"))
}

#[derive(Clone, Copy)]
struct Scale {
    end_ns: u64,
}

impl Scale {
    fn column(self, t_ns: u64) -> usize {
        ((u128::from(t_ns) * RIBBON as u128 / (u128::from(self.end_ns) + 1)) as usize).min(RIBBON - 1)
    }

    /// Seconds at round distances, each label starting at the column of its time.
    fn axis(self, style: Style) -> String {
        let end_s = self.end_ns.div_ceil(1_000_000_000);
        let step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].into_iter().find(|step| end_s / step <= 7);
        let step = step.unwrap_or(end_s.max(8) / 8);
        let mut axis = String::new();
        for second in (0..=end_s).step_by(step as usize) {
            let t_ns = second * 1_000_000_000;
            let label = format!("{second} s");
            let column = self.column(t_ns);
            if t_ns <= self.end_ns && column >= axis.len() && column + label.len() <= RIBBON {
                axis.push_str(&" ".repeat(column - axis.len()));
                axis.push_str(&label);
            }
        }
        style.paint(Tone::Dim, &format!("{:LABEL$}{axis}", "time"))
    }
}

/// A name cut or padded to the label's columns.
fn label(text: &str) -> String {
    let text: String = text.chars().take(LABEL - 1).collect();
    format!("{text:LABEL$}")
}

fn fault_bands(run: &Run, scale: Scale, style: Style) -> Vec<String> {
    let schedule = run.plan.faults();
    let mut kinds: Vec<&'static str> = Vec::new();
    for fault in schedule {
        let title = fault.kind.sort().title;
        if !kinds.contains(&title) {
            kinds.push(title);
        }
    }
    let band = if style.unicode { '━' } else { '=' };
    kinds
        .into_iter()
        .map(|kind| {
            let mut cells = [' '; RIBBON];
            for fault in schedule.iter().filter(|fault| fault.kind.sort().title == kind) {
                let from = scale.column(fault.at_ms * 1_000_000);
                let to = scale.column(fault.ends_ms().map_or(scale.end_ns, |ms| ms.saturating_mul(1_000_000)));
                cells[from..=to].fill(band);
            }
            let cells: String = cells.iter().collect();
            format!("{}{}", label(kind), style.paint(Tone::Warn, cells.trim_end()))
        })
        .collect()
}

fn ribbons(run: &Run, scale: Scale, style: Style) -> Vec<String> {
    let tenures = tenures(&run.trace);
    let shards: BTreeSet<Scope> = tenures.iter().map(|tenure| tenure.scope).collect();
    run.trace
        .node_ids()
        .map(|node| {
            let cells = ribbon(run, node, &tenures, &shards, scale);
            let painted: String = cells
                .chunk_by(|one, other| one == other)
                .map(|same| {
                    let text: String = same.iter().collect();
                    match same[0] {
                        'P' => style.paint(Tone::Good, &text),
                        'p' => style.paint(Tone::Strong, &text),
                        'x' => style.paint(Tone::Bad, &text),
                        '~' | 'c' => style.paint(Tone::Warn, &text),
                        _ => style.paint(Tone::Dim, &text),
                    }
                })
                .collect();
            format!("{}{painted}", label(&format!(" {} {}", run.trace.name(node), site_of(run, node))))
        })
        .collect()
}

fn site_of(run: &Run, node: HostId) -> &str {
    let topology = &run.plan.world.topology;
    topology.site_of(node).map_or("", |site| &topology.sites[site].name)
}

fn ribbon(run: &Run, node: HostId, tenures: &[Tenure], shards: &BTreeSet<Scope>, scale: Scale) -> [char; RIBBON] {
    let mut cells = ['.'; RIBBON];
    let end_ns = scale.end_ns;
    let mut fill = |from_ns: u64, to_ns: u64, mark: char| {
        for cell in &mut cells[scale.column(from_ns)..=scale.column(to_ns)] {
            if rank(mark) > rank(*cell) {
                *cell = mark;
            }
        }
    };
    let own = |scope: Scope| tenures.iter().filter(move |tenure| tenure.node == node && tenure.scope == scope);
    for tenure in tenures.iter().filter(|tenure| tenure.node == node) {
        let whole = tenure.scope == Scope::All || shards.len() == 1;
        fill(tenure.from_ns, tenure.until_ns, if whole { 'P' } else { 'p' });
    }
    // Primary of every shard at once: the intersection, shard by shard, of this node's tenures.
    if shards.len() > 1 && !shards.contains(&Scope::All) {
        let mut all = vec![(0, end_ns)];
        for shard in shards {
            all = all
                .iter()
                .flat_map(|(from, to)| {
                    own(*shard).map(move |tenure| (tenure.from_ns.max(*from), tenure.until_ns.min(*to)))
                })
                .filter(|(from, to)| from < to)
                .collect();
        }
        all.into_iter().for_each(|(from, to)| fill(from, to, 'P'));
    }
    let (mut candidate, mut down, mut paused) = (None, None, None);
    for event in run.trace.events.iter().filter(|event| event.host == node) {
        let t_ns = event.t_ns;
        match event.what {
            What::Role { role: Role::Candidate, .. } => candidate = candidate.or(Some(t_ns)),
            What::Role { .. } => close(&mut candidate, t_ns, 'c', &mut fill),
            What::Crash => {
                close(&mut candidate, t_ns, 'c', &mut fill);
                close(&mut paused, t_ns, '~', &mut fill);
                down = down.or(Some(t_ns));
            }
            What::Start => close(&mut down, t_ns, 'x', &mut fill),
            What::Pause => paused = paused.or(Some(t_ns)),
            What::Resume => close(&mut paused, t_ns, '~', &mut fill),
            _ => {}
        }
    }
    close(&mut candidate, end_ns, 'c', &mut fill);
    close(&mut down, end_ns, 'x', &mut fill);
    close(&mut paused, end_ns, '~', &mut fill);
    cells
}

fn close(open: &mut Option<u64>, to_ns: u64, mark: char, fill: &mut impl FnMut(u64, u64, char)) {
    if let Some(from_ns) = open.take() {
        fill(from_ns, to_ns, mark);
    }
}

/// Which mark wins when several belong in one column.
fn rank(mark: char) -> u8 {
    match mark {
        'c' => 1,
        'p' => 2,
        'P' => 3,
        '~' => 4,
        'x' => 5,
        _ => 0,
    }
}

/// A line that marks when the operations that prove a safety violation were acknowledged.
fn conflicts(run: &Run, scale: Scale, style: Style) -> Option<String> {
    let violations = || run.outcome.violations.iter().filter(|violation| is_safety(violation.check));
    let ids: BTreeSet<u32> = violations().flat_map(|found| found.certificate.operations.iter().copied()).collect();
    let operations = run.history.operations.iter().filter(|operation| ids.contains(&operation.id));
    let times =
        operations.map(|operation| operation.end_ns).chain(violations().flat_map(|found| found.certificate.at_ns));
    let mut cells = [' '; RIBBON];
    times.for_each(|t_ns| cells[scale.column(t_ns)] = '!');
    let cells: String = cells.iter().collect();
    let marks = cells.trim_end();
    (!marks.is_empty()).then(|| format!("{}{}", label(" violations"), style.paint(Tone::Bad, marks)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn lines(system: &str) -> Vec<String> {
        let run = sample::run(&sample::scenario(), system, 7);
        timeline(&[run], Style::PLAIN).lines().map(String::from).collect()
    }

    fn ribbon_of<'a>(lines: &'a [String], start: &str) -> &'a str {
        &lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {lines:#?}"))[LABEL..]
    }

    #[test]
    fn every_line_fits_and_is_ascii() {
        for line in lines("raft").iter().chain(&lines("dual-primary")) {
            assert!(line.len() <= WIDTH && line.is_ascii(), "{line}");
        }
    }

    #[test]
    fn colour_and_unicode_change_no_column() {
        let run = sample::run(&sample::scenario(), "raft", 7);
        let rich = timeline(std::slice::from_ref(&run), Style { colour: true, unicode: true });
        let mut bare = String::new();
        let mut rest = rich.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            bare.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        bare.push_str(rest);
        assert_eq!(bare.replace('━', "="), timeline(&[run], Style::PLAIN));
    }

    #[test]
    fn roles_crashes_and_pauses_show_on_the_ribbons() {
        let lines = lines("raft");
        // 34 s over 65 columns: a crash from 12 to 14 s, a pause from 15 to 16 s, an election at 0.9 s.
        let n1 = ribbon_of(&lines, " n1 west");
        assert!(n1.starts_with(".P") && n1[1..].chars().all(|mark| mark == 'P'), "{n1}");
        assert_eq!(ribbon_of(&lines, " n2 west").matches('x').count(), 5);
        assert_eq!(ribbon_of(&lines, " n3 west").matches('~').count(), 3);
        assert!(ribbon_of(&lines, " n5 east").chars().all(|mark| mark == '.'));
        assert!(!lines.iter().any(|line| line.contains(" violations")));
    }

    #[test]
    fn a_takeover_and_its_conflict_show_on_the_ribbons() {
        let lines = lines("dual-primary");
        for node in [" n1 west", " n4 east"] {
            let ribbon = ribbon_of(&lines, node);
            assert!(ribbon.starts_with('p') && ribbon.ends_with('p') && ribbon[20..36].contains("PPPP"), "{ribbon}");
        }
        let band = ribbon_of(&lines, "partition");
        assert_eq!((band.find('='), band.rfind('=')), (Some(15), Some(38)));
        assert!(ribbon_of(&lines, " violations").contains('!'));
    }
}
