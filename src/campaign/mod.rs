//! A campaign: what a sweep found, on one machine or on many, as data and as one HTML file without a script.
//!
//! * `page`: the file. `charts`: what is drawn in it.

mod charts;
mod page;

use crate::report::style::count;
use crate::rng::seeds::Shard;
use crate::shrink::Signature;
use crate::sweep::Summary;
use crate::sweep::coverage::Coverage;
use crate::zoo::rates::Power;
use serde::{Deserialize, Serialize};

/// What a sweep found.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// In figures.
    pub summary: &'a Summary,
    /// What it is worth if nothing failed.
    pub power: Option<Power>,
    /// Failures that fail alike, one line each.
    pub lines: &'a [Line],
    /// What else is not as expected: in words, and the seeds, the smallest first.
    pub others: Vec<(String, Vec<u64>)>,
    /// Which situations the seeds met.
    pub coverage: &'a Coverage,
    /// How fast the machines were, where that is known.
    pub paces: &'a [Pace],
    /// The command that makes the page again.
    pub command: String,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What they have in common.
    #[serde(flatten)]
    pub signature: Signature,
    /// The same in words.
    pub what: String,
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// The smallest, shrunk; none if it does not fail when it is run again.
    pub shrunk: Option<Smallest>,
}

/// The smallest seed of its kind, shrunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Smallest {
    /// The command that replays it.
    pub replay: String,
    /// Faults that are left.
    pub faults: usize,
    /// Acts on single messages that are left.
    pub acts: usize,
    /// Operations that are left.
    pub operations: usize,
    /// Nodes that are left.
    pub nodes: usize,
    /// Its evidence.
    pub sentence: Option<String>,
    /// The address of its page, if it has one.
    #[serde(skip)]
    pub page: Option<String>,
}

/// One attempt at a sweep, or at a part of one, on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Its part of the sweep, if machines shared it.
    pub shard: Option<Shard>,
    /// How many seeds it ran.
    pub seeds: u64,
    /// Wall-clock seconds.
    pub wall_s: f64,
    /// Seeds that ran at once.
    pub jobs: usize,
}

impl Smallest {
    /// How large it is.
    pub fn size(&self) -> String {
        let parts = [(self.faults, "fault"), (self.acts, "act"), (self.operations, "operation"), (self.nodes, "node")];
        parts.map(|(number, what)| count(number as u64, what)).join(", ")
    }
}

/// Seeds in a few words: the first, and how many more.
pub fn named(seeds: &[u64]) -> String {
    const NAMED: usize = 20;
    let mut words: Vec<String> = seeds.iter().take(NAMED).map(u64::to_string).collect();
    if seeds.len() > NAMED {
        words.push(format!("and {} more", seeds.len() - NAMED));
    }
    words.join(", ")
}
