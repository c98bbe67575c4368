//! Swarm: each seed draws a scenario of its own, then its faults.
//!
//! One nemesis for all seeds has two weaknesses. What it never draws strong enough never happens, in no seed. And where every
//! fault is in every run, faults hide each other: a cluster that is always losing messages never fills a queue. So a seed
//! draws which kinds are on and how strong they are, and the shape of the cluster (Groce, Zhang, Eide, Chen, Regehr: Swarm
//! Testing, ISSTA 2012). Lengths come from the time-outs of the system under test: below, around and far above each.

use super::{Scenario, Site};
use crate::fault::draw::Draw;
use crate::fault::generate::Nemesis;
use crate::fault::model::Chaos;
use crate::fault::ranges::Ranges;
use serde::{Deserialize, Serialize};

/// What a seed may draw, and the bounds of it. Ranges are `[least, most]`, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Swarm {
    /// Nodes, in all sites together.
    pub nodes: [u16; 2],
    /// Sites.
    pub sites: [u16; 2],
    /// Clients, in all sites together.
    pub clients: [u16; 2],
    /// Keys.
    pub keys: [u32; 2],
    /// Entries after which a node takes a snapshot.
    pub snapshot_entries: [u64; 2],
    /// In percent, how many faults are aimed, in the seeds that aim any: half of them.
    pub aimed_percent: u64,
    /// The greatest drift of a clock, in parts per million.
    pub max_drift_ppm: u64,
    /// The greatest offset of a clock, in milliseconds.
    pub max_offset_ms: u64,
    /// The longest extra time of a disk's operation, of a link and of a late message, in milliseconds.
    pub max_stall_ms: u64,
    /// The longest fault, in milliseconds; pauses too.
    pub max_fault_ms: u64,
}

impl Default for Swarm {
    fn default() -> Self {
        Swarm {
            nodes: [3, 7],
            sites: [1, 3],
            clients: [3, 12],
            keys: [2, 24],
            snapshot_entries: [20, 400],
            aimed_percent: 40,
            max_drift_ppm: 100_000,
            max_offset_ms: 2000,
            max_stall_ms: 5000,
            max_fault_ms: 8000,
        }
    }
}

impl Swarm {
    /// Checks its ranges.
    ///
    /// # Errors
    /// (field, problem, what is allowed) for the first one that fails.
    pub fn check(&self) -> Result<(), (&'static str, String, String)> {
        let ranges = [
            ("nodes", self.nodes.map(u64::from), 3, 15),
            ("sites", self.sites.map(u64::from), 1, 15),
            ("clients", self.clients.map(u64::from), 1, 100),
            ("keys", self.keys.map(u64::from), 1, 1000),
            ("snapshot_entries", self.snapshot_entries, 1, 1_000_000),
            ("aimed_percent", [0, self.aimed_percent], 0, 100),
            ("max_drift_ppm", [0, self.max_drift_ppm], 0, 900_000),
            ("max_offset_ms", [1, self.max_offset_ms], 1, 86_400_000),
            ("max_stall_ms", [1, self.max_stall_ms], 1, 3_600_000),
            ("max_fault_ms", [1, self.max_fault_ms], 1, 3_600_000),
        ];
        for (field, [least, most], from, to) in ranges {
            if least > most || least < from || most > to {
                let help = format!("allowed: {from} to {to}; of a range the least first");
                return Err((field, format!("{least} to {most} cannot be drawn from"), help));
            }
        }
        Ok(())
    }

