//! omnipaxos as the engine of a node: what must be durable before it speaks, what it has decided, and what its clients
//! wait for.

use super::Setup;
use super::lines::{Came, Lines};
use super::state::{Change, Disk, Effects, Log, Logged, Machine, OmniPaxos, position};
use crate::host::{Host, lock};
use crate::kv::{Applied, Command};
use crate::rng;
use crate::systems::engines::cluster::Latest;
use crate::systems::engines::desk::{Asked, Desk};
use crate::systems::engines::mailroom::{Arrival, Batch, Mailroom, Post};
use crate::systems::engines::node::Engine;
use crate::systems::message::encode;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::tables;
use crate::trace::{HostId, MessageKind, Role, Scope, What};
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::ballot_leader_election::HeartbeatMsg;
use omnipaxos::messages::sequence_paxos::PaxosMsg;
use omnipaxos::{ClusterConfig, OmniPaxosConfig, ServerConfig};
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// omnipaxos between its inputs and its outputs.
pub struct Driver {
    host: Host,
    paxos: omnipaxos::OmniPaxos<Command, Log>,
    log: Log,
    machine: Arc<Mutex<Machine>>,
    lines: Lines,
    desk: Desk,
    done: Vec<(Command, Applied)>,
    promised: Ballot,
    /// The index up to which the log was last said to be decided.
    decided: u64,
    role: Option<(Role, u64)>,
}

impl Driver {
    /// omnipaxos on what a node's disk holds.
    ///
    /// # Errors
    /// When the storage cannot be read, or the deployment is no cluster.
    pub fn start(setup: &Rc<Setup>, host: &Host, latest: &Latest<OmniPaxos>) -> Result<Driver, Box<dyn Error>> {
        let database = tables::open::<OmniPaxos>(host.disk())?;
        let (disk, machine): (Disk, Machine) = tables::load(&database)?;
        host.record(What::Restored { upto: machine.applied });
        let promised = disk.vote.unwrap_or_default().promised;
        let journal: Journal<Change> = Journal::new(host.clone(), database, tables::commit);
        let log = Log { disk: Arc::new(Mutex::new(disk)), journal, is_ahead: Rc::default() };
        let machine = Arc::new(Mutex::new(machine));
        *latest.borrow_mut() = Some(machine.clone());
        let config = OmniPaxosConfig {
            cluster_config: ClusterConfig {
                configuration_id: 1,
                nodes: setup.nodes.iter().map(|node| u64::from(node.0)).collect(),
                ..ClusterConfig::default()
            },
            server_config: ServerConfig {
                pid: u64::from(host.id().0),
                election_tick_timeout: setup.election,
                resend_message_tick_timeout: setup.resend,
                ..ServerConfig::default()
            },
        };
        Ok(Driver {
            host: host.clone(),
            paxos: config.build(log.clone())?,
            log,
            machine,
            lines: Lines::default(),
            desk: Desk::default(),
            done: Vec::new(),
            promised,
            decided: 0,
            role: None,
        })
    }

    fn leads(&self) -> bool {
        self.role.is_some_and(|(role, _)| role == Role::Primary)
    }

    /// Whom to ask instead of this node.
    fn hint(&self) -> Option<HostId> {
        let leader = self.paxos.get_current_leader().map(|(pid, _)| HostId(pid as u16));
        leader.filter(|leader| *leader != self.host.id())
    }

    /// Records the ballot that this node has promised, which is durable now, and the role that it has in it.
    fn took_part(&mut self) {
        let ballot = self.paxos.get_promise();
        let (term, leader) = (u64::from(ballot.n), HostId(ballot.pid as u16));
        if ballot != self.promised {
            self.promised = ballot;
            self.host.record(What::Vote { term, candidate: leader, committed: false });
        }
        let is_accepting = self.paxos.get_current_leader().is_some_and(|(_, is_accepting)| is_accepting);
        let role = match (leader == self.host.id(), is_accepting) {
            (true, true) => Role::Primary,
            (true, false) => Role::Candidate,
            (false, _) => Role::Backup,
        };
        if self.role != Some((role, term)) {
            self.role = Some((role, term));
            self.host.record_role(role, Scope::All, term);
        }
    }

