//! The state of every link and process as a fold over the set of active faults.
//!
//! Nothing is switched on or off: each beginning and end recomputes the state from the faults that are
//! active then, so ending one never clears another that overlaps it, and the order of ends cannot
//! matter. Where faults meet on a link, cut > hold > delay; extra delays compose as their maximum, and
//! independent probabilities p and q as 1 - (1 - p)(1 - q).

pub use super::timeline::{Edge, Phase, Timeline};
pub use super::topology::{Resolved, SiteHosts, SiteShape, TargetRole, Topology, UnknownTarget};
pub use super::validate::{ScheduleError, validate};

use super::model::{Chaos, FaultKind, Schedule, Target};
use crate::trace::{HostId, HostSet, MessageKind};

/// What the active faults do to messages in one direction of a link.
///
/// The three are independent facts; when several hold, cut wins over hold and hold over delay, as
/// [`LinkState::passage`] puts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Nothing passes.
    pub cut: bool,
    /// Messages are held back until the last hold ends.
    pub hold: bool,
    /// Messages take this much longer, in nanoseconds.
    pub extra_ns: u64,
}

/// What becomes of a message that is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It is lost.
    Cut,
    /// It is held back.
    Held,
    /// It passes, this many nanoseconds later than usual.
    Open {
        /// The extra delay.
        extra_ns: u64,
    },
}

impl LinkState {
    /// The three facts in their order of precedence.
    pub fn passage(self) -> Passage {
        match self {
            LinkState { cut: true, .. } => Passage::Cut,
            LinkState { hold: true, .. } => Passage::Held,
            LinkState { extra_ns, .. } => Passage::Open { extra_ns },
        }
    }
}

/// What the active faults do to a node's process. Of several, the later in this order wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessState {
    /// Nothing.
    #[default]
    Running,
    /// It is stopped, as by SIGSTOP.
    Paused,
    /// It is dead, until the last kill that concerns it ends.
    Down,
    /// It is dead and its disk has no power, until the last power loss that concerns it ends.
    Off,
}

impl ProcessState {
    /// Whether there is no process.
    pub fn is_dead(self) -> bool {
        self >= ProcessState::Down
    }
}

/// What the active faults do to a node's disk. Of several, the slowest and the worst win.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskState {
    /// Each operation takes this much longer, in nanoseconds.
    pub extra_ns: u64,
    /// Each operation fails.
    pub fails: bool,
    /// No byte more can be written.
    pub full: bool,
    /// Syncs are lied about.
    pub loses_syncs: bool,
    /// Probability that a read is corrupted, in parts per million.
    pub corrupt_ppm: u32,
    /// Unsynced writes may be torn when the power goes.
    pub torn: bool,
    /// The power goes at the n-th operation from now on: the fault, and n.
    pub power_at: Option<(u32, u64)>,
}

impl DiskState {
    /// Both at once.
    fn and(&self, other: &DiskState) -> DiskState {
        DiskState {
            extra_ns: self.extra_ns.max(other.extra_ns),
            fails: self.fails | other.fails,
            full: self.full | other.full,
            loses_syncs: self.loses_syncs | other.loses_syncs,
            corrupt_ppm: self.corrupt_ppm.max(other.corrupt_ppm),
            torn: self.torn | other.torn,
            power_at: self.power_at.or(other.power_at),
        }
    }
}

/// How wrong a node's clock is. Of several faults, offsets and drifts add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Added to what it reads, in nanoseconds.
    pub offset_ns: i64,
    /// How much faster than true time it runs, in parts per million.
    pub drift_ppm: i64,
}

/// For each sender, the receivers concerned.
type Rows = Vec<HostSet>;

/// A fault's effect once its roles are resolved.
#[derive(Debug, Clone, PartialEq)]
enum Effect {
    Cut(Rows),
    Hold(Rows),
    Delay(Rows, u64),
    Messages {
        rows: Rows,
        kinds: Vec<MessageKind>,
        chaos: Chaos,
    },
    Process(HostSet, ProcessState),
    Disk(HostSet, DiskState),
    /// The power goes, or will go at the n-th operation.
    Power {
        set: HostSet,
        torn: bool,
        at_operation: Option<u64>,
    },
    Clock(HostSet, ClockState),
    Voters(HostSet),
}

#[derive(Debug, Clone, PartialEq)]
struct Engaged {
    effect: Effect,
    /// A flapping link that is whole at the moment.
    dormant: bool,
}

