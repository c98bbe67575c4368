//! One life of a node: events to its process, one after the other, and what it does about them.

use super::answer::{Action, Answer};
use super::child::Child;
use super::outbox::{Outbox, members, names, quoted};
use super::post::{Envelope, Mailbox};
use super::{Broken, Shared, Wrong};
use crate::host::Host;
use crate::host::carrier::Letter;
use crate::host::task::RESTART_PAUSE;
use crate::systems::storage::pairs::Pairs;
use crate::trace::{Role, Scope, What};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The most messages to itself that a node may handle before anything else comes: they take no time.
const SELF_SENDS: usize = 100_000;

/// The shortest wait.
const SHORTEST: Duration = Duration::from_micros(100);

/// Why a life ended.
enum End {
    /// The disk failed.
    Disk(io::Error),
    /// The process did.
    Wrong(Wrong),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Disk(error)
    }
}

impl From<Wrong> for End {
    fn from(wrong: Wrong) -> End {
        End::Wrong(wrong)
    }
}

impl From<String> for End {
    fn from(why: String) -> End {
        End::Wrong(Wrong::Failed(why))
    }
}

/// Runs a node's processes until it is killed. One whose disk fails is started again a second later, as by a supervisor.
pub async fn run(cluster: Arc<Shared>, host: Host, first: Result<Child, Broken>) {
    let mut child = Some(first);
    loop {
        let mailbox = cluster.post.open(&host);
        let started = child.take().unwrap_or_else(|| Child::start(cluster.program.words(), host.name()));
        let end = match started {
            Ok(child) => live(&cluster, &host, child, &mailbox).await,
            Err(broken) => End::Wrong(Wrong::Broken(broken)),
        };
        match end {
            End::Disk(error) => {
                tracing::info!(target: "schism::nodes", "{host:?}: its disk failed: {error}");
                host.record(What::Crash);
                host.detach_disk();
                host.sleep(RESTART_PAUSE).await;
                host.record(What::Start);
            }
            End::Wrong(Wrong::Failed(why)) => {
                host.fabric().panicked(host.id(), format!("`{}` {why}", cluster.program.words().join(" ")));
                std::future::pending::<()>().await;
            }
            End::Wrong(Wrong::Broken(Broken(why))) => {
                cluster.break_off(format!("{}: {why}", host.name()));
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A process with all that belongs to it.
struct Life<'a> {
    cluster: &'a Shared,
    host: &'a Host,
    child: Child,
    mailbox: &'a Mailbox,
    disk: Pairs,
    /// The bytes of keys and values there.
    saved_bytes: u64,
    /// When each timer is due, in nanoseconds of the node's clock, and the count of timers set before it.
    timers: BTreeMap<String, (u64, u64)>,
    timers_set: u64,
    term: u64,
    /// Messages to itself since something else came.
    self_sends: usize,
}

async fn live(cluster: &Shared, host: &Host, child: Child, mailbox: &Mailbox) -> End {
    let disk = match Pairs::open(host.disk()) {
        Ok(disk) => disk,
        Err(error) => return End::Disk(error),
    };
    cluster.starts(host);
    let (timers, timers_set, term, self_sends) = (BTreeMap::new(), 0, 0, 0);
    let saved_bytes = disk.values().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    let mut life = Life { cluster, host, child, mailbox, disk, saved_bytes, timers, timers_set, term, self_sends };
    match life.go_on().await {
        Err(end) => end,
    }
}

/// Never made.
enum Never {}

impl Life<'_> {
    async fn go_on(&mut self) -> Result<Never, End> {
        let init = self.init();
        self.handle(&init, None).await?;
        loop {
            if let Some(name) = self.due() {
                self.timers.remove(&name);
                self.self_sends = 0;
                let event = self.event("timer", &format!(r#""timer":{}"#, quoted(&name)));
                self.handle(&event, None).await?;
            } else if let Some((letter, envelope)) = self.mailbox.take() {
                self.receive(letter, &envelope).await?;
            } else {
                self.wait().await;
            }
        }
    }

    /// Returns when there may be something to do.
    async fn wait(&self) {
        let Some((due_ns, _)) = self.timers.values().min() else { return self.mailbox.changed().await };
        // A clock that drifts rounds: what is left of a timer may be too little for time to go on by it.
        let left = Duration::from_nanos(due_ns.saturating_sub(self.host.local_ns())).max(SHORTEST);
        tokio::select! {
            biased;
            () = self.mailbox.changed() => {}
            () = self.host.sleep(left) => {}
        }
    }

    /// The timer that is due, of several the one that was due first.
    fn due(&self) -> Option<String> {
        let now_ns = self.host.local_ns();
        let first = self.timers.iter().min_by_key(|(_, due)| **due);
        first.filter(|(_, (due_ns, _))| *due_ns <= now_ns).map(|(name, _)| name.clone())
    }

    /// An event's line: all have the time that the node's clock reads, and a random number.
    fn event(&self, kind: &str, rest: &str) -> String {
        let us = self.host.wall_ns() / 1000;
        // 53 bits: every language reads such a number exactly.
        let random = self.host.random() >> 11;
        format!("{{\"event\":\"{kind}\",\"now_ms\":{}.{:03},\"random\":{random},{rest}}}\n", us / 1000, us % 1000)
    }

    fn init(&self) -> String {
        let name = quoted(self.host.name());
        let disk: Vec<String> =
            self.disk.values().iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
        let timing = &self.cluster.deployment;
        let rest = format!(
            r#""src":"schism","dest":{name},"body":{{"type":"init","msg_id":0,"node_id":{name},"node_ids":{}}},"disk":{{{}}},"timing":{{"heartbeat_ms":{},"election_min_ms":{},"election_max_ms":{}}}"#,
            names(self.host),
            disk.join(","),
            timing.heartbeat.as_millis(),
            timing.election.0.as_millis(),
            timing.election.1.as_millis(),
        );
        self.event("init", &rest)
    }

    async fn receive(&mut self, letter: Option<Letter>, envelope: &Envelope) -> Result<(), End> {
        match &letter {
            Some(letter) => {
                self.host.record(letter.delivered());
                self.self_sends = 0;
            }
            None => {
                self.self_sends += 1;
                if self.self_sends > SELF_SENDS {
                    return Err(
                        format!("sends messages to itself without end, the last a {}", envelope.head.kind).into()
                    );
                }
            }
        }
        let event = self.event("message", &members(envelope));
        self.handle(&event, letter.as_ref()).await
    }

    /// Hands over an event, and does what the node answers, in that order.
    async fn handle(&mut self, event: &str, letter: Option<&Letter>) -> Result<(), End> {
        let Answer { actions } = self.cluster.ask(self.host, &mut self.child, event)?;
        for action in actions {
            match action {
                Action::Send { to, body, head } => {
                    let outbox =
                        Outbox { cluster: self.cluster, host: self.host, mailbox: self.mailbox, term: self.term };
                    outbox.send(&to, body, head, letter)?;
                }
                Action::Timer { name, after_ms } => self.set_timer(name, after_ms),
                Action::Save { key, value } => self.save(key, value.map(|value| value.get().to_owned()))?,
                Action::Sync => {
                    self.host.sleep(self.host.disk_latency()).await;
                    self.disk.sync()?;
                }
                Action::Role { word, term } => {
                    self.term = term;
                    let role = role(&word);
                    if role == Role::Primary {
                        self.cluster.leads(self.host, term);
                    }
                    self.host.record_role(role, Scope::All, term);
                    self.host.fabric().recorder().label(self.host.id(), &word);
                }
                Action::Log(text) => {
                    let t_ms = self.host.now_ns() / 1_000_000;
                    tracing::info!(target: "schism::nodes", "{} {t_ms} ms: {text}", self.host.name());
                }
            }
        }
        Ok(())
    }

    fn save(&mut self, key: String, value: Option<String>) -> Result<(), End> {
        if let Some(most) = self.cluster.deployment.disk_bytes {
            let size = |key: &str, value: &str| (key.len() + value.len()) as u64;
            let freed = self.disk.values().get(&key).map_or(0, |value| size(&key, value));
            let wanted = self.saved_bytes - freed + value.as_ref().map_or(0, |value| size(&key, value));
            if wanted > most {
                return Err(
                    format!("has saved {wanted} bytes, and its disk holds {most}: remove what is outdated").into()
                );
            }
            self.saved_bytes = wanted;
        }
        Ok(self.disk.save(key, value)?)
    }

    fn set_timer(&mut self, name: String, after_ms: Option<f64>) {
        let Some(after_ms) = after_ms else {
            self.timers.remove(&name);
            return;
        };
        // A timer of 0 ms is due in the next step: otherwise a node that sets it again would stop time.
        let after_ns = ((after_ms * 1e6) as u64).max(1);
        self.timers_set += 1;
        self.timers.insert(name, (self.host.local_ns() + after_ns, self.timers_set));
    }
}

/// The role that a node's word stands for: who acts on its own authority, who asks to, and everybody else.
fn role(word: &str) -> Role {
    match word.to_ascii_lowercase().as_str() {
        "leader" | "primary" | "master" | "coordinator" | "active" => Role::Primary,
        "candidate" | "precandidate" | "pre-candidate" | "pre_candidate" => Role::Candidate,
        _ => Role::Backup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_what_its_word_stands_for() {
        assert_eq!(role("Leader"), Role::Primary);
        assert_eq!(role("observer"), Role::Backup);
    }
}
