//! A dependency graph in which openraft has features that change its types: schism's harness compiles in it, and
//! reports which systems it lacks.

use openraft::{CommittedLeaderId, LeaderId, OptionalSend, RaftTypeConfig, TokioRuntime};
use schism::run::{Options, Verdict, run};
use schism::scenario;
use schism::systems::System;
use std::rc::Rc;

/// Data that is not `Send`: openraft accepts it only with `singlethreaded`.
#[derive(Debug, Clone)]
struct Local(#[expect(dead_code, reason = "it is there for what it is not: Send")] Rc<u32>);

openraft::declare_raft_types!(
    /// With `generic-snapshot-data`, a snapshot need not be readable like a file.
    pub Theirs:
        D = String,
        R = String,
        SnapshotData = Vec<String>,
        AsyncRuntime = TokioRuntime,
);

#[test]
fn openraft_has_the_three_features_here() {
    fn sendable_enough<T: OptionalSend>(_: &T) {}
    sendable_enough(&Local(Rc::new(1)));
    // `single-term-leader`: a term has one leader, so log ids need not name it.
    let _ = LeaderId::<u64> { term: 3, voted_for: Some(1) };
    assert_eq!(CommittedLeaderId::<u64>::new(3, 1), CommittedLeaderId::new(3, 2));
    let _: Option<<Theirs as RaftTypeConfig>::SnapshotData> = None;
}

#[test]
fn systems_on_openraft_say_that_they_are_left_out() {
    let scenario = scenario::load("split-brain").unwrap();
    for name in ["raft", "raft-local-reads", "raft-memory", "read-after-restart"] {
        let system: System = name.parse().expect("files that name it can be read");
        let refused = run(&scenario, system, 7, &Options::default()).expect_err("there is no openraft to run it");
        assert_eq!(
            refused.to_string(),
            format!(
                "this build has no openraft, on which `{name}` runs: enable the feature `openraft` of the crate `schism`"
            )
        );
    }
    let there = run(&scenario, System::DualPrimary, 7, &Options::default()).unwrap();
    assert_eq!(there.outcome.verdict, Verdict::Violation);
}
