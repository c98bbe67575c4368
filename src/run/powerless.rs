//! Faults that could have no effect on a system. A run with such a fault proves nothing about it, and must
//! say so: a test that cuts links without traffic passes for the wrong reason.
//!
//! A fault on a role is a case of its own: a service that never says who leads does so under every seed, so its author
//! gets an error at once.
//!
//! The host reports what shows only during the run (a pause that some tasks escape).

use crate::fault::fold::{Resolved, links_of};
use crate::sim::World;
use crate::trace::{HostId, Role, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// Why a fault could not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// It names a role, and no node ever recorded that it leads.
    Role,
    /// The system does not use what it breaks.
    Target,
}

/// What to do about a fault on a role that no node claims.
pub const ROLE_CURE: &str = "call Host::record_role(Role::Primary, Scope::All, term) where a node begins to lead, and \
                             with Role::Follower where it stops (a program of docs/NODES.md: a `role` line); \
                             or name a node instead";

/// The faults of a world that could have no effect, a sentence each, in the order of the sentences.
pub fn check(world: &World, trace: &Trace) -> Vec<(Lack, String)> {
    let topology = &world.topology;
    let is_node = |host: HostId| (1..=topology.nodes).contains(&host.index());
    // Which of the two (nodes to nodes, clients with nodes) ever sent a message that faults can reach.
    let mut reached = BTreeSet::new();
    let (mut has_primary, mut has_disk) = (false, false);
    for event in &trace.events {
        match event.what {
            What::Send { to, .. } => {
                reached.insert(is_node(event.host) && is_node(to));
            }
            What::Role { role: Role::Primary, .. } => has_primary = true,
            What::Sync { .. } => has_disk = true,
            // It writes, and never syncs.
            What::PowerOff { lost } => has_disk |= lost > 0,
            _ => {}
        }
    }
    let mut reasons: BTreeMap<String, Lack> = BTreeMap::new();
    for fault in &world.schedule.faults {
        let name = fault.kind.name();
        let role = fault.kind.role_targets().into_iter().find_map(|target| match topology.resolve(target) {
            Ok(Resolved::Role(role)) => Some(role),
            _ => None,
        });
        if let Some(role) = role.filter(|_| !has_primary) {
            let why = format!("{name} cannot act on {role}: no node ever said that it leads; {ROLE_CURE}");
            reasons.insert(why, Lack::Role);
            continue;
        }
        if fault.kind.is_disk() && !has_disk {
            let why = format!("{name} cannot act: no node keeps its data on its host's disk (Host::disk)");
            reasons.insert(why, Lack::Target);
        }
        let concerned: BTreeSet<bool> =
            links_of(&fault.kind, topology, None).into_iter().map(|(from, to)| is_node(from) && is_node(to)).collect();
        if !concerned.is_empty() && concerned.is_disjoint(&reached) {
            let between = if concerned.contains(&true) { "between nodes" } else { "between clients and nodes" };
            let why = format!(
                "{name} cannot act: nothing was sent {between} through the host (Host::connect, Host::transport)"
            );
            reasons.insert(why, Lack::Target);
        }
    }
    reasons.into_iter().map(|(why, lack)| (lack, why)).collect()
}
