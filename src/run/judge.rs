//! All checks on the evidence of a run, and the verdict.

use super::outcome::{Doubt, Lack, Liveness, Outcome, Run, Verdict};
use super::plan::Plan;
use super::subject::{Judged, Options, Subject};
use super::{figures, powerless, situations};
use crate::check::{self, Certificate, CheckName, Violation, linearizability};
use crate::history::{History, Status};
use crate::host::processes::Panic;
use crate::scenario::{Scenario, Situation};
use crate::sim::Evidence;
use crate::trace::{Trace, digest};
use std::collections::BTreeMap;

/// Checks the evidence of a run.
pub fn judge(
    scenario: &Scenario,
    subject: &Subject,
    plan: Plan,
    evidence: Evidence,
    history: History,
    options: &Options,
) -> Run {
    let case = Case { scenario, subject, plan: &plan, evidence: &evidence, history: &history };
    let findings = case.findings(options);
    let situations = situations::count(&plan.world, &evidence.trace);
    let doubts = case.doubts(&findings, &situations);
    let outcome = case.outcome(findings, &doubts, situations);
    let (scenario, Evidence { trace, acts, bytes_between_nodes, .. }) = (scenario.clone(), evidence);
    Run { scenario, plan, outcome, acts, trace, history, doubts, bytes_between_nodes }
}

/// The evidence.
struct Case<'a> {
    scenario: &'a Scenario,
    subject: &'a Subject,
    plan: &'a Plan,
    evidence: &'a Evidence,
    history: &'a History,
}

/// What the checks say.
struct Findings {
    linearizable: Option<bool>,
    violations: Vec<Violation>,
    liveness: Liveness,
    recovered_ms: Option<u64>,
}

