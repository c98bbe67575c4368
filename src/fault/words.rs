//! Faults and acts in words, as people read them.

use super::chaos::{Act, ActKind};
use super::model::{Chaos, Fault, FaultKind, Target};
use super::topology::Topology;
use std::fmt;

fn all(targets: &[Target]) -> String {
    if targets.is_empty() {
        return "everybody".into();
    }
    targets.iter().map(|target| target.0.as_str()).collect::<Vec<_>>().join(", ")
}

fn apart(groups: &[Vec<Target>]) -> String {
    groups.iter().map(|group| all(group)).collect::<Vec<_>>().join(" | ")
}

/// Milliseconds as seconds: `4.210 s`.
fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

impl fmt::Display for Fault {
    /// `partition east | west, from 6.000 s to 18.000 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.ends_ms().map_or("the end".into(), seconds);
        write!(f, "{}, from {} to {until}", self.kind, seconds(self.at_ms))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Partition { groups } => write!(f, "partition {}", apart(groups)),
            FaultKind::OneWay { from, to } => write!(f, "one-way cut {} -> {}", all(from), all(to)),
            FaultKind::MajoritiesRing { order } => write!(f, "ring of majorities {}", all(order)),
            FaultKind::Bridge { left, middle, right } => {
                write!(f, "partition {} | {} with {} as a bridge", all(left), all(right), middle.0)
            }
            FaultKind::Isolate { target, from_clients } => {
                write!(f, "isolation of {}{}", target.0, if *from_clients { ", from clients too" } else { "" })
            }
            FaultKind::Flapping { groups, down_ms, up_ms } => {
                write!(f, "flapping partition {}, {down_ms} ms cut and {up_ms} ms whole", apart(groups))
            }
            FaultKind::Latency { a, b, extra_ms } => {
                write!(f, "{extra_ms} ms more latency between {} and {}", all(a), all(b))
            }
            FaultKind::Hold { a, b } => write!(f, "hold between {} and {}", all(a), all(b)),
            FaultKind::Messages { from, to, kinds, chaos } => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                let kinds = if kinds.is_empty() { "messages".into() } else { kinds.join(", ") };
                write!(f, "{kinds} from {} to {} {}", all(from), all(to), chances(chaos))
            }
            FaultKind::Kill { target } => write!(f, "kill of {}", target.0),
            FaultKind::Pause { target } => write!(f, "pause of {}", target.0),
            FaultKind::SlowDisk { target, extra_ms } => write!(f, "disk of {} slower by {extra_ms} ms", target.0),
            FaultKind::DiskErrors { target } => write!(f, "disk of {} failing", target.0),
            FaultKind::FullDisk { target } => write!(f, "disk of {} full", target.0),
            FaultKind::LostSync { target } => write!(f, "disk of {} not syncing", target.0),
            FaultKind::CorruptReads { target, ppm } => {
                write!(f, "disk of {} misreading {} % of reads", target.0, f64::from(*ppm) / 1e4)
            }
            FaultKind::PowerLoss { target, torn, at_operation } => {
                write!(f, "power loss of {}{}", target.0, if *torn { ", torn writes" } else { "" })?;
                at_operation.map_or(Ok(()), |n| write!(f, ", at disk operation {n}"))
            }
            FaultKind::Clock { target, offset_ms, drift_ppm } => {
                write!(f, "clock of {} off by {offset_ms} ms and {drift_ppm} ppm", target.0)
            }
            FaultKind::Membership { voters } => write!(f, "membership {}", all(voters)),
        }
    }
}

fn chances(chaos: &Chaos) -> String {
    let percent = |ppm: u32| f64::from(ppm) / 10_000.0;
    let chances = [("lost", chaos.loss_ppm), ("reordered", chaos.reorder_ppm), ("doubled", chaos.duplicate_ppm)];
    let mut parts: Vec<String> = chances
        .into_iter()
        .filter(|(_, ppm)| *ppm > 0)
        .map(|(what, ppm)| format!("{} % {what}", percent(ppm)))
        .collect();
    if chaos.jitter_ms > 0 {
        parts.push(format!("up to {} ms late", chaos.jitter_ms));
    }
    parts.join(", ")
}

/// `append_entries 17 from n1 to n3 lost`: which message (counted by kind and link, or by operation and attempt),
/// and what happens to it.
pub fn act(act: &Act, topology: &Topology) -> String {
    let place = act.place;
    let which = match (place.n >> 32, place.n as u32) {
        (0, n) => format!("{} {n}", place.kind),
        (operation, attempt) => format!("{} of #{operation}, attempt {attempt},", place.kind),
    };
    let ms = act.us as f64 / 1000.0;
    let what = match act.what {
        ActKind::Lose => "lost".into(),
        ActKind::Delay => format!("{ms} ms late"),
        ActKind::Duplicate => format!("doubled after {ms} ms"),
    };
    format!("{which} from {} to {} {what}", topology.name(place.from), topology.name(place.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::chaos::Place;
    use crate::fault::topology::tests::two_sites;
    use crate::trace::{HostId, MessageKind};

    fn group(names: &[&str]) -> Vec<Target> {
        names.iter().map(|name| Target((*name).into())).collect()
    }

    #[test]
    fn faults_read_as_sentences_do() {
        let kind = FaultKind::Partition { groups: vec![group(&["n1", "n2"]), group(&["west"])] };
        let fault = Fault { at_ms: 6000, for_ms: Some(500), kind };
        assert_eq!(fault.to_string(), "partition n1, n2 | west, from 6.000 s to 6.500 s");
        let kind = FaultKind::Isolate { target: Target("@leader".into()), from_clients: true };
        let fault = Fault { at_ms: 0, for_ms: None, kind };
        assert_eq!(fault.to_string(), "isolation of @leader, from clients too, from 0.000 s to the end");
        let chaos = Chaos { loss_ppm: 15_000, jitter_ms: 2, ..Chaos::default() };
        let kind = FaultKind::Messages { from: vec![], to: group(&["n1"]), kinds: vec![MessageKind::Vote], chaos };
        assert_eq!(kind.to_string(), "vote from everybody to n1 1.5 % lost, up to 2 ms late");
    }

    #[test]
    fn acts_name_their_message() {
        let topology = two_sites();
        let place = Place { from: HostId(1), to: HostId(3), kind: MessageKind::Vote, n: 2 };
        let told = |place, what, us| act(&Act { place, what, us }, &topology);
        assert_eq!(told(place, ActKind::Lose, 0), "vote 2 from n1 to n3 lost");
        let place = Place { from: HostId(6), to: HostId(1), kind: MessageKind::Request, n: 12 << 32 | 1 };
        assert_eq!(
            told(place, ActKind::Delay, 30_500),
            "request of #12, attempt 1, from east.clients to n1 30.5 ms late"
        );
    }
}
