//! A running node, and the clients' protocol: one JSON object a line, one answer a line.

use crate::machine::Machine;
use crate::types::{App, Register};
use openraft::error::{CheckIsLeaderError, RaftError};
use openraft::{BasicNode, Config, Raft, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// A client's request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// Register a service.
    Register(Register),
    /// Look up where a service listens.
    LookUp(String),
}

/// A node's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// It is registered.
    Registered,
    /// It listens here, or was never registered.
    Address(Option<String>),
    /// Nothing was done: this node does not lead. Ask the leader, if it is known.
    NotLeader(Option<u64>),
    /// The request may or may not have been carried out.
    Unknown,
}

/// The cluster's settings, for links of up to 20 ms.
///
/// # Panics
/// Never: the figures are sound.
pub fn config() -> Arc<Config> {
    let config = Config {
        cluster_name: "registry".into(),
        heartbeat_interval: 200,
        election_timeout_min: 600,
        election_timeout_max: 1200,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(300),
        max_in_snapshot_log_to_keep: 50,
        ..Config::default()
    };
    Arc::new(config.validate().expect("the figures are sound"))
}

/// The members of a cluster of `nodes` nodes.
pub fn members(nodes: u64) -> std::collections::BTreeMap<u64, BasicNode> {
    (1..=nodes).map(|id| (id, BasicNode::new(format!("n{id}")))).collect()
}

/// Answers the requests of one connection until it ends.
///
/// # Errors
/// When the connection breaks.
pub async fn serve<C: App>(connection: impl AsyncRead + AsyncWrite, raft: Raft<C>, machine: Machine) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(connection);
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let told = answer(serde_json::from_str(&line)?, &raft, &machine).await;
        write.write_all(format!("{}\n", serde_json::to_string(&told)?).as_bytes()).await?;
    }
    Ok(())
}

/// Sends one request on a connection, and waits for its answer.
///
/// # Errors
/// When the connection breaks before the answer is complete.
pub async fn ask(connection: impl AsyncRead + AsyncWrite, ask: &Ask) -> io::Result<Told> {
    let (read, mut write) = tokio::io::split(connection);
    write.write_all(format!("{}\n", serde_json::to_string(ask)?).as_bytes()).await?;
    let line = BufReader::new(read).lines().next_line().await?;
    Ok(serde_json::from_str(&line.ok_or(io::ErrorKind::UnexpectedEof)?)?)
}

async fn answer<C: App>(ask: Ask, raft: &Raft<C>, machine: &Machine) -> Told {
    match ask {
        Ask::Register(register) => {
            let leader = raft.metrics().borrow().current_leader;
            if leader != Some(raft.metrics().borrow().id) {
                return Told::NotLeader(leader);
            }
            // From here on even "forward to the leader" is not a refusal: this node may have dropped the entry from its
            // log, and another may still commit it.
            raft.client_write(register).await.map_or(Told::Unknown, |_| Told::Registered)
        }
        Ask::LookUp(name) => match raft.ensure_linearizable().await {
            Ok(_) => Told::Address(machine.address(&name)),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward))) => {
                Told::NotLeader(forward.leader_id)
            }
            Err(_) => Told::NotLeader(None),
        },
    }
}
