//! Changes of a schedule: a fault more or less, moved, longer or shorter, aimed or aimed elsewhere, the messages of one
//! exchange, two schedules spliced, the same schedule with other random draws of the nodes.

use crate::fault::aim::{Aim, Moment};
use crate::fault::chaos::Chaos;
use crate::fault::draw::Draw;
use crate::fault::generate::Nemesis;
use crate::fault::kind::{Family, Leaves, Sort};
use crate::fault::kinds::{FaultKind, Messages};
use crate::fault::model::Fault;
use crate::fault::ranges::Ranges;
use crate::rng;
use crate::scenario::swarm::near;
use crate::scenario::{Explicit, Scenario, Swarm};
use crate::trace::MessageKind;

/// The most changes at once.
const CHANGES: u64 = 3;
/// More faults than this are no schedule that anybody can read, and drown each other.
const MOST_FAULTS: usize = 24;
/// The most faults that are laid in a fresh schedule at once, to wait for their moments.
const AMBUSHES: u64 = 8;
/// An aimed loss of power waits for so many operations of the disk at most: what a moment leads to is the next few.
const NEXT_OPERATIONS: u64 = 12;
/// One aimed fault in so many is of any kind, whatever happens at its moment.
const UNSUITED: u64 = 3;
/// One aimed fault in so many is at another node than its moment.
const ELSEWHERE: u64 = 4;
/// How often a change is drawn again if it makes no schedule.
const TRIES: u64 = 4;
/// The exchanges whose messages are singled out.
const EXCHANGES: [MessageKind; 6] = [
    MessageKind::AppendEntries,
    MessageKind::Vote,
    MessageKind::InstallSnapshot,
    MessageKind::Replicate,
    MessageKind::Heartbeat,
    MessageKind::Request,
];

/// Changes schedules.
pub struct Mutator {
    /// From which kinds it chooses, and in which window.
    pub nemesis: Nemesis,
    /// How strong a fault may be.
    pub bounds: Swarm,
}

impl Mutator {
    /// A changed schedule, or `None` if no change made one that makes sense.
    pub fn child(&self, parent: &Scenario, other: &Scenario, number: u64, draw: &mut Draw) -> Option<Scenario> {
        for _ in 0..TRIES {
            let mut child = parent.clone();
            for _ in 0..draw.between(1, CHANGES) {
                self.change(&mut child, other, number, draw);
            }
            let explicit = child.explicit.as_mut()?;
            explicit.schedule.sort_by_key(|fault| fault.at_ms);
            if child != *parent && self.is_fair(&child) && child.check().is_ok() {
                return Some(child);
            }
        }
        None
    }

    /// The schedule with some more faults, each of which waits for a moment of its own; `None` if that made no sense.
    pub fn ambushed(&self, parent: &Scenario, draw: &mut Draw) -> Option<Scenario> {
        for _ in 0..TRIES {
            let mut child = parent.clone();
            let more: Vec<Fault> = (0..draw.between(1, AMBUSHES)).map(|_| self.ambush(parent, draw)).collect();
            let schedule = &mut child.explicit.as_mut()?.schedule;
            schedule.extend(more);
            schedule.sort_by_key(|fault| fault.at_ms);
            if self.is_fair(&child) && child.check().is_ok() {
                return Some(child);
            }
        }
        None
    }

    /// A fault that waits for a moment.
    fn ambush(&self, child: &Scenario, draw: &mut Draw) -> Fault {
        let (thresholds, event) = (child.thresholds_ms(), moment(draw));
        let kinds = if draw.one_in(UNSUITED) { self.nemesis.kinds.clone() } else { self.suited(child, event) };
        let mut fault = self.of_kinds(child, kinds, draw);
        let (start_ms, until_ms) = (self.nemesis.start_ms, self.nemesis.until_ms);
        fault.for_ms = Some(near(&thresholds, self.bounds.max_fault_ms.min(until_ms - start_ms), draw));
        fault.at_ms = draw.between(start_ms, until_ms);
        fit(&mut fault, start_ms, until_ms);
        aim(&mut fault, event, &thresholds, draw);
        if let FaultKind::PowerLoss(power) = &mut fault.kind {
            power.at_operation = power.at_operation.map(|_| draw.between(1, NEXT_OPERATIONS));
        }
        fault
    }

