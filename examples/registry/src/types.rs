//! The replicated command, and the application's openraft types.

use openraft::impls::OneshotResponder;
use openraft::{BasicNode, Entry, RaftTypeConfig, TokioRuntime};
use serde::{Deserialize, Serialize};
use std::io::Cursor;

/// Registers a service, or moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The client, and the number of its request: a request that arrives twice is carried out once.
    pub request: (u64, u64),
    /// The service.
    pub name: String,
    /// Where it listens now.
    pub address: String,
}

/// The types of this application, whatever runs it.
pub trait App:
    RaftTypeConfig<
        D = Register,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Self>,
        SnapshotData = Cursor<Vec<u8>>,
        Responder = OneshotResponder<Self>,
    >
{
}

impl<C> App for C where
    C: RaftTypeConfig<
            D = Register,
            R = (),
            NodeId = u64,
            Node = BasicNode,
            Entry = Entry<C>,
            SnapshotData = Cursor<Vec<u8>>,
            Responder = OneshotResponder<C>,
        >
{
}

openraft::declare_raft_types!(
    /// On tokio.
    pub Production:
        D = Register,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Production>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = TokioRuntime,
);
