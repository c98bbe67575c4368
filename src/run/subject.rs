//! What is run, and how its history is checked.

use crate::check::Violation;
use crate::check::linearizability::Budget;
use crate::history::History;
use crate::systems::Cluster;
use std::sync::Arc;

/// What is run: a cluster, and how its history is checked.
pub struct Subject {
    /// The name in outcomes and files.
    pub name: String,
    /// A fresh cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Checks the history if the object is not the key-value store; `None`: it is.
    pub object: Option<Arc<dyn Judge>>,
}

/// Checks the history of an object that is not the key-value store.
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

/// What the checks of a run may cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Budget of the linearizability search, where zones do not apply.
    pub budget: Budget,
}
