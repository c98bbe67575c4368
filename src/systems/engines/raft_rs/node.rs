//! One node: the task that drives raft-rs, and the requests that come to it.

use super::members::Changing;
use super::replica::{Done, Replica};
use super::state::{Change, Disk, Machine, RaftRs, Shared};
use super::{Reads, Setup};
use crate::host::transport::Incoming;
use crate::host::Host;
use crate::kv::{Op, Response};
use crate::systems::engines::desk::{Asked, Counter, Desk, acknowledge};
use crate::systems::engines::mailroom::{Arrival, Mailroom};
use crate::systems::message::{decode, encode};
use crate::systems::protocol::Request;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::{process, tables};
use crate::trace::{HostSet, MessageKind};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A request for the engine.
enum Work {
    Command(Asked),
    Members(HostSet, Counter),
}

/// One process.
pub struct Node {
    host: Host,
    setup: Rc<Setup>,
    mailroom: Rc<Mailroom>,
    work: RefCell<Vec<Work>>,
    is_tick_due: Cell<bool>,
    failure: Notify,
    /// Taken by the task that drives it.
    replica: RefCell<Option<Replica>>,
}

impl Node {
    /// A node that starts from what its disk holds.
    ///
    /// # Errors
    /// When the storage cannot be read, or raft-rs does not start on it.
    pub fn start(setup: &Rc<Setup>, host: &Host, latest: &super::Latest) -> Result<Rc<Node>, Box<dyn Error>> {
        let database = tables::open::<RaftRs>(host.disk())?;
        let (disk, mut machine): (Disk, Machine) = tables::load(&database)?;
        if machine.membership.voters.is_empty() {
            machine.membership = setup.founders.clone();
        }
        let journal: Journal<Change> = Journal::new(host.clone(), database, tables::commit);
        let state = Shared { disk: Arc::new(Mutex::new(disk)), machine: Arc::new(Mutex::new(machine)) };
        *latest.borrow_mut() = Some(state.machine.clone());
        let replica = Replica::new(host, setup, state, journal)?;
        Ok(Rc::new(Node {
            host: host.clone(),
            setup: setup.clone(),
            mailroom: Mailroom::new(host.clone(), setup.deadline),
            work: RefCell::default(),
            is_tick_due: Cell::new(false),
            failure: Notify::new(),
            replica: RefCell::new(Some(replica)),
        }))
    }

    /// Counts time for raft-rs. A tick that finds the node at its disk waits for it; further ones are dropped, as an
    /// interval timer does.
    async fn keep_time(self: Rc<Self>) {
        while !self.mailroom.is_closed() {
            self.host.sleep(self.setup.tick).await;
            self.is_tick_due.set(true);
            self.mailroom.wake();
        }
    }

    /// Drives raft-rs until the disk fails.
    async fn drive(self: Rc<Self>) {
        let replica = self.replica.take().expect("one task drives a node");
        let mut driver = Driver { node: self.clone(), replica, desk: Desk::default(), reads: Reading::default(), changing: Changing::default() };
        loop {
            self.mailroom.work().await;
            if let Err(error) = driver.work().await {
                tracing::error!("{:?} stops: {error}", self.host);
                self.mailroom.close();
                self.failure.notify_one();
                return;
            }
        }
    }
}

impl process::Node for Node {
    fn begin(self: &Rc<Self>) {
        self.host.spawn(self.clone().keep_time());
        self.host.spawn(self.clone().drive());
    }

    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        let (counter, answer) = tokio::sync::oneshot::channel();
        let work = match incoming.kind {
            MessageKind::Request => {
                let Request { command } = decode(&incoming.payload)?;
                Work::Command(Asked { command, counter })
            }
            MessageKind::Members => Work::Members(decode(&incoming.payload)?, counter),
            _ => return self.mailroom.receive(incoming).await,
        };
        if self.mailroom.is_closed() {
            return None;
        }
        self.work.borrow_mut().push(work);
        self.mailroom.wake();
        answer.await.ok()
    }

    async fn failed(&self) {
        self.failure.notified().await;
    }
}

