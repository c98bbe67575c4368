//! Faults that a run on real processes cannot carry out: it is then inconclusive about them.

use crate::fault::kind::Family;
use crate::fault::model::FaultKind;
use crate::sim::World;
use crate::trace::MessageKind;

/// Why each fault of a world that cannot act on real processes cannot. `is_ours`: the nodes are those of our own systems.
pub fn reasons(world: &World, is_ours: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    for fault in &world.schedule.faults {
        let name = fault.kind.name();
        let why = match fault.kind.sort().family {
            _ if fault.when.is_some() => "what an aimed fault waits for is seen in a simulated run only",
            Family::Disk => "the disks of real processes are the machine's",
            Family::Clock => "real processes share the machine's clock",
            Family::Members if is_ours => continue,
            Family::Members => "the members of a real cluster are changed by its own tools",
            Family::Messages if !concerns_packets(&fault.kind) => {
                "all that a router sees of messages is packets, and it names none of the kinds `segment` and `other`"
            }
            Family::Cut | Family::Delay | Family::Messages | Family::Process => continue,
        };
        reasons.push(format!("{name} cannot act: {why}"));
    }
    reasons
}

fn concerns_packets(kind: &FaultKind) -> bool {
    let FaultKind::Messages(messages) = kind else { return true };
    let is_packet = |kind: &MessageKind| matches!(kind, MessageKind::Segment | MessageKind::Other);
    messages.kinds.is_empty() || messages.kinds.iter().any(is_packet)
}