/// The active faults and the state they add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    topology: Topology,
    schedule: Schedule,
    baseline: Chaos,
    engaged: Vec<Option<Engaged>>,
    links: Vec<LinkState>,
    /// By (link, kind); empty while no message fault is active, when the baseline holds everywhere.
    chaos: Vec<Chaos>,
    processes: Vec<ProcessState>,
    disks: Vec<DiskState>,
    clocks: Vec<ClockState>,
    voters: Option<HostSet>,
}

impl Active {
    /// No fault is active yet. `baseline` happens to messages throughout the run; `duration_ms` is the run's length.
    ///
    /// # Errors
    /// If the schedule makes no sense in this topology ([`validate`]).
    pub fn new(
        topology: &Topology,
        schedule: &Schedule,
        baseline: Chaos,
        duration_ms: u64,
    ) -> Result<Active, ScheduleError> {
        validate(&schedule.faults, topology, duration_ms)?;
        let hosts = topology.hosts();
        Ok(Active {
            topology: topology.clone(),
            schedule: schedule.clone(),
            baseline,
            engaged: vec![None; schedule.faults.len()],
            links: vec![LinkState::default(); hosts * hosts],
            chaos: Vec::new(),
            processes: vec![ProcessState::Running; hosts],
            disks: vec![DiskState::default(); hosts],
            clocks: vec![ClockState::default(); hosts],
            voters: None,
        })
    }

    /// The role that must be resolved when this fault begins, if it names one.
    pub fn role(&self, fault: u32) -> Option<TargetRole> {
        self.schedule.faults[fault as usize].kind.role_targets().into_iter().find_map(|target| {
            match self.topology.resolve(target) {
                Ok(Resolved::Role(role)) => Some(role),
                _ => None,
            }
        })
    }

    /// A fault begins. `resolved` is the holder of its role; a role that nobody holds leaves the fault without effect.
    pub fn begin(&mut self, fault: u32, resolved: Option<HostId>) {
        let kind = &self.schedule.faults[fault as usize].kind;
        let effect = effect(kind, &self.topology, resolved);
        self.engaged[fault as usize] = Some(Engaged { effect, dormant: false });
        self.fold();
    }

    /// A fault ends; one that is not active is left alone.
    pub fn end(&mut self, fault: u32) {
        self.engaged[fault as usize] = None;
        self.fold();
    }

    /// A flapping fault that is active cuts its links, or lets them be whole for a while.
    pub fn flap(&mut self, fault: u32, cut: bool) {
        if let Some(engaged) = &mut self.engaged[fault as usize] {
            engaged.dormant = !cut;
            self.fold();
        }
    }

    /// Does what an edge of the timeline says. `resolved` matters to a beginning only.
    pub fn apply(&mut self, edge: &Edge, resolved: Option<HostId>) {
        match edge.phase {
            Phase::Begin => self.begin(edge.fault, resolved),
            Phase::End => self.end(edge.fault),
            Phase::FlapUp => self.flap(edge.fault, false),
            Phase::FlapDown => self.flap(edge.fault, true),
        }
    }

