//! A node's clock: the time that it reads and that its timers wait by. It is right, unless a fault makes it wrong.
//!
//! True time is the simulator's. A clock that drifts runs at another rate. What it measures, and how long its timers
//! wait, follow that rate from the instant at which the drift changes; a timer keeps the rate under which it was set.
//! An offset changes only the time of day, as a wrong setting does, and no timer.

use super::{Host, lock};
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// The clocks of a run that have ever drifted.
#[derive(Default)]
pub(super) struct Clocks {
    drifted: Mutex<BTreeMap<HostId, Drift>>,
}

/// A clock at the last change of its rate. Times in nanoseconds.
#[derive(Clone, Copy, Default)]
struct Drift {
    true_ns: u64,
    local_ns: u64,
    ppm: i64,
}

const MILLION: i128 = 1_000_000;

impl Drift {
    fn local_ns(self, now_ns: u64) -> u64 {
        let passed = i128::from(now_ns - self.true_ns) * (MILLION + i128::from(self.ppm)) / MILLION;
        self.local_ns + passed as u64
    }
}

impl Clocks {
    /// Records a host's rate, which may have changed.
    pub(super) fn set_rate(&self, host: HostId, now_ns: u64, ppm: i64) {
        let mut drifted = lock(&self.drifted);
        if ppm != 0 || drifted.contains_key(&host) {
            let drift = drifted.entry(host).or_insert(Drift { true_ns: now_ns, local_ns: now_ns, ppm: 0 });
            *drift = Drift { true_ns: now_ns, local_ns: drift.local_ns(now_ns), ppm };
        }
    }

    fn of(&self, host: HostId) -> Option<Drift> {
        lock(&self.drifted).get(&host).copied()
    }

    /// What a host's clock has counted when the true time is `now_ns`.
    fn local_ns(&self, host: HostId, now_ns: u64) -> u64 {
        self.of(host).map_or(now_ns, |drift| drift.local_ns(now_ns))
    }
}

impl Host {
    /// Nanoseconds that this host's clock has counted since the start of the run: what its timers and leases go by.
    pub fn local_ns(&self) -> u64 {
        self.fabric().clocks().local_ns(self.id(), self.now_ns())
    }

    /// How long a span of this host's own time takes in truth.
    pub fn true_span(&self, span: Duration) -> Duration {
        match self.fabric().clocks().of(self.id()) {
            Some(Drift { ppm, .. }) if ppm != 0 => {
                let ns = span.as_nanos() as i128 * MILLION / (MILLION + i128::from(ppm)).max(1);
                Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
            _ => span,
        }
    }

    /// The time of day that this host's clock reads, in nanoseconds since the start of the run; may be set wrong.
    pub fn wall_ns(&self) -> u64 {
        let offset_ns = self.fabric().with_active(|active| active.clock(self.id()).offset_ns);
        self.local_ns().saturating_add_signed(offset_ns)
    }

    /// Sleeps for a span of this host's time.
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(self.true_span(span)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_keeps_what_it_gained_when_its_rate_changes() {
        let (clocks, host) = (Clocks::default(), HostId(1));
        clocks.set_rate(host, 0, 0);
        assert!(clocks.of(host).is_none());
        clocks.set_rate(host, 1_000, 500_000);
        assert_eq!(clocks.of(host).unwrap().local_ns(1_000), 1_000);
        assert_eq!(clocks.of(host).unwrap().local_ns(3_000), 4_000, "half as fast again");
        clocks.set_rate(host, 3_000, -500_000);
        assert_eq!(clocks.of(host).unwrap().local_ns(5_000), 5_000, "half as fast");
        clocks.set_rate(host, 5_000, 0);
        assert_eq!(clocks.of(host).unwrap().local_ns(6_000), 6_000);
    }
}
