//! Faults that could not do to a system what they ask for. Such a run proves nothing about them, and must
//! say so: a test that cuts links which nobody uses passes for the wrong reason.
//!
//! What shows itself only while the run goes on (a pause that some tasks escape) is reported by the host.

use crate::fault::fold::{Resolved, links_of};
use crate::sim::Plan;
use crate::trace::{HostId, Role, Trace, What};
use std::collections::BTreeSet;

/// What the faults of a plan could not do, one sentence each.
pub fn check(plan: &Plan, trace: &Trace) -> Vec<String> {
    let topology = &plan.topology;
    let is_node = |host: HostId| (1..=topology.nodes).contains(&host.index());
    // Nodes with nodes, or clients with nodes: which of these two ever sent a message that faults can reach.
    let mut reached = BTreeSet::new();
    let (mut has_primary, mut has_disk) = (false, false);
    for event in &trace.events {
        match event.what {
            What::Send { to, .. } => {
                reached.insert(is_node(event.host) && is_node(to));
            }
            What::Role { role: Role::Primary, .. } => has_primary = true,
            What::Sync { .. } => has_disk = true,
            _ => {}
        }
    }
    let mut reasons = BTreeSet::new();
    for fault in &plan.schedule.faults {
        let name = fault.kind.name();
        let role = fault.kind.role_targets().into_iter().find_map(|target| match topology.resolve(target) {
            Ok(Resolved::Role(role)) => Some(role),
            _ => None,
        });
        if let Some(role) = role.filter(|_| !has_primary) {
            reasons.insert(format!(
                "{name} cannot act on {role}: no node ever said that it leads (Host::record_role); name a node instead"
            ));
            continue;
        }
        if fault.kind.is_disk() && !has_disk {
            reasons.insert(format!("{name} cannot act: no node keeps its data on its host's disk (Host::disk)"));
        }
        let concerned: BTreeSet<bool> =
            links_of(&fault.kind, topology, None).into_iter().map(|(from, to)| is_node(from) && is_node(to)).collect();
        if !concerned.is_empty() && concerned.is_disjoint(&reached) {
            let between = if concerned.contains(&true) { "between nodes" } else { "between clients and nodes" };
            reasons.insert(format!(
                "{name} cannot act: nothing was sent {between} through the host (Host::connect, Host::transport)"
            ));
        }
    }
    reasons.into_iter().collect()
}
