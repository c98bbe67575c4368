//! A network for nodes of one process: it passes each RPC to the target's `Raft`.

use crate::types::App;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{BasicNode, Raft};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Knows every node of the process.
pub struct Router<C: App> {
    nodes: Arc<Mutex<BTreeMap<u64, Raft<C>>>>,
}

impl<C: App> Default for Router<C> {
    fn default() -> Self {
        Router { nodes: Arc::default() }
    }
}

impl<C: App> Clone for Router<C> {
    fn clone(&self) -> Self {
        Router { nodes: self.nodes.clone() }
    }
}

impl<C: App> Router<C> {
    /// Adds a node, or replaces it after a restart.
    pub fn register(&self, id: u64, raft: Raft<C>) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, raft);
    }
}

/// The way to one node.
pub struct Route<C: App> {
    router: Router<C>,
    target: u64,
}

impl<C: App> Route<C> {
    fn raft(&self) -> Option<Raft<C>> {
        self.router.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&self.target).cloned()
    }
}

fn nobody<E: std::error::Error>() -> RPCError<u64, BasicNode, E> {
    RPCError::Unreachable(Unreachable::new(&io::Error::from(io::ErrorKind::NotFound)))
}

impl<C: App> RaftNetworkFactory<C> for Router<C> {
    type Network = Route<C>;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Route<C> {
        Route { router: self.clone(), target }
    }
}

impl<C: App> RaftNetwork<C> for Route<C> {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<C>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        let answer = self.raft().ok_or_else(nobody)?.append_entries(rpc).await;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<C>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, BasicNode, RaftError<u64, InstallSnapshotError>>> {
        let answer = self.raft().ok_or_else(nobody)?.install_snapshot(rpc).await;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        let answer = self.raft().ok_or_else(nobody)?.vote(rpc).await;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }
}
