//! How long a cluster is without a leader when one has died for good, and how long nobody is served, over many seeds, against
//! what the parameters allow.
//!
//! Safety checks cannot see elections that come to nothing again and again, and one slow election proves nothing. Here
//! three nodes lose their leader, the two that are left must agree, and what counts is the distribution. Raft's bound is
//! simple: two candidates divide the votes only if both begin before either has heard of the other. If each attempt draws
//! its time-out anew, attempts are independent, and the share of runs without a leader falls by the same factor with each.

use super::style::{Style, WIDTH, hang, wrap};
use crate::rng::seeds::Seeds;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::systems::System;
use crate::trace::{Role, What};
use serde::Serialize;

/// The systems whose elections are measured; one draws its time-outs once, which this must notice.
pub const SYSTEMS: [System; 4] = [System::Raft, System::RaftRs, System::RaftRsDrawnOnce, System::OmniPaxos];

/// A leader of three dies, and stays dead.
const SCENARIO: &str = r#"
version = 1
name = "elections"
title = "A leader of three dies, and stays dead"
sites = [{ name = "here", nodes = 3, clients = 2 }]
latency = { local_ms = 10 }
workload = { operations = 200, start_ms = 500, keys = 4 }
messages = { jitter_ms = 5 }

[timing]
tick_ms = 5
duration_ms = 14000
heartbeat_ms = 100
election_min_ms = 300
election_max_ms = 600

[[faults]]
fault = "kill"
at_ms = 2000
for_ms = 12000
target = "@leader"
"#;

/// The most time between the first request for votes and its arrival at the other survivor, in ms: latency and jitter,
/// a sync of the candidate's disk, and two ticks of the simulator, within which nothing is told apart.
const DELAY_MS: f64 = 10.0 + 5.0 + 5.0 + 10.0;

/// A request to a node that refuses it, and the client's pause after that: two latencies, with jitter, and 50 ms.
const REFUSED_MS: u64 = 2 * 15 + 50;

/// A command's way to the leader, from there to the follower, and back on both; two syncs of a disk, and a tick for each of
/// the six.
const SERVED_MS: u64 = 4 * 15 + 2 * 5 + 6 * 5;

/// The chance that one may go wrong by if it is right, for a verdict.
const DOUBT: f64 = 0.001;

/// The scenario.
///
/// # Panics
/// Never in a build that passed its tests.
pub fn scenario() -> Scenario {
    Scenario::parse("elections", SCENARIO).expect("the scenario of the elections is sound")
}

/// What a cluster owes when its leader has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// The next leader.
    Leader,
    /// The next command that a client gets acknowledged.
    Service,
}

impl Owed {
    /// Both, in the order in which they come.
    pub const ALL: [Owed; 2] = [Owed::Leader, Owed::Service];

    /// Milliseconds from the leader's death until it comes; `None` if it does not before the run ends.
    pub fn wait_ms(self, run: &Run) -> Option<u64> {
        let mut events = run.trace.events.iter();
        let (died_ns, dead) = events.find_map(|event| match event.what {
            What::FaultBegin { resolved: Some(dead), .. } => Some((event.t_ns, dead)),
            _ => None,
        })?;
        let comes = |what: &What| match self {
            Owed::Leader => matches!(what, What::Role { role: Role::Primary, .. }),
            Owed::Service => matches!(what, What::Acknowledge { .. }),
        };
        let after = run.trace.events.iter().filter(|event| event.t_ns > died_ns && event.host != dead);
        after.filter(|event| comes(&event.what)).map(|event| (event.t_ns - died_ns) / 1_000_000).min()
    }

    /// How much later than the leader it comes at the latest.
    fn after_leader_ms(self, scenario: &Scenario) -> u64 {
        match self {
            Owed::Leader => 0,
            // A client that waits for the dead node, is refused by the follower, and then has its command replicated.
            Owed::Service => scenario.timing.attempt_timeout_ms + REFUSED_MS + SERVED_MS,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Owed::Leader => "The next leader",
            Owed::Service => "The next command acknowledged",
        }
    }
}

/// What the parameters allow, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// Attempts that came to nothing.
    pub attempts: u32,
    /// By when, in ms after the leader's death, what comes of as many attempts is there at the latest.
    pub after_ms: u64,
    /// The share of runs that may still wait.
    pub share: f64,
}

/// The limits of a scenario: the first attempt ends with the longest time-out after a leader's lease of the same length,
/// and each further one takes the longest time-out again; service comes a little later.
pub fn limits(scenario: &Scenario, owed: Owed) -> Vec<Limit> {
    let (least, most) = (scenario.timing.election_min_ms, scenario.timing.election_max_ms);
    let divided = divided(DELAY_MS, (most - least) as f64);
    // An attempt is made when a heartbeat and a half have passed, or at the next such time.
    let slack = scenario.timing.heartbeat_ms * 3 / 2;
    let limit = |attempts: u32| Limit {
        attempts,
        after_ms: most + u64::from(attempts) * (most + slack) + owed.after_leader_ms(scenario),
        share: divided.powi(attempts as i32),
    };
    [1, 2, 3, 5, 10].map(limit).into()
}

