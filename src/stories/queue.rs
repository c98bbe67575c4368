//! One queue, first come, first served, for a processor that does one thing at a time.

use super::life;
use super::world::sleep_until;
use crate::host::Host;
use crate::run::life::Part;
use std::cell::Cell;

/// When the processor has done what it has taken on.
#[derive(Default)]
pub struct Queue {
    free_ns: Cell<u64>,
}

impl Queue {
    /// Waits for a turn and works; how long both took. The work is booked at once, and done even if nobody waits for it any
    /// more.
    pub async fn work(&self, host: &Host, work_ns: u64) -> u64 {
        let now_ns = host.now_ns();
        let until_ns = self.free_ns.get().max(now_ns) + work_ns;
        self.free_ns.set(until_ns);
        if let Some(ticket) = life::ticket() {
            ticket.begin(now_ns, Part::Queueing, &format!("in the queue of {}", host.name()));
            ticket.begin(until_ns - work_ns, Part::Processing, &format!("{} works", host.name()));
        }
        sleep_until(host, until_ns).await;
        host.now_ns() - now_ns
    }
}
