//! What a fault is: plain data, in the words of scenario files.

pub use super::aim::{Aim, Moment};
pub use super::chaos::Chaos;
pub use super::kinds::FaultKind;
pub use super::topology::Target;

use super::words::seconds;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A fault schedule, made before the run: it can be shown, shrunk, shared and replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule {
    /// In order of their beginning; a fault's index here is its identity in the trace.
    pub faults: Vec<Fault>,
}

/// One fault: it begins and, unless it lasts to the end of the run, ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins, in simulated milliseconds since the start of the run; of an aimed fault: not before.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds; absent: to the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// What it waits for, if it is aimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Aim>,
    /// What it does.
    #[serde(flatten)]
    pub kind: FaultKind,
}

impl Fault {
    /// When it ends, in milliseconds, if it does.
    pub fn ends_ms(&self) -> Option<u64> {
        self.for_ms.map(|length| self.at_ms.saturating_add(length))
    }
}

impl fmt::Display for Fault {
    /// `partition east | west, from 6.000 s to 18.000 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(aim) = self.when {
            let lasts = self.for_ms.map_or("to the end".into(), |ms| format!("for {}", seconds(ms)));
            return write!(f, "{}, {lasts}, {aim}, not before {}", self.kind, seconds(self.at_ms));
        }
        let until = self.ends_ms().map_or("the end".into(), seconds);
        write!(f, "{}, from {} to {until}", self.kind, seconds(self.at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::{Isolate, Partition};

    #[test]
    fn faults_read_as_sentences_do() {
        let group = |names: &[&str]| names.iter().map(|name| Target((*name).into())).collect();
        let kind = Partition { groups: vec![group(&["n1", "n2"]), group(&["west"])] }.into();
        let fault = Fault { at_ms: 6000, for_ms: Some(500), kind, when: None };
        assert_eq!(fault.to_string(), "partition n1, n2 | west, from 6.000 s to 6.500 s");
        let kind = Isolate { target: Target("@leader".into()), from_clients: true }.into();
        let fault = Fault { at_ms: 0, for_ms: None, kind, when: None };
        assert_eq!(fault.to_string(), "isolation of @leader, from clients too, from 0.000 s to the end");
    }
}
