//! The clients' load, as plain data.

use crate::scenario::ScriptedOp;

/// What the clients of a run do, and how long they wait for answers.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many clients live at each site, by site.
    pub clients: Vec<u16>,
    /// The operations that they request, in order of planned time.
    pub script: Vec<ScriptedOp>,
    /// How many keys there are; final reads cover `0..keys`.
    pub keys: u32,
    /// How long a client waits for one attempt, in milliseconds.
    pub attempt_timeout_ms: u64,
    /// How long a client tries one operation in all, in milliseconds.
    pub operation_timeout_ms: u64,
    /// How long after the faults all clients must have been served and replicas be equal, in milliseconds.
    pub recovery_ms: u64,
}

impl Load {
    /// How many clients there are.
    pub fn client_count(&self) -> u32 {
        self.clients.iter().map(|count| u32::from(*count)).sum()
    }

    /// The number of a site's first client.
    pub(super) fn first_client(&self, site: usize) -> u32 {
        self.clients[..site].iter().map(|count| u32::from(*count)).sum()
    }

    /// The least number of operations that clients request: besides the script, each client has a closing put and get.
    pub(super) fn operations(&self) -> usize {
        self.script.len() + 2 * self.client_count() as usize
    }

    /// Every id from this one on is free for operations outside the script.
    pub(super) fn first_free_id(&self) -> u32 {
        self.script.iter().map(|op| op.id + 1).max().unwrap_or(0)
    }
}
