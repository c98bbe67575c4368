//! The nemesis: a generator of fault schedules.
//!
//! It is meant to be nasty and fair. Faults may overlap, but a majority of nodes is always up, and every fault ends, so
//! the cluster must recover. A schedule of eight or more faults of any kind contains, under every seed, an isolation of
//! the leader, a kill, a one-way cut and a partition. The first fault takes the leader away while nothing else is
//! wrong, so leadership changes at least once.

use super::aim::{Aim, Moment};
use super::draw::Draw;
use super::kind::{Drawn, Kind, Leaves, Sort};
use super::kinds::{Isolate, Kill, Latency, OneWay, Partition};
use super::model::{Fault, FaultKind};
use super::ranges::Ranges;
use super::topology::Topology;
use serde::{Deserialize, Serialize};

/// A generator of fault schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nemesis {
    /// How many faults it generates.
    pub faults: u32,
    /// No fault begins before this.
    pub start_ms: u64,
    /// Every fault has ended by this.
    pub until_ms: u64,
    /// Shortest length of a fault.
    pub min_ms: u64,
    /// Longest length of a fault.
    pub max_ms: u64,
    /// The kinds of fault that it may choose, by their names in scenario files; empty: all kinds of links and
    /// processes. Faults of disks, power, clocks and membership must be named, since not every system can handle them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// How strong its faults may be.
    #[serde(skip_serializing_if = "Ranges::is_default")]
    pub ranges: Ranges,
    /// In percent, how many of its faults wait for a moment instead of a time. Of those, more nodes than a minority may be
    /// down at once: when they begin is not known before.
    #[serde(skip_serializing_if = "is_zero")]
    pub aimed_percent: u64,
}

fn is_zero(percent: &u64) -> bool {
    *percent == 0
}

impl Default for Nemesis {
    fn default() -> Self {
        let (kinds, ranges) = (Vec::new(), Ranges::default());
        Nemesis {
            faults: 8,
            start_ms: 5000,
            until_ms: 25_000,
            min_ms: 500,
            max_ms: 5000,
            kinds,
            ranges,
            aimed_percent: 0,
        }
    }
}

/// With this many faults, [`REQUIRED`] kinds occur under every seed.
const VARIED: usize = 8;

/// What a schedule of [`VARIED`] faults always contains, as far as the kinds are allowed. One of the first two opens
/// it.
const REQUIRED: [&str; 4] = [ISOLATE, KILL, OneWay::SORT.name, Partition::SORT.name];
const ISOLATE: &str = Isolate::SORT.name;
const KILL: &str = Kill::SORT.name;

/// How many times it tries to find a moment at which one more node may be down, before it takes a harmless fault
/// instead.
const PLACES_TRIED: usize = 64;

