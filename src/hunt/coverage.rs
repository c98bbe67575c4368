//! What a run reached, as a set of numbers.
//!
//! A feature is a hash of something that happened, coarse enough that most runs reach what others have, and fine enough that
//! a rare mixture of roles, logs and faults is told from the usual ones. Four sorts:
//!
//! * an event that matters, with the state of the cluster at that instant: what each node is, how its log stands to the longest
//!   and to what is committed, whether it runs, and which sorts of fault are active; nodes are not told apart;
//! * two events that matter, one after the other at one node, and how long they are apart, to the power of two;
//! * pairs of situations ([`crate::scenario::Situation`]), and how often they occurred;
//! * a check that came near: an entry committed by a quorum of exactly one spare or none, an acknowledgement by a primary that
//!   was no longer the newest, power lost over unsynced writes.

use crate::fault::kind::Family;
use crate::rng;
use crate::run::Run;
use crate::trace::{Event, MessageKind, Role, What};
use std::collections::BTreeSet;

/// The features of a run, each once, ascending.
pub fn features(run: &Run) -> Vec<u64> {
    let nodes = vec![Node::default(); run.trace.nodes + 1];
    let mut scene = Scene { run, nodes, active: Vec::new(), features: BTreeSet::new() };
    run.trace.events.iter().for_each(|event| scene.see(event));
    let mut features = scene.features;
    features.extend(situation_pairs(run));
    features.into_iter().collect()
}

/// The pairs of situations that occurred in a run, each with how often (once, twice, more), as numbers.
pub fn situation_pairs(run: &Run) -> Vec<u64> {
    let occurred = run.outcome.situations.iter().filter(|(_, count)| **count > 0);
    let occurred: Vec<(u64, u64)> = occurred.map(|(situation, count)| (*situation as u64, (*count).min(3))).collect();
    let pairs = occurred
        .iter()
        .flat_map(|one| occurred.iter().filter(move |other| one.0 <= other.0).map(move |other| (one, other)));
    pairs.map(|(one, other)| rng::hash(Sort::Situations as u64, &[one.0, one.1, other.0, other.1])).collect()
}

/// Tells features of different sorts apart.
#[derive(Clone, Copy)]
enum Sort {
    State,
    Steps,
    Situations,
    Near,
}

/// What is tracked of a node.
#[derive(Clone, Default)]
struct Node {
    role: u64,
    term: u64,
    last: u64,
    commit: u64,
    is_down: bool,
    is_paused: bool,
    is_receiving: bool,
    /// Its last event that mattered, and when.
    before: (u64, u64),
}

struct Scene<'a> {
    run: &'a Run,
    nodes: Vec<Node>,
    /// The faults that are active.
    active: Vec<u32>,
    features: BTreeSet<u64>,
}

/// The power of two of a number: 0 for 0.
fn magnitude(number: u64) -> u64 {
    u64::from(u64::BITS - number.leading_zeros())
}

/// A role as a number.
fn rank(role: Role) -> u64 {
    match role {
        Role::Backup => 0,
        Role::Candidate => 1,
        Role::Primary => 2,
    }
}

