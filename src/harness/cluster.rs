//! An external service as a system under test: its nodes, its clients' attempts, and the record of both.

use super::attempts::{self, Attempts};
use super::judge::{Asked, Dialogue, ObjectJudge};
use super::service::{Answer, Call, Object, Service};
use crate::check::linearizability::model::Model;
use crate::host::{Host, lock};
use crate::kv::Key;
use crate::rng;
use crate::run::{RunError, Subject};
use crate::scenario::Scenario;
use crate::systems::protocol::Reply;
use crate::systems::{self, Answering, Attempt, Cluster, Process};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a test may test: a [`Service`], or the nodes of a program (`Nodes`, with the feature `nodes`).
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be tested: implement `Service` for it, or return `Nodes`")]
pub trait Tested: 'static {
    /// A fresh one for the run of a scenario and a seed, under the name of the test.
    ///
    /// # Errors
    /// When there is no such thing to run: an error of the test.
    fn fresh(self, name: &str, scenario: &Scenario, seed: u64) -> Result<Fresh, RunError>;
}

/// What is run, and the place where the attempts of its clients are written down.
pub struct Fresh {
    pub(super) subject: Subject,
    pub(super) attempts: Attempts,
}

impl<S: Service> Tested for S {
    fn fresh(self, name: &str, _scenario: &Scenario, _seed: u64) -> Result<Fresh, RunError> {
        let attempts = Attempts::default();
        Ok(Fresh { subject: subject_with(name, self, attempts.clone()), attempts })
    }
}

/// By client and scripted key, the last answer.
type LastAnswers<O> = Mutex<BTreeMap<(u32, Key), <O as Model>::Ret>>;

/// A service as the simulator sees it.
struct ServiceCluster<S: Service> {
    service: Arc<S>,
    object: Arc<S::Object>,
    dialogue: Dialogue<S::Object>,
    attempts: Attempts,
    /// The last answer that each client got, by scripted key.
    last: LastAnswers<S::Object>,
}

impl<S: Service> ServiceCluster<S> {
    /// What an operation asks for: decided before its first attempt.
    fn asked(&self, attempt: &Attempt<'_>) -> <S::Object as Model>::Op {
        let decide = || {
            let op = &attempt.command.op;
            let last = lock(&self.last).get(&(attempt.by, op.key())).cloned();
            Asked { op: self.object.operation_after(op, last.as_ref()), ret: None }
        };
        lock(&self.dialogue).entry(attempt.operation).or_insert_with(decide).op.clone()
    }

    fn attempted(&self, attempt: &Attempt<'_>, answer: Answer<<S::Object as Model>::Ret>) -> systems::Attempted {
        match answer {
            Answer::Ok(ret) => {
                let outcome = self.object.outcome(&ret);
                let json = serde_json::to_string(&ret).expect("an answer is plain data");
                lock(&self.last).insert((attempt.by, attempt.command.op.key()), ret.clone());
                let asked = &mut lock(&self.dialogue);
                asked.get_mut(&attempt.operation).expect("it was asked before it was answered").ret = Some(ret);
                let reply = Reply::Ok { outcome, acknowledged_by: attempt.node, term: 0 };
                systems::Attempted { reply, hash: rng::hash_bytes(0, json.as_bytes()) }
            }
            Answer::Refused { instead } => {
                let hint = instead.and_then(|name| attempt.client.fabric().host(&name));
                Reply::Refused { hint }.into()
            }
            Answer::Unknown => Reply::Unknown.into(),
        }
    }
}

impl<S: Service> Cluster for ServiceCluster<S> {
    fn process(&self, host: Host) -> Process {
        Box::pin(self.service.clone().node(host))
    }

    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(async move {
            let op = self.asked(&attempt);
            let node = attempt.client.fabric().name(attempt.node);
            attempts::begins(&self.attempts, &attempt);
            let call = Call { node, op: &op, tag: attempt.command.tag, timeout: attempt.timeout };
            let answer = tokio::time::timeout(attempt.timeout, self.service.call(attempt.client, call)).await;
            let in_words = match &answer {
                Ok(Answer::Ok(ret)) => format!("{ret:?}"),
                Ok(Answer::Refused { instead: None }) => "refused".into(),
                Ok(Answer::Refused { instead: Some(node) }) => format!("refused, ask {node}"),
                Ok(Answer::Unknown) => "unknown".into(),
                Err(_) => "no answer in time, so unknown,".into(),
            };
            attempts::ends(&self.attempts, &attempt, in_words);
            self.attempted(&attempt, answer.unwrap_or(Answer::Unknown))
        })
    }

    fn may_repeat(&self, operation: u32) -> bool {
        lock(&self.dialogue).get(&operation).is_some_and(|asked| self.service.is_idempotent(&asked.op))
    }
}

/// A fresh service as something that can be run.
pub fn subject<S: Service>(name: &str, service: S) -> Subject {
    subject_with(name, service, Attempts::default())
}

/// The same; the attempts of its clients are written down in `attempts`.
fn subject_with<S: Service>(name: &str, service: S, attempts: Attempts) -> Subject {
    let (object, dialogue) = (Arc::new(service.object()), Dialogue::<S::Object>::default());
    let judge = ObjectJudge { object: object.clone(), dialogue: dialogue.clone() };
    let (service, last) = (Arc::new(service), Mutex::default());
    let cluster = ServiceCluster { service, object, dialogue, attempts, last };
    Subject {
        name: name.to_owned(),
        cluster: Arc::from(Box::new(cluster) as Box<dyn Cluster>),
        object: if S::Object::IS_STORE { None } else { Some(Arc::new(judge)) },
    }
}