/// The reads that wait: to be given to raft-rs, for a majority to confirm that this node leads, and for the state to
/// reach what was committed then.
#[derive(Default)]
struct Reading {
    last: u64,
    new: Vec<Asked>,
    unconfirmed: BTreeMap<u64, Asked>,
    confirmed: Vec<(u64, Asked)>,
}

impl Reading {
    fn take(&mut self) -> Vec<Asked> {
        let mut all = std::mem::take(&mut self.new);
        all.extend(std::mem::take(&mut self.unconfirmed).into_values());
        all.extend(std::mem::take(&mut self.confirmed).into_iter().map(|(_, asked)| asked));
        all
    }
}

/// raft-rs between its inputs and its outputs.
struct Driver {
    node: Rc<Node>,
    replica: Replica,
    desk: Desk,
    reads: Reading,
    changing: Changing,
}

impl Driver {
    /// One batch: all that came, then all that raft-rs asks for.
    async fn work(&mut self) -> std::io::Result<()> {
        let node = self.node.clone();
        let (arrived, mut batch) = node.mailroom.batch();
        for arrival in arrived {
            match arrival {
                Arrival::Message { bytes, .. } => self.replica.receive(&bytes),
                Arrival::Called { peer, kind, is_answered } => {
                    self.replica.called(peer, kind == MessageKind::InstallSnapshot, is_answered);
                }
            }
        }
        if node.is_tick_due.take() {
            self.replica.tick();
        }
        for work in node.work.take() {
            match work {
                Work::Command(asked) => self.ask(asked),
                Work::Members(voters, counter) => self.changing.begin(&mut self.replica, voters, counter),
            }
        }
        self.confirm_reads();
        let done = self.replica.settle(&node.mailroom, &mut batch).await?;
        batch.reply();
        for done in done {
            match done {
                Done::Command(command, applied, term) => self.desk.applied(&node.host, &command, applied, term),
                Done::Read(state) => {
                    let asked = self.reads.unconfirmed.remove(&Replica::number(&state));
                    self.reads.confirmed.extend(asked.map(|asked| (state.index, asked)));
                }
                Done::Members(number) => self.changing.applied(&self.replica, number),
            }
        }
        self.serve_reads();
        if !self.replica.leads() {
            self.desk.abandon();
            self.changing.abandon();
            let hint = self.replica.hint();
            self.reads.take().into_iter().for_each(|asked| asked.refuse(hint));
        }
        Ok(())
    }

    fn ask(&mut self, asked: Asked) {
        let is_read = matches!(asked.command.op, Op::Get { .. });
        if is_read && self.node.setup.reads == Reads::Local {
            return self.answer_read(asked);
        }
        if !self.replica.leads() {
            return asked.refuse(self.replica.hint());
        }
        if is_read {
            return self.reads.new.push(asked);
        }
        match self.replica.propose(&asked.command) {
            Ok(()) => self.desk.proposed(asked),
            // raft-rs has not appended it.
            Err(_) => asked.refuse(self.replica.hint()),
        }
    }

    /// ReadIndex (Raft dissertation, section 6.4). A leader that has committed nothing in its term cannot do it yet, and
    /// raft-rs then forgets the request, so it waits here.
    fn confirm_reads(&mut self) {
        if !self.replica.leads() || !self.replica.raw.raft.commit_to_current_term() {
            return;
        }
        for asked in std::mem::take(&mut self.reads.new) {
            self.reads.last += 1;
            self.replica.raw.read_index(encode(&self.reads.last));
            self.reads.unconfirmed.insert(self.reads.last, asked);
        }
        self.replica.stepped();
    }

    fn serve_reads(&mut self) {
        let applied = self.replica.applied();
        let (ready, waiting) = std::mem::take(&mut self.reads.confirmed)
            .into_iter()
            .partition::<Vec<_>, _>(|(index, _)| *index <= applied);
        self.reads.confirmed = waiting;
        ready.into_iter().for_each(|(_, asked)| self.answer_read(asked));
    }

    fn answer_read(&self, asked: Asked) {
        let (value, term) = (self.replica.value(&asked.command), self.replica.raw.raft.term);
        let reply = acknowledge(&self.node.host, &asked.command, Response::Value(value), term);
        asked.answer(&reply);
    }
}
