//! Applies the changes of each edge of the fault schedule, between two steps of the simulator.
//!
//! The state of links and processes is a fold over the active faults. The fabric is given the new state of each link;
//! turmoil is told which processes die and start, by the difference between the states before and after an edge.

use super::watch::Watch;
use super::world::World;
use crate::fault::acted;
use crate::fault::fold::{Active, Edge, Phase, ProcessState, TargetRole, Timeline};
use crate::fault::model::Schedule;
use crate::host::Host;
use crate::host::fabric::Fabric;
use crate::host::processes::Panic;
use crate::host::task::RESTART_PAUSE;
use crate::trace::{HostId, Trace, What};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Walks along the timeline and applies it.
pub struct Injector {
    names: Vec<String>,
    nodes: usize,
    /// The edges that are to come, the last one first.
    edges: Vec<Edge>,
    duration_ms: u64,
    watch: Watch,
    /// Whether there were aimed faults at the beginning.
    is_aimed: bool,
    fabric: Arc<Fabric>,
    hosts: Vec<Host>,
    /// The panics so far.
    panics: Vec<Panic>,
    /// Processes that panicked, and when they start again.
    panicked: BTreeMap<HostId, Duration>,
}

impl Injector {
    /// Starts at the timeline's beginning.
    pub fn new(world: &World, fabric: Arc<Fabric>, hosts: Vec<Host>) -> Injector {
        let Timeline { mut edges } = world.timeline();
        edges.reverse();
        Injector {
            names: world.topology.names.clone(),
            nodes: world.topology.nodes,
            edges,
            duration_ms: world.duration_ms,
            is_aimed: world.schedule.faults.iter().any(|fault| fault.when.is_some()),
            watch: Watch::new(&world.schedule, &world.topology, world.duration_ms),
            fabric,
            hosts,
            panics: Vec::new(),
            panicked: BTreeMap::new(),
        }
    }

    /// Applies every edge that is due at `now`.
    pub fn apply_due(&mut self, sim: &mut turmoil::Sim<'_>, now: Duration) {
        self.take_aimed(now);
        let now_ns = now.as_nanos() as u64;
        while let Some(edge) = self.edges.pop_if(|edge| edge.t_ns <= now_ns) {
            self.apply(sim, &edge);
        }
        for fault in self.fabric.processes().take_struck() {
            self.change(sim, |active, _| active.strike(fault));
        }
        for panic in self.fabric.processes().take_panics() {
            self.change(sim, |_, panicked| panicked.extend([(panic.host, now + RESTART_PAUSE)]));
            self.fabric.gate(panic.host).resume();
            self.panics.push(panic);
        }
        if self.panicked.values().any(|restart| *restart <= now) {
            self.change(sim, |_, panicked| panicked.retain(|_, restart| *restart > now));
        }
    }

    /// Gives the aimed faults whose moment has come their edges.
    fn take_aimed(&mut self, now: Duration) {
        let begun = self.watch.begun(&self.fabric, &self.hosts, now);
        if begun.is_empty() {
            return;
        }
        for (fault, begun) in begun {
            self.edges.extend(Timeline::edges_of(fault, &begun, self.duration_ms));
            self.fabric.with_active(|active| active.aimed(fault, begun));
        }
        // Of one instant and one phase the fault counts that began first: it comes first in the recorded schedule.
        let order = self.fabric.with_active(|active| acted::order(active.schedule()));
        let rank = |fault: u32| order.iter().position(|at| *at == fault as usize);
        self.edges.sort_by_key(|edge| std::cmp::Reverse((edge.t_ns, edge.phase, rank(edge.fault))));
    }

    /// The schedule as it was carried out. Events of faults in the trace name them by their places in it.
    pub fn acted(&self, trace: &mut Trace) -> Schedule {
        if !self.is_aimed {
            return self.fabric.with_active(|active| active.schedule().clone());
        }
        let (acted, moved) = self.fabric.with_active(|active| acted::acted(active.schedule()));
        for event in &mut trace.events {
            if let What::FaultBegin { fault, .. } | What::FaultEnd { fault } = &mut event.what {
                *fault = moved[*fault as usize].expect("what began is in the schedule");
            }
        }
        acted
    }

    /// All panics of the run, including those of its last step.
    pub fn into_panics(self) -> Vec<Panic> {
        self.panics.into_iter().chain(self.fabric.processes().take_panics()).collect()
    }

    fn apply(&mut self, sim: &mut turmoil::Sim<'_>, edge: &Edge) {
        let world = &self.hosts[HostId::WORLD.index()];
        let resolved = match edge.phase {
            Phase::Begin => {
                self.fabric.with_active(|active| active.role(edge.fault)).and_then(|role| self.holder(role))
            }
            _ => None,
        };
        match edge.phase {
            Phase::Begin => world.record(What::FaultBegin { fault: edge.fault, resolved }),
            Phase::End => world.record(What::FaultEnd { fault: edge.fault }),
            Phase::FlapUp | Phase::FlapDown => {}
        }
        self.change(sim, |active, _| active.apply(edge, resolved));
    }

    /// Changes the set of active faults and applies the consequences.
    fn change(
        &mut self,
        sim: &mut turmoil::Sim<'_>,
        change: impl FnOnce(&mut Active, &mut BTreeMap<HostId, Duration>),
    ) {
        let before = self.states();
        self.fabric.with_active(|active| change(active, &mut self.panicked));
        self.fabric.changed();
        self.carry_out(sim, &before, &self.states());
    }

    /// The host that holds a role now. The follower is the lowest running node that is not the leader.
    fn holder(&self, role: TargetRole) -> Option<HostId> {
        let leader = self.fabric.recorder().leader();
        match role {
            TargetRole::Leader => leader,
            // An aimed fault names the node itself by the time it begins.
            TargetRole::There => None,
            TargetRole::Follower => {
                (1..=self.nodes as u16).map(HostId).find(|node| Some(*node) != leader && !self.fabric.is_down(*node))
            }
        }
    }

    /// The state that each process should have, by host.
    fn states(&self) -> Vec<ProcessState> {
        let own = |host| if self.panicked.contains_key(&host) { ProcessState::Down } else { ProcessState::Running };
        let hosts = (0..self.names.len() as u16).map(HostId);
        self.fabric.with_active(|active| hosts.map(|host| active.process(host).max(own(host))).collect())
    }

    fn carry_out(&self, sim: &mut turmoil::Sim<'_>, before: &[ProcessState], after: &[ProcessState]) {
        use ProcessState::{Off, Paused, Running};
        for (at, (old, new)) in before.iter().zip(after).enumerate() {
            let (name, host) = (self.names[at].as_str(), &self.hosts[at]);
            let gate = self.fabric.gate(host.id());
            if old == new {
                continue;
            }
            if *old == Paused {
                gate.resume();
                if *new == Running {
                    host.record(What::Resume);
                }
            }
            if new.is_dead() {
                // The disk first: what the process's destructors still want to write must not reach it.
                if *new == Off {
                    host.power_off();
                } else {
                    host.detach_disk();
                }
            }
            match (old.is_dead(), new.is_dead()) {
                (false, true) => {
                    host.record(What::Crash);
                    sim.crash(name);
                    self.fabric.crashed(host.id());
                }
                (true, false) => sim.bounce(name),
                _ => {}
            }
            if *new == Paused {
                if self.fabric.processes().ungated_tasks(host.id()) > 0 {
                    self.fabric.cannot_act(format!(
                        "a pause cannot stop the tasks that {name} started with tokio::spawn: start them with Host::spawn"
                    ));
                }
                gate.pause();
                host.record(What::Pause);
            }
        }
    }
}