    /// The hosts of the run.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The indices of the active faults, ascending.
    pub fn faults(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.engaged).filter(|(_, engaged)| engaged.is_some()).map(|(fault, _)| fault)
    }

    /// The state of a link in the direction from `from` to `to`.
    pub fn link(&self, from: HostId, to: HostId) -> LinkState {
        self.links[self.at(from, to)]
    }

    /// What happens to messages of this kind from `from` to `to`: the baseline with the active message faults.
    pub fn chaos(&self, from: HostId, to: HostId, kind: MessageKind) -> Chaos {
        match self.chaos.get(self.at(from, to) * MessageKind::ALL.len() + kind as usize) {
            Some(chaos) => *chaos,
            None => self.baseline,
        }
    }

    /// What the active faults do to a host's process.
    pub fn process(&self, host: HostId) -> ProcessState {
        self.processes[host.index()]
    }

    /// What the active faults do to a host's disk.
    pub fn disk(&self, host: HostId) -> DiskState {
        self.disks[host.index()]
    }

    /// How wrong a host's clock is.
    pub fn clock(&self, host: HostId) -> ClockState {
        self.clocks[host.index()]
    }

    /// Who shall vote: of several faults, as the last in the schedule has it; without any, all nodes.
    pub fn voters(&self) -> HostSet {
        self.voters.unwrap_or(self.topology.all_nodes())
    }

    /// A power loss that waited for its disk operation strikes now; one that is not active is left alone.
    pub fn strike(&mut self, fault: u32) {
        if let Some(Engaged { effect: Effect::Power { at_operation, .. }, .. }) = &mut self.engaged[fault as usize] {
            *at_operation = None;
            self.fold();
        }
    }

    fn at(&self, from: HostId, to: HostId) -> usize {
        from.index() * self.topology.hosts() + to.index()
    }

    /// Recomputes the tables; in the order of the schedule, since integer probabilities round.
    fn fold(&mut self) {
        self.links.fill(LinkState::default());
        self.processes.fill(ProcessState::Running);
        self.disks.fill(DiskState::default());
        self.clocks.fill(ClockState::default());
        self.chaos.clear();
        self.voters = None;
        let hosts = self.topology.hosts();
        let engaged = (0u32..).zip(&self.engaged).filter_map(|(fault, engaged)| Some((fault, engaged.as_ref()?)));
        for (fault, engaged) in engaged.filter(|(_, engaged)| !engaged.dormant) {
            match &engaged.effect {
                Effect::Cut(rows) => each(rows, hosts, |at| self.links[at].cut = true),
                Effect::Hold(rows) => each(rows, hosts, |at| self.links[at].hold = true),
                Effect::Delay(rows, ns) => each(rows, hosts, |at| {
                    self.links[at].extra_ns = self.links[at].extra_ns.max(*ns);
                }),
                Effect::Messages { rows, kinds, chaos } => {
                    let width = MessageKind::ALL.len();
                    self.chaos.resize(hosts * hosts * width, self.baseline);
                    each(rows, hosts, |at| {
                        for kind in kinds {
                            let cell = &mut self.chaos[at * width + *kind as usize];
                            *cell = cell.and(chaos);
                        }
                    });
                }
                Effect::Process(set, state) => {
                    for host in set.iter() {
                        self.processes[host.index()] = self.processes[host.index()].max(*state);
                    }
                }
                Effect::Disk(set, state) => {
                    for host in set.iter() {
                        self.disks[host.index()] = self.disks[host.index()].and(state);
                    }
                }
                Effect::Power { set, torn, at_operation } => {
                    for host in set.iter() {
                        let power_at = at_operation.map(|n| (fault, n));
                        let state = DiskState { torn: *torn, power_at, ..DiskState::default() };
                        self.disks[host.index()] = self.disks[host.index()].and(&state);
                        if at_operation.is_none() {
                            self.processes[host.index()] = ProcessState::Off;
                        }
                    }
                }
                Effect::Clock(set, state) => {
                    for host in set.iter() {
                        let clock = &mut self.clocks[host.index()];
                        clock.offset_ns += state.offset_ns;
                        clock.drift_ppm += state.drift_ppm;
                    }
                }
                Effect::Voters(set) => self.voters = Some(*set),
            }
        }
    }
}

fn each(rows: &Rows, hosts: usize, mut act: impl FnMut(usize)) {
    for (from, row) in rows.iter().enumerate() {
        row.iter().for_each(|to| act(from * hosts + to.index()));
    }
}

impl Chaos {
    /// Both at once: independent probabilities p and q make 1 - (1 - p)(1 - q), lengths their maximum.
    pub fn and(&self, other: &Chaos) -> Chaos {
        let either = |p: u32, q: u32| {
            let (p, q) = (u64::from(p.min(1_000_000)), u64::from(q.min(1_000_000)));
            (p + q - p * q / 1_000_000) as u32
        };
        Chaos {
            loss_ppm: either(self.loss_ppm, other.loss_ppm),
            reorder_ppm: either(self.reorder_ppm, other.reorder_ppm),
            reorder_ms: self.reorder_ms.max(other.reorder_ms),
            duplicate_ppm: either(self.duplicate_ppm, other.duplicate_ppm),
            jitter_ms: self.jitter_ms.max(other.jitter_ms),
        }
    }
}

/// The directed links that a fault is about, its roles held by `resolved`; none if it is about processes.
pub fn links_of(kind: &FaultKind, topology: &Topology, resolved: Option<HostId>) -> Vec<(HostId, HostId)> {
    match effect(kind, topology, resolved) {
        Effect::Cut(rows) | Effect::Hold(rows) | Effect::Delay(rows, _) | Effect::Messages { rows, .. } => {
            let from = (0..topology.hosts() as u16).map(HostId);
            from.zip(rows).flat_map(|(from, row)| row.iter().map(move |to| (from, to))).collect()
        }
        _ => Vec::new(),
    }
}

