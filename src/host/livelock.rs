//! Detects a process that goes on for ever at one instant.
//!
//! The simulator's step ends when every host has nothing left to do. A system that answers itself at once, for ever,
//! would never let it end. What distinguishes it from a busy system is not the amount of work but the lack of a cause.
//! A frame takes at least a step from host to host, so within one step a host can only act on what reached it before,
//! on its timers, and on the operations of clients. Each of these explains a few events. Events beyond all of them are
//! a livelock.

use crate::trace::{HostId, What};

/// Events of one host in one step that need no explanation: timers, a start, an election.
const UNEXPLAINED: usize = 100_000;
/// Events of one host that one operation of the run explains: a log entry may be appended, committed and applied in one
/// step, for all operations at once if a node has to catch up; and every client may give up and ask again.
const PER_OPERATION: usize = 8;
/// Events that one frame from another host explains: it is handled, answered, and passed on to every peer.
const PER_FRAME: usize = 64;

/// Counts what each host does within a step of the simulator.
#[derive(Default)]
pub struct Livelock {
    allowed: usize,
    /// Counts the steps.
    step: u64,
    hosts: Vec<Doing>,
}

/// What a host did in the last step in which it did anything.
#[derive(Default, Clone)]
struct Doing {
    step: u64,
    events: usize,
    allowed: usize,
}

impl Livelock {
    /// A counter for so many hosts, whose clients have so many operations in all.
    pub fn new(hosts: usize, operations: usize) -> Livelock {
        let allowed = UNEXPLAINED + PER_OPERATION * operations;
        Livelock { allowed, step: 0, hosts: vec![Doing::default(); hosts] }
    }

    /// The next step begins.
    pub fn step(&mut self) {
        self.step += 1;
    }

    /// Counts an event of a host's process. Returns the count if it exceeds what all causes explain.
    pub fn is_without_end(&mut self, host: HostId, what: &What) -> Option<usize> {
        let doing = &mut self.hosts[host.index()];
        if doing.step != self.step {
            *doing = Doing { step: self.step, events: 0, allowed: self.allowed };
        }
        doing.events += 1;
        match what {
            // A message of a host to itself is no cause: it need not take any time.
            What::Deliver { from, .. } | What::Discard { from, .. } if *from != host => doing.allowed += PER_FRAME,
            _ => {}
        }
        let events = doing.events;
        (events > doing.allowed).then(|| {
            // The events that record the panic must not cause another one.
            doing.events = 0;
            events
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{MessageId, MessageKind};

    const NODE: HostId = HostId(1);

    fn from(host: HostId) -> What {
        What::Deliver { from: host, message: MessageId { host, number: 1 }, class: MessageKind::Request }
    }

    /// Whether so many events, of which every tenth is `tenth`, count as a livelock.
    fn ends(livelock: &mut Livelock, events: usize, tenth: What) -> bool {
        livelock.step();
        (0..events).all(|at| {
            livelock.is_without_end(NODE, if at % 10 == 0 { &tenth } else { &What::Sync { writes: 1 } }).is_none()
        })
    }

    #[test]
    fn a_host_that_answers_itself_is_ended_and_one_that_is_asked_much_is_not() {
        let mut livelock = Livelock::new(3, 0);
        let much = 20 * UNEXPLAINED;
        assert!(ends(&mut livelock, UNEXPLAINED, What::Start), "each step counts for itself");
        assert!(ends(&mut livelock, UNEXPLAINED, What::Start));
        assert!(!ends(&mut livelock, UNEXPLAINED + 1, What::Start));
        assert!(livelock.is_without_end(NODE, &What::Panic).is_none(), "the panic that ends it is no livelock");
        assert!(!ends(&mut livelock, much, from(NODE)), "its own frames explain nothing");
        assert!(ends(&mut livelock, much, from(HostId(2))));
    }

    #[test]
    fn forty_thousand_clients_that_give_up_at_once_are_no_livelock() {
        let clients = 40_000;
        let asking = PER_OPERATION * clients;
        assert!(!ends(&mut Livelock::new(3, 0), asking, What::Start));
        assert!(ends(&mut Livelock::new(3, clients), asking, What::Start));
        assert!(!ends(&mut Livelock::new(3, clients), 2 * asking, What::Start));
    }
}