/// The chance that two time-outs, drawn evenly from a span, lie within a delay of each other.
fn divided(delay: f64, span: f64) -> f64 {
    let apart = (1.0 - delay / span).max(0.0);
    1.0 - apart * apart
}

/// The chance of at least `many` among `of` runs, each with this chance.
fn at_least(many: u64, of: u64, chance: f64) -> f64 {
    let mut ways = (1.0 - chance).powi(of as i32);
    let mut below = 0.0;
    for number in 0..many {
        below += ways;
        ways *= (of - number) as f64 / (number + 1) as f64 * chance / (1.0 - chance);
    }
    (1.0 - below).max(0.0)
}

/// The waits of one system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waits {
    /// The system.
    pub system: &'static str,
    /// What is waited for.
    pub until: Owed,
    /// Runs.
    pub seeds: u64,
    /// The median, in ms; `None`: it did not come before the run ended.
    pub median_ms: Option<u64>,
    /// Nine of ten runs have it by then.
    pub nine_tenths_ms: Option<u64>,
    /// The longest.
    pub longest_ms: Option<u64>,
    /// For each limit, the runs that still wait, and whether that is more than it allows.
    pub without: Vec<Without>,
}

/// Runs that still wait at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Without {
    /// The limit.
    pub limit: Limit,
    /// The runs that still wait.
    pub runs: u64,
    /// Whether so many are no chance.
    pub too_many: bool,
}

/// The waits of all systems.
pub struct Elections {
    seeds: Seeds,
    waits: Vec<Vec<[Option<u64>; 2]>>,
}

impl Elections {
    /// Nothing measured yet.
    pub fn new(seeds: Seeds) -> Elections {
        Elections { seeds, waits: vec![Vec::new(); SYSTEMS.len()] }
    }

    /// Adds a run of a system, by its number in [`SYSTEMS`]: how long each of [`Owed::ALL`] took.
    pub fn add(&mut self, system: usize, waits: [Option<u64>; 2]) {
        self.waits[system].push(waits);
    }

    /// What was measured, by system and what is owed.
    pub fn waits(&self) -> Vec<Waits> {
        Owed::ALL.into_iter().flat_map(|owed| self.until(owed)).collect()
    }

    fn until(&self, owed: Owed) -> Vec<Waits> {
        let limits = limits(&scenario(), owed);
        let of = |(system, waits): (&System, &Vec<[Option<u64>; 2]>)| {
            let waits: Vec<_> = waits.iter().map(|both| both[owed as usize]).collect();
            Waits::of(*system, owed, &waits, &limits)
        };
        SYSTEMS.iter().zip(&self.waits).map(of).collect()
    }

    /// For a terminal.
    pub fn text(&self, style: Style) -> String {
        let mut lines = vec![wrap(&self.about(), WIDTH, 0)];
        for owed in Owed::ALL {
            lines.extend([String::new(), format!("{}:", owed.title())]);
            lines
                .extend(self.until(owed).iter().map(|waits| hang(&format!("{:<20}", waits.system), &waits.said(), 20)));
        }
        style.plain_text(&(lines.join("\n") + "\n"))
    }

    /// As a file for people.
    pub fn markdown(&self) -> String {
        let seeds = self.seeds.iter();
        let mut text = format!(
            "# Elections\n\n{}\n\nMade by\n\n    cargo run -- elections --seeds {}..{} --markdown docs/ELECTIONS.md\n",
            wrap(&self.about(), 120, 0),
            seeds.start,
            seeds.end
        );
        for owed in Owed::ALL {
            text += &format!("\n## {}\n\n{}", owed.title(), self.table(owed));
        }
        text + "\nThe last columns: the runs that still wait by then; bold, more than chance explains. Service may come later\n\
                than a leader by what a client loses that waits for the dead node and then asks the follower.\n\n\
                `raft-rs-drawn-once` draws its time-out once for each process, as openraft 0.9 does: two that are near each other\n\
                stay so. In openraft itself that shows only with its feature `single-term-leader`. Without it two votes of one\n\
                term are ordered by the candidates' ids, so that one of two candidates grants the other's request.\n"
    }

    fn table(&self, owed: Owed) -> String {
        let limits = limits(&scenario(), owed);
        let mut text = "| system | median | nine of ten | longest |".to_string();
        limits.iter().for_each(|limit| text.push_str(&format!(" after {} ms |", limit.after_ms)));
        text.push_str(&format!("\n|{}\n| allowed | | | |", "---|".repeat(4 + limits.len())));
        limits.iter().for_each(|limit| text.push_str(&format!(" {} |", percent(limit.share))));
        for waits in self.until(owed) {
            let [median, nine_tenths, longest] = waits.marks().map(in_ms);
            text.push_str(&format!("\n| `{}` | {median} | {nine_tenths} | {longest} |", waits.system));
            for without in &waits.without {
                let loud = if without.too_many { "**" } else { "" };
                text.push_str(&format!(" {loud}{} of {}{loud} |", without.runs, waits.seeds));
            }
        }
        text + "\n"
    }

