//! A program in whatever language as what is tested: each node is a process of it.

use super::attempts::{self, Attempts};
use super::cluster::{Fresh, Tested};
use crate::host::Host;
use crate::kv::{Key, Value};
use crate::run::{RunError, subject};
use crate::scenario::Scenario;
use crate::systems::nodes::{PATIENCE_VARIABLE, Program, Service, set_patience};
use crate::systems::protocol::Reply;
use crate::systems::{Answering, Attempt, Cluster, Process, Reconfiguration, Reconfiguring, System};
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A program, in whatever language, whose processes are the nodes (`docs/NODES.md`). It goes where a
/// [`Service`](super::Service) does:
///
/// ```ignore
/// #[schism::test(scenario = "chaos", seeds = 20)]
/// fn the_store_survives() -> Nodes {
///     Nodes::new("python3 raft.py")
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Nodes {
    command: String,
    service: &'static str,
}

impl Nodes {
    /// The program of this command line, which is run in the package's folder and asked what `lin-kv` asks.
    pub fn new(command: impl Into<String>) -> Nodes {
        Nodes { command: command.into(), service: "lin-kv" }
    }

    /// What its nodes are asked, by the name of the service.
    #[must_use]
    pub fn service(self, name: &'static str) -> Nodes {
        Nodes { service: name, ..self }
    }
}

impl Tested for Nodes {
    fn fresh(self, name: &str, scenario: &Scenario, seed: u64) -> Result<Fresh, RunError> {
        let program = Program::named(&format!("nodes/{}:{}", self.service, self.command));
        let program = program.map_err(|error| RunError::Broken(error.to_string()))?;
        if let Some(seconds) = std::env::var_os(PATIENCE_VARIABLE) {
            set_patience(&seconds).map_err(RunError::Broken)?;
        }
        let (mut subject, attempts) = (subject(scenario, System::Nodes(program), seed)?, Attempts::default());
        subject.name = name.to_owned();
        let noted = Noted { of: subject.cluster, service: program.service(), attempts: attempts.clone() };
        subject.cluster = Arc::from(Box::new(noted) as Box<dyn Cluster>);
        Ok(Fresh { subject, attempts })
    }
}

/// A cluster, the attempts of whose clients are noted.
struct Noted {
    of: Arc<dyn Cluster>,
    service: Service,
    attempts: Attempts,
}

impl Cluster for Noted {
    fn process(&self, host: Host) -> Process {
        self.of.process(host)
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        self.of.state(node)
    }

    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(async move {
            attempts::begins(&self.attempts, &attempt);
            let attempted = self.of.attempt(attempt).await;
            let in_words = match attempted.reply {
                Reply::Ok { outcome, .. } if self.service == Service::LinKv => outcome.to_string(),
                Reply::Ok { .. } => "answered".into(),
                Reply::Refused { hint: None } => "refused".into(),
                Reply::Refused { hint: Some(node) } => format!("refused, ask {node}"),
                Reply::Failed => "failed".into(),
                Reply::Unknown => "no answer, or one that leaves it open,".into(),
            };
            attempts::ends(&self.attempts, &attempt, in_words);
            attempted
        })
    }

    fn may_repeat(&self, operation: u32) -> bool {
        self.of.may_repeat(operation)
    }

    fn pace(&self) {
        self.of.pace();
    }

    fn broken(&self) -> Option<String> {
        self.of.broken()
    }

    fn differs(&self) -> Option<String> {
        self.of.differs()
    }

    fn settling(&self) -> Duration {
        self.of.settling()
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        self.of.reconfigure(request)
    }
}
