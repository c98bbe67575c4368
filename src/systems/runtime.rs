//! Time, tasks and randomness of the host whose task is running, for engines that ask for a runtime of their own.
//!
//! Each release series of openraft has a trait for it, which the systems on that series implement for [`HostRuntime`].

use crate::host::{Host, task};
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// The asynchronous runtime of a simulated (or real) host, for openraft's `AsyncRuntime` parameter.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostRuntime;

/// An instant on the clock of the host whose task is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostInstant(Duration);

impl HostInstant {
    /// The present, on that clock.
    pub(super) fn present() -> HostInstant {
        HostInstant(Duration::from_nanos(task::current().local_ns()))
    }
}

impl Add<Duration> for HostInstant {
    type Output = HostInstant;

    fn add(self, span: Duration) -> HostInstant {
        HostInstant(self.0 + span)
    }
}

impl Sub<Duration> for HostInstant {
    type Output = HostInstant;

    fn sub(self, span: Duration) -> HostInstant {
        HostInstant(self.0.saturating_sub(span))
    }
}

impl Sub for HostInstant {
    type Output = Duration;

    fn sub(self, earlier: HostInstant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl AddAssign<Duration> for HostInstant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl SubAssign<Duration> for HostInstant {
    fn sub_assign(&mut self, span: Duration) {
        *self = *self - span;
    }
}

/// The true duration of a span that the running task's host measures on its own clock.
pub(super) fn true_span(span: Duration) -> Duration {
    let host = task::current();
    host.true_span(span)
}

/// Random numbers from the stream of the host whose task is running.
pub struct HostRng(pub(super) Host);

impl HostRng {
    /// The stream of that host.
    pub(super) fn current() -> HostRng {
        HostRng(task::current())
    }
}
