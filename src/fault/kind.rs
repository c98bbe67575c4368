//! What a kind of fault says of itself, and what it does. Each kind is one file of [`super::kinds`].

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
    /// What is known of the kind.
    const SORT: Sort;

    /// What the playground offers for a click on a link or a node.
    const CLICKS: &'static [Click<Self>] = &[];

    /// Checks its fields against the hosts there are.
    ///
    /// # Errors
    /// The first field that makes no sense.
    fn check(&self, check: &Check) -> Result<(), Wrong>;

    /// What it does to the hosts of a run.
    fn effect(&self, scene: &Scene) -> Effect;

    /// One as the nemesis draws it. The order of the draws is part of every seed's schedule: it must not change.
    fn draw(draw: &mut Draw) -> Self;

    /// The same among the hosts that remain when some leave; `None` if it concerns none of them.
    fn among(&self, remaining: &Remaining) -> Option<Self>;

    /// The one host or role that it concerns, if it is of that sort.
    fn target(&self) -> Option<&Target> {
        None
    }

    /// The targets that may name a role.
    fn role_targets(&self) -> Vec<&Target> {
        self.target().into_iter().collect()
    }

    /// The groups that it cuts apart, if it is a partition but for something that shrinking may do without.
    fn plain_cut(&self) -> Option<Vec<Vec<Target>>> {
        None
    }

    /// How it comes and goes while it lasts, if it does.
    fn flaps(&self) -> Option<Flaps> {
        None
    }

    /// How long one that is drawn lasts, in milliseconds, where that is not as long as any fault.
    fn lasts(_ranges: &Ranges) -> Option<[u64; 2]> {
        None
    }
}

/// What is known of a kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sort {
    /// Its name in scenario files, which is that of its file.
    pub name: &'static str,
    /// What it breaks.
    pub family: Family,
    /// What a band of the timeline is called, in 14 columns at most. Kinds with the same title share a band.
    pub title: &'static str,
    /// What happens, in a few words: its row of `docs/FAULTS.md`.
    pub does: &'static str,
    /// Its fields, in the order of the struct.
    pub fields: &'static [Field],
    /// Whether the nemesis chooses it.
    #[serde(flatten)]
    pub drawn: Drawn,
    /// How many nodes there must be for the nemesis to choose it.
    pub least_nodes: usize,
    /// What it leaves of the nodes that it concerns.
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
    /// Who is a member.
    Members,
}

/// Whether the nemesis chooses a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "drawn", content = "because", rename_all = "snake_case")]
pub enum Drawn {
    /// Unless a scenario names others.
    Freely,
    /// If a scenario names it: not every system knows what to make of it.
    IfNamed,
    /// Never, and why.
    Never(&'static str),
}

/// What a fault leaves of the nodes that it concerns. The nemesis sees to it that a majority of the nodes stays able.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaves {
    /// A node that can serve, if others reach it.
    Able,
    /// A node that runs, and cannot serve.
    Unable,
    /// A node that does not run.
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

/// A fault that a click makes, and the words in the menu for it.
pub enum Click<K> {
    /// Of the link between two places, nodes or sites.
    Link(&'static str, fn(Target, Target) -> K),
    /// Of a node.
    Node(&'static str, fn(Target) -> K),
}
