//! Validates a schedule against a topology. Each error names the fault and the field, and says what is allowed.

pub use super::check::message_chaos;

use super::aim::{Aim, Moment};
use super::check::{Check, Wrong, wrong};
use super::model::{Fault, FaultKind};
use super::topology::Topology;
use std::fmt;

/// A fault that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScheduleError {
    /// Its index in the schedule.
    pub fault: usize,
    /// Its kind's name in scenario files.
    pub kind: &'static str,
    /// When it begins, in milliseconds.
    pub at_ms: u64,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What is allowed.
    pub help: String,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScheduleError { fault, kind, at_ms, field, problem, help } = self;
        write!(f, "fault {fault} (`{kind}` at {at_ms} ms), `{field}`: {problem}; {help}")
    }
}

/// Checks every fault of a schedule against the topology and the run's duration in milliseconds.
///
/// # Errors
/// The first fault that makes no sense.
pub fn validate(faults: &[Fault], topology: &Topology, duration_ms: u64) -> Result<(), ScheduleError> {
    let check = Check { topology, role_takers: &FaultKind::role_takers() };
    for (index, fault) in faults.iter().enumerate() {
        timing(fault, duration_ms).and_then(|()| fault.kind.check(&check)).map_err(|(field, problem, help)| {
            ScheduleError { fault: index, kind: fault.kind.name(), at_ms: fault.at_ms, field, problem, help }
        })?;
    }
    Ok(())
}

fn timing(fault: &Fault, duration_ms: u64) -> Result<(), Wrong> {
    if fault.when.is_none() && fault.kind.names_there() {
        let help = "write `when = { event = \"...\" }`, or name a node or another role";
        return wrong("when", "`@there` is where an aimed fault's event was, and this fault is not aimed", help);
    }
    if let Some(Aim { event, delay_ms }) = fault.when {
        if delay_ms > duration_ms {
            let help = format!("allowed: `delay_ms` of 0 to {duration_ms}");
            return wrong("when", format!("a delay of {delay_ms} ms is longer than the run"), help);
        }
        if event == Moment::PrimaryUnheard && delay_ms == 0 {
            let help = "allowed: `delay_ms` of 1 and more, which is how long the silence lasts";
            return wrong("when", "a silence of no time", help);
        }
    }
    if fault.at_ms >= duration_ms {
        return wrong("at_ms", "it begins after the run's end", format!("allowed: 0 to {}", duration_ms.max(1) - 1));
    }
    match fault.ends_ms() {
        Some(_) if fault.for_ms == Some(0) => wrong(
            "for_ms",
            "it ends as it begins",
            "allowed: 1 and more; leave the field out for a fault that lasts to the end of the run",
        ),
        Some(end) if end > duration_ms => wrong(
            "for_ms",
            format!("it ends at {end} ms, after the run's {duration_ms} ms"),
            format!(
                "allowed: up to {}; leave the field out for a fault that lasts to the end of the run",
                duration_ms - fault.at_ms
            ),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::Kill;
    use crate::fault::topology::Target;
    use crate::fault::topology::tests::two_sites;

    #[test]
    fn times_are_checked() {
        let kill: FaultKind = Kill { target: Target("n1".into()) }.into();
        let fault = |at_ms, for_ms| Fault { at_ms, for_ms, kind: kill.clone(), when: None };
        let error = |at_ms, for_ms| validate(&[fault(at_ms, for_ms)], &two_sites(), 10_000).unwrap_err().to_string();
        assert!(error(10_000, None).contains("allowed: 0 to 9999"));
        assert!(error(9_000, Some(0)).contains("ends as it begins"));
        assert!(error(9_000, Some(1_001)).contains("allowed: up to 1000;"));
        assert!(error(9_000, Some(u64::MAX)).contains("after the run's 10000 ms"));
        assert_eq!(validate(&[fault(9_999, None)], &two_sites(), 10_000), Ok(()));
    }
}
