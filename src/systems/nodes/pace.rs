//! Simulated time that goes no faster than time itself, for processes that go by their own clocks.

use super::family::Family;
use super::lock;
use crate::host::Host;
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How far simulated time may be behind and still catch up. What is beyond that is lost: clients that hurried would give
/// nodes no time to answer.
const CATCH_UP: Duration = Duration::from_millis(50);

/// Holds the simulator back, and stops the processes that are paused.
#[derive(Default)]
pub struct Pacer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When simulated time began, by the machine's clock.
    begun: Option<Instant>,
    watched: BTreeMap<HostId, Watched>,
}

struct Watched {
    host: Host,
    family: Arc<Mutex<Family>>,
    is_paused: bool,
}

impl Pacer {
    /// A process of a node has started.
    pub fn watch(&self, host: &Host, family: Arc<Mutex<Family>>) {
        lock(&self.state).watched.insert(host.id(), Watched { host: host.clone(), family, is_paused: false });
    }

    /// Waits until the time of the simulator's next step has come; at once if no process is watched.
    pub fn step(&self) {
        let wait = {
            let state = &mut *lock(&self.state);
            let Some(first) = state.watched.values().next() else { return };
            let simulated = Duration::from_nanos(first.host.now_ns());
            for watched in state.watched.values_mut() {
                let is_paused = watched.host.fabric().gate(watched.host.id()).is_paused();
                if is_paused != watched.is_paused {
                    watched.is_paused = is_paused;
                    lock(&watched.family).pause(is_paused);
                }
            }
            let now = Instant::now();
            let begun = state.begun.get_or_insert(now - simulated);
            let passed = now.duration_since(*begun);
            if passed > simulated + CATCH_UP {
                *begun = now - simulated - CATCH_UP;
            }
            simulated.saturating_sub(passed)
        };
        thread::sleep(wait);
    }
}
