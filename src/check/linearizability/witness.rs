//! Why no order exists, in terms of operation ids: small, sound and checkable by hand.

use crate::kv::Key;
use serde::{Deserialize, Serialize};

/// The proof that one key's operations have no order.
///
/// [`super::verify::refutes`] confirms it from these operations alone. Dropping one of them may make it
/// look wrong: a witness names everything its argument needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The key.
    pub key: Key,
    /// Ids of all operations of the argument, by invocation.
    pub operations: Vec<u32>,
    /// The argument, for machines.
    pub reason: Reason,
    /// The argument in one sentence, for people.
    pub sentence: String,
    /// When it became undeniable: the last answer of the argument, in nanoseconds.
    pub at_ns: u64,
}

/// A chain of writes, each a cas that took the value of the one before, described by the two operations that fix when
/// it was live: `ended_first` was over before `began_last` was invoked, if the chain is live for a stretch of time at
/// all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The writes from one operation's value to the other's, in chain order.
    pub writes: Vec<u32>,
    /// The operation that was answered first; `None` is the initial absence.
    pub ended_first: Option<u32>,
    /// The operation that was invoked last; `None` is the initial absence.
    pub began_last: Option<u32>,
}

/// A read of absence, and the chain that came before it: between the two there must be a delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteNeeded {
    /// The read of absence.
    pub read: u32,
    /// The chain after which the delete must have come.
    pub after: Life,
}

/// The ways in which an order can be impossible. Numbers are operation ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No state explains this answer.
    Impossible {
        /// The operation.
        operation: u32,
    },
    /// It saw a value that no operation wrote.
    NeverWritten {
        /// The operation.
        operation: u32,
    },
    /// Two cas took the same value, each as if the other had not happened.
    TakenTwice {
        /// What wrote the value; `None` is the initial absence.
        writer: Option<u32>,
        /// The two.
        cas: [u32; 2],
    },
    /// Each of these cas took the value of the one before, and the first that of the last.
    Circular {
        /// The operations.
        cas: Vec<u32>,
    },
    /// The values say that `later` comes after `earlier`, but it was over before `earlier` began.
    OutOfOrder {
        /// The operation that was over too early.
        later: u32,
        /// The operation that began too late.
        earlier: u32,
        /// The writes that connect the two, in chain order.
        writes: Vec<u32>,
    },
    /// Two chains, each of which had to be live while the other was.
    Overlap {
        /// One chain.
        one: Life,
        /// The other.
        other: Life,
    },
    /// A delete or a read of absence, all of it while a value had to be live.
    WithinLife {
        /// The chain that was live.
        life: Life,
        /// The operation inside.
        operation: u32,
    },
    /// Each read needs a delete of its own, and there are fewer deletes that can serve them than reads.
    TooFewDeletes {
        /// The reads.
        needs: Vec<DeleteNeeded>,
        /// Every delete that can serve any of them.
        deletes: Vec<u32>,
        /// Lives in which no delete or read of absence fits.
        lives: Vec<Life>,
    },
    /// Every order of these was tried. The operations still running at `until_ns` may or may not have happened.
    NoOrder {
        /// The operations.
        operations: Vec<u32>,
        /// The read from which the argument starts, if it does not start at the beginning: the key held what it read
        /// when it took effect. So operations that were over before it do not matter, and operations that ran beside it
        /// may have come first.
        since: Option<u32>,
        /// The operation that breaks it, if it is known: without its answer the others have an order.
        breaks: Option<u32>,
        /// The history was examined up to this instant, in nanoseconds.
        until_ns: u64,
    },
}

impl Life {
    fn operations(&self) -> impl Iterator<Item = u32> + '_ {
        self.writes.iter().copied().chain(self.ended_first).chain(self.began_last)
    }
}

impl Reason {
    /// The operations without which the argument cannot be followed, the one that breaks it first.
    pub fn essential(&self) -> Vec<u32> {
        let ends = |life: &Life| life.began_last.into_iter().chain(life.ended_first);
        match self {
            Reason::Impossible { operation } | Reason::NeverWritten { operation } => vec![*operation],
            Reason::TakenTwice { writer, cas } => cas.iter().chain(writer).copied().collect(),
            Reason::Circular { cas } => cas.clone(),
            Reason::OutOfOrder { later, earlier, .. } => vec![*earlier, *later],
            Reason::Overlap { one, other } => ends(one).chain(ends(other)).collect(),
            Reason::WithinLife { life, operation } => std::iter::once(*operation).chain(ends(life)).collect(),
            Reason::TooFewDeletes { needs, deletes, .. } => {
                let reads = needs.iter().map(|need| need.read);
                let chains = needs.iter().flat_map(|need| ends(&need.after));
                reads.chain(chains).chain(deletes.iter().copied()).collect()
            }
            Reason::NoOrder { since, breaks, .. } => breaks.iter().chain(since).copied().collect(),
        }
    }

    /// Every operation the argument names, ascending.
    pub fn operations(&self) -> Vec<u32> {
        let mut all: Vec<u32> = match self {
            Reason::Impossible { operation } | Reason::NeverWritten { operation } => vec![*operation],
            Reason::TakenTwice { writer, cas } => writer.iter().chain(cas).copied().collect(),
            Reason::Circular { cas } => cas.clone(),
            Reason::OutOfOrder { later, earlier, writes } => writes.iter().copied().chain([*later, *earlier]).collect(),
            Reason::Overlap { one, other } => one.operations().chain(other.operations()).collect(),
            Reason::WithinLife { life, operation } => life.operations().chain([*operation]).collect(),
            Reason::TooFewDeletes { needs, deletes, lives } => {
                let needs = needs.iter().flat_map(|need| need.after.operations().chain([need.read]));
                needs.chain(deletes.iter().copied()).chain(lives.iter().flat_map(Life::operations)).collect()
            }
            Reason::NoOrder { operations, .. } => operations.clone(),
        };
        all.sort_unstable();
        all.dedup();
        all
    }
}
