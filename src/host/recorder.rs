//! The event log that all hosts of a run write to.

use super::lock;
use crate::kv::Tag;
use crate::trace::{Event, HostId, MessageId, Role, Scope, Trace, What};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most events in one step of the simulator. A chaotic one has hundreds; a system that answers itself at once and for
/// ever would never let the step end.
const MOST_IN_A_STEP: usize = 100_000;

/// Collects events with their time and per-host sequence number.
pub struct Recorder {
    log: Mutex<Log>,
    /// Simulated time of the current step's start, for events recorded while no host runs.
    step_ns: AtomicU64,
}

#[derive(Default)]
struct Log {
    trace: Trace,
    /// How many events there were when the step began.
    before_step: usize,
    /// Next sequence number, by host.
    seqs: Vec<u32>,
    /// Messages sent so far, by host.
    messages: Vec<u32>,
    /// The latest role of each host, by scope.
    roles: BTreeMap<(HostId, Scope), (Role, u64)>,
    /// The command of each log entry that carries one, by the entry's hash.
    commands: BTreeMap<u64, Tag>,
}

impl Recorder {
    /// A recorder for hosts with these names (entry 0 is the world), of which the first `nodes` are nodes.
    pub fn new(names: Vec<String>, nodes: usize) -> Recorder {
        let hosts = names.len();
        let log = Log {
            seqs: vec![0; hosts],
            messages: vec![0; hosts],
            trace: Trace { names, nodes, events: Vec::new() },
            before_step: 0,
            roles: BTreeMap::new(),
            commands: BTreeMap::new(),
        };
        Recorder { log: Mutex::new(log), step_ns: AtomicU64::new(0) }
    }

    /// Simulated nanoseconds since the start of the run; between the simulator's steps, the start of the next one.
    pub fn now_ns(&self) -> u64 {
        turmoil::sim_elapsed().map_or_else(|| self.step_ns.load(Ordering::Relaxed), |elapsed| elapsed.as_nanos() as u64)
    }

    /// Tells the time at which the simulator's next step starts.
    pub fn set_step(&self, now_ns: u64) {
        self.step_ns.store(now_ns, Ordering::Relaxed);
        let mut log = lock(&self.log);
        log.before_step = log.trace.events.len();
    }

    /// Appends an event at `host`, now.
    ///
    /// # Panics
    /// If this step has so many events that it does not look like ending: a livelock.
    pub fn record(&self, host: HostId, what: What) {
        let t_ns = self.now_ns();
        let mut log = lock(&self.log);
        match what {
            What::Role { role, scope, term } => {
                log.roles.insert((host, scope), (role, term));
            }
            What::Crash => log.roles.retain(|(holder, _), _| *holder != host),
            _ => {}
        }
        let seq = log.seqs[host.index()];
        log.seqs[host.index()] += 1;
        log.trace.events.push(Event { t_ns, host, seq, what });
        let events = log.trace.events.len();
        // Once the trace has been taken out, what is left of processes records into an empty one.
        if events.saturating_sub(log.before_step) > MOST_IN_A_STEP {
            // What is recorded of the panic itself must not cause another.
            log.before_step = events;
            panic!("livelock: {MOST_IN_A_STEP} events at one instant");
        }
    }

    /// Notes which command a log entry carries, by the entry's hash. No event: the hash, which the events hold, is that
    /// of the entry with its command, and this says for readers what was hashed.
    pub fn note_command(&self, payload: u64, tag: Tag) {
        lock(&self.log).commands.insert(payload, tag);
    }

    /// A fresh message id for a frame sent by `host`.
    pub fn next_message(&self, host: HostId) -> MessageId {
        let mut log = lock(&self.log);
        log.messages[host.index()] += 1;
        MessageId { host, number: log.messages[host.index()] }
    }

    /// The host that acts as primary under the highest term, over all keys or the first shard; ties go
    /// to the lowest id.
    pub fn leader(&self) -> Option<HostId> {
        let log = lock(&self.log);
        log.roles
            .iter()
            .filter(|(_, (role, _))| *role == Role::Primary)
            .max_by_key(|((host, scope), (_, term))| (std::cmp::Reverse(*scope), *term, std::cmp::Reverse(*host)))
            .map(|((host, _), _)| *host)
    }

    /// Takes out which commands log entries carry, by the entries' hashes.
    pub fn take_commands(&self) -> BTreeMap<u64, Tag> {
        std::mem::take(&mut lock(&self.log).commands)
    }

    /// Takes the trace out, sorted.
    pub fn take_trace(&self) -> Trace {
        let mut trace = std::mem::take(&mut lock(&self.log).trace);
        trace.sort();
        trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_does_not_end_is_ended() {
        let recorder = Recorder::new(vec!["world".into(), "n1".into()], 1);
        let steps = |steps: u64, events: usize| {
            for step in 0..steps {
                recorder.set_step(step);
                (0..events).for_each(|_| recorder.record(HostId(1), What::Pause));
            }
        };
        steps(3, MOST_IN_A_STEP);
        let spin = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| steps(1, MOST_IN_A_STEP + 1)));
        assert!(spin.is_err());
        recorder.record(HostId(1), What::Panic);
    }
}
