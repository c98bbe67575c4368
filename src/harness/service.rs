//! What a test is told about a service from elsewhere: its nodes, its clients, and what its answers mean.

use crate::check::linearizability::model::Model;
use crate::host::Host;
use crate::kv::{self, Response, Tag, Value};
use serde::Serialize;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A service to be tested: what each node runs, and how a client calls it.
///
/// Each run has one value of it. Its contents outlive the processes of its nodes, so a node keeps here what its disk
/// would hold. Everything else dies with the process.
pub trait Service: 'static {
    /// What the service is for its clients.
    type Object: Object;

    /// What the service is for its clients.
    fn object(&self) -> Self::Object;

    /// The process of one node, from its start until it is killed; called again at each restart. The node
    /// listens and connects through `host`, and starts tasks with [`Host::spawn`].
    fn node(self: Arc<Self>, host: Host) -> impl Future<Output = ()> + 'static;

    /// One attempt of an operation, as the service's client library would make it, on the client's host. It is
    /// dropped after [`Call::timeout`], and its outcome is then unknown. After [`Answer::Refused`] the client tries
    /// again; after [`Answer::Unknown`] only if [`Service::is_idempotent`] says that it may.
    fn call(
        &self,
        client: &Host,
        call: Call<'_, <Self::Object as Model>::Op>,
    ) -> impl Future<Output = Answer<<Self::Object as Model>::Ret>>;

    /// Whether a client may send `op` again, as the same operation, after an attempt whose outcome is unknown. It may
    /// if the service recognises the operation by [`Call::tag`] and does not do it twice, or if doing it twice is as
    /// good as once. By default the first [`Answer::Unknown`] is final: a client that repeats an operation that must
    /// not be repeated makes a correct service look wrong.
    fn is_idempotent(&self, _op: &<Self::Object as Model>::Op) -> bool {
        false
    }
}

/// A sequential object, and how the operations of a scenario's script translate to it.
///
/// [`KeyValue`] is one; a counter, a queue or a lock is another.
pub trait Object: Model<Op: Clone + Debug, Ret: Clone + Debug + Serialize> + 'static {
    /// What a scripted operation asks of this object. A script knows get, put, delete and cas, on keys, with
    /// values that are unique in the run: a queue may read `put k1=7` as "enqueue 7 in queue 1". Must be a pure
    /// function. Every run also ends with gets: one of each client, and one of every key at every node.
    fn operation(&self, op: &kv::Op) -> Self::Op;

    /// The same, for a client that may use an earlier answer: `last` is the client's last answer to an operation on
    /// the same scripted key, and `None` before the first. A client that holds a lock under a token releases it with
    /// that token; one that writes only over the version it has read sends that version. Called once for each
    /// operation, before its first attempt; the default is [`Object::operation`].
    fn operation_after(&self, op: &kv::Op, _last: Option<&Self::Ret>) -> Self::Op {
        self.operation(op)
    }

    /// The answer in the store's words, if it has any: a script's cas expects the last value its client saw.
    fn outcome(&self, _ret: &Self::Ret) -> Response {
        Response::Done
    }

    /// Whether this is the key-value store itself, for which there are faster and more precise checks.
    const IS_STORE: bool = false;
}

/// The key-value store: get, put, delete and cas on keys, which are absent at first.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyValue;

impl Model for KeyValue {
    type State = Option<Value>;
    type Op = kv::Op;
    type Ret = Response;

    fn initial(&self) -> Option<Value> {
        None
    }

    fn step(&self, state: &Option<Value>, op: &kv::Op, ret: Option<&Response>) -> Option<Option<Value>> {
        let (after, answer) = match *op {
            kv::Op::Get { .. } => (*state, Response::Value(*state)),
            kv::Op::Put { value, .. } => (Some(value), Response::Done),
            kv::Op::Delete { .. } => (None, Response::Done),
            kv::Op::Cas { expected, new, .. } if expected == *state => (Some(new), Response::Swapped),
            kv::Op::Cas { .. } => (*state, Response::Mismatch { found: *state }),
        };
        ret.is_none_or(|ret| *ret == answer).then_some(after)
    }

    fn key(&self, op: &kv::Op) -> u64 {
        u64::from(op.key().0)
    }

    fn is_read(&self, op: &kv::Op) -> bool {
        !op.is_write()
    }
}

impl Object for KeyValue {
    fn operation(&self, op: &kv::Op) -> kv::Op {
        *op
    }

    fn outcome(&self, ret: &Response) -> Response {
        *ret
    }

    const IS_STORE: bool = true;
}

/// One attempt of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a, Op> {
    /// The name of the node to ask, as [`Host::connect`] takes it.
    pub node: &'a str,
    /// What to ask for.
    pub op: &'a Op,
    /// The operation's identity, the same in every attempt: an idempotency key.
    pub tag: Tag,
    /// How long the client waits.
    pub timeout: Duration,
}

/// How an attempt ended. The difference between the last two is what most client libraries get wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<Ret> {
    /// It took effect, and returned this.
    Ok(Ret),
    /// It has not taken effect and will not (Jepsen's `fail`): the client may try elsewhere.
    Refused {
        /// The node to try instead, if known.
        instead: Option<String>,
    },
    /// It may have taken effect, or may yet (Jepsen's `info`).
    Unknown,
}

impl<Ret> Answer<Ret> {
    /// An attempt that was refused without a hint.
    pub fn refused() -> Answer<Ret> {
        Answer::Refused { instead: None }
    }
}

/// A connection that was refused never carried the request; after any other error it may have arrived.
impl<Ret> From<io::Error> for Answer<Ret> {
    fn from(error: io::Error) -> Answer<Ret> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Answer::refused(),
            _ => Answer::Unknown,
        }
    }
}
