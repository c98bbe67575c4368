//! The time of a run on real processes: the kernel's monotonic clock, which every process of the machine reads alike.

use crate::host::recorder::Clock;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};

/// The kernel's monotonic clock, in nanoseconds since some instant before this process.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The processor time of the calling thread, in nanoseconds.
pub fn thread_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// The time since a run has started.
#[derive(Default)]
pub struct RunClock {
    /// When it started, by the monotonic clock; 0: it has not.
    started_ns: AtomicU64,
}

impl RunClock {
    /// The clock of a run that started at this instant of the monotonic clock.
    pub fn started(at_ns: u64) -> RunClock {
        RunClock { started_ns: AtomicU64::new(at_ns) }
    }

    /// When the run started, by the monotonic clock; 0: it has not.
    pub fn started_ns(&self) -> u64 {
        self.started_ns.load(Ordering::Acquire)
    }

    /// The run starts now.
    pub fn start(&self) {
        self.started_ns.store(monotonic_ns(), Ordering::Release);
    }
}

impl Clock for RunClock {
    fn now_ns(&self) -> Option<u64> {
        let started_ns = self.started_ns.load(Ordering::Acquire);
        (started_ns > 0).then(|| monotonic_ns().saturating_sub(started_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_no_time_before_it_starts() {
        let clock = RunClock::default();
        assert_eq!(clock.now_ns(), None);
        clock.start();
        let first = clock.now_ns().expect("it runs");
        assert!(clock.now_ns().expect("it runs") >= first);
    }
}
