//! One client: follows its part of the script, one operation at a time, and writes the history.
//!
//! It prefers the nodes of its own site, retries under the same tag, follows hints, and after an unknown outcome goes
//! on as a new process with a new session. A command that may have been executed is sent again only to a system that
//! recognises a repetition. When the script is over and the faults have ended, each client proves with a fresh put and
//! get that it is served. Then every key is read through every node.

use super::desk::Desk;
use crate::history::{Acknowledger, Operation, Status};
use crate::host::Host;
use crate::kv::{Command, Key, Op, Response, Tag, Value};
use crate::scenario::ScriptedOp;
use crate::systems::protocol::Reply;
use crate::systems::{Attempt, Attempted};
use crate::trace::{HostId, What};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A client's pause after a refusal that hints at no other node.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// A client's pause between two attempts of its closing put or get.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// Values written outside the script start here, above any scripted value.
const PROBE_VALUES: Value = 1 << 40;
/// How many operation ids each client has outside the script.
const IDS_PER_CLIENT: u32 = 10_000;

/// One client.
pub struct Client {
    id: u32,
    host: Host,
    desk: Rc<Desk>,
    script: Vec<ScriptedOp>,
    /// Nodes in the order in which this client asks them: its own site's first.
    nodes: Vec<HostId>,
    /// Index into `nodes` of the node that it asks now.
    preferred: usize,
    /// The nodes through which this client reads every key at the end.
    reads_through: Vec<HostId>,
    /// The current process and its next sequence number.
    tag: Tag,
    /// The last value this client saw, by key: what its next cas expects.
    seen: BTreeMap<Key, Option<Value>>,
    next_id: u32,
}

/// How an operation ended, before that is entered into the history.
struct Ended {
    status: Status,
    /// Hash of what was returned.
    hash: u64,
    attempts: u32,
}

impl Client {
    /// Client `id`, with its part of the script; it asks `nodes` in this order, and at the end reads every key through
    /// each of `reads_through`.
    pub fn new(
        id: u32,
        host: Host,
        desk: Rc<Desk>,
        script: Vec<ScriptedOp>,
        nodes: Vec<HostId>,
        reads_through: Vec<HostId>,
    ) -> Client {
        let tag = Tag { session: u64::from(id) + 1, sequence: 1 };
        let next_id = desk.first_free_id + id * IDS_PER_CLIENT;
        Client { id, host, desk, script, nodes, preferred: 0, reads_through, tag, seen: BTreeMap::new(), next_id }
    }

    /// Runs the script, the closing put and get, and the final reads.
    pub async fn run(mut self) {
        for scripted in std::mem::take(&mut self.script) {
            let planned_ns = scripted.at_us * 1000;
            self.sleep_until(planned_ns).await;
            // A client whose script is behind schedule when the faults are over drops the rest: liveness is about fresh
            // operations, and a queue of old ones would only measure its own length.
            if self.host.now_ns() >= self.desk.quiet_from_ns {
                break;
            }
            let op = match scripted.op {
                Op::Cas { key, new, .. } if !scripted.fixed_expectation => {
                    Op::Cas { key, expected: self.seen.get(&key).copied().flatten(), new }
                }
                op => op,
            };
            self.perform(scripted.id, planned_ns, op).await;
        }
        self.sleep_until(self.desk.quiet_from_ns).await;
        let key = Key(self.id % self.desk.keys.max(1));
        let mut value = PROBE_VALUES + u64::from(self.id) * u64::from(IDS_PER_CLIENT);
        loop {
            value += 1;
            if self.probe(Op::Put { key, value }).await {
                break;
            }
        }
        while !self.probe(Op::Get { key }).await {}
        self.desk.probed();
        while !self.reads_through.is_empty() && !self.desk.all_probed() {
            self.host.sleep(PROBE_PAUSE).await;
        }
        if !self.reads_through.is_empty() {
            self.host.sleep(self.desk.cluster.settling()).await;
        }
        for node in std::mem::take(&mut self.reads_through) {
            for key in (0..self.desk.keys).map(Key) {
                self.preferred = self.nodes.iter().position(|known| *known == node).unwrap_or(0);
                while !self.probe(Op::Get { key }).await {}
            }
        }
        self.desk.finished();
    }

    async fn sleep_until(&self, t_ns: u64) {
        let now_ns = self.host.now_ns();
        if t_ns > now_ns {
            self.host.sleep(Duration::from_nanos(t_ns - now_ns)).await;
        }
    }

