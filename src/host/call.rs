//! Calls between hosts, as caller and handler see them, whatever carries them.

use crate::trace::{HostId, MessageKind};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// Why a call has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request was never written to a connection: it cannot have reached the peer.
    #[error("the peer could not be reached")]
    NotSent,
    /// No reply in time. The peer may have handled the request, or may yet handle it.
    #[error("no reply in time")]
    Deadline,
    /// The connection broke after the request was written. The peer may have handled it.
    #[error("the connection broke")]
    Broken,
}

/// A request as a handler sees it.
#[derive(Debug)]
pub struct Incoming {
    /// The caller.
    pub from: HostId,
    /// What it asks for.
    pub kind: MessageKind,
    /// The request's payload.
    pub payload: Vec<u8>,
}

/// Answers requests; `None` sends no reply, as if the request had not arrived.
pub type Handler = Rc<dyn Fn(Incoming) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>>;