    /// The kinds that the nemesis may choose and that put to the test what happens at this moment: those of disks and
    /// processes where something is stored, those of links, processes and clocks where nodes talk. All, if there is none.
    pub(super) fn suited(&self, child: &Scenario, event: Moment) -> Vec<String> {
        let families: &[Family] = match event {
            Moment::VoteSaved
            | Moment::EntryAppended
            | Moment::WriteUnsynced
            | Moment::LogTruncated
            | Moment::SnapshotBuilt
            | Moment::SnapshotArriving
            | Moment::SnapshotInstalled
            | Moment::Restarted => &[Family::Disk, Family::Process],
            Moment::PrimaryElected
            | Moment::Candidacy
            | Moment::MembersJoint
            | Moment::CommandAcknowledged
            | Moment::ReplySent
            | Moment::PrimaryUnheard => &[Family::Cut, Family::Delay, Family::Messages, Family::Process, Family::Clock],
        };
        let wanted = self.nemesis.wanted(&child.topology());
        let is_suited = |sort: &&Sort| wanted.contains(&sort.name) && families.contains(&sort.family);
        let kinds: Vec<String> = FaultKind::SORTS.iter().filter(is_suited).map(|sort| sort.name.to_owned()).collect();
        if kinds.is_empty() { self.nemesis.kinds.clone() } else { kinds }
    }

    /// Whether every fault ends in time, and a majority of the nodes can always serve: as the nemesis has it. When an aimed
    /// fault begins is not known.
    fn is_fair(&self, child: &Scenario) -> bool {
        let Some(Explicit { schedule, .. }) = &child.explicit else { return false };
        let most = (child.topology().nodes - 1) / 2;
        let takes: Vec<&Fault> =
            schedule.iter().filter(|fault| fault.when.is_none() && fault.kind.sort().leaves != Leaves::Able).collect();
        let at_once = |fault: &Fault| {
            takes
                .iter()
                .filter(|other| other.at_ms <= fault.at_ms && other.ends_ms().is_none_or(|end| fault.at_ms < end))
                .count()
        };
        let in_time = |fault: &Fault| fault.ends_ms().is_some_and(|end| end <= self.nemesis.until_ms);
        !schedule.is_empty()
            && schedule.len() <= MOST_FAULTS
            && schedule.iter().all(in_time)
            && takes.iter().all(|fault| at_once(fault) <= most)
    }

    fn change(&self, child: &mut Scenario, other: &Scenario, number: u64, draw: &mut Draw) {
        let thresholds = child.thresholds_ms();
        let fresh = self.fresh(child, draw);
        let ambush = self.ambush(child, draw);
        let exchange = self.exchange(child, &thresholds, draw);
        let there = child.sites == other.sites;
        let Some(explicit) = child.explicit.as_mut() else { return };
        let schedule = &mut explicit.schedule;
        if schedule.is_empty() {
            schedule.push(fresh);
            return;
        }
        let at = draw.between(0, schedule.len() as u64 - 1) as usize;
        let (start_ms, until_ms) = (self.nemesis.start_ms, self.nemesis.until_ms);
        match draw.between(0, 11) {
            0 => {
                schedule.remove(at);
            }
            1 => schedule.push(fresh),
            2 => schedule.push(ambush),
            3 => schedule.push(exchange),
            // Moved: a little, or near another fault's beginning or end.
            4 | 5 => {
                let to = draw.between(0, schedule.len() as u64 - 1) as usize;
                let near_to = if draw.one_in(2) {
                    schedule[at].at_ms
                } else {
                    schedule[to].ends_ms().unwrap_or(schedule[to].at_ms)
                };
                let by = near(&thresholds, until_ms - start_ms, draw);
                let moved = if draw.one_in(2) { near_to + by } else { near_to.saturating_sub(by) };
                schedule[at].at_ms = moved;
                fit(&mut schedule[at], start_ms, until_ms);
            }
            6 => {
                schedule[at].for_ms = Some(near(&thresholds, self.bounds.max_fault_ms.min(until_ms - start_ms), draw));
                fit(&mut schedule[at], start_ms, until_ms);
            }
            // Aimed: the time at which it began is where the watch begins.
            7 | 8 => aim_anew(&mut schedule[at], &thresholds, draw),
            9 => {
                // Again, after a while: what broke once, breaks while it mends.
                let mut again = schedule[at].clone();
                again.at_ms += near(&thresholds, until_ms - start_ms, draw);
                fit(&mut again, start_ms, until_ms);
                schedule.push(again);
            }
            10 if there => {
                // Spliced: this schedule up to an instant, the other's from there on.
                let cut_ms = draw.between(start_ms, until_ms);
                let later =
                    other.explicit.iter().flat_map(|other| &other.schedule).filter(|fault| fault.at_ms >= cut_ms);
                schedule.retain(|fault| fault.at_ms < cut_ms);
                schedule.extend(later.cloned());
            }
            _ => explicit.seed = rng::hash(explicit.seed, &[number]) >> 1,
        }
    }