    fn about(&self) -> String {
        let scenario = scenario();
        format!(
            "A leader of three dies for good at 2 s: the time to the next leader and to the next service, over {} seeds. \
             Time-outs are {} to {} ms, and a request for votes is under way for {DELAY_MS} ms at most, so the two \
             survivors divide the votes in {} of attempts, if each attempt draws anew.",
            self.seeds.count(),
            scenario.timing.election_min_ms,
            scenario.timing.election_max_ms,
            percent(limits(&scenario, Owed::Leader)[0].share)
        )
    }
}

impl Waits {
    fn of(system: System, until: Owed, waits: &[Option<u64>], limits: &[Limit]) -> Waits {
        let seeds = waits.len() as u64;
        let mut sorted = waits.to_vec();
        // Runs that wait to the end come last.
        sorted.sort_by_key(|wait| wait.unwrap_or(u64::MAX));
        let mark =
            |tenths: usize| sorted.get((sorted.len() * tenths / 10).min(sorted.len().max(1) - 1)).copied().flatten();
        let without = |limit: &Limit| {
            let runs = waits.iter().filter(|wait| wait.is_none_or(|wait| wait > limit.after_ms)).count() as u64;
            Without { limit: *limit, runs, too_many: at_least(runs, seeds, limit.share) < DOUBT }
        };
        Waits {
            system: system.name(),
            until,
            seeds,
            median_ms: mark(5),
            nine_tenths_ms: mark(9),
            longest_ms: mark(10),
            without: limits.iter().map(without).collect(),
        }
    }

    fn marks(&self) -> [Option<u64>; 3] {
        [self.median_ms, self.nine_tenths_ms, self.longest_ms]
    }

    fn said(&self) -> String {
        let [median, nine_tenths, longest] = self.marks().map(in_ms);
        let mut said = format!("median {median}, nine of ten {nine_tenths}, longest {longest}. Still waiting");
        for without in &self.without {
            let judged = if without.too_many { ", too many" } else { "" };
            let Limit { after_ms, share, .. } = without.limit;
            let (runs, of) = (without.runs, self.seeds);
            said += &format!(" after {after_ms} ms: {runs} of {of} (allowed {}{judged});", percent(share));
        }
        said.trim_end_matches(';').to_string() + "."
    }
}

fn in_ms(wait: Option<u64>) -> String {
    wait.map_or("never".into(), |wait| format!("{wait} ms"))
}

/// A share as a percentage with two digits that mean something.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent >= 1.0 => format!("{percent:.0} %"),
        percent if percent >= 0.01 => format!("{percent:.2} %"),
        _ => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_divided_as_often_as_two_draws_are_near_each_other() {
        assert!((divided(15.0, 300.0) - 0.0975).abs() < 1e-9);
        assert_eq!(divided(300.0, 300.0), 1.0);
        assert_eq!(divided(0.0, 300.0), 0.0);
        // Against all pairs of a fine grid.
        let near = |a: u32| (0..300_u32).filter(|b| a.abs_diff(*b) < 30).count();
        let counted = (0..300).map(near).sum::<usize>() as f64 / 90_000.0;
        assert!((divided(30.0, 300.0) - counted).abs() < 0.01, "{counted}");
    }

    #[test]
    fn a_tail_is_what_it_is_by_hand() {
        assert!((at_least(1, 2, 0.5) - 0.75).abs() < 1e-9);
        assert!((at_least(3, 3, 0.1) - 0.001).abs() < 1e-9);
        assert_eq!(at_least(0, 100, 0.2), 1.0);
    }

    #[test]
    fn attempts_that_repeat_each_other_are_found_and_independent_ones_are_not() {
        let limits = limits(&scenario(), Owed::Leader);
        // One run in five is stuck for good: its time-outs are near each other, and are never drawn again.
        let stuck: Vec<_> = (0..100).map(|seed| (seed % 5 != 0).then_some(900)).collect();
        let stuck = Waits::of(System::Raft, Owed::Leader, &stuck, &limits);
        assert!(!stuck.without[0].too_many, "that is what one attempt allows");
        assert!(stuck.without.iter().skip(1).all(|without| without.too_many));
        assert_eq!((stuck.median_ms, stuck.longest_ms), (Some(900), None));
        // The same share after one attempt, and a fifth of those that are left after each further one.
        let anew: Vec<_> = (0..100)
            .map(|seed| {
                Some(if seed % 25 == 0 {
                    2200
                } else if seed % 5 == 0 {
                    1500
                } else {
                    900
                })
            })
            .collect();
        let anew = Waits::of(System::Raft, Owed::Leader, &anew, &limits);
        assert!(anew.without.iter().all(|without| !without.too_many), "{anew:?}");
    }
}
