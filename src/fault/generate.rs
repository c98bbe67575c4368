//! The nemesis: a generator of fault schedules.
//!
//! It is meant to be nasty and fair. Faults overlap as they like, but never are more nodes killed or
//! paused at once than leave a majority, and every fault ends: so the cluster must come back. With
//! eight faults or more of any kind there are, whatever the seed, an isolation of the leader, a kill, a
//! one-way cut and a partition among them; and the first fault takes the leader away while nothing else
//! is wrong, so that leadership changes at least once.

use super::model::{Chaos, Fault, FaultKind, Target};
use super::ranges::Ranges;
use super::topology::{SiteHosts, TargetRole, Topology};
use crate::rng::{self, Stream};
use crate::trace::{HostId, MessageKind};
use rand::RngCore;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// A generator of fault schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nemesis {
    /// How many faults.
    pub faults: u32,
    /// No fault begins before this.
    pub start_ms: u64,
    /// Every fault has ended by this.
    pub until_ms: u64,
    /// Shortest length of a fault.
    pub min_ms: u64,
    /// Longest length of a fault.
    pub max_ms: u64,
    /// The kinds of fault it may choose, by their names in scenario files; empty: all of links and processes.
    /// Those of disks, power, clocks and members must be named: not every system knows what to make of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// How strong its faults may be.
    #[serde(skip_serializing_if = "Ranges::is_default")]
    pub ranges: Ranges,
}

impl Default for Nemesis {
    fn default() -> Self {
        let (kinds, ranges) = (Vec::new(), Ranges::default());
        Nemesis { faults: 8, start_ms: 5000, until_ms: 25_000, min_ms: 500, max_ms: 5000, kinds, ranges }
    }
}

/// With this many faults, [`REQUIRED`] kinds occur under every seed.
const VARIED: usize = 8;

/// What a schedule of [`VARIED`] faults always has, as far as the kinds are allowed. Either of the first two opens it.
const REQUIRED: [&str; 4] = ["isolate", "kill", "one_way", "partition"];

/// The kinds that are not chosen unless they are named.
const MUST_BE_NAMED: [&str; 6] = ["slow_disk", "disk_errors", "full_disk", "power_loss", "clock", "membership"];

/// How often to look for a time at which one more node may be down, before a harmless fault takes the place.
const PLACES_TRIED: usize = 64;

