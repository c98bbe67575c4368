//! Every check on the evidence of a run, and the verdict.

use super::{Doubt, Judged, Lack, Liveness, Options, Outcome, Run, Subject, Verdict, figures, powerless, situations};
use crate::check::{self, Certificate, CheckName, Violation, linearizability};
use crate::fault::fold::Timeline;
use crate::history::{History, Status};
use crate::host::fabric::Panic;
use crate::scenario::{Explicit, Recorded, Scenario, Situation};
use crate::sim::{Evidence, Plan};
use crate::trace::{Trace, digest};
use std::collections::BTreeMap;

/// Judges the evidence of a run.
pub fn judge(scenario: &Scenario, subject: &Subject, plan: &Plan, evidence: Evidence, options: &Options) -> Run {
    let Evidence { trace, history, acts, powerless: told_powerless, panics, .. } = evidence;
    let timeline = Timeline::of(&plan.schedule, plan.timing.duration_ms);
    let counters = figures::counters(&trace, &plan.schedule);

    let Judged { linearizable, mut violations } = match &subject.object {
        Some(object) => object.judge(&history, options.budget),
        None => {
            let report = linearizability::check(&history, options.budget);
            Judged { linearizable: report.linearizable(), violations: client_visible(&history, &trace, &report) }
        }
    };
    let conflicting_acks = check::split_brain::conflicting_acks(&violations);
    let lost_acked_writes =
        violations.iter().filter(|violation| violation.check == CheckName::LostWrite).count() as u64;
    violations.extend(check::raft::check(&trace));
    violations.extend(panicked(&panics));
    let (liveness, recovered_ms) =
        liveness(scenario, &subject.name, plan, &timeline, &history, &trace, &mut violations);
    let converged = check::convergence::check(&trace).is_none();

    let situations = situations::count(plan, &trace);
    let mut doubts = Vec::new();
    if linearizable.is_none() {
        let why = "the linearizability search spent its budget before it had an answer".to_owned();
        doubts.push(Doubt { lack: Lack::Answer, why });
    }
    let last_fault_end_ns = timeline.last_end_ns().unwrap_or(0);
    let vacuity = check::vacuity::Params { last_fault_end_ns, two_leaders: scenario.nemesis.is_some() };
    doubts.extend(lacks(scenario, plan, &history, &trace, &vacuity, told_powerless, &situations));
    let inconclusive: Vec<String> = doubts.iter().map(|doubt| doubt.why.clone()).collect();
    let verdict = match (violations.is_empty(), inconclusive.is_empty()) {
        (false, _) => Verdict::Violation,
        (true, false) => Verdict::Inconclusive,
        (true, true) => Verdict::Pass,
    };

    // Probes and final reads have larger ids than any operation of the script.
    let last = plan.script.last().map(|op| op.id);
    let mut scripted = history.clone();
    scripted.operations.retain(|operation| Some(operation.id) <= last);
    let count =
        |is: fn(&Status) -> bool| scripted.operations.iter().filter(|operation| is(&operation.status)).count() as u64;
    let mut outcome = Outcome {
        scenario: scenario.name.clone(),
        system: subject.name.clone(),
        seed: plan.seed,
        verdict,
        violations,
        inconclusive,
        liveness,
        converged,
        digest: digest::of(""),
        // Through JSON: postcard cannot encode the flattened form that scenario files have.
        schedule_digest: digest::of(&serde_json::to_string(&plan.schedule.faults).expect("a schedule is plain data")),
        script_digest: digest::of(&plan.script),
        acked: count(|status| matches!(status, Status::Ok { .. })),
        failed: count(|status| matches!(status, Status::Fail)),
        unknown: count(|status| matches!(status, Status::Info)),
        lost_acked_writes,
        conflicting_acks,
        linearizable,
        leader_changes: check::primaries::leader_changes(&trace),
        acting_primaries_overlap_s: check::primaries::total_ns(&check::primaries::overlaps(&trace)) as f64 / 1e9,
        acks_by_node: check::primaries::acks_by_node(&scripted, &trace),
        availability: figures::availability(scenario, plan, &timeline, &history),
        recovered_ms,
        simulated_s: evidence.ended_ns as f64 / 1e9,
        tick_ms: plan.timing.tick_ms,
        nodes: plan.topology.nodes,
        hosts: plan.topology.hosts() - 1,
        counters,
        situations,
    };
    outcome.digest = run_digest(&outcome, &trace, &history);
    let explicit = Explicit {
        seed: plan.seed,
        system: subject.name.clone(),
        schedule: plan.schedule.faults.clone(),
        script: plan.script.clone(),
        acts: Some(acts),
        verdict: Recorded {
            verdict: verdict.name().to_owned(),
            checks: outcome.failed_checks(),
            digest: outcome.digest,
        },
    };
    let explicit = Scenario { explicit: Some(explicit), ..scenario.clone() };
    Run { outcome, trace, history, explicit, doubts }
}

/// What the run lacked, so that passing every check would prove nothing.
fn lacks(
    scenario: &Scenario,
    plan: &Plan,
    history: &History,
    trace: &Trace,
    vacuity: &check::vacuity::Params,
    powerless: Vec<String>,
    situations: &BTreeMap<Situation, u64>,
) -> Vec<Doubt> {
    let vacuous = check::vacuity::check(history, vacuity).into_iter().map(|(lack, why)| {
        let lack = match lack {
            check::vacuity::Lack::Answers => Lack::Service,
            check::vacuity::Lack::SecondLeader => Lack::SecondLeader,
        };
        Doubt { lack, why }
    });
    let told = powerless.into_iter().map(|why| Doubt { lack: Lack::Power, why });
    let seen = powerless::check(plan, trace).into_iter().map(|(lack, why)| {
        let lack = match lack {
            powerless::Lack::Role => Lack::Role,
            powerless::Lack::Target => Lack::Power,
        };
        Doubt { lack, why }
    });
    let missing = scenario.situations.iter().filter(|situation| situations[situation] == 0).map(|situation| {
        let why = format!("{} never occurred, and is required", situation.name());
        Doubt { lack: Lack::Situation(*situation), why }
    });
    vacuous.chain(told).chain(seen).chain(missing).collect()
}

