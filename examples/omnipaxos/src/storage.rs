//! A node's durable state. Clones share it, as processes share a disk.

use crate::kv::Command;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{NoSnapshot, StopSign, Storage, StorageOp, StorageResult};
use omnipaxos_storage::memory_storage::MemoryStorage;
use std::sync::{Arc, Mutex, PoisonError};

/// omnipaxos's own storage in memory, shared.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<MemoryStorage<Command>>>);

impl Disk {
    fn with<T>(&self, access: impl FnOnce(&mut MemoryStorage<Command>) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage<Command> for Disk {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Command>>) -> StorageResult<()> {
        self.with(|disk| disk.write_atomically(ops))
    }

    fn append_entry(&mut self, entry: Command) -> StorageResult<()> {
        self.with(|disk| disk.append_entry(entry))
    }

    fn append_entries(&mut self, entries: Vec<Command>) -> StorageResult<()> {
        self.with(|disk| disk.append_entries(entries))
    }

    fn append_on_prefix(&mut self, from_idx: usize, entries: Vec<Command>) -> StorageResult<()> {
        self.with(|disk| disk.append_on_prefix(from_idx, entries))
    }

    fn set_promise(&mut self, n_prom: Ballot) -> StorageResult<()> {
        self.with(|disk| disk.set_promise(n_prom))
    }

    fn set_decided_idx(&mut self, ld: usize) -> StorageResult<()> {
        self.with(|disk| disk.set_decided_idx(ld))
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        self.with(|disk| disk.get_decided_idx())
    }

    fn set_accepted_round(&mut self, na: Ballot) -> StorageResult<()> {
        self.with(|disk| disk.set_accepted_round(na))
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        self.with(|disk| disk.get_accepted_round())
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Command>> {
        self.with(|disk| disk.get_entries(from, to))
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        self.with(|disk| disk.get_log_len())
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Command>> {
        self.with(|disk| disk.get_suffix(from))
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        self.with(|disk| disk.get_promise())
    }

    fn set_stopsign(&mut self, stop: Option<StopSign>) -> StorageResult<()> {
        self.with(|disk| disk.set_stopsign(stop))
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        self.with(|disk| disk.get_stopsign())
    }

    fn trim(&mut self, idx: usize) -> StorageResult<()> {
        self.with(|disk| disk.trim(idx))
    }

    fn set_compacted_idx(&mut self, idx: usize) -> StorageResult<()> {
        self.with(|disk| disk.set_compacted_idx(idx))
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        self.with(|disk| disk.get_compacted_idx())
    }

    fn set_snapshot(&mut self, snapshot: Option<NoSnapshot>) -> StorageResult<()> {
        self.with(|disk| disk.set_snapshot(snapshot))
    }

    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        self.with(|disk| disk.get_snapshot())
    }
}