impl Scene<'_> {
    fn reach(&mut self, sort: Sort, parts: &[u64]) {
        self.features.insert(rng::hash(sort as u64, parts));
    }

    fn see(&mut self, event: &Event) {
        match event.what {
            What::FaultBegin { fault, .. } => self.active.push(fault),
            What::FaultEnd { fault } => self.active.retain(|active| *active != fault),
            _ if (1..self.nodes.len()).contains(&event.host.index()) => self.see_node(event),
            _ => {}
        }
    }

    fn see_node(&mut self, event: &Event) {
        let at = event.host.index();
        let node = &mut self.nodes[at];
        // The number of the kind of event, if it matters.
        let matters = match event.what {
            What::Role { role, term, .. } => {
                node.role = rank(role);
                node.term = node.term.max(term);
                Some(1 + node.role)
            }
            What::Vote { term, committed, .. } => {
                node.term = node.term.max(term);
                Some(if committed { 4 } else { 5 })
            }
            What::Append { at, .. } => {
                node.last = at.index;
                None
            }
            What::Commit { upto } => {
                node.commit = node.commit.max(upto.index);
                self.near_commit(at);
                None
            }
            What::Truncate { from } => {
                node.last = from.saturating_sub(1);
                Some(6)
            }
            What::Purge { .. } => Some(7),
            What::SnapshotBuilt { .. } => Some(8),
            What::SnapshotInstalled { upto, .. } => {
                node.is_receiving = false;
                node.last = node.last.max(upto.map_or(0, |upto| upto.index));
                node.commit = node.commit.max(upto.map_or(0, |upto| upto.index));
                Some(9)
            }
            What::Deliver { class: MessageKind::InstallSnapshot, .. } => {
                (!std::mem::replace(&mut node.is_receiving, true)).then_some(10)
            }
            What::Crash => {
                (node.is_down, node.is_receiving) = (true, false);
                Some(11)
            }
            What::Start => {
                (node.is_down, node.role) = (false, 0);
                Some(12)
            }
            What::Pause => {
                node.is_paused = true;
                Some(13)
            }
            What::Resume => {
                node.is_paused = false;
                Some(14)
            }
            What::PowerOff { lost } => Some(15 + magnitude(u64::from(lost)).min(4)),
            What::Members { joint, .. } => Some(if joint.is_empty() { 20 } else { 21 }),
            What::Acknowledge { term, .. } => {
                self.near_acknowledgement(at, term);
                None
            }
            What::Discard { .. } => Some(22),
            _ => None,
        };
        if let Some(kind) = matters {
            self.state(at, kind);
            let (before, then_ns) = std::mem::replace(&mut self.nodes[at].before, (kind, event.t_ns));
            let apart = magnitude((event.t_ns - then_ns) / 1_000_000);
            self.reach(Sort::Steps, &[before, kind, apart]);
        }
    }

    /// The sorts of fault that are active, as a set of bits.
    fn families(&self) -> u64 {
        let faults = self.run.plan.faults();
        self.active.iter().filter_map(|fault| faults.get(*fault as usize)).fold(0, |bits, fault| {
            bits | match fault.kind.sort().family {
                Family::Cut => 1,
                Family::Delay => 2,
                Family::Messages => 4,
                Family::Process => 8,
                Family::Disk => 16,
                Family::Clock => 32,
                Family::Members => 64,
            }
        })
    }

    /// An event at a node, and the state of the cluster.
    fn state(&mut self, at: usize, kind: u64) {
        let newest = self.nodes.iter().map(|node| node.term).max().unwrap_or(0);
        let longest = self.nodes.iter().map(|node| node.last).max().unwrap_or(0);
        let committed = self.nodes.iter().map(|node| node.commit).max().unwrap_or(0);
        let abstracted = |node: &Node| {
            let run = u64::from(node.is_down) + 2 * u64::from(node.is_paused) + 4 * u64::from(node.is_receiving);
            let term = (newest - node.term).min(2);
            // Whether it lacks what is committed, has all of it, or has more.
            let log = match node.last.cmp(&committed) {
                std::cmp::Ordering::Less => 1 + u64::from(committed - node.last > 20),
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 3,
            };
            node.role + 4 * term + 16 * log + 64 * run + 1024 * u64::from(node.last == longest)
        };
        // Of the others only what they are, what of the committed they have, and whether they run: or every run would be new.
        let outline = |node: &Node| {
            let stopped = u64::from(node.is_down || node.is_paused);
            u64::from(node.role == 2) + 2 * u64::from(node.last < committed) + 4 * stopped
        };
        let others = self.nodes.iter().enumerate().skip(1).filter(|(other, _)| *other != at);
        let others: BTreeSet<u64> = others.map(|(_, node)| outline(node)).collect();
        let mut parts = vec![kind, abstracted(&self.nodes[at])];
        parts.extend(others);
        self.reach(Sort::State, &parts);
        let (families, own) = (self.families(), parts[1]);
        self.reach(Sort::State, &[u64::MAX, kind, own, families]);
    }

    /// How many nodes more than a quorum have what a primary has just committed, and how many of those that have it do not run.
    fn near_commit(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.role != 2 {
            return;
        }
        let holders = self.nodes.iter().skip(1).filter(|other| other.last >= node.commit);
        let idle = holders.clone().filter(|holder| holder.is_down || holder.is_paused).count() as u64;
        let spare = (holders.count() as u64 + 8).saturating_sub(self.nodes.len() as u64 / 2 + 1);
        let families = self.families();
        self.reach(Sort::Near, &[1, spare, idle, families]);
    }

    /// Whether a primary acknowledges that is no longer the newest, or stands alone.
    fn near_acknowledgement(&mut self, at: usize, term: u64) {
        let newer = self.nodes.iter().filter(|node| node.term > term).count() as u64;
        let primaries =
            self.nodes.iter().enumerate().filter(|(other, node)| *other != at && node.role == 2).count() as u64;
        if newer + primaries > 0 {
            let families = self.families();
            self.reach(Sort::Near, &[2, newer, primaries, families]);
        }
    }
}
