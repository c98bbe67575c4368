//! The verdict on a history of an object that is not the key-value store.

use super::service::Object;
use crate::check::linearizability::Budget;
use crate::check::linearizability::model::{Invocation, Model, ModelAnswer, check_model};
use crate::check::{Certificate, CheckName, Violation};
use crate::history::{History, Operation, Status};
use crate::host::lock;
use crate::run::{Judge, Judged};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// More operations than this are counted, not listed.
const TOLD: usize = 5;

/// What was asked and answered in a run, by operation.
pub(super) type Dialogue<O> = Arc<Mutex<BTreeMap<u32, Asked<O>>>>;

/// One operation: what was asked, and the answer, if one came.
pub(super) struct Asked<O: Object> {
    pub op: O::Op,
    pub ret: Option<O::Ret>,
}

/// What an object was asked and answered, as its model's checker reads it.
type Call<O> = Invocation<<O as Model>::Op, <O as Model>::Ret>;

/// Checks the clients' operations and answers against the object's model.
pub(super) struct ObjectJudge<O: Object> {
    pub object: Arc<O>,
    pub dialogue: Dialogue<O>,
}

impl<O: Object> Judge for ObjectJudge<O> {
    fn judge(&self, history: &History, budget: Budget) -> Judged {
        let dialogue = lock(&self.dialogue);
        // Operations that definitely failed, or were never sent, did not happen.
        let (operations, invocations): (Vec<&Operation>, Vec<Call<O>>) = history
            .operations
            .iter()
            .filter(|operation| operation.status != Status::Fail)
            .filter_map(|operation| {
                let asked = dialogue.get(&operation.id)?;
                let ret = operation.outcome().and_then(|_| asked.ret.clone());
                let Operation { start_ns, end_ns, .. } = *operation;
                Some((operation, Invocation { op: asked.op.clone(), ret, start_ns, end_ns }))
            })
            .unzip();
        let keys = check_model(&*self.object, &invocations, budget);
        let violations: Vec<Violation> = keys
            .iter()
            .filter(|(_, answer)| *answer == ModelAnswer::Violation)
            .map(|(key, _)| self.violation(*key, &operations, &invocations, budget))
            .collect();
        let is_unknown = keys.iter().any(|(_, answer)| *answer == ModelAnswer::Unknown);
        let linearizable = match (violations.is_empty(), is_unknown) {
            (false, _) => Some(false),
            (true, true) => None,
            (true, false) => Some(true),
        };
        Judged { linearizable, violations }
    }
}

impl<O: Object> ObjectJudge<O> {
    /// The shortest prefix of a key's history that no order explains, and the answer that made it so.
    fn violation(
        &self,
        key: u64,
        operations: &[&Operation],
        invocations: &[Invocation<O::Op, O::Ret>],
        budget: Budget,
    ) -> Violation {
        let of_key: Vec<usize> =
            (0..invocations.len()).filter(|at| self.object.key(&invocations[*at].op) == key).collect();
        let mut ends: Vec<u64> =
            of_key.iter().filter(|at| invocations[**at].ret.is_some()).map(|at| invocations[*at].end_ns).collect();
        ends.sort_unstable();
        // An operation that began before an instant had either its answer by then, or none.
        let until = |at_ns: u64| -> Vec<Invocation<O::Op, O::Ret>> {
            let begun = of_key.iter().map(|at| &invocations[*at]).filter(|invocation| invocation.start_ns <= at_ns);
            let seen = |invocation: &Invocation<O::Op, O::Ret>| Invocation {
                op: invocation.op.clone(),
                ret: invocation.ret.clone().filter(|_| invocation.end_ns <= at_ns),
                start_ns: invocation.start_ns,
                end_ns: invocation.end_ns,
            };
            begun.map(seen).collect()
        };
        let is_broken = |at_ns: u64| {
            let answers = check_model(&*self.object, &until(at_ns), budget);
            answers.iter().any(|(_, answer)| *answer == ModelAnswer::Violation)
        };
        let first = ends.partition_point(|at_ns| !is_broken(*at_ns));
        let at_ns = ends.get(first).copied().unwrap_or(u64::MAX);
        let begun: Vec<usize> = of_key.into_iter().filter(|at| invocations[*at].start_ns <= at_ns).collect();
        let last = begun.iter().copied().find(|at| invocations[*at].end_ns == at_ns);
        let tell = |at: usize| match &invocations[at].ret {
            Some(ret) if invocations[at].end_ns <= at_ns => {
                format!("client {}'s {:?} answered {ret:?}", operations[at].client, invocations[at].op)
            }
            _ => format!("client {}'s {:?} had no answer", operations[at].client, invocations[at].op),
        };
        let before: Vec<usize> = begun.iter().copied().filter(|at| Some(*at) != last).collect();
        let context = match before.len() {
            0 => "though nothing came before".to_owned(),
            count if count > TOLD => format!("and no order of the {count} operations before it explains that"),
            _ => format!(
                "and no order explains that after: {}",
                before.iter().map(|at| tell(*at)).collect::<Vec<_>>().join("; ")
            ),
        };
        let sentence = match last {
            Some(last) => format!("{} at {:.3} s, {context}", tell(last), at_ns as f64 / 1e9),
            None => format!("no order explains the answers about {key}"),
        };
        Violation {
            check: CheckName::Linearizability,
            certificate: Certificate {
                sentence,
                operations: begun.into_iter().map(|at| operations[at].id).collect(),
                at_ns: last.map(|_| at_ns),
                ..Certificate::default()
            },
        }
    }
}