impl Nemesis {
    /// The kinds of fault that can be generated here, in declaration order. Disks that lie or misread are not among
    /// them, since no system survives a majority of those.
    pub fn possible_kinds(topology: &Topology) -> Vec<&'static str> {
        let enough_nodes = |kind: &&'static str| match *kind {
            "lost_sync" | "corrupt_reads" => false,
            "majorities_ring" | "bridge" | "kill" | "pause" | "disk_errors" | "full_disk" | "power_loss"
            | "membership" => topology.nodes >= 3,
            _ => topology.nodes >= 2,
        };
        FaultKind::NAMES.into_iter().filter(enough_nodes).collect()
    }

    /// The schedule of this seed, in order of the faults' beginnings.
    ///
    /// # Panics
    /// If its numbers contradict each other or nothing is possible here; scenarios are checked before.
    pub fn generate(&self, topology: &Topology, seed: u64) -> Vec<Fault> {
        let mut draw = Draw { stream: rng::stream(seed, "nemesis"), topology, ranges: &self.ranges };
        let kinds: Vec<&'static str> = Nemesis::possible_kinds(topology)
            .into_iter()
            .filter(|kind| match self.kinds.is_empty() {
                true => !MUST_BE_NAMED.contains(kind),
                false => self.kinds.iter().any(|wanted| wanted == kind),
            })
            .collect();
        assert!(!kinds.is_empty() && self.min_ms <= self.max_ms && self.start_ms + self.max_ms <= self.until_ms);
        let most_down = (topology.nodes - 1) / 2;
        let mut faults: Vec<Fault> = Vec::new();
        let mut start_ms = self.start_ms;
        let (required, others) = self.deck(&kinds, &mut draw);
        let required = required.into_iter().map(|kind| (kind, true));
        for (kind, guaranteed) in required.chain(others.into_iter().map(|kind| (kind, false))) {
            let takes_leader = match kind {
                "isolate" => guaranteed,
                // A later kill must find somebody to kill, and a leader there may not be.
                "kill" => guaranteed && faults.is_empty(),
                _ => false,
            };
            // The guaranteed ones last long enough to depose a leader.
            let shortest = if guaranteed { self.min_ms.midpoint(self.max_ms) } else { self.min_ms };
            let kind = match kind {
                "isolate" if takes_leader => {
                    FaultKind::Isolate { target: Draw::leader(), from_clients: draw.one_in(4) }
                }
                "kill" if takes_leader => FaultKind::Kill { target: Draw::leader() },
                "kill" if guaranteed => FaultKind::Kill { target: draw.node() },
                kind => draw.kind(kind),
            };
            let mut fault = Fault { at_ms: 0, for_ms: None, kind };
            if takes_leader && faults.is_empty() {
                let length = draw.between(shortest, self.max_ms);
                fault.at_ms = self.start_ms + draw.between(0, (self.until_ms - self.start_ms - length).min(1000));
                fault.for_ms = Some(length);
                let end_ms = fault.at_ms + length;
                // A window too short for that has everything at once.
                start_ms = if end_ms + self.max_ms <= self.until_ms { end_ms } else { self.start_ms };
                faults.push(fault);
                continue;
            }
            let takes_node = |fault: &Fault| takes_node(&fault.kind);
            let [shortest, longest] = match (&fault.kind, self.ranges.pause_ms) {
                (FaultKind::Pause { .. }, Some(range)) => range,
                _ => [shortest, self.max_ms],
            };
            for _ in 0..PLACES_TRIED {
                let length = draw.between(shortest, longest);
                // A pause longer than any other fault may not fit behind the opening.
                fault.at_ms = draw.between(start_ms.min(self.until_ms - length), self.until_ms - length);
                fault.for_ms = Some(length);
                let others = faults.iter().filter(|other| takes_node(other));
                if !takes_node(&fault) || most_at_once(others, &fault) <= most_down {
                    break;
                }
                fault.for_ms = None;
            }
            if fault.for_ms.is_none() {
                fault.for_ms = Some(self.min_ms);
                fault.kind = draw.kind("latency");
            }
            faults.push(fault);
        }
        faults.sort_by_key(|fault| fault.at_ms);
        faults
    }

    /// The kinds to use: what is required, and shuffled rounds of all, so that none is rare.
    fn deck(&self, kinds: &[&'static str], draw: &mut Draw) -> (Vec<&'static str>, Vec<&'static str>) {
        let wanted = self.faults as usize;
        let mut required: Vec<&'static str> = Vec::new();
        if wanted >= VARIED {
            required.extend(REQUIRED.into_iter().filter(|kind| kinds.contains(kind)));
            if required.starts_with(&REQUIRED[..2]) && draw.one_in(2) {
                required.swap(0, 1);
            }
        }
        let mut others: Vec<&'static str> = Vec::new();
        while others.len() + required.len() < wanted {
            let mut round = kinds.to_vec();
            round.shuffle(&mut draw.stream);
            others.extend(round);
        }
        others.truncate(wanted - required.len());
        (required, others)
    }
}

/// Whether a fault leaves one node fewer.
fn takes_node(kind: &FaultKind) -> bool {
    use FaultKind::*;
    matches!(kind, Kill { .. } | Pause { .. } | PowerLoss { .. } | DiskErrors { .. } | FullDisk { .. })
}

/// The most faults of `others` and `fault` that are active at one instant within `fault`.
fn most_at_once<'a>(others: impl Iterator<Item = &'a Fault>, fault: &Fault) -> usize {
    let span = |fault: &Fault| (fault.at_ms, fault.ends_ms().unwrap_or(u64::MAX));
    let (from, to) = span(fault);
    let overlapping: Vec<(u64, u64)> = others.map(span).filter(|(begin, end)| *begin < to && from < *end).collect();
    // The count rises only where one begins.
    let instants = overlapping.iter().map(|(begin, _)| (*begin).max(from));
    let at = |instant: u64| overlapping.iter().filter(|(begin, end)| *begin <= instant && instant < *end).count();
    1 + instants.map(at).max().unwrap_or(0)
}

/// Draws the parts of a fault.
struct Draw<'a> {
    stream: Stream,
    topology: &'a Topology,
    ranges: &'a Ranges,
}