impl Nemesis {
    /// The kinds of fault that can be generated in this topology, in declaration order.
    pub fn possible_kinds(topology: &Topology) -> Vec<&'static str> {
        Nemesis::possible(topology).map(|sort| sort.name).collect()
    }

    fn possible(topology: &Topology) -> impl Iterator<Item = &'static Sort> + use<> {
        let nodes = topology.nodes;
        let sorts = FaultKind::SORTS.iter().filter(|sort| !matches!(sort.drawn, Drawn::Never(_)));
        sorts.filter(move |sort| nodes >= sort.least_nodes)
    }

    /// The kinds of fault that it chooses from in this topology, in declaration order.
    pub fn wanted(&self, topology: &Topology) -> Vec<&'static str> {
        let is_wanted = |sort: &&Sort| match self.kinds.is_empty() {
            true => sort.drawn == Drawn::Freely,
            false => self.kinds.iter().any(|wanted| wanted == sort.name),
        };
        Nemesis::possible(topology).filter(is_wanted).map(|sort| sort.name).collect()
    }

    /// Aims some of the faults, by draws of their own: those of the others stay as they are.
    fn aim(&self, faults: &mut [Fault], topology: &Topology, seed: u64) {
        let mut draw = Draw::named("aim", topology, &self.ranges, seed);
        for fault in faults {
            if draw.between(1, 100) > self.aimed_percent {
                continue;
            }
            let event = Moment::ALL[draw.between(0, Moment::ALL.len() as u64 - 1) as usize];
            // Mostly at once, since what is new does not last; and for all that is slow, up to the greatest delay.
            let delay_ms = if draw.one_in(3) { 0 } else { draw.within(self.ranges.aim_ms) };
            let delay_ms = delay_ms.max(u64::from(event == Moment::PrimaryUnheard));
            fault.when = Some(Aim { event, delay_ms });
            fault.at_ms = draw.between(self.start_ms, fault.at_ms);
            if fault.kind.target().is_some() && draw.one_in(2) {
                fault.kind = fault.kind.aimed_there();
            }
        }
    }

    /// The schedule of this seed, in order of the faults' beginnings.
    ///
    /// # Panics
    /// If its numbers contradict each other or no kind is possible here. Scenarios are checked before.
    pub fn generate(&self, topology: &Topology, seed: u64) -> Vec<Fault> {
        let mut draw = Draw::new(topology, &self.ranges, seed);
        let kinds = self.wanted(topology);
        assert!(!kinds.is_empty() && self.min_ms <= self.max_ms && self.start_ms + self.max_ms <= self.until_ms);
        let most_down = (topology.nodes - 1) / 2;
        let mut faults: Vec<Fault> = Vec::new();
        let mut start_ms = self.start_ms;
        let (required, others) = self.deck(&kinds, &mut draw);
        let required = required.into_iter().map(|kind| (kind, true));
        for (kind, guaranteed) in required.chain(others.into_iter().map(|kind| (kind, false))) {
            let takes_leader = match kind {
                ISOLATE => guaranteed,
                // A later kill must have a victim, and at that moment there may be no leader.
                KILL => guaranteed && faults.is_empty(),
                _ => false,
            };
            // The guaranteed faults last long enough to depose a leader.
            let shortest = if guaranteed { self.min_ms.midpoint(self.max_ms) } else { self.min_ms };
            let kind = match kind {
                ISOLATE if takes_leader => Isolate::of_leader(&mut draw).into(),
                KILL if takes_leader => Kill { target: Draw::leader() }.into(),
                KILL if guaranteed => Kill { target: draw.node() }.into(),
                kind => FaultKind::draw(kind, &mut draw),
            };
            let mut fault = Fault { at_ms: 0, for_ms: None, kind, when: None };
            if takes_leader && faults.is_empty() {
                let length = draw.between(shortest, self.max_ms);
                fault.at_ms = self.start_ms + draw.between(0, (self.until_ms - self.start_ms - length).min(1000));
                fault.for_ms = Some(length);
                let end_ms = fault.at_ms + length;
                // In a window too short for that, everything happens at once.
                start_ms = if end_ms + self.max_ms <= self.until_ms { end_ms } else { self.start_ms };
                faults.push(fault);
                continue;
            }
            // Whether a fault makes one node fewer able to serve.
            let takes_node = |fault: &Fault| fault.kind.sort().leaves != Leaves::Able;
            let [shortest, longest] = fault.kind.lasts(&self.ranges).unwrap_or([shortest, self.max_ms]);
            for _ in 0..PLACES_TRIED {
                let length = draw.between(shortest, longest);
                // A pause longer than any other fault may not fit after the opening.
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
                fault.kind = Latency::draw(&mut draw).into();
            }
            faults.push(fault);
        }
        if self.aimed_percent > 0 {
            self.aim(&mut faults, topology, seed);
        }
        faults.sort_by_key(|fault| fault.at_ms);
        faults
    }

    /// The kinds to use: the required ones, and shuffled rounds of all kinds, so that none is rare.
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
            draw.shuffle(&mut round);
            others.extend(round);
        }
        others.truncate(wanted - required.len());
        (required, others)
    }
}

/// The most faults among `others` and `fault` that are active at one instant within `fault`.
fn most_at_once<'a>(others: impl Iterator<Item = &'a Fault>, fault: &Fault) -> usize {
    let span = |fault: &Fault| (fault.at_ms, fault.ends_ms().unwrap_or(u64::MAX));
    let (from, to) = span(fault);
    let overlapping: Vec<(u64, u64)> = others.map(span).filter(|(begin, end)| *begin < to && from < *end).collect();
    // The count rises only at the beginning of a fault.
    let instants = overlapping.iter().map(|(begin, _)| (*begin).max(from));
    let at = |instant: u64| overlapping.iter().filter(|(begin, end)| *begin <= instant && instant < *end).count();
    1 + instants.map(at).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::{Clock, Flapping, Messages, SlowDisk};
    use crate::fault::topology::SiteShape;
    use crate::fault::topology::tests::two_sites;
    use crate::fault::validate::validate;
    use std::collections::BTreeMap;

    fn chaos() -> Nemesis {
        let (kinds, ranges) = (Vec::new(), Ranges::default());
        Nemesis {
            faults: 10,
            start_ms: 4000,
            until_ms: 50_000,
            min_ms: 1000,
            max_ms: 6000,
            kinds,
            ranges,
            aimed_percent: 0,
        }
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
            assert!(count(&|kind| matches!(kind, FaultKind::Isolate(isolate) if isolate.target == leader)) >= 1);
            // The leader is taken away first, and for a while nothing else happens.
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
                    FaultKind::Messages(Messages { chaos, .. }) => chaos.loss_ppm <= 10 && chaos.reorder_ppm == 0,
                    FaultKind::Clock(Clock { offset_ms, drift_ppm, .. }) => {
                        offset_ms == 0 && drift_ppm != 0 && drift_ppm.abs() <= 100
                    }
                    FaultKind::Pause { .. } => (8000..=9000).contains(&length),
                    FaultKind::Latency(Latency { extra_ms, .. }) => (3..=4).contains(&extra_ms),
                    FaultKind::Flapping(Flapping { down_ms, up_ms, .. }) => (down_ms, up_ms) == (7, 7),
                    FaultKind::SlowDisk(SlowDisk { extra_ms, .. }) => extra_ms == 2,
                    _ => false,
                };
                assert!(holds, "{fault:?}");
            }
        }
    }
}
