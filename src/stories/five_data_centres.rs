//! five-data-centres: what distance costs a write, and what it buys when sites are lost.
//!
//! A leader's write is committed when a majority has it: after the round trip to the m-th nearest other voter, m half
//! of the voters rounded down. A client adds its own round trip to the leader. A linearizable read asks a majority
//! whether the leader still leads, and so takes as long (Raft dissertation, 6.4).

use super::claim::{Measurement, Prediction, Tolerance};
use super::consensus::{Offered, judged, majority, scenario, seen, served, site, timeout_s};
use super::evidence::percentile;
use super::model::{Bound, Model, Observed, Setup, Variant};
use super::world::lasting;
use crate::fault::kinds::Kill;
use crate::fault::model::{Fault, Target};
use crate::history::Status;
use crate::run::{Run, RunError};
use crate::scenario::{Scenario, Site};
use crate::systems::System;
use serde::{Deserialize, Serialize};

const FRANKFURT: &str = "leader-in-frankfurt";
const TOKYO: &str = "leader-in-tokyo";
const THREE_TWO: &str = "three-two";
const TWO_TWO_ONE: &str = "two-two-one";

const WRITE_NEAR: &str = "a write from Frankfurt";
const WRITE_FAR: &str = "a write from Tokyo";
const READ_NEAR: &str = "a read from Frankfurt";
const ONE_DOWN: &str = "served in time, one site down";
const TWO_DOWN: &str = "served in time, two sites down";

/// When the largest site dies, when the two largest do, for how long, and how soon every node has noticed, in seconds.
const ONE_DOWN_S: f64 = 42.0;
const TWO_DOWN_S: f64 = 76.0;
const DOWN_S: f64 = 24.0;
const NOTICED_S: f64 = 12.0;
/// Latencies are taken from before the first fault, and from when a leader has been found.
const QUIET_S: (f64, f64) = (8.0, 41.0);
/// The least share of operations that nothing delays.
const UNDISTURBED: f64 = 0.25;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FiveDataCentres {
    /// Operations a second, of all clients together.
    operations_per_s: f64,
    /// Tokyo to Frankfurt and to Dublin, one way, in milliseconds.
    tokyo_ms: u64,
}

/// The cities with voters and how many each has, the leader's city first.
fn voters(variant: &str) -> &'static [(&'static str, u16)] {
    match variant {
        TOKYO => &[("tokyo", 1), ("frankfurt", 1), ("dublin", 1), ("virginia", 1), ("oregon", 1)],
        THREE_TWO => &[("frankfurt", 3), ("dublin", 2)],
        TWO_TWO_ONE => &[("frankfurt", 2), ("dublin", 2), ("virginia", 1)],
        _ => &[("frankfurt", 1), ("dublin", 1), ("virginia", 1), ("oregon", 1), ("tokyo", 1)],
    }
}

impl FiveDataCentres {
    /// The scenario of five cities with this variant's voters and these faults.
    fn scenario(&self, variant: &str) -> Scenario {
        let mut scenario = scenario("five-data-centres");
        let homes = voters(variant);
        let rest = ["frankfurt", "dublin", "virginia", "oregon", "tokyo"]
            .into_iter()
            .filter(|city| !homes.iter().any(|(home, _)| home == city));
        let sites: Vec<Site> =
            homes.iter().copied().chain(rest.map(|city| (city, 0))).map(|(city, nodes)| site(city, nodes, 1)).collect();
        scenario.sites = sites;
        for between in &mut scenario.latency.between {
            if between.b == "tokyo" && ["frankfurt", "dublin"].contains(&between.a.as_str()) {
                between.ms = self.tokyo_ms;
            }
        }
        scenario.timing.duration_ms = ((TWO_DOWN_S + DOWN_S + 4.0) * 1000.0) as u64;
        scenario.workload.operations = (self.operations_per_s * scenario.timing.duration_ms as f64 / 1000.0) as u32;
        // Separate keys would change nothing: operations are so far apart that they hardly meet.
        scenario.workload.cas = 0;
        scenario
    }

    /// The same as a run's script, in which each operation begins with a step of the simulator. What is sent within a step
    /// travels as if it had been sent at its beginning, and would seem to be up to a step faster than the distance allows.
    fn in_steps(mut scenario: Scenario, seed: u64) -> Scenario {
        let step_us = scenario.timing.tick_ms * 1000;
        scenario = scenario.materialised(System::Raft.name(), seed);
        for scripted in scenario.explicit.iter_mut().flat_map(|explicit| &mut explicit.script) {
            scripted.at_us -= scripted.at_us % step_us;
        }
        scenario
    }

    /// A round trip between two cities, in milliseconds.
    fn round_trip_ms(scenario: &Scenario, a: &str, b: &str) -> f64 {
        2.0 * scenario.latency.one_way_ms(a, b) as f64
    }

    /// From the leader to a majority and back, in milliseconds.
    fn commit_ms(scenario: &Scenario, homes: &[(&str, u16)]) -> f64 {
        let leader = homes[0].0;
        let mut others: Vec<f64> = homes
            .iter()
            .flat_map(|(city, nodes)| {
                let others = if *city == leader { nodes - 1 } else { *nodes };
                std::iter::repeat_n(Self::round_trip_ms(scenario, leader, city), usize::from(others))
            })
            .collect();
        others.sort_by(f64::total_cmp);
        let all = homes.iter().map(|(_, nodes)| nodes).sum();
        others[usize::from(majority(all)) - 2]
    }
}