/// What clients can see to be wrong: split-brain first, since it explains the others.
fn client_visible(history: &History, trace: &Trace, report: &linearizability::Report) -> Vec<Violation> {
    let suspects: Vec<_> = report
        .witnesses()
        .map(|witness| check::split_brain::Suspect { key: witness.key, operations: witness.operations.clone() })
        .collect();
    if suspects.is_empty() {
        // A linearizable history has lost nothing.
        return Vec::new();
    }
    let mut violations = check::split_brain::check(history, trace, &suspects);
    violations.extend(report.witnesses().map(|witness| Violation {
        check: CheckName::Linearizability,
        certificate: Certificate {
            sentence: witness.sentence.clone(),
            operations: witness.operations.clone(),
            at_ns: Some(witness.at_ns),
            ..Certificate::default()
        },
    }));
    violations.extend(check::lost_write::check(history));
    violations
}

/// The first panic of a node.
fn panicked(panics: &[Panic]) -> Option<Violation> {
    let Panic { host, t_ns, said } = panics.first()?;
    let more = match panics.len() {
        1 => String::new(),
        all => format!(" ({all} panics in all)"),
    };
    let sentence = format!("{host} panicked at {}: {said}{more}", check::seconds(*t_ns));
    let certificate = Certificate { sentence, nodes: vec![*host], at_ns: Some(*t_ns), ..Certificate::default() };
    Some(Violation { check: CheckName::Panic, certificate })
}

fn liveness(
    scenario: &Scenario,
    system: &str,
    plan: &Plan,
    timeline: &Timeline,
    history: &History,
    trace: &Trace,
    violations: &mut Vec<Violation>,
) -> (Liveness, Option<u64>) {
    let expected = scenario.expect.get(system).and_then(|expectation| expectation.live);
    let required = expected.unwrap_or_else(|| plan.schedule.all_end());
    let params = check::liveness::Params {
        last_fault_end_ns: plan.quiet_from_ns(timeline),
        limit_ns: plan.liveness_limit().as_nanos() as u64,
        clients: plan.client_count(),
        required,
    };
    let report = check::liveness::check(history, trace, &params);
    violations.extend(report.violation);
    let liveness = match (report.live, required) {
        (true, _) => Liveness::Ok,
        (false, true) => Liveness::Failed,
        (false, false) => Liveness::NotRequired,
    };
    (liveness, report.recovered_ns.map(|ns| ns / 1_000_000))
}

/// The digest of everything a run showed: events, history, verdict, certificates, counters.
fn run_digest(outcome: &Outcome, trace: &Trace, history: &History) -> digest::Digest {
    let mut hasher = digest::Hasher::default();
    hasher.add(&trace.names);
    trace.events.iter().for_each(|event| hasher.add(event));
    history.operations.iter().for_each(|operation| hasher.add(operation));
    hasher.add(&outcome.verdict);
    for violation in &outcome.violations {
        hasher.add(&violation.check);
        hasher.add(&violation.certificate.sentence);
    }
    hasher.add(&outcome.counters);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::kv::{Key, Value};
    use crate::report::sample;
    use crate::run::{deployment, plan, run_subject};
    use crate::systems::{Cluster, Process, System};
    use crate::trace::HostId;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    /// A Raft cluster, one of whose followers has a task that panics and that nothing else depends on.
    struct Careless {
        cluster: Arc<dyn Cluster>,
        panics: bool,
    }

    impl Cluster for Careless {
        fn process(&self, host: Host) -> Process {
            if self.panics && host.id() == HostId(5) && host.local_ns() < 1_000_000_000 {
                let asleep = host.clone();
                host.spawn(async move {
                    asleep.sleep(Duration::from_secs(1)).await;
                    panic!("nobody had thought of that");
                });
            }
            self.cluster.process(host)
        }

        fn state(&self, node: HostId) -> BTreeMap<Key, Value> {
            self.cluster.state(node)
        }
    }

    /// The node is back before anybody misses it: no other check has anything to say.
    #[test]
    fn a_panic_is_a_violation_though_everything_else_is_well() {
        let scenario = Scenario { faults: Vec::new(), ..sample::scenario() };
        let judged = |panics| {
            let deployment = deployment(&scenario, &plan(&scenario, 7));
            let cluster = System::Raft.cluster(&deployment).expect("openraft is built").into();
            let cluster = (Box::new(Careless { cluster, panics }) as Box<dyn Cluster>).into();
            let subject = Subject { name: "raft".to_owned(), cluster, object: None };
            run_subject(&scenario, &subject, 7, &Options::default()).expect("it runs").outcome
        };
        let well = judged(false);
        assert_eq!((well.verdict, well.failed_checks()), (Verdict::Pass, vec![]), "{:?}", well.inconclusive);
        let ill = judged(true);
        assert_eq!((ill.verdict, ill.failed_checks()), (Verdict::Violation, vec!["panic".to_owned()]));
        let Certificate { sentence, nodes, .. } = &ill.violations[0].certificate;
        assert!(
            sentence.starts_with("n5 panicked at 1.0") && sentence.ends_with("nobody had thought of that"),
            "{sentence}"
        );
        assert_eq!(nodes, &[HostId(5)]);
        assert_ne!(well.digest, ill.digest);
    }
}