    /// One attempt of an operation outside the script. Returns whether it was acknowledged.
    async fn probe(&mut self, op: Op) -> bool {
        let id = self.next_id;
        self.next_id += 1;
        let now_ns = self.host.now_ns();
        let acknowledged = matches!(self.perform(id, now_ns, op).await, Status::Ok { .. });
        if !acknowledged {
            self.host.sleep(PROBE_PAUSE).await;
        }
        acknowledged
    }

    /// Runs one operation to its end and enters it into the history.
    async fn perform(&mut self, id: u32, planned_ns: u64, op: Op) -> Status {
        let (tag, start_ns) = (self.tag, self.host.now_ns());
        let (end_ns, status, attempts) = (u64::MAX, Status::Info, 0);
        let invoked = Operation { id, client: self.id, tag, op, planned_ns, start_ns, end_ns, status, attempts };
        let entry = self.desk.invoked(invoked);
        self.host.record(What::Invoke { operation: id, client: self.id, tag });
        let Ended { status, hash, attempts } = self.attempt(id, Command { tag, op }).await;
        self.desk.ended(entry, Operation { status, attempts, end_ns: self.host.now_ns(), ..invoked });
        match status {
            Status::Ok { outcome, .. } => {
                self.saw(&op, outcome);
                self.host.record(What::Ok { operation: id, outcome: hash });
                self.tag.sequence += 1;
            }
            Status::Fail => {
                self.host.record(What::Fail { operation: id });
                self.tag.sequence += 1;
            }
            Status::Info => {
                self.host.record(What::Info { operation: id });
                self.tag = Tag { session: tag.session + u64::from(self.desk.clients), sequence: 1 };
            }
        }
        status
    }

    fn saw(&mut self, op: &Op, outcome: Response) {
        let value = match (*op, outcome) {
            (_, Response::Value(found) | Response::Mismatch { found }) => found,
            (op, Response::Done | Response::Swapped) => op.written(),
        };
        self.seen.insert(op.key(), value);
    }

    /// Sends a command until it is acknowledged or its time is over.
    async fn attempt(&mut self, id: u32, command: Command) -> Ended {
        let end_ns = self.host.now_ns() + self.desk.operation_timeout.as_nanos() as u64;
        let mut is_definite = true;
        let mut attempts = 0;
        let mut hinted: Option<HostId> = None;
        loop {
            let left = Duration::from_nanos(end_ns.saturating_sub(self.host.now_ns()));
            if left.is_zero() {
                let status = if is_definite { Status::Fail } else { Status::Info };
                return Ended { status, hash: 0, attempts };
            }
            let timeout = left.min(self.desk.attempt_timeout);
            let node = self.nodes[self.preferred];
            let client = &self.host;
            let attempt = Attempt { client, node, command, by: self.id, operation: id, number: attempts, timeout };
            attempts += 1;
            let Attempted { reply, hash } = self.desk.cluster.attempt(attempt).await;
            let hint = match reply {
                Reply::Ok { outcome, acknowledged_by, term } => {
                    let by = Some(Acknowledger { node: acknowledged_by, term });
                    return Ended { status: Status::Ok { outcome, by }, hash, attempts };
                }
                Reply::Refused { hint } => hint,
                Reply::Failed if is_definite => return Ended { status: Status::Fail, hash: 0, attempts },
                // An earlier attempt may have taken effect nevertheless.
                Reply::Failed => return Ended { status: Status::Info, hash: 0, attempts },
                Reply::Unknown if !self.desk.cluster.may_repeat(id) => {
                    // Another attempt might execute it twice. The next operation asks another node.
                    self.preferred = (self.preferred + 1) % self.nodes.len();
                    return Ended { status: Status::Info, hash: 0, attempts };
                }
                Reply::Unknown => {
                    is_definite = false;
                    None
                }
            };
            // A hint is followed once. If hints lead in a circle, the cluster is still electing its leader.
            let followed = hint.filter(|hint| Some(*hint) != hinted && *hint != node);
            hinted = followed.or(hinted);
            match followed.and_then(|hint| self.nodes.iter().position(|known| *known == hint)) {
                Some(index) => self.preferred = index,
                None => {
                    self.preferred = (self.preferred + 1) % self.nodes.len();
                    hinted = None;
                    self.host.sleep(REFUSED_PAUSE.min(left)).await;
                }
            }
        }
    }
}
