//! What is run, and how what its clients saw is judged.

use crate::check::Violation;
use crate::check::linearizability::Budget;
use crate::history::History;
use crate::systems::Cluster;
use std::sync::Arc;

/// What is run: a cluster, and how what its clients saw is judged.
pub struct Subject {
    /// The name in outcomes and files.
    pub name: String,
    /// A fresh cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Judges a history of an object that is not the key-value store; `None`: it is.
    pub object: Option<Arc<dyn Judge>>,
}

/// Judges what clients saw of an object that is not the key-value store.
pub trait Judge {
    /// The verdict on a history.
    fn judge(&self, history: &History, budget: Budget) -> Judged;
}

/// What a [`Judge`] found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// Whether the history is linearizable; `None`: the budget ended first.
    pub linearizable: Option<bool>,
    /// What is wrong.
    pub violations: Vec<Violation>,
}

/// What a run may spend on being judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Budget of the linearizability search, where zones do not apply.
    pub budget: Budget,
}
