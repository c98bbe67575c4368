//! Which situations occurred in a run, and how often: derived from the trace and the faults that were active.

use crate::fault::fold::Active;
use crate::fault::model::FaultKind;
use crate::scenario::Situation;
use crate::sim::World;
use crate::trace::{Event, HostId, HostSet, MessageKind, Role, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// Counts the situations; those that did not occur are included with 0.
pub fn count(world: &World, trace: &Trace) -> BTreeMap<Situation, u64> {
    let mut scene = Scene {
        world,
        active: world.active().expect("the schedule was valid when it ran"),
        nodes: vec![Node::default(); trace.nodes + 1],
        candidates: BTreeMap::new(),
        counts: Situation::ALL.iter().map(|situation| (*situation, 0)).collect(),
    };
    trace.events.iter().for_each(|event| scene.see(event));
    scene.counts
}

/// What is tracked of a node.
#[derive(Clone, Default)]
struct Node {
    leads: bool,
    /// The end of its log, and the last index that it knows to be committed.
    last: u64,
    commit: u64,
    /// It has begun to receive a snapshot.
    receiving: bool,
    /// The newest configuration in its log.
    members: Option<(HostSet, HostSet)>,
}

struct Scene<'a> {
    world: &'a World,
    active: Active,
    nodes: Vec<Node>,
    candidates: BTreeMap<u64, BTreeSet<HostId>>,
    counts: BTreeMap<Situation, u64>,
}

impl Scene<'_> {
    fn met(&mut self, situation: Situation) {
        *self.counts.entry(situation).or_default() += 1;
    }

    fn met_if(&mut self, occurred: bool, situation: Situation) {
        if occurred {
            self.met(situation);
        }
    }

    fn node_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (1..self.nodes.len() as u16).map(HostId)
    }

    fn is_cut(&self) -> bool {
        self.active.faults().any(|fault| self.world.schedule.faults[fault as usize].kind.is_cut())
    }

    fn is_joint(&self) -> bool {
        self.nodes.iter().any(|node| node.members.is_some_and(|(_, joint)| !joint.is_empty()))
    }

    /// Whether messages between this node and a majority of the others are cut, in at least one direction.
    fn is_cut_off(&self, host: HostId) -> bool {
        let others = self.node_ids().filter(|other| *other != host);
        let cut =
            others.filter(|other| self.active.link(host, *other).cut || self.active.link(*other, host).cut).count();
        2 * cut > self.nodes.len() - 1
    }

    fn see(&mut self, event: &Event) {
        match event.what {
            What::FaultBegin { fault, resolved } => {
                self.active.begin(fault, resolved);
                self.fault_began(fault);
            }
            What::FaultEnd { fault } => self.active.end(fault),
            _ if self.nodes.get(event.host.index()).is_some() && event.host != HostId::WORLD => self.see_node(event),
            _ => {}
        }
    }

    fn fault_began(&mut self, fault: u32) {
        let kind = &self.world.schedule.faults[fault as usize].kind;
        if kind.is_cut() {
            let mid_commit = |host: &HostId| {
                let node = &self.nodes[host.index()];
                node.leads && node.last > node.commit && self.is_cut_off(*host)
            };
            let occurred = self.node_ids().any(|host| mid_commit(&host));
            self.met_if(occurred, Situation::LeaderCutOffMidCommit);
            self.met_if(self.is_joint(), Situation::JointMembersDuringCut);
        }
        if matches!(kind, FaultKind::Clock { .. }) {
            let is_wrong = |host: HostId| self.active.clock(host) != Default::default();
            let occurred = self.node_ids().any(|host| self.nodes[host.index()].leads && is_wrong(host));
            self.met_if(occurred, Situation::ClockWrongOnLeader);
        }
    }

    fn see_node(&mut self, event: &Event) {
        let at = event.host.index();
        match event.what {
            What::Role { role, term, .. } => {
                if role == Role::Candidate {
                    let candidates = self.candidates.entry(term).or_default();
                    let is_second = candidates.insert(event.host) && candidates.len() == 2;
                    self.met_if(is_second, Situation::SplitVote);
                }
                if role == Role::Primary && !self.nodes[at].leads {
                    let other = self.nodes.iter().any(|node| node.leads);
                    self.met_if(other, Situation::TwoLeadersAtOnce);
                    let receiving = self.nodes.iter().any(|node| node.receiving);
                    self.met_if(receiving, Situation::ElectionDuringSnapshotInstall);
                }
                self.nodes[at].leads = role == Role::Primary;
            }
            What::Append { at: position, .. } => self.nodes[at].last = position.index,
            What::Commit { upto } => self.nodes[at].commit = upto.index,
            What::Truncate { from } => {
                self.nodes[at].last = from.saturating_sub(1);
                self.met(Situation::EntriesTruncated);
            }
            What::Deliver { class: MessageKind::InstallSnapshot, .. } => self.nodes[at].receiving = true,
            What::SnapshotInstalled { .. } => {
                self.nodes[at].receiving = false;
                self.met(Situation::SnapshotInstalled);
                let newest = self.nodes.iter().filter(|node| node.leads).find_map(|node| node.members);
                let is_learner = newest.is_some_and(|(voters, joint)| !voters.union(joint).contains(event.host));
                self.met_if(is_learner, Situation::LearnerBySnapshot);
            }
            What::PowerOff { lost } => self.met_if(lost > 0, Situation::PowerLostBeforeSync),
            What::Crash => {
                self.met_if(self.nodes[at].leads, Situation::LeaderKilled);
                // A node that a fault killed is down in the fold; otherwise it stopped by itself.
                self.met_if(!self.active.process(event.host).is_dead(), Situation::NodeStopped);
                (self.nodes[at].leads, self.nodes[at].receiving) = (false, false);
            }
            What::Pause => self.met_if(self.nodes[at].leads, Situation::LeaderPaused),
            What::Members { voters, joint, .. } => {
                let before = self.nodes[at].members.replace((voters, joint));
                let changed = before.is_some_and(|before| before != (voters, joint));
                self.met_if(changed && self.nodes[at].leads, Situation::MembersChanged);
                self.met_if(!joint.is_empty() && self.is_cut(), Situation::JointMembersDuringCut);
            }
            _ => {}
        }
    }
}
