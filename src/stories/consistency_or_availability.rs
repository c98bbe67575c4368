//! consistency-or-availability: every design of the ladder under one cut. What a design asks for before it answers says
//! who is served, and whether what two sides say can contradict.

use super::claim::{Measurement, Prediction, Tolerance};
use super::consensus::{SETTLED, cut, judged, last_until, majority, scenario, seen, served, settled_s, site, yes};
use super::{Bound, Model, Observed, Setup, Variant};
use crate::fault::model::Fault;
use crate::run::RunError;
use crate::systems::System;
use serde::{Deserialize, Serialize};

const EAST: &str = "served in the east";
const WEST: &str = "served in the west";
const LINEARIZABLE: &str = "linearizable (1: yes)";

/// What a design asks for before it answers.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    /// Any node.
    One,
    /// Every node.
    All,
    /// A majority of all nodes.
    Majority,
}

const DESIGNS: [(System, Asks); 6] = [
    (System::DualPrimary, Asks::One),
    (System::PrimaryBackupAsync, Asks::One),
    (System::PrimaryBackupSync, Asks::All),
    (System::Lease, Asks::Majority),
    (System::Quorum, Asks::Majority),
    (System::Raft, Asks::Majority),
];

/// The story.
pub(super) struct ConsistencyOrAvailability;

/// What may be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Nodes in the east.
    east: u16,
    /// Nodes in the west.
    west: u16,
    /// When the line between the sites is cut.
    cut_at_s: f64,
    /// For how long.
    cut_s: f64,
}

impl Model for ConsistencyOrAvailability {
    type Parameters = Parameters;

    fn name(&self) -> &'static str {
        "consistency-or-availability"
    }

    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: "dual-primary", what: "any node answers, either side takes over", naive: true },
                Variant {
                    name: "primary-backup-async",
                    what: "any node answers that thinks it is primary",
                    naive: true,
                },
                Variant { name: "primary-backup-sync", what: "every node must have a write", naive: false },
                Variant { name: "lease", what: "a majority must have a write, the lease's holder reads", naive: false },
                Variant { name: "quorum", what: "a majority must have a write, a majority is read", naive: false },
                Variant { name: "raft", what: "a majority must have a write in its place in the log", naive: false },
            ]
        }
    }

    fn bounds(&self, p: &Parameters) -> Vec<Bound> {
        vec![
            ("east", f64::from(p.east), 1.0..=7.0),
            ("west", f64::from(p.west), 1.0..=7.0),
            ("cut_at_s", p.cut_at_s, 3.0..=20.0),
            ("cut_s", p.cut_s, 5.0..=30.0),
        ]
    }

    fn assumptions(&self, p: &Parameters) -> Vec<String> {
        vec![
            format!("{} nodes in the east, {} in the west, three clients each", p.east, p.west),
            format!("nothing passes between the sites from {} s to {} s", p.cut_at_s, p.cut_at_s + p.cut_s),
            "reads and writes only: two compare-and-sets at once break the quorum without any cut".into(),
            format!("served: once {SETTLED} maximum election time-outs have passed since the cut"),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["nothing: the systems of the testbed, judged as everywhere"]
    }

    fn predict(&self, p: &Parameters) -> Vec<Prediction> {
        let all = p.east + p.west;
        let of = |((_, asks), variant): (&(System, Asks), &Variant)| {
            let served = |side: u16| match asks {
                Asks::One => side >= 1,
                Asks::All => side == all,
                Asks::Majority => side >= majority(all),
            };
            let because = match asks {
                Asks::One => "either side has a node, and both answer",
                Asks::All => "neither side has every node",
                Asks::Majority => "at most one side has a majority",
            };
            let share = |side: u16| (100.0 * yes(served(side)), "%");
            let contradicts = served(p.east) && served(p.west);
            let within = Tolerance::Within;
            [
                Prediction::new(EAST, variant.name, share(p.east), within(5.0), because),
                Prediction::new(WEST, variant.name, share(p.west), within(5.0), because),
                Prediction::new(LINEARIZABLE, variant.name, (yes(!contradicts), ""), within(0.0), because),
            ]
        };
        DESIGNS.iter().zip(self.variants()).flat_map(of).collect()
    }

    fn faults(&self, p: &Parameters) -> Vec<Fault> {
        vec![cut([&["east"], &["west"]], p.cut_at_s, p.cut_s)]
    }

    fn run(&self, p: &Parameters, setup: &Setup) -> Result<Observed, RunError> {
        let mut scenario = scenario("split-brain");
        let clients = scenario.sites[0].clients;
        scenario.sites = vec![site("east", p.east, clients), site("west", p.west, clients)];
        scenario.faults = setup.faults.clone();
        last_until(&mut scenario, p.cut_at_s + p.cut_s);
        scenario.workload.put += scenario.workload.cas;
        scenario.workload.cas = 0;
        let settled = settled_s(&scenario, p.cut_at_s, p.cut_s);
        let at = self.variants().iter().position(|variant| variant.name == setup.variant).unwrap_or_default();
        judged(&scenario, DESIGNS[at].0, setup, seen, |run| {
            vec![
                Measurement::new(EAST, served(run, &["east"], settled, settled.1)),
                Measurement::new(WEST, served(run, &["west"], settled, settled.1)),
                Measurement::new(LINEARIZABLE, run.outcome.linearizable.map_or(f64::NAN, yes)),
            ]
        })
    }
}
