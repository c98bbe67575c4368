//! The type of a fault's field: for the documentation, and for a form that offers it.

use super::check::{DELAY_MS, PROBABILITY_PPM, UP_TO_A_DAY};
use serde::Serialize;

/// A field of a kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in scenario files.
    pub name: &'static str,
    /// The type of its value.
    #[serde(flatten)]
    pub holds: Holds,
    /// Whether it must be given.
    pub required: bool,
    /// What it means, in a few words.
    pub words: &'static str,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Holds {
    /// Lists of hosts, no host in two of them.
    Groups,
    /// Hosts: nodes, sites, the clients of a site.
    Hosts,
    /// Hosts, or a role.
    HostsOrRole,
    /// One host or site.
    Host,
    /// One host or site, or a role.
    HostOrRole,
    /// Nodes.
    Nodes,
    /// A node or the nodes of a site, or a role.
    NodeOrRole,
    /// Kinds of message.
    MessageKinds,
    /// Yes or no.
    Flag,
    /// A whole number, both ends included.
    Number {
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
}

impl Field {
    /// The node or role that a fault targets.
    pub const TARGET: Field = Field::new("target", Holds::NodeOrRole, "the node or role");

    /// A field that must be given.
    pub const fn new(name: &'static str, holds: Holds, words: &'static str) -> Field {
        Field { name, holds, required: true, words }
    }

    /// A positive number, for example of milliseconds.
    pub const fn positive(name: &'static str, words: &'static str) -> Field {
        Field::number(name, *UP_TO_A_DAY.start() as i64, *UP_TO_A_DAY.end() as i64, words)
    }

    /// A probability in parts per million, which may be 0.
    pub const fn ppm(name: &'static str, words: &'static str) -> Field {
        Field::number(name, *PROBABILITY_PPM.start() as i64, *PROBABILITY_PPM.end() as i64, words)
    }

    /// A delay of single messages in milliseconds, which may be 0.
    pub const fn delay(name: &'static str, words: &'static str) -> Field {
        Field::number(name, *DELAY_MS.start() as i64, *DELAY_MS.end() as i64, words)
    }

    /// A number, both ends included.
    pub const fn number(name: &'static str, least: i64, most: i64, words: &'static str) -> Field {
        Field::new(name, Holds::Number { least, most }, words)
    }

    /// The same field, which may be left out.
    pub const fn optional(self) -> Field {
        Field { required: false, ..self }
    }

    /// Whether it may hold a role.
    pub fn takes_role(&self) -> bool {
        matches!(self.holds, Holds::HostsOrRole | Holds::HostOrRole | Holds::NodeOrRole)
    }
}
