//! The event log that all hosts of a run write to.
//!
//! Its time is the simulator's, or that of a [`Clock`] where hosts are real processes.

use super::livelock::Livelock;
use super::lock;
use crate::trace::{Event, HostId, MessageId, Role, Scope, Trace, What};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A source of time other than the simulator's.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the start of the run; `None`: it has not started, and what happens is not recorded.
    fn now_ns(&self) -> Option<u64>;
}

/// A task is being polled.
pub(super) struct Polling<'a>(&'a Recorder);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.is_polling.store(false, Ordering::Relaxed);
        self.0.polled_ns.store(UNKNOWN, Ordering::Relaxed);
    }
}

/// Takes note of an event at the moment when it is recorded.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// Collects events with their time and per-host sequence number.
pub struct Recorder {
    log: Mutex<Log>,
    /// Simulated time at which the next step starts, and whether it has not started yet. Until it has, no host's clock
    /// counts: what a crash drops and a start creates is outside of any host's time, though turmoil then knows a
    /// current host.
    step_ns: AtomicU64,
    is_between_steps: AtomicBool,
    /// The time at which a task is being polled; [`UNKNOWN`] if none is, or none has asked yet.
    polled_ns: AtomicU64,
    is_polling: AtomicBool,
    /// In place of the simulator's time.
    clock: Option<Arc<dyn Clock>>,
    /// Takes the events in place of the log.
    listener: Option<Listener>,
}

/// No time of a run.
const UNKNOWN: u64 = u64::MAX;

#[derive(Default)]
struct Log {
    trace: Trace,
    livelock: Livelock,
    /// Next sequence number, by host.
    seqs: Vec<u32>,
    /// Messages sent so far, by host.
    messages: Vec<u32>,
    /// The latest role of each host, by scope.
    roles: BTreeMap<(HostId, Scope), (Role, u64)>,
}

impl Log {
    fn push(&mut self, t_ns: u64, host: HostId, what: What) {
        match what {
            What::Role { role, scope, term } => {
                self.roles.insert((host, scope), (role, term));
            }
            What::Crash => self.roles.retain(|(holder, _), _| *holder != host),
            _ => {}
        }
        let seq = self.seqs[host.index()];
        self.seqs[host.index()] += 1;
        self.trace.events.push(Event { t_ns, host, seq, what });
    }
}

impl Recorder {
    /// A recorder for hosts with these names (entry 0 is the world), of which the first `nodes` are nodes.
    pub fn new(names: Vec<String>, nodes: usize) -> Recorder {
        let hosts = names.len();
        let log = Log {
            seqs: vec![0; hosts],
            messages: vec![0; hosts],
            trace: Trace { names, nodes, ..Trace::default() },
            livelock: Livelock::new(hosts, 0),
            roles: BTreeMap::new(),
        };
        Recorder {
            log: Mutex::new(log),
            step_ns: AtomicU64::new(0),
            is_between_steps: AtomicBool::new(true),
            polled_ns: AtomicU64::new(UNKNOWN),
            is_polling: AtomicBool::new(false),
            clock: None,
            listener: None,
        }
    }

    /// Goes by this clock instead of the simulator's time.
    pub fn going_by(self, clock: Arc<dyn Clock>) -> Recorder {
        Recorder { clock: Some(clock), ..self }
    }

    /// Gives every event to this listener and keeps none, for a log that another process keeps.
    pub fn telling(self, listener: Listener) -> Recorder {
        Recorder { listener: Some(listener), ..self }
    }

    /// Appends what another process has recorded at one of its hosts.
    pub fn relate(&self, event: &Event) {
        lock(&self.log).push(event.t_ns, event.host, event.what);
    }

    /// Sets how many client operations to expect: the more of them, the more may happen in one step.
    pub fn expecting(self, operations: usize) -> Recorder {
        let mut log = lock(&self.log);
        log.livelock = Livelock::new(log.seqs.len(), operations);
        drop(log);
        self
    }

    /// Simulated nanoseconds since the start of the run; between the simulator's steps, the start of the next one.
    pub fn now_ns(&self) -> u64 {
        if let Some(clock) = &self.clock {
            return clock.now_ns().unwrap_or(0);
        }
        if self.is_between_steps.load(Ordering::Relaxed) {
            return self.step_ns.load(Ordering::Relaxed);
        }
        let polled_ns = self.polled_ns.load(Ordering::Relaxed);
        if polled_ns != UNKNOWN {
            return polled_ns;
        }
        let elapsed = turmoil::sim_elapsed();
        let now_ns = elapsed.map_or_else(|| self.step_ns.load(Ordering::Relaxed), |elapsed| elapsed.as_nanos() as u64);
        if self.is_polling.load(Ordering::Relaxed) {
            self.polled_ns.store(now_ns, Ordering::Relaxed);
        }
        now_ns
    }

    /// A task is being polled, for as long as what this returns lives. Simulated time stands still meanwhile: it moves only
    /// when a host has nothing to do. So it is asked for once, which is worth it: each answer goes through turmoil's world
    /// and tokio's clock.
    pub(super) fn polling(&self) -> Polling<'_> {
        self.is_polling.store(true, Ordering::Relaxed);
        Polling(self)
    }

    /// A step of the simulator has ended, and the next one starts at this time.
    pub fn set_step(&self, now_ns: u64) {
        self.step_ns.store(now_ns, Ordering::Relaxed);
        self.is_between_steps.store(true, Ordering::Relaxed);
        lock(&self.log).livelock.step();
    }

    /// The step starts: from now on each host has its own time.
    pub fn start_step(&self) {
        self.is_between_steps.store(false, Ordering::Relaxed);
    }

    /// Appends an event at `host`, now.
    ///
    /// # Panics
    /// If a process goes on at one instant without a cause: a livelock.
    pub fn record(&self, host: HostId, what: What) {
        let t_ns = match &self.clock {
            Some(clock) => {
                let Some(now_ns) = clock.now_ns() else { return };
                now_ns
            }
            None => self.now_ns(),
        };
        // What the simulator records between its steps (the losses of a cut, say) always ends by itself.
        let by_process = !self.is_between_steps.load(Ordering::Relaxed);
        if let Some(listener) = &self.listener {
            return listener(&Event { t_ns, host, seq: 0, what });
        }
        let mut log = lock(&self.log);
        log.push(t_ns, host, what);
        if by_process && let Some(events) = log.livelock.is_without_end(host, &what) {
            let name = log.trace.names.get(host.index()).cloned().unwrap_or_default();
            drop(log);
            panic!("livelock: {events} events of {name} at one instant, which nothing that reached it explains");
        }
    }

    /// Says what a host itself calls the event that it recorded last: its own word for a message or a role.
    pub fn label(&self, host: HostId, word: &str) {
        let mut log = lock(&self.log);
        let last = log.seqs[host.index()].wrapping_sub(1);
        log.trace.labels.add((host, last), word);
    }

    /// The events from this one on, as they were recorded: hosts run a whole step in turn, so not in order of their times.
    pub fn since<T>(&self, first: usize, look: impl FnOnce(&[Event]) -> T) -> T {
        let log = lock(&self.log);
        look(log.trace.events.get(first..).unwrap_or_default())
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        lock(&self.log).trace.events.len()
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
    fn what_the_simulator_itself_records_comes_to_an_end() {
        let recorder = Recorder::new(vec!["world".into(), "n1".into()], 1);
        (0..300_000).for_each(|_| recorder.record(HostId(1), What::Pause));
        assert_eq!(recorder.take_trace().events.len(), 300_000);
    }
}
