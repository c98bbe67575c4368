//! split-brain as a lesson: who is served on either side of a cut, and whether the two sides contradict each other.
//!
//! A side is served where it has what the design asks for: with consensus, a majority of all voters; with two
//! primaries, any one node. At most one side can have a majority, so at most one is served, and so nothing contradicts.

use super::claim::{Measurement, Prediction, Tolerance};
use super::consensus::{
    cut, forked, judged, last_until, lasting, majority, scenario, served, settled_s, silence, site, yes,
};
use super::{Bound, Model, Observed, Setup, Variant};
use crate::fault::model::{Fault, FaultKind, Target};
use crate::run::RunError;
use crate::systems::System;
use serde::{Deserialize, Serialize};

const DUAL: &str = "dual-primary";
const RAFT: &str = "raft";
const WITNESS: &str = "raft-witness";
const SITE_LOST: &str = "raft-site-lost";

const EAST: &str = "served in the east, settled";
const WEST: &str = "served in the west, settled";
const FORKED: &str = "split-brain certified (1: yes)";

/// How long after the cut somebody looks at the servers, in seconds: nothing has been decided yet.
const LOOKED_S: f64 = 0.5;

/// The story.
pub(super) struct SplitBrain;

/// What may be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Voters in the east.
    east: u16,
    /// Voters in the west.
    west: u16,
    /// Voters in each of the two sites, where a third has one, the witness.
    each_beside_witness: u16,
    /// When the line between the sites is cut.
    cut_at_s: f64,
    /// For how long.
    cut_s: f64,
}

impl Parameters {
    fn voters(&self) -> u16 {
        self.east + self.west
    }
}

impl Model for SplitBrain {
    type Parameters = Parameters;

    fn name(&self) -> &'static str {
        "split-brain"
    }

    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: DUAL, what: "each side takes over for the other when it falls silent", naive: true },
                Variant { name: RAFT, what: "a majority of all voters decides", naive: false },
                Variant {
                    name: WITNESS,
                    what: "the same, and a third site votes, which hears the east only",
                    naive: false,
                },
                Variant {
                    name: SITE_LOST,
                    what: "a majority decides, and the east loses its power, too",
                    naive: false,
                },
            ]
        }
    }

    fn bounds(&self, p: &Parameters) -> Vec<Bound> {
        vec![
            ("east", f64::from(p.east), 1.0..=7.0),
            ("west", f64::from(p.west), 1.0..=7.0),
            ("each_beside_witness", f64::from(p.each_beside_witness), 1.0..=3.0),
            ("cut_at_s", p.cut_at_s, 3.0..=20.0),
            ("cut_s", p.cut_s, 5.0..=30.0),
        ]
    }

    fn assumptions(&self, p: &Parameters) -> Vec<String> {
        let settled = settled_s(&scenario("split-brain"), p.cut_at_s, p.cut_s);
        vec![
            format!(
                "{} voters in the east, {} in the west; three clients each, which ask their own side first",
                p.east, p.west
            ),
            format!("nothing passes between the sites from {} s to {} s", p.cut_at_s, p.cut_at_s + p.cut_s),
            format!("settled: operations planned from {:.1} s to {:.1} s, acknowledged by then", settled.0, settled.1),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["nothing: the systems of the testbed, judged as everywhere"]
    }

    fn predict(&self, p: &Parameters) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let mut say = |variant, [east, west]: [bool; 2], forks: bool, because: &str| {
            for (claim, served) in [(EAST, east), (WEST, west)] {
                let share = (100.0 * yes(served), "%");
                predictions.push(Prediction::new(claim, variant, share, Tolerance::Within(5.0), because));
            }
            let forks = (yes(forks), "");
            predictions.push(Prediction::new(FORKED, variant, forks, Tolerance::Within(0.0), because));
        };
        let has = |voters: u16, of: u16| voters >= majority(of);
        say(DUAL, [true, true], true, "any node may be primary, and either side has one");
        let voters = p.voters();
        say(RAFT, [has(p.east, voters), has(p.west, voters)], false, "only a majority of all voters may decide");
        let (side, voters) = (p.each_beside_witness, 2 * p.each_beside_witness + 1);
        let because = "the witness makes the east a majority";
        say(WITNESS, [has(side + 1, voters), has(side, voters)], false, because);
        let because = "what is left alive on one side of the cut must be a majority";
        say(SITE_LOST, [false, has(p.west, p.voters())], false, because);
        predictions
    }

    fn faults(&self, p: &Parameters) -> Vec<Fault> {
        vec![cut([&["east"], &["west"]], p.cut_at_s, p.cut_s)]
    }

    fn run(&self, p: &Parameters, setup: &Setup) -> Result<Observed, RunError> {
        let mut scenario = scenario(if setup.variant == WITNESS { "split-brain-witness" } else { "split-brain" });
        scenario.faults = setup.faults.clone();
        last_until(&mut scenario, p.cut_at_s + p.cut_s);
        let (clients, each) = (scenario.sites[0].clients, p.each_beside_witness);
        match setup.variant {
            WITNESS => {
                scenario.sites[0] = site("east", each, clients);
                scenario.sites[1] = site("west", each, clients);
                scenario.faults.push(cut([&["north"], &["west", "east.clients"]], p.cut_at_s, p.cut_s));
            }
            _ => scenario.sites = vec![site("east", p.east, clients), site("west", p.west, clients)],
        }
        if setup.variant == SITE_LOST {
            let kill = |node| FaultKind::Kill { target: Target(format!("n{node}")) };
            scenario.faults.extend((1..=p.east).map(|node| lasting(p.cut_at_s, p.cut_s, kill(node))));
        }
        let system = if setup.variant == DUAL { System::DualPrimary } else { System::Raft };
        let settled = settled_s(&scenario, p.cut_at_s, p.cut_s);
        let evidence = |run: &_| silence(run, p.cut_at_s + LOOKED_S);
        judged(&scenario, system, setup, evidence, |run| {
            vec![
                Measurement::new(EAST, served(run, &["east"], settled, settled.1)),
                Measurement::new(WEST, served(run, &["west"], settled, settled.1)),
                Measurement::new(FORKED, yes(forked(&run.outcome))),
            ]
        })
    }
}