    /// A nemesis of which is drawn which kinds are on, and how strong.
    pub fn strengths(&self, scenario: &Scenario, nemesis: &Nemesis, draw: &mut Draw) -> Nemesis {
        let mut kinds = nemesis.wanted(&scenario.topology());
        draw.shuffle(&mut kinds);
        let on = draw.between(1, kinds.len() as u64) as usize;
        kinds.truncate(on);
        kinds.sort_unstable();
        let window = nemesis.until_ms - nemesis.start_ms;
        let thresholds = scenario.thresholds_ms();
        let length = |most: u64, draw: &mut Draw| near(&thresholds, most.min(window), draw);
        let pair = |most: u64, draw: &mut Draw| {
            let one = length(most, draw);
            // Half of the ranges are one value: of two, the greater is seldom small.
            let other = if draw.one_in(2) { one } else { length(most, draw) };
            [one.min(other), one.max(other)]
        };
        let [min_ms, max_ms] = pair(self.max_fault_ms, draw);
        let ppm = |draw: &mut Draw| {
            let most = around([1000, 600_000], draw);
            [most / 4 + 1, most]
        };
        let ranges = Ranges {
            drift_ppm: if self.max_drift_ppm == 0 {
                0
            } else {
                around([1.min(self.max_drift_ppm), self.max_drift_ppm], draw)
            },
            offset_ms: around([1, self.max_offset_ms], draw),
            latency_ms: pair(self.max_stall_ms, draw),
            flap_ms: pair(self.max_stall_ms, draw),
            pause_ms: Some(pair(self.max_fault_ms, draw)),
            slow_disk_ms: pair(self.max_stall_ms, draw),
            loss_ppm: ppm(draw),
            reorder_ppm: ppm(draw),
            reorder_ms: pair(self.max_stall_ms, draw),
            duplicate_ppm: ppm(draw),
            jitter_ms: [0, draw.between(0, thresholds[0])],
            aim_ms: [0, length(self.max_stall_ms, draw)],
        };
        let least = u64::from(nemesis.faults).div_ceil(4);
        Nemesis {
            faults: draw.between(least, u64::from(nemesis.faults)) as u32,
            min_ms,
            max_ms,
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            ranges,
            aimed_percent: if draw.one_in(2) { self.aimed_percent } else { 0 },
            ..nemesis.clone()
        }
    }
}

impl Scenario {
    /// The scenario that this seed draws from a swarm; without one, or with a recorded run, the scenario itself.
    #[must_use]
    pub fn drawn(&self, seed: u64) -> Scenario {
        let (Some(swarm), None) = (&self.swarm, &self.explicit) else { return self.clone() };
        let topology = self.topology();
        let ranges = Ranges::default();
        let mut draw = Draw::named("swarm", &topology, &ranges, seed);
        let mut drawn = Scenario { swarm: None, ..self.clone() };
        shape(&mut drawn, swarm, &mut draw);
        // In half of the seeds no message is lost by itself: what only a quiet network shows has its chance too.
        if draw.one_in(2) {
            drawn.messages = Chaos::NONE;
        }
        if let Some(nemesis) = &self.nemesis {
            drawn.nemesis = Some(swarm.strengths(&drawn, nemesis, &mut draw));
        }
        drawn
    }

    /// The lengths at which the system under test behaves otherwise, in milliseconds: what a magnitude must be drawn below,
    /// around and above.
    pub fn thresholds_ms(&self) -> Vec<u64> {
        let timing = &self.timing;
        let mut thresholds = vec![
            timing.heartbeat_ms,
            timing.election_min_ms,
            timing.election_max_ms,
            self.takeover_ms(),
            timing.attempt_timeout_ms,
            timing.operation_timeout_ms,
        ];
        thresholds.sort_unstable();
        thresholds.dedup();
        thresholds
    }
}

/// Draws sites, nodes, clients, keys and the snapshot policy.
fn shape(drawn: &mut Scenario, swarm: &Swarm, draw: &mut Draw) {
    let mut within = |[least, most]: [u16; 2]| draw.between(u64::from(least), u64::from(most)) as u16;
    let nodes = within(swarm.nodes);
    let sites = within(swarm.sites).min(nodes);
    let clients = within(swarm.clients).max(1);
    let names = drawn.sites.iter().map(|site| site.name.clone());
    let names: Vec<String> = names.chain((1..=sites).map(|n| format!("site-{n}"))).collect();
    let share = |all: u16, site: u16| all / sites + u16::from(site < all % sites);
    let site = |(at, name): (u16, &String)| Site {
        name: name.clone(),
        nodes: share(nodes, at),
        clients: share(clients, at),
        witness: false,
    };
    drawn.sites = (0..sites).zip(&names).map(site).collect();
    let has = |name: &String| drawn.sites.iter().any(|site| site.name == *name);
    drawn.latency.between.retain(|between| has(&between.a) && has(&between.b));
    let [least, most] = swarm.keys.map(u64::from);
    drawn.workload.keys = draw.between(least, most) as u32;
    drawn.snapshot_entries = Some(around(swarm.snapshot_entries, draw));
}

/// A length below, around or far above one of the thresholds, 1 to `most`.
pub fn near(thresholds: &[u64], most: u64, draw: &mut Draw) -> u64 {
    let threshold = thresholds[draw.between(0, thresholds.len() as u64 - 1) as usize];
    let percent = match draw.between(0, 2) {
        0 => draw.between(10, 90),
        1 => draw.between(90, 125),
        _ => draw.between(125, 500),
    };
    (threshold * percent / 100).clamp(1, most)
}

