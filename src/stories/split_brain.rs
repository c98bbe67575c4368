//! split-brain as a lesson: which clients are served on either side of a cut, and whether the two sides contradict each
//! other.
//!
//! A side is served if it has what the design requires: with consensus, a majority of all voters; with two primaries,
//! any one node. At most one side can have a majority, so at most one is served, and no answers contradict.

use super::claim::{Measurement, Prediction, Tolerance};
use super::consensus::{
    Offered, cut, forked, judged, last_until, majority, scenario, served, settled, settled_s, silence, site, yes,
};
use super::model::{Bound, Model, Observed, Setup, Variant};
use super::world::lasting;
use crate::fault::kinds::Kill;
use crate::fault::model::{Fault, Target};
use crate::run::RunError;
use crate::systems::System;
use serde::{Deserialize, Serialize};

const DUAL: &str = "dual-primary";
const RAFT: &str = "raft";
const WITNESS: &str = "raft-witness";
const SITE_LOST: &str = "raft-site-lost";

const EAST: &str = "served in time, east";
const WEST: &str = "served in time, west";
const FORKED: &str = "split-brain certified (1: yes)";

/// How long after the cut the servers' logs are read, in seconds: no node has reacted yet.
const LOOKED_S: f64 = 0.5;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SplitBrain {
    /// Voters in the east.
    east: u16,
    /// Voters in the west.
    west: u16,
    /// Voters in the east, where a third site has one, the witness.
    east_beside_witness: u16,
    /// Voters in the west, where a third site has one.
    west_beside_witness: u16,
    /// Which of the two the witness hears while they are cut off from each other.
    witness_hears: Side,
    /// When the line between the sites is cut.
    cut_at_s: f64,
    /// For how long.
    cut_s: f64,
}

/// A side of the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
enum Side {
    East,
    West,
}

impl Side {
    fn name(self) -> &'static str {
        self.into()
    }
}

impl SplitBrain {
    fn voters(&self) -> u16 {
        self.east + self.west
    }

    /// The witness's own vote is the one more.
    fn voters_with_witness(&self) -> u16 {
        self.east_beside_witness + self.west_beside_witness + 1
    }

    /// What cuts the witness off from one of the sides. Customers of the other side can ask it, since it may be
    /// elected and a leader that no customer reaches serves no request.
    fn witness_cut(&self) -> Fault {
        let silent = if self.witness_hears == Side::East { "west" } else { "east" };
        cut([&["north"], &[silent]], self.cut_at_s, self.cut_s)
    }
}

impl Model for SplitBrain {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: DUAL, what: "each side takes over for the other when it falls silent", naive: true },
                Variant { name: RAFT, what: "a majority of all voters decides", naive: false },
                Variant {
                    name: WITNESS,
                    what: "two sites, and one vote in a third, which hears one of them",
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

    fn what(&self, variant: &Variant) -> String {
        let two = format!("{} + {} voters", self.east, self.west);
        match variant.name {
            DUAL => format!("{} + {} servers, {}", self.east, self.west, variant.what),
            WITNESS => format!(
                "{} + {} + 1 voters: a third site has one, and hears the {} only",
                self.east_beside_witness,
                self.west_beside_witness,
                self.witness_hears.name()
            ),
            _ => format!("{two}, {}", variant.what),
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("east", f64::from(self.east), 1.0..=7.0),
            ("west", f64::from(self.west), 1.0..=7.0),
            ("east_beside_witness", f64::from(self.east_beside_witness), 1.0..=4.0),
            ("west_beside_witness", f64::from(self.west_beside_witness), 1.0..=4.0),
            ("cut_at_s", self.cut_at_s, 3.0..=20.0),
            ("cut_s", self.cut_s, 7.0..=30.0),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!("{} voters in the east, {} in the west", self.east, self.west),
            format!(
                "with a witness: {} in the east, {} in the west, 1 in a third site without customers",
                self.east_beside_witness, self.west_beside_witness
            ),
            "three clients in the east, three in the west, which ask their own side first".into(),
            format!("nothing passes between the sites from {} s to {} s", self.cut_at_s, self.cut_at_s + self.cut_s),
            settled(&scenario("split-brain"), self.cut_at_s, self.cut_s),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["nothing: the systems of the testbed, judged as everywhere"]
    }

    fn predict(&self) -> Vec<Prediction> {
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
        let voters = self.voters();
        let because = format!("{} of {voters} voters are a majority, and only that may decide", majority(voters));
        say(RAFT, [has(self.east, voters), has(self.west, voters)], false, &because);
        let voters = self.voters_with_witness();
        let heard = |side| u16::from(self.witness_hears == side);
        let east = self.east_beside_witness + heard(Side::East);
        let west = self.west_beside_witness + heard(Side::West);
        let because = format!("with the witness: {east} of {voters} in the east, {west} in the west");
        say(WITNESS, [has(east, voters), has(west, voters)], false, &because);
        let because = "what is left alive on one side of the cut must be a majority";
        say(SITE_LOST, [false, has(self.west, self.voters())], false, because);
        predictions
    }

    fn faults(&self) -> Vec<Fault> {
        vec![cut([&["east"], &["west"]], self.cut_at_s, self.cut_s)]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let mut scenario = scenario(if setup.variant == WITNESS { "split-brain-witness" } else { "split-brain" });
        scenario.faults = setup.faults.clone();
        last_until(&mut scenario, self.cut_at_s + self.cut_s);
        let clients = scenario.sites[0].clients;
        match setup.variant {
            WITNESS => {
                scenario.sites[0] = site("east", self.east_beside_witness, clients);
                scenario.sites[1] = site("west", self.west_beside_witness, clients);
                scenario.faults.push(self.witness_cut());
            }
            _ => scenario.sites = vec![site("east", self.east, clients), site("west", self.west, clients)],
        }
        if setup.variant == SITE_LOST {
            let kill = |node| Kill { target: Target(format!("n{node}")) }.into();
            scenario.faults.extend((1..=self.east).map(|node| lasting(self.cut_at_s, self.cut_s, kill(node))));
        }
        let system = if setup.variant == DUAL { System::DualPrimary } else { System::Raft };
        let period_s = settled_s(&scenario, self.cut_at_s, self.cut_s);
        let evidence = |run: &_| silence(run, self.cut_at_s + LOOKED_S);
        judged(&scenario, system, setup, evidence, |run| {
            vec![
                Measurement::new(EAST, served(run, Offered { sites: &["east"], period_s, writes: None })),
                Measurement::new(WEST, served(run, Offered { sites: &["west"], period_s, writes: None })),
                Measurement::new(FORKED, yes(forked(&run.outcome))),
            ]
        })
    }
}
