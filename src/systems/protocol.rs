//! The protocol of clients, and of the administrator, the same for every system under test.

use super::message::{decode, encode};
use super::{Reconfiguration, Reconfigured, Reconfiguring};
use crate::kv::{Command, Response};
use crate::trace::{HostId, MessageKind};
use serde::{Deserialize, Serialize};

/// A client's request: one attempt of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The command; its tag is the same in every attempt.
    pub command: Command,
}

/// A node's answer to a [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The command took effect, exactly once.
    Ok {
        /// What it returned.
        outcome: Response,
        /// The node that acted as primary and acknowledged (not one that merely proxied).
        acknowledged_by: HostId,
        /// The term, epoch or takeover count in which it acted; 0 where a system has none.
        term: u64,
    },
    /// Definitely refused: the command has not taken effect through this attempt and will not.
    Refused {
        /// The node to try instead, if known.
        hint: Option<HostId>,
    },
    /// The command may or may not have taken effect.
    Unknown,
    /// The command has not taken effect and will not, and to ask again is of no use.
    Failed,
}

/// An administrator's request to one node, where nodes answer [`MessageKind::Members`].
pub fn reconfigure(request: Reconfiguration<'_>) -> Reconfiguring<'_> {
    let Reconfiguration { client, node, voters, timeout } = request;
    Box::pin(async move {
        let answer = client.transport().call(node, MessageKind::Members, encode(&voters), timeout, None).await;
        let decoded = answer.ok().and_then(|bytes| decode(&bytes));
        decoded.unwrap_or(Reconfigured::Unknown)
    })
}