/// Between two numbers, each order of magnitude (to the base of two) as likely as any other.
fn around([least, most]: [u64; 2], draw: &mut Draw) -> u64 {
    let doublings = u64::from((most / least.max(1)).max(1).ilog2());
    let from = least << draw.between(0, doublings);
    draw.between(from, (from * 2).min(most).max(from)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::scenario::materialise;
    use std::collections::BTreeSet;

    #[test]
    fn every_seed_draws_a_scenario_that_could_have_been_written() {
        let swarm = load("swarm").unwrap();
        let mut shapes = BTreeSet::new();
        for seed in 0..300 {
            let drawn = swarm.drawn(seed);
            drawn.check().unwrap();
            assert_eq!(drawn, swarm.drawn(seed));
            assert_eq!(drawn.drawn(seed), drawn, "what is drawn is drawn once");
            shapes.insert((drawn.topology().nodes, drawn.sites.len()));
            let faults = materialise(&drawn, seed).schedule.faults;
            assert!(!faults.is_empty() && faults.iter().all(|fault| fault.for_ms.is_some()));
        }
        assert!((3..=7).all(|nodes| (1..=3).all(|sites| shapes.contains(&(nodes, sites)))), "{shapes:?}");
        let zoo = load("zoo").unwrap();
        assert_eq!(zoo.drawn(5), zoo, "a scenario without a swarm stays as it is");
    }

    /// The cause of most bugs that one nemesis missed: no stall outlasted an election time-out.
    #[test]
    fn lengths_reach_below_around_and_far_above_every_threshold() {
        let swarm = load("swarm").unwrap();
        type Magnitude = fn(&Nemesis) -> u64;
        let magnitudes: [(&str, Magnitude); 6] = [
            ("slow disk", |nemesis| nemesis.ranges.slow_disk_ms[1]),
            ("latency", |nemesis| nemesis.ranges.latency_ms[1]),
            ("pause", |nemesis| nemesis.ranges.pause_ms.unwrap()[1]),
            ("late message", |nemesis| nemesis.ranges.reorder_ms[1]),
            ("fault", |nemesis| nemesis.max_ms),
            ("flap", |nemesis| nemesis.ranges.flap_ms[1]),
        ];
        let drawn: Vec<Nemesis> = (0..400).map(|seed| swarm.drawn(seed).nemesis.unwrap()).collect();
        for (name, magnitude) in magnitudes {
            for threshold in swarm.thresholds_ms() {
                let count = |is: &dyn Fn(u64) -> bool| drawn.iter().filter(|nemesis| is(magnitude(nemesis))).count();
                assert!(count(&|ms| ms * 10 < threshold * 9) > 3, "{name} is never below {threshold} ms");
                assert!(
                    count(&|ms| ms * 10 >= threshold * 9 && ms * 4 <= threshold * 5) > 3,
                    "{name} around {threshold} ms"
                );
                assert!(count(&|ms| ms > threshold * 3 / 2) > 3, "{name} is never far above {threshold} ms");
            }
        }
    }

    #[test]
    fn the_bounds_hold() {
        let mut swarm = load("swarm").unwrap();
        let bounds = Swarm { max_drift_ppm: 900, max_stall_ms: 40, max_fault_ms: 700, ..Swarm::default() };
        swarm.swarm = Some(bounds);
        for seed in 0..200 {
            let Nemesis { ranges, max_ms, .. } = swarm.drawn(seed).nemesis.unwrap();
            assert!(ranges.drift_ppm <= 900 && ranges.slow_disk_ms[1] <= 40 && ranges.reorder_ms[1] <= 40);
            assert!(max_ms <= 700 && ranges.pause_ms.unwrap()[1] <= 700);
        }
        let wrong = |change: fn(&mut Swarm)| {
            let mut swarm = Swarm::default();
            change(&mut swarm);
            swarm.check().unwrap_err().0
        };
        assert_eq!(wrong(|swarm| swarm.nodes = [5, 3]), "nodes");
        assert_eq!(wrong(|swarm| swarm.max_drift_ppm = 900_001), "max_drift_ppm");
        assert_eq!(wrong(|swarm| swarm.aimed_percent = 101), "aimed_percent");
        assert_eq!(Swarm::default().check(), Ok(()));
    }
}