    /// A fault of a kind that the nemesis may choose, of a strength near some threshold.
    fn fresh(&self, child: &Scenario, draw: &mut Draw) -> Fault {
        self.of_kinds(child, self.nemesis.kinds.clone(), draw)
    }

    /// A fault of one of these kinds, of a strength near some threshold.
    fn of_kinds(&self, child: &Scenario, kinds: Vec<String>, draw: &mut Draw) -> Fault {
        let nemesis = Nemesis { kinds, ..self.nemesis.clone() };
        let one = Nemesis { faults: 1, ..self.bounds.strengths(child, &nemesis, draw) };
        let seed = draw.between(0, u64::MAX - 1);
        one.generate(&child.topology(), seed).swap_remove(0)
    }

    /// The messages of one exchange between two nodes are lost, late or doubled for a moment.
    fn exchange(&self, child: &Scenario, thresholds: &[u64], draw: &mut Draw) -> Fault {
        let (topology, ranges) = (child.topology(), Ranges::default());
        let mut ends = Draw::named("exchange", &topology, &ranges, draw.between(0, u64::MAX - 1));
        let (start_ms, until_ms) = (self.nemesis.start_ms, self.nemesis.until_ms);
        let request = EXCHANGES[draw.between(0, EXCHANGES.len() as u64 - 1) as usize];
        let kinds = if draw.one_in(2) { vec![request] } else { vec![request.reply()] };
        let late = near(thresholds, 5000, draw);
        let chaos = match draw.between(0, 2) {
            0 => Chaos { loss_ppm: 1_000_000, ..Chaos::NONE },
            1 => Chaos { reorder_ppm: 1_000_000, reorder_ms: late, ..Chaos::NONE },
            _ => Chaos { duplicate_ppm: 1_000_000, reorder_ms: late, ..Chaos::NONE },
        };
        let (from, to) = ends.ends();
        let kind: FaultKind = Messages { from, to, kinds, chaos }.into();
        let for_ms = Some(near(thresholds, until_ms - start_ms, draw));
        let mut fault = Fault { at_ms: draw.between(start_ms, until_ms), for_ms, kind, when: None };
        fit(&mut fault, start_ms, until_ms);
        if draw.one_in(2) {
            aim(&mut fault, moment(draw), thresholds, draw);
        }
        fault
    }
}

/// Moves a fault into the window, and shortens one that is longer.
fn fit(fault: &mut Fault, start_ms: u64, until_ms: u64) {
    let length = fault.for_ms.unwrap_or(1).clamp(1, until_ms - start_ms);
    fault.for_ms = Some(length);
    fault.at_ms = fault.at_ms.clamp(start_ms, until_ms - length);
}

/// A moment, each as likely as any other.
fn moment(draw: &mut Draw) -> Moment {
    Moment::ALL[draw.between(0, Moment::ALL.len() as u64 - 1) as usize]
}

/// Lets a fault wait for this moment, mostly at the node where it is.
fn aim(fault: &mut Fault, event: Moment, thresholds: &[u64], draw: &mut Draw) {
    let delay_ms = if draw.one_in(2) { 0 } else { near(thresholds, 2000, draw) };
    fault.when = Some(Aim { event, delay_ms: delay_ms.max(u64::from(event == Moment::PrimaryUnheard)) });
    if !draw.one_in(ELSEWHERE) {
        fault.kind = fault.kind.aimed_there();
    }
}

/// Lets a fault wait for some moment, or no longer.
fn aim_anew(fault: &mut Fault, thresholds: &[u64], draw: &mut Draw) {
    if fault.when.is_some() && draw.one_in(3) && !fault.kind.names_there() {
        fault.when = None;
    } else {
        aim(fault, moment(draw), thresholds, draw);
    }
}
