//! The kinds of fault, one file each: its fields, its words, its effect, how it is checked, drawn and shrunk, and its
//! row in `docs/FAULTS.md`. Code that treats all kinds alike goes through the list at the end; `docs/GROWING.md` says
//! how to add to it.

mod bridge;
mod clock;
mod corrupt_reads;
mod disk_errors;
mod flapping;
mod full_disk;
mod hold;
mod isolate;
mod kill;
mod latency;
mod lost_sync;
mod majorities_ring;
mod membership;
mod messages;
mod one_way;
mod partition;
mod pause;
mod power_loss;
mod slow_disk;

use super::check::{Check, Wrong};
use super::draw::Draw;
use super::effect::{Effect, Scene};
use super::kind::{Click, Family, Flaps, Kind, Sort};
use super::ranges::Ranges;
use super::remaining::Remaining;
use super::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A click that the playground offers, and the fault that it makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// `link` or `node`: what is clicked.
    pub on: &'static str,
    /// The words in the menu.
    pub words: &'static str,
    /// The fault, with [`Offer::A`] and [`Offer::B`] for the ends of the link, [`Offer::A`] for the node.
    pub fault: FaultKind,
}

impl Offer {
    /// Stands for the node that is clicked, or for one end of the link.
    pub const A: &'static str = "{a}";
    /// Stands for the other end of the link.
    pub const B: &'static str = "{b}";

    fn of<K: Kind + Into<FaultKind>>(click: &Click<K>) -> Offer {
        let [a, b] = [Offer::A, Offer::B].map(|end| Target(end.to_owned()));
        match click {
            Click::Link(words, fault) => Offer { on: "link", words, fault: fault(a, b).into() },
            Click::Node(words, fault) => Offer { on: "node", words, fault: fault(a).into() },
        }
    }
}

/// A kind of fault, as a form or a page of documentation presents it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its description.
    #[serde(flatten)]
    pub sort: &'static Sort,
    /// The faults of this kind that the playground offers.
    pub clicks: Vec<Offer>,
}

macro_rules! kinds {
    ($($file:ident::$Kind:ident,)*) => {
        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($file)),*];

        $(pub use $file::$Kind;)*

        /// A fault of any kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "fault", rename_all = "snake_case")]
        pub enum FaultKind {
            $(#[doc = concat!("See [`struct@", stringify!($Kind), "`].")] $Kind($Kind),)*
        }

        $(impl From<$Kind> for FaultKind {
            fn from(kind: $Kind) -> FaultKind {
                FaultKind::$Kind(kind)
            }
        })*

        impl fmt::Display for FaultKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(FaultKind::$Kind(kind) => kind.fmt(f),)* }
            }
        }

        impl FaultKind {
            /// The description of each kind, in the order of the list.
            pub const SORTS: &'static [Sort] = &[$($Kind::SORT),*];

            /// The names of all kinds in scenario files, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($Kind::SORT.name),*];

            /// The description of its kind.
            pub fn sort(&self) -> &'static Sort {
                match self { $(FaultKind::$Kind(_) => &$Kind::SORT,)* }
            }

            /// Checks its fields against the topology.
            ///
            /// # Errors
            /// The first field that makes no sense.
            pub fn check(&self, check: &Check) -> Result<(), Wrong> {
                match self { $(FaultKind::$Kind(kind) => kind.check(check),)* }
            }

            /// Its effect on the hosts of a run.
            pub fn effect(&self, scene: &Scene) -> Effect {
                match self { $(FaultKind::$Kind(kind) => kind.effect(scene),)* }
            }

            /// A fault of the kind of this name, as the nemesis draws it.
            ///
            /// # Panics
            /// If there is no such kind.
            pub fn draw(name: &str, draw: &mut Draw) -> FaultKind {
                $(if name == $Kind::SORT.name {
                    return $Kind::draw(draw).into();
                })*
                unreachable!("kinds are filtered before: {name}")
            }

            /// How long a drawn fault of this kind lasts, in milliseconds, if not as long as any other kind.
            pub fn lasts(&self, ranges: &Ranges) -> Option<[u64; 2]> {
                match self { $(FaultKind::$Kind(_) => $Kind::lasts(ranges),)* }
            }

            /// The one host or role that it targets, if it has a single target.
            pub fn target(&self) -> Option<&Target> {
                match self { $(FaultKind::$Kind(kind) => kind.target(),)* }
            }

            /// The targets that may name a role.
            pub fn role_targets(&self) -> Vec<&Target> {
                match self { $(FaultKind::$Kind(kind) => kind.role_targets(),)* }
            }

            /// The intervals at which it comes and goes while it lasts, if it does.
            pub fn flaps(&self) -> Option<Flaps> {
                match self { $(FaultKind::$Kind(kind) => kind.flaps(),)* }
            }

            /// The partition that remains if a detail is dropped that shrinking may do without, if there is one.
            pub fn plain_cut(&self) -> Option<FaultKind> {
                let groups = match self { $(FaultKind::$Kind(kind) => kind.plain_cut(),)* };
                groups.map(|groups| Partition { groups }.into())
            }

            /// The same fault among the hosts that remain when some are removed, or its plain cut if the fault itself
            /// is no longer possible; `None` if it concerns none of them.
            pub fn among(&self, remaining: &Remaining) -> Option<FaultKind> {
                let same = match self { $(FaultKind::$Kind(kind) => kind.among(remaining).map(FaultKind::$Kind),)* };
                same.or_else(|| self.plain_cut()?.among(remaining))
            }

            /// What a form or a page of documentation needs of every kind.
            pub fn catalogue() -> Vec<Entry> {
                vec![$(Entry { sort: &$Kind::SORT, clicks: $Kind::CLICKS.iter().map(Offer::of).collect() }),*]
            }
        }
    };
}

impl FaultKind {
    /// The name in scenario files.
    pub fn name(&self) -> &'static str {
        self.sort().name
    }

    /// Whether it cuts links, in any shape.
    pub fn is_cut(&self) -> bool {
        self.sort().family == Family::Cut
    }

    /// Whether it cuts links in one direction only.
    pub fn is_one_way_cut(&self) -> bool {
        matches!(self, FaultKind::OneWay(_))
    }

    /// Whether it concerns disks.
    pub fn is_disk(&self) -> bool {
        self.sort().family == Family::Disk
    }

    /// The names of the kinds that may name a role.
    pub fn role_takers() -> Vec<&'static str> {
        FaultKind::SORTS.iter().filter(|sort| sort.takes_roles()).map(|sort| sort.name).collect()
    }
}

// In the order in which tables and errors name them, and in which the nemesis deals them: another order gives every seed
// another schedule.
kinds! {
    partition::Partition,
    one_way::OneWay,
    majorities_ring::MajoritiesRing,
    bridge::Bridge,
    isolate::Isolate,
    flapping::Flapping,
    latency::Latency,
    hold::Hold,
    messages::Messages,
    kill::Kill,
    pause::Pause,
    slow_disk::SlowDisk,
    disk_errors::DiskErrors,
    full_disk::FullDisk,
    lost_sync::LostSync,
    corrupt_reads::CorruptReads,
    power_loss::PowerLoss,
    clock::Clock,
    membership::Membership,
}

#[cfg(test)]
pub(crate) mod tests;
