//! What is run, and how its history is checked.

#[cfg(feature = "nodes")]
use super::services::ServiceJudge;
use crate::check::Violation;
use crate::check::linearizability::Budget;
use crate::history::History;
#[cfg(feature = "nodes")]
use crate::systems::nodes::{NodesCluster, Service};
use crate::systems::{Cluster, Deployment, NotBuilt, System};
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

impl Subject {
    /// A system of the testbed, or of somebody's program.
    ///
    /// # Errors
    /// When this build leaves it out.
    pub fn of(system: System, deployment: &Deployment) -> Result<Subject, NotBuilt> {
        let name = system.name().to_owned();
        #[cfg(feature = "nodes")]
        if let System::Nodes(program) = system {
            let cluster = NodesCluster::new(program, deployment);
            let judge = || Arc::new(ServiceJudge { cluster: cluster.clone() }) as Arc<dyn Judge>;
            let object = (program.service() != Service::LinKv).then(judge);
            return Ok(Subject { name, cluster, object });
        }
        Ok(Subject { name, cluster: system.cluster(deployment)?, object: None })
    }
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
