//! Watches for the moments of aimed faults.
//!
//! Looks at the events of a step once it is over. Of several that are the moment the earliest counts, by time, host and
//! the host's count.

use crate::fault::acted::{self, Began};
use crate::fault::aim::Moment;
use crate::fault::model::{Aim, Fault, Schedule};
use crate::fault::topology::Topology;
use crate::fault::validate::validate;
use crate::host::Host;
use crate::host::fabric::Fabric;
use crate::trace::{HostId, What};
use std::collections::BTreeMap;
use std::time::Duration;

/// The aimed faults that have not begun.
pub struct Watch {
    topology: Topology,
    duration_ms: u64,
    waiting: Vec<Waiting>,
    /// Events that have been looked at.
    seen: usize,
    /// When each node last heard from another, in nanoseconds.
    heard: BTreeMap<HostId, u64>,
}

struct Waiting {
    fault: u32,
    spec: Fault,
    aim: Aim,
    /// Its moment, once that has come: the node, and when the fault is to begin.
    due: Option<(HostId, Duration)>,
}

impl Watch {
    /// Watches for the aimed faults of a schedule.
    pub fn new(schedule: &Schedule, topology: &Topology, duration_ms: u64) -> Watch {
        let aimed = (0u32..).zip(&schedule.faults);
        let aimed =
            aimed.filter_map(|(fault, spec)| Some(Waiting { fault, spec: spec.clone(), aim: spec.when?, due: None }));
        Watch { topology: topology.clone(), duration_ms, waiting: aimed.collect(), seen: 0, heard: BTreeMap::new() }
    }

    /// The faults that begin now, between two steps.
    pub fn begun(&mut self, fabric: &Fabric, hosts: &[Host], now: Duration) -> Vec<(u32, Fault)> {
        if self.waiting.is_empty() || now >= Duration::from_millis(self.duration_ms) {
            return Vec::new();
        }
        self.look(fabric, hosts, now);
        let mut begun = Vec::new();
        let at_ms = now.as_millis() as u64;
        for waiting in &mut self.waiting {
            let Some((there, _)) = waiting.due.filter(|(_, due)| *due <= now) else { continue };
            let fault = acted::begun(&waiting.spec, Began { at_ms, there }, &self.topology, self.duration_ms);
            // The node may not fit: a one-way cut from there to n1, and there is n1. Another moment may.
            waiting.due = None;
            if validate(std::slice::from_ref(&fault), &self.topology, self.duration_ms).is_ok() {
                begun.push((waiting.fault, fault));
            }
        }
        self.waiting.retain(|waiting| begun.iter().all(|(fault, _)| *fault != waiting.fault));
        begun
    }

    /// Looks at the step that has ended.
    fn look(&mut self, fabric: &Fabric, hosts: &[Host], now: Duration) {
        let Watch { topology, waiting, seen, heard, .. } = self;
        let nodes = 1..=topology.nodes;
        let is_node = |host: HostId| nodes.contains(&host.index());
        let now_ns = now.as_nanos() as u64;
        let leader = fabric.recorder().leader();
        *seen += fabric.recorder().since(*seen, |events| {
            for event in events {
                match event.what {
                    What::Deliver { from, .. } if is_node(from) => heard.insert(event.host, event.t_ns),
                    // A primary hears of its own election.
                    What::Role { .. } => heard.insert(event.host, event.t_ns),
                    _ => None,
                };
            }
            for waiting in waiting.iter_mut().filter(|waiting| waiting.due.is_none()) {
                let from_ns = waiting.spec.at_ms * 1_000_000;
                let found = events
                    .iter()
                    .filter(|event| event.t_ns >= from_ns && is_node(event.host) && waiting.aim.event.is(event));
                let first = found.min_by_key(|event| (event.t_ns, event.host, event.seq));
                let due = |ns: u64| Duration::from_nanos(ns) + Duration::from_millis(waiting.aim.delay_ms);
                waiting.due = first.map(|event| (event.host, due(event.t_ns)));
            }
            events.len()
        });
        for waiting in
            waiting.iter_mut().filter(|waiting| waiting.due.is_none() && waiting.spec.at_ms * 1_000_000 <= now_ns)
        {
            let delay = Duration::from_millis(waiting.aim.delay_ms);
            match waiting.aim.event {
                Moment::WriteUnsynced => {
                    let there = topology.node_ids().find(|node| hosts[node.index()].has_unsynced_writes());
                    waiting.due = there.map(|there| (there, now + delay));
                }
                Moment::PrimaryUnheard => {
                    let silent =
                        |node: &HostId| heard.get(node).is_some_and(|ns| now >= Duration::from_nanos(*ns) + delay);
                    waiting.due = leader.filter(silent).map(|there| (there, now));
                }
                _ => {}
            }
        }
    }
}