impl Draw<'_> {
    /// Uniform over `from` to `to`, both included.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + rng::below(self.stream.next_u64(), to - from + 1)
    }

    fn within(&mut self, [least, most]: [u64; 2]) -> u64 {
        self.between(least, most)
    }

    /// Uniform over `-most` to `most`.
    fn either_way(&mut self, most: u64) -> i64 {
        self.between(0, 2 * most) as i64 - most as i64
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.between(1, n) == 1
    }

    fn target(&self, host: HostId) -> Target {
        Target(self.topology.name(host).to_string())
    }

    fn leader() -> Target {
        Target(TargetRole::Leader.name().to_string())
    }

    /// All nodes, shuffled.
    fn nodes(&mut self) -> Vec<Target> {
        let mut nodes: Vec<Target> = self.topology.node_ids().map(|node| self.target(node)).collect();
        nodes.shuffle(&mut self.stream);
        nodes
    }

    fn node(&mut self) -> Target {
        self.nodes().swap_remove(0)
    }

    /// The leader more often than anyone else: that is where it hurts.
    fn victim(&mut self) -> Target {
        match self.between(1, 4) {
            1 | 2 => Draw::leader(),
            3 => Target(TargetRole::Follower.name().to_string()),
            _ => self.node(),
        }
    }

    /// Two disjoint groups: sites with their clients, or nodes alone, so that clients see both sides.
    fn halves(&mut self) -> (Vec<Target>, Vec<Target>) {
        let by_site = self.topology.sites.len() >= 2 && self.one_in(2);
        let mut all = if by_site {
            let mut sites: Vec<Target> = self.topology.sites.iter().map(|site| Target(site.name.clone())).collect();
            sites.shuffle(&mut self.stream);
            sites
        } else {
            self.nodes()
        };
        let left = self.between(1, all.len() as u64 - 1) as usize;
        let right = all.split_off(left);
        (sorted(all), sorted(right))
    }

    fn groups(&mut self) -> Vec<Vec<Target>> {
        let (left, right) = self.halves();
        vec![left, right]
    }

    /// Two single nodes, or two sites.
    fn ends(&mut self) -> (Vec<Target>, Vec<Target>) {
        let sites: &[SiteHosts] = &self.topology.sites;
        if sites.len() >= 2 && self.one_in(2) {
            let mut names: Vec<Target> = sites.iter().map(|site| Target(site.name.clone())).collect();
            names.shuffle(&mut self.stream);
            let b = names.swap_remove(1);
            (vec![names.swap_remove(0)], vec![b])
        } else {
            let mut nodes = self.nodes();
            nodes.truncate(2);
            let b = nodes.split_off(1);
            (nodes, b)
        }
    }

    fn kind(&mut self, name: &str) -> FaultKind {
        match name {
            "partition" => FaultKind::Partition { groups: self.groups() },
            "flapping" => FaultKind::Flapping {
                groups: self.groups(),
                down_ms: self.within(self.ranges.flap_ms),
                up_ms: self.within(self.ranges.flap_ms),
            },
            "one_way" => {
                let (from, to) = match self.between(1, 3) {
                    // A leader that is heard by nobody, or that hears nobody.
                    1 => (vec![Draw::leader()], self.nodes()),
                    2 => (self.nodes(), vec![Draw::leader()]),
                    _ => self.halves(),
                };
                FaultKind::OneWay { from: sorted(from), to: sorted(to) }
            }
            "majorities_ring" => FaultKind::MajoritiesRing { order: self.nodes() },
            "bridge" => {
                let mut nodes = self.nodes();
                let middle = nodes.swap_remove(0);
                let left = self.between(1, nodes.len() as u64 - 1) as usize;
                let right = nodes.split_off(left);
                FaultKind::Bridge { left: sorted(nodes), middle, right: sorted(right) }
            }
            "isolate" => FaultKind::Isolate { target: self.victim(), from_clients: self.one_in(4) },
            "latency" => {
                let (a, b) = self.ends();
                FaultKind::Latency { a, b, extra_ms: self.within(self.ranges.latency_ms) }
            }
            "hold" => {
                let (a, b) = self.ends();
                FaultKind::Hold { a, b }
            }
            "messages" => self.messages(),
            "kill" => FaultKind::Kill { target: self.victim() },
            "pause" => FaultKind::Pause { target: self.victim() },
            "slow_disk" => {
                FaultKind::SlowDisk { target: self.victim(), extra_ms: self.within(self.ranges.slow_disk_ms) }
            }
            "disk_errors" => FaultKind::DiskErrors { target: self.victim() },
            "full_disk" => FaultKind::FullDisk { target: self.victim() },
            "power_loss" => {
                let at_operation = if self.one_in(2) { Some(self.between(1, 60)) } else { None };
                FaultKind::PowerLoss { target: self.victim(), torn: self.one_in(2), at_operation }
            }
            "clock" => {
                let drift_ppm = self.either_way(self.ranges.drift_ppm);
                let target = self.victim();
                let offset_ms = match self.either_way(self.ranges.offset_ms) {
                    // A clock that is right is no fault.
                    0 if drift_ppm == 0 => self.ranges.offset_ms as i64,
                    offset_ms => offset_ms,
                };
                // Only where the ranges allow no offset can there be neither.
                let drift_ppm = if (offset_ms, drift_ppm) == (0, 0) { self.ranges.drift_ppm as i64 } else { drift_ppm };
                FaultKind::Clock { target, offset_ms, drift_ppm }
            }
            "membership" => {
                let mut voters = self.nodes();
                // At least two stay, and a majority of all: whoever else is down, some of them are up.
                let most = voters.len() - 1;
                voters.truncate(self.between((most / 2 + 1).max(2) as u64, most as u64) as usize);
                FaultKind::Membership { voters: sorted(voters) }
            }
            unknown => unreachable!("kinds are filtered before: {unknown}"),
        }
    }

    /// A burst of chaos on all messages, or on those of one protocol exchange.
    fn messages(&mut self) -> FaultKind {
        let exchanges = [MessageKind::AppendEntries, MessageKind::Vote, MessageKind::Request, MessageKind::Replicate];
        let kinds = if self.one_in(3) {
            let kind = exchanges[self.between(0, exchanges.len() as u64 - 1) as usize];
            vec![kind, kind.reply()]
        } else {
            Vec::new()
        };
        let chaos = Chaos {
            loss_ppm: self.within(self.ranges.loss_ppm) as u32,
            reorder_ppm: self.within(self.ranges.reorder_ppm) as u32,
            reorder_ms: self.within(self.ranges.reorder_ms),
            duplicate_ppm: self.within(self.ranges.duplicate_ppm) as u32,
            jitter_ms: self.within(self.ranges.jitter_ms),
        };
        FaultKind::Messages { from: Vec::new(), to: Vec::new(), kinds, chaos }
    }
}