fn effect(kind: &FaultKind, topology: &Topology, resolved: Option<HostId>) -> Effect {
    let set = |targets: &[Target]| -> HostSet {
        targets.iter().fold(HostSet::EMPTY, |set, target| {
            set.union(match topology.resolve(target) {
                Ok(Resolved::Hosts(hosts)) => hosts,
                Ok(Resolved::Role(_)) => resolved.into_iter().collect(),
                Err(_) => HostSet::EMPTY,
            })
        })
    };
    let one = |target: &Target| set(std::slice::from_ref(target));
    let or_all = |targets: &[Target]| if targets.is_empty() { topology.all() } else { set(targets) };
    let mut rows = vec![HostSet::EMPTY; topology.hosts()];
    let one_way = |rows: &mut Rows, from: HostSet, to: HostSet| {
        for host in from.iter() {
            rows[host.index()] = rows[host.index()].union(to.minus(HostSet::one(host)));
        }
    };
    let both_ways = |rows: &mut Rows, a: HostSet, b: HostSet| {
        one_way(rows, a, b);
        one_way(rows, b, a);
    };
    match kind {
        FaultKind::Partition { groups } | FaultKind::Flapping { groups, .. } => {
            let groups: Vec<HostSet> = groups.iter().map(|group| set(group)).collect();
            for (index, group) in groups.iter().enumerate() {
                groups[..index].iter().for_each(|other| both_ways(&mut rows, *group, *other));
            }
            Effect::Cut(rows)
        }
        FaultKind::OneWay { from, to } => {
            one_way(&mut rows, set(from), set(to));
            Effect::Cut(rows)
        }
        FaultKind::MajoritiesRing { order } => {
            // As in Jepsen: the node in the middle of each window of a majority hears from that window only.
            let ring: Vec<HostSet> = order.iter().map(one).collect();
            let majority = ring.len() / 2 + 1;
            for (index, hears) in ring.iter().enumerate() {
                for step in majority..ring.len() {
                    let deaf_to = ring[(index + ring.len() - majority / 2 + step) % ring.len()];
                    one_way(&mut rows, deaf_to, *hears);
                }
            }
            Effect::Cut(rows)
        }
        FaultKind::Bridge { left, right, .. } => {
            both_ways(&mut rows, set(left), set(right));
            Effect::Cut(rows)
        }
        FaultKind::Isolate { target, from_clients } => {
            let inside = one(target);
            let clients = if *from_clients { topology.all_clients() } else { HostSet::EMPTY };
            both_ways(&mut rows, inside, topology.all_nodes().union(clients).minus(inside));
            Effect::Cut(rows)
        }
        FaultKind::Latency { a, b, extra_ms } => {
            both_ways(&mut rows, set(a), set(b));
            Effect::Delay(rows, extra_ms.saturating_mul(1_000_000))
        }
        FaultKind::Hold { a, b } => {
            both_ways(&mut rows, set(a), set(b));
            Effect::Hold(rows)
        }
        FaultKind::Messages { from, to, kinds, chaos } => {
            one_way(&mut rows, or_all(from), or_all(to));
            let mut kinds = if kinds.is_empty() { MessageKind::ALL.to_vec() } else { kinds.clone() };
            kinds.sort_unstable();
            kinds.dedup();
            Effect::Messages { rows, kinds, chaos: *chaos }
        }
        FaultKind::Kill { target } => Effect::Process(one(target), ProcessState::Down),
        FaultKind::Pause { target } => Effect::Process(one(target), ProcessState::Paused),
        FaultKind::SlowDisk { target, extra_ms } => {
            let extra_ns = extra_ms.saturating_mul(1_000_000);
            Effect::Disk(one(target), DiskState { extra_ns, ..DiskState::default() })
        }
        FaultKind::DiskErrors { target } => {
            Effect::Disk(one(target), DiskState { fails: true, ..DiskState::default() })
        }
        FaultKind::FullDisk { target } => Effect::Disk(one(target), DiskState { full: true, ..DiskState::default() }),
        FaultKind::LostSync { target } => {
            Effect::Disk(one(target), DiskState { loses_syncs: true, ..DiskState::default() })
        }
        FaultKind::CorruptReads { target, ppm } => {
            Effect::Disk(one(target), DiskState { corrupt_ppm: *ppm, ..DiskState::default() })
        }
        FaultKind::PowerLoss { target, torn, at_operation } => {
            Effect::Power { set: one(target), torn: *torn, at_operation: *at_operation }
        }
        FaultKind::Clock { target, offset_ms, drift_ppm } => {
            let offset_ns = offset_ms.saturating_mul(1_000_000);
            Effect::Clock(one(target), ClockState { offset_ns, drift_ppm: *drift_ppm })
        }
        FaultKind::Membership { voters } => Effect::Voters(set(voters)),
    }
}

#[cfg(test)]
mod tests;
