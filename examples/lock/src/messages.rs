//! The messages on the wire.

/// A client's request about a lock.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// The lock's name.
    #[prost(string, tag = "1")]
    pub lock: String,
    /// The holder that acquires or releases the lock: a name that is used for one hold only. Not used to inspect.
    #[prost(uint64, tag = "2")]
    pub holder: u64,
    /// The client's session. Session and sequence identify a request: one that arrives twice is carried out once.
    #[prost(uint64, tag = "3")]
    pub session: u64,
    /// The number of the request in its session, ascending.
    #[prost(uint64, tag = "4")]
    pub sequence: u64,
}

/// The state of a lock after a request. It was granted if the holder is the one that asked.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Standing {
    /// The holder; absent if the lock is free.
    #[prost(uint64, optional, tag = "1")]
    pub holder: Option<u64>,
    /// The number of grants so far: the fencing token of the latest hold.
    #[prost(uint64, tag = "2")]
    pub token: u64,
}

/// A number that belongs to one attempt of one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct Ballot {
    /// Compared first.
    #[prost(uint64, tag = "1")]
    pub round: u64,
    /// Compared second: rounds of two nodes may be the same.
    #[prost(uint64, tag = "2")]
    pub node: u64,
}

/// A lock as it is replicated.
#[derive(Clone, PartialEq, prost::Message)]
pub struct State {
    /// Its holder and its token.
    #[prost(message, required, tag = "1")]
    pub standing: Standing,
    /// The last request of each session that was carried out, and its answer.
    #[prost(btree_map = "uint64, message", tag = "2")]
    pub sessions: std::collections::BTreeMap<u64, Told>,
}

/// The answer to a session's last request.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Told {
    /// The request's number.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    /// The answer.
    #[prost(message, required, tag = "2")]
    pub standing: Standing,
}

/// Asks for a promise to accept nothing with a lower ballot.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Prepare {
    /// The lock's name.
    #[prost(string, tag = "1")]
    pub lock: String,
    /// The ballot.
    #[prost(message, required, tag = "2")]
    pub ballot: Ballot,
}

/// The answer to [`Prepare`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Promise {
    /// The promised ballot: the one that was asked for, or a higher one.
    #[prost(message, required, tag = "1")]
    pub promised: Ballot,
    /// The state that this node accepted last, if any.
    #[prost(message, optional, tag = "2")]
    pub accepted: Option<Accept>,
}

/// Asks a node to accept a state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Accept {
    /// The lock's name.
    #[prost(string, tag = "1")]
    pub lock: String,
    /// The ballot.
    #[prost(message, required, tag = "2")]
    pub ballot: Ballot,
    /// The lock's state.
    #[prost(message, required, tag = "3")]
    pub state: State,
}

/// The answer to [`Accept`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Accepted {
    /// The ballot that was accepted, or a higher one that was promised instead.
    #[prost(message, required, tag = "1")]
    pub promised: Ballot,
}