/// Sets of hosts read better in order; only a ring's order means something.
fn sorted(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort();
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::topology::SiteShape;
    use crate::fault::topology::tests::two_sites;
    use crate::fault::validate::validate;
    use std::collections::BTreeMap;

    fn chaos() -> Nemesis {
        let (kinds, ranges) = (Vec::new(), Ranges::default());
        Nemesis { faults: 10, start_ms: 4000, until_ms: 50_000, min_ms: 1000, max_ms: 6000, kinds, ranges }
    }

    #[test]
    fn every_schedule_is_valid_ordered_and_within_its_window() {
        for nodes in [2, 3, 4, 7] {
            let site = |name: &str, nodes| SiteShape { name: name.into(), nodes, clients: true, witness: false };
            let topology = Topology::of([site("east", nodes - 1), site("west", 1)]);
            for seed in 0..300 {
                let faults = chaos().generate(&topology, seed);
                assert_eq!(faults.len(), 10);
                validate(&faults, &topology, 50_000).unwrap();
                assert!(faults.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
                assert!(faults.iter().all(|fault| {
                    let length = fault.for_ms.expect("every fault ends");
                    fault.at_ms >= 4000 && (1000..=6000).contains(&length) && fault.at_ms + length <= 50_000
                }));
            }
        }
    }

    #[test]
    fn a_majority_is_never_down_at_once() {
        let kinds = vec!["kill".into(), "pause".into()];
        let dense = Nemesis { faults: 30, kinds, ..chaos() };
        let mut most = 0;
        for seed in 0..100 {
            let faults = dense.generate(&two_sites(), seed);
            for instant in (0..50_000).step_by(50) {
                let down = faults.iter().filter(|fault| {
                    matches!(fault.kind, FaultKind::Kill { .. } | FaultKind::Pause { .. })
                        && (fault.at_ms..fault.ends_ms().unwrap()).contains(&instant)
                });
                most = most.max(down.count());
            }
        }
        assert_eq!(most, 2, "two of five nodes may be down, and sometimes are");
    }

    #[test]
    fn eight_faults_are_varied_under_every_seed() {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for seed in 0..1000 {
            let faults = Nemesis { faults: 8, ..chaos() }.generate(&two_sites(), seed);
            let count = |wanted: &dyn Fn(&FaultKind) -> bool| faults.iter().filter(|fault| wanted(&fault.kind)).count();
            assert!(count(&FaultKind::is_cut) >= 3);
            assert!(count(&FaultKind::is_one_way_cut) >= 1);
            let leader = Draw::leader();
            assert!(count(&|kind| matches!(kind, FaultKind::Kill { .. })) >= 1);
            assert!(count(&|kind| matches!(kind, FaultKind::Isolate { target, .. } if *target == leader)) >= 1);
            // The leader is taken away first, and for a while that is all.
            assert!(faults[0].kind.role_targets().contains(&&leader) && faults[0].for_ms >= Some(3500));
            assert!(faults[0].at_ms <= 5000 && faults[1].at_ms >= faults[0].ends_ms().unwrap());
            faults.iter().for_each(|fault| *seen.entry(fault.kind.name()).or_default() += 1);
        }
        assert_eq!(seen.len(), 11, "every kind occurs: {seen:?}");
        assert!(seen.values().all(|count| *count >= 300), "no kind is rare: {seen:?}");
    }

    #[test]
    fn either_kind_opens() {
        let opens = |seed| chaos().generate(&two_sites(), seed)[0].kind.name();
        let kills = (0..1000).filter(|seed| opens(*seed) == "kill").count();
        assert!((400..600).contains(&kills), "{kills} of 1000");
    }

    #[test]
    fn a_window_too_short_for_an_opening_still_works() {
        let short = Nemesis { start_ms: 4000, until_ms: 11_000, ..chaos() };
        for seed in 0..200 {
            let faults = short.generate(&two_sites(), seed);
            validate(&faults, &two_sites(), 11_000).unwrap();
            assert_eq!(faults.len(), 10);
        }
    }

    #[test]
    fn the_seed_alone_decides_and_kinds_are_respected() {
        assert_eq!(chaos().generate(&two_sites(), 5), chaos().generate(&two_sites(), 5));
        assert_ne!(chaos().generate(&two_sites(), 5), chaos().generate(&two_sites(), 6));
        let only = Nemesis { kinds: vec!["hold".into(), "flapping".into()], ..chaos() };
        let faults = only.generate(&two_sites(), 1);
        assert!(faults.iter().all(|fault| ["hold", "flapping"].contains(&fault.kind.name())));
    }

    #[test]
    fn ranges_are_kept_to() {
        let kinds = ["messages", "clock", "pause", "latency", "flapping", "slow_disk"].map(String::from).to_vec();
        let ranges = Ranges {
            drift_ppm: 100,
            offset_ms: 0,
            latency_ms: [3, 4],
            flap_ms: [7, 7],
            pause_ms: Some([8000, 9000]),
            slow_disk_ms: [2, 2],
            loss_ppm: [0, 10],
            reorder_ppm: [0, 0],
            duplicate_ppm: [1, 1],
            ..Ranges::default()
        };
        let mild = Nemesis { faults: 30, kinds, ranges, ..chaos() };
        for seed in 0..50 {
            let faults = mild.generate(&two_sites(), seed);
            validate(&faults, &two_sites(), 50_000).unwrap();
            for fault in faults {
                let length = fault.for_ms.unwrap();
                let holds = match fault.kind {
                    FaultKind::Messages { chaos, .. } => chaos.loss_ppm <= 10 && chaos.reorder_ppm == 0,
                    FaultKind::Clock { offset_ms, drift_ppm, .. } => {
                        offset_ms == 0 && drift_ppm != 0 && drift_ppm.abs() <= 100
                    }
                    FaultKind::Pause { .. } => (8000..=9000).contains(&length),
                    FaultKind::Latency { extra_ms, .. } => (3..=4).contains(&extra_ms),
                    FaultKind::Flapping { down_ms, up_ms, .. } => (down_ms, up_ms) == (7, 7),
                    FaultKind::SlowDisk { extra_ms, .. } => extra_ms == 2,
                    _ => false,
                };
                assert!(holds, "{fault:?}");
            }
        }
    }
}
