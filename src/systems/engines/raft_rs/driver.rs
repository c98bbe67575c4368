//! raft-rs as the engine of a node: how it starts from a disk, and what its clients wait for.

use super::Setup;
use super::members::Changing;
use super::replica::{Done, Replica};
use super::state::{Change, Disk, Machine, RaftRs, Shared};
use crate::host::Host;
use crate::kv::{Op, Response};
use crate::systems::engines::cluster::Latest;
use crate::systems::engines::desk::{Asked, Counter, Desk, acknowledge};
use crate::systems::engines::mailroom::{Arrival, Batch, Mailroom};
use crate::systems::engines::node::Engine;
use crate::systems::message::encode;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::rules::Reads;
use crate::systems::storage::tables;
use crate::trace::{HostSet, MessageKind};
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

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
pub struct Driver {
    host: Host,
    setup: Rc<Setup>,
    replica: Replica,
    desk: Desk,
    reads: Reading,
    changing: Changing,
    done: Vec<Done>,
}

impl Driver {
    /// raft-rs on what a node's disk holds.
    ///
    /// # Errors
    /// When the storage cannot be read, or raft-rs does not start on it.
    pub fn start(setup: &Rc<Setup>, host: &Host, latest: &Latest<RaftRs>) -> Result<Driver, Box<dyn Error>> {
        let database = (setup.rules.node.open)(host)?;
        let (disk, mut machine): (Disk, Machine) = tables::load(&database)?;
        let disk = (setup.rules.node.remember)(disk);
        if machine.membership.voters.is_empty() {
            machine.membership = setup.founders.clone();
        }
        let journal: Journal<Change> = Journal::new(host.clone(), database, setup.rules.node.commit);
        let (disk, machine) = (Arc::new(Mutex::new(disk)), Arc::new(Mutex::new(machine)));
        let state = Shared { disk, machine, take: setup.rules.node.snapshot };
        *latest.borrow_mut() = Some(state.machine.clone());
        Ok(Driver {
            host: host.clone(),
            setup: setup.clone(),
            replica: Replica::new(host, setup, state, journal)?,
            desk: Desk::default(),
            reads: Reading::default(),
            changing: Changing::default(),
            done: Vec::new(),
        })
    }

    /// ReadIndex (Raft dissertation, section 6.4). A leader that has committed nothing in its term cannot do it yet, and
    /// raft-rs then forgets the request, so it waits here.
    fn confirm_reads(&mut self) {
        if self.reads.new.is_empty() || !self.replica.leads() || !self.replica.raw.raft.commit_to_current_term() {
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
        let confirmed = std::mem::take(&mut self.reads.confirmed);
        let (ready, waiting) = confirmed.into_iter().partition::<Vec<_>, _>(|(index, _)| *index <= applied);
        self.reads.confirmed = waiting;
        ready.into_iter().for_each(|(_, asked)| self.answer_read(asked));
    }

    fn answer_read(&self, asked: Asked) {
        let (value, term) = (self.replica.value(&asked.command), self.replica.raw.raft.term);
        let reply = acknowledge(&self.host, &asked.command, Response::Value(value), term);
        asked.answer(&reply);
    }
}

impl Engine for Driver {
    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Message { bytes, .. } => self.replica.receive(&bytes),
            Arrival::Called { peer, kind, is_answered } => {
                self.replica.called(peer, kind == MessageKind::InstallSnapshot, is_answered);
            }
        }
    }

    fn tick(&mut self) {
        self.replica.tick();
    }

    fn ask(&mut self, asked: Asked) {
        let is_read = matches!(asked.command.op, Op::Get { .. });
        if !self.replica.leads() {
            return asked.refuse(self.replica.hint());
        }
        if is_read {
            return match self.setup.rules.node.reads {
                Reads::Confirmed => self.reads.new.push(asked),
                Reads::Believing => self.answer_read(asked),
            };
        }
        match self.replica.propose(&asked.command) {
            Ok(()) => self.desk.proposed(asked),
            // raft-rs has not appended it.
            Err(_) => asked.refuse(self.replica.hint()),
        }
    }

    fn change_members(&mut self, voters: HostSet, counter: Counter) {
        self.changing.begin(&mut self.replica, voters, counter);
    }

    async fn settle(&mut self, mailroom: &Rc<Mailroom>, batch: &mut Batch) -> io::Result<()> {
        self.confirm_reads();
        self.done = self.replica.settle(mailroom, batch).await?;
        Ok(())
    }

    fn answer(&mut self) {
        for done in std::mem::take(&mut self.done) {
            match done {
                Done::Command(command, applied, term) => self.desk.applied(&self.host, &command, applied, term),
                Done::Read(state) => {
                    let asked = self.reads.unconfirmed.remove(&Replica::number(&state));
                    self.reads.confirmed.extend(asked.map(|asked| (state.index, asked)));
                }
                Done::Members(number) => self.changing.applied(&self.replica, number),
            }
        }
        self.serve_reads();
        if !self.replica.leads() {
            self.desk.abandon(self.setup.rules.deposed);
            self.changing.abandon();
            let hint = self.replica.hint();
            self.reads.take().into_iter().for_each(|asked| asked.refuse(hint));
        }
    }
}
