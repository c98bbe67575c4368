//! consistency-or-availability: every design of the ladder under one cut. What a design requires before it answers a
//! read, and before it acknowledges a write, determines which clients are served, and whether the answers of the two
//! sides can contradict each other.
//!
//! A client waits for the answer to its operation before it sends the next. A client that both reads and writes would
//! be stuck in a write that cannot be acknowledged, and its reads would seem to be refused; so half of the clients of
//! each site read and the others write.

use super::claim::{Measurement, Prediction, Tolerance};
use super::consensus::{
    Offered, cut, judged, last_until, majority, scenario, seen, served, settled, settled_s, site, yes,
};
use super::model::{Bound, Model, Observed, Setup, Variant};
use crate::fault::model::Fault;
use crate::kv::Op;
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::systems::System;
use serde::{Deserialize, Serialize};

const READS: [&str; 2] = ["reads served in time, east", "reads served in time, west"];
const WRITES: [&str; 2] = ["writes served in time, east", "writes served in time, west"];
const LINEARIZABLE: &str = "linearizable (1: yes)";

/// Clients of each site that read, and as many that write.
const EACH: u16 = 3;

/// What a design requires before it answers.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    /// Any node.
    One,
    /// The primary, which is in the east; no other node takes over from it.
    Primary,
    /// Every node.
    All,
    /// A majority of all nodes.
    Majority,
}

/// Each design with what it requires for a read and for a write.
const DESIGNS: [(System, Asks, Asks); 6] = [
    (System::DualPrimary, Asks::One, Asks::One),
    (System::PrimaryBackupAsync, Asks::One, Asks::One),
    (System::PrimaryBackupSync, Asks::Primary, Asks::All),
    (System::Lease, Asks::Majority, Asks::Majority),
    (System::Quorum, Asks::Majority, Asks::Majority),
    (System::Raft, Asks::Majority, Asks::Majority),
];

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistencyOrAvailability {
    /// Nodes in the east.
    east: u16,
    /// Nodes in the west.
    west: u16,
    /// When the line between the sites is cut.
    cut_at_s: f64,
    /// For how long.
    cut_s: f64,
}

impl ConsistencyOrAvailability {
    /// Which sides, east and west, have what is required.
    fn served(&self, asks: Asks) -> [bool; 2] {
        let all = self.east + self.west;
        match asks {
            Asks::One => [true, true],
            Asks::Primary => [true, false],
            Asks::All => [self.east, self.west].map(|side| side == all),
            Asks::Majority => [self.east, self.west].map(|side| side >= majority(all)),
        }
    }

    /// The scenario of the cut, with clients that either read or write.
    fn scenario(&self, system: System, setup: &Setup) -> Scenario {
        let mut scenario = scenario("split-brain");
        scenario.sites = vec![site("east", self.east, 2 * EACH), site("west", self.west, 2 * EACH)];
        scenario.faults = setup.faults.clone();
        last_until(&mut scenario, self.cut_at_s + self.cut_s);
        scenario.workload.cas = 0;
        let mut scenario = scenario.materialised(system.name(), setup.seed);
        for scripted in scenario.explicit.iter_mut().flat_map(|explicit| &mut explicit.script) {
            let key = scripted.op.key();
            let reads = scripted.client % 2 == 0;
            // As everywhere, the value that a write brings is its id.
            scripted.op = if reads { Op::Get { key } } else { Op::Put { key, value: u64::from(scripted.id) } };
        }
        scenario
    }
}

impl Model for ConsistencyOrAvailability {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: "dual-primary", what: "any node answers, either side takes over", naive: true },
                Variant {
                    name: "primary-backup-async",
                    what: "any node answers that thinks it is primary",
                    naive: true,
                },
                Variant {
                    name: "primary-backup-sync",
                    what: "every node must have a write, the primary reads",
                    naive: false,
                },
                Variant { name: "lease", what: "a majority must have a write, the lease's holder reads", naive: false },
                Variant { name: "quorum", what: "a majority must have a write, a majority is read", naive: false },
                Variant { name: "raft", what: "a majority must have a write in its place in the log", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("east", f64::from(self.east), 1.0..=7.0),
            ("west", f64::from(self.west), 1.0..=7.0),
            ("cut_at_s", self.cut_at_s, 3.0..=20.0),
            ("cut_s", self.cut_s, 7.0..=30.0),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!("{} nodes in the east, {} in the west; a single primary is in the east", self.east, self.west),
            format!(
                "{EACH} clients in each site read, {EACH} write; each waits for its answer, up to the time-out, before it \
                 asks again"
            ),
            format!("nothing passes between the sites from {} s to {} s", self.cut_at_s, self.cut_at_s + self.cut_s),
            "reads and writes only: two compare-and-sets at once break the quorum without any cut".into(),
            settled(&scenario("split-brain"), self.cut_at_s, self.cut_s),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["nothing: the systems of the testbed, judged as everywhere"]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for ((_, reads, writes), variant) in DESIGNS.iter().zip(self.variants()) {
            for (claims, asks) in [(READS, *reads), (WRITES, *writes)] {
                let because = match asks {
                    Asks::One => "either side has a node, and both answer",
                    Asks::Primary => "the primary is in the east, answers by itself, and nobody takes over from it",
                    Asks::All => "neither side has every node",
                    Asks::Majority => "at most one side has a majority",
                };
                for (claim, served) in claims.into_iter().zip(self.served(asks)) {
                    let (share, within) = ((100.0 * yes(served), "%"), Tolerance::Within(5.0));
                    predictions.push(Prediction::new(claim, variant.name, share, within, because));
                }
            }
            // If only one side writes, the other cannot contradict it.
            let contradicts = self.served(*writes) == [true, true];
            let because = if contradicts { "both sides write" } else { "at most one side writes" };
            let linearizable = (yes(!contradicts), "");
            predictions.push(Prediction::new(
                LINEARIZABLE,
                variant.name,
                linearizable,
                Tolerance::Within(0.0),
                because,
            ));
        }
        predictions
    }

    fn faults(&self) -> Vec<Fault> {
        vec![cut([&["east"], &["west"]], self.cut_at_s, self.cut_s)]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let at = self.variants().iter().position(|variant| variant.name == setup.variant).unwrap_or_default();
        let (system, ..) = DESIGNS[at];
        let scenario = self.scenario(system, setup);
        let period_s = settled_s(&scenario, self.cut_at_s, self.cut_s);
        judged(&scenario, system, setup, seen, |run| {
            let share = |site: &str, writes| served(run, Offered { sites: &[site], period_s, writes: Some(writes) });
            let mut measured = Vec::new();
            for (side, site) in ["east", "west"].into_iter().enumerate() {
                measured.push(Measurement::new(READS[side], share(site, false)));
                measured.push(Measurement::new(WRITES[side], share(site, true)));
            }
            measured.push(Measurement::new(LINEARIZABLE, run.outcome.linearizable.map_or(f64::NAN, yes)));
            measured
        })
    }
}