/// The nodes of a variant's first or first two sites, by size, largest first.
fn largest(variant: &str, sites: usize) -> (Vec<String>, u16) {
    let mut first = 1;
    let mut homes: Vec<(u16, std::ops::Range<u16>)> = Vec::new();
    for (_, nodes) in voters(variant) {
        homes.push((*nodes, first..first + nodes));
        first += nodes;
    }
    homes.sort_by_key(|(nodes, range)| (std::cmp::Reverse(*nodes), range.start));
    let dead: Vec<u16> = homes.into_iter().take(sites).flat_map(|(_, range)| range).collect();
    let left = first - 1 - dead.len() as u16;
    (dead.into_iter().map(|node| format!("n{node}")).collect(), left)
}

impl Model for FiveDataCentres {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: THREE_TWO, what: "three voters in Frankfurt, two in Dublin", naive: true },
                Variant { name: TWO_TWO_ONE, what: "two in Frankfurt, two in Dublin, one in Virginia", naive: false },
                Variant {
                    name: FRANKFURT,
                    what: "one voter in each of five cities, the leader in Frankfurt",
                    naive: false,
                },
                Variant { name: TOKYO, what: "the same, the leader in Tokyo", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![("operations_per_s", self.operations_per_s, 0.5..=6.0), ("tokyo_ms", self.tokyo_ms as f64, 20.0..=300.0)]
    }

    fn assumptions(&self) -> Vec<String> {
        let timeout_s = timeout_s(&self.scenario(FRANKFURT));
        vec![
            format!("{} operations a second in all, from {} s to {} s while nothing is broken", self.operations_per_s, QUIET_S.0, QUIET_S.1),
            "one append in flight to each follower: behind another, or a heartbeat, a write takes up to a round trip more".into(),
            format!("so a latency is what the fastest {} % take at most; reads are linearizable", 100.0 * UNDISTURBED),
            format!("the largest site is dead for {DOWN_S} s from {ONE_DOWN_S} s on, the two largest from {TWO_DOWN_S} s on"),
            format!(
                "served in time: of the operations offered (planned) from {NOTICED_S} s after that to {timeout_s} s before its \
                 end, those acknowledged within {timeout_s} s"
            ),
            format!(
                "operations begin with a step of the simulator ({} ms), in which a disk's millisecond disappears",
                self.scenario(FRANKFURT).timing.tick_ms
            ),
            "the node that forms the cluster leads at first".into(),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["distances, as constant latencies between cities", "the time of a sync, a constant"]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for variant in self.variants() {
            let (scenario, homes) = (self.scenario(variant.name), voters(variant.name));
            let commit_ms = FiveDataCentres::commit_ms(&scenario, homes);
            for (claim, city) in [(WRITE_NEAR, "frankfurt"), (READ_NEAR, "frankfurt"), (WRITE_FAR, "tokyo")] {
                let latency_ms = FiveDataCentres::round_trip_ms(&scenario, city, homes[0].0) + commit_ms;
                let because = "its round trip to the leader, and the leader's to a majority";
                let latency = (latency_ms, "ms");
                let within = Tolerance::Share(0.15);
                predictions.push(Prediction::new(claim, variant.name, latency, within, because));
            }
            let all: u16 = homes.iter().map(|(_, nodes)| nodes).sum();
            for (claim, sites) in [(ONE_DOWN, 1), (TWO_DOWN, 2)] {
                let (_, left) = largest(variant.name, sites);
                let share = if left >= majority(all) { 100.0 } else { 0.0 };
                let because = format!("{left} of {all} voters are left");
                predictions.push(Prediction::new(claim, variant.name, (share, "%"), Tolerance::Within(5.0), because));
            }
        }
        predictions
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let mut scenario = self.scenario(setup.variant);
        scenario.faults = [(ONE_DOWN_S, 1), (TWO_DOWN_S, 2)]
            .into_iter()
            .flat_map(|(at_s, sites)| largest(setup.variant, sites).0.into_iter().map(move |node| (at_s, node)))
            .map(|(at_s, node)| lasting(at_s, DOWN_S, Kill { target: Target(node) }.into()))
            .collect::<Vec<Fault>>();
        let scenario = FiveDataCentres::in_steps(scenario, setup.seed);
        judged(&scenario, System::Raft, setup, seen, |run| {
            let all = ["frankfurt", "dublin", "virginia", "oregon", "tokyo"];
            let down = |at_s: f64| {
                let period_s = (at_s + NOTICED_S, at_s + DOWN_S - timeout_s(&run.scenario));
                served(run, Offered { sites: &all, period_s, writes: None })
            };
            vec![
                Measurement::new(WRITE_NEAR, undisturbed_ms(run, "frankfurt", true)),
                Measurement::new(READ_NEAR, undisturbed_ms(run, "frankfurt", false)),
                Measurement::new(WRITE_FAR, undisturbed_ms(run, "tokyo", true)),
                Measurement::new(ONE_DOWN, down(ONE_DOWN_S)),
                Measurement::new(TWO_DOWN, down(TWO_DOWN_S)),
            ]
        })
    }
}

/// The latency of a city's undisturbed writes or reads while nothing is broken, in milliseconds.
fn undisturbed_ms(run: &Run, city: &str, writes: bool) -> f64 {
    let clients = run.scenario.client_sites();
    let is_there =
        |client: u32| clients.get(client as usize).is_some_and(|site| run.scenario.sites[*site].name == city);
    let quiet = (QUIET_S.0 * 1e9) as u64..(QUIET_S.1 * 1e9) as u64;
    let mut took: Vec<u64> = run
        .history
        .operations
        .iter()
        .filter(|operation| is_there(operation.client) && operation.op.is_write() == writes)
        .filter(|operation| quiet.contains(&operation.start_ns) && matches!(operation.status, Status::Ok { .. }))
        .map(|operation| operation.end_ns - operation.start_ns)
        .collect();
    percentile(&mut took, UNDISTURBED).map_or(f64::NAN, |ns| ns as f64 / 1e6)
}