    /// Applies what is decided.
    fn apply(&mut self) {
        let mut machine = lock(&self.machine);
        let applied = machine.applied.map_or(0, |at| at.index);
        let decided = self.paxos.get_decided_idx() as u64;
        // Whatever it is: an index that goes back is for a check to find.
        if decided != self.decided {
            self.decided = decided;
            self.host.record(What::Commit { upto: position(decided) });
        }
        if decided <= applied {
            return;
        }
        let entries: Vec<Logged> = lock(&self.log.disk).log.range(applied + 1..=decided).map(|(_, e)| *e).collect();
        let mut effects = Effects::default();
        for entry in entries {
            let Command { tag, op } = entry.command;
            let at = position(entry.index);
            let answer = machine.apply(entry, &mut effects);
            let payload = rng::hash_bytes(0, &encode(&entry));
            self.host.record(What::ApplyEntry { at, payload, command: Some(tag) });
            if let Some(Applied::Fresh(_)) = answer {
                self.host.record(What::Apply { tag, key: op.key(), entry: Some(at) });
            }
            self.done.extend(answer.map(|answer| (entry.command, answer)));
        }
        // Not awaited: if this is lost, the entries are applied again from the log.
        self.log.journal.change(Change::Apply(effects));
    }

    fn came(&mut self, came: Came) {
        match came {
            Came::Message(message) => self.paxos.handle_incoming(message),
            Came::Lost(peer) => self.paxos.reconnected(peer),
        }
    }
}

/// What a message is called in the trace, and whether it answers another one.
fn class(message: &Message<Command>) -> (MessageKind, bool) {
    match message {
        Message::BLE(message) => match message.msg {
            HeartbeatMsg::Request(_) => (MessageKind::Heartbeat, false),
            HeartbeatMsg::Reply(_) => (MessageKind::Heartbeat, true),
        },
        Message::SequencePaxos(message) => match message.msg {
            PaxosMsg::Prepare(_) => (MessageKind::Vote, false),
            PaxosMsg::Promise(_) => (MessageKind::Vote, true),
            PaxosMsg::AcceptSync(_) | PaxosMsg::AcceptDecide(_) | PaxosMsg::Decide(_) => {
                (MessageKind::AppendEntries, false)
            }
            PaxosMsg::Accepted(_) | PaxosMsg::NotAccepted(_) => (MessageKind::AppendEntries, true),
            _ => (MessageKind::Other, false),
        },
    }
}

impl Engine for Driver {
    fn arrived(&mut self, arrival: Arrival) {
        // A message without a reply is sent again by its line.
        if let Arrival::Message { from, bytes } = arrival {
            self.lines.read(from, &bytes).into_iter().for_each(|came| self.came(came));
        }
    }

    fn tick(&mut self) {
        self.paxos.tick();
    }

    fn ask(&mut self, asked: Asked) {
        // omnipaxos would forward it; but then this node could not say whether it was refused.
        if !self.leads() {
            return asked.refuse(self.hint());
        }
        match self.paxos.append(asked.command) {
            Ok(()) => self.desk.proposed(asked),
            Err(_) => asked.refuse(self.hint()),
        }
    }

    async fn settle(&mut self, mailroom: &Rc<Mailroom>, batch: &mut Batch) -> io::Result<()> {
        let mut messages = Vec::new();
        self.paxos.take_outgoing_messages(&mut messages);
        // What a message says must be durable before it is sent, and so must a leader's own share of a decision.
        if self.log.is_ahead.take() {
            self.log.journal.flushed().await?;
        }
        self.took_part();
        let now_ns = self.host.now_ns();
        for (to, bytes) in self.lines.overdue(now_ns) {
            batch.send(mailroom, Post { to, kind: MessageKind::Other, is_answer: false, bytes });
        }
        for message in messages {
            let (to, (kind, is_answer)) = (HostId(message.get_receiver() as u16), class(&message));
            let bytes = self.lines.write(to, message, now_ns);
            batch.send(mailroom, Post { to, kind, is_answer, bytes });
        }
        self.apply();
        Ok(())
    }

    fn answer(&mut self) {
        let term = u64::from(self.promised.n);
        for (command, applied) in std::mem::take(&mut self.done) {
            self.desk.applied(&self.host, &command, applied, term);
        }
        if !self.leads() {
            // Another leader may still get them decided.
            self.desk.abandon(Asked::leave_open);
        }
    }
}
