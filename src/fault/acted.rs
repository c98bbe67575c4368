//! What is recorded of aimed faults.
//!
//! Once an aimed fault has acted it is known when, and on which node. [`acted`] makes a schedule without aims of that, which is
//! what a run carries and a recording holds: replay and shrinking need no trigger.

use super::kinds::FaultKind;
use super::model::{Fault, Schedule};
use super::topology::{TargetRole, Topology};
use crate::trace::HostId;

/// When an aimed fault began, and at which node the event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// In milliseconds since the start of the run.
    pub at_ms: u64,
    /// The node.
    pub there: HostId,
}

/// A fault that begins now because its moment has come: at this time, with this node for `@there`. It ends with the load at
/// the latest, as every fault does.
pub fn begun(fault: &Fault, began: Began, topology: &Topology, duration_ms: u64) -> Fault {
    let for_ms = fault.for_ms.map(|length| length.min(duration_ms - began.at_ms));
    let there = topology.name(began.there);
    Fault { at_ms: began.at_ms, for_ms, kind: fault.kind.with_there(there), when: None }
}

/// A schedule as it was carried out: each aimed fault where it acted, and those left out that never did. In order of their
/// beginning, as every recorded schedule is. Also where each fault of the old schedule is in the new one.
pub fn acted(schedule: &Schedule) -> (Schedule, Vec<Option<u32>>) {
    let is_done = |fault: &&usize| schedule.faults[**fault].when.is_none();
    let order: Vec<usize> = order(schedule).iter().filter(is_done).copied().collect();
    let mut moved = vec![None; schedule.faults.len()];
    for (new, old) in (0u32..).zip(&order) {
        moved[*old] = Some(new);
    }
    (Schedule { faults: order.iter().map(|fault| schedule.faults[*fault].clone()).collect() }, moved)
}

/// The indices of a schedule's faults in the order of their beginning; of those that begin together, in its own order.
pub fn order(schedule: &Schedule) -> Vec<usize> {
    let mut order: Vec<usize> = (0..schedule.faults.len()).collect();
    order.sort_by_key(|fault| schedule.faults[*fault].at_ms);
    order
}

impl FaultKind {
    /// The same fault with this node in the place of `@there`.
    #[must_use]
    pub fn with_there(&self, node: &str) -> FaultKind {
        if !self.names_there() {
            return self.clone();
        }
        // Through the form of the files: each kind has its names in fields of its own.
        let mut value = serde_json::to_value(self).expect("faults are plain data");
        put(&mut value, node);
        serde_json::from_value(value).expect("a name stands where a name stood")
    }

    /// The same fault of the node at which its moment is, if it has a single target.
    #[must_use]
    pub fn aimed_there(&self) -> FaultKind {
        if self.target().is_none() {
            return self.clone();
        }
        let mut value = serde_json::to_value(self).expect("faults are plain data");
        value["target"] = TargetRole::There.name().into();
        serde_json::from_value(value).expect("a kind with one target has it in this field")
    }

    /// Whether it names the node at which its moment was.
    pub fn names_there(&self) -> bool {
        self.role_targets().iter().any(|target| target.0 == TargetRole::There.name())
    }
}

fn put(value: &mut serde_json::Value, node: &str) {
    use serde_json::Value;
    match value {
        Value::String(text) if text == TargetRole::There.name() => node.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|value| put(value, node)),
        Value::Object(fields) => fields.values_mut().for_each(|value| put(value, node)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::aim::{Aim, Moment};
    use crate::fault::kinds::{Kill, OneWay};
    use crate::fault::topology::Target;
    use crate::fault::topology::tests::two_sites;

    fn there() -> Target {
        Target(TargetRole::There.name().into())
    }

    #[test]
    fn a_fault_that_acted_is_one_of_the_usual_kind() {
        let aim = Aim { event: Moment::PrimaryElected, delay_ms: 20 };
        let aimed = Fault { at_ms: 1000, for_ms: Some(900), kind: Kill { target: there() }.into(), when: Some(aim) };
        assert_eq!(
            aimed.to_string(),
            "kill of @there, for 0.900 s, when a node becomes primary, 20 ms later, not before 1.000 s"
        );
        let begun = begun(&aimed, Began { at_ms: 1500, there: HostId(2) }, &two_sites(), 2000);
        let plain =
            Fault { at_ms: 1500, for_ms: Some(500), kind: Kill { target: Target("n2".into()) }.into(), when: None };
        assert_eq!(begun, plain, "it ends with the load");
        // The first of these never acted.
        let early = Fault { at_ms: 100, ..plain.clone() };
        let (schedule, moved) = acted(&Schedule { faults: vec![aimed, plain.clone(), early.clone()] });
        assert_eq!(schedule.faults, [early, plain]);
        assert_eq!(moved, [None, Some(1), Some(0)]);
    }

    #[test]
    fn there_is_found_wherever_a_kind_keeps_its_names() {
        let cut = OneWay { from: vec![there()], to: vec![Target("n1".into())] };
        let kind: FaultKind = cut.into();
        assert!(kind.names_there());
        assert_eq!(kind.with_there("n3").to_string(), "one-way cut n3 -> n1");
        assert!(!kind.with_there("n3").names_there());
    }
}
