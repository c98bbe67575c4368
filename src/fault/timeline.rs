//! A schedule as the ordered list of its edges.

use super::kind::Flaps;
use super::model::{Fault, Schedule};

/// What happens to a fault at an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It ends. First in order: at one instant, faults that end make room for those that begin.
    End,
    /// A flapping link is whole for a while; the fault goes on.
    FlapUp,
    /// A flapping link is cut again.
    FlapDown,
    /// It begins (a flapping link is cut).
    Begin,
}

/// One edge of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// When it happens, in nanoseconds since the start of the run.
    pub t_ns: u64,
    /// What happens.
    pub phase: Phase,
    /// The fault's index in the schedule.
    pub fault: u32,
}

/// A compiled schedule: its edges in order of (time, phase, fault).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The edges.
    pub edges: Vec<Edge>,
}

const NS_PER_MS: u64 = 1_000_000;

impl Timeline {
    /// Compiles a schedule. A fault without an end has none here either; its flapping goes on until `until_ms`.
    pub fn of(schedule: &Schedule, until_ms: u64) -> Timeline {
        let mut edges = Vec::new();
        // When an aimed fault begins is known once its moment has come.
        for (fault, spec) in (0u32..).zip(&schedule.faults).filter(|(_, spec)| spec.when.is_none()) {
            edges.extend(Timeline::edges_of(fault, spec, until_ms));
        }
        edges.sort_unstable();
        Timeline { edges }
    }

    /// The edges of one fault, in no order. It has this index in the schedule.
    pub fn edges_of(fault: u32, spec: &Fault, until_ms: u64) -> Vec<Edge> {
        let mut edges = Vec::new();
        let mut edge = |at_ms: u64, phase| edges.push(Edge { t_ns: at_ms.saturating_mul(NS_PER_MS), phase, fault });
        edge(spec.at_ms, Phase::Begin);
        if let Some(Flaps { down_ms, up_ms }) = spec.kind.flaps() {
            let end_ms = spec.ends_ms().unwrap_or(until_ms);
            let (mut at_ms, mut cut) = (spec.at_ms, true);
            loop {
                // At least 1 ms, so that a length that validation would refuse cannot make this loop endless.
                at_ms = at_ms.saturating_add(if cut { down_ms } else { up_ms }.max(1));
                if at_ms >= end_ms {
                    break;
                }
                cut = !cut;
                edge(at_ms, if cut { Phase::FlapDown } else { Phase::FlapUp });
            }
        }
        if let Some(end_ms) = spec.ends_ms() {
            edge(end_ms, Phase::End);
        }
        edges
    }

    /// When the first fault begins, in nanoseconds.
    pub fn first_begin_ns(&self) -> Option<u64> {
        self.edges.first().map(|edge| edge.t_ns)
    }

    /// When the last of the faults that end does so, in nanoseconds.
    pub fn last_end_ns(&self) -> Option<u64> {
        self.edges.iter().rev().find(|edge| edge.phase == Phase::End).map(|edge| edge.t_ns)
    }
}

/// An upper bound of how often a schedule's flapping links go up or down, in a run of this length.
pub fn flaps(schedule: &[Fault], duration_ms: u64) -> u64 {
    let of = |fault: &Fault| match fault.kind.flaps() {
        Some(Flaps { down_ms, up_ms }) => {
            let lasts = fault.for_ms.unwrap_or(duration_ms).min(duration_ms);
            2 * (lasts / down_ms.saturating_add(up_ms).max(1) + 1)
        }
        None => 0,
    };
    schedule.iter().map(of).sum()
}

impl Schedule {
    /// Whether every fault ends by itself, so that the cluster must recover.
    pub fn all_end(&self) -> bool {
        self.faults.iter().all(|fault| fault.for_ms.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::{FaultKind, Flapping, Kill};
    use crate::fault::model::{Fault, Target};

    fn edges(schedule: Schedule) -> Vec<(u64, Phase, u32)> {
        let timeline = Timeline::of(&schedule, 1000);
        timeline.edges.iter().map(|edge| (edge.t_ns / NS_PER_MS, edge.phase, edge.fault)).collect()
    }

    fn fault(at_ms: u64, for_ms: Option<u64>, kind: FaultKind) -> Fault {
        Fault { at_ms, for_ms, kind, when: None }
    }

    fn kill() -> FaultKind {
        Kill { target: Target("n1".into()) }.into()
    }

    #[test]
    fn edges_are_in_order_and_ends_come_before_begins() {
        let faults = vec![fault(100, Some(50), kill()), fault(150, Some(10), kill()), fault(20, None, kill())];
        let schedule = Schedule { faults };
        assert!(!schedule.all_end());
        use Phase::{Begin, End};
        assert_eq!(edges(schedule), [(20, Begin, 2), (100, Begin, 0), (150, End, 0), (150, Begin, 1), (160, End, 1)]);
    }

    #[test]
    fn flapping_expands_into_inner_edges() {
        let flapping = || Flapping { groups: Vec::new(), down_ms: 30, up_ms: 20 }.into();
        use Phase::{Begin, End, FlapDown, FlapUp};
        let bounded = edges(Schedule { faults: vec![fault(100, Some(90), flapping())] });
        assert_eq!(bounded, [(100, Begin, 0), (130, FlapUp, 0), (150, FlapDown, 0), (180, FlapUp, 0), (190, End, 0)]);
        let open = edges(Schedule { faults: vec![fault(900, None, flapping())] });
        assert_eq!(open, [(900, Begin, 0), (930, FlapUp, 0), (950, FlapDown, 0), (980, FlapUp, 0)]);
    }

    #[test]
    fn a_flap_that_would_meet_the_end_is_left_out() {
        let flapping = Flapping { groups: Vec::new(), down_ms: 50, up_ms: 50 }.into();
        let edges = edges(Schedule { faults: vec![fault(0, Some(50), flapping)] });
        assert_eq!(edges, [(0, Phase::Begin, 0), (50, Phase::End, 0)]);
    }
}
