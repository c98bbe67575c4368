//! How a kind of fault is described and what it does. Each kind is one file of [`super::kinds`].

use super::check::{Check, Wrong};
use super::draw::Draw;
use super::effect::{Effect, Scene};
use super::field::Field;
use super::ranges::Ranges;
use super::remaining::Remaining;
use super::topology::Target;
use serde::Serialize;
use std::fmt;

/// A kind of fault: its fields as a struct, whose `Display` is the fault in words.
pub trait Kind: Sized + fmt::Display + 'static {
    /// The description of the kind.
    const SORT: Sort;

    /// The faults that the playground offers for a click on a link or a node.
    const CLICKS: &'static [Click<Self>] = &[];

    /// Checks its fields against the topology.
    ///
    /// # Errors
    /// The first field that makes no sense.
    fn check(&self, check: &Check) -> Result<(), Wrong>;

    /// Its effect on the hosts of a run.
    fn effect(&self, scene: &Scene) -> Effect;

    /// A fault of this kind as the nemesis draws it. The order of the draws is part of every seed's schedule and must
    /// not change.
    fn draw(draw: &mut Draw) -> Self;

    /// The same fault among the hosts that remain when some are removed; `None` if it concerns none of them.
    fn among(&self, remaining: &Remaining) -> Option<Self>;

    /// The one host or role that it targets, if it has a single target.
    fn target(&self) -> Option<&Target> {
        None
    }

    /// The targets that may name a role.
    fn role_targets(&self) -> Vec<&Target> {
        self.target().into_iter().collect()
    }

    /// The groups of the partition that remains if a detail is dropped that shrinking may do without, if there is one.
    fn plain_cut(&self) -> Option<Vec<Vec<Target>>> {
        None
    }

    /// The intervals at which it comes and goes while it lasts, if it does.
    fn flaps(&self) -> Option<Flaps> {
        None
    }

    /// How long a drawn fault of this kind lasts, in milliseconds, if not as long as any other kind.
    fn lasts(_ranges: &Ranges) -> Option<[u64; 2]> {
        None
    }
}

/// The description of a kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sort {
    /// Its name in scenario files, which is that of its file.
    pub name: &'static str,
    /// What it breaks.
    pub family: Family,
    /// The title of its band in the timeline, at most 14 columns. Kinds with the same title share a band.
    pub title: &'static str,
    /// What it does, in a few words: its row in `docs/FAULTS.md`.
    pub does: &'static str,
    /// Its fields, in the order of the struct.
    pub fields: &'static [Field],
    /// Whether the nemesis may choose it.
    #[serde(flatten)]
    pub drawn: Drawn,
    /// How many nodes there must be for the nemesis to choose it.
    pub least_nodes: usize,
    /// What state it leaves its nodes in.
    pub leaves: Leaves,
}

impl Sort {
    /// Whether one of its fields may name a role.
    pub fn takes_roles(&self) -> bool {
        self.fields.iter().any(Field::takes_role)
    }
}

/// What a fault breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Links: nothing passes.
    Cut,
    /// Links: everything passes late.
    Delay,
    /// Single messages.
    Messages,
    /// Processes.
    Process,
    /// Disks, and the power that they need.
    Disk,
    /// Clocks.
    Clock,
    /// Membership of the cluster.
    Members,
}

/// Whether the nemesis may choose a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "drawn", content = "because", rename_all = "snake_case")]
pub enum Drawn {
    /// Yes, unless the scenario lists other kinds.
    Freely,
    /// Only if the scenario lists it: not every system can handle it.
    IfNamed,
    /// Never, for this reason.
    Never(&'static str),
}

/// The state in which a fault leaves its nodes. The nemesis keeps a majority of the nodes able to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaves {
    /// The nodes can serve, if others reach them.
    Able,
    /// The nodes run and cannot serve.
    Unable,
    /// The nodes do not run.
    Stopped,
}

/// How a fault comes and goes between its beginning and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaps {
    /// Milliseconds in force.
    pub down_ms: u64,
    /// Milliseconds gone.
    pub up_ms: u64,
}

/// A fault that a click makes, and its words in the menu.
pub enum Click<K> {
    /// Of the link between two places, nodes or sites.
    Link(&'static str, fn(Target, Target) -> K),
    /// Of a node.
    Node(&'static str, fn(Target) -> K),
}