impl Case<'_> {
    /// Every check.
    fn findings(&self, options: &Options) -> Findings {
        let (history, trace) = (self.history, &self.evidence.trace);
        let Judged { linearizable, mut violations } = match &self.subject.object {
            Some(object) => object.judge(history, options.budget),
            None => {
                let report = linearizability::check(history, options.budget);
                Judged { linearizable: report.linearizable(), violations: client_visible(history, trace, &report) }
            }
        };
        violations.extend(check::raft::check(trace));
        violations.extend(panicked(&self.evidence.panics));
        violations.extend(self.catch_up());
        let (liveness, recovered_ms) = self.liveness(&mut violations);
        Findings { linearizable, violations, liveness, recovered_ms }
    }

    fn catch_up(&self) -> Option<Violation> {
        let Plan { world, load } = self.plan;
        let params = check::catch_up::Params {
            last_fault_end_ns: world.timeline().last_end_ns().unwrap_or(0),
            limit_ns: load.recovery_ms * 1_000_000,
            required: world.schedule.all_end(),
        };
        check::catch_up::check(self.history, &self.evidence.trace, &params)
    }

    fn liveness(&self, violations: &mut Vec<Violation>) -> (Liveness, Option<u64>) {
        let Plan { world, load } = self.plan;
        let expected = self.scenario.expect.get(&self.subject.name).and_then(|expectation| expectation.live);
        let required = expected.unwrap_or_else(|| world.schedule.all_end());
        let params = check::liveness::Params {
            last_fault_end_ns: world.quiet_from_ns(),
            limit_ns: load.recovery_ms * 1_000_000,
            clients: load.client_count(),
            required,
        };
        let report = check::liveness::check(self.history, &self.evidence.trace, &params);
        violations.extend(report.violation);
        let liveness = match (report.live, required) {
            (true, _) => Liveness::Ok,
            (false, true) => Liveness::Failed,
            (false, false) => Liveness::NotRequired,
        };
        (liveness, report.recovered_ns.map(|ns| ns / 1_000_000))
    }

    /// What the run lacked, so that passing every check would prove nothing.
    fn doubts(&self, findings: &Findings, situations: &BTreeMap<Situation, u64>) -> Vec<Doubt> {
        let unanswered = findings.linearizable.is_none().then(|| {
            let why = "the linearizability search spent its budget before it had an answer".to_owned();
            Doubt { lack: Lack::Answer, why }
        });
        let vacuity = check::vacuity::Params {
            last_fault_end_ns: self.plan.world.timeline().last_end_ns().unwrap_or(0),
            two_leaders: self.scenario.nemesis.is_some(),
        };
        let vacuous = check::vacuity::check(self.history, &vacuity).into_iter().map(|(lack, why)| {
            let lack = match lack {
                check::vacuity::Lack::Answers => Lack::Service,
                check::vacuity::Lack::SecondLeader => Lack::SecondLeader,
            };
            Doubt { lack, why }
        });
        let told = self.evidence.powerless.iter().map(|why| Doubt { lack: Lack::Power, why: why.clone() });
        let seen = powerless::check(&self.plan.world, &self.evidence.trace).into_iter().map(|(lack, why)| {
            let lack = match lack {
                powerless::Lack::Role => Lack::Role,
                powerless::Lack::Target => Lack::Power,
            };
            Doubt { lack, why }
        });
        let is_missing = |situation: &&Situation| situations[*situation] == 0;
        let missing = self.scenario.situations.iter().filter(is_missing).map(|situation| {
            let why = format!("{} never occurred, and is required", situation.name());
            Doubt { lack: Lack::Situation(*situation), why }
        });
        let differs = self.subject.cluster.differs().map(|why| Doubt { lack: Lack::Repetition, why });
        let lacking = unanswered.into_iter().chain(vacuous).chain(told).chain(seen).chain(missing);
        lacking.chain(differs).collect()
    }

    /// The judgement and the figures.
    fn outcome(&self, findings: Findings, doubts: &[Doubt], situations: BTreeMap<Situation, u64>) -> Outcome {
        let (Plan { world, load }, trace, history) = (self.plan, &self.evidence.trace, self.history);
        let Findings { linearizable, violations, liveness, recovered_ms } = findings;
        let verdict = match (violations.is_empty(), doubts.is_empty()) {
            (false, _) => Verdict::Violation,
            (true, false) => Verdict::Inconclusive,
            (true, true) => Verdict::Pass,
        };
        let scripted = self.scripted();
        let count = |is: fn(&Status) -> bool| {
            scripted.operations.iter().filter(|operation| is(&operation.status)).count() as u64
        };
        let is_lost_write = |violation: &&Violation| violation.check == CheckName::LostWrite;
        let mut outcome = Outcome {
            scenario: self.scenario.name.clone(),
            system: self.subject.name.clone(),
            seed: world.seed,
            verdict,
            inapplicable: check::raft::inapplicable(&self.evidence.trace).to_vec(),
            inconclusive: doubts.iter().map(|doubt| doubt.why.clone()).collect(),
            liveness,
            converged: check::convergence::check(trace).is_none(),
            digest: digest::of(""),
            // Through JSON: postcard cannot encode the flattened form that scenario files have.
            schedule_digest: digest::of(&serde_json::to_string(self.plan.faults()).expect("faults are plain data")),
            script_digest: digest::of(&load.script),
            acked: count(|status| matches!(status, Status::Ok { .. })),
            failed: count(|status| matches!(status, Status::Fail)),
            unknown: count(|status| matches!(status, Status::Info)),
            lost_acked_writes: violations.iter().filter(is_lost_write).count() as u64,
            conflicting_acks: check::split_brain::conflicting_acks(&violations),
            violations,
            linearizable,
            leader_changes: check::primaries::leader_changes(trace),
            acting_primaries_overlap_s: check::primaries::total_ns(&check::primaries::overlaps(trace)) as f64 / 1e9,
            acks_by_node: check::primaries::acks_by_node(&scripted, trace),
            availability: figures::availability(self.scenario, self.plan, history),
            recovered_ms,
            simulated_s: self.evidence.ended_ns as f64 / 1e9,
            tick_ms: world.tick_ms,
            nodes: world.topology.nodes,
            hosts: world.topology.hosts() - 1,
            counters: figures::counters(trace, &world.schedule),
            fault_kinds: self.plan.faults().iter().map(|fault| fault.kind.name().to_owned()).collect(),
            situations,
        };
        outcome.digest = run_digest(&outcome, trace, history);
        outcome
    }

    /// The operations of the script. Probes and final reads have larger ids than any of them.
    fn scripted(&self) -> History {
        let last = self.plan.load.script.last().map(|op| op.id);
        let mut scripted = self.history.clone();
        scripted.operations.retain(|operation| Some(operation.id) <= last);
        scripted
    }
}

/// Violations that show in the history: split-brain first, since it explains the others.
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

        fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
            self.cluster.state(node)
        }
    }

    /// The node is back before it is missed, so no other check fails.
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
