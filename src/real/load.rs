//! The load of a bench: clients that each send the next put to the leader once the last is answered, and what they measure.

use super::course::Course;
use super::error::RealError;
use crate::host::Host;
use crate::kv::{Command, Key, Op, Tag};
use crate::systems::protocol::Reply;
use crate::systems::{Attempt, Attempted, Cluster};
use crate::trace::HostId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Before measuring: how long clients already send.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long a put may take until it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often processes are looked after.
const STEP: Duration = Duration::from_millis(20);

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// How many clients send at once.
    pub clients: u32,
    /// For how many seconds.
    pub seconds: u64,
    /// The folder, on a disk, in which nodes keep their data; it must be empty.
    pub folder: PathBuf,
}

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// How long each acknowledged put took, in nanoseconds, ascending.
    pub latencies_ns: Vec<u64>,
    /// Puts that were refused, or not answered in time.
    pub failed: u64,
    /// For how many seconds puts were counted.
    pub seconds: f64,
}

impl Round {
    /// Acknowledged puts a second.
    pub fn puts_per_s(&self) -> f64 {
        self.latencies_ns.len() as f64 / self.seconds
    }

    /// So many of a hundred puts were acknowledged within this many milliseconds; 0 if none was.
    pub fn latency_ms(&self, hundredth: usize) -> f64 {
        let at = (self.latencies_ns.len() * hundredth / 100).min(self.latencies_ns.len().saturating_sub(1));
        self.latencies_ns.get(at).map_or(0.0, |ns| *ns as f64 / 1e6)
    }

    /// All puts of several rounds.
    pub fn all<'a>(rounds: impl Iterator<Item = &'a Round>) -> Round {
        let mut all = Round::default();
        for round in rounds {
            all.latencies_ns.extend(&round.latencies_ns);
            all.failed += round.failed;
            all.seconds += round.seconds;
        }
        all.latencies_ns.sort_unstable();
        all
    }
}

/// Puts a load on a store that has been set up.
///
/// # Errors
/// When the store does not come up, or one of its processes ends.
pub async fn put(course: &Course<'_>, cluster: Arc<dyn Cluster>, load: &Load) -> Result<Round, RealError> {
    course.begin().await?;
    let leader = course.leader().await?;
    let (_, at) = course.world.topology.client_hosts().next().expect("the bench has clients");
    let from = Instant::now() + WARM_UP;
    let until = from + Duration::from_secs(load.seconds);
    let client = |by| {
        let client = Client { by, host: Host::new(at, course.fabric.clone()), cluster: cluster.clone(), leader };
        tokio::task::spawn_local(client.run(from, until))
    };
    let clients: Vec<_> = (0..load.clients).map(client).collect();
    while clients.iter().any(|client| !client.is_finished()) {
        course.tend()?;
        tokio::time::sleep(STEP).await;
    }
    let mut all = Round::default();
    for client in clients {
        let own = client.await.map_err(|error| RealError::Harness(format!("a client: {error}")))?;
        all.latencies_ns.extend(own.latencies_ns);
        all.failed += own.failed;
    }
    all.latencies_ns.sort_unstable();
    all.seconds = load.seconds as f64;
    Ok(all)
}

/// One client.
struct Client {
    by: u32,
    host: Host,
    cluster: Arc<dyn Cluster>,
    leader: HostId,
}

impl Client {
    /// Puts until an instant; counts those that begin and end in the measured time.
    async fn run(mut self, from: Instant, until: Instant) -> Round {
        let mut round = Round::default();
        for sequence in 1.. {
            let start = Instant::now();
            if start >= until {
                break;
            }
            let tag = Tag { session: u64::from(self.by) + 1, sequence };
            let value = u64::from(self.by) << 32 | sequence;
            let attempt = Attempt {
                client: &self.host,
                node: self.leader,
                command: Command { tag, op: Op::Put { key: Key(self.by), value } },
                by: self.by,
                operation: 0,
                number: 0,
                timeout: TIMEOUT,
            };
            let Attempted { reply, .. } = self.cluster.attempt(attempt).await;
            let end = Instant::now();
            let counts = start >= from && end <= until;
            match reply {
                Reply::Ok { .. } if counts => round.latencies_ns.push((end - start).as_nanos() as u64),
                Reply::Ok { .. } => {}
                Reply::Refused { hint } => {
                    self.leader = hint.unwrap_or(self.leader);
                    round.failed += u64::from(counts);
                    tokio::time::sleep(STEP).await;
                }
                Reply::Failed | Reply::Unknown => round.failed += u64::from(counts),
            }
        }
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_all_puts_of_all_rounds() {
        let round = |ms: &[u64], failed| Round {
            latencies_ns: ms.iter().map(|ms| ms * 1_000_000).collect(),
            failed,
            seconds: 2.0,
        };
        let all = Round::all([round(&[1, 9], 0), round(&[2, 3], 1)].iter());
        assert_eq!((all.puts_per_s(), all.failed), (1.0, 1));
        assert_eq!((all.latency_ms(50), all.latency_ms(99)), (3.0, 9.0));
        assert_eq!(Round::default().latency_ms(50), 0.0);
    }
}
